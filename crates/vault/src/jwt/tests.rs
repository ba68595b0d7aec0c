use super::judge::AUDIENCE_UNBOUND;
use crate::answer::Auth;
use crate::call::Operation::{List, Read, Update};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::kind::EngineKind;
use crate::trial::Trial;
use countersign_base::{Kid, Secret};
use countersign_crypto::base64url;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{IdToken, SigningKey, generate_pkcs8};
use serde_json::{Value as Json, json};

const KEYS: &str = "https://issuer.example/keys";
const NOW: i64 = 1_800_000_000;

pub(crate) fn key(kid: &str) -> SigningKey<IdToken> {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    SigningKey::from_pkcs8(Algorithm::Es256, kid.parse::<Kid>().unwrap(), &pkcs8).unwrap()
}

pub(crate) fn token(key: &SigningKey<IdToken>, header: &Json, claims: &Json) -> String {
    let part = |value: &Json| base64url::encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = base64url::encode(&key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

fn keys(of: &[&SigningKey<IdToken>]) -> String {
    let published = |key: &&SigningKey<IdToken>| {
        key.public_jwk()
            .to_published_json(key.kid(), Algorithm::Es256)
    };
    json!({ "keys": of.iter().map(published).collect::<Vec<_>>() }).to_string()
}

struct Issuer {
    trial: Trial,
    key: SigningKey<IdToken>,
}

impl Issuer {
    fn new(role: Json) -> Self {
        let key = key("k1");
        let mut trial = Trial::new();
        trial.mount("auth/jwt/", EngineKind::Jwt);
        trial.documents.insert(KEYS.to_owned(), keys(&[&key]));
        let config = json!({"jwks_url": KEYS, "bound_issuer": "https://issuer.example"});
        trial.call(Update, "auth/jwt/config", config).unwrap();
        let mut issuer = Self { trial, key };
        issuer.role("app", role).unwrap();
        issuer
    }

    fn role(&mut self, name: &str, role: Json) -> Result<(), VaultError> {
        let mut body = json!({"user_claim": "sub", "role_type": "jwt"});
        for (name, value) in role.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.trial
            .call(Update, &format!("auth/jwt/role/{name}"), body)
            .map(drop)
    }

    fn login(&mut self, role: &str, jwt: &str) -> Result<Auth, VaultError> {
        let body = json!({ "role": role, "jwt": jwt });
        let answer = self
            .trial
            .call_as(|| Caller::Anonymous, Update, "auth/jwt/login", body)?;
        Ok(answer.auth.unwrap())
    }

    /// Signs in with claims that are right but for these.
    fn with(&mut self, changed: Json) -> Result<Auth, VaultError> {
        let jwt = token(
            &self.key,
            &json!({"alg": "ES256", "kid": "k1"}),
            &claims(changed),
        );
        self.login("app", &jwt)
    }
}

/// Claims that are right for `bound_audiences: vault`, with some changed; `null` takes one away.
fn claims(changed: Json) -> Json {
    let mut claims = json!({
        "iss": "https://issuer.example", "sub": "alice", "aud": "vault", "iat": NOW, "exp": NOW + 300
    });
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn bound() -> Json {
    json!({"bound_audiences": "vault", "token_policies": "app"})
}

#[test]
fn a_token_of_the_issuer_signs_in() {
    let mut issuer = Issuer::new(json!({
        "bound_audiences": ["vault"], "token_policies": "app", "token_ttl": 600, "claim_mappings": {"/team/name": "team"}
    }));
    let auth = issuer.with(json!({"team": {"name": "blue"}})).unwrap();
    assert_eq!(auth.policies, ["app", "default"]);
    assert_eq!(
        (
            auth.metadata["role"].as_str(),
            auth.metadata["team"].as_str()
        ),
        ("app", "blue")
    );
    let shown = issuer.trial.data(Read, "auth/jwt/config", Json::Null);
    assert_eq!(shown["jwks_url"], KEYS);
    let role = issuer.trial.data(Read, "auth/jwt/role/app", Json::Null);
    assert_eq!(role["bound_audiences"], json!(["vault"]));
    assert_eq!(
        issuer.trial.data(List, "auth/jwt/role", Json::Null)["keys"],
        json!(["app"])
    );
}

/// `aud` present and the role unbound; wrong `aud`; a token for role A used on role B. Each stands beside the sign-in from which only that differs.
#[test]
fn cve_2024_5798_audiences_are_enforced() {
    let mut unbound = Issuer::new(json!({"bound_subject": "alice"}));
    let refused = unbound.with(json!({})).err().unwrap();
    assert_eq!(refused, VaultError::invalid(AUDIENCE_UNBOUND));
    assert!(unbound.with(json!({"aud": null})).is_ok());

    let mut issuer = Issuer::new(bound());
    for (aud, may) in [
        (json!("vault"), true),
        (json!(["other", "vault"]), true),
        (json!("other"), false),
        (json!("vault2"), false),
        (json!("Vault"), false),
        (json!([]), false),
        (Json::Null, false),
        (json!(7), false),
    ] {
        assert_eq!(issuer.with(json!({"aud": aud})).is_ok(), may, "{aud}");
    }
    issuer.role("b", json!({"bound_audiences": "b"})).unwrap();
    let header = json!({"alg": "ES256", "kid": "k1"});
    let for_app = token(&issuer.key, &header, &claims(json!({})));
    let for_b = token(&issuer.key, &header, &claims(json!({"aud": "b"})));
    assert!(issuer.login("app", &for_app).is_ok() && issuer.login("b", &for_b).is_ok());
    assert!(issuer.login("b", &for_app).is_err() && issuer.login("app", &for_b).is_err());
}

#[test]
fn tokens_without_a_signature_of_the_issuers_are_refused() {
    let mut issuer = Issuer::new(bound());
    let stranger = key("k1");
    let good = json!({"alg": "ES256", "kid": "k1"});
    let right = token(&issuer.key, &good, &claims(json!({})));
    let mut tampered: Vec<&str> = right.split('.').collect();
    let payload = base64url::encode(claims(json!({"sub": "mallory"})).to_string().as_bytes());
    tampered[1] = &payload;
    for (what, jwt) in [
        ("another's key", token(&stranger, &good, &claims(json!({})))),
        (
            "none",
            token(
                &issuer.key,
                &json!({"alg": "none", "kid": "k1"}),
                &claims(json!({})),
            ),
        ),
        (
            "HMAC",
            token(
                &issuer.key,
                &json!({"alg": "HS256", "kid": "k1"}),
                &claims(json!({})),
            ),
        ),
        (
            "another algorithm",
            token(
                &issuer.key,
                &json!({"alg": "RS256", "kid": "k1"}),
                &claims(json!({})),
            ),
        ),
        (
            "another kid",
            token(
                &issuer.key,
                &json!({"alg": "ES256", "kid": "k2"}),
                &claims(json!({})),
            ),
        ),
        ("another payload", tampered.join(".")),
        (
            "no signature",
            format!("{}.", right.rsplit_once('.').unwrap().0),
        ),
        ("no token", "canary".to_owned()),
    ] {
        let before = issuer.trial.dump();
        let refused = issuer.login("app", &jwt).err().expect(what);
        assert_eq!(refused.status(), 400, "{what}");
        assert!(!refused.to_string().contains("canary"));
        assert_eq!(
            issuer.trial.dump(),
            before,
            "CVE-2026-46405: nothing is made"
        );
    }
    assert!(issuer.login("app", &right).is_ok());
}

#[test]
fn only_allowed_algorithms_are_taken() {
    for (allowed, may) in [
        (json!([]), true),
        (json!(["ES256"]), true),
        (json!(["EdDSA", "RS256"]), false),
    ] {
        let mut issuer = Issuer::new(bound());
        let config = json!({"jwks_url": KEYS, "jwt_supported_algs": allowed});
        issuer
            .trial
            .call(Update, "auth/jwt/config", config)
            .unwrap();
        assert_eq!(issuer.with(json!({})).is_ok(), may, "{allowed}");
    }
    let mut issuer = Issuer::new(bound());
    for name in ["none", "HS256", "es256"] {
        let config = json!({"jwks_url": KEYS, "jwt_supported_algs": [name]});
        assert!(
            issuer
                .trial
                .call(Update, "auth/jwt/config", config)
                .is_err(),
            "{name}"
        );
    }
}

#[test]
fn times_hold_with_the_leeways_of_the_role() {
    for (role, changed, may) in [
        (json!({}), json!({"exp": NOW - 59}), true),
        (json!({}), json!({"exp": NOW - 60}), false),
        (
            json!({"clock_skew_leeway": -1}),
            json!({"exp": NOW + 1}),
            true,
        ),
        (json!({"clock_skew_leeway": -1}), json!({"exp": NOW}), false),
        (
            json!({"clock_skew_leeway": "10s"}),
            json!({"exp": NOW - 9}),
            true,
        ),
        (
            json!({"clock_skew_leeway": 10}),
            json!({"exp": NOW - 10}),
            false,
        ),
        (json!({}), json!({"nbf": NOW + 60}), true),
        (json!({}), json!({"nbf": NOW + 61}), false),
        (json!({}), json!({"iat": NOW + 60}), true),
        (json!({}), json!({"iat": NOW + 61}), false),
        (json!({}), json!({"exp": null, "iat": NOW - 209}), true),
        (json!({}), json!({"exp": null, "iat": NOW - 210}), false),
        (
            json!({"expiration_leeway": 600}),
            json!({"exp": null, "iat": NOW - 600}),
            true,
        ),
        (
            json!({"expiration_leeway": -1}),
            json!({"exp": null, "iat": NOW - 60}),
            false,
        ),
        (json!({}), json!({"iat": null}), true),
        (json!({}), json!({"iat": null, "exp": null}), false),
        (json!({}), json!({"exp": "never"}), false),
        (json!({}), json!({"exp": 1e30}), false),
    ] {
        let mut all = bound();
        for (name, value) in role.as_object().unwrap() {
            all[name] = value.clone();
        }
        let mut issuer = Issuer::new(all);
        assert_eq!(
            issuer.with(changed.clone()).is_ok(),
            may,
            "{role} {changed}"
        );
    }
    let mut issuer = Issuer::new(bound());
    assert!(
        issuer
            .role(
                "app",
                json!({"clock_skew_leeway": -2, "bound_audiences": "vault"})
            )
            .is_err()
    );
}

#[test]
fn issuer_subject_and_claims_are_bound() {
    for (role, changed, may) in [
        (json!({}), json!({"iss": "https://other.example"}), false),
        (json!({}), json!({"iss": null}), false),
        (json!({"bound_subject": "alice"}), json!({}), true),
        (
            json!({"bound_subject": "alice"}),
            json!({"sub": "Alice"}),
            false,
        ),
        (
            json!({"bound_claims": {"team": ["blue", "red"]}}),
            json!({"team": "red"}),
            true,
        ),
        (
            json!({"bound_claims": {"team": "blue"}}),
            json!({"team": ["green", "blue"]}),
            true,
        ),
        (
            json!({"bound_claims": {"team": "blue"}}),
            json!({"team": "blues"}),
            false,
        ),
        (json!({"bound_claims": {"team": "blue"}}), json!({}), false),
        (
            json!({"bound_claims": {"team": "blue"}}),
            json!({"team": {"blue": 1}}),
            false,
        ),
    ] {
        check_bound(role, changed, may);
    }
}

/// Signs in at a role that binds this too, with claims changed so.
fn check_bound(role: Json, changed: Json, may: bool) {
    let mut all = bound();
    for (name, value) in role.as_object().unwrap() {
        all[name] = value.clone();
    }
    let mut issuer = Issuer::new(all);
    assert_eq!(
        issuer.with(changed.clone()).is_ok(),
        may,
        "{role} {changed}"
    );
}

#[test]
fn claims_are_bound_by_pattern_and_by_pointer_and_name_the_user() {
    for (role, changed, may) in [
        (
            json!({"bound_claims": {"team": "b*"}}),
            json!({"team": "blue"}),
            false,
        ),
        (
            json!({"bound_claims": {"team": "b*"}, "bound_claims_type": "glob"}),
            json!({"team": "blue"}),
            true,
        ),
        (
            json!({"bound_claims": {"team": "b*"}, "bound_claims_type": "glob"}),
            json!({"team": "red"}),
            false,
        ),
        (
            json!({"bound_claims": {"/a/b": true, "n": 3}}),
            json!({"a": {"b": true}, "n": 3}),
            true,
        ),
        (
            json!({"bound_claims": {"/a/b": true, "n": 3}}),
            json!({"a": {"b": true}, "n": 4}),
            false,
        ),
        (json!({"user_claim": "email"}), json!({}), false),
        (json!({"user_claim": "email"}), json!({"email": " "}), false),
        (
            json!({"user_claim": "email"}),
            json!({"email": "a@b"}),
            true,
        ),
    ] {
        check_bound(role, changed, may);
    }
}

#[test]
fn cve_2025_6004_variants_of_an_alias_are_one() {
    let mut issuer = Issuer::new(bound());
    let mut entity = |sub: &str| issuer.with(json!({ "sub": sub })).unwrap().entity_id;
    let alice = entity("alice");
    for variant in ["Alice", "alice ", " ALICE"] {
        assert_eq!(entity(variant), alice, "{variant}");
    }
    assert_ne!(entity("alice2"), alice);
}

#[test]
fn keys_come_from_an_address_an_issuer_or_pem() {
    let mut issuer = Issuer::new(bound());
    let discovered =
        |issuer: &str, keys: &str| json!({"issuer": issuer, "jwks_uri": keys}).to_string();
    let url = "https://issuer.example/.well-known/openid-configuration";
    let config = json!({"oidc_discovery_url": "https://issuer.example"});
    for (document, may) in [
        (discovered("https://other.example", KEYS), false),
        (
            discovered("https://issuer.example", "http://issuer.example/keys"),
            false,
        ),
        (
            discovered("https://issuer.example", "https://issuer.example/none"),
            false,
        ),
        (discovered("https://issuer.example", KEYS), true),
    ] {
        issuer.trial.documents.insert(url.to_owned(), document);
        assert_eq!(
            issuer
                .trial
                .call(Update, "auth/jwt/config", config.clone())
                .is_ok(),
            may
        );
    }
    assert!(issuer.with(json!({})).is_ok());
    assert!(
        issuer
            .with(json!({"iss": "https://other.example"}))
            .is_err(),
        "the issuer is bound"
    );
    for refused in [
        json!({}),
        json!({"jwks_url": KEYS, "oidc_discovery_url": "https://issuer.example"}),
        json!({"jwks_url": "http://issuer.example/keys"}),
        json!({"jwks_url": "https://unreachable.example/keys"}),
        json!({"jwt_validation_pubkeys": "canary"}),
    ] {
        assert!(
            issuer
                .trial
                .call(Update, "auth/jwt/config", refused.clone())
                .is_err(),
            "{refused}"
        );
    }
    let pem = pem(&issuer.key);
    issuer
        .trial
        .call(
            Update,
            "auth/jwt/config",
            json!({"jwt_validation_pubkeys": [pem]}),
        )
        .unwrap();
    assert!(issuer.with(json!({})).is_ok());
    issuer.key = key("k1");
    assert!(issuer.with(json!({})).is_err());
}

/// The key as `SubjectPublicKeyInfo` in PEM.
pub(crate) fn pem(key: &SigningKey<IdToken>) -> String {
    let jwk = key.public_jwk().to_json();
    let mut der = vec![
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    for name in ["x", "y"] {
        der.extend(base64url::decode(jwk[name].as_str().unwrap()).unwrap());
    }
    let pem: Secret<String> = countersign_crypto::keypair::pem("PUBLIC KEY", &der);
    pem.expose().clone()
}

#[test]
fn a_role_binds_something_and_a_default_role_is_used() {
    let mut issuer = Issuer::new(bound());
    for refused in [
        json!({}),
        json!({"bound_audiences": "vault", "user_claim": ""}),
        json!({"bound_audiences": "vault", "role_type": "oidc"}),
        json!({"bound_audiences": "vault", "groups_claim": "groups"}),
        json!({"bound_audiences": "vault", "token_policies": "Root"}),
    ] {
        assert!(issuer.role("other", refused.clone()).is_err(), "{refused}");
    }
    let jwt = token(&issuer.key, &json!({"alg": "ES256"}), &claims(json!({})));
    assert!(issuer.login("", &jwt).is_err());
    let config = json!({"jwks_url": KEYS, "default_role": "app"});
    issuer
        .trial
        .call(Update, "auth/jwt/config", config)
        .unwrap();
    assert!(issuer.login("", &jwt).is_ok());
    assert!(issuer.login("unknown", &jwt).is_err());
}

#[test]
fn a_certificate_stands_for_its_key() {
    let random = countersign_crypto::Random::system();
    let authority = countersign_crypto::x509::CertificateAuthority::generate(
        "cluster",
        &random,
        countersign_base::UnixTime(1_800_000_000),
    )
    .unwrap();
    let text = authority.certificate_pem().to_owned();
    assert!(super::keys::of_pem(std::slice::from_ref(&text)).is_ok());
    assert!(super::keys::of_pem(&[text.clone() + &text]).is_err());
}
