//! Cookies: who is signed in, and which browser this is. Both are `__Host-` cookies (RFC 6265bis §4.1.3.2), one pair a tenant.
//!
//! A cookie's value is 256 random bits. Forms carry a MAC over the browser's, so that a form answered in another browser is refused. Of the session's, and of the
//! browsers that somebody signed in with, the store keeps keyed hashes.

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use axum::response::Response;
use countersign_base::{Secret, Tenant};
use countersign_crypto::mac::Tag;
use countersign_oauth::Session;
use countersign_oauth::session::{BROWSER_COOKIE, SESSION_COOKIE, SESSION_LIFETIME};
use countersign_store::tables::authenticators::BROWSER_KNOWN_FOR;
use countersign_store::tables::sessions;
use http::header::{self, HeaderValue};

/// The value of the cookie that names the browser, if it sent a well-formed one.
pub(super) fn browser(call: &Call) -> Option<Secret<String>> {
    read(call, &name(BROWSER_COOKIE, &call.tenant.name))
}

/// The keyed hash under which the store knows a browser that somebody signed in with.
pub(super) fn browser_tag(identity: &Identity, call: &Call) -> Option<Tag> {
    let (tenant, value) = (&call.tenant.name, browser(call)?);
    let key = identity
        .fabric
        .secrets()
        .tenant_mac_key(tenant, "known-browser");
    Some(key.tag("browser cookie", &[value.expose().as_bytes()]))
}

/// The keyed hash under which the store knows a browser in which somebody proved a second factor: the same cookie, and no tag that a password alone leaves.
pub(super) fn proven_browser_tag(identity: &Identity, call: &Call) -> Option<Tag> {
    let (tenant, value) = (&call.tenant.name, browser(call)?);
    let key = identity
        .fabric
        .secrets()
        .tenant_mac_key(tenant, "known-browser");
    Some(key.tag("browser of a second factor", &[value.expose().as_bytes()]))
}

/// Lets a browser that somebody signed in with keep its name, so that it is known the next time.
pub(super) fn keep_browser(
    response: &mut Response,
    tenant: &Tenant,
    value: &Secret<String>,
) -> Result<(), Failure> {
    let (name, age) = (name(BROWSER_COOKIE, tenant), BROWSER_KNOWN_FOR.as_secs());
    set(
        response,
        &format!(
            "{name}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age}",
            value.expose()
        ),
    )
}

/// Gives the browser a name.
pub(super) fn name_browser(
    response: &mut Response,
    tenant: &Tenant,
    value: &Secret<String>,
) -> Result<(), Failure> {
    set(
        response,
        &format!(
            "{}={}; Path=/; Secure; HttpOnly; SameSite=Lax",
            name(BROWSER_COOKIE, tenant),
            value.expose()
        ),
    )
}

/// The session of the browser, whatever became of it.
pub(super) async fn session(identity: &Identity, call: &Call) -> Result<Option<Session>, Failure> {
    let Some(value) = read(call, &name(SESSION_COOKIE, &call.tenant.name)) else {
        return Ok(None);
    };
    let handle = session_handle(identity, &call.tenant.name, &value);
    let mut connection = identity.fabric.store().read().await?;
    let session = sessions::find_by_handle(&mut connection, &call.tenant.name, &handle).await?;
    Ok(session.filter(|session| session.is_live(identity.fabric.now())))
}

/// The keyed hash under which a session's cookie is stored.
pub(super) fn session_handle(identity: &Identity, tenant: &Tenant, value: &Secret<String>) -> Tag {
    let key = identity
        .fabric
        .secrets()
        .tenant_mac_key(tenant, "session-cookie");
    key.tag(
        "session cookie",
        &[tenant.as_str().as_bytes(), value.expose().as_bytes()],
    )
}

/// Signs the browser in.
pub(super) fn set_session(
    response: &mut Response,
    tenant: &Tenant,
    value: &Secret<String>,
) -> Result<(), Failure> {
    let (name, age) = (name(SESSION_COOKIE, tenant), SESSION_LIFETIME.as_secs());
    set(
        response,
        &format!(
            "{name}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age}",
            value.expose()
        ),
    )
}

/// Signs the browser out.
pub(super) fn clear_session(response: &mut Response, tenant: &Tenant) -> Result<(), Failure> {
    set(
        response,
        &format!(
            "{}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
            name(SESSION_COOKIE, tenant)
        ),
    )
}

fn name(prefix: &str, tenant: &Tenant) -> String {
    format!("{prefix}{tenant}")
}

fn set(response: &mut Response, cookie: &str) -> Result<(), Failure> {
    let value = HeaderValue::from_str(cookie).map_err(|_| Failure::Unavailable)?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(())
}

/// The one cookie of this name. Two of one name are none: somebody planted one.
fn read(call: &Call, name: &str) -> Option<Secret<String>> {
    let headers = call.headers().get_all(header::COOKIE);
    let fields = headers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "));
    let mut values = fields.filter_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let value = values.next()?;
    let well_formed = value.len() == 43
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (well_formed && values.next().is_none()).then(|| Secret::new(value.to_owned()))
}
