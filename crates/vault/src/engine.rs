//! The way to the engines: from a permitted call, from the end of a lease and from an effect to the engine that knows.

use crate::answer::Outcome;
use crate::call::{Asked, Call, Cx, Guarded, Operation};
use crate::caller::Caller;
use crate::entry::EntryName;
use crate::kind::EngineKind;
use crate::mounts::Mounts;
use crate::path::RequestPath;
use crate::work::{EffectResult, Stop, Work};
use crate::{
    VaultError, approle, certificate, cubbyhole, database, jwt, kubernetes, kv, lease, pki,
    renewal, system, token, transit, wrapping,
};
use countersign_policy::Permitted;

/// Carries out a call that is permitted. The shell has recorded the permit before; what comes of this is committed before anybody is answered.
///
/// # Errors
/// [`Stop::Need`] when something has to be loaded first, else why it is refused.
pub fn perform(
    permitted: &Permitted<Asked>,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    carry_out(permitted.target().call(), work, cx)
}

/// The engine of the call's mount, and the answer put away where the call asks for it.
pub(crate) fn carry_out(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let order = wrapping::Order::of(call)?;
    let outcome = run(&Current::of(call, work, cx)?, work, cx)?;
    match order {
        None => Ok(outcome),
        Some(order) => wrapping::put_away(outcome, order, work, cx),
    }
}

/// A call that still is what was permitted. Between the step that found out who calls what and the one that carries it out others commit; what is looked at here is read by
/// the second step, so that its commit fails where that changes once more, and it is looked at again.
#[must_use]
struct Current<'c>(&'c Call);

impl<'c> Current<'c> {
    /// # Errors
    /// [`VaultError::NotFound`] when another mount stands at the path, or none; [`VaultError::Denied`] when the token of a call that may write has ended;
    /// [`VaultError::Invalid`] when what was to be created is there by now: `create` alone overwrites nothing.
    fn of(call: &'c Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Self, Stop> {
        let mounts = Mounts::read(work)?;
        let mount = mounts.get(&call.at).ok_or(VaultError::NotFound)?;
        if mount.uuid != call.mount.uuid {
            return Err(VaultError::NotFound.into());
        }
        match (call.operation, &call.caller) {
            (Operation::List | Operation::Read, _)
            | (_, Caller::Anonymous | Caller::Subject(_)) => {}
            (
                Operation::Create | Operation::Delete | Operation::Patch | Operation::Update,
                Caller::Token(held),
            ) => {
                token::row::under_way(&held.id, work, cx)?.ok_or(VaultError::Denied)?;
            }
        }
        if call.operation == Operation::Create && exists(call, work)? {
            return Err(VaultError::invalid("the entry was written meanwhile; try again").into());
        }
        Ok(Self(call))
    }
}

/// The engine of the call's mount.
fn run(current: &Current<'_>, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let Current(call) = *current;
    match call.mount.engine {
        EngineKind::AppRole => approle::run(call, work, cx),
        EngineKind::Cert => certificate::run(call, work, cx),
        EngineKind::Cubbyhole => cubbyhole::run(call, work, cx),
        EngineKind::Database => database::run(call, work, cx),
        EngineKind::Jwt => jwt::run(call, work, cx),
        EngineKind::Kubernetes => kubernetes::run(call, work, cx),
        EngineKind::Kv => kv::run(call, work, cx),
        EngineKind::Pki => pki::run(call, work, cx),
        EngineKind::System => match call.segments().first() {
            Some(&"leases") => lease::run(call, work, cx),
            Some(&"wrapping") => wrapping::run(call, work, cx),
            _ => system::run(call, work, cx),
        },
        EngineKind::Token => match call.segments().as_slice() {
            ["renew" | "renew-accessor" | "renew-self"] => renewal::run(call, work, cx),
            _ => token::run(call, work, cx),
        },
        EngineKind::Transit => transit::run(call, work, cx),
    }
}

/// Which step follows an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// One of the database engine's.
    Database(database::Next),
    /// The tenant's data key was looked at or replaced.
    DataKey,
    /// A lease is being stretched or taken back.
    Lease(lease::Next),
    /// One of the PKI engine's.
    Pki(pki::acme::Next),
    /// An operation that waited for a quorum is being given up.
    QuorumCancelled,
    /// The seal is being closed.
    Sealed,
    /// One whose answer is put away.
    Wrapped(Box<wrapping::Next>),
}

/// Goes on after an effect.
///
/// # Errors
/// As [`perform`].
pub fn resume(
    next: &Next,
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    match next {
        Next::Database(next) => database::resume(next, result, work, cx),
        Next::DataKey => system::data_key(result),
        Next::Lease(next) => lease::resume(next, result, work, cx),
        Next::Pki(next) => pki::resume(next, result, work, cx),
        Next::QuorumCancelled => system::quorum_cancelled(result),
        Next::Sealed => system::sealed(result),
        Next::Wrapped(wrapped) => {
            let outcome = resume(&wrapped.next, result, work, cx)?;
            wrapping::put_away(outcome, wrapped.order.clone(), work, cx)
        }
    }
}

/// An entry that asked to be looked at again by now.
///
/// # Errors
/// As [`perform`].
pub fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let mut parts = name.as_str().split('/');
    match parts.next() {
        Some("core") => system::due(name, work, cx),
        Some("lease") => lease::due(name, work, cx),
        Some("lease-sweep") => lease::sweep::due(name, work, cx),
        Some("mount") => match parts.nth(1) {
            Some("pki") => Ok(pki::due(name, work)),
            Some("secret-id") => approle::due(name, work, cx),
            Some(_) | None => database::due(name, work, cx),
        },
        Some("token") => token::end::due(name, work, cx),
        Some("wrap") => wrapping::due(name, work, cx),
        Some(_) | None => Err(VaultError::Corrupt.into()),
    }
}

/// Whether what a `POST` would write is there already; engines that make no difference say yes.
///
/// # Errors
/// As [`Work::read`].
pub fn exists(call: &Call, work: &mut Work<'_>) -> Result<bool, Stop> {
    match call.mount.engine {
        EngineKind::Cubbyhole => cubbyhole::exists(call, work),
        EngineKind::Kv => kv::exists(call, work),
        EngineKind::Token => token::exists(call, work),
        EngineKind::Transit => transit::exists(call, work),
        EngineKind::AppRole
        | EngineKind::Cert
        | EngineKind::Database
        | EngineKind::Jwt
        | EngineKind::Kubernetes
        | EngineKind::Pki
        | EngineKind::System => Ok(true),
    }
}

/// Paths that anybody may ask for, and with which method.
const PUBLIC: &[(&str, Operation)] = &[
    ("sys/health", Operation::Read),
    ("sys/init", Operation::Read),
    ("sys/leader", Operation::Read),
    ("sys/seal-status", Operation::Read),
    ("sys/unseal", Operation::Update),
    // The wrapping token is what these ask for.
    ("sys/wrapping/lookup", Operation::Update),
    ("sys/wrapping/rewrap", Operation::Update),
    ("sys/wrapping/unwrap", Operation::Update),
];

/// Paths that ask for the capability `sudo`; one that ends in a slash stands for all below it, and for its own listing.
const SUDO: &[&str] = &[
    "auth/token/accessors",
    "auth/token/create-orphan",
    "auth/token/revoke-orphan",
    "sys/audit",
    "sys/auth",
    "sys/auth/",
    "sys/generate-root/attempt",
    "sys/leases/lookup/",
    "sys/leases/revoke-force/",
    "sys/leases/revoke-prefix/",
    "sys/leases/tidy",
    "sys/rekey-recovery-key/init",
    "sys/rekey/init",
    "sys/rotate",
    "sys/rotate/keyring",
    "sys/seal",
    "sys/step-down",
];

/// Whether anybody may ask for a path. Sign-in is at `login` of a mount of an auth method, and nowhere below; what an engine shows to everybody is asked of the engine that is
/// mounted there, with what of the path follows its own.
#[must_use]
pub fn guarded(
    path: &RequestPath,
    operation: Operation,
    mounted: Option<(EngineKind, &str)>,
) -> Guarded {
    let shown = mounted
        .is_some_and(|(engine, rest)| engine == EngineKind::Pki && pki::is_public(rest, operation));
    // A listing asks for the folder, with or without its slash.
    let path = path.as_str().trim_end_matches('/');
    let public = |(public, method): &(&str, Operation)| *public == path && *method == operation;
    // Not whatever ends so: a role of the name `login` is `auth/approle/role/login`.
    let signs_in = |(engine, rest): (EngineKind, &str)| {
        engine.is_auth() && engine != EngineKind::Token && rest == "login"
    };
    let sign_in = operation == Operation::Update && mounted.is_some_and(signs_in);
    // With the authority goes what everything below it is trusted by.
    let ends_authority = operation == Operation::Delete
        && mounted.is_some_and(|(engine, rest)| {
            engine == EngineKind::Pki && rest.trim_end_matches('/') == "root"
        });
    let sudo = |guarded: &&str| match guarded.strip_suffix('/') {
        Some(folder) => {
            path.starts_with(*guarded) || (path == folder && operation == Operation::List)
        }
        None => path == *guarded,
    };
    if sign_in || shown || PUBLIC.iter().any(public) {
        Guarded::Public
    } else if ends_authority || SUDO.iter().any(sudo) {
        Guarded::Sudo
    } else {
        Guarded::Token
    }
}

#[cfg(test)]
mod tests;
