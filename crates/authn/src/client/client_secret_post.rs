//! `client_secret_post`: name and secret in the body (RFC 6749 §2.3.1, "NOT RECOMMENDED"). Off unless the tenant switches it on.

use super::{ClientReason, ClientRefusal, Credential, Shown};
use crate::trust::SecretInBody;
use countersign_base::{ClientId, Conditional, Secret};

pub(super) fn read(
    shown: &Shown<'_>,
) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal> {
    let Some(secret) = shown.form.get("client_secret") else {
        return Ok(Conditional::Absent(()));
    };
    match shown.trust.secret_in_body {
        SecretInBody::Refused => Err(shown.refuse(ClientReason::MethodUnknown)),
        SecretInBody::Allowed => match shown.named()? {
            Conditional::Absent(()) => Err(shown.refuse(ClientReason::NoCredential)),
            Conditional::Present(id) => {
                let secret = Credential::Secret(Secret::new(secret.to_owned()));
                Ok(Conditional::Present((id, secret)))
            }
        },
    }
}
