//! The administrator's calls, with the credential in the data directory, as the command line makes them.

use super::http::Failure;
use super::stage::Stage;
use countersign_control::administrator::AdministratorKey;
use http::{Method, StatusCode, header};
use serde_json::Value;

/// Posts to `rest` below tenant `demo` of the admin API.
pub(super) async fn post(stage: &Stage, rest: &str, body: &Value) -> Result<Value, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("{rest}: {error}"));
    let now = stage.clock.now();
    let data = stage.running.fabric().data();
    let key = AdministratorKey::read(data, now).map_err(|error| failed(&error))?;
    let path = format!("/admin/v1/tenants/demo/{rest}");
    let mut url = key.control().clone();
    url.set_path(&path);
    let mut headers = key
        .prove(&Method::POST, &path, &stage.random, now)
        .map_err(|error| failed(&error))?;
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    let answer = stage
        .client
        .send(Method::POST, &url, headers, body.to_string())
        .await?;
    answer.expect(StatusCode::OK)?.json()
}
