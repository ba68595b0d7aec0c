use super::TransactionGuard;
use crate::LifetimeOnly;
use crate::fixtures::{self, NOW, clock, issuer};
use crate::keys::StaticKeys;
use countersign_authn::Reason;
use countersign_authn::transaction::TransactionRules;
use countersign_crypto::jose::{JwkSet, sign_jwt};
use countersign_crypto::signing::{AccessToken, TransactionToken};
use http::HeaderMap;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_workload_reads_the_transaction_of_its_own_trust_domain() {
    let key = fixtures::key::<TransactionToken>();
    let set = JwkSet::single(key.verifying_key().unwrap()).to_json();
    let rules = TransactionRules {
        trust_domain: "https://shop.internal".parse().unwrap(),
        issuers: vec![issuer()],
        scopes: "orders:ship".parse().unwrap(),
    };
    let keys = StaticKeys::new([(issuer().issuer, set.to_string().into())]);
    let guard = TransactionGuard::new(rules, keys, Arc::new(LifetimeOnly), clock().0);
    let claims = |domain: &str| {
        json!({
            "iss": issuer().issuer.as_str(), "aud": domain, "iat": NOW.0, "exp": NOW.0 + 60, "jti": "1", "txn": "t", "sub": "portal",
            "scope": "orders:ship", "req_wl": "portal", "grant_id": "00000000000000aa",
        })
    };
    let sent = |token: String| {
        let mut headers = HeaderMap::new();
        headers.insert("txn-token", token.parse().unwrap());
        headers
    };
    let good = sent(sign_jwt(&key, &claims("https://shop.internal")).unwrap());
    let transaction = guard.check(&good).await.unwrap();
    assert_eq!(transaction.claims().txn.as_str(), "t");
    let elsewhere = sent(sign_jwt(&key, &claims("https://other.internal")).unwrap());
    let reason = guard.check(&elsewhere).await.unwrap_err().reason();
    assert_eq!(reason, Reason::AudienceMismatch);
    let access = fixtures::key::<AccessToken>();
    let wrong = sent(sign_jwt(&access, &claims("https://shop.internal")).unwrap());
    let reason = guard.check(&wrong).await.unwrap_err().reason();
    assert_eq!(reason, Reason::TypMismatch);
}
