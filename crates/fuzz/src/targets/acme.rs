//! Requests for certificates: as somebody with a token sends one (PKCS#10), and as clients of ACME send messages (RFC 8555).

#![expect(
    clippy::panic,
    reason = "a target panics when what must hold does not: the driver counts it"
)]

use super::memory::{Answered, Memory};
use super::requests::pkcs8;
use crate::{Target, Verdict};
use countersign_base::Secret;
use countersign_crypto::base64;
use countersign_crypto::base64url;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::keypair::{EcdsaForm, KeyPair, KeyPairAlgorithm, SignatureScheme, Signed};
use countersign_crypto::x509::{PeerCertificate, SigningRequest};
use countersign_vault::answer::{Form, Raw};
use countersign_vault::{Operation, VaultError};
use serde_json::{Map, Value as Json, json};
use std::sync::OnceLock;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "signing-request",
        about: "a request for a certificate (PKCS#10), and what a role issues for it",
        run: signing_request,
        words: &["example.test", "*.", "a.example.test", "\u{82}", "\u{7}"],
    },
    Target {
        name: "acme-message",
        about: "a message of an ACME client (RFC 8555)",
        run: acme,
        words: WORDS,
    },
];

/// Pieces of messages.
pub(crate) const WORDS: &[&str] = &[
    "new-account",
    "new-order",
    "account/ACCOUNT",
    "order/ORDER",
    "order/ORDER/finalize",
    "order/ORDER/cert",
    "authorization/AUTHORIZATION",
    "challenge/AUTHORIZATION/http-01",
    "revoke-cert",
    "\"nonce\":",
    "\"alg\":\"none\"",
    "\"alg\":\"HS256\"",
    "\"jwk\":{}",
    "\"jwk\":\"JWK\"",
    "\"kid\":null",
    "\"url\":",
    "\"crit\":[\"b64\"]",
    "\"externalAccountBinding\":{}",
    "\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.test\"}]",
    "\"type\":\"ip\"",
    "\"csr\":\"CSR\"",
    "\"status\":\"deactivated\"",
    "\"contact\":[\"mailto:a@example.test\"]",
];

/// Where the mount is, from outside.
const BASE: &str = "https://vault.test/v1/pki/acme";
/// The one name of the order.
const NAME: &str = "a.example.test";
/// A request for it, as the key of the seeds signs it.
const CSR: &[u8] = include_bytes!("../../corpus/signing-request/order.der");

/// A mount with an account, and an order whose proof held.
#[derive(Clone)]
struct Known {
    memory: Memory,
    /// The mount before the account came: whoever has one is told so, whatever else a message says.
    before: Memory,
    account: String,
    order: String,
    authorization: String,
}

fn key() -> Option<KeyPair> {
    KeyPair::from_der(KeyPairAlgorithm::EcdsaP256, &Secret::new(pkcs8()?)).ok()
}

fn signed(key: &KeyPair, message: &[u8], form: EcdsaForm) -> Option<Vec<u8>> {
    let hash = HashAlgorithm::Sha2_256;
    let scheme = SignatureScheme::Ecdsa { hash, form };
    key.sign(scheme, Signed::Message(message)).ok()
}

fn jwk(key: &KeyPair) -> Option<Json> {
    let public = key.public_key().ok()?;
    let (_, point) = public.spki().split_last_chunk::<64>()?;
    let (x, y) = point.split_at(32);
    Some(json!({"crv": "P-256", "kty": "EC", "x": base64url::encode(x), "y": base64url::encode(y)}))
}

/// The flattened JWS of a message.
fn message(key: &KeyPair, header: &Json, payload: &str) -> Option<String> {
    let protected = base64url::encode(header.to_string().as_bytes());
    let payload = base64url::encode(payload.as_bytes());
    let text = format!("{protected}.{payload}");
    let signature = base64url::encode(&signed(key, text.as_bytes(), EcdsaForm::Fixed)?);
    Some(json!({"protected": protected, "payload": payload, "signature": signature}).to_string())
}

fn raw(answered: Result<Answered, VaultError>) -> Result<Raw, VaultError> {
    match answered?.answer.form {
        Form::Raw(raw) => Ok(*raw),
        form => panic!("an answer of ACME has a form of its own: {form:?}"),
    }
}

fn header<'r>(raw: &'r Raw, name: &str) -> Option<&'r str> {
    let found = raw.headers.iter().find(|(header, _)| *header == name)?;
    Some(found.1.as_str())
}

fn fresh(memory: &mut Memory) -> Option<String> {
    let path = "pki/acme/new-nonce";
    let answer = raw(memory.call(Operation::Read, path, b"", None)).ok()?;
    header(&answer, "replay-nonce").map(str::to_owned)
}

fn post(memory: &mut Memory, rest: &str, body: &str) -> Result<Raw, VaultError> {
    let path = format!("pki/acme/{rest}");
    raw(memory.call(Operation::Update, &path, body.as_bytes(), None))
}

fn known() -> Option<&'static Known> {
    static KNOWN: OnceLock<Option<Known>> = OnceLock::new();
    KNOWN.get_or_init(prepare).as_ref()
}

/// A mount with an authority and the role `web`, for names below `example.test`.
fn mounted() -> Memory {
    let mut memory = Memory::new();
    for (path, body) in [
        ("sys/mounts/pki", r#"{"type":"pki"}"#),
        (
            "pki/root/generate/internal",
            r#"{"common_name":"Root","key_type":"ec"}"#,
        ),
        (
            "pki/roles/web",
            r#"{"allowed_domains":"example.test","allow_subdomains":true,"key_type":"ec","require_cn":false}"#,
        ),
        (
            "pki/config/cluster",
            r#"{"path":"https://vault.test/v1/pki"}"#,
        ),
        (
            "pki/config/acme",
            r#"{"enabled":true,"allowed_roles":"web","default_directory_policy":"role:web","eab_policy":"not-required"}"#,
        ),
    ] {
        memory.prepare(Operation::Update, path, body);
    }
    memory
}

fn prepare() -> Option<Known> {
    let mut memory = mounted();
    let before = memory.clone();
    let key = key()?;
    let send = |memory: &mut Memory, rest: &str, who: (&str, Json), payload: &str| {
        let mut header =
            json!({"alg": "ES256", "nonce": fresh(memory)?, "url": format!("{BASE}/{rest}")});
        header.as_object_mut()?.insert(who.0.to_owned(), who.1);
        post(memory, rest, &message(&key, &header, payload)?).ok()
    };
    let last = |text: &str| text.rsplit('/').next().map(str::to_owned);
    let who = ("jwk", jwk(&key)?);
    let account = send(&mut memory, "new-account", who, "{}")?;
    let kid = header(&account, "location")?.to_owned();
    let who = || ("kid", Json::from(kid.as_str()));
    let identifiers = json!({"identifiers": [{"type": "dns", "value": NAME}]}).to_string();
    let order = send(&mut memory, "new-order", who(), &identifiers)?;
    let shown: Json = serde_json::from_slice(&order.body).ok()?;
    let authorization = last(shown.pointer("/authorizations/0")?.as_str()?)?;
    let challenge = format!("challenge/{authorization}/http-01");
    send(&mut memory, &challenge, who(), "{}")?;
    Some(Known {
        memory,
        before,
        account: last(&kid)?,
        order: last(header(&order, "location")?)?,
        authorization,
    })
}

/// Either a flattened JWS as it stands, or what becomes one under the key of the account: a path, a newline, members of the header that are other than usual, a newline,
/// and the payload. `ACCOUNT`, `ORDER`, `AUTHORIZATION`, `NONCE`, `CSR`, and in the
/// header `"JWK"`, stand for what the mount and the account know.
pub(crate) fn acme(input: &[u8]) -> Verdict {
    let (Ok(text), Some(known), Some(key)) = (std::str::from_utf8(input), known(), key()) else {
        return Verdict::Refused;
    };
    let mut memory = if text.starts_with("new-account") {
        known.before.clone()
    } else {
        known.memory.clone()
    };
    let Some(nonce) = fresh(&mut memory) else {
        return Verdict::Refused;
    };
    let text = text
        .replace("ACCOUNT", &known.account)
        .replace("ORDER", &known.order)
        .replace("AUTHORIZATION", &known.authorization)
        .replace("NONCE", &nonce)
        .replace("CSR", &base64url::encode(CSR));
    let (rest, body) = if text.starts_with('{') {
        ("new-account".to_owned(), text)
    } else {
        let mut parts = text.splitn(3, '\n');
        let (Some(rest), Some(changed), Some(payload)) = (parts.next(), parts.next(), parts.next())
        else {
            return Verdict::Refused;
        };
        let Some(header) = bent(known, rest, &nonce, changed) else {
            return Verdict::Refused;
        };
        let Some(body) = message(&key, &header, payload) else {
            return Verdict::Refused;
        };
        (rest.to_owned(), body)
    };
    let Ok(answer) = post(&mut memory, &rest, &body) else {
        return Verdict::Refused;
    };
    assert!(
        header(&answer, "replay-nonce").is_some(),
        "every answer has a fresh nonce"
    );
    assert!(
        answer.status < 500,
        "what a message asks is its sender's to put right"
    );
    if answer.status >= 400 {
        return Verdict::Refused;
    }
    let again = post(&mut memory, &rest, &body).map(|answer| answer.status);
    assert!(
        again.is_err() || again == Ok(400),
        "a message is taken once"
    );
    if rest.ends_with("/finalize") {
        let cert = format!("order/{}/cert", known.order);
        let nonce = fresh(&mut memory).unwrap_or_default();
        let chain = bent(known, &cert, &nonce, "{}")
            .and_then(|header| message(&key, &header, ""))
            .and_then(|body| post(&mut memory, &cert, &body).ok())
            .map(|answer| answer.body);
        let chain = PeerCertificate::from_pem(&chain.unwrap_or_default()).unwrap_or_default();
        let names = chain.first().map(PeerCertificate::dns_sans);
        assert_eq!(
            names,
            Some([NAME.to_owned()].as_slice()),
            "the names of the order, all of them and no other"
        );
    }
    Verdict::Accepted
}

/// The usual header with other members.
fn bent(known: &Known, rest: &str, nonce: &str, changed: &str) -> Option<Json> {
    let changed: Map<String, Json> = serde_json::from_str(changed).ok()?;
    let kid = format!("{BASE}/account/{}", known.account);
    let url = format!("{BASE}/{rest}");
    let mut header = json!({"alg": "ES256", "kid": kid, "nonce": nonce, "url": url});
    let members = header.as_object_mut()?;
    for (name, value) in changed {
        match value {
            Json::Null => drop(members.remove(&name)),
            Json::String(own) if own == "JWK" => drop(members.insert(name, jwk(&key()?)?)),
            value => drop(members.insert(name, value)),
        }
    }
    Some(header)
}

/// A request in DER, or what of one is signed (`CertificationRequestInfo`, RFC 2986 §4.1), which is signed here with the key of the seeds. What a role issues for it
/// has only names that the role allows, and is nobody's authority.
pub(crate) fn signing_request(input: &[u8]) -> Verdict {
    let whole = match SigningRequest::from_der(input) {
        Ok(_) => Some(input.to_vec()),
        Err(_) => wrapped(input).filter(|der| SigningRequest::from_der(der).is_ok()),
    };
    let (Some(der), Some(known)) = (whole, known()) else {
        return Verdict::Refused;
    };
    let pem = format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
        base64::encode(&der)
    );
    let body = json!({ "csr": pem }).to_string();
    let mut memory = known.memory.clone();
    let signed = memory.call(Operation::Update, "pki/sign/web", body.as_bytes(), None);
    if let Ok(answered) = signed {
        let data = answered.answer.data.unwrap_or_default();
        let pem = data.get("certificate").and_then(Json::as_str);
        let issued = PeerCertificate::from_pem(pem.unwrap_or_default().as_bytes());
        let issued = issued.ok().and_then(|all| all.into_iter().next());
        let Some(issued) = issued else {
            panic!("what was issued is no certificate");
        };
        assert!(!issued.is_authority(), "nobody becomes an authority");
        let names = issued.alternative_names();
        assert!(
            names.ips.is_empty() && names.uris.is_empty() && names.emails.is_empty(),
            "kinds of names that the role does not allow"
        );
        for name in names.dns.iter().map(String::as_str).chain(
            issued
                .subject()
                .into_iter()
                .flat_map(|subject| subject.values("CN")),
        ) {
            assert!(
                name.ends_with(".example.test") && !name.contains('\0'),
                "a name that the role does not allow"
            );
        }
    }
    Verdict::Accepted
}

/// `SEQUENCE { info, ecdsa-with-SHA256, BIT STRING }`.
fn wrapped(info: &[u8]) -> Option<Vec<u8>> {
    const ECDSA_WITH_SHA256: &[u8] = &[
        0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
    ];
    let signature = signed(&key()?, info, EcdsaForm::Asn1)?;
    let bits = element(0x03, &[&[0], signature.as_slice()].concat())?;
    element(0x30, &[info, ECDSA_WITH_SHA256, &bits].concat())
}

fn element(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?.to_be_bytes();
    Some([&[tag, 0x82], length.as_slice(), content].concat())
}
