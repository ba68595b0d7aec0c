//! People.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::described::Described;
use super::request::Called;
use axum::extract::State;
use countersign_audit::Code;
use countersign_audit::event::{Actor, UserAdded, UserChanged};
use countersign_base::{Bounded, Role, Secret, Tenant, UserId, Username};
use countersign_crypto::password::StoredHash;
use countersign_oauth::client::Origin;
use countersign_oauth::user::AttributeName;
use countersign_oauth::{StoredPassword, UserRecord};
use countersign_store::Write;
use countersign_store::tables::revocations::Revoked;
use countersign_store::tables::users;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The body of `POST .../users`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    username: Username,
    /// In clear; or else its hash.
    password: Option<String>,
    password_hash: Option<String>,
    #[serde(default)]
    roles: BTreeSet<Role>,
    #[serde(default)]
    attributes: BTreeMap<AttributeName, Bounded<256>>,
}

impl Described for Add {
    const SCHEMA: &'static str = "UserAdd";
}

/// The body of `POST .../users/disable`. A name is personal data, so it does not stand in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disable {
    username: Username,
}

impl Described for Disable {
    const SCHEMA: &'static str = "UserDisable";
}

/// The person, by the id that tokens and records know them by.
#[derive(Serialize)]
pub(crate) struct Person {
    user_id: UserId,
}

pub(crate) async fn add(State(admin): State<Admin>, called: Called) -> Answer<Person> {
    called.answered(|called| added(&admin, called)).await
}

async fn added(admin: &Admin, called: Called) -> Result<Person, AdminError> {
    let (permit, body) = called.permit(admin, "user", "add").await?;
    let body: Add = body.json().await?;
    let password = match (body.password, body.password_hash) {
        (Some(password), None) => {
            let password = Secret::new(password);
            chosen(admin, permit.tenant(), &body.username, password).await?
        }
        (None, Some(hash)) => imported(hash)?,
        (Some(_), Some(_)) | (None, None) => {
            let expected = "expected either `password` or `password_hash`";
            return Err(AdminError::Invalid(expected.to_owned()));
        }
    };
    let id = admin.fabric.random().user_id();
    let record = UserRecord {
        id,
        tenant: permit.tenant().clone(),
        username: body.username,
        password: Some(password),
        roles: body.roles,
        groups: BTreeSet::new(),
        attributes: body.attributes,
        profile: countersign_oauth::Profile::default(),
        enabled: true,
        origin: Origin::Script,
        created: permit.now(),
    };
    let event = UserAdded {
        by: Actor::LocalAdministrator,
        user: id,
    };
    permit
        .change(vec![Write::AddUser(Box::new(record))], event)
        .await?;
    Ok(Person { user_id: id })
}

/// The hash of a password that the tenant's rules take.
async fn chosen(
    admin: &Admin,
    tenant: &Tenant,
    username: &Username,
    password: Secret<String>,
) -> Result<StoredPassword, AdminError> {
    let rules = admin.fabric.directory().tenant(tenant);
    let rules = rules.map(|tenant| tenant.authentication.passwords());
    let rules = rules.ok_or(AdminError::Unknown("tenant"))?;
    let passwords = admin.fabric.passwords();
    let chosen = passwords
        .judge(password, username, rules)
        .map_err(|refused| AdminError::Invalid(refused.to_string()))?;
    let hash = passwords
        .create(chosen)
        .await
        .map_err(|_| AdminError::Unavailable)?;
    let hash = hash.map_err(|error| AdminError::Invalid(error.to_string()))?;
    Ok(StoredPassword::new(hash.to_string()))
}

/// A hash from elsewhere, as it is: the password is not here, so no rule can judge it. It is replaced by one of ours at the next sign-in if it is weaker.
fn imported(hash: String) -> Result<StoredPassword, AdminError> {
    match StoredHash::parse(&hash) {
        Ok(_read) => Ok(StoredPassword::new(hash)),
        Err(error) => Err(AdminError::Invalid(error.to_string())),
    }
}

pub(crate) async fn disable(State(admin): State<Admin>, called: Called) -> Answer<Person> {
    called.answered(|called| disabled(&admin, called)).await
}

async fn disabled(admin: &Admin, called: Called) -> Result<Person, AdminError> {
    let (permit, body) = called.permit(admin, "user", "disable").await?;
    let body: Disable = body.json().await?;
    let found = {
        let mut connection = admin.read().await?;
        users::find_by_name(&mut connection, permit.tenant(), &body.username).await?
    };
    let mut record = found.ok_or(AdminError::Unknown("user"))?;
    if record.origin == Origin::Configuration {
        return Err(AdminError::Declared);
    }
    let id = record.id;
    record.enabled = false;
    let event = UserChanged {
        by: Actor::LocalAdministrator,
        change: Code::of("disabled"),
        user: id,
    };
    let writes = vec![
        Write::PutUser(Box::new(record)),
        Write::Revoke(Revoked::User(id)),
    ];
    permit.change(writes, event).await?;
    Ok(Person { user_id: id })
}
