//! What a configuration may say and somebody should look at: the classic mistakes of integrations. Nothing here is an error.

use super::Config;
use super::clients::{ClientCredential, ClientSection};
use super::routes::{Proof, RouteSection};
use countersign_authn::trust::SecretInBody;
use countersign_base::{Duration, Tenant};
use countersign_gateway::cors::{Credentials, Origin};
use countersign_oauth::client::{BindingRule, GrantType};
use std::fmt;

/// Access tokens that live longer are worth a look.
const TOKEN_LIFETIME_USUAL: Duration = Duration::from_secs(900);

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    subject: String,
    text: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.text)
    }
}

/// Everything to look at, in the order of the configuration.
#[must_use]
pub fn advice(config: &Config) -> Vec<Advice> {
    let clients = config.clients.iter().flat_map(of_client);
    let routes = config.routes.iter().flat_map(of_route);
    let upstreams = config
        .upstreams
        .iter()
        .filter(|upstream| upstream.url.scheme() == "http")
        .map(|upstream| Advice {
            subject: format!("upstream `{}`", upstream.name),
            text: "it is reached without TLS".to_owned(),
        });
    let secrets_in_bodies = config
        .tenants
        .iter()
        .filter(|tenant| tenant.client_secret_post == SecretInBody::Allowed)
        .map(|tenant| Advice {
            subject: format!("tenant `{}`", tenant.name),
            text: "clients may send secrets in bodies, which logs of intermediaries hold more often than headers".to_owned(),
        });
    clients
        .chain(routes)
        .chain(upstreams)
        .chain(secrets_in_bodies)
        .collect()
}

fn of_client(client: &ClientSection) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut look_at = |text: String| {
        found.push(Advice {
            subject: format!("client `{}`{}", client.id, in_tenant(&client.tenant)),
            text,
        });
    };
    if matches!(client.credential, ClientCredential::Secret(..)) {
        look_at(
            "it has a static secret: prefer `jwks`, so that nothing secret is shared".to_owned(),
        );
    }
    if client.audiences.is_empty() && !client.grants.is_empty() {
        look_at(
            "it has no audience, so it gets no access token: name one in `audiences`".to_owned(),
        );
    }
    if let Some(lifetime) = client.access_token_lifetime
        && lifetime.0 > TOKEN_LIFETIME_USUAL
    {
        let minutes = lifetime.0.as_secs() / 60;
        look_at(format!(
            "its access tokens live {minutes} minutes: five are usual"
        ));
    }
    for scope in &client.scopes {
        let name = scope.as_str();
        if name == "*" || name == "admin" || name.ends_with(":*") || name.ends_with(".*") {
            look_at(format!(
                "the scope `{name}` stands for everything: split it by what is done"
            ));
        }
    }
    let refreshes = client.grants.contains(&GrantType::RefreshToken);
    if client.credential == ClientCredential::Public
        && refreshes
        && client.binding == BindingRule::Optional
    {
        look_at("it is public and gets refresh tokens: write `binding = \"required\"`, or a stolen one works elsewhere".to_owned());
    }
    found
}

fn of_route(route: &RouteSection) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut look_at = |text: &str| {
        found.push(Advice {
            subject: format!("route `{}`", route.name),
            text: text.to_owned(),
        });
    };
    if route.proof == Proof::Any {
        look_at(
            "it takes bearer tokens: write `proof = \"bound\"`, and a stolen token is worth nothing",
        );
    }
    if let Some(keys) = &route.api_keys {
        found.push(Advice {
            subject: format!("route `{}`", route.name),
            text: format!(
                "it takes API keys, which live long and are bound to nothing, because: {}",
                keys.reason
            ),
        });
    }
    let mut look_at = |text: &str| {
        found.push(Advice {
            subject: format!("route `{}`", route.name),
            text: text.to_owned(),
        });
    };
    if let Some(name) = route.unowned_id() {
        look_at(&format!(
            "`{{{name}}}` names one thing among many and nobody has said whose it is: write `owner = \"ATTRIBUTE\"`, or `unowned = \"WHY\"` (docs/schemas.md)"
        ));
    }
    if route.limits.is_empty() {
        look_at("it has no `rate` and no `limits`: one client may take it all");
    }
    if let Some(cors) = &route.cors {
        if cors.credentials == Credentials::Allowed {
            look_at(
                "pages of other origins may send cookies to it: a page that puts its token into `Authorization` needs no `credentials`",
            );
        }
        if cors.origins.iter().any(Origin::is_plain) {
            look_at(
                "pages over plain `http` on a caller's own machine may call it: leave that to development",
            );
        }
    }
    found
}

fn in_tenant(tenant: &Tenant) -> String {
    if tenant.is_default() {
        String::new()
    } else {
        format!(" of tenant `{tenant}`")
    }
}
