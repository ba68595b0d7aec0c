//! From a path to its endpoint: the registry that `authz_matrix` walks.
//!
//! The default tenant's endpoints stand at the root, every other's below `/t/NAME`; metadata is also found by path insertion (RFC 8414 §3.1).

use super::answer::{Failure, finish};
use super::call::{Call, source};
use super::{
    Door, Identity, account, authorize, backchannel, brand, consent, device, device_authorization,
    introspect, logout, metadata, par, partner, record, register, requests, revocations, revoke,
    sign_in, token, upstream, userinfo,
};
use axum::extract::{Request, State};
use axum::response::Response;
use countersign_base::Tenant;
use countersign_control::traces::{SpanRoute, Surface};
use futures_util::future::BoxFuture;
use http::Method;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Handler = fn(Arc<Identity>, Call) -> BoxFuture<'static, Result<Response, Failure>>;

/// One endpoint.
pub struct Endpoint {
    /// Its path below the tenant's; a last part in braces stands for any one name.
    pub path: &'static str,
    /// The methods it answers.
    pub methods: &'static [Method],
    /// What a caller must show.
    pub credential: Credential,
    /// Behind which doors it stands.
    pub doors: Doors,
    handler: Handler,
}

/// Behind which doors an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    /// Both.
    Both,
    /// Only the one that asks for no certificate: people meet it.
    Browser,
}

/// What an endpoint demands of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An access token of this tenant for its own audience.
    AccessToken,
    /// A form that this program made for this browser.
    BrowserForm,
    /// A client's authentication; a public client's name will do.
    Client,
    /// A confidential client's authentication.
    ConfidentialClient,
    /// Nothing: the answer is public, or a page that asks.
    Nothing,
    /// A token of the registration endpoint.
    RegistrationToken,
}

/// Every endpoint. A new one needs a row in the authorization matrix.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/.well-known/change-password",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(account::change_password(i, c)),
    },
    Endpoint {
        path: "/.well-known/openid-configuration",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Both,
        handler: |i, c| Box::pin(metadata::document(i, c)),
    },
    Endpoint {
        path: "/.well-known/oauth-authorization-server",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Both,
        handler: |i, c| Box::pin(metadata::document(i, c)),
    },
    Endpoint {
        path: "/.well-known/jwks.json",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Both,
        handler: |i, c| Box::pin(metadata::keys(i, c)),
    },
    Endpoint {
        path: "/account",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(account::sessions(i, c)),
    },
    Endpoint {
        path: "/account/applications",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(account::applications(i, c)),
    },
    Endpoint {
        path: "/account/change",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(account::change(i, c)),
    },
    Endpoint {
        path: "/account/providers",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(account::providers(i, c)),
    },
    Endpoint {
        path: "/account/security",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(account::security(i, c)),
    },
    Endpoint {
        path: "/account/security/app",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(account::app(i, c)),
    },
    Endpoint {
        path: "/account/security/password",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(account::password(i, c)),
    },
    Endpoint {
        path: "/assets/brand.css",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(brand::style(i, c)),
    },
    Endpoint {
        path: "/assets/logo",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(brand::logo(i, c)),
    },
    Endpoint {
        path: "/authorize",
        methods: &[Method::GET, Method::POST],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(authorize::begin(i, c)),
    },
    Endpoint {
        path: "/authorize/resume",
        methods: &[Method::GET],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(authorize::resume(i, c)),
    },
    Endpoint {
        path: "/bc-authorize",
        methods: &[Method::POST],
        credential: Credential::ConfidentialClient,
        doors: Doors::Both,
        handler: |i, c| Box::pin(backchannel::authenticate(i, c)),
    },
    Endpoint {
        path: "/consent",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(consent::answer(i, c)),
    },
    Endpoint {
        path: "/device",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(device::page(i, c)),
    },
    Endpoint {
        path: "/device/code",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(device::enter(i, c)),
    },
    Endpoint {
        path: "/device_authorization",
        methods: &[Method::POST],
        credential: Credential::Client,
        doors: Doors::Both,
        handler: |i, c| Box::pin(device_authorization::authorize(i, c)),
    },
    Endpoint {
        path: "/federation/callback/{provider}",
        methods: &[Method::GET],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(upstream::callback(i, c)),
    },
    Endpoint {
        path: "/introspect",
        methods: &[Method::POST],
        credential: Credential::ConfidentialClient,
        doors: Doors::Both,
        handler: |i, c| Box::pin(introspect::introspect(i, c)),
    },
    Endpoint {
        path: "/logout",
        methods: &[Method::GET, Method::POST],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(logout::page(i, c)),
    },
    Endpoint {
        path: "/logout/confirm",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(logout::sign_out(i, c)),
    },
    Endpoint {
        path: "/par",
        methods: &[Method::POST],
        credential: Credential::Client,
        doors: Doors::Both,
        handler: |i, c| Box::pin(par::push(i, c)),
    },
    Endpoint {
        path: "/partner",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(partner::endpoints(i, c)),
    },
    Endpoint {
        path: "/partner/change",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(partner::change(i, c)),
    },
    Endpoint {
        path: "/partner/deliveries/{delivery}",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(partner::delivery(i, c)),
    },
    Endpoint {
        path: "/partner/endpoints/{endpoint}",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(partner::endpoint(i, c)),
    },
    Endpoint {
        path: "/requests",
        methods: &[Method::GET],
        credential: Credential::Nothing,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(requests::page(i, c)),
    },
    Endpoint {
        path: "/requests/answer",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(requests::answer(i, c)),
    },
    Endpoint {
        path: "/register",
        methods: &[Method::POST],
        credential: Credential::RegistrationToken,
        doors: Doors::Both,
        handler: |i, c| Box::pin(register::register(i, c)),
    },
    Endpoint {
        path: "/register/{client}",
        methods: &[Method::GET, Method::PUT, Method::DELETE],
        credential: Credential::RegistrationToken,
        doors: Doors::Both,
        handler: |i, c| Box::pin(register::manage(i, c)),
    },
    Endpoint {
        path: "/revocations",
        methods: &[Method::POST],
        credential: Credential::ConfidentialClient,
        doors: Doors::Both,
        handler: |i, c| Box::pin(revocations::list(i, c)),
    },
    Endpoint {
        path: "/revoke",
        methods: &[Method::POST],
        credential: Credential::Client,
        doors: Doors::Both,
        handler: |i, c| Box::pin(revoke::revoke(i, c)),
    },
    Endpoint {
        path: "/sign-in",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(sign_in::sign_in(i, c)),
    },
    Endpoint {
        path: "/sign-in/code",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(sign_in::second_factor::code(i, c)),
    },
    Endpoint {
        path: "/sign-in/code/passkey",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(sign_in::second_factor::with_passkey(i, c)),
    },
    Endpoint {
        path: "/sign-in/passkey",
        methods: &[Method::POST],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(sign_in::passkey::sign_in(i, c)),
    },
    Endpoint {
        path: "/sign-in/upstream",
        methods: &[Method::GET],
        credential: Credential::BrowserForm,
        doors: Doors::Browser,
        handler: |i, c| Box::pin(upstream::begin(i, c)),
    },
    Endpoint {
        path: "/token",
        methods: &[Method::POST],
        credential: Credential::Client,
        doors: Doors::Both,
        handler: |i, c| Box::pin(token::token(i, c)),
    },
    Endpoint {
        path: "/userinfo",
        methods: &[Method::GET, Method::POST],
        credential: Credential::AccessToken,
        doors: Doors::Both,
        handler: |i, c| Box::pin(userinfo::userinfo(i, c)),
    },
];

/// Answers one request.
pub(super) async fn dispatch(State(identity): State<Arc<Identity>>, request: Request) -> Response {
    let id = identity.fabric.random().request_id();
    let mut span =
        identity
            .fabric
            .traces()
            .begin(Surface::Identity, request.method(), request.headers());
    let source = source(request.extensions());
    let (outcome, heard, tenant) = match find(&identity, request) {
        Ok(Found {
            endpoint,
            named,
            request,
            tenant,
        }) => {
            if let Some(span) = &mut span {
                span.route = Some(SpanRoute::Endpoint(endpoint.path));
                span.tenant = Some(tenant.name.clone());
            }
            let mut call = Call::new(id, Arc::clone(&tenant), endpoint.path, request);
            call.named = named;
            let heard = call.recorded();
            let outcome = (endpoint.handler)(Arc::clone(&identity), call).await;
            (outcome, heard.load(Ordering::Acquire), Some(tenant))
        }
        Err(failure) => (Err(failure), false, None),
    };
    let outcome = match outcome {
        Err(failure) if !heard => {
            let name = tenant.as_ref().map(|tenant| tenant.name.clone());
            let name = name.unwrap_or_else(Tenant::default_tenant);
            record::unheard(&identity, &name, source, id, &failure).and(Err(failure))
        }
        outcome => outcome,
    };
    if let Some(span) = &mut span {
        span.error = outcome.as_ref().err().map(Failure::reason);
    }
    let response = finish(&identity, tenant.as_deref(), id, outcome);
    if let Some(span) = &mut span {
        span.status = Some(response.status().as_u16());
    }
    identity
        .fabric
        .metrics()
        .answered("identity", response.status().as_u16());
    response
}

/// What a request is for.
struct Found {
    endpoint: &'static Endpoint,
    /// What the path has in place of the braces.
    named: Option<String>,
    request: Request,
    tenant: Arc<countersign_oauth::TenantRecord>,
}

fn find(identity: &Identity, request: Request) -> Result<Found, Failure> {
    let (name, path) = split(request.uri().path()).ok_or(Failure::NotFound)?;
    let tenant = identity
        .fabric
        .directory()
        .tenant(&name)
        .ok_or(Failure::NotFound)?;
    let (endpoint, named) = ENDPOINTS
        .iter()
        .find_map(|endpoint| Some((endpoint, endpoint.fits(&path)?)))
        .ok_or(Failure::NotFound)?;
    if (identity.options.door, endpoint.doors) == (Door::MutualTls, Doors::Browser) {
        return Err(Failure::NotFound);
    }
    // HEAD is GET without the body, which the HTTP layer leaves out.
    let method = if request.method() == Method::HEAD {
        &Method::GET
    } else {
        request.method()
    };
    if !endpoint.methods.contains(method) {
        return Err(Failure::MethodNotAllowed(endpoint.methods));
    }
    let named = named.map(str::to_owned);
    Ok(Found {
        endpoint,
        named,
        request,
        tenant,
    })
}

impl Endpoint {
    /// Whether `path` is this endpoint's, and what it has in place of the braces.
    fn fits<'p>(&self, path: &'p str) -> Option<Option<&'p str>> {
        let Some((before, _)) = self.path.split_once('{') else {
            return (path == self.path).then_some(None);
        };
        let named = path.strip_prefix(before)?;
        (!named.is_empty() && !named.contains('/')).then_some(Some(named))
    }
}

/// The tenant that a path names, and the path below it. `/t/default` names nobody: one tenant has one address.
fn split(path: &str) -> Option<(Tenant, String)> {
    for well_known in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        if let Some(name) = path
            .strip_prefix(well_known)
            .and_then(|rest| rest.strip_prefix("/t/"))
        {
            return Some((named(name)?, well_known.to_owned()));
        }
    }
    match path.strip_prefix("/t/") {
        None => Some((Tenant::default_tenant(), path.to_owned())),
        Some(rest) => {
            let (name, below) = rest.split_once('/')?;
            Some((named(name)?, format!("/{below}")))
        }
    }
}

fn named(name: &str) -> Option<Tenant> {
    name.parse()
        .ok()
        .filter(|tenant: &Tenant| !tenant.is_default())
}

#[cfg(test)]
mod tests;
