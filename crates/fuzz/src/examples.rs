//! Valid inputs for every target, made by the product's own writers: `--write-seeds` adds those whose files are missing.
//!
//! Keys are fresh each time and guard nothing, so a seed that is replaced differs in its signature only.

use crate::targets::{keys, message, oauth, requests as signed, webhook};
use countersign_audit::event::Started;
use countersign_audit::journal::{FrameBuffer, Position};
use countersign_audit::proof::Receipt;
use countersign_audit::tile::append_entry;
use countersign_audit::{Checkpoint, Event, Hash, NoteSigner, Record, Text};
use countersign_base::{Duration, EventId, Kid, RequestId, Secret, Tenant, UnixMillis, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, ContentEncryption, KeyManagement, encrypt_jwt, sign_jwt,
};
use countersign_crypto::puncturable::PuncturableKey;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{
    AccessToken, ClientAssertion, DpopProof, LogCheckpoint, Purpose, SigningKey, generate_pkcs8,
};
use countersign_crypto::x509::{CertificateAuthority, CertificateRequest, CertificateUsage};
use countersign_keys::seal::{self, AutoSource, SealPlan, SealRow};
use countersign_keys::shamir::ShareRule;
use countersign_keys::stream::StreamSealer;
use serde_json::json;

/// Why no example could be made.
pub type Failed = Box<dyn std::error::Error>;

/// A target's name, a file name, and the bytes.
pub type Example = (&'static str, &'static str, Vec<u8>);

fn key<P: Purpose>(algorithm: Algorithm) -> Result<SigningKey<P>, Failed> {
    let kid: Kid = "fuzz-1".parse()?;
    Ok(SigningKey::from_pkcs8(
        algorithm,
        kid,
        &generate_pkcs8(algorithm)?,
    )?)
}

/// JSON of every kind.
const STRICT_JSON: &str = r#"{"a":[1,-0.5e3,"x\u00e9",true,null],"b":{"c":{}}}"#;
/// A small OpenAPI document.
const OPENAPI: &str = r##"{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a/{b}":{"get":{"responses":{"200":{"description":"","content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"}}}}}}}},"components":{"schemas":{"A":{"type":"object","required":["a"],"properties":{"a":{"type":"string","pattern":"^a+$","readOnly":true}}}}}}"##;

/// The dictionary of a service.
const DICTIONARY: &str = r#"{"service":"billing","fields":[{"table":"cards","column":"pan","classification":"restricted","key_scope":"tenant","purposes":["chargeback"],"mask":"last4","blind_index":{"bits":14,"rows_min":32768,"rows_max":268435455}}]}"#;

/// A policy of the vault.
const VAULT_POLICY: &str = "path \"secret/data/app/*\" {\n  capabilities = [\"create\", \"read\"] # of the app\n}\npath \"secret/+/x\" { policy = \"deny\" }\n";

/// Every example.
///
/// # Errors
/// When a writer refuses.
pub fn all() -> Result<Vec<Example>, Failed> {
    let mut all = texts();
    all.extend(requests());
    all.extend(jose()?);
    all.extend(request_objects()?);
    all.extend(message::examples()?);
    all.extend(webhook::examples()?);
    all.extend(log()?);
    all.extend(binary()?);
    all.extend(seals()?);
    let random = Random::from_fn(|buffer| buffer.fill(7));
    let epochs = PuncturableKey::generate(&random).to_bytes().to_vec();
    all.push(("puncturable-key", "seed", epochs));
    Ok(all)
}

#[expect(clippy::too_many_lines, reason = "a list, an example a line")]
fn texts() -> Vec<Example> {
    let text = |target, name, value: &str| (target, name, value.as_bytes().to_vec());
    vec![
        text("vocabulary", "audience", "https://orders.example"),
        text(
            "vocabulary",
            "identifier",
            "0123456789abcdef0123456789abcdef",
        ),
        text("vocabulary", "name", "portal"),
        text("vocabulary", "scopes", "openid orders:read orders:write"),
        text("base64url", "seed", "SGVsbG8"),
        text(
            "password-hash",
            "seed",
            "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$qPLPzIDG5ePC1I1OPEUqhB5mDcsVRRnQ1BHdjp0OQzM",
        ),
        text("data-dictionary", "seed", DICTIONARY),
        text(
            "password-hash",
            "bcrypt",
            "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ),
        text(
            "password-hash",
            "django",
            "pbkdf2_sha256$10000$seasalt$p2Nf8SH5q1HFJUvFvVd4Nj71pVA5fI7cpL2WDbb86bc=",
        ),
        text(
            "password-hash",
            "pbkdf2",
            "$pbkdf2-sha256$i=1,l=64$c2FsdA$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw",
        ),
        text("tile-path", "entries", "tile/entries/x001/x234/067"),
        text("tile-path", "full", "tile/0/000"),
        text("tile-path", "partial", "tile/1/x001/234.p/17"),
        text(
            "form",
            "authorize",
            "response_type=code&client_id=portal&state=a%20b&scope=openid+orders%3Aread&code_challenge_method=S256",
        ),
        text(
            "form",
            "token",
            "grant_type=authorization_code&code=abc&redirect_uri=https%3A%2F%2Fportal.example%2Fcallback",
        ),
        text(
            "client-authentication",
            "basic",
            "Basic cG9ydGFsOnNlY3JldA==\ngrant_type=client_credentials",
        ),
        text(
            "client-authentication",
            "public",
            "\ngrant_type=authorization_code&client_id=phone",
        ),
        text(
            "client-authentication",
            "posted-secret",
            "\ngrant_type=client_credentials&client_id=portal&client_secret=x",
        ),
        text("tls-subject", "dn", "dn:CN=billing,O=Example\\, Ltd,C=DE"),
        text("tls-subject", "ip", "ip:192.0.2.1"),
        text("tls-subject", "uri", "uri:spiffe://example.org/billing"),
        text(
            "redirect-uri",
            "https",
            "https://portal.example/callback?x=1",
        ),
        text("redirect-uri", "loopback", "http://127.0.0.1/callback"),
        text("redirect-uri", "native", "com.example.phone:/callback"),
        text(
            "pkce",
            "rfc7636-appendix-b",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        text(
            "request-uri",
            "seed",
            "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list, an example a line")]
fn requests() -> Vec<Example> {
    let text = |target, name, value: &str| (target, name, value.as_bytes().to_vec());
    vec![
        text(
            "token-request",
            "authorization-code",
            "grant_type=authorization_code&code=6esc_11ACC5bwc014ltc14eY22c&redirect_uri=https%3A%2F%2Fportal.example%2Fcallback&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        text(
            "token-request",
            "client-credentials",
            "grant_type=client_credentials&scope=orders%3Aread&resource=https%3A%2F%2Forders.example",
        ),
        text(
            "token-request",
            "jwt-bearer",
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c&resource=https%3A%2F%2Forders.example",
        ),
        text(
            "token-request",
            "refresh-token",
            "grant_type=refresh_token&refresh_token=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ),
        text(
            "token-request",
            "token-exchange",
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&resource=https%3A%2F%2Forders.example",
        ),
        text(
            "token-request",
            "identity-assertion",
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid-jag&audience=https%3A%2F%2Fid.partner.example&scope=chat.read",
        ),
        text(
            "token-request",
            "transaction-token",
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Atxn_token&audience=https%3A%2F%2Fshop.internal&scope=orders%3Aread&request_details=eyJvcmRlciI6NDcxMX0",
        ),
        text(
            "authorization-request",
            "seed",
            "response_type=code&client_id=portal&redirect_uri=https%3A%2F%2Fportal.example%2Fcallback&scope=openid+orders%3Aread&resource=https%3A%2F%2Forders.example&state=s&nonce=n&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
        ),
        text(
            "token-request",
            "device-code",
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=tv&device_code=6esc_11ACC5bwc014ltc14eY22c",
        ),
        text(
            "token-request",
            "ciba",
            "grant_type=urn%3Aopenid%3Aparams%3Agrant-type%3Aciba&auth_req_id=6esc_11ACC5bwc014ltc14eY22c",
        ),
        text("user-code", "shown", "WDJB-MJHT"),
        text("user-code", "typed", "wdjb mjht"),
        text(
            "backchannel-request",
            "login-hint",
            "scope=openid+orders%3Aread&login_hint=alice&binding_message=W4-SCT&requested_expiry=120&resource=https%3A%2F%2Forders.example",
        ),
        text(
            "backchannel-request",
            "id-token-hint",
            "scope=openid&id_token_hint=a.b.c&binding_message=%E7%A2%BA%E8%AA%8D",
        ),
        text(
            "authorization-details",
            "seed",
            r#"[{"type":"payment_initiation","actions":["initiate","status"],"locations":["https://billing.example"],"instructedAmount":{"currency":"EUR","amount":"123.50"}},{"type":"account","identifier":"AT-7"}]"#,
        ),
        text(
            "claims-parameter",
            "seed",
            r#"{"userinfo":{"email":{"essential":true},"given_name":null},"id_token":{"auth_time":{"essential":true},"acr":{"values":["urn:mace:incommon:iap:silver"]},"sub":{"value":"248289761001"}}}"#,
        ),
        text("strict-json", "seed", STRICT_JSON),
        text("vault-path", "seed", "secret/data/app%20one/x"),
        text("vault-policy", "hcl", VAULT_POLICY),
        text(
            "vault-policy",
            "json",
            r#"{"path": {"sys/mounts": {"capabilities": ["read", "sudo"]}}}"#,
        ),
        text("openapi-document", "seed", OPENAPI),
        text("canonical-path", "seed", "/orders/4711/items"),
        text("canonical-path", "escaped", "/orders/%7Ea/caf%C3%A9"),
        text(
            "configuration",
            "listeners",
            "[listeners]\nidentity = \"127.0.0.1:8443\"\n",
        ),
        text(
            "configuration",
            "route",
            "[[upstreams]]\nname = \"orders\"\nurl = \"https://localhost:9000\"\n\n[[routes]]\nname = \"orders\"\npath = \"/orders/{id}\"\nupstream = \"orders\"\naudience = \"https://orders.example\"\nresource = \"order\"\nactions.GET = { action = \"read\", scope = \"orders:read\" }\n",
        ),
        text(
            "policy",
            "seed",
            "@id(\"everything\")\npermit (principal, action, resource);\n",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list, an example a line")]
fn jose() -> Result<Vec<Example>, Failed> {
    let access: SigningKey<AccessToken> = key(Algorithm::Es256)?;
    let proof: SigningKey<DpopProof> = key(Algorithm::Es256)?;
    let claims = json!({
        "iss": "https://localhost:8443", "sub": "portal", "aud": "https://orders.example", "exp": 1_900_000_000, "iat": 1_800_000_000,
        "jti": "one", "client_id": "portal", "scope": "orders:read", "cnf": {"jkt": proof.public_jwk().thumbprint().to_string()},
    });
    let token = sign_jwt(&access, &claims)?;
    let proof_claims = json!({"jti": "two", "htm": "POST", "htu": "https://localhost:8443/token", "iat": 1_800_000_000});
    let client: SigningKey<ClientAssertion> = key(Algorithm::EdDsa)?;
    let assertion = sign_jwt(
        &client,
        &json!({"iss": "robot", "sub": "robot", "aud": "https://localhost:8443", "exp": 1_900_000_000, "jti": "three"}),
    )?;
    let assertion_form = format!(
        "\ngrant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    );
    let grant: SigningKey<ClientAssertion> = key(Algorithm::Es256)?;
    let service_account = sign_jwt(
        &grant,
        &json!({"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:batch:nightly", "aud": ["https://localhost:8443"], "exp": 1_900_000_000}),
    )?;
    let assertion_type =
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    let granted = sign_jwt(
        &grant,
        &json!({"iss": "https://idp.partner.example", "sub": "u-1", "aud": "https://localhost:8443", "exp": 1_900_000_000, "jti": "four"}),
    )?;
    let mut bundle_key = grant
        .public_jwk()
        .to_published_json(grant.kid(), Algorithm::Es256);
    if let Some(members) = bundle_key.as_object_mut() {
        members.insert("use".to_owned(), "jwt-svid".into());
    }
    let mut all = vec![
        (
            "client-authentication",
            "service-account",
            format!("\n{assertion_type}&client_assertion={service_account}").into_bytes(),
        ),
        ("grant-assertion", "seed", granted.into_bytes()),
        (
            "spiffe-bundle",
            "seed",
            json!({"spiffe_sequence": 1, "keys": [bundle_key]})
                .to_string()
                .into_bytes(),
        ),
        (
            "authorization-header",
            "bearer",
            format!("Bearer {token}").into_bytes(),
        ),
        (
            "authorization-header",
            "dpop",
            format!("DPoP {token}").into_bytes(),
        ),
        (
            "client-authentication",
            "assertion",
            assertion_form.into_bytes(),
        ),
        (
            "dpop",
            "seed",
            sign_jwt(&proof, &proof_claims)?.into_bytes(),
        ),
        ("jws", "access-token", token.into_bytes()),
    ];
    let mut set = Vec::new();
    for (algorithm, name) in [
        (Algorithm::EdDsa, "ed25519"),
        (Algorithm::Es256, "p256"),
        (Algorithm::Rs256, "rsa"),
    ] {
        let signing: SigningKey<AccessToken> = key(algorithm)?;
        all.push((
            "jwk",
            name,
            signing.public_jwk().to_json().to_string().into_bytes(),
        ));
        set.push(
            signing
                .public_jwk()
                .to_published_json(signing.kid(), algorithm),
        );
    }
    all.push((
        "jwk-set",
        "seed",
        json!({"keys": set}).to_string().into_bytes(),
    ));
    Ok(all)
}

fn request_objects() -> Result<Vec<Example>, Failed> {
    let now = signed::NOW.0;
    let claims = json!({
        "iss": "portal", "aud": signed::ISSUER, "nbf": now, "exp": now + 300, "client_id": "portal", "response_type": "code",
        "redirect_uri": "https://portal.example/callback", "scope": "openid", "state": "s", "max_age": 60,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256",
    });
    let key = signed::signing_key().ok_or("the key of the seeds")?;
    let object = sign_jwt(&key, &claims)?;
    let recipient = signed::decryption_key().ok_or("the key of the seeds")?;
    let encrypted = |management, content| {
        let object = Secret::new(object.clone());
        encrypt_jwt(
            &object,
            recipient.public(),
            management,
            content,
            &Random::system(),
        )
    };
    let agreed = encrypted(KeyManagement::EcdhEs, ContentEncryption::A128Gcm)?;
    let wrapped = encrypted(KeyManagement::EcdhEsA256Kw, ContentEncryption::A128CbcHs256)?;
    Ok(vec![
        ("jwe", "ecdh-es", agreed.into_bytes()),
        ("jwe", "ecdh-es-a256kw", wrapped.clone().into_bytes()),
        ("request-object", "signed", object.into_bytes()),
        ("request-object", "encrypted", wrapped.into_bytes()),
    ])
}

fn record() -> Record {
    Record {
        id: EventId::from_bytes([1; 16]),
        time: UnixMillis(1_800_000_000_000),
        tenant: Tenant::default_tenant(),
        request: Some(RequestId::from_bytes([2; 16])),
        event: Event::Started(Started {
            configuration: None,
            version: Text::of("0.1.0"),
        }),
    }
}

fn log() -> Result<Vec<Example>, Failed> {
    let signer = NoteSigner::new(
        "audit.example/log".parse()?,
        key::<LogCheckpoint>(Algorithm::EdDsa)?,
    )?;
    let leaf = record().encode();
    let root = Hash::of_leaf(leaf.as_bytes());
    let checkpoint = Checkpoint {
        origin: "audit.example/log".parse()?,
        size: 1,
        root,
    }
    .sign(&signer)?;
    let receipt = Receipt {
        index: 0,
        hashes: vec![root],
        checkpoint: checkpoint.clone(),
    }
    .to_text();
    let mut frame = FrameBuffer::with_capacity(1024);
    frame.push(leaf.as_bytes());
    let (first, after) = frame.seal(Position::START);
    let mut segment = first.to_vec();
    frame.clear();
    frame.push(leaf.as_bytes());
    frame.push(b"{}");
    segment.extend_from_slice(frame.seal(after).0);
    let mut bundle = vec![1];
    append_entry(&mut bundle, leaf.as_bytes())?;
    append_entry(&mut bundle, b"second")?;
    Ok(vec![
        ("record", "started", leaf.into_bytes()),
        (
            "verifier-key",
            "seed",
            format!("{}\n", signer.verifier()).into_bytes(),
        ),
        ("note", "checkpoint", checkpoint.into_bytes()),
        ("receipt", "seed", receipt.into_bytes()),
        ("journal", "two-frames", segment),
        ("entry-bundle", "two-entries", bundle),
    ])
}

fn binary() -> Result<Vec<Example>, Failed> {
    let random = Random::system();
    let now = UnixTime(1_800_000_000);
    let authority = CertificateAuthority::generate("fuzz", &random, now)?;
    let request = CertificateRequest {
        dns: vec!["localhost".to_owned()],
        ips: vec![std::net::Ipv4Addr::LOCALHOST.into()],
        uris: vec!["spiffe://example/billing".to_owned()],
        usage: CertificateUsage::Both,
        lifetime: Duration::from_secs(86_400),
    };
    let issued = authority.issue(&request, now)?;
    let certificate = issued.chain_der.first().cloned().unwrap_or_default();
    let sealed = countersign_keys::envelope::seal(
        &keys::keys(),
        &keys::place(),
        b"a sealed field",
        &random,
    )?;
    let (family, generation) = (7_u64.to_be_bytes(), 1_u32.to_be_bytes());
    let tag = oauth::refresh_key().tag(oauth::REFRESH_DOMAIN, &[&family, &generation]);
    let token = base64url::encode(&[&family[..], &generation, tag.as_bytes()].concat());
    Ok(vec![
        ("certificate", "spiffe", certificate),
        ("sealed-field", "seed", serde_json::to_vec(&sealed)?),
        ("envelope", "seed", sealed.into_bytes()),
        ("refresh-token", "seed", token.into_bytes()),
    ])
}

fn seals() -> Result<Vec<Example>, Failed> {
    let random = Random::system();
    let (sealer, header) = StreamSealer::new(&keys::keys(), &keys::place(), &random)?;
    let (sealer, chunks) = sealer.push(keys::BODY)?;
    let stream = [header.as_bytes().as_slice(), &chunks, &sealer.finish()?].concat();
    let rule = ShareRule::new(3, 2)?;
    let shamir = seal::initialize(SealPlan::Shamir(rule), &keys::keys(), &random)?;
    let auto = SealPlan::Auto {
        source: AutoSource::File,
        key: keys::unseal_key(),
        recovery: Some(rule),
    };
    let auto = seal::initialize(auto, &keys::keys(), &random)?;
    let share = shamir.shares.first().ok_or("three shares were made")?;
    let json = |row: &SealRow| serde_json::to_vec(row);
    Ok(vec![
        ("stream", "seed", stream),
        ("share", "hex", share.to_hex().expose().as_bytes().to_vec()),
        (
            "share",
            "base64",
            share.to_base64().expose().as_bytes().to_vec(),
        ),
        ("seal-row", "shamir", json(&shamir.row)?),
        ("seal-row", "auto", json(&auto.row)?),
        (
            "seal-nonce",
            "seed",
            b"01234567-89ab-4cde-8f01-23456789abcd".to_vec(),
        ),
    ])
}
