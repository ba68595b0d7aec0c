use super::*;
use crate::caller::{self, Caller, Presented, Request};
use crate::kind::EngineKind;
use crate::trial::{Trial, root};
use crate::work::EffectResult;
use crate::{Body, RequestPath};
use Operation::{Read, Update};
use std::collections::BTreeMap;
use std::sync::Arc;

const UNKNOWN: &str = "wrapping token is not valid or does not exist";

fn nobody() -> Caller {
    Caller::Anonymous
}

fn trial() -> Trial {
    let mut trial = Trial::new();
    let secret = json!({"data": {"k": "c4n4ry"}});
    trial.call(Update, "secret/data/app", secret).unwrap();
    trial
}

/// A call whose answer is put away for so long, and where it was put.
fn wrap(trial: &mut Trial, seconds: u64, path: &str, body: Json) -> WrapInfo {
    trial.wrap_ttl = Some(Duration::from_secs(seconds));
    let operation = if body.is_null() { Read } else { Update };
    let answer = trial.call(operation, path, body);
    trial.wrap_ttl = None;
    let answer = answer.unwrap();
    assert!(answer.data.is_none() && answer.auth.is_none() && answer.lease.is_none());
    answer.wrap_info.unwrap()
}

/// A call of `sys/wrapping/` by nobody, with a token in its body.
fn open(trial: &mut Trial, verb: &str, token: &str) -> Result<Answer, VaultError> {
    let path = format!("sys/wrapping/{verb}");
    trial.call_as(nobody, Update, &path, json!({ "token": token }))
}

fn refused(answer: Result<Answer, VaultError>) -> String {
    let error = answer.err().unwrap();
    assert_eq!(error.status(), 400);
    error.to_string()
}

#[test]
fn a_wrapped_answer_is_unwrapped_once_and_is_then_as_it_was() {
    let mut trial = trial();
    let plain = trial.call(Read, "secret/data/app", Json::Null).unwrap();
    let plain = envelope(&plain, RequestId::from_bytes([1; 16]));
    let info = wrap(&mut trial, 60, "secret/data/app", Json::Null);
    assert_eq!(info.ttl, Duration::from_secs(60));
    assert_eq!(info.path, "secret/data/app");
    assert!(info.wrapped_accessor.is_none());
    let token = info.token.expose().as_str();
    let random = token.strip_prefix("hvs.").unwrap();
    assert!(
        !trial.dump().contains(random),
        "the token is stored nowhere"
    );
    let seen = open(&mut trial, "lookup", token).unwrap().data.unwrap();
    assert_eq!(seen["creation_path"], "secret/data/app");
    assert_eq!(seen["creation_ttl"], 60);
    let answer = open(&mut trial, "unwrap", token).unwrap();
    assert_eq!(answer.form, Form::Written);
    assert_eq!(answer.data, Some(plain));
    assert_eq!(refused(open(&mut trial, "unwrap", token)), UNKNOWN);
    assert_eq!(refused(open(&mut trial, "lookup", token)), UNKNOWN);
    assert!(trial.stored("wrap/").is_empty());
}

#[test]
fn the_token_may_stand_in_the_header_and_another_beside_it_says_nothing() {
    let mut trial = trial();
    let info = wrap(&mut trial, 60, "secret/data/app", Json::Null);
    trial.shown = Some(Arc::new(Secret::new(info.token.expose().clone())));
    let answer = trial
        .call_as(nobody, Update, "sys/wrapping/unwrap", Json::Null)
        .unwrap();
    assert_eq!(answer.data.unwrap()["data"]["data"]["k"], "c4n4ry");
    // A vault token is no wrapping token, however it is shown.
    let auth = trial
        .step(|work, cx| {
            let life = crate::token::RootLife::Endless;
            crate::token::first_root(life, work, cx)
        })
        .unwrap();
    let shown = auth.client_token.expose().clone();
    trial.shown = Some(Arc::new(Secret::new(shown.clone())));
    let unwrap = trial.call(Update, "sys/wrapping/unwrap", Json::Null);
    assert_eq!(refused(unwrap), UNKNOWN);
    assert_eq!(refused(open(&mut trial, "unwrap", &shown)), UNKNOWN);
    trial.shown = None;
    let nothing = trial.call(Update, "sys/wrapping/unwrap", Json::Null);
    assert_eq!(refused(nothing), "missing token");
}

/// What the door makes of a request with this token.
fn identified(trial: &mut Trial, path: &str, token: &str) -> Result<bool, VaultError> {
    let request = Request {
        operation: Update,
        path: RequestPath::parse(path).unwrap(),
        query: BTreeMap::new(),
        body: Body::default(),
        peer: None,
        from: None,
        request: RequestId::from_bytes([1; 16]),
        wrap_ttl: None,
    };
    let presented = Presented::Token(Arc::new(Secret::new(token.to_owned())));
    trial.step(|work, cx| {
        let asked = caller::identify(&request, &presented, work, cx)?;
        let call = asked.call();
        assert!(matches!(call.caller, Caller::Anonymous));
        Ok(call.shown.is_some())
    })
}

#[test]
fn a_wrapping_token_opens_its_own_door_and_no_other() {
    let mut trial = trial();
    let info = wrap(&mut trial, 60, "secret/data/app", Json::Null);
    let token = info.token.expose();
    for path in ["lookup", "rewrap", "unwrap"] {
        let path = format!("sys/wrapping/{path}");
        assert_eq!(identified(&mut trial, &path, token), Ok(true));
    }
    for path in [
        "sys/wrapping/wrap",
        "auth/token/lookup-self",
        "secret/data/app",
        "cubbyhole/response",
    ] {
        let refused = identified(&mut trial, path, token);
        assert_eq!(refused, Err(VaultError::Denied), "{path}");
    }
}

#[test]
fn what_is_wrapped_ends_with_its_time() {
    for (after, there) in [(59, true), (60, false), (61, false)] {
        let mut trial = trial();
        let info = wrap(&mut trial, 60, "secret/data/app", Json::Null);
        trial.now = trial.now.plus(Duration::from_secs(after));
        let answer = open(&mut trial, "unwrap", info.token.expose());
        assert_eq!(answer.is_ok(), there, "{after}");
    }
    let mut trial = trial();
    wrap(&mut trial, 60, "secret/data/app", Json::Null);
    trial.pass(59);
    assert_eq!(trial.stored("wrap/").len(), 1);
    trial.pass(1);
    assert!(trial.stored("wrap/").is_empty());
}

#[test]
fn how_long_is_bounded() {
    let mut trial = trial();
    for (seconds, wrapped) in [(1, true), (768 * 3_600, true), (768 * 3_600 + 1, false)] {
        trial.wrap_ttl = Some(Duration::from_secs(seconds));
        let answer = trial.call(Read, "secret/data/app", Json::Null);
        assert_eq!(answer.is_ok(), wrapped, "{seconds}");
    }
    trial.wrap_ttl = Some(Duration::from_millis(500));
    assert!(trial.call(Read, "secret/data/app", Json::Null).is_err());
    trial.wrap_ttl = Some(Duration::ZERO);
    let plain = trial.call(Read, "secret/data/app", Json::Null).unwrap();
    assert!(plain.wrap_info.is_none() && plain.data.is_some());
}

#[test]
fn rewrapping_takes_the_first_token_away_and_keeps_where_it_came_from() {
    let mut trial = trial();
    let info = wrap(&mut trial, 60, "secret/data/app", Json::Null);
    trial.now = trial.now.plus(Duration::from_secs(50));
    let anew = open(&mut trial, "rewrap", info.token.expose()).unwrap();
    let anew = anew.wrap_info.unwrap();
    assert_eq!(anew.path, "secret/data/app");
    assert_eq!(anew.ttl, Duration::from_secs(60));
    assert_eq!(
        refused(open(&mut trial, "unwrap", info.token.expose())),
        UNKNOWN
    );
    trial.now = trial.now.plus(Duration::from_secs(50));
    let answer = open(&mut trial, "unwrap", anew.token.expose()).unwrap();
    assert_eq!(answer.data.unwrap()["data"]["data"]["k"], "c4n4ry");
}

#[test]
fn a_callers_own_data_is_wrapped_as_it_is() {
    let mut trial = trial();
    let unasked = trial.call(Update, "sys/wrapping/wrap", json!({"a": 1}));
    assert_eq!(
        refused(unasked),
        "endpoint requires response wrapping to be used"
    );
    let info = wrap(&mut trial, 60, "sys/wrapping/wrap", json!({"a": {"b": 1}}));
    assert_eq!(info.path, "sys/wrapping/wrap");
    let answer = open(&mut trial, "unwrap", info.token.expose()).unwrap();
    assert_eq!(answer.data.unwrap()["data"], json!({"a": {"b": 1}}));
}

#[test]
fn a_wrapped_token_is_named_by_its_accessor_and_what_holds_nothing_is_not_wrapped() {
    let mut trial = trial();
    let info = wrap(
        &mut trial,
        60,
        "auth/token/create",
        json!({"policies": ["app"]}),
    );
    let answer = open(&mut trial, "unwrap", info.token.expose()).unwrap();
    let auth = answer.data.unwrap()["auth"].clone();
    assert_eq!(auth["accessor"], json!(info.wrapped_accessor.unwrap()));
    assert_eq!(auth["policies"], json!(["app", "default"]));
    trial.wrap_ttl = Some(Duration::from_secs(60));
    let nothing = trial
        .call(Update, "auth/token/roles/r", json!({"orphan": true}))
        .unwrap();
    assert!(nothing.is_empty());
    let refused = trial.call(Read, "secret/data/none", Json::Null);
    assert_eq!(refused.err(), Some(VaultError::NotFound));
    assert!(trial.stored("wrap/").is_empty());
}

#[test]
fn what_an_effect_gives_is_wrapped_once_it_is_over() {
    let mut trial = Trial::new();
    trial.mount("database/", EngineKind::Database);
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "connection_url": "postgresql://{{username}}:{{password}}@db.example/app",
        "allowed_roles": "*", "username": "vault", "password": "c4n4ry"
    });
    trial.call(Update, "database/config/main", config).unwrap();
    let role = json!({ "db_name": "main", "creation_statements": ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'"] });
    trial.call(Update, "database/roles/app", role).unwrap();
    let info = wrap(&mut trial, 60, "database/creds/app", Json::Null);
    assert_eq!(info.path, "database/creds/app");
    let answer = open(&mut trial, "unwrap", info.token.expose()).unwrap();
    let written = answer.data.unwrap();
    assert!(written["data"]["password"].is_string());
    assert!(
        written["lease_id"]
            .as_str()
            .unwrap()
            .starts_with("database/creds/app/")
    );
    // What failed is told at once.
    trial.wrap_ttl = Some(Duration::from_secs(60));
    trial.effects = vec![EffectResult::Failed("down".to_owned())];
    let failed = trial.call_as(root, Read, "database/creds/app", Json::Null);
    assert_eq!(failed.unwrap().form, Form::Bare(502));
}

#[test]
fn cve_2026_45808_a_wrapping_token_means_nothing_in_another_tenant() {
    let mut trial = trial();
    let info = wrap(&mut trial, 60, "secret/data/app", Json::Null);
    let own = std::mem::replace(&mut trial.tenant, "other".parse().unwrap());
    assert_eq!(
        refused(open(&mut trial, "unwrap", info.token.expose())),
        UNKNOWN
    );
    trial.tenant = own;
    assert!(open(&mut trial, "unwrap", info.token.expose()).is_ok());
}
