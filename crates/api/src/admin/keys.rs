//! Keys: those that sign, of a tenant, and those that encrypt, of the installation.
//!
//! What belongs to the installation is asked for in the tenant `default`.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::request::Called;
use axum::extract::State;
use countersign_audit::Code;
use countersign_audit::event::Actor;
use countersign_base::{Kid, Tenant};
use countersign_control::KeyRingError;
use countersign_control::rotation::{AskedBy, KekStatus, RotationError, UnderWay};
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
    key_encryption: KeyEncryption,
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

async fn key_encryption_rotated(admin: &Admin, called: Called) -> Result<VersionMade, AdminError> {
    let (permit, _body) = called.permit(admin, "key", "rotate_key_encryption").await?;
    if *permit.tenant() != Tenant::default_tenant() {
        return Err(AdminError::Unknown(
            "key in this tenant: it is the installation's, and is rotated in `default`",
        ));
    }
    let asked = AskedBy {
        by: Actor::LocalAdministrator,
        request: Some(permit.request()),
        reason: Code::of("demand"),
    };
    let rotation = admin.fabric.rotation();
    let version = rotation.rotate_key_encryption(asked).await?;
    Ok(VersionMade { version })
}

pub(crate) async fn status(State(admin): State<Admin>, called: Called) -> Answer<KeysStatus> {
    called.answered(|called| shown(&admin, called)).await
}

async fn shown(admin: &Admin, called: Called) -> Result<KeysStatus, AdminError> {
    let (_permit, _body) = called.permit(admin, "key", "status").await?;
    let key_encryption = admin.fabric.rotation().key_encryption().await?.into();
    Ok(KeysStatus { key_encryption })
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
            RotationError::VersionsMax => Self::Invalid(error.to_string()),
            RotationError::Secrets(_) | RotationError::Store(_) => Self::Unavailable,
        }
    }
}
