//! A transaction token at a workload: what passes, and what each flaw does to it.

use super::{Transaction, TransactionRules, demand, prove};
use crate::fixtures::{Key, NOW, Nothing, headers, jws, key, without};
use crate::refusal::Reason;
use crate::resource::{KeyAnswer, TrustedIssuer};
use crate::revocation::{Freshness, RevocationId, Revocations};
use countersign_base::{GrantId, UnixTime};
use countersign_crypto::jose::Algorithm;
use serde_json::{Value, json};

const DOMAIN: &str = "https://shop.internal";

fn rules() -> TransactionRules {
    TransactionRules {
        trust_domain: DOMAIN.parse().unwrap(),
        issuers: vec![TrustedIssuer {
            issuer: "https://id.example".parse().unwrap(),
            tenant: "demo".parse().unwrap(),
            algorithms: vec![Algorithm::EdDsa],
        }],
        scopes: "orders:ship".parse().unwrap(),
    }
}

struct Case {
    key: Key,
    header: Value,
    claims: Value,
}

impl Case {
    fn good() -> Self {
        Self {
            key: key(Algorithm::EdDsa),
            header: json!({ "typ": "txntoken+jwt", "alg": "EdDSA", "kid": "key-1" }),
            claims: json!({
                "iss": "https://id.example", "aud": DOMAIN, "iat": NOW.0, "exp": NOW.0 + 60, "jti": "one", "txn": "t-1",
                "sub": "00112233445566778899aabbccddeeff", "scope": "orders:ship", "req_wl": "portal,orders",
                "tctx": { "order": 4711 }, "grant_id": "00000000000000aa",
            }),
        }
    }

    fn judged(self, revocations: &dyn Revocations) -> Result<Transaction, Reason> {
        let verifying = self.key.verifying_key().unwrap();
        let token = jws(&self.key, &self.header, &self.claims);
        let needed = demand(&headers(&[("txn-token", &token)]), &rules())
            .map_err(|refusal| refusal.reason())?;
        prove(
            needed,
            KeyAnswer::Key(verifying),
            &rules(),
            revocations,
            NOW,
        )
        .map_err(|refusal| refusal.reason())
    }
}

fn changed(change: impl FnOnce(&mut Case)) -> Result<Transaction, Reason> {
    let mut case = Case::good();
    change(&mut case);
    case.judged(&Nothing)
}

#[test]
fn a_good_token_tells_of_the_transaction() {
    let transaction = Case::good().judged(&Nothing).unwrap();
    let claims = transaction.claims();
    assert_eq!(claims.workloads().collect::<Vec<_>>(), ["portal", "orders"]);
    assert_eq!(
        (claims.txn.as_str(), &claims.tctx["order"]),
        ("t-1", &json!(4711))
    );
    assert_eq!(transaction.tenant().as_str(), "demo");
}

#[test]
fn each_flaw_is_refused_for_what_it_is() {
    type Flaw = fn(&mut Case);
    let flaws: [(Flaw, Reason); 9] = [
        (
            |case| case.header["typ"] = json!("at+jwt"),
            Reason::TypMismatch,
        ),
        (
            |case| case.claims["aud"] = json!("https://elsewhere.internal"),
            Reason::AudienceMismatch,
        ),
        (
            |case| case.claims["aud"] = json!([DOMAIN]),
            Reason::ClaimBroken,
        ),
        (
            |case| case.claims["iss"] = json!("https://evil.example"),
            Reason::IssuerUnknown,
        ),
        (
            |case| case.claims["exp"] = json!(NOW.0),
            Reason::TokenExpired,
        ),
        (
            |case| case.claims["iat"] = json!(NOW.0 + 31),
            Reason::IssuedAhead,
        ),
        (
            |case| case.claims["scope"] = json!("orders:read"),
            Reason::InsufficientScope,
        ),
        (
            |case| without(&mut case.claims, "txn"),
            Reason::ClaimMissing,
        ),
        (
            |case| case.claims["tctx"] = json!("order 4711"),
            Reason::ClaimBroken,
        ),
    ];
    for (flaw, reason) in flaws {
        assert_eq!(changed(flaw).err(), Some(reason));
    }
    assert!(changed(|_| ()).is_ok());
}

#[test]
fn an_access_tokens_header_or_two_headers_carry_none() {
    let token = jws(
        &Case::good().key,
        &Case::good().header,
        &Case::good().claims,
    );
    for (sent, reason) in [
        (
            vec![("authorization", token.as_str())],
            Reason::NoCredential,
        ),
        (
            vec![("txn-token", token.as_str()), ("txn-token", token.as_str())],
            Reason::AuthorizationBroken,
        ),
    ] {
        let refused = demand(&headers(&sent), &rules()).err();
        assert_eq!(refused.map(|refusal| refusal.reason()), Some(reason));
    }
    assert!(demand(&headers(&[("txn-token", &token)]), &rules()).is_ok());
}

/// One thing is revoked.
struct One(fn(RevocationId<'_>) -> bool);

impl Revocations for One {
    fn not_before(&self, id: RevocationId<'_>) -> Option<UnixTime> {
        (self.0)(id).then_some(NOW)
    }

    fn freshness(&self, _: UnixTime) -> Freshness {
        Freshness::Current
    }
}

#[test]
fn a_transaction_ends_with_its_grant_its_subject_and_each_of_its_workloads() {
    let ends: [fn(RevocationId<'_>) -> bool; 3] = [
        |id| id == RevocationId::Grant(GrantId::from_u64(0xaa)),
        |id| matches!(id, RevocationId::User(_)),
        |id| matches!(id, RevocationId::Client(_, client) if client.as_str() == "portal"),
    ];
    for end in ends {
        assert_eq!(Case::good().judged(&One(end)).err(), Some(Reason::Revoked));
    }
    let unconcerned =
        One(|id| matches!(id, RevocationId::Client(_, client) if client.as_str() == "billing"));
    assert!(Case::good().judged(&unconcerned).is_ok());
}
