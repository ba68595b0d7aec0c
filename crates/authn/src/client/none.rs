//! `none`: a public client, which has a name and nothing to prove it with (RFC 6749 §2.1). What it gets is bound by PKCE and DPoP.

use super::{ClientReason, ClientRefusal, Credential, Method, Registration};
use crate::Form;
use crate::credential::Authorization;
use crate::replay::ReplayEntry;
use countersign_base::{ClientId, Conditional};

pub(super) fn read(
    authorization: &Authorization<'_>,
    form: &Form,
) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal> {
    let Some(id) = form.get("client_id") else {
        return Ok(Conditional::Absent(()));
    };
    let id = id
        .parse()
        .map_err(|_| ClientRefusal::new(ClientReason::ClientIdMalformed, authorization))?;
    Ok(Conditional::Present((id, Credential::Public)))
}

pub(super) fn check(registration: Option<&Registration>) -> Result<Vec<ReplayEntry>, ClientReason> {
    match registration.map(|registration| &registration.method) {
        Some(Method::Public) => Ok(Vec::new()),
        Some(Method::Keys(_) | Method::Secret(_)) => Err(ClientReason::MethodNotRegistered),
        None => Err(ClientReason::ClientUnknown),
    }
}
