//! Forms in bodies and query strings, read to a limit.

use super::answer::Failure;
use super::call::Call;
use countersign_authn::{Form, FormError};
use countersign_base::limits;
use countersign_oauth::OAuthError;
use http::header;
use http_body_util::{BodyExt, Limited};
use std::sync::PoisonError;

/// The form in the body of a call.
pub(super) async fn form(call: &mut Call) -> Result<Form, Failure> {
    let is_form = call
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_form_type);
    if !is_form {
        return Err(OAuthError::ParameterMalformed(
            "Content-Type must be application/x-www-form-urlencoded",
        )
        .into());
    }
    let body = std::mem::take(call.body.get_mut().unwrap_or_else(PoisonError::into_inner));
    let collected = Limited::new(body, limits::FORM_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| Failure::BodyUnreadable)?;
    Form::parse(&collected.to_bytes()).map_err(malformed)
}

/// The parameters in the query string of a call.
pub(super) fn query(call: &Call) -> Result<Form, FormError> {
    Form::parse(call.parts.uri.query().unwrap_or_default().as_bytes())
}

fn malformed(error: FormError) -> Failure {
    match error {
        FormError::Repeated => OAuthError::ParameterRepeated.into(),
        FormError::BrokenEscape
        | FormError::ControlCharacter
        | FormError::NotUtf8
        | FormError::TooLong
        | FormError::TooManyParameters => {
            OAuthError::ParameterMalformed("the form cannot be read").into()
        }
    }
}

fn is_form_type(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
