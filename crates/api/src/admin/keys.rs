//! Keys.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::request::Called;
use axum::extract::State;
use countersign_base::Kid;
use countersign_control::KeyRingError;
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
