//! The pages that people meet: sign-in, consent, sign-out and errors. They work without JavaScript, in light and dark, on narrow screens; passkeys alone, which
//! browsers have behind a script only, come with one small file of ours.
//!
//! Every value is escaped by the templates (askama); a strict content security policy stands behind that. How a tenant's pages look is
//! [`brand`]'s; the account pages are [`account`]'s.

pub(crate) mod account;
pub(crate) mod brand;
pub(crate) mod partner;
mod qr;

pub(crate) use brand::Brand;

use askama::Template;
use axum::response::Response;
use countersign_authn::access_token::AuthorizationDetail;
use countersign_base::RequestId;
use countersign_oauth::TenantRecord;
use countersign_oauth::authorization_details::DetailTypes;
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde_json::Value;
use url::Url;

/// Where the style sheet is.
pub(crate) const STYLE_PATH: &str = "/assets/pages.css";
const STYLE: &str = include_str!("../templates/pages.css");
/// Where the script is that asks the browser for passkeys: the only one, and on the pages with passkeys only.
pub(crate) const SCRIPT_PATH: &str = "/assets/passkeys.js";
const SCRIPT: &str = include_str!("../templates/passkeys.js");

/// Asks for username and password, or a passkey.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage<'a> {
    pub(crate) client: &'a str,
    pub(crate) action: String,
    pub(crate) ticket: &'a str,
    pub(crate) passkey_action: String,
    pub(crate) passkey_ticket: String,
    /// What the script asks the browser for.
    pub(crate) passkey_options: Option<String>,
    pub(crate) problem: Option<&'a str>,
    pub(crate) providers: Vec<ProviderLink>,
    /// Whether an e-mail address alone leads to a provider.
    pub(crate) by_address: bool,
}

/// Asks for another factor of somebody who is known by then.
#[derive(Template)]
#[template(path = "second_factor.html")]
pub(crate) struct SecondFactorPage<'a> {
    pub(crate) client: &'a str,
    /// Where codes go, if one would do.
    pub(crate) code_action: Option<String>,
    /// Whether a code of an app would do.
    pub(crate) app: bool,
    /// Whether a recovery code would do.
    pub(crate) recovery: bool,
    pub(crate) passkey_action: String,
    /// What the script asks the browser for, if a passkey would do.
    pub(crate) passkey_options: Option<String>,
    pub(crate) ticket: &'a str,
    pub(crate) problem: Option<&'a str>,
}

/// A way to another identity provider.
pub(crate) struct ProviderLink {
    pub(crate) label: String,
    pub(crate) path: String,
}

/// Leads on to another identity provider without a click.
#[derive(Template)]
#[template(path = "onward.html")]
pub(crate) struct OnwardPage<'a> {
    pub(crate) provider: &'a str,
    pub(crate) url: &'a str,
}

/// Asks whether a client may have what it asks for.
#[derive(Template)]
#[template(path = "consent.html")]
pub(crate) struct ConsentPage<'a> {
    pub(crate) client: &'a str,
    pub(crate) client_id: &'a str,
    /// Where the client's metadata document is: all that is known of it for certain.
    pub(crate) document: Option<String>,
    pub(crate) host: String,
    pub(crate) scopes: Vec<Explained<'a>>,
    pub(crate) audiences: Vec<&'a str>,
    pub(crate) claims: Vec<&'static str>,
    pub(crate) details: Vec<ExplainedDetail<'a>>,
    pub(crate) hours: u64,
    pub(crate) action: String,
    pub(crate) ticket: &'a str,
}

/// An authorization detail in words: what its type means, and every member as it was asked for.
pub(crate) struct ExplainedDetail<'a> {
    pub(crate) words: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) members: Vec<(&'a str, String)>,
}

/// A scope in words.
pub(crate) struct Explained<'a> {
    pub(crate) scope: &'a str,
    pub(crate) words: &'static str,
}

/// Asks for the code that a device shows.
#[derive(Template)]
#[template(path = "device.html")]
pub(crate) struct DevicePage<'a> {
    pub(crate) action: String,
    pub(crate) ticket: &'a str,
    pub(crate) code: Option<String>,
    pub(crate) problem: Option<&'a str>,
}

/// Asks about requests that came from other devices.
#[derive(Template)]
#[template(path = "requests.html")]
pub(crate) struct RequestsPage {
    pub(crate) action: String,
    /// The user code, if the person came by one.
    pub(crate) code: Option<String>,
    pub(crate) requests: Vec<AskedRequest>,
}

/// One request, with who asks.
pub(crate) struct AskedRequest {
    pub(crate) client: String,
    pub(crate) client_id: String,
    /// Where the client is at home, if it has registered an address.
    pub(crate) host: Option<String>,
    /// What the other device shows.
    pub(crate) message: Option<String>,
    /// Scopes, each with its meaning in words.
    pub(crate) scopes: Vec<(String, &'static str)>,
    pub(crate) audiences: Vec<String>,
    pub(crate) details: Vec<AskedDetail>,
    /// When it was asked, in words.
    pub(crate) when: String,
    /// From where it was asked.
    pub(crate) source: String,
    pub(crate) ticket: String,
}

/// An authorization detail that a request asks for, in words.
pub(crate) struct AskedDetail {
    pub(crate) words: String,
    pub(crate) kind: String,
    pub(crate) members: Vec<(String, String)>,
}

/// Says that an answer was taken.
#[derive(Template)]
#[template(path = "answered.html")]
pub(crate) struct AnsweredPage<'a> {
    pub(crate) client: &'a str,
    pub(crate) heading: &'static str,
    pub(crate) more: String,
}

/// Sends an answer on to a client (`form_post`).
#[derive(Template)]
#[template(path = "form_post.html")]
pub(crate) struct FormPostPage<'a> {
    pub(crate) client: &'a str,
    pub(crate) host: String,
    pub(crate) action: &'a str,
    pub(crate) fields: Vec<(&'static str, &'a str)>,
}

/// Asks whether to sign out.
#[derive(Template)]
#[template(path = "sign_out.html")]
pub(crate) struct SignOutPage<'a> {
    pub(crate) action: String,
    pub(crate) ticket: &'a str,
    /// The client that sent the person here, if it is known.
    pub(crate) client: Option<&'a str>,
}

/// Nobody is signed in.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub(crate) struct SignedOutPage {}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    heading: &'a str,
    advice: &'a str,
    request_id: String,
}

/// A page of `tenant` whose forms may lead on to `form_target`, the origin of the client's redirect URI, or nowhere else if it is empty.
pub(crate) fn render(tenant: &TenantRecord, page: &impl Template, form_target: &str) -> Response {
    let brand = Brand::of(Some(tenant));
    respond(StatusCode::OK, &brand, page, form_target, Scripts::None)
}

/// The same, of a page with passkeys.
pub(crate) fn render_with_script(
    tenant: &TenantRecord,
    page: &impl Template,
    form_target: &str,
) -> Response {
    let brand = Brand::of(Some(tenant));
    respond(StatusCode::OK, &brand, page, form_target, Scripts::Own)
}

/// Which scripts a page may run.
enum Scripts {
    None,
    /// Files of this server.
    Own,
}

/// A page that says what went wrong and what to do; of a tenant, if the request named one.
pub(crate) fn error(
    tenant: Option<&TenantRecord>,
    id: RequestId,
    status: StatusCode,
    heading: &str,
    advice: &str,
) -> Response {
    respond(
        status,
        &Brand::of(tenant),
        &ErrorPage {
            heading,
            advice,
            request_id: id.to_string(),
        },
        "",
        Scripts::None,
    )
}

fn respond(
    status: StatusCode,
    brand: &Brand,
    page: &impl Template,
    form_target: &str,
    scripts: Scripts,
) -> Response {
    let Ok(html) = page.render_with_values(brand) else {
        return crate::identity::plain(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(html.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    let scripts = match scripts {
        Scripts::None => "",
        Scripts::Own => "script-src 'self'; ",
    };
    let policy = format!(
        "default-src 'none'; {scripts}style-src 'self'; img-src 'self' data:; form-action 'self' {form_target}; frame-ancestors 'none'; base-uri 'none'"
    );
    let strictest = HeaderValue::from_static(
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_str(policy.trim()).unwrap_or(strictest),
    );
    response
}

/// The style sheet.
pub(crate) async fn style() -> Response {
    asset(STYLE, "text/css; charset=utf-8")
}

/// The script.
pub(crate) async fn script() -> Response {
    asset(SCRIPT, "text/javascript; charset=utf-8")
}

fn asset(text: &'static str, media_type: &'static str) -> Response {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=3600"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// What a redirect URI contributes to `form-action`: browsers check it against the redirect that follows a form too.
pub(crate) fn origin_of(redirect_uri: &str) -> String {
    match Url::parse(redirect_uri) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url.origin().ascii_serialization(),
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => String::new(),
    }
}

/// Where the answer goes, in words.
pub(crate) fn host_of(redirect_uri: &str) -> String {
    match Url::parse(redirect_uri) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            url.host_str().unwrap_or_default().to_owned()
        }
        Ok(url) => format!("an application on this device ({})", url.scheme()),
        Err(_) => String::new(),
    }
}

/// The scopes whose meaning is ours, in words; others speak for themselves.
pub(crate) fn explain(scope: &str) -> Explained<'_> {
    let words = match scope {
        "openid" => "know that it is you who signed in",
        "profile" => "see your username, your name and the rest of your profile",
        "email" => "see your e-mail address",
        "address" => "see your postal address",
        "phone" => "see your telephone number",
        "offline_access" => "keep access while you are away",
        _ => "",
    };
    Explained { scope, words }
}

/// What an authorization detail asks for. Nothing of it is left out: the person decides about all of it (RFC 9396 §1).
pub(crate) fn explain_detail<'a>(
    detail: &'a AuthorizationDetail,
    types: &'a DetailTypes,
) -> ExplainedDetail<'a> {
    let kind = detail.kind().as_str();
    let words = types
        .find(detail.kind())
        .map_or(kind, |registered| registered.words.as_str());
    let members = detail
        .members()
        .iter()
        .filter(|(name, _)| name.as_str() != "type")
        .map(|(name, value)| (name.as_str(), in_words(value)))
        .collect();
    ExplainedDetail {
        words,
        kind,
        members,
    }
}

/// A JSON value as a person reads it: texts without quotation marks, lists with commas, the rest as it is.
fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => {
            let words: Vec<String> = elements.iter().map(in_words).collect();
            words.join(", ")
        }
        Value::Object(members) => {
            let words: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name}: {}", in_words(value)))
                .collect();
            words.join("; ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
