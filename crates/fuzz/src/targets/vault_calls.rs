//! What the engines of the vault read out of bodies: roles, statements, claims, fields of certificates, durations; and whole calls one after the other.

#![expect(
    clippy::panic,
    reason = "a target panics when what must hold does not: the driver counts it"
)]

use super::memory::{Memory, NOW};
use crate::{Target, Verdict};
use countersign_base::Kid;
use countersign_base::Secret;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{IdToken, SigningKey};
use countersign_crypto::x509::{PeerCertificate, certificate_pem};
use countersign_vault::{Body, Operation, VaultError, duration};
use serde_json::{Value as Json, json};
use std::sync::OnceLock;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "vault-duration",
        about: "a duration in the body of a vault request",
        run: span,
        words: DURATION_WORDS,
    },
    Target {
        name: "vault-body",
        about: "the body of a vault request, read weakly",
        run: body,
        words: BODY_WORDS,
    },
    Target {
        name: "database-statements",
        about: "statements for a database, and a name that gets into them",
        run: statements,
        words: STATEMENT_WORDS,
    },
    Target {
        name: "jwt-role",
        about: "a role of the vault for tokens, and the claims of one",
        run: claims,
        words: CLAIM_WORDS,
    },
    Target {
        name: "certificate-role",
        about: "a role of the vault for certificates, and the fields of one",
        run: certificate,
        words: CERTIFICATE_WORDS,
    },
    Target {
        name: "vault-calls",
        about: "calls of the vault one after the other",
        run: calls,
        words: CALL_WORDS,
    },
];

/// Pieces of durations.
pub(crate) const DURATION_WORDS: &[&str] = &["s", "m", "h", "d", "1h30m", "\"", "-1", "1e3", "."];
/// Pieces of bodies.
pub(crate) const BODY_WORDS: &[&str] = &[
    "\"ttl\":",
    "\"1h30m\"",
    "\"a,b\"",
    "null",
    "[\"a\"]",
    "{\"a\":\"b\"}",
    "4294967296",
    "\"true\"",
];
/// Pieces of statements and of names that get into them.
pub(crate) const STATEMENT_WORDS: &[&str] = &[
    "{{name}}",
    "{{password}}",
    "{{expiration}}",
    "\"",
    "''",
    "'",
    ";",
    "--",
    "/*",
    "*/",
    "$$",
    "$a$",
    "E'",
    "U&\"",
    "\\",
    "CREATE ROLE ",
    "\n",
];
/// Pieces of roles and claims.
pub(crate) const CLAIM_WORDS: &[&str] = &[
    "\"bound_audiences\":",
    "\"bound_claims\":",
    "\"bound_claims_type\":\"glob\"",
    "\"bound_subject\":",
    "\"claim_mappings\":",
    "\"user_claim\":",
    "\"aud\":",
    "\"sub\":",
    "\"exp\":",
    "\"/a/b\"",
    "\"*\"",
    "~1",
    "-1",
];
/// Pieces of roles of certificates.
pub(crate) const CERTIFICATE_WORDS: &[&str] = &[
    "\"allowed_names\":",
    "\"allowed_uri_sans\":",
    "\"required_extensions\":",
    "hex:2.5.29.17:",
    "2.5.29.17:",
    "*",
    "\"certificate\":\"PEM\"",
];
/// Pieces of whole calls.
pub(crate) const CALL_WORDS: &[&str] = &[
    "\nwrite ",
    "\nread ",
    "\nlist ",
    "\ndelete ",
    "\npatch ",
    "secret/data/",
    "secret/metadata/",
    "transit/keys/",
    "transit/encrypt/",
    "auth/token/create",
    "auth/approle/role/",
    "sys/policies/acl/",
    "sys/mounts/",
    "pki/roles/",
    "database/roles/",
    "cubbyhole/",
    "{\"data\":{}}",
    "\"options\":{\"cas\":0}",
    "\"batch_input\":[",
    "\"ttl\":\"1h\"",
];

/// Where the keys of the issuer are.
const KEYS: &str = "https://issuer.example/keys";
/// The most calls of one input.
const CALLS_MAX: usize = 8;

fn lines(input: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(input).ok()?.split_once('\n')
}

pub(crate) fn span(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let read = duration::of_text(text);
    if let Some(span) = read {
        let again = duration::of_text(&format!("{}s", span.as_secs()));
        assert_eq!(again, Some(span), "seconds are the same duration");
        assert!(
            !text.contains(['-', '.']),
            "no duration is negative or broken"
        );
        let quoted = duration::of_json(&Json::String(text.to_owned()));
        assert_eq!(quoted, read, "in JSON it is the same");
    }
    read.map_or(Verdict::Refused, |_| Verdict::Accepted)
}

/// Reads every member as everything that engines read members as.
pub(crate) fn body(input: &[u8]) -> Verdict {
    let parsed = Body::parse(input);
    if let Ok(body) = &parsed {
        for name in body.members().keys() {
            let text = body.text(name).ok().flatten();
            if let (Ok(Some(number)), Some(text)) = (body.integer(name), &text) {
                let same = text.trim().trim_start_matches('+').parse() == Ok(number);
                assert!(same, "a number and its text are one");
            }
            if let (Ok(Some(count)), Ok(Some(number))) = (body.count(name), body.integer(name)) {
                assert_eq!(i64::from(count), number, "a count is a number");
            }
            let _read = (body.truth(name), body.texts(name), body.text_map(name));
            let _read = (body.object(name), body.duration(name));
        }
    }
    match &parsed {
        Ok(body) if body.members().is_empty() => Verdict::Refused,
        parsed => Verdict::of(parsed),
    }
}

/// The vault of most targets: every engine is mounted, and set up as far as it takes to be used.
fn prepared() -> Memory {
    static PREPARED: OnceLock<Memory> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| {
        let mut memory = Memory::new();
        memory.documents.insert(KEYS.to_owned(), keys());
        for (path, body) in [
            ("sys/mounts/database", r#"{"type":"database"}"#),
            ("sys/mounts/pki", r#"{"type":"pki"}"#),
            ("sys/auth/approle", r#"{"type":"approle"}"#),
            ("sys/auth/cert", r#"{"type":"cert"}"#),
            ("sys/auth/jwt", r#"{"type":"jwt"}"#),
            ("sys/auth/kubernetes", r#"{"type":"kubernetes"}"#),
            ("auth/jwt/config", r#"{"jwks_url":"https://issuer.example/keys"}"#),
            ("auth/approle/role/app", r#"{"token_ttl":"1h"}"#),
            ("transit/keys/app", "{}"),
            (
                "database/config/main",
                r#"{"plugin_name":"postgresql-database-plugin","connection_url":"postgresql://{{username}}:{{password}}@db.example/app","allowed_roles":"*","username":"vault","password":"p"}"#,
            ),
        ] {
            memory.prepare(Operation::Update, path, body);
        }
        memory
    });
    prepared.clone()
}

/// A name that somebody gives a user of a database, a newline, and the statements that set the password. What the name holds never becomes a part of the statements:
/// they stay as many as they are with a plain name, and read again in the same pieces.
pub(crate) fn statements(input: &[u8]) -> Verdict {
    let Some((name, text)) = lines(input) else {
        return Verdict::Refused;
    };
    let role = |username: &str, statements: &[String]| {
        let body = json!({
            "db_name": "main", "username": username, "rotation_period": "1h", "rotation_statements": statements,
        });
        let body = body.to_string();
        prepared().call(
            Operation::Update,
            "database/static-roles/app",
            body.as_bytes(),
            None,
        )
    };
    let own = [text.to_owned()];
    let rendered = match role(name, &own) {
        Ok(answered) => answered.statements,
        Err(_) => return Verdict::Refused,
    };
    if let Ok(plain) = role("plain", &own) {
        assert_eq!(
            rendered.len(),
            plain.statements.len(),
            "a name adds no statement"
        );
    }
    let is_template = |text: &String| text.contains("{{");
    // A role takes no more statements one by one than this.
    let readable = (1..=64).contains(&rendered.len());
    if readable && !rendered.iter().any(is_template) {
        let again = role("plain", &rendered).map(|answered| answered.statements);
        assert_eq!(
            again.as_deref(),
            Ok(rendered.as_slice()),
            "a statement stays one statement"
        );
    }
    Verdict::Accepted
}

/// The key whose tokens the role believes.
fn issuer() -> Option<SigningKey<IdToken>> {
    let pkcs8 = Secret::new(super::requests::pkcs8()?);
    SigningKey::from_pkcs8(Algorithm::Es256, "fuzz-1".parse::<Kid>().ok()?, &pkcs8).ok()
}

fn keys() -> String {
    let published = |key: SigningKey<IdToken>| {
        key.public_jwk()
            .to_published_json(key.kid(), Algorithm::Es256)
    };
    json!({ "keys": issuer().map(published).as_slice() }).to_string()
}

/// A role in JSON, a newline, and claims in JSON, which are signed by an issuer that the mount believes.
pub(crate) fn claims(input: &[u8]) -> Verdict {
    let (Some((role, claims)), Some(key)) = (lines(input), issuer()) else {
        return Verdict::Refused;
    };
    let (Ok(role), Ok(claims)) = (
        serde_json::from_str::<Json>(role),
        serde_json::from_str::<Json>(claims),
    ) else {
        return Verdict::Refused;
    };
    let Ok(token) = sign_jwt(&key, &claims) else {
        return Verdict::Refused;
    };
    let mut memory = prepared();
    let written = memory.call(
        Operation::Update,
        "auth/jwt/role/app",
        role.to_string().as_bytes(),
        None,
    );
    if written.is_err() {
        return Verdict::Refused;
    }
    let login = json!({ "role": "app", "jwt": token }).to_string();
    let login = memory.call(Operation::Update, "auth/jwt/login", login.as_bytes(), None);
    if let Ok(answered) = &login {
        assert!(answered.answer.auth.is_some(), "a sign-in gives a token");
        let has_audience = match claims.get("aud") {
            None | Some(Json::Null) => false,
            Some(Json::Array(all)) => !all.is_empty(),
            Some(_) => true,
        };
        let bound = memory.prepare(Operation::Read, "auth/jwt/role/app", "");
        let bound = bound.answer.data.unwrap_or_default();
        let binds = bound.get("bound_audiences") != Some(&json!([]));
        assert!(
            binds == has_audience,
            "a token for somebody signs in where the role says for whom, and no other does there"
        );
        let over = claims.get("exp").and_then(Json::as_i64);
        // A day is the longest leeway that a role may give.
        assert!(
            over.is_none_or(|over| over > NOW.0 - 86_401),
            "a token that is over"
        );
    }
    Verdict::of(&login)
}

/// A role in JSON, a newline, and a certificate in DER, which the role trusts where it says `PEM`.
pub(crate) fn certificate(input: &[u8]) -> Verdict {
    let Some(at) = input.iter().position(|byte| *byte == b'\n') else {
        return Verdict::Refused;
    };
    let (role, der) = input.split_at(at);
    let der = der.get(1..).unwrap_or_default();
    let Ok(peer) = PeerCertificate::from_der(der.to_vec()) else {
        return Verdict::Refused;
    };
    let Ok(Json::Object(mut role)) = serde_json::from_slice(role) else {
        return Verdict::Refused;
    };
    if role.get("certificate") == Some(&json!("PEM")) {
        role.insert("certificate".to_owned(), certificate_pem(der).into());
    }
    let mut memory = prepared();
    let role = Json::Object(role).to_string();
    let written = memory.call(
        Operation::Update,
        "auth/cert/certs/app",
        role.as_bytes(),
        None,
    );
    if written.is_err() {
        return Verdict::Refused;
    }
    let in_time = peer.is_in_time(NOW);
    let login = memory.call(Operation::Update, "auth/cert/login", b"{}", Some(peer));
    if login.is_ok() {
        assert!(in_time, "a certificate that is over");
    }
    Verdict::of(&login)
}

/// Calls, one a line: an operation, a path, and a body. Keys are only made where that is quick.
pub(crate) fn calls(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let slow = ["rsa", "pki/root", "pki/intermediate", "pki/issue"];
    let known: Option<Vec<_>> = text.lines().take(CALLS_MAX).map(call_of).collect();
    let Some(known) = known.filter(|all| !all.is_empty() && !slow.iter().any(|s| text.contains(s)))
    else {
        return Verdict::Refused;
    };
    let mut memory = prepared();
    let mut verdict = Verdict::Accepted;
    for (operation, path, body) in known {
        match memory.call(operation, path, body.as_bytes(), None) {
            Ok(_) => {}
            Err(VaultError::Denied) => panic!("the root token is permitted everything: {path}"),
            Err(_) => verdict = Verdict::Refused,
        }
    }
    verdict
}

fn call_of(line: &str) -> Option<(Operation, &str, &str)> {
    let (word, rest) = line.split_once(' ')?;
    let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let operation = match word {
        "delete" => Operation::Delete,
        "list" => Operation::List,
        "patch" => Operation::Patch,
        "read" => Operation::Read,
        "write" => Operation::Update,
        _ => return None,
    };
    Some((operation, path, body))
}
