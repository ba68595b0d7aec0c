//! Logout tokens, made of a row of the outbox: it was written in the transaction that ended the session, so there is nothing left to decide.

use super::MintError;
use crate::KeyRing;
use countersign_base::{Secret, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::sign_jwt;
use countersign_crypto::mac::MacKey;
use countersign_oauth::logout::{LogoutDelivery, LogoutTokenClaims};
use countersign_oauth::subject_identifier::{SubjectOrder, SubjectType};
use countersign_oauth::{ClientRecord, TenantRecord};
use countersign_store::{Delivery, DeliveryId};

/// Sets what is tagged here apart from everything else under the same key.
const JTI: &str = "countersign logout token jti";

/// Signs the token of one attempt. Every attempt has the same `jti` and a life of its own (LO-8). The person and the session stand in it as the client's ID tokens
/// name them: a client with pairwise subjects learns its own `sub` and no `sid`, which every client would share.
///
/// # Errors
/// When the tenant has no current key, or aws-lc refuses to sign.
pub(crate) fn logout_token(
    tenant: &TenantRecord,
    client: &ClientRecord,
    delivery: (&Delivery, &LogoutDelivery),
    keys: &KeyRing,
    now: UnixTime,
) -> Result<Secret<String>, MintError> {
    let (row, what) = delivery;
    let signer = keys.signer(&tenant.name).ok_or(MintError::NoKey)?;
    let subject = SubjectOrder::of(what.user, client);
    let session = match subject.subject_type() {
        SubjectType::Pairwise => None,
        SubjectType::Public => what.session,
    };
    let claims = LogoutTokenClaims::new(
        tenant.issuer.clone(),
        client.id.clone(),
        subject.derive(&keys.pairwise_key(&tenant.name)),
        session,
        jti(row.id, &keys.logout_token_key(&tenant.name)),
        now,
    );
    Ok(Secret::new(sign_jwt(&signer.logout_token, &claims)?))
}

/// The same at every attempt, and different for every client and session. The row's own id is a digest of names that others know: under the tenant's key it says
/// nothing to two clients that compare what they heard, and a client with pairwise subjects learns nothing of the session.
fn jti(id: DeliveryId, key: &MacKey) -> String {
    base64url::encode(key.tag(JTI, &[id.as_bytes()]).as_bytes())
}
