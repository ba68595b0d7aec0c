//! `sys/`: mounts, policies, capabilities; what of it is about leases and wrapping is answered by [`crate::lease`] and [`crate::wrapping`].
//!
//! | path | what it does |
//! |---|---|
//! | `sys/mounts`, `sys/auth`, and below | engines and auth methods: listed, mounted, tuned, taken away ([`crate::system`] `removal`) |
//! | `sys/internal/ui/mounts/PATH` | what stands at a path, for clients that have to know the version of a KV engine |
//! | `sys/policy`, `sys/policies/acl`, and below | ACL policies ([`crate::acl`]) |
//! | `sys/capabilities-self` and its like | what a token may do at paths |
//! | `sys/audit`, `sys/audit-hash/journal` | the one audit device, which cannot be taken away and beside which none can be put |
//! | `sys/leader`, `sys/ha-status` | every node serves |
//! | `sys/rekey/init`, `sys/rekey-recovery-key/init`, `sys/generate-root/attempt` | `DELETE` gives up what somebody else began (`sudo`) |
//! | `sys/rotate`, `sys/key-status` | another key seals the tenant's entries; which one does |
//! | `sys/seal` | the root key is let go of, where operators hold shares of what is above it |
//!
//! Not here: what is asked before the vault is open, and what opens it. The shell answers `sys/health`, `sys/init`, `sys/seal-status` and their like.

mod capabilities;
mod mounts;
mod policies;
mod removal;

use crate::VaultError;
use crate::answer::{Answer, Effect, Outcome, QuorumOperation};
use crate::call::{Call, Cx, Operation};
use crate::engine;
use crate::entry::EntryName;
use crate::timestamp;
use crate::work::{EffectResult, Stop, Then, Work};
use countersign_crypto::mac::MacKey;
use mounts::Table;
use serde_json::json;

/// The name of the one audit device.
const AUDIT_DEVICE: &str = "journal";

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let segments = call.segments();
    let (operation, segments) = (call.operation, segments.as_slice());
    let done = match (segments, operation) {
        (["mounts", below @ ..], _) => mounts::run(Table::Engines, below, call, work, cx)?,
        (["auth", below @ ..], _) => mounts::run(Table::Auth, below, call, work, cx)?,
        (["internal", "ui", "mounts", below @ ..], Operation::Read) => {
            mounts::shown(below, call, work)?
        }
        (["policy"], Operation::List | Operation::Read) => policies::list(work)?,
        (["policies", "acl"], Operation::List) => policies::list(work)?,
        (["policy" | "policies", name @ ..], _) => policies::run(name, call, work, cx)?,
        (["capabilities-self"], Operation::Update) => capabilities::of_self(call, work)?,
        (["capabilities" | "capabilities-accessor"], Operation::Update) => {
            capabilities::of_another(call, work, cx)?
        }
        (["audit"], Operation::Read) => audit_devices(),
        (["audit", _, ..], _) => return Err(no_audit_device()),
        (["audit-hash", device], Operation::Update) => audit_hash_of(device, call, cx)?,
        (["leader"], Operation::Read) => leader(),
        (["rotate"] | ["rotate", "keyring"], Operation::Update) => {
            return Ok(Outcome::Then(Box::new(Then {
                effect: Effect::RotateDataKey,
                next: engine::Next::DataKey,
            })));
        }
        (["key-status"], Operation::Read) => {
            return Ok(Outcome::Then(Box::new(Then {
                effect: Effect::DataKey,
                next: engine::Next::DataKey,
            })));
        }
        (["seal"], Operation::Update) => {
            return Ok(Outcome::Then(Box::new(Then {
                effect: Effect::Seal,
                next: engine::Next::Sealed,
            })));
        }
        (["rekey" | "rekey-recovery-key", "init"], Operation::Delete) => {
            return Ok(cancel(QuorumOperation::Rekey));
        }
        (["generate-root", "attempt"], Operation::Delete) => {
            return Ok(cancel(QuorumOperation::RootToken));
        }
        (["ha-status"], Operation::Read) => Answer::data(json!({ "nodes": [] })),
        // The shell answers these; and what is not this program's is not there.
        _ => return Err(VaultError::Unsupported.into()),
    };
    Ok(done.into())
}

/// An operation that somebody else may have started is given up.
fn cancel(operation: QuorumOperation) -> Outcome {
    Outcome::Then(Box::new(Then {
        effect: Effect::CancelQuorum(operation),
        next: engine::Next::QuorumCancelled,
    }))
}

/// What follows the cancelling of an operation.
///
/// # Errors
/// When it could not be recorded, or nobody holds shares.
pub fn quorum_cancelled(result: &EffectResult) -> Result<Outcome, Stop> {
    match result {
        EffectResult::DataKey(_) | EffectResult::Done => Ok(Answer::nothing().into()),
        EffectResult::Failed(text) => Err(VaultError::invalid(text.clone()).into()),
    }
}

/// What follows the closing of the seal.
///
/// # Errors
/// When the seal opens by itself: closing it would not keep anybody out.
pub fn sealed(result: &EffectResult) -> Result<Outcome, Stop> {
    match result {
        EffectResult::DataKey(_) | EffectResult::Done => Ok(Answer::nothing().into()),
        EffectResult::Failed(_) => Err(VaultError::invalid(
            "this seal opens by itself: stop the process instead, or let operators hold shares (`[keys] seal = \"shamir\"`)",
        )
        .into()),
    }
}

/// What follows a look at the tenant's data key, or its replacement.
///
/// # Errors
/// When it did not happen.
pub fn data_key(result: &EffectResult) -> Result<Outcome, Stop> {
    match result {
        EffectResult::DataKey(status) => Ok(Answer::data(json!({
            "term": status.term,
            "install_time": timestamp::text(status.created),
            "encryptions": status.encryptions,
        }))
        .into()),
        EffectResult::Done => Ok(Answer::nothing().into()),
        EffectResult::Failed(_) => {
            Err(VaultError::Outside("the key was not replaced; try again".into()).into())
        }
    }
}

/// An entry of this mount whose time has come: what is left of a mount that was taken away.
///
/// # Errors
/// As [`Work::read`].
pub fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    removal::due(name, work, cx)?;
    Ok(Answer::nothing().into())
}

/// `sys/audit`: what is recorded goes to the audit log of this installation, whatever anybody asks for.
fn audit_devices() -> Answer {
    let device = json!({
        "type": AUDIT_DEVICE,
        "description": "the audit log of this installation",
        "local": false,
        "options": {},
        "path": format!("{AUDIT_DEVICE}/"),
    });
    Answer::data(json!({ (format!("{AUDIT_DEVICE}/")): device }))
}

fn no_audit_device() -> Stop {
    VaultError::invalid(
        "audit devices cannot be enabled or disabled over the API: everything is recorded in the audit log of this installation",
    )
    .into()
}

/// The keyed hash by which records name a value that they must not hold: `hmac-sha256:` and 64 digits.
#[must_use]
pub fn audit_hash(mac: &MacKey, value: &[u8]) -> String {
    let tag = mac.tag("vault-audit", &[value]);
    let digits = tag.as_bytes().iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("hmac-sha256:".to_owned())
        .chain(digits)
        .collect()
}

fn audit_hash_of(device: &str, call: &Call, cx: &Cx<'_>) -> Result<Answer, Stop> {
    if device != AUDIT_DEVICE {
        return Err(VaultError::invalid("unknown audit device").into());
    }
    let input = call.body.required_text("input")?;
    let hash = audit_hash(cx.mac, input.as_bytes());
    Ok(Answer::data(json!({ "hash": hash })))
}

/// Every node of an installation serves, so there is no other to go to.
fn leader() -> Answer {
    Answer::bare(
        200,
        json!({
            "ha_enabled": false,
            "is_self": true,
            "active_time": "0001-01-01T00:00:00Z",
            "leader_address": "",
            "leader_cluster_address": "",
            "performance_standby": false,
            "performance_standby_last_remote_wal": 0,
        }),
    )
}

#[cfg(test)]
mod tests;
