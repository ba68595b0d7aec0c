//! What a token exchange shows (RFC 8693 §2.1), verified before the transaction: each type of token by its own check, and never one for another (TX-6).

use super::Identity;
use super::call::Call;
use super::presented;
use countersign_authn::presented::IdTokenShown;
use countersign_authn::transaction::TransactionTokenClaims;
use countersign_base::{ClientId, GrantId};
use countersign_oauth::token::{PresentedToken, SubjectToken, TokenExchangeRequest, TokenType};
use countersign_oauth::{OAuthError, RefreshFamily, RefreshHandle};
use countersign_store::Presented;

/// The tokens of an exchange.
pub(super) struct ShownTokens {
    subject: Shown,
    pub(super) actor: Option<PresentedToken>,
}

#[expect(
    clippy::enum_variant_names,
    reason = "the names are those of the token types (RFC 8693 §3)"
)]
enum Shown {
    AccessToken(PresentedToken),
    IdToken(IdTokenShown),
    RefreshToken(RefreshHandle),
    TransactionToken(Box<TransactionTokenClaims>),
}

impl ShownTokens {
    pub(super) async fn of(
        identity: &Identity,
        call: &Call,
        request: &TokenExchangeRequest,
    ) -> Result<Self, OAuthError> {
        let refused = |_| OAuthError::SubjectTokenRefused;
        let text = request.subject_token.expose();
        let subject = match request.subject_type {
            TokenType::AccessToken => presented::access_token(identity, call, text)
                .await
                .map(Shown::AccessToken)
                .map_err(refused)?,
            TokenType::Jwt => presented::jwt(identity, call, text)
                .map(Shown::AccessToken)
                .map_err(refused)?,
            TokenType::IdToken => presented::id_token(identity, call, text)
                .map(Shown::IdToken)
                .map_err(refused)?,
            TokenType::RefreshToken => {
                let key = identity.fabric.keys().refresh_key(&call.tenant.name);
                RefreshHandle::parse(text, &key)
                    .map(Shown::RefreshToken)
                    .map_err(|_| OAuthError::SubjectTokenRefused)?
            }
            TokenType::TransactionToken => presented::transaction_token(identity, call, text)
                .map(|claims| Shown::TransactionToken(Box::new(claims)))
                .map_err(refused)?,
            TokenType::IdJag => return Err(OAuthError::TokenType),
        };
        let actor = match &request.actor_token {
            None => None,
            Some(token) => Some(
                presented::access_token(identity, call, token.expose())
                    .await
                    .map_err(|_| OAuthError::ActorTokenRefused)?,
            ),
        };
        Ok(Self { subject, actor })
    }

    /// What the transaction reads again.
    pub(super) fn presented(&self) -> Presented {
        match &self.subject {
            Shown::AccessToken(token) => Presented::from(token),
            Shown::IdToken(token) => Presented::Grant(token.grant()),
            Shown::RefreshToken(handle) => Presented::RefreshFamily(handle.family()),
            Shown::TransactionToken(token) => match token.sid {
                Some(_) => Presented::Grant(token.grant_id),
                None => of_client(token.sub.as_str().parse().ok(), token.grant_id),
            },
        }
    }

    /// The subject token as the protocol judges it, with the family that the transaction holds if it is a refresh token.
    pub(super) fn subject(&self, family: Option<RefreshFamily>) -> SubjectToken<'_> {
        match &self.subject {
            Shown::AccessToken(token) => SubjectToken::AccessToken(token),
            Shown::IdToken(token) => SubjectToken::IdToken(token),
            Shown::RefreshToken(handle) => SubjectToken::RefreshToken(*handle, family),
            Shown::TransactionToken(token) => SubjectToken::TransactionToken(token),
        }
    }
}

/// A subject that is nobody's name stands for nothing, and is refused where it is judged.
fn of_client(subject: Option<ClientId>, grant: GrantId) -> Presented {
    subject.map_or(Presented::Nothing, |subject| Presented::ClientGrant {
        grant,
        subject,
    })
}
