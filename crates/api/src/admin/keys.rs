//! Keys: those that sign and those that seal the vault, of a tenant, and those that encrypt keys, of the installation.
//!
//! What belongs to the installation is asked for in the tenant `default`.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::request::{Called, Permit};
use axum::extract::State;
use countersign_audit::Code;
use countersign_audit::event::Actor;
use countersign_base::{Kid, Tenant};
use countersign_control::KeyRingError;
use countersign_control::rotation::{AskedBy, DataKeysStatus, KekStatus, RotationError, UnderWay};
use countersign_keys::rewrap::RewrapProgress;
use serde::Serialize;

/// The keys that sign from now on.
#[derive(Serialize)]
pub(crate) struct Rotated {
    kids: Vec<Kid>,
}

pub(crate) async fn rotate(State(admin): State<Admin>, called: Called) -> Answer<Rotated> {
    called.answered(|called| rotated(&admin, called)).await
}

async fn rotated(admin: &Admin, called: Called) -> Result<Rotated, AdminError> {
    let (permit, _body) = called.permit(admin, "key", "rotate").await?;
    match admin.fabric.keys().rotate(permit.tenant()).await {
        Ok(kids) => Ok(Rotated { kids }),
        Err(KeyRingError::NotYet(not_yet)) => Err(AdminError::NotYet(not_yet.at)),
        Err(KeyRingError::UnknownTenant(_)) => Err(AdminError::Unknown("tenant")),
        Err(
            KeyRingError::Open(_)
            | KeyRingError::Seal(_)
            | KeyRingError::Signing(_)
            | KeyRingError::Store(_),
        ) => Err(AdminError::Unavailable),
    }
}

/// A version that seals from now on.
#[derive(Serialize)]
pub(crate) struct VersionMade {
    version: u32,
}

/// Where the keys that encrypt stand.
#[derive(Serialize)]
pub(crate) struct KeysStatus {
    data: Data,
    key_encryption: KeyEncryption,
}

/// A data key that seals from now on.
#[derive(Serialize)]
pub(crate) struct TermMade {
    term: u64,
}

/// The root key was changed.
#[derive(Serialize)]
pub(crate) struct RootRotated {
    rotated: i64,
}

#[derive(Serialize)]
struct Data {
    keys: Vec<DataKey>,
    left: u64,
}

#[derive(Serialize)]
struct DataKey {
    term: u64,
    created: i64,
    messages: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct KeyEncryption {
    sealing: u32,
    versions: Vec<Version>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rewrap: Option<RewrapProgress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<Finished>,
}

#[derive(Serialize)]
struct Version {
    version: u32,
    created: i64,
}

#[derive(Serialize)]
struct Finished {
    version: u32,
    rewrapped: u64,
    at: i64,
}

pub(crate) async fn rotate_key_encryption(
    State(admin): State<Admin>,
    called: Called,
) -> Answer<VersionMade> {
    called
        .answered(|called| key_encryption_rotated(&admin, called))
        .await
}

fn asked(permit: &Permit<'_>) -> AskedBy {
    AskedBy {
        by: Actor::LocalAdministrator,
        request: Some(permit.request()),
        reason: Code::of("demand"),
    }
}

/// As [`asked`], for a key of the installation.
fn asked_of_installation(permit: &Permit<'_>) -> Result<AskedBy, AdminError> {
    if *permit.tenant() == Tenant::default_tenant() {
        Ok(asked(permit))
    } else {
        Err(AdminError::Unknown(
            "key in this tenant: it is the installation's, and is rotated in `default`",
        ))
    }
}

pub(crate) async fn rotate_root(State(admin): State<Admin>, called: Called) -> Answer<RootRotated> {
    called.answered(|called| root_rotated(&admin, called)).await
}

async fn root_rotated(admin: &Admin, called: Called) -> Result<RootRotated, AdminError> {
    let (permit, _body) = called.permit(admin, "key", "rotate_root").await?;
    let asked = asked_of_installation(&permit)?;
    let rotated = permit.now().0;
    admin.fabric.rotation().rotate_root(asked).await?;
    Ok(RootRotated { rotated })
}

pub(crate) async fn rotate_data(State(admin): State<Admin>, called: Called) -> Answer<TermMade> {
    called.answered(|called| data_rotated(&admin, called)).await
}

async fn data_rotated(admin: &Admin, called: Called) -> Result<TermMade, AdminError> {
    let (permit, _body) = called.permit(admin, "key", "rotate_data").await?;
    let rotation = admin.fabric.rotation();
    let term = rotation
        .rotate_data(permit.tenant(), asked(&permit))
        .await?;
    Ok(TermMade { term })
}

async fn key_encryption_rotated(admin: &Admin, called: Called) -> Result<VersionMade, AdminError> {
    let (permit, _body) = called.permit(admin, "key", "rotate_key_encryption").await?;
    let asked = asked_of_installation(&permit)?;
    let rotation = admin.fabric.rotation();
    let version = rotation.rotate_key_encryption(asked).await?;
    Ok(VersionMade { version })
}

pub(crate) async fn status(State(admin): State<Admin>, called: Called) -> Answer<KeysStatus> {
    called.answered(|called| shown(&admin, called)).await
}

async fn shown(admin: &Admin, called: Called) -> Result<KeysStatus, AdminError> {
    let (permit, _body) = called.permit(admin, "key", "status").await?;
    let rotation = admin.fabric.rotation();
    Ok(KeysStatus {
        data: rotation.data_keys(permit.tenant()).await?.into(),
        key_encryption: rotation.key_encryption().await?.into(),
    })
}

impl From<DataKeysStatus> for Data {
    fn from(status: DataKeysStatus) -> Self {
        let keys = status.keys.into_iter().map(|row| DataKey {
            term: row.term,
            created: row.created.0,
            messages: row.taken.messages,
            bytes: row.taken.bytes,
        });
        Self {
            keys: keys.collect(),
            left: status.left,
        }
    }
}

impl From<KekStatus> for KeyEncryption {
    fn from(status: KekStatus) -> Self {
        let (state, rewrap, destroy_at) = match status.under_way {
            UnderWay::Nothing => ("idle", None, None),
            UnderWay::Rewrapping(progress) => ("rewrapping", Some(progress), None),
            UnderWay::Waiting(at) => ("waiting", None, Some(at.0)),
        };
        let versions = status.versions.into_iter().map(|version| Version {
            version: version.version,
            created: version.created.0,
        });
        Self {
            sealing: status.sealing,
            versions: versions.collect(),
            state,
            rewrap,
            destroy_at,
            finished: status.finished.map(|finished| Finished {
                version: finished.version.0,
                rewrapped: finished.rewrapped,
                at: finished.at.0,
            }),
        }
    }
}

impl From<RotationError> for AdminError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::Raced => Self::Exists,
            RotationError::HeldByOperators | RotationError::VersionsMax => {
                Self::Invalid(error.to_string())
            }
            RotationError::NoDataKey => Self::Unknown("key: nothing is in the tenant's vault yet"),
            RotationError::Seal(_) | RotationError::Secrets(_) | RotationError::Store(_) => {
                tracing::error!(event = "key_not_rotated", %error);
                Self::Unavailable
            }
        }
    }
}
