//! `vaultrs::sys`: health, mounts, auth methods, policies.

use crate::checks::{Checks, Failure, must, refused, until};
use crate::server::Server;
use serde_json::{Value, json};
use std::collections::HashMap;
use vaultrs::api::sys::requests::EnableEngineRequest;
use vaultrs::client::Client as _;
use vaultrs::sys::{self, ServerStatus};
use vaultrs::{kv2, sys::mount};

pub async fn run(checks: &Checks, server: &Server) -> Result<(), Failure> {
    checks
        .covers(
            "sys::health, status, start_initialization refused",
            "sys: health",
            health(server),
        )
        .await;
    checks
        .covers(
            "sys::mount: enable, list, get_configuration, disable; sys::remount refused",
            "sys: mounts",
            mounts(server),
        )
        .await;
    checks
        .covers(
            "sys::auth: enable, list, disable",
            "sys: auth methods",
            auth_methods(server),
        )
        .await;
    checks
        .covers(
            "sys::policy: set, read, list, delete; rules in force",
            "sys: policies",
            policies(server),
        )
        .await;
    Ok(())
}

async fn health(server: &Server) -> Result<(), Failure> {
    let anybody = server.client("")?;
    let health = sys::health(&anybody).await?;
    must(
        health.initialized && !health.sealed && !health.performance_standby,
        format!("{health:?}"),
    )?;
    let status = anybody.status().await?;
    must(matches!(status, ServerStatus::OK), format!("{status:?}"))?;
    // A vault is initialized by the operator's own program, and never over the API.
    let started = sys::start_initialization(&anybody, 1, 1, None).await;
    refused(started, 403, "permission denied")
}

async fn mounts(server: &Server) -> Result<(), Failure> {
    let root = server.root()?;
    must(mount::list(&root).await?.contains_key("secret/"), "secret/")?;
    let enable = async || {
        let mut request = EnableEngineRequest::builder();
        request
            .description("a team's")
            .options(HashMap::from([("version".to_owned(), "2".to_owned())]));
        mount::enable(&root, "team", "kv", Some(&mut request)).await
    };
    enable().await?;
    let found = mount::list(&root).await?;
    let team = found.get("team/").ok_or("it is not listed")?;
    must(
        team.description == "a team's" && team.mount_type == "kv",
        format!("{team:?}"),
    )?;
    let read = mount::get_configuration_of_a_secret_engine(&root, "team").await?;
    must(read.uuid == team.uuid, format!("{read:?}"))?;
    kv2::set(&root, "team", "a", &json!({"x": "1"})).await?;
    mount::disable(&root, "team").await?;
    refused(kv2::read::<Value>(&root, "team", "a").await, 404, "")?;
    // What stood there is taken away in the background, and until then nothing else stands there.
    let free = async || match enable().await {
        Ok(()) => Ok(true),
        Err(error) => refused(Err::<(), _>(error), 400, "try again later").map(|()| false),
    };
    until(free, "the path is free again").await?;
    refused(kv2::read::<Value>(&root, "team", "a").await, 404, "")?;
    let moved = sys::remount::remount(&root, "team", "other").await;
    refused(moved, 405, "unsupported operation")
}

async fn auth_methods(server: &Server) -> Result<(), Failure> {
    let root = server.root()?;
    sys::auth::enable(&root, "machines", "approle", None).await?;
    let found = sys::auth::list(&root).await?;
    let machines = found.get("machines/").ok_or("it is not listed")?;
    must(machines.mount_type == "approle", format!("{machines:?}"))?;
    sys::auth::disable(&root, "machines").await?;
    let found = sys::auth::list(&root).await?;
    must(!found.contains_key("machines/"), "it is still there")
}

async fn policies(server: &Server) -> Result<(), Failure> {
    let root = server.root()?;
    let rules = "path \"secret/data/rules/*\" { capabilities = [\"read\"] }\npath \"secret/data/rules/denied\" { capabilities = [\"deny\"] }";
    for path in ["rules/read", "rules/denied"] {
        kv2::set(&root, "secret", path, &json!({"x": "1"})).await?;
    }
    let reader = server.limited("rules", rules).await?;
    must(
        sys::policy::read(&root, "rules").await?.rules == rules,
        "as it was written",
    )?;
    let names = sys::policy::list(&root).await?.policies;
    must(
        ["rules", "default", "root"]
            .iter()
            .all(|name| names.iter().any(|found| found == name)),
        format!("{names:?}"),
    )?;
    let found: Value = kv2::read(&reader, "secret", "rules/read").await?;
    must(found == json!({"x": "1"}), format!("{found}"))?;
    let denied = "permission denied";
    refused(
        kv2::read::<Value>(&reader, "secret", "rules/denied").await,
        403,
        denied,
    )?;
    refused(
        kv2::set(&reader, "secret", "rules/read", &json!({})).await,
        403,
        denied,
    )?;
    refused(sys::policy::list(&reader).await, 403, denied)?;
    let bad = "path \"x\" { capabilities = [\"fly\"] }";
    refused(sys::policy::set(&root, "bad", bad).await, 400, "")?;
    sys::policy::delete(&root, "rules").await?;
    refused(sys::policy::read(&root, "rules").await, 404, "")?;
    refused(
        kv2::read::<Value>(&reader, "secret", "rules/read").await,
        403,
        denied,
    )
}
