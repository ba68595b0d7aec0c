//! The registry: every parser that meets bytes from outside, one entry each.

mod access;
mod acme;
mod agent;
mod audit;
mod authn;
mod base;
mod configuration;
mod crypto;
mod decoupled;
mod federation;
mod gateway;
pub(crate) mod keys;
mod memory;
pub(crate) mod message;
pub(crate) mod oauth;
mod registration;
pub(crate) mod requests;
mod schema;
mod sealed;
#[cfg(test)]
mod tests;
mod transit;
mod vault;
mod vault_calls;
pub(crate) mod webhook;

use crate::Target;

/// Every target, by crate from the bottom up.
pub const TARGETS: &[Target] = &[
    Target {
        name: "vocabulary",
        about: "every typed name of the base crate",
        run: base::vocabulary,
        words: base::WORDS,
    },
    Target {
        name: "base64url",
        about: "strict base64url",
        run: crypto::base64url,
        words: &["=", "-", "_", "+", "/"],
    },
    Target {
        name: "jws",
        about: "a compact JWS (RFC 7515)",
        run: crypto::jws,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "jwk",
        about: "a public JWK (RFC 7517)",
        run: crypto::jwk,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "jwk-set",
        about: "a JWK set",
        run: crypto::jwk_set,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "certificate",
        about: "a peer's certificate in DER",
        run: crypto::certificate,
        words: &[],
    },
    Target {
        name: "password-hash",
        about: "a stored hash of a password: Argon2id, bcrypt, PBKDF2",
        run: crypto::password_hash,
        words: &[
            "$argon2id$",
            "v=19",
            "m=",
            "t=",
            "p=",
            "$",
            "$2b$",
            "$2y$",
            "$pbkdf2-sha256$",
            "$pbkdf2-sha512$",
            "pbkdf2_sha256$",
            "i=",
            ",l=",
        ],
    },
    Target {
        name: "puncturable-key",
        about: "the stored epoch key",
        run: crypto::puncturable_key,
        words: &[],
    },
    Target {
        name: "envelope",
        about: "a sealed envelope",
        run: keys::envelope,
        words: &[],
    },
    Target {
        name: "sealed-field",
        about: "a sealed field in JSON",
        run: sealed::field,
        words: &["\"", "xQE", "null", "-", "_"],
    },
    Target {
        name: "data-dictionary",
        about: "the data dictionary of a service",
        run: sealed::dictionary,
        words: sealed::DICTIONARY_WORDS,
    },
    Target {
        name: "stream",
        about: "a sealed stream",
        run: keys::stream,
        words: &[],
    },
    Target {
        name: "share",
        about: "a share of the unseal key as text",
        run: keys::share,
        words: &["00", "ff", "+", "/", "="],
    },
    Target {
        name: "seal-row",
        about: "the stored seal",
        run: keys::seal_row,
        words: keys::SEAL_WORDS,
    },
    Target {
        name: "seal-nonce",
        about: "the nonce of a gathering of shares",
        run: keys::seal_nonce,
        words: &["-", "4", "0000"],
    },
    Target {
        name: "record",
        about: "a canonical audit record",
        run: audit::record,
        words: audit::WORDS,
    },
    Target {
        name: "note",
        about: "a signed note and a checkpoint",
        run: audit::note,
        words: audit::NOTE_WORDS,
    },
    Target {
        name: "verifier-key",
        about: "a note verifier key",
        run: audit::verifier_key,
        words: audit::NOTE_WORDS,
    },
    Target {
        name: "receipt",
        about: "an inclusion receipt",
        run: audit::receipt,
        words: audit::NOTE_WORDS,
    },
    Target {
        name: "tile-path",
        about: "the path of a tile",
        run: audit::tile_path,
        words: &["tile/", "entries/", "x001/", ".p/", "256"],
    },
    Target {
        name: "entry-bundle",
        about: "a bundle of log entries",
        run: audit::entry_bundle,
        words: &[],
    },
    Target {
        name: "journal",
        about: "a journal segment",
        run: audit::journal,
        words: &[],
    },
    Target {
        name: "form",
        about: "a form body or query string",
        run: authn::form,
        words: authn::FORM_WORDS,
    },
    Target {
        name: "dpop",
        about: "a DPoP proof header",
        run: authn::dpop,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "authorization-header",
        about: "credentials of a resource request",
        run: authn::authorization_header,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "client-authentication",
        about: "credentials of a client",
        run: authn::client_authentication,
        words: authn::FORM_WORDS,
    },
    Target {
        name: "grant-assertion",
        about: "an assertion of a foreign issuer as a grant (RFC 7523)",
        run: authn::grant_assertion,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "passkey-assertion",
        about: "what a browser sends of a passkey (WebAuthn §7.2)",
        run: authn::passkey_assertion,
        words: authn::PASSKEY_WORDS,
    },
    Target {
        name: "passkey-registration",
        about: "what a browser sends of a new passkey (WebAuthn §7.1)",
        run: authn::passkey_registration,
        words: authn::PASSKEY_WORDS,
    },
    Target {
        name: "tls-subject",
        about: "the name of a client's certificates (RFC 8705, RFC 4514)",
        run: authn::tls_subject,
        words: authn::SUBJECT_WORDS,
    },
    Target {
        name: "spiffe-bundle",
        about: "a trust bundle of SPIFFE",
        run: authn::spiffe_bundle,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "redirect-uri",
        about: "a redirect URI",
        run: oauth::redirect_uri,
        words: oauth::URI_WORDS,
    },
    Target {
        name: "pkce",
        about: "a code challenge and a verifier",
        run: oauth::pkce,
        words: &[],
    },
    Target {
        name: "refresh-token",
        about: "a refresh token",
        run: oauth::refresh_token,
        words: &[],
    },
    Target {
        name: "request-uri",
        about: "a request URI of a pushed request",
        run: oauth::request_uri,
        words: oauth::URI_WORDS,
    },
    Target {
        name: "token-request",
        about: "a token request",
        run: oauth::token_request,
        words: authn::FORM_WORDS,
    },
    Target {
        name: "authorization-request",
        about: "an authorization request",
        run: oauth::authorization_request,
        words: authn::FORM_WORDS,
    },
    Target {
        name: "user-code",
        about: "a user code as somebody types it (RFC 8628)",
        run: decoupled::user_code,
        words: decoupled::CODE_WORDS,
    },
    Target {
        name: "backchannel-request",
        about: "a backchannel authentication request (CIBA)",
        run: decoupled::backchannel_request,
        words: authn::FORM_WORDS,
    },
    Target {
        name: "registration-request",
        about: "what a client says of itself (RFC 7591)",
        run: registration::request,
        words: registration::METADATA_WORDS,
    },
    Target {
        name: "client-metadata-document",
        about: "a document at a client's own address",
        run: registration::document,
        words: registration::METADATA_WORDS,
    },
    Target {
        name: "sector-document",
        about: "the document of a sector_identifier_uri",
        run: registration::sector_document,
        words: &["[\"", "\",\"", "\"]", "https://app.example/cb"],
    },
    Target {
        name: "logout-request",
        about: "a logout request of a client",
        run: registration::logout,
        words: registration::LOGOUT_WORDS,
    },
    Target {
        name: "upstream-callback",
        about: "a browser's return from another identity provider",
        run: federation::callback,
        words: federation::RESPONSE_WORDS,
    },
    Target {
        name: "upstream-metadata",
        about: "another identity provider's discovery document",
        run: federation::metadata,
        words: federation::METADATA_WORDS,
    },
    Target {
        name: "upstream-token",
        about: "another identity provider's token answer",
        run: federation::token_answer,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "return-path",
        about: "where a browser wants to go after its sign-in at the gateway",
        run: federation::return_path,
        words: &["/", "//", "\\", "?", "#", "%2F", "https://", "@", "\t"],
    },
    Target {
        name: "session-tokens",
        about: "an issuer's token answer to the gateway, and its logout requests",
        run: federation::session_tokens,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "api-key",
        about: "an API key",
        run: authn::api_key,
        words: &["csk_", "_", "0000000000c0ffee", "abab"],
    },
    Target {
        name: "idempotency-key",
        about: "an `Idempotency-Key`, by the gateway and by the guard",
        run: gateway::idempotency_key,
        words: &["\"", "\\", "\\\"", "8e03978e", ",", ";", " "],
    },
    Target {
        name: "mail-address",
        about: "an address that somebody typed to sign in",
        run: federation::mail_address,
        words: &["@", ".", "-", "corp.example", "xn--"],
    },
    Target {
        name: "authorization-details",
        about: "authorization details (RFC 9396)",
        run: oauth::authorization_details,
        words: oauth::PARTICULAR_WORDS,
    },
    Target {
        name: "claims-parameter",
        about: "the claims parameter (OpenID Connect Core §5.5)",
        run: oauth::claims_parameter,
        words: oauth::PARTICULAR_WORDS,
    },
    Target {
        name: "message-signed",
        about: "a signed message between partners, verified",
        run: message::signed,
        words: message::WORDS,
    },
    Target {
        name: "message-sealed",
        about: "a sealed message between partners, opened and verified",
        run: message::sealed,
        words: message::WORDS,
    },
    Target {
        name: "message-receipt",
        about: "a receipt of a message, verified",
        run: message::receipt,
        words: message::WORDS,
    },
    Target {
        name: "webhook",
        about: "a webhook before a source of every scheme",
        run: webhook::request,
        words: webhook::WORDS,
    },
    Target {
        name: "webhook-secret",
        about: "a secret of Standard Webhooks as text",
        run: webhook::secret,
        words: &["whsec_", "whsk_", "whpk_", "v1,", "="],
    },
    Target {
        name: "structured-field",
        about: "a structured field value (RFC 8941)",
        run: webhook::structured_field,
        words: webhook::FIELD_WORDS,
    },
    Target {
        name: "content-digest",
        about: "Content-Digest (RFC 9530)",
        run: webhook::content_digest,
        words: webhook::FIELD_WORDS,
    },
    Target {
        name: "http-signature",
        about: "the signatures of an HTTP message (RFC 9421) and what they cover",
        run: webhook::http_signature,
        words: webhook::WORDS,
    },
    Target {
        name: "private-jwk",
        about: "a private key or a set of them in JSON (RFC 7517)",
        run: message::private_jwk,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "jwe",
        about: "a compact JWE (RFC 7516)",
        run: requests::jwe,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "request-object",
        about: "a request object (RFC 9101), signed or encrypted",
        run: requests::request_object,
        words: crypto::JOSE_WORDS,
    },
    Target {
        name: "canonical-path",
        about: "the gateway's canonical path",
        run: gateway::path,
        words: gateway::PATH_WORDS,
    },
    Target {
        name: "proof-of-work",
        about: "the answer to a challenge of the gateway",
        run: gateway::proof_of_work,
        words: gateway::PROOF_WORDS,
    },
    Target {
        name: "strict-json",
        about: "JSON as the gateway reads bodies and answers",
        run: schema::strict_json,
        words: schema::WORDS,
    },
    Target {
        name: "openapi-document",
        about: "the OpenAPI document of a route",
        run: schema::document,
        words: schema::WORDS,
    },
    Target {
        name: "http1-framing",
        about: "the framing of an HTTP/1.1 connection",
        run: gateway::framing,
        words: gateway::FRAMING_WORDS,
    },
    Target {
        name: "websocket-frames",
        about: "where a frame of a WebSocket ends",
        run: gateway::frames,
        words: &["\u{7f}", "~", "hello"],
    },
    Target {
        name: "ext-authz-question",
        about: "what Envoy asks about a request that it holds",
        run: gateway::question,
        words: gateway::FRAMING_WORDS,
    },
    Target {
        name: "client-hello",
        about: "the fingerprint of a ClientHello",
        run: gateway::client_hello,
        words: &[],
    },
    Target {
        name: "network",
        about: "a network of a list of addresses",
        run: gateway::network,
        words: &["/", ".", ":", "::", "::ffff:", "0", "128", "32", "255"],
    },
    Target {
        name: "cors-origin",
        about: "an origin whose pages may call a route",
        run: gateway::origin,
        words: gateway::ORIGIN_WORDS,
    },
    Target {
        name: "egress-destination",
        about: "where a workload wants to be connected to",
        run: gateway::destination,
        words: gateway::DESTINATION_WORDS,
    },
    Target {
        name: "access-request",
        about: "a question to the decision point: AuthZEN, OPA",
        run: access::request,
        words: access::WORDS,
    },
    Target {
        name: "policy",
        about: "a Cedar policy against the schema",
        run: configuration::policy,
        words: configuration::POLICY_WORDS,
    },
    Target {
        name: "transit-text",
        about: "a ciphertext, signature or HMAC of the transit engine",
        run: transit::text,
        words: transit::TEXT_WORDS,
    },
    Target {
        name: "transit-import",
        about: "a key that is wrapped for the transit engine",
        run: transit::import,
        words: &[],
    },
    Target {
        name: "transit-backup",
        about: "a key of the transit engine that was backed up",
        run: transit::backup,
        words: transit::BACKUP_WORDS,
    },
    Target {
        name: "vault-path",
        about: "the path of a request to the vault",
        run: vault::path,
        words: vault::PATH_WORDS,
    },
    Target {
        name: "vault-policy",
        about: "an ACL policy of the vault, in HCL or JSON",
        run: vault::policy,
        words: vault::POLICY_WORDS,
    },
    Target {
        name: "signing-request",
        about: "a request for a certificate (PKCS#10), and what a role issues for it",
        run: acme::signing_request,
        words: &["example.test", "*.", "a.example.test", "\u{82}", "\u{7}"],
    },
    Target {
        name: "acme-message",
        about: "a message of an ACME client (RFC 8555)",
        run: acme::acme,
        words: acme::WORDS,
    },
    Target {
        name: "vault-duration",
        about: "a duration in the body of a vault request",
        run: vault_calls::span,
        words: vault_calls::DURATION_WORDS,
    },
    Target {
        name: "vault-body",
        about: "the body of a vault request, read weakly",
        run: vault_calls::body,
        words: vault_calls::BODY_WORDS,
    },
    Target {
        name: "database-statements",
        about: "statements for a database, and a name that gets into them",
        run: vault_calls::statements,
        words: vault_calls::STATEMENT_WORDS,
    },
    Target {
        name: "jwt-role",
        about: "a role of the vault for tokens, and the claims of one",
        run: vault_calls::claims,
        words: vault_calls::CLAIM_WORDS,
    },
    Target {
        name: "certificate-role",
        about: "a role of the vault for certificates, and the fields of one",
        run: vault_calls::certificate,
        words: vault_calls::CERTIFICATE_WORDS,
    },
    Target {
        name: "vault-calls",
        about: "calls of the vault one after the other",
        run: vault_calls::calls,
        words: vault_calls::CALL_WORDS,
    },
    Target {
        name: "agent-template",
        about: "a template of the agent",
        run: agent::template,
        words: agent::WORDS,
    },
    Target {
        name: "configuration",
        about: "countersign.toml",
        run: configuration::configuration,
        words: configuration::WORDS,
    },
];
