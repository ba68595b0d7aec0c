//! The backchannel authentication request (CIBA Core §7.1), plain or signed (§7.1.1).
//!
//! A signed request says everything inside its request object: nothing but the client's authentication is read beside it. What the object says goes through
//! the same form and the same checks as a plain request ([`signed_parameters`]).
//!
//! Not here: the signature and the claims about it (`authn`), who a hint means (`api`).

use super::{AUTH_REQ_ID_LIFETIME, AUTH_REQ_ID_LIFETIME_MAX, BindingMessage};
use crate::authorize;
use crate::client::{ClientRecord, DeliveryMode, GrantType};
use crate::error::OAuthError;
use crate::tenant::TenantRecord;
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, Duration, Scopes, Secret};
use countersign_crypto::Verified;
use countersign_crypto::jose::Claims;
use serde_json::Value;

/// Bytes of a client notification token (CIBA Core §7.1: at most 1024 characters).
pub const NOTIFICATION_TOKEN_BYTES_MAX: usize = 1024;
/// Bytes of a hint.
const HINT_BYTES_MAX: usize = 8 * 1024;
/// The shortest life that can be asked for: two polls.
const LIFETIME_MIN: Duration = Duration::from_secs(10);

/// A checked request.
pub struct BackchannelRequest {
    /// What is asked for: a subset of the client's, `openid` among it.
    pub scopes: Scopes,
    /// For whom.
    pub audiences: Vec<Audience>,
    /// Beside both (RFC 9396 §3).
    pub details: AuthorizationDetails,
    /// Who is asked.
    pub hint: Hint,
    /// What the person should see on both devices.
    pub binding_message: Option<BindingMessage>,
    /// What the client will know a notification by. Only clients that are notified send one.
    pub notification_token: Option<Secret<String>>,
    /// How long the person may take.
    pub lifetime: Duration,
}

/// Hints name people and tokens are secrets, so neither is shown.
impl std::fmt::Debug for BackchannelRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackchannelRequest")
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Whom a client means (CIBA Core §7.1): exactly one of three.
pub enum Hint {
    /// An ID token that the client got here.
    IdToken(Secret<String>),
    /// A username.
    Login(String),
    /// A token of a form that the client and this server agreed on. There is none.
    LoginToken,
}

impl BackchannelRequest {
    /// Checks a request against the registration of the client that sent it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(
        form: &Form,
        client: &ClientRecord,
        tenant: &TenantRecord,
    ) -> Result<Self, OAuthError> {
        if !client.grants.contains(&GrantType::Ciba) {
            return Err(OAuthError::GrantTypeNotRegistered);
        }
        if form.contains("request_uri") {
            return Err(OAuthError::RequestUriPushed);
        }
        if !form.contains("scope") {
            return Err(OAuthError::ParameterMissing("scope"));
        }
        let scopes = authorize::scopes(form, client)?;
        if !authorize::is_openid(&scopes) {
            return Err(OAuthError::ScopeNotPermitted);
        }
        let audiences = authorize::audiences(form, client, tenant, &scopes)?;
        let message = form.get("binding_message").map(str::parse).transpose();
        Ok(Self {
            scopes,
            audiences,
            details: tenant.detail_types.requested(form, client)?,
            hint: hint(form)?,
            binding_message: message.map_err(|_| OAuthError::BindingMessage)?,
            notification_token: notification_token(form, client)?,
            lifetime: lifetime(form)?,
        })
    }
}

fn hint(form: &Form) -> Result<Hint, OAuthError> {
    let hints = [
        form.get("id_token_hint"),
        form.get("login_hint"),
        form.get("login_hint_token"),
    ];
    if hints
        .iter()
        .flatten()
        .any(|hint| hint.len() > HINT_BYTES_MAX)
    {
        return Err(OAuthError::ParameterMalformed("the hint is too long"));
    }
    match hints {
        [Some(token), None, None] => Ok(Hint::IdToken(Secret::new(token.to_owned()))),
        [None, Some(name), None] => Ok(Hint::Login(name.to_owned())),
        [None, None, Some(_)] => Ok(Hint::LoginToken),
        [None, None, None] => Err(OAuthError::HintMissing),
        [_, _, _] => Err(OAuthError::HintsSeveral),
    }
}

/// Clients that are notified say with which token; what a polling client sends is not kept (CIBA Core §7.1).
fn notification_token(
    form: &Form,
    client: &ClientRecord,
) -> Result<Option<Secret<String>>, OAuthError> {
    let token = match (&client.ciba.delivery, form.get("client_notification_token")) {
        (DeliveryMode::Poll, _) => return Ok(None),
        (DeliveryMode::Ping { .. }, None) => {
            return Err(OAuthError::ParameterMissing("client_notification_token"));
        }
        (DeliveryMode::Ping { .. }, Some(token)) => token,
    };
    // RFC 6750 §2.1: it goes into a header.
    let fits = token.len() <= NOTIFICATION_TOKEN_BYTES_MAX
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    if fits {
        Ok(Some(Secret::new(token.to_owned())))
    } else {
        Err(OAuthError::ParameterMalformed("client_notification_token"))
    }
}

/// What the client asks for, within bounds (CIBA Core §7.1: a positive integer; written as text in a form, as either in a request object).
fn lifetime(form: &Form) -> Result<Duration, OAuthError> {
    let Some(asked) = form.get("requested_expiry") else {
        return Ok(AUTH_REQ_ID_LIFETIME);
    };
    match asked.parse::<u32>() {
        Ok(seconds) if seconds > 0 => {
            Ok(Duration::from_secs(u64::from(seconds))
                .clamp(LIFETIME_MIN, AUTH_REQ_ID_LIFETIME_MAX))
        }
        Ok(_) | Err(_) => Err(OAuthError::ParameterMalformed("requested_expiry")),
    }
}

/// What a request object says, as the form that a plain request would have been.
///
/// # Errors
/// A claim that no parameter could be: neither text nor a whole number.
pub fn signed_parameters(claims: &Verified<Claims>) -> Result<Form, OAuthError> {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in claims.raw() {
        match (name.as_str(), value) {
            ("iss" | "aud" | "exp" | "iat" | "nbf" | "jti", _) => {}
            ("request" | "request_uri", _) => {
                return Err(OAuthError::ParameterMalformed(
                    "a request object must not hold another",
                ));
            }
            (name, Value::String(value)) => {
                text.append_pair(name, value);
            }
            ("authorization_details", Value::Array(_)) => {
                text.append_pair(name, &value.to_string());
            }
            (name, Value::Number(number)) if number.is_u64() => {
                text.append_pair(name, &number.to_string());
            }
            (
                _,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_),
            ) => {
                return Err(OAuthError::ParameterMalformed(
                    "a claim of the request object is neither text nor a number",
                ));
            }
        }
    }
    Form::parse(text.finish().as_bytes())
        .map_err(|_| OAuthError::ParameterMalformed("the request object cannot be read"))
}

#[cfg(test)]
mod tests;
