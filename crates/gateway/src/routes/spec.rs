//! A route as configuration says it.

use super::{Operation, Route, RouteError};
use crate::content::ContentNeed;
use crate::cors::{Cors, CorsSpec};
use crate::idempotency::IdempotencySpec;
use crate::limiter::{LimitSpec, RouteLimits};
use crate::schema::{Contract, ContractSpec, DocumentError};
use crate::threats::RouteThreats;
use crate::upstream::ConcurrencySpec;
use countersign_authn::{Anonymous, ResourceRules};
use countersign_base::{Audience, ClientId, JsonPointer, RouteId, Scopes, Tenant};
use countersign_control::browser_sessions::SessionName;
use countersign_store::Durability;
use http::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A route as configuration says it. No field has an open default.
#[derive(Clone)]
pub struct RouteSpec {
    /// Its name.
    pub id: RouteId,
    /// Whose route it is.
    pub tenant: Tenant,
    /// Hosts it answers for, in lower case and without port; empty means every host of the gateway.
    pub hosts: BTreeSet<String>,
    /// `/orders/{owner}/{order}`; `{*rest}` at the end takes all that follows.
    pub path: String,
    /// What each method means, by the method's name; others are denied.
    pub actions: BTreeMap<String, ActionSpec>,
    /// The name of the upstream.
    pub upstream: RouteId,
    /// What a token must be: audience, issuers, whether it must be bound, and whether it may be absent. A broken token is refused
    /// either way, and a bound one without its proof (DPOP-23, TOK-12).
    pub rules: ResourceRules,
    /// What policies call the thing behind it.
    pub resource: ResourceSpec,
    /// The token that the upstream gets.
    pub exchange: Option<ExchangeSpec>,
    /// What happens to the caller's own token.
    pub callers_token: CallersToken,
    /// How often it may be called; all of them must let a request through.
    pub limits: Vec<LimitSpec>,
    /// Which pages of other origins may call it; without rules none.
    pub cors: Option<CorsSpec>,
    /// Whose sessions of browsers it takes, beside tokens.
    pub session: Option<SessionName>,
    /// How many requests may be under way at once.
    pub concurrency: Option<ConcurrencySpec>,
    /// Whether unsafe requests that come again under their key are answered as before.
    pub idempotency: Option<IdempotencySpec>,
    /// What requests may be for; nothing else counts as a purpose.
    pub purposes: BTreeSet<String>,
    /// What it lets callers upgrade to.
    pub upgrade: Upgrade,
    /// How long a caller may send nothing in the midst of its request, its upstream nothing in the midst of an answer, and both nothing over a WebSocket; without it, what
    /// listener and upstream say.
    pub idle: Option<Duration>,
    /// What is done about attacks that a credential does not stop.
    pub threats: Option<Arc<RouteThreats>>,
    /// When its decisions are on disk.
    pub durability: Durability,
    /// Bytes of a request's body.
    pub body_bytes_max: u64,
    /// What its requests and answers look like.
    pub contract: Option<ContractSpec>,
}

/// What a route lets callers upgrade to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// Nothing.
    #[default]
    Refused,
    /// WebSocket (RFC 6455).
    WebSocket,
}

/// What one method means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionSpec {
    /// The action in policies.
    pub action: String,
    /// The scopes that a token needs, all of them.
    pub scopes: Scopes,
}

/// What happens to the caller's own token before the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallersToken {
    /// The upstream sees it; for upstreams that check tokens of this audience themselves. An exchange takes its place.
    PassOn,
    /// The upstream never sees it.
    Remove,
}

/// What policies call the thing behind a route. Either way it belongs to the route's tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceSpec {
    /// An entity of a type that the schema declares.
    Entity {
        /// Its type.
        kind: String,
        /// Its id.
        id: ResourceId,
        /// Its attributes, beside `tenant`.
        attributes: BTreeMap<String, AttributeSource>,
    },
    /// The route itself: `Route::"NAME"` with its scopes.
    Route,
}

/// Where the id of a resource comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceId {
    /// The value of a parameter of the path.
    Parameter(String),
    /// The whole canonical path.
    Path,
}

/// Where an attribute of a resource comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeSource {
    /// What stands at a place of the request's JSON body: text, a truth value or an integer. Absent, or of another type, the request is denied.
    Body {
        /// The place.
        pointer: JsonPointer,
        /// The type of the entity that it names, where it names one.
        kind: Option<String>,
    },
    /// A reference to an entity of type `kind` whose id is the value of a parameter of the path: `User` and the owner's id.
    Entity {
        /// The type.
        kind: String,
        /// The parameter.
        parameter: String,
    },
    /// The value of a parameter of the path, as a string.
    Parameter(String),
    /// What an attribute source says of the object whose id is the value of a parameter of the path.
    Source {
        /// The source.
        source: String,
        /// The parameter.
        parameter: String,
        /// Where it stands in the source's answer.
        field: JsonPointer,
        /// The type of the entity that it names, where it names one.
        kind: Option<String>,
    },
    /// The same string for every request.
    Static(String),
}

impl ResourceSpec {
    /// The parameters that it speaks of.
    fn parameters(&self) -> Vec<&String> {
        let Self::Entity { id, attributes, .. } = self else {
            return Vec::new();
        };
        let id = match id {
            ResourceId::Parameter(parameter) => Some(parameter),
            ResourceId::Path => None,
        };
        let of_attributes = attributes.values().filter_map(|source| match source {
            AttributeSource::Entity { parameter, .. }
            | AttributeSource::Parameter(parameter)
            | AttributeSource::Source { parameter, .. } => Some(parameter),
            AttributeSource::Body { .. } | AttributeSource::Static(_) => None,
        });
        id.into_iter().chain(of_attributes).collect()
    }

    /// Whether something of it is looked up elsewhere.
    fn looks_up(&self) -> bool {
        let Self::Entity { attributes, .. } = self else {
            return false;
        };
        let elsewhere = |from: &AttributeSource| matches!(from, AttributeSource::Source { .. });
        attributes.values().any(elsewhere)
    }

    /// What it needs to see of a request's body.
    pub(crate) fn content(&self) -> ContentNeed {
        let Self::Entity { attributes, .. } = self else {
            return ContentNeed::Unread;
        };
        let body = |source: &AttributeSource| matches!(source, AttributeSource::Body { .. });
        if attributes.values().any(body) {
            ContentNeed::Whole
        } else {
            ContentNeed::Unread
        }
    }
}

/// A token exchange (RFC 8693) before the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeSpec {
    /// As which client the gateway asks; the actor in the new token.
    pub client: ClientId,
    /// The upstream's own audience.
    pub audience: Audience,
    /// The scopes of the new token.
    pub scopes: Scopes,
}

impl RouteSpec {
    pub(super) fn checked(
        self,
        number: u32,
        upstream: usize,
        parameters: Vec<String>,
    ) -> Result<Route, RouteError> {
        if let Some(missing) = self
            .resource
            .parameters()
            .into_iter()
            .find(|parameter| !parameters.contains(parameter))
        {
            return Err(RouteError::Parameter {
                route: self.id,
                parameter: missing.clone(),
            });
        }
        let limits = RouteLimits::new(self.limits).map_err(|(limit, error)| RouteError::Limit {
            route: self.id.clone(),
            limit,
            error,
        })?;
        if self.idempotency.is_some() && self.rules.anonymous() == Anonymous::Allowed {
            // Keys of callers without a token would have no owner.
            return Err(RouteError::Idempotency { route: self.id });
        }
        if self.exchange.is_some() && !self.rules.others().is_empty() {
            return Err(RouteError::ExchangeOfOthers { route: self.id });
        }
        let mut operations = operations(&self.id, self.actions, self.resource.content())?;
        if let Some(spec) = &self.contract {
            bind(spec, &self.path, &mut operations).map_err(|error| RouteError::Schema {
                route: self.id.clone(),
                error,
            })?;
        }
        let methods = operations.iter().map(|operation| &operation.method);
        let cors = self.cors.map(|spec| Cors::new(spec, methods)).transpose();
        let cors = cors.map_err(|error| RouteError::Cors {
            route: self.id.clone(),
            error,
        })?;
        Ok(Route {
            id: self.id,
            tenant: self.tenant,
            number,
            rules: self.rules,
            operations,
            looks_up: self.resource.looks_up(),
            resource: self.resource,
            upstream,
            exchange: self.exchange,
            callers_token: self.callers_token,
            limits,
            cors,
            session: self.session,
            concurrency: self.concurrency,
            idempotency: self.idempotency,
            purposes: self.purposes,
            upgrade: self.upgrade,
            idle: self.idle,
            threats: self.threats,
            durability: self.durability,
            body_bytes_max: self.body_bytes_max,
            parameters,
        })
    }
}

/// Finds each operation in the document.
fn bind(
    spec: &ContractSpec,
    template: &str,
    operations: &mut [Operation],
) -> Result<(), DocumentError> {
    for operation in operations {
        let contract = Contract::compile(spec, template, &operation.method)?;
        operation.content = operation.content.max(contract.content());
        operation.contract = Some(contract);
    }
    Ok(())
}

fn operations(
    route: &RouteId,
    actions: BTreeMap<String, ActionSpec>,
    content: ContentNeed,
) -> Result<Vec<Operation>, RouteError> {
    let wrong = || RouteError::Method {
        route: route.clone(),
    };
    if actions.is_empty() {
        return Err(wrong());
    }
    let checked = actions.into_iter().map(|(name, spec)| {
        // Methods are case-sensitive (RFC 9110 §9.1); in configuration only the usual upper case makes sense.
        let method = Method::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let usual = name.bytes().all(|byte| byte.is_ascii_uppercase()) && method != Method::CONNECT;
        if usual {
            Ok(Operation {
                method,
                action: spec.action,
                scopes: spec.scopes,
                content,
                contract: None,
            })
        } else {
            Err(wrong())
        }
    });
    checked.collect()
}
