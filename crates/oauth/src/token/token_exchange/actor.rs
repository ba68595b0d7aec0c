//! Who acts in an exchanged token (RFC 8693 §4.1, §4.4; R54): the client, the subject of an actor token, or nobody new.
//!
//! Named by the token's `may_act` or by the client's registration, an actor goes on under the action `exchange`; any other needs a policy for `delegate`, and
//! a token that does not tell who acts one for `impersonate`. No default policy permits these two.

use super::{Exchange, PresentedToken};
use crate::client::delegation::ExchangeStyle;
use crate::error::OAuthError;
use crate::issuance::Manner;
use countersign_authn::Actor;
use countersign_authn::access_token::Act;
use countersign_base::{Bounded, Scopes, UnixTime};

/// Who acts from now on, and what their own token limits.
pub(super) struct Acting {
    actor: Option<Actor>,
    manner: Manner,
    limits: Option<(Scopes, UnixTime)>,
}

impl Acting {
    pub(super) fn of(
        exchange: &Exchange<'_>,
        actor: Option<&PresentedToken>,
    ) -> Result<Self, OAuthError> {
        let client = exchange.client;
        match (&exchange.request.actor_token, actor) {
            (None, None) => match client.delegation.exchange {
                ExchangeStyle::Impersonation => Ok(Self {
                    actor: None,
                    manner: Manner::Impersonation,
                    limits: None,
                }),
                ExchangeStyle::Delegation => {
                    // A client acts by its own registration, unless the token says who may and it is somebody else.
                    let named = match &exchange.basis.may_act {
                        None => Named::Here,
                        Some(_) => exchange.names(client.id.as_str()),
                    };
                    Self::delegation(client.id.as_str(), named, None)
                }
            },
            (Some(_), Some(token)) => {
                exchange.check_actor_token(token)?;
                let name = token.subject.id().to_string();
                let limits = Some((token.scopes.clone(), token.expires));
                Self::delegation(&name, exchange.names(&name), limits)
            }
            (Some(_), None) | (None, Some(_)) => Err(OAuthError::ActorTokenRefused),
        }
    }

    fn delegation(
        name: &str,
        named: Named,
        limits: Option<(Scopes, UnixTime)>,
    ) -> Result<Self, OAuthError> {
        let sub = Bounded::parse(name).map_err(|_| OAuthError::ActorTokenRefused)?;
        Ok(Self {
            actor: Some(Actor { sub, iss: None }),
            manner: match named {
                Named::Here => Manner::Delegation,
                Named::Nowhere => Manner::DelegationByPolicy,
            },
            limits,
        })
    }

    /// What the actor's own token allows.
    pub(super) fn scopes(&self) -> Option<&Scopes> {
        self.limits.as_ref().map(|(scopes, _)| scopes)
    }

    /// The earlier end of both tokens.
    pub(super) fn not_after(&self, subject: UnixTime) -> UnixTime {
        match &self.limits {
            Some((_, actor)) => subject.min(*actor),
            None => subject,
        }
    }

    pub(super) const fn manner(&self) -> Manner {
        self.manner
    }

    /// The chain with the new actor; an impersonation adds nobody and hides nobody.
    pub(super) fn chain(self, earlier: &Act) -> Result<Option<Act>, OAuthError> {
        match self.actor {
            Some(actor) => earlier
                .by(actor)
                .map(Some)
                .map_err(|_| OAuthError::ActorChainTooLong),
            None => Ok((!earlier.is_none()).then(|| earlier.clone())),
        }
    }
}

/// Whether somebody says that this actor may act.
enum Named {
    Here,
    Nowhere,
}

impl Exchange<'_> {
    fn names(&self, name: &str) -> Named {
        let may_act = self.basis.may_act.as_ref();
        let registered = self
            .client
            .actors
            .iter()
            .any(|permitted| permitted.as_str() == name);
        if registered || may_act.is_some_and(|may_act| may_act.names(name)) {
            Named::Here
        } else {
            Named::Nowhere
        }
    }

    /// Live, meant for this client, of somebody who acts for nobody else, and its key replaced by one that was proven.
    fn check_actor_token(&self, token: &PresentedToken) -> Result<(), OAuthError> {
        let meant = self.client.serves.contains(&token.audience) || self.client.id == token.client;
        if !meant || self.now >= token.expires || !token.actors.is_none() {
            return Err(OAuthError::ActorTokenRefused);
        }
        if token.binding.is_sender_constrained() && !self.requester.binding.is_sender_constrained()
        {
            return Err(OAuthError::KeyRequired);
        }
        Ok(())
    }
}
