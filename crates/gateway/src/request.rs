//! The request as policy, record and upstream see it: one canonical target, one route, one caller whose evidence is complete.

use crate::canonical::CanonicalTarget;
use crate::pipeline::SURFACE;
use crate::routes::{AttributeSource, Matched, ResourceId, ResourceSpec};
use countersign_audit::Text;
use countersign_authn::access_token::Confirmation;
use countersign_authn::{AnonymousReason, AttributeValue, ScopesHeld, Subject, SubjectId};
use countersign_base::{RequestId, UnixTime};
use countersign_net::{Connection, InboundBody};
use countersign_policy::{Entity, EntityId, Query, Target, Value};
use countersign_store::{About, Recordable};
use http::{HeaderMap, request};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who sent a request, with the evidence for it: a subject whose one-time values are spent and whose token has the operation's scopes,
/// or nobody.
#[derive(Debug)]
pub enum Caller {
    /// No credential, on a route that lets such requests go on to policy.
    Anonymous(AnonymousReason),
    /// A subject.
    Subject(Subject, ScopesHeld),
}

impl Caller {
    /// The subject, if there is one.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Anonymous(_) => None,
            Self::Subject(subject, _) => Some(subject),
        }
    }
}

/// A request that knows its route and its caller.
pub struct GatewayRequest {
    pub(crate) id: RequestId,
    pub(crate) target: CanonicalTarget,
    pub(crate) matched: Matched,
    pub(crate) caller: Caller,
    pub(crate) connection: Arc<Connection>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: InboundBody,
    pub(crate) at: UnixTime,
}

impl GatewayRequest {
    /// Puts the parts together. What was in the request line is dropped for `target`.
    #[must_use]
    pub fn new(
        arrived: Arrived,
        target: CanonicalTarget,
        matched: Matched,
        caller: Caller,
    ) -> Self {
        let Arrived {
            id,
            connection,
            head,
            body,
            at,
        } = arrived;
        Self {
            id,
            target,
            matched,
            caller,
            connection,
            headers: head.headers,
            body,
            at,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Its canonical target.
    #[must_use]
    pub const fn target(&self) -> &CanonicalTarget {
        &self.target
    }

    /// Who sent it.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Its route.
    #[must_use]
    pub const fn matched(&self) -> &Matched {
        &self.matched
    }
}

/// A request as it arrived.
pub struct Arrived {
    /// Its id, made here.
    pub id: RequestId,
    /// The connection.
    pub connection: Arc<Connection>,
    /// Request line and header fields.
    pub head: request::Parts,
    /// The body, limited.
    pub body: InboundBody,
    /// When.
    pub at: UnixTime,
}

impl Target for GatewayRequest {
    fn query(&self) -> Query {
        let operation = self.matched.operation();
        Query {
            principal: self.principal(),
            action: operation.action.clone(),
            resource: self.resource(),
            context: self.context(),
            others: Vec::new(),
        }
    }
}

impl Recordable for GatewayRequest {
    fn about(&self) -> About {
        let route = &self.matched.route;
        let mut about = About::new(route.tenant.clone(), SURFACE);
        about.request = Some(self.id);
        about.route = Some(route.id.clone());
        about.action = Text::of(&self.matched.operation().action);
        about.resource = Text::of(match &route.resource {
            ResourceSpec::Entity { kind, .. } => kind,
            ResourceSpec::Route => route.id.as_str(),
        });
        match self.caller.subject() {
            Some(subject) => {
                about.client = Some(subject.client().clone());
                about.user = subject.user();
                about.grant = subject.grant();
            }
            None => about.anonymous_from = Some(self.connection.remote.ip()),
        }
        about
    }
}

impl GatewayRequest {
    fn principal(&self) -> Entity {
        let Some(subject) = self.caller.subject() else {
            let id = EntityId::new("Anonymous", "anonymous");
            return Entity::new(id).attribute("tenant", tenant(self.matched.route.tenant.as_str()));
        };
        let (id, issuer) = match subject.principal() {
            SubjectId::User(user) => (EntityId::new("User", user.to_string()), None),
            SubjectId::Client(client) => (EntityId::new("Client", client.as_str()), None),
            SubjectId::External(external) => (
                EntityId::new("External", external.as_str()),
                Some(subject.issuer().as_str()),
            ),
        };
        let mut entity = Entity::new(id).attribute("tenant", tenant(subject.tenant().as_str()));
        if let Some(issuer) = issuer {
            entity = entity.attribute("issuer", issuer);
        }
        for role in subject.roles() {
            entity = entity.parent(EntityId::new("Role", role.as_str()));
        }
        for (name, value) in subject.attributes() {
            entity = entity.tag(name, text(value));
        }
        entity
    }

    fn resource(&self) -> Entity {
        let route = &self.matched.route;
        let (id, attributes) = match &route.resource {
            ResourceSpec::Route => return self.route_entity(),
            ResourceSpec::Entity {
                kind,
                id,
                attributes,
            } => {
                let id = match id {
                    ResourceId::Path => self.target.path().to_owned(),
                    ResourceId::Parameter(name) => self.parameter(name),
                };
                (EntityId::new(kind, id), attributes)
            }
        };
        let mut entity = Entity::new(id).attribute("tenant", tenant(route.tenant.as_str()));
        for (name, source) in attributes {
            let value = match source {
                AttributeSource::Entity { kind, parameter } => {
                    Value::Entity(EntityId::new(kind, self.parameter(parameter)))
                }
                AttributeSource::Parameter(parameter) => Value::String(self.parameter(parameter)),
                AttributeSource::Static(text) => Value::String(text.clone()),
            };
            entity = entity.attribute(name, value);
        }
        entity
    }

    fn route_entity(&self) -> Entity {
        let route = &self.matched.route;
        let anonymous = route.rules.anonymous() == countersign_authn::Anonymous::Allowed;
        Entity::new(EntityId::new("Route", route.id.as_str()))
            .attribute("tenant", tenant(route.tenant.as_str()))
            .attribute(
                "scopes",
                Value::strings(
                    self.matched
                        .operation()
                        .scopes
                        .iter()
                        .map(|scope| scope.as_str()),
                ),
            )
            .attribute("anonymous", anonymous)
    }

    /// Routes are checked when they are built: whatever they name exists.
    fn parameter(&self, name: &str) -> String {
        self.matched.parameter(name).unwrap_or_default().to_owned()
    }

    fn context(&self) -> BTreeMap<String, Value> {
        let mut context = BTreeMap::new();
        let mut put = |name: &str, value: Value| context.insert(name.to_owned(), value);
        put("route", self.matched.route.id.as_str().into());
        put("method", self.target.method().as_str().into());
        put("host", self.target.host().into());
        put("path", self.target.path().into());
        put("time", self.at.0.into());
        put("source", self.connection.remote.ip().to_canonical().into());
        let Some(subject) = self.caller.subject() else {
            put("scopes", Value::Set([].into()));
            put("actors", Value::Set([].into()));
            put("binding", "none".into());
            return context;
        };
        put(
            "scopes",
            Value::strings(subject.scopes().iter().map(|scope| scope.as_str())),
        );
        put(
            "actors",
            Value::strings(subject.actors().iter().map(|actor| actor.sub.as_str())),
        );
        let binding = match subject.binding() {
            None => "none",
            Some(Confirmation::Dpop(_)) => "dpop",
            Some(Confirmation::Certificate(_)) => "certificate",
        };
        put("binding", binding.into());
        put(
            "client",
            Value::Entity(EntityId::new("Client", subject.client().as_str())),
        );
        if let Some(acr) = subject.acr() {
            put("acr", acr.into());
        }
        if let Some(auth_time) = subject.auth_time() {
            put("auth_time", auth_time.0.into());
        }
        context
    }
}

fn tenant(name: &str) -> Value {
    Value::Entity(EntityId::new("Tenant", name))
}

/// Tags are strings: lists are written with a comma between their members.
fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::Long(number) => number.to_string(),
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Texts(texts) => texts
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(","),
    }
}
