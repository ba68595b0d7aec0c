use super::*;
use crate::binding::Binding;
use crate::fixture::{NOW, app, family, key, portal};
use crate::refresh::RefreshOrder;
use countersign_base::Secret;
use countersign_crypto::mac::MacKey;

fn handle(family: &RefreshFamily, generation: u32) -> RefreshHandle {
    let mac = MacKey::new(Secret::new([1; 32]));
    RefreshHandle::parse(
        RefreshOrder {
            family: family.id,
            generation,
        }
        .derive(&mac)
        .expose(),
        &mac,
    )
    .unwrap()
}

#[test]
fn dpop_32_a36_a_bound_refresh_token_is_given_back_without_a_proof() {
    let family = family(key(1));
    let revoked = Box::new(Change::GrantRevoked {
        grant: family.grant,
        reason: RevocationReason::ClientRevoked,
        at: NOW,
    });
    assert_eq!(
        of_refresh_token(handle(&family, 3), &family, &portal(), NOW),
        Revocation::Revoke(revoked.clone())
    );
    assert_eq!(
        of_refresh_token(handle(&family, 1), &family, &portal(), NOW),
        Revocation::Revoke(revoked)
    );
}

#[test]
fn nobody_revokes_what_is_another_clients() {
    let family = family(Binding::Bearer);
    assert_eq!(
        of_refresh_token(handle(&family, 3), &family, &app(), NOW),
        Revocation::Nothing
    );
}
