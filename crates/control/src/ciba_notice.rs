//! What a client is told when a person answered (CIBA Core §10.2), as it waits in the store: sealed, because it holds the handle that the client polls with and
//! the token that the client knows a notification by.
//!
//! Not here: the telling.

use crate::Secrets;
use countersign_base::{GrantId, Secret, Tenant};
use countersign_crypto::base64url;
use countersign_crypto::random::Random;
use countersign_keys::envelope::{self, SealError};
use countersign_keys::{Aad, Sealed};

/// The content of one notification.
pub struct CibaNotice {
    /// The request.
    pub auth_req_id: Secret<String>,
    /// What the client will know the notification by.
    pub token: Secret<String>,
}

/// The notice is not what was sealed for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the notice cannot be opened")]
pub struct NoticeBroken;

impl CibaNotice {
    /// Seals it for the request of one grant.
    ///
    /// # Errors
    /// When it is too long.
    pub fn seal(
        &self,
        secrets: &Secrets,
        tenant: &Tenant,
        grant: GrantId,
    ) -> Result<String, SealError> {
        let random: &Random = secrets.random();
        // Neither holds a line feed: one is base64url, the other fits into a header.
        let text = Secret::new(format!(
            "{}\n{}",
            self.auth_req_id.expose(),
            self.token.expose()
        ));
        let aad = aad(tenant, grant);
        let sealed = envelope::seal(&*secrets.keks(), &aad, text.expose().as_bytes(), random)?;
        Ok(base64url::encode(sealed.as_bytes()))
    }

    /// Opens what was sealed for the request of this grant.
    ///
    /// # Errors
    /// It was not.
    pub fn open(
        sealed: &str,
        secrets: &Secrets,
        tenant: &Tenant,
        grant: GrantId,
    ) -> Result<Self, NoticeBroken> {
        let sealed = base64url::decode(sealed).map_err(|_| NoticeBroken)?;
        let sealed = Sealed::from_bytes(sealed);
        let opened = envelope::open(&*secrets.keks(), &aad(tenant, grant), &sealed)
            .map_err(|_| NoticeBroken)?;
        let text = std::str::from_utf8(opened.expose()).map_err(|_| NoticeBroken)?;
        let (id, token) = text.split_once('\n').ok_or(NoticeBroken)?;
        Ok(Self {
            auth_req_id: Secret::new(id.to_owned()),
            token: Secret::new(token.to_owned()),
        })
    }
}

fn aad(tenant: &Tenant, grant: GrantId) -> Aad {
    let row = grant.as_u64().to_be_bytes();
    Aad::row(tenant, "decoupled_requests", "notification", &row)
}
