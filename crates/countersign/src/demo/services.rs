//! The exercise's services, orders and billing: small, behind `guard`, over TLS that asks for a client certificate. Of billing there are two nodes.
//!
//! They trust no header: what they answer comes of the token that the guard checked, for their own audience, bound to the certificate of the connection.

use super::billing::Billing;
use super::http::Failure;
use axum::body::Bytes;
use axum::extract::{Path as Named, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use countersign_authn::dpop::NonceUse;
use countersign_authn::jwks::{FetchFailed, JwksLimits};
use countersign_authn::replay::ReplayLimits;
use countersign_authn::{Anonymous, Binding, ResourceRules, Subject, TrustedIssuer};
use countersign_base::{Audience, Clock, Duration, Issuer, Scopes, Tenant};
use countersign_control::Fabric;
use countersign_crypto::Random;
use countersign_crypto::jose::Algorithm;
use countersign_guard::{FetchedKeys, Guard, GuardLayer, GuardOptions, KeySource, LifetimeOnly};
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientCertificates, Drain, EgressPolicy, HttpClient, Limits, Listener, ServerTls, TlsClient,
    TlsIdentity, Transport, TrustRoots, from_tower, serve,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// The sockets of the services, bound before the gateway is configured to reach them.
pub(super) struct Sockets {
    orders: Listener,
    billing: Listener,
    /// Billing's other node, which the gateway does not know.
    billing_other: Listener,
}

impl Sockets {
    pub(super) fn bind() -> Result<Self, Failure> {
        let any = || {
            Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
                .map_err(|error| Failure::new(format!("no socket: {error}")))
        };
        Ok(Self {
            orders: any()?,
            billing: any()?,
            billing_other: any()?,
        })
    }

    pub(super) fn orders(&self) -> Result<Url, Failure> {
        local(self.orders.address().port())
    }

    pub(super) fn billing(&self) -> Result<Url, Failure> {
        local(self.billing.address().port())
    }

    pub(super) fn billing_other(&self) -> Result<Url, Failure> {
        local(self.billing_other.address().port())
    }

    /// Starts all, billing's nodes with what each of them keeps; they end when `drain` does.
    pub(super) fn start(
        self,
        fabric: &Fabric,
        issuer: &Issuer,
        nodes: [Arc<Billing>; 2],
        drain: &Drain,
    ) -> Result<(), Failure> {
        let place = Place {
            fabric,
            issuer,
            drain,
        };
        let orders = Router::new().route(
            "/regions/{region}/customers/{owner}/orders/{order}",
            get(order).put(change),
        );
        let guarded = [("", orders)];
        let audience = "https://orders.demo.example";
        place.start(self.orders, audience, guarded, Router::new())?;
        let audience = "https://billing.demo.example";
        for (listener, node) in [self.billing, self.billing_other].into_iter().zip(nodes) {
            let charges = Router::new().route("/charges/{charge}", post(charge));
            // What a card takes, its own handlers say.
            let guarded = [("billing.charge", charges), ("", node.routes())];
            place.start(listener, audience, guarded, told())?;
        }
        Ok(())
    }
}

fn local(port: u16) -> Result<Url, Failure> {
    Url::parse(&format!("https://localhost:{port}")).map_err(|_| Failure::new("a local address"))
}

/// Where services start: the authority and issuer they trust, and what ends them.
struct Place<'a> {
    fabric: &'a Fabric,
    issuer: &'a Issuer,
    drain: &'a Drain,
}

impl Place<'_> {
    /// Starts a service: routes, each behind a guard that asks for these scopes, and those that are for whoever has a certificate of this installation.
    fn start<const N: usize>(
        &self,
        listener: Listener,
        audience: &str,
        guarded: [(&str, Router); N],
        certified: Router,
    ) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("a service does not start: {error}"))
        };
        let authority = self.fabric.authority();
        let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes())
            .map_err(|error| failed(&error))?;
        let tls = server_tls(self.fabric, ClientCertificates::Required(roots.clone()))?;
        let mut routes = certified;
        for (scopes, part) in guarded {
            let (address, clock) = (listener.address(), self.fabric.clock());
            let guard = guard(address, audience, scopes, clock, self.issuer, &roots)?;
            routes = routes.merge(part.layer(GuardLayer::new(guard)));
        }
        let limits = Limits::default();
        let service = from_tower(routes, &limits);
        let drain = self.drain.clone();
        tokio::spawn(async move {
            if serve(listener, Transport::Tls(tls), limits, service, drain)
                .await
                .is_err()
            {
                tracing::error!(event = "exercise_service_failed");
            }
        });
        Ok(())
    }
}

/// What providers told a service, by the ids of their webhooks: each counts once, however often it is brought.
type Told = Arc<Mutex<BTreeMap<String, Value>>>;

/// Where a service is told what providers send. It shows what it got.
fn told() -> Router {
    Router::new()
        .route("/webhooks/{provider}", post(tell).get(tell_what_was_told))
        .with_state(Told::default())
}

async fn tell(State(told): State<Told>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let field = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(key)) = (field("webhook-id"), field("idempotency-key")) else {
        return StatusCode::BAD_REQUEST;
    };
    let got = json!({ "id": id, "key": key, "body": String::from_utf8_lossy(&body) });
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.entry(id.to_owned()).or_insert(got);
    StatusCode::NO_CONTENT
}

async fn tell_what_was_told(State(told): State<Told>) -> Json<Vec<Value>> {
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    Json(told.values().cloned().collect())
}

/// TLS of a server on loopback, with a certificate of the local authority.
pub(super) fn server_tls(
    fabric: &Fabric,
    clients: ClientCertificates,
) -> Result<ServerTls, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(format!("a service does not start: {error}"));
    let issued = fabric.authority().server(&[], fabric.now());
    let issued = issued.map_err(|error| failed(&error))?;
    let identity = TlsIdentity::from_issued(&issued).map_err(|error| failed(&error))?;
    ServerTls::new(&identity, clients).map_err(|error| failed(&error))
}

fn guard(
    address: SocketAddr,
    audience: &str,
    scopes: &str,
    clock: &Clock,
    issuer: &Issuer,
    roots: &TrustRoots,
) -> Result<Guard, Failure> {
    let failed = |_| Failure::new("a service's rules");
    let audience: Audience = audience.parse().map_err(failed)?;
    let tenant: Tenant = "demo".parse().map_err(failed)?;
    let scopes: Scopes = scopes.parse().map_err(failed)?;
    let trusted = TrustedIssuer {
        issuer: issuer.clone(),
        tenant,
        algorithms: vec![Algorithm::Es256],
    };
    let options = GuardOptions {
        origin: format!("https://localhost:{}", address.port()),
        rules: ResourceRules::new(
            audience,
            vec![trusted],
            Binding::Required,
            Anonymous::Refused,
        ),
        scopes,
        clock: clock.clone(),
        random: Random::system(),
        revocations: Arc::new(LifetimeOnly),
        nonces: NonceUse::AfterStart,
        jwks: JwksLimits::default(),
        replay: ReplayLimits::default(),
    };
    let tls = TlsClient::new(roots, None, Alpn::Http1)
        .map_err(|error| Failure::new(error.to_string()))?;
    let http = HttpClient::new(
        tls,
        EgressPolicy::public_only().allowing("localhost"),
        ClientOptions::default(),
    );
    Ok(Guard::new(options, PublishedKeys(Arc::new(http))))
}

/// The keys that the issuer's metadata points to (RFC 8414 §3.1), fetched like any service would.
struct PublishedKeys(Arc<HttpClient>);

impl KeySource for PublishedKeys {
    fn fetch(&self, issuer: &Issuer) -> BoxFuture<'static, Result<FetchedKeys, FetchFailed>> {
        let (http, metadata) = (Arc::clone(&self.0), metadata_address(issuer));
        Box::pin(async move {
            let answer = http
                .get(&metadata.ok_or(FetchFailed)?)
                .await
                .map_err(|_| FetchFailed)?;
            let metadata: Value = serde_json::from_slice(&answer.body).map_err(|_| FetchFailed)?;
            let keys = metadata
                .get("jwks_uri")
                .and_then(Value::as_str)
                .and_then(|uri| Url::parse(uri).ok())
                .ok_or(FetchFailed)?;
            let answer = http.get(&keys).await.map_err(|_| FetchFailed)?;
            Ok(FetchedKeys {
                body: answer.body,
                max_age: Duration::from_secs(300),
            })
        })
    }
}

/// RFC 8414 §3.1: the well-known part stands between host and path.
pub(super) fn metadata_address(issuer: &Issuer) -> Option<Url> {
    let mut url = Url::parse(issuer.as_str()).ok()?;
    let path = format!(
        "/.well-known/oauth-authorization-server{}",
        url.path().trim_end_matches('/')
    );
    url.set_path(&path);
    Some(url)
}

/// Region, owner and number of an order.
type Order = Named<(String, String, String)>;

async fn order(
    order: Order,
    Extension(subject): Extension<Subject>,
    headers: HeaderMap,
) -> Json<Value> {
    Json(row(order, &json!({}), &saw(&subject, &headers)))
}

async fn change(
    order: Order,
    Extension(subject): Extension<Subject>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, StatusCode> {
    let change = match body.as_ref() {
        [] => json!({}),
        // Whatever it says: the gateway's document is what keeps a caller from naming another owner.
        body => serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?,
    };
    Ok(Json(row(order, &change, &saw(&subject, &headers))))
}

/// An order as its table has it, with a column that is nobody's but the company's.
fn row(Named((region, owner, order)): Order, change: &Value, saw: &Value) -> Value {
    json!({ "order": order, "owner": owner, "region": region, "change": change, "cost": 4711, "saw": saw })
}

async fn charge(
    Named(charge): Named<String>,
    Extension(subject): Extension<Subject>,
    headers: HeaderMap,
) -> Json<Value> {
    Json(json!({ "charge": charge, "saw": saw(&subject, &headers) }))
}

/// Everything that the service was told of the caller: for the evidence.
pub(super) fn saw(subject: &Subject, headers: &HeaderMap) -> Value {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let actors: Vec<&str> = subject
        .actors()
        .iter()
        .map(|actor| actor.sub.as_str())
        .collect();
    json!({
        "sub": subject.principal().to_string(),
        "aud": subject.audience().as_str(),
        "scope": subject.scopes().to_string(),
        "act": actors,
        "roles": subject.roles().len(),
        "attributes": subject.attributes().len(),
        "decision": header("countersign-decision"),
        "request": header("countersign-request-id"),
    })
}
