//! Sign-ins: where a person is signed in, and their end.

use super::Admin;
use super::answer::{AdminError, Answer, is_cut};
use super::described::Described;
use super::request::Called;
use axum::extract::State;
use countersign_audit::Code;
use countersign_audit::event::SignOut;
use countersign_base::{SessionId, UnixTime, UserId, Username};
use countersign_oauth::Session;
use countersign_oauth::authentication::Acr;
use countersign_store::Write;
use countersign_store::tables::{PAGE_MAX, sessions, users};
use serde::{Deserialize, Serialize};

/// The body of `POST .../users/sessions`. A name is personal data, so it does not stand in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    username: Username,
}

impl Described for Of {
    const SCHEMA: &'static str = "SessionsOf";
}

/// The live sign-ins of a person.
#[derive(Serialize)]
pub(crate) struct Listed {
    user_id: UserId,
    sessions: Vec<Known>,
    /// Whether there are more than are shown.
    more: bool,
}

/// What is told of one.
#[derive(Serialize)]
pub(crate) struct Known {
    session_id: SessionId,
    auth_time: UnixTime,
    expires: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<Acr>,
    /// What the person signed in with, as they would say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

impl From<Session> for Known {
    fn from(session: Session) -> Self {
        Self {
            session_id: session.id,
            auth_time: session.auth_time,
            expires: session.expires,
            acr: session.acr(),
            device: session.device.map(|device| device.to_string()),
        }
    }
}

pub(crate) async fn list(State(admin): State<Admin>, called: Called) -> Answer<Listed> {
    called.answered(|called| listed(&admin, called)).await
}

async fn listed(admin: &Admin, called: Called) -> Result<Listed, AdminError> {
    let (permit, body) = called.permit(admin, "session", "list").await?;
    let body: Of = body.json().await?;
    let mut connection = admin.read().await?;
    let user = users::find_by_name(&mut connection, permit.tenant(), &body.username)
        .await?
        .ok_or(AdminError::Unknown("user"))?;
    let (tenant, now) = (permit.tenant(), permit.now());
    let found = sessions::of_user(&mut connection, tenant, user.id, PAGE_MAX, now).await?;
    Ok(Listed {
        user_id: user.id,
        more: is_cut(&found),
        sessions: found.into_iter().map(Known::from).collect(),
    })
}

/// The sign-in that ended.
#[derive(Serialize)]
pub(crate) struct Ended {
    session_id: SessionId,
}

pub(crate) async fn end(State(admin): State<Admin>, called: Called) -> Answer<Ended> {
    called.answered(|called| ended(&admin, called)).await
}

async fn ended(admin: &Admin, called: Called) -> Result<Ended, AdminError> {
    let named = called.named::<SessionId>("session");
    let (permit, _body) = called.permit(admin, "session", "end").await?;
    let id = named.ok_or(AdminError::Unknown("session"))?;
    let found = {
        let mut connection = admin.read().await?;
        sessions::find(&mut connection, permit.tenant(), id).await?
    };
    let session = found.ok_or(AdminError::Unknown("session"))?;
    let event = SignOut {
        reason: Code::of("administrator"),
        session: id,
        user: session.user,
    };
    permit.change(vec![Write::EndSession(id)], event).await?;
    Ok(Ended { session_id: id })
}
