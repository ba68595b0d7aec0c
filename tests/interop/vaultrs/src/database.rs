//! `vaultrs::database` against PostgreSQL. The crate drops the ids of leases, so what is made here is taken back with the token that it was given to.

use crate::checks::{Checks, Failure, must, refused, until};
use crate::server::{Database, Server};
use vaultrs::api::database::requests::{
    PostgreSQLConnectionRequest, SetRoleRequest, SetStaticRoleRequest,
};
use vaultrs::client::Client as _;
use vaultrs::database::{connection, role, static_role};
use vaultrs::sys;

const MOUNT: &str = "database";
const CREATION: &str =
    "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";

pub async fn run(checks: &Checks, server: &Server, database: &Database) -> Result<(), Failure> {
    checks
        .covers(
            "database::connection: postgres, read, list, rotate, reset; role: set, read, list",
            "database: configured",
            configured(server, database),
        )
        .await;
    checks
        .covers(
            "database::role: creds, delete",
            "database: dynamic",
            dynamic(server, database),
        )
        .await;
    checks
        .covers(
            "database::static_role: set, read, list, creds, rotate, delete; connection::delete",
            "database: fixed",
            fixed(server, database),
        )
        .await;
    Ok(())
}

async fn configured(server: &Server, database: &Database) -> Result<(), Failure> {
    let root = server.root()?;
    sys::mount::enable(&root, MOUNT, "database", None).await?;
    database.run("DROP ROLE IF EXISTS rs_manager")?;
    database.run("CREATE ROLE rs_manager WITH SUPERUSER LOGIN PASSWORD 'first'")?;
    let mut request = PostgreSQLConnectionRequest::builder();
    request
        .plugin_name("postgresql-database-plugin")
        .connection_url(database.url_for("{{username}}", "{{password}}"))
        .username("rs_manager")
        .password("first")
        .allowed_roles(vec!["app".to_owned(), "fixed".to_owned()]);
    connection::postgres(&root, MOUNT, "main", Some(&mut request)).await?;
    must(
        connection::list(&root, MOUNT).await?.keys == ["main"],
        "listed",
    )?;
    let shown = connection::read(&root, MOUNT, "main").await?;
    must(
        shown.connection_details.username == "rs_manager"
            && !format!("{shown:?}").contains("first"),
        "the password is never shown",
    )?;
    let mut request = SetRoleRequest::builder();
    request
        .db_name("main")
        .creation_statements(vec![CREATION.to_owned()])
        .default_ttl("1h")
        .max_ttl("2h");
    role::set(&root, MOUNT, "app", Some(&mut request)).await?;
    must(role::list(&root, MOUNT).await?.keys == ["app"], "roles")?;
    let read = role::read(&root, MOUNT, "app").await?;
    must(
        read.default_ttl == 3600 && read.creation_statements == [CREATION],
        format!("{read:?}"),
    )?;
    connection::rotate(&root, MOUNT, "main").await?;
    must(
        !database.signs_in("rs_manager", "first")?,
        "its password was replaced",
    )?;
    connection::reset(&root, MOUNT, "main").await?;
    Ok(())
}

async fn dynamic(server: &Server, database: &Database) -> Result<(), Failure> {
    let root = server.root()?;
    let rules = "path \"database/creds/app\" { capabilities = [\"read\"] }";
    let user = server.limited("dba", rules).await?;
    let made = role::creds(&user, MOUNT, "app").await?;
    must(
        database.signs_in(&made.username, &made.password)?,
        "the new role signs in",
    )?;
    vaultrs::token::revoke(&root, &user.settings().token).await?;
    let gone = async || database.has_role(&made.username).map(|has| !has);
    until(gone, "the role ended with the token").await?;
    role::delete(&root, MOUNT, "app").await?;
    refused(role::read(&root, MOUNT, "app").await, 404, "")
}

async fn fixed(server: &Server, database: &Database) -> Result<(), Failure> {
    let root = server.root()?;
    database.run("DROP ROLE IF EXISTS rs_fixed")?;
    database.run("CREATE ROLE rs_fixed WITH LOGIN PASSWORD 'old'")?;
    let mut request = SetStaticRoleRequest::builder();
    request
        .db_name("main")
        .username("rs_fixed")
        .rotation_statements(vec![
            "ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}'".to_owned(),
        ])
        .rotation_period("86400s");
    static_role::set(&root, MOUNT, "fixed", Some(&mut request)).await?;
    must(
        static_role::list(&root, MOUNT).await?.keys == ["fixed"],
        "listed",
    )?;
    must(
        static_role::read(&root, MOUNT, "fixed")
            .await?
            .rotation_period
            == 86400,
        "read",
    )?;
    let first = static_role::creds(&root, MOUNT, "fixed").await?;
    must(
        first.username == "rs_fixed" && database.signs_in("rs_fixed", &first.password)?,
        "signs in",
    )?;
    static_role::rotate(&root, MOUNT, "fixed").await?;
    let second = static_role::creds(&root, MOUNT, "fixed").await?.password;
    must(
        database.signs_in("rs_fixed", &second)?
            && !database.signs_in("rs_fixed", &first.password)?,
        "rotated",
    )?;
    static_role::delete(&root, MOUNT, "fixed").await?;
    refused(static_role::read(&root, MOUNT, "fixed").await, 404, "")?;
    connection::delete(&root, MOUNT, "main").await?;
    refused(connection::read(&root, MOUNT, "main").await, 404, "")
}
