//! Signs authorization responses (JARM §2), and encrypts those whose client asks for it.
//!
//! What is signed comes from `oauth` alone: a [`ResponseOrder`] is an answer to an address that was found in a client's registration.

use super::MintError;
use crate::KeyRing;
use countersign_base::{Secret, UnixTime};
use countersign_crypto::jose::sign_jwt;
use countersign_crypto::random::Random;
use countersign_oauth::ClientRecord;
use countersign_oauth::authorize::{AuthorizationResponse, Delivery, Prepared, ResponseOrder};

/// Makes an answer ready to be sent to `client`, which is the one that it is for.
///
/// # Errors
/// When it has to be signed and the tenant has no key, when it is another client's, or when it has to be encrypted and the client has no key that fits.
pub fn deliver(
    response: AuthorizationResponse,
    client: &ClientRecord,
    keys: &KeyRing,
    random: &Random,
    now: UnixTime,
) -> Result<Delivery, MintError> {
    match response.prepare(now) {
        Prepared::Ready(delivery) => Ok(delivery),
        Prepared::ToSign(order) => signed(order, client, keys, random),
    }
}

fn signed(
    order: ResponseOrder,
    client: &ClientRecord,
    keys: &KeyRing,
    random: &Random,
) -> Result<Delivery, MintError> {
    if order.client() != &client.id {
        return Err(MintError::AnotherClient);
    }
    let signer = keys.signer(&client.tenant).ok_or(MintError::NoKey)?;
    let jwt = Secret::new(sign_jwt(&signer.authorization_response, &order.claims())?);
    Ok(order.deliver(client.response_envelope().close(jwt, random)?))
}
