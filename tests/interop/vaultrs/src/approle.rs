//! `vaultrs::auth::approle`.

use crate::checks::{Checks, Failure, must, refused};
use crate::server::Server;
use vaultrs::api::auth::approle::requests::{GenerateNewSecretIDRequest, SetAppRoleRequest};
use vaultrs::auth::approle::{self, role};
use vaultrs::sys;

const MOUNT: &str = "approle";

pub async fn run(checks: &Checks, server: &Server) -> Result<(), Failure> {
    checks
        .covers(
            "auth::approle: login, tidy; role: set, read, list, read_id, update_id, delete; role::secret: generate, custom, read, read_accessor, list, delete, delete_accessor",
            "approle: signs in",
            signs_in(server),
        )
        .await;
    Ok(())
}

async fn signs_in(server: &Server) -> Result<(), Failure> {
    let (root, machine) = (server.root()?, server.client("")?);
    sys::auth::enable(&root, MOUNT, "approle", None).await?;
    let mut request = SetAppRoleRequest::builder();
    request
        .token_policies(vec!["default".to_owned()])
        .token_ttl("10m")
        .secret_id_num_uses(2u64);
    role::set(&root, MOUNT, "app", Some(&mut request)).await?;
    must(role::list(&root, MOUNT).await?.keys == ["app"], "listed")?;
    let read = role::read(&root, MOUNT, "app").await?;
    must(
        read.token_ttl == 600 && read.secret_id_num_uses == 2,
        format!("{read:?}"),
    )?;
    let role_id = role::read_id(&root, MOUNT, "app").await?.role_id;
    let mut request = GenerateNewSecretIDRequest::builder();
    request.metadata("{\"host\": \"one\"}");
    let made = role::secret::generate(&root, MOUNT, "app", Some(&mut request)).await?;
    let auth = approle::login(&machine, MOUNT, &role_id, &made.secret_id).await?;
    let named = auth
        .metadata
        .is_some_and(|about| about.get("role_name").is_some_and(|name| name == "app"));
    must(auth.lease_duration == 600 && named, "signed in")?;
    must(server.lives(&auth.client_token).await?, "the token is good")?;
    let left = role::secret::read(&root, MOUNT, "app", &made.secret_id).await?;
    must(left.secret_id_num_uses == 1, format!("{left:?}"))?;
    let left = role::secret::read_accessor(&root, MOUNT, "app", &made.secret_id_accessor).await?;
    must(
        left.metadata
            .is_some_and(|about| about.get("host").is_some_and(|host| host == "one")),
        "by accessor",
    )?;
    approle::login(&machine, MOUNT, &role_id, &made.secret_id).await?;
    refused(
        approle::login(&machine, MOUNT, &role_id, &made.secret_id).await,
        400,
        "",
    )?;
    refused(
        approle::login(&machine, MOUNT, "nobody", &made.secret_id).await,
        400,
        "",
    )?;
    let chosen = "chosen-by-somebody-0123456789";
    role::secret::custom(&root, MOUNT, "app", chosen, None).await?;
    approle::login(&machine, MOUNT, &role_id, chosen).await?;
    role::secret::delete(&root, MOUNT, "app", chosen).await?;
    refused(
        approle::login(&machine, MOUNT, &role_id, chosen).await,
        400,
        "",
    )?;
    let made = role::secret::generate(&root, MOUNT, "app", None).await?;
    let accessors = role::secret::list(&root, MOUNT, "app").await?.keys;
    must(accessors.contains(&made.secret_id_accessor), "accessors")?;
    role::secret::delete_accessor(&root, MOUNT, "app", &made.secret_id_accessor).await?;
    refused(
        approle::login(&machine, MOUNT, &role_id, &made.secret_id).await,
        400,
        "",
    )?;
    approle::tidy(&root, MOUNT).await?;
    role::update_id(&root, MOUNT, "app", "known-name").await?;
    must(
        role::read_id(&root, MOUNT, "app").await?.role_id == "known-name",
        "role id",
    )?;
    role::delete(&root, MOUNT, "app").await?;
    refused(role::read(&root, MOUNT, "app").await, 404, "")
}
