//! Answers to the authorization endpoint: where they go and what they say (RFC 6749 §4.1.2, RFC 9207).

use super::{PageError, STATE_BYTES_MAX};
use crate::client::ClientRecord;
use crate::error::OAuthError;
use crate::redirect::{self, RedirectTarget};
use countersign_authn::Form;
use countersign_base::{Bounded, Issuer, Secret};

/// Where an answer goes, with the `state` that goes with it: a redirect URI found in the client's registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnAddress {
    target: RedirectTarget,
    state: Option<Bounded<STATE_BYTES_MAX>>,
    issuer: Issuer,
}

impl ReturnAddress {
    /// Finds the address of a request in its client's registration.
    ///
    /// # Errors
    /// Not registered (R1), a disabled client, or a `state` that cannot be echoed as it is: then nothing is sent anywhere.
    pub fn find(form: &Form, client: &ClientRecord, issuer: &Issuer) -> Result<Self, PageError> {
        if !client.enabled {
            return Err(PageError::ClientUnknown);
        }
        let target = redirect::find(
            &client.redirect_uris,
            client.application,
            form.get("redirect_uri"),
        )
        .ok_or(PageError::RedirectUri)?;
        let state = form
            .get("state")
            .map(Bounded::parse)
            .transpose()
            .map_err(|_| PageError::Malformed)?;
        Ok(Self {
            target,
            state,
            issuer: issuer.clone(),
        })
    }

    /// The address of a request that was checked before.
    #[must_use]
    pub fn of(request: &super::AuthorizationRequest, issuer: &Issuer) -> Self {
        Self {
            target: request.redirect_uri.clone(),
            state: request.state.clone(),
            issuer: issuer.clone(),
        }
    }

    /// The redirect URI.
    #[must_use]
    pub const fn target(&self) -> &RedirectTarget {
        &self.target
    }

    /// The state to echo.
    #[must_use]
    pub const fn state(&self) -> Option<&Bounded<STATE_BYTES_MAX>> {
        self.state.as_ref()
    }

    /// The answer that carries a code.
    #[must_use]
    pub fn code(self, code: Secret<String>) -> AuthorizationResponse {
        AuthorizationResponse {
            address: self,
            code,
        }
    }

    /// The answer that carries an error.
    #[must_use]
    pub const fn error(self, error: OAuthError) -> ErrorResponse {
        ErrorResponse {
            address: self,
            error,
        }
    }

    fn location(&self, first: &[(&str, &str)]) -> String {
        let mut parameters = first.to_vec();
        if let Some(state) = &self.state {
            parameters.push(("state", state.as_str()));
        }
        parameters.push(("iss", self.issuer.as_str()));
        self.target.with_parameters(&parameters)
    }
}

/// A successful answer.
pub struct AuthorizationResponse {
    address: ReturnAddress,
    code: Secret<String>,
}

impl AuthorizationResponse {
    /// The URL to send the browser to. It holds the code.
    #[must_use]
    pub fn location(&self) -> String {
        self.address.location(&[("code", self.code.expose())])
    }
}

/// An error that goes back to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    address: ReturnAddress,
    error: OAuthError,
}

impl ErrorResponse {
    /// The URL to send the browser to.
    #[must_use]
    pub fn location(&self) -> String {
        self.address.location(&[
            ("error", self.error.code().as_str()),
            ("error_description", self.error.description()),
        ])
    }

    /// What went wrong.
    #[must_use]
    pub const fn error(&self) -> OAuthError {
        self.error
    }
}
