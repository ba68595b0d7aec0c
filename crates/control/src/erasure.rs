//! The end of a person: their key, their record and what hangs on it, in one transaction with the event that is its receipt; then their place in the epoch key.
//!
//! The event holds a salted commitment to who it was. Whoever erased them is given the salt, and can show with it and the log's inclusion proof what was done; the log
//! alone tells nobody.

use crate::fabric::Fabric;
use countersign_audit::event::{Actor, SubjectErased};
use countersign_audit::{Count, Digest, Event};
use countersign_base::{ClientId, Tenant, UserId};
use countersign_crypto::digest::sha256_parts;
use countersign_store::tables::{PAGE_MAX, consents, erasures, grants, tenants, users};
use countersign_store::{EraseError, StoreError, Write};
use std::collections::BTreeSet;

/// The salted commitment to a person: SHA-256 of a label, the salt, the tenant's name, a zero byte and the sixteen bytes of the person's id.
#[must_use]
pub fn commitment(salt: &[u8; 16], tenant: &Tenant, user: UserId) -> Digest {
    Digest::from_bytes(sha256_parts(&[
        b"countersign erased subject\0",
        salt,
        tenant.as_str().as_bytes(),
        b"\0",
        user.as_bytes(),
    ]))
}

/// The event, and the salt of its commitment.
#[must_use]
pub fn receipt(
    fabric: &Fabric,
    by: Actor,
    tenant: &Tenant,
    user: UserId,
) -> (SubjectErased, [u8; 16]) {
    let salt = fabric.random().bytes();
    let event = SubjectErased {
        by,
        epoch: Digest::of(&fabric.details().subjects().epoch()),
        subject: commitment(&salt, tenant, user),
    };
    (event, salt)
}

/// Clients that were given something about a person and may keep it: those with their consent and those of their live grants, in the order of their names.
///
/// # Errors
/// When the store cannot be read.
pub async fn third_parties(
    fabric: &Fabric,
    tenant: &Tenant,
    user: UserId,
) -> Result<BTreeSet<ClientId>, StoreError> {
    let mut connection = fabric.store().read().await?;
    let now = fabric.now();
    let consents = consents::of_user(&mut connection, tenant, user, PAGE_MAX).await?;
    let grants = grants::of_user(&mut connection, tenant, user, PAGE_MAX, now).await?;
    let consented = consents.into_iter().map(|consent| consent.client);
    let granted = grants.into_iter().map(|grant| grant.client);
    Ok(consented.chain(granted).collect())
}

/// Erases again whoever a database that is older than the epoch key brought back; how many they were. Where the database knows of as many erasures as the epoch
/// key, nothing is looked at.
///
/// # Errors
/// When the store fails or the epoch key cannot be stored; the next call goes on from there.
pub async fn erase_again(fabric: &Fabric) -> Result<Count, EraseError> {
    let subjects = fabric.details().subjects();
    let mut connection = fabric.store().read().await?;
    let known = erasures::count(&mut connection).await?;
    if known >= subjects.forgotten() {
        return Ok(Count::of(0));
    }
    let mut erased = 0;
    for tenant in tenants::all(&mut connection).await? {
        let mut after = None;
        loop {
            let page = users::list(&mut connection, &tenant.name, after.as_ref(), PAGE_MAX).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.username.clone());
            for user in page {
                if subjects.is_forgotten(&tenant.name, user.id) {
                    once_more(fabric, &tenant.name, user.id).await?;
                    erased += 1;
                }
            }
        }
    }
    drop(connection);
    fabric.details().take_erasures().await?;
    Ok(Count::of(erased))
}

async fn once_more(fabric: &Fabric, tenant: &Tenant, user: UserId) -> Result<(), StoreError> {
    let (event, _salt) = receipt(fabric, Actor::System, tenant, user);
    let event: Event = event.into();
    let record = fabric.recorder().about_event(tenant, None, event);
    let writes = vec![Write::EraseSubject(user)];
    fabric
        .store()
        .change(tenant, writes, record, fabric.now())
        .await
        .map(drop)
}
