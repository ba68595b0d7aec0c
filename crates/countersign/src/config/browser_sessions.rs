//! `[[browser_sessions]]`: people sign in at the gateway, which keeps their tokens. Our key at the issuer is a reference.

use super::clients::ClientSection;
use super::error::Mistakes;
use super::span::{SecretReference, Span};
use super::{Tenants, nearest};
use countersign_base::{Audience, ClientId, Duration, Kid, Scope, Tenant};
use countersign_control::browser_sessions::{ReturnPath, SessionName};
use countersign_crypto::jose::Algorithm;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::Spanned;

/// How long a session lives without being used, unless the configuration says otherwise.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long it lives at all, unless the configuration says otherwise, and at most.
const ABSOLUTE: Duration = Duration::from_secs(8 * 3600);
/// The longest life of a session.
const ABSOLUTE_MAX: Duration = Duration::from_secs(7 * 86_400);
/// The shortest life without use.
const IDLE_MIN: Duration = Duration::from_secs(60);

/// One of `[[browser_sessions]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSessions {
    name: Spanned<SessionName>,
    #[serde(default)]
    tenant: Option<Spanned<Tenant>>,
    /// The client of the tenant that the gateway is.
    client: Spanned<ClientId>,
    /// Its key, PKCS#8 in PEM (`private_key_jwt`).
    client_key: SecretReference,
    /// The name of its key.
    client_key_id: Kid,
    #[serde(default = "es256")]
    client_key_algorithm: Algorithm,
    /// The audience of the tokens, which routes ask for.
    audience: Audience,
    #[serde(default)]
    scopes: BTreeSet<Scope>,
    /// Whose pages it is for; without it, the gateway's own address.
    origin: Option<Spanned<String>>,
    login: Option<Spanned<ReturnPath>>,
    callback: Option<Spanned<ReturnPath>>,
    logout: Option<Spanned<ReturnPath>>,
    backchannel_logout: Option<Spanned<ReturnPath>>,
    /// Where browsers go after the sign-out.
    post_logout: Option<ReturnPath>,
    idle: Option<Spanned<Span>>,
    absolute: Option<Spanned<Span>>,
    /// A file with the certificate authority of the issuer's certificate; without it, the local development authority.
    ca: Option<PathBuf>,
}

const fn es256() -> Algorithm {
    Algorithm::Es256
}

/// One kind of session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionsSection {
    /// Its name, which stands in its cookies.
    pub name: SessionName,
    /// Whose people sign in.
    pub tenant: Tenant,
    /// The client that the gateway is.
    pub client: ClientId,
    /// Its key.
    pub client_key: SecretReference,
    /// The name of its key.
    pub client_key_id: Kid,
    /// The algorithm of its key.
    pub client_key_algorithm: Algorithm,
    /// The audience of the tokens.
    pub audience: Audience,
    /// Their scopes.
    pub scopes: BTreeSet<Scope>,
    /// Whose pages it is for, if not those of the gateway's own address.
    pub origin: Option<String>,
    /// Where a sign-in begins.
    pub login: String,
    /// Where the issuer's answer comes.
    pub callback: String,
    /// Where a page posts to sign out.
    pub logout: String,
    /// Where the issuer says that a sign-in is over.
    pub backchannel_logout: String,
    /// Where browsers go after the sign-out.
    pub post_logout: ReturnPath,
    /// How long it lives without being used.
    pub idle: Duration,
    /// How long it lives at all.
    pub absolute: Duration,
    /// The certificate authority of the issuer's certificate, if not the local one.
    pub ca: Option<PathBuf>,
}

pub(crate) fn check(
    raw: Vec<RawSessions>,
    tenants: &Tenants<'_>,
    clients: &[ClientSection],
    mistakes: &mut Mistakes<'_>,
) -> Vec<SessionsSection> {
    let mut sections: Vec<SessionsSection> = Vec::new();
    for sessions in raw {
        let Some(tenant) = tenants.find(sessions.tenant.as_ref(), mistakes) else {
            continue;
        };
        let name = sessions.name.get_ref();
        if sections.iter().any(|earlier| earlier.name == *name) {
            mistakes.at(
                &sessions.name.span(),
                format!("the sessions `{name}` stand here twice"),
                "give one of them another name: it stands in their cookies",
            );
            continue;
        }
        check_client(&sessions.client, &tenant, clients, mistakes);
        sections.push(section(sessions, tenant, mistakes));
    }
    sections
}

fn check_client(
    client: &Spanned<ClientId>,
    tenant: &Tenant,
    clients: &[ClientSection],
    mistakes: &mut Mistakes<'_>,
) {
    let of_tenant = || clients.iter().filter(|known| known.tenant == *tenant);
    if !of_tenant().any(|known| known.id == *client.get_ref()) {
        let names = of_tenant().map(|known| known.id.as_str());
        mistakes.at(
            &client.span(),
            format!("no client `{}` in tenant `{tenant}`", client.get_ref()),
            nearest(client.get_ref().as_str(), names),
        );
    }
}

fn section(raw: RawSessions, tenant: Tenant, mistakes: &mut Mistakes<'_>) -> SessionsSection {
    let name = raw.name.into_inner();
    let mut path = |given: Option<Spanned<ReturnPath>>, last: &str| match given {
        None => format!("/.countersign/{name}/{last}"),
        Some(given) => {
            if given.get_ref().as_str().contains(['?', '%']) {
                mistakes.at(
                    &given.span(),
                    "an address of sessions is a plain path",
                    "write it without `?` and `%`",
                );
            }
            given.into_inner().as_str().to_owned()
        }
    };
    let login = path(raw.login, "login");
    let callback = path(raw.callback, "callback");
    let logout = path(raw.logout, "logout");
    let backchannel_logout = path(raw.backchannel_logout, "backchannel-logout");
    let origin = raw.origin.map(|origin| {
        let text = origin.get_ref().trim_end_matches('/').to_owned();
        let url = url::Url::parse(&text);
        let plain = url
            .is_ok_and(|url| url.scheme() == "https" && url.origin().ascii_serialization() == text);
        if !plain {
            mistakes.at(
                &origin.span(),
                "not an origin",
                "write `https://` and the host as browsers do, with its port if it is not 443",
            );
        }
        text
    });
    let absolute = span(raw.absolute.as_ref(), ABSOLUTE, ABSOLUTE_MAX, mistakes);
    let idle = span(raw.idle.as_ref(), IDLE.min(absolute), absolute, mistakes);
    SessionsSection {
        name,
        tenant,
        client: raw.client.into_inner(),
        client_key: raw.client_key,
        client_key_id: raw.client_key_id,
        client_key_algorithm: raw.client_key_algorithm,
        audience: raw.audience,
        scopes: raw.scopes,
        origin,
        login,
        callback,
        logout,
        backchannel_logout,
        post_logout: raw.post_logout.unwrap_or_else(ReturnPath::root),
        idle,
        absolute,
        ca: raw.ca,
    }
}

fn span(
    given: Option<&Spanned<Span>>,
    otherwise: Duration,
    max: Duration,
    mistakes: &mut Mistakes<'_>,
) -> Duration {
    let Some(given) = given else {
        return otherwise;
    };
    let span = given.get_ref().0;
    if !(IDLE_MIN..=max).contains(&span) {
        mistakes.at(
            &given.span(),
            "not a life of sessions",
            format!("from {} to {} seconds", IDLE_MIN.as_secs(), max.as_secs()),
        );
    }
    span
}
