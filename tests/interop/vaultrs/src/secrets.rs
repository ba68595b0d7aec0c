//! `vaultrs::kv2` and `vaultrs::cubbyhole`.

use crate::checks::{Checks, Failure, must, refused};
use crate::server::Server;
use serde_json::{Value, json};
use std::collections::HashMap;
use vaultrs::api::kv2::requests::{
    SetConfigurationRequest, SetSecretMetadataRequest, SetSecretRequestOptions,
};
use vaultrs::client::VaultClient;
use vaultrs::{cubbyhole, kv2};

pub async fn run(checks: &Checks, server: &Server) -> Result<(), Failure> {
    let root = server.root()?;
    checks
        .covers(
            "kv2: set, set_with_options, read, read_version",
            "kv: versions",
            versions(&root),
        )
        .await;
    checks
        .covers(
            "kv2: delete_latest, delete_versions, undelete_versions, destroy_versions",
            "kv: deleting",
            deleting(&root),
        )
        .await;
    checks
        .covers(
            "kv2: list, read_metadata, set_metadata, delete_metadata, config",
            "kv: metadata",
            metadata(&root),
        )
        .await;
    checks
        .covers(
            "cubbyhole: set, get, list, delete",
            "kv: cubbyhole",
            own_cupboard(server),
        )
        .await;
    Ok(())
}

async fn set(
    root: &VaultClient,
    path: &str,
    data: Value,
    cas: u32,
) -> Result<u64, vaultrs::error::ClientError> {
    let options = SetSecretRequestOptions { cas };
    let made = kv2::set_with_options(root, "secret", path, &data, options).await?;
    Ok(made.version)
}

async fn versions(root: &VaultClient) -> Result<(), Failure> {
    must(
        set(root, "app/db", json!({"password": "one"}), 0).await? == 1,
        "version 1",
    )?;
    let again = set(root, "app/db", json!({"password": "no"}), 0).await;
    refused(
        again,
        400,
        "check-and-set parameter did not match the current version",
    )?;
    let second = kv2::set(root, "secret", "app/db", &json!({"password": "two"})).await?;
    must(
        second.version == 2 && !second.destroyed,
        format!("{second:?}"),
    )?;
    let newest: Value = kv2::read(root, "secret", "app/db").await?;
    let first: Value = kv2::read_version(root, "secret", "app/db", 1).await?;
    must(newest == json!({"password": "two"}), format!("{newest}"))?;
    must(first == json!({"password": "one"}), format!("{first}"))
}

async fn deleting(root: &VaultClient) -> Result<(), Failure> {
    for n in 1..=3 {
        kv2::set(root, "secret", "gone", &json!({"n": n})).await?;
    }
    kv2::delete_latest(root, "secret", "gone").await?;
    refused(kv2::read::<Value>(root, "secret", "gone").await, 404, "")?;
    kv2::undelete_versions(root, "secret", "gone", vec![3]).await?;
    let found: Value = kv2::read(root, "secret", "gone").await?;
    must(found == json!({"n": 3}), format!("{found}"))?;
    kv2::delete_versions(root, "secret", "gone", vec![1]).await?;
    kv2::destroy_versions(root, "secret", "gone", vec![2]).await?;
    kv2::undelete_versions(root, "secret", "gone", vec![2]).await?;
    let found = kv2::read_metadata(root, "secret", "gone").await?.versions;
    let state: Vec<_> = ["1", "2", "3"]
        .map(|n| {
            found
                .get(n)
                .map(|one| (one.deletion_time.is_empty(), one.destroyed))
        })
        .to_vec();
    must(
        state[0] == Some((false, false))
            && state[1].is_some_and(|(_, destroyed)| destroyed)
            && state[2] == Some((true, false)),
        format!("{found:?}"),
    )?;
    refused(
        kv2::read_version::<Value>(root, "secret", "gone", 2).await,
        404,
        "",
    )
}

async fn metadata(root: &VaultClient) -> Result<(), Failure> {
    for path in ["list/a", "list/b/c"] {
        kv2::set(root, "secret", path, &json!({"x": "1"})).await?;
    }
    let keys = kv2::list(root, "secret", "list").await?;
    must(keys == ["a", "b/"], format!("{keys:?}"))?;
    refused(kv2::list(root, "secret", "nothing").await, 404, "")?;
    let owner = HashMap::from([("owner".to_owned(), "team".to_owned())]);
    let mut request = SetSecretMetadataRequest::builder();
    request
        .max_versions(2u64)
        .cas_required(true)
        .custom_metadata(owner.clone());
    kv2::set_metadata(root, "secret", "list/a", Some(&mut request)).await?;
    let plain = kv2::set(root, "secret", "list/a", &json!({"x": "2"})).await;
    refused(plain, 400, "check-and-set parameter required for this call")?;
    for cas in 1..=3 {
        set(root, "list/a", json!({"x": cas}), cas).await?;
    }
    let about = kv2::read_metadata(root, "secret", "list/a").await?;
    must(
        about.custom_metadata == Some(owner)
            && about.oldest_version == 3
            && about.current_version == 4
            && about.versions.len() == 2,
        format!("{about:?}"),
    )?;
    kv2::delete_metadata(root, "secret", "list/a").await?;
    refused(kv2::read_metadata(root, "secret", "list/a").await, 404, "")?;
    let mut request = SetConfigurationRequest::builder();
    request.max_versions(20u64);
    kv2::config::set(root, "secret", Some(&mut request)).await?;
    must(
        kv2::config::read(root, "secret").await?.max_versions == 20,
        "configured",
    )
}

async fn own_cupboard(server: &Server) -> Result<(), Failure> {
    let one = server
        .limited("none", "path \"nothing\" { capabilities = [\"read\"] }")
        .await?;
    let root = server.root()?;
    cubbyhole::set(&one, "cubbyhole", "mine", &HashMap::from([("x", "1")])).await?;
    let found: Value = cubbyhole::get(&one, "cubbyhole", "mine").await?;
    must(found == json!({"x": "1"}), format!("{found}"))?;
    let keys = cubbyhole::list(&one, "cubbyhole", "").await?.data.keys;
    must(keys == ["mine"], format!("{keys:?}"))?;
    refused(
        cubbyhole::get::<Value>(&root, "cubbyhole", "mine").await,
        404,
        "",
    )?;
    cubbyhole::delete(&one, "cubbyhole", "mine").await?;
    refused(
        cubbyhole::get::<Value>(&one, "cubbyhole", "mine").await,
        404,
        "",
    )
}
