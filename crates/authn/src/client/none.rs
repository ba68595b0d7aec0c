//! `none`: a public client, which has a name and nothing to prove it with (RFC 6749 §2.1). What it gets is bound by PKCE and DPoP.

use super::{ClientReason, ClientRefusal, Credential, Method, Registration, Shown};
use countersign_base::{ClientId, Conditional};

pub(super) fn read(
    shown: &Shown<'_>,
) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal> {
    Ok(match shown.named()? {
        Conditional::Absent(()) => Conditional::Absent(()),
        Conditional::Present(id) => Conditional::Present((id, Credential::Public)),
    })
}

pub(super) fn check(registration: Option<&Registration>) -> Result<(), ClientReason> {
    match registration.map(|registration| &registration.method) {
        Some(Method::Public) => Ok(()),
        Some(
            Method::Certificates(_)
            | Method::Keys(_)
            | Method::PostedSecret(_)
            | Method::Secret(_)
            | Method::TlsSubject(_)
            | Method::Workload(_),
        ) => Err(ClientReason::MethodNotRegistered),
        None => Err(ClientReason::ClientUnknown),
    }
}
