//! A hash that is weaker than today's is replaced by whoever sees the password next: a sign-in in which it was right.
//!
//! It happens before a second factor is asked for, so that what waits for that factor knows the new hash. Nobody is kept from signing in by it: where the pool is
//! busy or somebody else was first with another password, the hash stays and the sign-in goes on.

use super::super::Identity;
use super::super::call::Call;
use countersign_audit::Code;
use countersign_audit::event::{Actor, UserChanged};
use countersign_base::Secret;
use countersign_crypto::password::{Due, PasswordMatched, StoredHash};
use countersign_oauth::{StoredPassword, UserRecord};
use countersign_store::Write;
use countersign_store::tables::users::RenewedPassword;

/// The person, with a stronger hash of the same password if theirs was due and could be replaced.
pub(super) async fn renewed(
    identity: &Identity,
    call: &Call,
    mut user: UserRecord,
    right: PasswordMatched,
    password: Secret<String>,
) -> UserRecord {
    let fabric = &identity.fabric;
    let Some(before) = user.password.clone() else {
        return user;
    };
    let due = StoredHash::parse(before.phc()).map(|hash| fabric.passwords().due(&hash));
    if due != Ok(Due::Yes) {
        return user;
    }
    let Ok(Ok(hash)) = fabric.passwords().renew(&right, password).await else {
        return user;
    };
    let after = StoredPassword::new(hash.to_string());
    let write = Write::RenewPassword(Box::new(RenewedPassword {
        user: user.id,
        before,
        after: after.clone(),
    }));
    let event = UserChanged {
        by: Actor::System,
        change: Code::of("password_hash"),
        user: user.id,
    };
    let tenant = &call.tenant.name;
    let record = fabric.recorder().about_event(tenant, Some(call.id), event);
    let changed = fabric
        .store()
        .change(tenant, vec![write], record, fabric.now())
        .await;
    match changed {
        Ok(_event) => user.password = Some(after),
        Err(_) => tracing::warn!(event = "password_hash_not_renewed"),
    }
    user
}
