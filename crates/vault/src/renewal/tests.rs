use crate::answer::Auth;
use crate::call::Operation::{Delete, Read, Update};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::kind::EngineKind;
use crate::trial::Trial;
use countersign_base::Duration;
use serde_json::{Value as Json, json};

const ROLE: &str = "auth/approle/role/app";

fn signed_in(role: &Json) -> (Trial, Auth) {
    let mut trial = Trial::new();
    trial.mount("auth/approle/", EngineKind::AppRole);
    trial.call(Update, ROLE, role.clone()).unwrap();
    let id = trial.data(Read, &format!("{ROLE}/role-id"), Json::Null)["role_id"].clone();
    let secret = trial.data(Update, &format!("{ROLE}/secret-id"), json!({}))["secret_id"].clone();
    let body = json!({ "role_id": id, "secret_id": secret });
    let answer = trial.call_as(|| Caller::Anonymous, Update, "auth/approle/login", body);
    (trial, answer.unwrap().auth.unwrap())
}

fn renewed(trial: &mut Trial, auth: &Auth) -> Result<u64, VaultError> {
    let body = json!({ "token": auth.client_token.expose() });
    let answer = trial.call(Update, "auth/token/renew", body)?;
    Ok(answer.auth.unwrap().lasts.as_secs())
}

/// What is done to the role, what stretching a token of it gives afterwards.
#[test]
fn a_token_is_renewed_by_what_its_role_says_now() {
    let hour = json!({ "token_policies": "app", "token_ttl": "1h" });
    let changed = || Err(VaultError::invalid("policies have changed, not renewing"));
    let cases: [(&Json, Json, Result<u64, VaultError>); 8] = [
        (&hour, json!({}), Ok(3_600)),
        (&hour, json!({ "token_policies": "App" }), Ok(3_600)),
        (&hour, json!({ "token_policies": "app,ops" }), changed()),
        (&hour, json!({ "token_policies": "" }), changed()),
        (&hour, json!({ "token_no_default_policy": true }), changed()),
        (
            &hour,
            json!({ "token_ttl": "10m", "token_max_ttl": "30m" }),
            Ok(1_800 - 60),
        ),
        (
            &hour,
            json!({ "token_explicit_max_ttl": "20m" }),
            Ok(1_200 - 60),
        ),
        (
            &hour,
            json!({ "token_bound_cidrs": "192.0.2.7/32" }),
            Err(VaultError::Denied),
        ),
    ];
    for (role, change, expected) in cases {
        let (mut trial, auth) = signed_in(role);
        trial.now = trial.now.plus(Duration::from_secs(60));
        assert_eq!(renewed(&mut trial, &auth), Ok(3_600), "before {change}");
        trial.call(Update, ROLE, change.clone()).unwrap();
        assert_eq!(renewed(&mut trial, &auth), expected, "{change}");
    }
}

#[test]
fn a_periodic_token_lives_on_by_the_shorter_period() {
    let (mut trial, auth) = signed_in(&json!({ "token_period": "1h" }));
    assert_eq!(renewed(&mut trial, &auth), Ok(3_600));
    for (period, expected) in [("30m", 1_800), ("2h", 3_600)] {
        let change = json!({ "token_period": period });
        trial.call(Update, ROLE, change).unwrap();
        assert_eq!(renewed(&mut trial, &auth), Ok(expected), "{period}");
    }
}

#[test]
fn a_token_whose_role_is_gone_is_not_renewed() {
    let role = json!({ "token_policies": "app", "token_ttl": "1h" });
    let (mut trial, auth) = signed_in(&role);
    trial.call(Delete, ROLE, Json::Null).unwrap();
    let gone = VaultError::invalid("the role of this token is gone, not renewing");
    assert_eq!(renewed(&mut trial, &auth), Err(gone));
    trial.call(Update, ROLE, role).unwrap();
    assert_eq!(renewed(&mut trial, &auth), Ok(3_600));
}

#[test]
fn a_token_whose_token_role_is_gone_is_not_renewed() {
    let mut trial = Trial::new();
    let role = "auth/token/roles/ci";
    trial.call(Update, role, json!({ "orphan": true })).unwrap();
    let made = trial.call(Update, "auth/token/create/ci", json!({ "ttl": "1h" }));
    let auth = made.unwrap().auth.unwrap();
    assert_eq!(renewed(&mut trial, &auth), Ok(3_600));
    trial.call(Delete, role, Json::Null).unwrap();
    let gone = VaultError::invalid("the token role of this token is gone, not renewing");
    assert_eq!(renewed(&mut trial, &auth), Err(gone));
}
