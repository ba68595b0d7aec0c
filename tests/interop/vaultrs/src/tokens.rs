//! `vaultrs::token`, and answers that are wrapped.

use crate::checks::{Checks, Failure, must, refused};
use crate::server::Server;
use serde_json::{Value, json};
use std::collections::HashMap;
use vaultrs::api::ResponseWrapper as _;
use vaultrs::api::kv2::requests::ReadSecretRequest;
use vaultrs::api::token::requests::{
    CreateOrphanTokenRequest, CreateRoleTokenRequest, CreateTokenRequest, SetTokenRoleRequest,
};
use vaultrs::client::{Client as _, VaultClient};
use vaultrs::error::ClientError;
use vaultrs::sys::wrapping;
use vaultrs::{kv2, token};

pub async fn run(checks: &Checks, server: &Server) -> Result<(), Failure> {
    let root = server.root()?;
    checks
        .covers("token: new, lookup, lookup_accessor, renew, renew_accessor, revoke, revoke_accessor, revoke_orphan", "token: life", life(server, &root))
        .await;
    // The crate writes both paths with a TAB before them, which the parser of URLs drops.
    checks
        .covers(
            "token: lookup_self, renew_self, revoke_self",
            "token: itself",
            itself(server, &root),
        )
        .await;
    checks
        .covers(
            "token: new_orphan, new_role, role: set, read, list, delete",
            "token: family",
            family(server, &root),
        )
        .await;
    checks
        .covers(
            "ResponseWrapper: wrap, lookup, unwrap; sys::wrapping: lookup, unwrap",
            "token: wrapping",
            wrapped(server, &root),
        )
        .await;
    Ok(())
}

fn default() -> Vec<String> {
    vec!["default".to_owned()]
}

async fn made(root: &VaultClient) -> Result<String, Failure> {
    let mut request = CreateTokenRequest::builder();
    request.policies(default());
    Ok(token::new(root, Some(&mut request)).await?.client_token)
}

async fn life(server: &Server, root: &VaultClient) -> Result<(), Failure> {
    let meta = HashMap::from([("of".to_owned(), "test".to_owned())]);
    let mut request = CreateTokenRequest::builder();
    request
        .policies(default())
        .ttl("1h")
        .meta(meta.clone())
        .display_name("worker");
    let auth = token::new(root, Some(&mut request)).await?;
    must(
        auth.renewable
            && auth.lease_duration == 3600
            && auth.token_type == "service"
            && !auth.orphan,
        "what was made",
    )?;
    let about = token::lookup(root, &auth.client_token).await?;
    must(
        about.accessor == auth.accessor
            && about.meta == Some(meta)
            && about.path == "auth/token/create"
            && about.ttl <= 3600,
        "lookup",
    )?;
    let about = token::lookup_accessor(root, &auth.accessor).await?;
    must(about.id.is_empty(), "an accessor does not give the token")?;
    must(
        token::renew(root, &auth.client_token, Some("2h"))
            .await?
            .lease_duration
            <= 7200,
        "renewed",
    )?;
    token::renew_accessor(root, &auth.accessor, None).await?;
    token::revoke_accessor(root, &auth.accessor).await?;
    must(
        !server.lives(&auth.client_token).await?,
        "revoked by its accessor",
    )?;
    let (one, other) = (made(root).await?, made(root).await?);
    token::revoke(root, &one).await?;
    token::revoke_orphan(root, &other).await?;
    must(
        !server.lives(&one).await? && !server.lives(&other).await?,
        "revoked",
    )
}

async fn itself(server: &Server, root: &VaultClient) -> Result<(), Failure> {
    let mut request = CreateTokenRequest::builder();
    request.policies(default()).ttl("1h");
    let auth = token::new(root, Some(&mut request)).await?;
    let worker = server.client(&auth.client_token)?;
    must(worker.lookup().await?.id == auth.client_token, "itself")?;
    let renewed = worker.renew(Some("2h")).await?;
    must(
        renewed.client_token == auth.client_token
            && (3601..=7200).contains(&renewed.lease_duration),
        format!("{}", renewed.lease_duration),
    )?;
    token::renew_self(&worker, None).await?;
    worker.revoke().await?;
    must(!server.lives(&auth.client_token).await?, "revoked")?;
    refused(worker.lookup().await, 403, "permission denied")
}

async fn family(server: &Server, root: &VaultClient) -> Result<(), Failure> {
    let rules = "path \"auth/token/create\" { capabilities = [\"update\"] }";
    let parent = server.limited("parent", rules).await?;
    let mut request = CreateTokenRequest::builder();
    request.policies(vec!["parent".to_owned()]);
    let child = token::new(&parent, Some(&mut request)).await?.client_token;
    let mut request = CreateOrphanTokenRequest::builder();
    request.policies(default());
    let orphan = token::new_orphan(root, Some(&mut request)).await?;
    must(orphan.orphan, "an orphan")?;
    let mut request = CreateTokenRequest::builder();
    request.policies(vec!["root".to_owned()]);
    refused(token::new(&parent, Some(&mut request)).await, 400, "")?;
    parent.revoke().await?;
    must(
        !server.lives(&child).await? && server.lives(&orphan.client_token).await?,
        "children end with their parent",
    )?;
    let mut request = CreateTokenRequest::builder();
    request.policies(default()).num_uses(1u64);
    let once = token::new(root, Some(&mut request)).await?.client_token;
    must(
        server.lives(&once).await? && !server.lives(&once).await?,
        "one use",
    )?;
    let mut request = SetTokenRoleRequest::builder();
    request.allowed_policies(default()).orphan(true);
    token::role::set(root, "batch", Some(&mut request)).await?;
    must(token::role::list(root).await?.keys == ["batch"], "roles")?;
    let role = token::role::read(root, "batch").await?;
    must(
        role.orphan && role.allowed_policies == default(),
        format!("{role:?}"),
    )?;
    let mut request = CreateRoleTokenRequest::builder();
    request.policies(default());
    must(
        token::new_role(root, "batch", Some(&mut request))
            .await?
            .orphan,
        "by role",
    )?;
    token::role::delete(root, "batch").await?;
    refused(token::role::read(root, "batch").await, 404, "")
}

async fn wrapped(server: &Server, root: &VaultClient) -> Result<(), Failure> {
    kv2::set(root, "secret", "wrapped", &json!({"x": "1"})).await?;
    let read = || {
        ReadSecretRequest::builder()
            .mount("secret")
            .path("wrapped")
            .build()
    };
    let answer = read()?.wrap(root).await?;
    must(
        answer.info.ttl == 600 && answer.info.creation_path == "secret/data/wrapped",
        "what it says of itself",
    )?;
    let looked = answer.lookup(root).await?;
    must(
        looked.creation_path == "secret/data/wrapped" && looked.creation_ttl == 600,
        format!("{looked:?}"),
    )?;
    must(
        answer.unwrap(root).await?.data == json!({"x": "1"}),
        "unwrapped",
    )?;
    refused(answer.unwrap(root).await, 400, "")?;
    must(
        matches!(
            answer.lookup(root).await,
            Err(ClientError::WrapInvalidError)
        ),
        "there is nothing left to look up",
    )?;
    // Whoever has the wrapping token needs no other.
    let again = read()?.wrap(root).await?.info.token;
    let looked = wrapping::lookup(&server.client("")?, &again).await?;
    must(looked.creation_ttl == 600, format!("{looked:?}"))?;
    let found: Value = wrapping::unwrap(&server.client(&again)?, None).await?;
    must(found["data"] == json!({"x": "1"}), format!("{found}"))
}
