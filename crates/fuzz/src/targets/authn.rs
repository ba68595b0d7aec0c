//! Credentials as they come in headers and forms.

use crate::{Target, Verdict};
use countersign_authn::dpop::{self, Htu};
use countersign_authn::trust::{ClientTrust, ForeignIssuer, SecretInBody, bundle_keys};
use countersign_authn::webauthn;
use countersign_authn::{
    Anonymous, Binding, Demand, Form, LEEWAY_DEFAULT, OtherIssuer, OtherIssuerSpec,
    ResourceRequest, ResourceRules, TokenForm, TrustedIssuer, assertion, client,
};
use countersign_base::{Conditional, Issuer, NoTls, Tenant};
use countersign_crypto::jose::Algorithm;
use http::{HeaderMap, HeaderValue, Method, header};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "form",
        about: "a form body or query string",
        run: form,
        words: FORM_WORDS,
    },
    Target {
        name: "dpop",
        about: "a DPoP proof header",
        run: dpop,
        words: super::crypto::JOSE_WORDS,
    },
    Target {
        name: "authorization-header",
        about: "credentials of a resource request",
        run: authorization_header,
        words: super::crypto::JOSE_WORDS,
    },
    Target {
        name: "client-authentication",
        about: "credentials of a client",
        run: client_authentication,
        words: FORM_WORDS,
    },
    Target {
        name: "grant-assertion",
        about: "an assertion of a foreign issuer as a grant (RFC 7523)",
        run: grant_assertion,
        words: super::crypto::JOSE_WORDS,
    },
    Target {
        name: "passkey-assertion",
        about: "what a browser sends of a passkey (WebAuthn §7.2)",
        run: passkey_assertion,
        words: PASSKEY_WORDS,
    },
    Target {
        name: "passkey-registration",
        about: "what a browser sends of a new passkey (WebAuthn §7.1)",
        run: passkey_registration,
        words: PASSKEY_WORDS,
    },
    Target {
        name: "tls-subject",
        about: "the name of a client's certificates (RFC 8705, RFC 4514)",
        run: tls_subject,
        words: SUBJECT_WORDS,
    },
    Target {
        name: "spiffe-bundle",
        about: "a trust bundle of SPIFFE",
        run: spiffe_bundle,
        words: super::crypto::JOSE_WORDS,
    },
    Target {
        name: "api-key",
        about: "an API key",
        run: api_key,
        words: &["csk_", "_", "0000000000c0ffee", "abab"],
    },
];

/// Fragments of forms.
pub(crate) const FORM_WORDS: &[&str] = &[
    "grant_type=authorization_code",
    "client_id=portal",
    "client_secret=x",
    "code=abc",
    "redirect_uri=https%3A%2F%2Fportal.example%2Fcallback",
    "scope=openid+orders%3Aread",
    "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
    "client_assertion=",
    "Basic ",
    "&&",
    "%00",
    "%FF",
    "a=1&a=1",
];

/// Fragments of names.
pub(crate) const SUBJECT_WORDS: &[&str] = &[
    "dn:", "dns:", "uri:", "ip:", "email:", "CN=", "OU=", "1.2.3=", ",", "+", "\\", "\\2c", "#",
    "\"",
];

pub(crate) fn form(input: &[u8]) -> Verdict {
    let parsed = Form::parse(input);
    if let Ok(form) = &parsed {
        let names: Vec<&str> = form.names().collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(names.len(), unique.len(), "no parameter stands twice");
        if names.is_empty() {
            return Verdict::Refused;
        }
    }
    Verdict::of(&parsed)
}

fn headers(name: header::HeaderName, input: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_bytes(input).ok()?);
    Some(headers)
}

pub(crate) fn dpop(input: &[u8]) -> Verdict {
    let _target = std::str::from_utf8(input).map(Htu::parse);
    let Some(headers) = headers(dpop::DPOP_HEADER, input) else {
        return Verdict::Refused;
    };
    match dpop::demand(&headers, &Method::POST, "https://localhost:8443/token") {
        Ok(Conditional::Present(_)) => Verdict::Accepted,
        Ok(Conditional::Absent(_)) | Err(_) => Verdict::Refused,
    }
}

pub(crate) fn authorization_header(input: &[u8]) -> Verdict {
    let Some(headers) = headers(header::AUTHORIZATION, input) else {
        return Verdict::Refused;
    };
    let Some(rules) = rules() else {
        return Verdict::Refused;
    };
    let request = ResourceRequest {
        method: &Method::GET,
        target_uri: "https://localhost:8444/orders",
        query: None,
        headers: &headers,
        peer: Conditional::Absent(NoTls::Plaintext),
        remote: None,
    };
    match countersign_authn::demand(&request, &rules) {
        Ok(Demand::Token(demand)) => Verdict::of(&demand.key()),
        Ok(_) | Err(_) => Verdict::Refused,
    }
}

fn rules() -> Option<ResourceRules> {
    let issuer: Issuer = "https://localhost:8443".parse().ok()?;
    let trusted = TrustedIssuer {
        issuer,
        tenant: Tenant::default_tenant(),
        algorithms: vec![Algorithm::Es256],
    };
    let other = OtherIssuer::new(OtherIssuerSpec {
        name: "partner".to_owned(),
        iss: "https://login.partner.example/".to_owned(),
        audience: None,
        algorithms: Algorithm::ALL.into_iter().collect(),
        leeway: LEEWAY_DEFAULT,
        form: TokenForm::Jwt,
        believed: BTreeSet::new(),
        scopes: None,
    });
    let rules = ResourceRules::new(
        "https://orders.example".parse().ok()?,
        vec![trusted],
        Binding::Any,
        Anonymous::Refused,
    );
    Some(rules.trusting(Tenant::default_tenant(), vec![Arc::new(other.ok()?)]))
}

/// A tenant that takes everything: secrets in bodies, and workloads of a cluster and of a trust domain.
fn trust() -> ClientTrust {
    ClientTrust {
        issuers: issuers(),
        secret_in_body: SecretInBody::Allowed,
        ..ClientTrust::default()
    }
}

/// The issuers of the seeds.
fn issuers() -> Vec<ForeignIssuer> {
    let text = include_str!("foreign_issuers.json");
    serde_json::from_str(text).unwrap_or_default()
}

/// An assertion as a grant.
pub(crate) fn grant_assertion(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    Verdict::of(&assertion::demand(text, &issuers()))
}

/// The name of a client's certificates, as configuration writes it.
pub(crate) fn tls_subject(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = text.parse::<client::TlsSubject>();
    if let Ok(client::TlsSubject::Dn(name)) = &parsed {
        assert_eq!(
            name.to_string().parse(),
            Ok(name.clone()),
            "a name survives its text form"
        );
    }
    Verdict::of(&parsed)
}

/// A trust bundle of SPIFFE.
pub(crate) fn spiffe_bundle(input: &[u8]) -> Verdict {
    match bundle_keys(input) {
        Ok(set) if set.is_empty() => Verdict::Refused,
        parsed => Verdict::of(&parsed),
    }
}

/// The first line is the `Authorization` header, the rest the form.
pub(crate) fn client_authentication(input: &[u8]) -> Verdict {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = input.split_at(at);
    let Some(headers) = (if head.is_empty() {
        Some(HeaderMap::new())
    } else {
        headers(header::AUTHORIZATION, head)
    }) else {
        return Verdict::Refused;
    };
    let Ok(form) = Form::parse(body.get(1..).unwrap_or_default()) else {
        return Verdict::Refused;
    };
    let request = client::ClientRequest::without_certificate(&headers, &form);
    Verdict::of(&client::demand(&request, &trust()))
}

/// Members of both responses, and what a registration has in base64url.
pub(crate) const PASSKEY_WORDS: &[&str] = &[
    "clientDataJSON",
    "attestationObject",
    "authenticatorData",
    "signature",
    "userHandle",
    "public-key",
    "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YV",
];

fn party() -> Option<webauthn::RelyingParty> {
    let issuer = "https://id.example".parse().ok()?;
    webauthn::RelyingParty::of(&issuer)
}

/// A response to the creation of a passkey, judged to its end: nothing of it is signed.
pub(crate) fn passkey_registration(input: &[u8]) -> Verdict {
    let (Ok(text), Some(party)) = (std::str::from_utf8(input), party()) else {
        return Verdict::Refused;
    };
    let challenge = webauthn::Challenge::new([3; 32]);
    let judged = webauthn::RegistrationResponse::parse(text)
        .and_then(|response| response.verify(&party, &challenge));
    Verdict::of(&judged)
}

/// A response of a passkey, as far as its signature, which is judged by the key that a seed registers.
pub(crate) fn passkey_assertion(input: &[u8]) -> Verdict {
    let (Ok(text), Some(party)) = (std::str::from_utf8(input), party()) else {
        return Verdict::Refused;
    };
    let Ok(response) = webauthn::AssertionResponse::parse(text) else {
        return Verdict::Refused;
    };
    let challenge = webauthn::Challenge::new([3; 32]);
    let known = webauthn::RegistrationResponse::parse(KNOWN_PASSKEY)
        .and_then(|registered| registered.verify(&party, &challenge));
    if let Ok((credential, _)) = known {
        let judged = response.verify(&party, &challenge, &credential, b"alice");
        assert!(judged.is_err(), "nothing here signs");
    }
    Verdict::of(&response.claimed_challenge())
}

const KNOWN_PASSKEY: &str = include_str!("../../corpus/passkey-registration/es256");

/// An API key: one that is taken has one form.
pub(crate) fn api_key(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let id = countersign_authn::api_key::id_of(text).ok_or(());
    if let Ok(id) = &id {
        assert!(
            text.starts_with(&format!("csk_{id}_")),
            "a key tells its own id"
        );
    }
    Verdict::of(&id)
}
