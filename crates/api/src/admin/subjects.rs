//! Erasure: a person's key, record, sign-ins, grants and tokens, and what it cannot reach.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::request::Called;
use axum::extract::State;
use countersign_audit::event::Actor;
use countersign_base::{ClientId, EventId, UnixTime, UserId};
use countersign_control::erasure;
use countersign_crypto::base64url;
use countersign_oauth::client::Origin;
use countersign_store::Write;
use countersign_store::tables::{subject_keys, users};
use serde::Serialize;
use std::collections::BTreeSet;

/// What was done, and what it does not reach.
#[derive(Serialize)]
pub(crate) struct Erased {
    user_id: UserId,
    /// When.
    erased_at: UnixTime,
    /// The receipt. Absent where the person had been erased before: it was given out then.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
    remains: Vec<Remains>,
}

/// The event, and what opens its commitment.
#[derive(Serialize)]
struct Receipt {
    event_id: EventId,
    /// Sixteen bytes in base64url; they stand nowhere else.
    salt: String,
}

/// Something elsewhere that erasing a key does not reach.
#[derive(Serialize)]
struct Remains {
    what: &'static str,
    note: &'static str,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    clients: BTreeSet<ClientId>,
    /// Copies and backups until then are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<UnixTime>,
}

pub(crate) async fn erase(State(admin): State<Admin>, called: Called) -> Answer<Erased> {
    called.answered(|called| erased(&admin, called)).await
}

async fn erased(admin: &Admin, called: Called) -> Result<Erased, AdminError> {
    let named = called.named::<UserId>("user");
    let (permit, _body) = called.permit(admin, "subject", "erase").await?;
    let user = named.ok_or(AdminError::Unknown("user"))?;
    let (fabric, tenant) = (&admin.fabric, permit.tenant().clone());
    let mut connection = admin.read().await?;
    let record = users::find(&mut connection, &tenant, user).await?;
    let key = subject_keys::find(&mut connection, &tenant, user).await?;
    drop(connection);
    if record.is_none() && key == subject_keys::SubjectKey::Absent {
        return Err(AdminError::Unknown("user"));
    }
    // One that the configuration declares would be made anew at the next start.
    if record.is_some_and(|record| record.origin == Origin::Configuration && record.enabled) {
        return Err(AdminError::Declared);
    }
    let before = match key {
        subject_keys::SubjectKey::Erased(at) => Some(at),
        subject_keys::SubjectKey::Absent | subject_keys::SubjectKey::Wrapped(_) => None,
    };
    let clients = erasure::third_parties(fabric, &tenant, user).await?;
    let (erased_at, receipt) = match before {
        Some(at) => (at, None),
        None => {
            let (event, salt) = erasure::receipt(fabric, Actor::LocalAdministrator, &tenant, user);
            let event_id = permit
                .change(vec![Write::EraseSubject(user)], event)
                .await?;
            let salt = base64url::encode(&salt);
            (fabric.now(), Some(Receipt { event_id, salt }))
        }
    };
    // Committed; asked once more, it completes what could not be written to the file.
    let forgotten = fabric.details().take_erasures().await;
    forgotten.map_err(|_| AdminError::Unavailable)?;
    Ok(Erased {
        user_id: user,
        erased_at,
        receipt,
        remains: remains(clients, erased_at),
    })
}

fn remains(clients: BTreeSet<ClientId>, erased_at: UnixTime) -> Vec<Remains> {
    let place = |what, note, until| Remains {
        what,
        note,
        clients: BTreeSet::new(),
        until,
    };
    let mut places = vec![
        place(
            "epoch_key_copies",
            "copies of keys/epochs from before still open what was sealed for this person in backups from before: destroy them on every node and wherever they are kept",
            Some(erased_at),
        ),
        place(
            "backups",
            "what was sealed for this person does not open from them any more with the epoch key of now; their record stands in those from before until they are destroyed, and is erased again by the start after a restore",
            Some(erased_at),
        ),
        place(
            "audit_log",
            "records name people by a random identifier and by salted commitments; they stay, and the log verifies",
            None,
        ),
        place(
            "expiring_rows",
            "ended sign-ins, revoked grants and sealed questions, by the same identifier, until they expire",
            None,
        ),
    ];
    if !clients.is_empty() {
        places.push(Remains {
            clients,
            ..place(
                "third_parties",
                "these clients were told of the person and may keep what they were told: ask them",
                None,
            )
        });
    }
    places
}
