//! Which requests the gateway lets through, to where, and what it asks of the caller.
//!
//! A [`RouteSpec`] is what configuration says; [`Routes::build`] checks all of them together and makes the tree that requests are matched
//! against: one step a segment, however many routes there are. What no route names is denied. Nothing here looks at credentials.

mod spec;
mod tree;

pub use spec::{
    ActionSpec, AttributeSource, CallersToken, ExchangeSpec, ResourceId, ResourceSpec, RouteSpec,
    Upgrade,
};

use crate::attributes::{self, SourceError, SourceSpec};
use crate::canonical::CanonicalTarget;
use crate::content::ContentNeed;
use crate::cors::{Cors, CorsError};
use crate::forward_auth::ForwardAuth;
use crate::idempotency::IdempotencySpec;
use crate::limiter::{LimitError, RouteLimits};
use crate::messages::MessageRules;
use crate::schema::{Contract, DocumentError};
use crate::sessions::SessionDoors;
use crate::threats::RouteThreats;
use crate::upstream::{ConcurrencySpec, ENDPOINTS_MAX, UpstreamSpec};
use crate::webhooks::{WebhookReceiver, WebhookRoute, WebhookRouteSpec};
use countersign_authn::ResourceRules;
use countersign_base::{Audience, RouteId, Scopes, Tenant};
use countersign_control::browser_sessions::SessionName;
use countersign_store::Durability;
use http::Method;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tree::{Leaf, Node};

/// Why a set of routes can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Two routes answer the same request.
    #[error(
        "routes `{first}` and `{second}` both answer {method} `{path}`: change a path, a method or a host of one"
    )]
    Conflict {
        /// The one that stands first.
        first: RouteId,
        /// The other.
        second: RouteId,
        /// The method.
        method: Method,
        /// The template of the second.
        path: String,
    },
    /// Two routes or two upstreams with one name.
    #[error("`{0}` stands twice: give one of them another name")]
    Duplicate(RouteId),
    /// The rules for pages of other origins.
    #[error("route `{route}`: cors: {error}")]
    Cors {
        /// The route.
        route: RouteId,
        /// What is wrong with them.
        error: CorsError,
    },
    /// No address, or too many.
    #[error("upstream `{0}`: expected 1 to 32 addresses")]
    Endpoints(RouteId),
    /// A token of somebody else's issuer would have to be exchanged.
    #[error(
        "route `{route}`: only tokens of our own issuer can be exchanged: leave `exchange` out, or take no other issuer's tokens"
    )]
    ExchangeOfOthers {
        /// The route.
        route: RouteId,
    },
    /// The host of a route is not one that the gateway answers for, or is not a host name.
    #[error(
        "route `{route}`: `{host}` is not a host of the gateway: expected one of its names, in lower case and without port"
    )]
    Host {
        /// The route.
        route: RouteId,
        /// What it says.
        host: String,
    },
    /// Keys of nobody.
    #[error(
        "route `{route}`: callers without a token have no keys of their own: refuse them, or leave `idempotency` out"
    )]
    Idempotency {
        /// The route.
        route: RouteId,
    },
    /// A limit.
    #[error("route `{route}`, limit `{limit}`: {error}")]
    Limit {
        /// The route.
        route: RouteId,
        /// The limit.
        limit: String,
        /// What is wrong with it.
        error: LimitError,
    },
    /// Messages of a partner at a route that is not there, has two partners, or keeps answers under keys.
    #[error(
        "route `{0}`: expected a route of the same tenant, without `idempotency`, to which one partner at most writes"
    )]
    Message(RouteId),
    /// A method is not an HTTP method, or is `CONNECT`, or there is none.
    #[error(
        "route `{route}`: expected at least one action, each under an HTTP method other than CONNECT"
    )]
    Method {
        /// The route.
        route: RouteId,
    },
    /// An attribute or id names a parameter that the path does not have.
    #[error("route `{route}`: no parameter `{parameter}` in its path")]
    Parameter {
        /// The route.
        route: RouteId,
        /// The name.
        parameter: String,
    },
    /// The path's template.
    #[error(
        "route `{route}`: `{path}` is not a path template: expected canonical segments, `{{name}}`, or `{{*name}}` at the end"
    )]
    Path {
        /// The route.
        route: RouteId,
        /// What it says.
        path: String,
    },
    /// Its document, or what the document says of it.
    #[error("route `{route}`: schema: {error}")]
    Schema {
        /// The route.
        route: RouteId,
        /// What is wrong.
        error: DocumentError,
    },
    /// The upstream is not among the upstreams.
    #[error("route `{route}`: no upstream `{upstream}`")]
    Upstream {
        /// The route.
        route: RouteId,
        /// What it says.
        upstream: RouteId,
    },
}

/// A checked route.
pub struct Route {
    /// Its name.
    pub id: RouteId,
    /// Whose route it is.
    pub tenant: Tenant,
    /// Its position among the routes.
    pub(crate) number: u32,
    /// What a token must be.
    pub rules: ResourceRules,
    /// What its methods mean.
    pub(crate) operations: Vec<Operation>,
    /// What policies call the thing behind it.
    pub resource: ResourceSpec,
    /// Whether something of that is looked up elsewhere.
    pub(crate) looks_up: bool,
    /// Position of its upstream among the upstreams.
    pub(crate) upstream: usize,
    /// The token the upstream gets.
    pub exchange: Option<ExchangeSpec>,
    /// What happens to the caller's own token.
    pub callers_token: CallersToken,
    /// How often it may be called.
    pub(crate) limits: Option<RouteLimits>,
    /// Which pages of other origins may call it; without rules none.
    pub(crate) cors: Option<Cors>,
    /// Whose sessions of browsers it takes.
    pub(crate) session: Option<SessionName>,
    /// How many requests may be under way at once.
    pub(crate) concurrency: Option<ConcurrencySpec>,
    /// What it does with keys.
    pub(crate) idempotency: Option<IdempotencySpec>,
    /// What requests may be for.
    pub(crate) purposes: BTreeSet<String>,
    /// What it lets callers upgrade to.
    pub(crate) upgrade: Upgrade,
    /// How long nothing may move.
    pub(crate) idle: Option<Duration>,
    /// What is done about attacks that a credential does not stop.
    pub(crate) threats: Option<Arc<RouteThreats>>,
    /// When its decisions are on disk.
    pub durability: Durability,
    /// Bytes of a request's body.
    pub body_bytes_max: u64,
    /// Names of the path's parameters, in the order of the path.
    pub(crate) parameters: Vec<String>,
}

/// What one method of a route means.
pub struct Operation {
    pub(crate) method: Method,
    /// The action in policies.
    pub action: String,
    /// The scopes that a token needs, all of them.
    pub scopes: Scopes,
    /// What has to be seen of the body before it is decided about.
    pub(crate) content: ContentNeed,
    /// What its requests and answers look like.
    pub(crate) contract: Option<Arc<Contract>>,
}

/// The route of a request, with the values of its path's parameters.
pub struct Matched {
    /// The route.
    pub route: Arc<Route>,
    operation: usize,
    values: Vec<String>,
}

impl Matched {
    /// What the request's method means on this route.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        #[expect(
            clippy::indexing_slicing,
            reason = "the tree stores positions in this very list"
        )]
        &self.route.operations[self.operation]
    }

    /// The decoded value of the parameter at a position of the path.
    pub(crate) fn value(&self, position: usize) -> Option<&str> {
        self.values.get(position).map(String::as_str)
    }

    /// The decoded value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let position = self
            .route
            .parameters
            .iter()
            .position(|known| known == name)?;
        self.values.get(position).map(String::as_str)
    }
}

/// Where a request goes.
pub(crate) enum Destination {
    /// To the upstream of its route.
    Upstream(Matched),
    /// To whoever takes in webhooks.
    Webhook(Arc<WebhookRoute>),
}

fn template(route: &RouteId, path: &str) -> Result<tree::Template, RouteError> {
    tree::Template::parse(path).ok_or_else(|| RouteError::Path {
        route: route.clone(),
        path: path.to_owned(),
    })
}

/// Why there is no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// The gateway does not answer for this host.
    #[error("no route: unknown host")]
    Host,
    /// The path has routes, but none for the method.
    #[error("no route for this method")]
    Method,
    /// No route has this path.
    #[error("no route for this path")]
    Path,
}

/// All routes, checked together.
pub struct Routes {
    hosts: BTreeSet<String>,
    by_host: HashMap<String, Node>,
    any_host: Node,
    routes: Vec<Arc<Route>>,
    upstreams: Vec<UpstreamSpec>,
    forward_auth: ForwardAuth,
    sources: Vec<SourceSpec>,
    session_doors: Option<Box<SessionDoors>>,
    /// By the number of their route.
    messages: HashMap<u32, Arc<MessageRules>>,
    webhooks: Vec<Arc<WebhookRoute>>,
    /// Absent where nobody takes webhooks in: then their routes answer that they can't be had.
    receiver: Option<Arc<dyn WebhookReceiver>>,
    /// Whether one of them poses challenges.
    pose_work: bool,
}

impl Routes {
    /// Checks `specs` and makes the tree. `hosts` are the names that the gateway answers for, without ports.
    ///
    /// # Errors
    /// The first mistake found, see [`RouteError`].
    pub fn build(
        specs: Vec<RouteSpec>,
        upstreams: Vec<UpstreamSpec>,
        hosts: BTreeSet<String>,
    ) -> Result<Self, RouteError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = upstreams
            .iter()
            .find(|upstream| !names.insert(upstream.name.clone()))
        {
            return Err(RouteError::Duplicate(twice.name.clone()));
        }
        let few = |spec: &&UpstreamSpec| !(1..=ENDPOINTS_MAX).contains(&spec.endpoints.len());
        if let Some(wrong) = upstreams.iter().find(few) {
            return Err(RouteError::Endpoints(wrong.name.clone()));
        }
        let positions: BTreeMap<RouteId, usize> = upstreams
            .iter()
            .enumerate()
            .map(|(at, spec)| (spec.name.clone(), at))
            .collect();
        let mut built = Self {
            hosts,
            by_host: HashMap::new(),
            any_host: Node::default(),
            routes: Vec::with_capacity(specs.len()),
            upstreams,
            forward_auth: ForwardAuth::default(),
            sources: Vec::new(),
            session_doors: None,
            messages: HashMap::new(),
            webhooks: Vec::new(),
            receiver: None,
            pose_work: false,
        };
        let mut ids = BTreeSet::new();
        for spec in specs {
            if !ids.insert(spec.id.clone()) {
                return Err(RouteError::Duplicate(spec.id));
            }
            built.add(spec, &positions)?;
        }
        Ok(built)
    }

    fn add(
        &mut self,
        spec: RouteSpec,
        upstreams: &BTreeMap<RouteId, usize>,
    ) -> Result<(), RouteError> {
        let template = template(&spec.id, &spec.path)?;
        let upstream = *upstreams
            .get(&spec.upstream)
            .ok_or_else(|| RouteError::Upstream {
                route: spec.id.clone(),
                upstream: spec.upstream.clone(),
            })?;
        let (hosts, path) = (spec.hosts.clone(), spec.path.clone());
        self.know(&spec.id, &hosts)?;
        let number = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        let route = Arc::new(spec.checked(number, upstream, template.parameters())?);
        let threats = route.threats.as_ref();
        self.pose_work |= threats.is_some_and(|threats| threats.work.is_some());
        self.routes.push(Arc::clone(&route));
        self.grow(hosts, &template, &Leaf::Upstream(route), &path)
    }

    /// The hosts of a route are hosts of the gateway.
    fn know(&self, route: &RouteId, hosts: &BTreeSet<String>) -> Result<(), RouteError> {
        let foreign = hosts.iter().find(|host| !self.hosts.contains(*host));
        foreign.map_or(Ok(()), |host| {
            Err(RouteError::Host {
                route: route.clone(),
                host: host.clone(),
            })
        })
    }

    fn grow(
        &mut self,
        hosts: BTreeSet<String>,
        template: &tree::Template,
        leaf: &Leaf,
        path: &str,
    ) -> Result<(), RouteError> {
        if hosts.is_empty() {
            return self.any_host.insert(template, leaf, path);
        }
        hosts.into_iter().try_for_each(|host| {
            let node = self.by_host.entry(host).or_default();
            node.insert(template, leaf, path)
        })
    }

    /// The same routes, and these beside them, at which webhooks come in.
    ///
    /// # Errors
    /// The first mistake found, see [`RouteError`].
    pub fn with_webhooks(mut self, specs: Vec<WebhookRouteSpec>) -> Result<Self, RouteError> {
        for spec in specs {
            let ids = self.routes.iter().map(|route| &route.id);
            let mut ids = ids.chain(self.webhooks.iter().map(|route| &route.id));
            if ids.any(|known| *known == spec.id) {
                return Err(RouteError::Duplicate(spec.id));
            }
            let template = template(&spec.id, &spec.path)?;
            let (hosts, path) = (spec.hosts.clone(), spec.path.clone());
            self.know(&spec.id, &hosts)?;
            let route = Arc::new(spec.checked()?);
            self.webhooks.push(Arc::clone(&route));
            self.grow(hosts, &template, &Leaf::Webhook(route), &path)?;
        }
        Ok(self)
    }

    /// The same routes, to which partners write messages.
    ///
    /// # Errors
    /// [`RouteError::Message`].
    pub fn with_messages(
        mut self,
        rules: Vec<(RouteId, MessageRules)>,
    ) -> Result<Self, RouteError> {
        for (id, rules) in rules {
            let route = self.routes.iter().find(|route| route.id == id);
            let fits =
                |route: &&Arc<Route>| route.tenant == rules.tenant && route.idempotency.is_none();
            let number = route.filter(fits).map(|route| route.number);
            let number = number.ok_or_else(|| RouteError::Message(id.clone()))?;
            if self.messages.insert(number, Arc::new(rules)).is_some() {
                return Err(RouteError::Message(id));
            }
        }
        Ok(self)
    }

    /// What is asked of the messages at a route; nothing where none are.
    pub(crate) fn message_rules(&self, route: &Route) -> Option<&Arc<MessageRules>> {
        if self.messages.is_empty() {
            return None;
        }
        self.messages.get(&route.number)
    }

    /// The same routes, whose webhooks go to `receiver`.
    #[must_use]
    pub fn received_by(mut self, receiver: Arc<dyn WebhookReceiver>) -> Self {
        self.receiver = Some(receiver);
        self
    }

    /// Who takes webhooks in.
    pub(crate) const fn receiver(&self) -> Option<&Arc<dyn WebhookReceiver>> {
        self.receiver.as_ref()
    }

    /// The routes at which webhooks come in.
    #[must_use]
    pub fn webhooks(&self) -> &[Arc<WebhookRoute>] {
        &self.webhooks
    }

    /// The route of a request to an upstream.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, target: &CanonicalTarget) -> Result<Matched, NoRoute> {
        self.find_for(target, target.method())
    }

    /// The route that a request for `target` with another method would have.
    pub(crate) fn find_for(
        &self,
        target: &CanonicalTarget,
        method: &Method,
    ) -> Result<Matched, NoRoute> {
        match self.destination(target, method)? {
            Destination::Upstream(matched) => Ok(matched),
            Destination::Webhook(_) => Err(NoRoute::Path),
        }
    }

    /// Where a request goes.
    pub(crate) fn destination(
        &self,
        target: &CanonicalTarget,
        method: &Method,
    ) -> Result<Destination, NoRoute> {
        if !self.hosts.contains(target.host()) {
            return Err(NoRoute::Host);
        }
        let rest = target.path().strip_prefix('/').ok_or(NoRoute::Path)?;
        // A host's own routes come first; those of every host stand behind them.
        let own = self.by_host.get(target.host());
        let mut missing = NoRoute::Path;
        for node in own.into_iter().chain([&self.any_host]) {
            match node.find(rest, method) {
                Ok(found) => {
                    return Ok(match found.leaf {
                        Leaf::Upstream(route) => Destination::Upstream(Matched {
                            route,
                            operation: found.operation,
                            values: found.values,
                        }),
                        Leaf::Webhook(route) => Destination::Webhook(route),
                    });
                }
                Err(NoRoute::Method) => missing = NoRoute::Method,
                Err(NoRoute::Path | NoRoute::Host) => {}
            }
        }
        Err(missing)
    }

    /// The same routes, about which these proxies may ask.
    #[must_use]
    pub fn asked_by(mut self, proxies: ForwardAuth) -> Self {
        self.forward_auth = proxies;
        self
    }

    /// The same routes, which look attributes up at these sources.
    ///
    /// # Errors
    /// A source that cannot be asked, or one that a route names and that is not there.
    pub fn looking_up(mut self, sources: Vec<SourceSpec>) -> Result<Self, SourceError> {
        attributes::check(&sources, &self.routes)?;
        self.sources = sources;
        Ok(self)
    }

    /// Where attributes are looked up.
    pub(crate) fn sources(&self) -> &[SourceSpec] {
        &self.sources
    }

    /// Who may ask about requests that it holds itself.
    pub(crate) const fn forward_auth(&self) -> &ForwardAuth {
        &self.forward_auth
    }

    /// The same routes, with addresses of the gateway's own at which browsers sign in and out.
    #[must_use]
    pub fn with_sessions(mut self, doors: SessionDoors) -> Self {
        self.session_doors = (!doors.is_empty()).then(|| Box::new(doors));
        self
    }

    /// Where browsers sign in and out, if they do.
    pub(crate) fn session_doors(&self) -> Option<&SessionDoors> {
        self.session_doors.as_deref()
    }

    /// Whether answers to challenges are taken.
    pub(crate) const fn pose_work(&self) -> bool {
        self.pose_work
    }

    /// The upstreams, in the order that routes refer to.
    #[must_use]
    pub fn upstreams(&self) -> &[UpstreamSpec] {
        &self.upstreams
    }

    /// The routes in the order of the configuration.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The audiences that its routes ask for.
    #[must_use]
    pub fn audiences(&self) -> BTreeSet<Audience> {
        self.routes
            .iter()
            .map(|route| route.rules.audience().clone())
            .collect()
    }
}

#[cfg(test)]
mod tests;
