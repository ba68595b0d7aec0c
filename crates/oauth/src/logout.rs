//! Signing out at a client's word (OpenID Connect RP-Initiated Logout 1.0) and telling clients of it (Back-Channel Logout 1.0).
//!
//! A browser is sent on to a client's registered address only when the client is known by an ID token of ours ([`LogoutRequest::judge`]); whoever is signed in is
//! asked, unless the token names their very session (R58). Not here: session management by frames and front-channel logout; they do not exist.

pub mod token;

pub use token::{LOGOUT_TOKEN_LIFETIME, LogoutTokenClaims};

use crate::client::ClientRecord;
use crate::redirect::{self, RedirectTarget};
use countersign_authn::Form;
use countersign_base::{Bounded, ClientId, GrantId, Issuer, SessionId, UserId};
use countersign_crypto::jose::{Claims, Header, JwkSet, Jws};
use countersign_crypto::{Unverified, Verified};
use serde::{Deserialize, Serialize};

/// The name of back-channel logout among the kinds of deliveries.
pub const BACKCHANNEL_LOGOUT: &str = "backchannel_logout";

/// What the outbox keeps of a logout token that is to be sent: it is signed at each attempt, so that none is old when it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutDelivery {
    /// To whom.
    pub client: ClientId,
    /// Whose session ended.
    pub user: UserId,
    /// Which.
    pub session: Option<SessionId>,
}

/// Bytes of a `state`.
pub const STATE_BYTES_MAX: usize = 2048;

/// A logout request as it arrives. A parameter that cannot be read is treated as absent where that only asks the person once more.
#[derive(Debug)]
pub struct LogoutRequest {
    hint: Hint,
    client: Option<ClientId>,
    redirect_uri: Option<String>,
    state: Option<Bounded<STATE_BYTES_MAX>>,
}

/// The `id_token_hint`.
#[derive(Debug)]
enum Hint {
    Absent,
    Broken,
    Present(Box<Unverified<Jws>>),
}

/// What an ID token of ours said about a logout: who asks, for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hinted {
    /// The client that the ID token was made for.
    pub client: ClientId,
    /// The session it was made in. A client with pairwise subjects is not told it; the grant leads there.
    pub session: Option<SessionId>,
    /// The grant it was made for.
    pub grant: Option<GrantId>,
    /// The person, by the `sub` that the client knows.
    pub subject: String,
}

/// Why a hint counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HintRefused {
    /// There is none.
    #[error("no hint")]
    Absent,
    /// It is not an ID token that we signed (LO-1, LO-2).
    #[error("hint not of ours")]
    NotOurs,
    /// It was made for another client than the request names.
    #[error("hint of another client")]
    OfAnotherClient,
}

impl LogoutRequest {
    /// Reads a request.
    #[must_use]
    pub fn parse(form: &Form) -> Self {
        let hint = form.get("id_token_hint").map_or(Hint::Absent, |token| {
            Jws::parse(token).map_or(Hint::Broken, |jws| Hint::Present(Box::new(jws)))
        });
        Self {
            hint,
            client: form.get("client_id").and_then(|id| id.parse().ok()),
            redirect_uri: form.get("post_logout_redirect_uri").map(str::to_owned),
            state: form
                .get("state")
                .and_then(|state| Bounded::parse(state).ok()),
        }
    }

    /// The header of the hint: which key it says to be signed with.
    #[must_use]
    pub fn hint_header(&self) -> Option<&Header> {
        match &self.hint {
            Hint::Absent | Hint::Broken => None,
            Hint::Present(jws) => Some(jws.header()),
        }
    }

    /// Judges the hint with the issuer's own keys. An ID token that has expired is still a hint (§2): it says who asks, and opens nothing.
    ///
    /// # Errors
    /// Why it counts for nothing.
    pub fn hinted(&mut self, issuer: &Issuer, keys: &JwkSet) -> Result<Hinted, HintRefused> {
        let jws = match std::mem::replace(&mut self.hint, Hint::Absent) {
            Hint::Absent => return Err(HintRefused::Absent),
            Hint::Broken => return Err(HintRefused::NotOurs),
            Hint::Present(jws) => jws,
        };
        // Nothing else that we sign passes for an ID token: access and logout tokens have types of their own.
        if !jws
            .header()
            .typ()
            .is_none_or(|_| jws.header().is_typ("JWT"))
        {
            return Err(HintRefused::NotOurs);
        }
        let (kid, algorithm) = (jws.header().kid().cloned(), jws.header().algorithm());
        let claims = jws
            .verify_with_any(keys.candidates(kid.as_ref(), algorithm))
            .map_err(|_| HintRefused::NotOurs)?;
        let hinted = read(&claims, issuer).ok_or(HintRefused::NotOurs)?;
        match &self.client {
            Some(named) if *named != hinted.client => Err(HintRefused::OfAnotherClient),
            Some(_) | None => Ok(hinted),
        }
    }

    /// Where the browser goes afterwards: to an address that the hinted client registered, and nowhere else (LO-3 to LO-5).
    #[must_use]
    pub fn return_address(&self, client: &ClientRecord) -> Option<LogoutReturn> {
        let wanted = self.redirect_uri.as_deref()?;
        find_return(client, wanted, self.state.clone())
    }

    /// Whether the browser is asked to go anywhere.
    #[must_use]
    pub const fn wants_return(&self) -> bool {
        self.redirect_uri.is_some()
    }
}

/// A registered address with the state that goes back to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutReturn {
    target: RedirectTarget,
    state: Option<Bounded<STATE_BYTES_MAX>>,
}

impl LogoutReturn {
    /// The address as it was registered.
    #[must_use]
    pub fn address(&self) -> &str {
        self.target.as_str()
    }

    /// The state, if the client sent one.
    #[must_use]
    pub const fn state(&self) -> Option<&Bounded<STATE_BYTES_MAX>> {
        self.state.as_ref()
    }

    /// The address with the state in its query; without a state, as it is (LO-10).
    #[must_use]
    pub fn location(&self) -> String {
        match &self.state {
            Some(state) => self.target.with_parameters(&[("state", state.as_str())]),
            None => self.target.as_str().to_owned(),
        }
    }
}

/// The registered address of this client that equals `wanted`.
#[must_use]
pub fn find_return(
    client: &ClientRecord,
    wanted: &str,
    state: Option<Bounded<STATE_BYTES_MAX>>,
) -> Option<LogoutReturn> {
    let registered = &client.logout.post_logout_redirect_uris;
    let target = redirect::find(registered, client.application, Some(wanted))?;
    client.enabled.then_some(LogoutReturn { target, state })
}

fn read(claims: &Verified<Claims>, issuer: &Issuer) -> Option<Hinted> {
    if claims.text("iss").ok()?? != issuer.as_str() {
        return None;
    }
    let audiences = claims.strings("aud").ok()??;
    let [client] = audiences.as_slice() else {
        return None;
    };
    Some(Hinted {
        client: client.parse().ok()?,
        session: claims.text("sid").ok()?.and_then(|sid| sid.parse().ok()),
        grant: claims
            .text("grant_id")
            .ok()?
            .and_then(|grant| grant.parse().ok()),
        subject: claims.text("sub").ok()??.to_owned(),
    })
}

#[cfg(test)]
mod tests;
