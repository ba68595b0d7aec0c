//! Initial access tokens (RFC 7591 §3): each is good for one registration, and only a keyed hash of it is kept.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::described::Described;
use super::request::Called;
use axum::extract::State;
use countersign_audit::Count;
use countersign_audit::event::{Actor, RegistrationTokenMade};
use countersign_base::{Duration, UnixTime};
use countersign_oauth::registration::InitialAccess;
use countersign_oauth::tenant::registration::RegistrationMode;
use countersign_store::{InitialAccessToken, NewOneTime, Write};
use serde::{Deserialize, Serialize};

/// How long a token is good unless the caller says otherwise: a day.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// And at most: thirty days.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// The body of `POST .../registration-tokens`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Make {
    /// Seconds.
    expires_in: Option<u64>,
}

impl Described for Make {
    const SCHEMA: &'static str = "RegistrationTokenMake";
}

/// Its answer: the token stands here once and nowhere else.
#[derive(Serialize)]
pub(crate) struct Made {
    initial_access_token: String,
    expires: UnixTime,
}

pub(crate) async fn make(State(admin): State<Admin>, called: Called) -> Answer<Made> {
    called.answered(|called| made(&admin, called)).await
}

async fn made(admin: &Admin, called: Called) -> Result<Made, AdminError> {
    let (permit, body) = called.permit(admin, "registration_token", "add").await?;
    let body: Make = body.json().await?;
    let lifetime = body.expires_in.map_or(LIFETIME, Duration::from_secs);
    if lifetime.is_zero() || lifetime > LIFETIME_MAX {
        return Err(AdminError::Invalid(format!(
            "expected `expires_in` between 1 and {} seconds",
            LIFETIME_MAX.as_secs()
        )));
    }
    let (fabric, tenant) = (&admin.fabric, permit.tenant().clone());
    let mode = fabric.directory().tenant(&tenant);
    if mode.is_none_or(|tenant| tenant.registration.mode == RegistrationMode::Closed) {
        return Err(AdminError::Invalid(
            "nobody registers with this tenant: give it `[tenants.registration]` with a `mode`"
                .to_owned(),
        ));
    }
    let token = fabric.random().token();
    let handle = fabric
        .secrets()
        .handle::<InitialAccessToken>(&tenant, token.expose());
    let expires = permit.now().plus(lifetime);
    let record = InitialAccess {
        tenant: tenant.clone(),
        expires,
    };
    let row = NewOneTime::new::<InitialAccessToken>(&handle, &record, expires)
        .map_err(|_| AdminError::Unavailable)?;
    let event = RegistrationTokenMade {
        by: Actor::LocalAdministrator,
        lifetime: Count::of(lifetime.as_secs()),
    };
    permit.change(vec![Write::AddOneTime(row)], event).await?;
    Ok(Made {
        initial_access_token: token.expose().clone(),
        expires,
    })
}
