//! Answers to the authorization endpoint: where they go, how they travel and what they say (RFC 6749 §4.1.2, RFC 9207, form_post, JARM).
//!
//! Every answer of every mode is made of a [`ReturnAddress`], so that none can go elsewhere (AR-6, A4). Signatures are the shell's: an answer of a signed mode
//! comes out as a [`ResponseOrder`], and only its JWT makes a [`Delivery`] of it.

use super::{PageError, STATE_BYTES_MAX};
use crate::client::ClientRecord;
use crate::error::OAuthError;
use crate::redirect::{self, RedirectTarget};
use crate::response_mode::ResponseMode;
use crate::security_profile::{Demand, SecurityProfile};
use crate::tenant::TenantRecord;
use countersign_authn::Form;
use countersign_base::{Bounded, ClientId, Duration, Issuer, Secret, UnixTime};
use serde::Serialize;
use std::collections::BTreeMap;

/// How long a signed answer is good: longer than the code in it, far under JARM's ten minutes (§2.1).
pub const SIGNED_RESPONSE_LIFETIME: Duration = Duration::from_secs(120);

/// Where an answer goes and how, with the `state` that goes with it: a redirect URI found in the client's registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnAddress {
    client: ClientId,
    target: RedirectTarget,
    mode: ResponseMode,
    state: Option<Bounded<STATE_BYTES_MAX>>,
    issuer: Issuer,
}

impl ReturnAddress {
    /// Finds the address of a request in its client's registration.
    ///
    /// A response mode that the client may not use is no reason to say nothing: the answer, an error, then goes in one that it may.
    ///
    /// # Errors
    /// Not registered (R1), a disabled client, an address that the client's profile forbids, or a `state` that cannot be echoed as it is: then nothing is sent
    /// anywhere.
    pub fn find(
        form: &Form,
        client: &ClientRecord,
        tenant: &TenantRecord,
    ) -> Result<Self, PageError> {
        if !client.enabled {
            return Err(PageError::ClientUnknown);
        }
        let target = redirect::find(
            &client.redirect_uris,
            client.application,
            form.get("redirect_uri"),
        )
        .ok_or(PageError::RedirectUri)?;
        if !transport_admitted(&target, client, tenant) {
            return Err(PageError::RedirectUri);
        }
        let state = form
            .get("state")
            .map(Bounded::parse)
            .transpose()
            .map_err(|_| PageError::Malformed)?;
        let mode = requested_mode(form)
            .filter(|mode| mode_admitted(*mode, &target, client, tenant))
            .unwrap_or_else(|| fallback_mode(&target, client, tenant));
        Ok(Self {
            client: client.id.clone(),
            target,
            mode,
            state,
            issuer: tenant.issuer.clone(),
        })
    }

    /// The address of a request that was checked before.
    #[must_use]
    pub fn of(request: &super::AuthorizationRequest, issuer: &Issuer) -> Self {
        Self {
            client: request.client.clone(),
            target: request.redirect_uri.clone(),
            mode: request.response_mode,
            state: request.state.clone(),
            issuer: issuer.clone(),
        }
    }

    /// The redirect URI.
    #[must_use]
    pub const fn target(&self) -> &RedirectTarget {
        &self.target
    }

    /// How the answer travels.
    #[must_use]
    pub const fn mode(&self) -> ResponseMode {
        self.mode
    }

    /// The state to echo.
    #[must_use]
    pub const fn state(&self) -> Option<&Bounded<STATE_BYTES_MAX>> {
        self.state.as_ref()
    }

    /// The answer that carries a code.
    #[must_use]
    pub fn code(self, code: Secret<String>) -> AuthorizationResponse {
        self.answer(vec![("code", code)])
    }

    /// The answer that carries an error.
    #[must_use]
    pub fn error(self, error: OAuthError) -> AuthorizationResponse {
        let text = |text: &str| Secret::new(text.to_owned());
        self.answer(vec![
            ("error", text(error.code().as_str())),
            ("error_description", text(error.description())),
        ])
    }

    fn answer(self, mut content: Parts) -> AuthorizationResponse {
        if let Some(state) = &self.state {
            content.push(("state", Secret::new(state.as_str().to_owned())));
        }
        AuthorizationResponse {
            address: self,
            content,
        }
    }

    fn deliver(self, parts: Parts) -> Delivery {
        if self.mode.is_form() {
            return Delivery::Form {
                action: self.target,
                fields: parts,
            };
        }
        let parameters: Vec<(&str, &str)> = parts
            .iter()
            .map(|(name, value)| (*name, value.expose().as_str()))
            .collect();
        Delivery::Redirect(self.target.with_parameters(&parameters))
    }
}

type Parts = Vec<(&'static str, Secret<String>)>;

/// The mode that a request asks for: the query if it names none (RFC 6749 §4.1.2); nothing if it names an unknown one.
pub(super) fn requested_mode(form: &Form) -> Option<ResponseMode> {
    match form.get("response_mode") {
        None => Some(ResponseMode::Query),
        Some(name) => ResponseMode::from_parameter(name),
    }
}

/// Whether the client may use the mode at this address (R13). A form is only ever sent over HTTP (A60).
pub(super) fn mode_admitted(
    mode: ResponseMode,
    target: &RedirectTarget,
    client: &ClientRecord,
    tenant: &TenantRecord,
) -> bool {
    let uri = target.as_str();
    let http = uri.starts_with("https://") || uri.starts_with("http://");
    let signed =
        mode.is_signed() || !SecurityProfile::of(client, tenant).demands(Demand::SignedResponse);
    client.request_rules.response_modes.contains(&mode) && signed && (http || !mode.is_form())
}

/// The mode of an answer that says that the mode is wrong.
fn fallback_mode(
    target: &RedirectTarget,
    client: &ClientRecord,
    tenant: &TenantRecord,
) -> ResponseMode {
    ResponseMode::ALL
        .into_iter()
        .find(|mode| mode_admitted(*mode, target, client, tenant))
        .unwrap_or_default()
}

pub(super) fn transport_admitted(
    target: &RedirectTarget,
    client: &ClientRecord,
    tenant: &TenantRecord,
) -> bool {
    !SecurityProfile::of(client, tenant).demands(Demand::HttpsRedirect)
        || target.as_str().starts_with("https://")
}

/// An answer to an authorization request, on its way.
pub struct AuthorizationResponse {
    address: ReturnAddress,
    content: Parts,
}

impl AuthorizationResponse {
    /// What has to be done to send it.
    #[must_use]
    pub fn prepare(self, now: UnixTime) -> Prepared {
        let Self {
            address,
            mut content,
        } = self;
        if !address.mode.is_signed() {
            let issuer = address.issuer.as_str().to_owned();
            content.push(("iss", Secret::new(issuer)));
            return Prepared::Ready(address.deliver(content));
        }
        Prepared::ToSign(ResponseOrder {
            expires: now.plus(SIGNED_RESPONSE_LIFETIME),
            issued: now,
            address,
            content,
        })
    }
}

/// An answer that can be sent, or that must be signed first.
pub enum Prepared {
    /// It can be sent.
    Ready(Delivery),
    /// It has to be signed.
    ToSign(ResponseOrder),
}

/// An answer that leaves only as a JWT (JARM §2.1).
pub struct ResponseOrder {
    address: ReturnAddress,
    content: Parts,
    issued: UnixTime,
    expires: UnixTime,
}

impl ResponseOrder {
    /// The claims to sign.
    #[must_use]
    pub fn claims(&self) -> ResponseClaims<'_> {
        ResponseClaims {
            iss: &self.address.issuer,
            aud: &self.address.client,
            iat: self.issued,
            exp: self.expires,
            content: self
                .content
                .iter()
                .map(|(name, value)| (*name, value.expose().as_str()))
                .collect(),
        }
    }

    /// The client that it is for.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.address.client
    }

    /// The answer as the JWT of its claims.
    #[must_use]
    pub fn deliver(self, jwt: Secret<String>) -> Delivery {
        self.address.deliver(vec![("response", jwt)])
    }
}

/// The claims of a signed answer.
#[derive(Serialize)]
pub struct ResponseClaims<'a> {
    iss: &'a Issuer,
    aud: &'a ClientId,
    iat: UnixTime,
    exp: UnixTime,
    #[serde(flatten)]
    content: BTreeMap<&'static str, &'a str>,
}

/// An answer as a browser takes it to the client.
pub enum Delivery {
    /// In a form that the person sends on.
    Form {
        /// Where.
        action: RedirectTarget,
        /// The hidden fields.
        fields: Vec<(&'static str, Secret<String>)>,
    },
    /// By a redirect to this URL. It may hold the code.
    Redirect(String),
}
