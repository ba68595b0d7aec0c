//! The request as policy, record and upstream see it: one canonical target, one route, one caller whose evidence is complete.

use crate::canonical::CanonicalTarget;
use crate::content::Content;
use crate::grpc::Call;
use crate::messages::Opened;
use crate::pipeline::SURFACE;
use crate::routes::{AttributeSource, Matched, ResourceId, ResourceSpec};
use crate::schema::Conforming;
use crate::threats::Signals;
use crate::upstream::{PassError, ProgressWatch, RequestBody};
use crate::websocket::Switching;
use bytes::Bytes;
use countersign_audit::Text;
use countersign_authn::{Anonymous, AnonymousReason, AttributeValue, ScopesHeld, Subject};
use countersign_base::{RequestId, UnixTime};
use countersign_control::traces::Onward;
use countersign_crypto::digest::sha256_base64url;
use countersign_net::{Connection, InboundBody};
use countersign_policy::obligation::Duty;
use countersign_policy::vocabulary::{self, RequestContext, RouteAccess};
use countersign_policy::{Entity, EntityId, Query, Target, Value};
use countersign_store::{About, Recordable};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, request};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a caller says what a request is for.
pub(crate) const PURPOSE: HeaderName = HeaderName::from_static("request-purpose");

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
    pub(crate) version: http::Version,
    body: Mutex<RequestBody>,
    pub(crate) at: UnixTime,
    /// Absent unless it is a call of gRPC.
    pub(crate) call: Option<Call>,
    /// Whether its answer may be a switch to another protocol.
    pub(crate) switching: Option<Switching>,
    /// What the upstream learns of the trace.
    pub(crate) onward: Onward,
    /// What is done with the answer, if a policy asks for it.
    pub(crate) duties: &'static [Duty],
    /// The attributes of the resource that were looked up elsewhere, by name.
    pub(crate) looked_up: Vec<(String, Value)>,
    /// The partner's message that it came as; absent where nobody asks for one.
    pub(crate) message: Option<Box<Opened>>,
    /// Absent where nobody needs to see the body.
    pub(crate) read: Option<Box<Read>>,
    /// What was found out about it beside who sends it; absent where nobody asks.
    pub(crate) signals: Option<Box<Signals>>,
}

/// What was read of a request's body before it was decided about.
pub(crate) struct Read {
    pub(crate) content: Option<Content>,
    /// The attributes of the resource that come from it, by name.
    pub(crate) attributes: Vec<(String, Value)>,
    /// That it was held against the route's document.
    pub(crate) conforming: Option<Conforming>,
}

impl GatewayRequest {
    /// Puts the parts together. What was in the request line is dropped for `target`, and the upstream learns of no trace.
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
            version: head.version,
            body: Mutex::new(RequestBody::arriving(body)),
            at,
            call: None,
            switching: None,
            onward: Onward::removed(),
            duties: &Duty::ALL,
            looked_up: Vec::new(),
            message: None,
            read: None,
            signals: None,
        }
    }

    /// The same request, whose upstream learns of its trace.
    #[must_use]
    pub fn traced(mut self, onward: Onward) -> Self {
        self.onward = onward;
        self
    }

    /// The same request, whose answer somebody else sees.
    #[must_use]
    pub(crate) fn answered_elsewhere(mut self) -> Self {
        self.duties = &[];
        self
    }

    /// What it is for: the one of the route's purposes that the request or its token names. If both do, they have to agree.
    #[must_use]
    pub fn purpose(&self) -> Option<&str> {
        let purposes = &self.matched.route.purposes;
        if purposes.is_empty() {
            return None;
        }
        let mut values = self.headers.get_all(PURPOSE).iter();
        let said = match (values.next(), values.next()) {
            (None, _) => None,
            // What cannot be read is none of the purposes.
            (Some(value), None) => Some(value.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Some(""),
        };
        let subject = self.caller.subject();
        let vouched = subject.and_then(|subject| match subject.attributes().get("purpose") {
            Some(AttributeValue::Text(purpose)) => Some(purpose.as_str()),
            Some(AttributeValue::Bool(_) | AttributeValue::Long(_) | AttributeValue::Texts(_)) => {
                Some("")
            }
            None => None,
        });
        let named = match (said, vouched) {
            (Some(said), Some(vouched)) if said != vouched => return None,
            (said, vouched) => vouched.or(said)?,
        };
        purposes.get(named).map(String::as_str)
    }

    /// All of its body, which stays with it. Policy has decided without it, so that the permit goes on to be about this very request.
    pub(crate) async fn read_body(&self) -> Result<Bytes, PassError> {
        let taken = {
            let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *body, RequestBody::Whole(Bytes::new()))
        };
        let bytes = taken.whole().await?;
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        *body = RequestBody::Whole(bytes.clone());
        Ok(bytes)
    }

    /// Puts what a message held in the place of the message.
    pub(crate) fn holds(&mut self, content: Bytes) {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        *body = RequestBody::Whole(content);
    }

    /// How far its caller got with its body.
    pub(crate) fn watch_body(&self) -> ProgressWatch {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.watch()
    }

    /// The message that goes on, taken out of it. What stays is what it is decided about by, should that be asked again.
    pub(crate) fn take_message(&mut self) -> (HeaderMap, RequestBody) {
        let headers = std::mem::take(&mut self.headers);
        let route = &self.matched.route;
        if route.session.is_some() || !route.purposes.is_empty() {
            for name in [PURPOSE, COOKIE] {
                for value in headers.get_all(&name) {
                    self.headers.append(&name, value.clone());
                }
            }
        }
        if let Some(read) = &mut self.read {
            read.content = None;
        }
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let body = std::mem::replace(body, RequestBody::Whole(Bytes::new()));
        (headers, body)
    }

    /// All that it carries, where it was read before the decision.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        self.read.as_deref()?.content.as_ref()
    }

    /// The evidence that it was held against the route's document.
    pub(crate) fn conforming(&self) -> Option<&Conforming> {
        self.read.as_deref()?.conforming.as_ref()
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

    fn carries_out(&self) -> &[Duty] {
        self.duties
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
        let purpose = self.purpose().map(|purpose| format!("purpose {purpose}"));
        let found = self.signals.as_ref().and_then(|signals| signals.detail());
        let other = self.caller.subject().and_then(foreign_detail);
        let parts: Vec<String> = purpose.into_iter().chain(other).chain(found).collect();
        about.detail = (!parts.is_empty()).then(|| Text::of(&parts.join("; ")));
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

/// Whom a token of an issuer that is not ours speaks of, so that its records can be found and joined: the issuer's name in the configuration, and a digest, because a
/// `sub` of others may be somebody's address.
fn foreign_detail(subject: &Subject) -> Option<String> {
    let other = subject.other()?;
    let digest = sha256_base64url(subject.principal().to_string().as_bytes());
    Some(format!("subject of {}: {digest}", other.name()))
}

impl GatewayRequest {
    fn principal(&self) -> Entity {
        match self.caller.subject() {
            Some(subject) => vocabulary::principal(subject),
            None => vocabulary::anonymous(&self.matched.route.tenant),
        }
    }

    fn resource(&self) -> Entity {
        let route = &self.matched.route;
        let (kind, id, attributes) = match &route.resource {
            ResourceSpec::Route => return self.route_entity(),
            ResourceSpec::Entity {
                kind,
                id,
                attributes,
            } => (kind, id, attributes),
        };
        let id = match id {
            ResourceId::Path => self.target.path(),
            ResourceId::Parameter(name) => self.parameter(name),
        };
        let entity = vocabulary::resource(kind, id, &route.tenant);
        attributes.iter().fold(entity, |entity, (name, source)| {
            let value = match source {
                // Whatever is not there was refused when the body was read; a question without it does not fit the schema and is denied.
                AttributeSource::Body { .. } => match self.attribute(name) {
                    Some(value) => value.clone(),
                    None => return entity,
                },
                AttributeSource::Entity { kind, parameter } => {
                    Value::Entity(EntityId::new(kind, self.parameter(parameter)))
                }
                AttributeSource::Parameter(parameter) => self.parameter(parameter).into(),
                // As with the body: without it the request ended before.
                AttributeSource::Source { .. } => {
                    match self.looked_up.iter().find(|(known, _)| known == name) {
                        Some((_, value)) => value.clone(),
                        None => return entity,
                    }
                }
                AttributeSource::Static(text) => text.as_str().into(),
            };
            entity.attribute(name, value)
        })
    }

    fn route_entity(&self) -> Entity {
        let route = &self.matched.route;
        let access = match route.rules.anonymous() {
            Anonymous::Allowed => RouteAccess::Anonymous,
            Anonymous::Refused => RouteAccess::Authenticated,
        };
        let scopes = &self.matched.operation().scopes;
        vocabulary::route(&route.id, &route.tenant, scopes, access)
    }

    /// An attribute that came from the body.
    fn attribute(&self, name: &str) -> Option<&Value> {
        let mut known = self.read.as_deref()?.attributes.iter();
        known
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Routes are checked when they are built: whatever they name exists.
    fn parameter(&self, name: &str) -> &str {
        self.matched.parameter(name).unwrap_or_default()
    }

    fn context(&self) -> BTreeMap<String, Value> {
        let context = RequestContext {
            route: &self.matched.route.id,
            method: self.target.method().as_str(),
            host: self.target.host(),
            path: self.target.path(),
            subject: self.caller.subject(),
            source: Some(self.connection.remote.ip().to_canonical()),
            purpose: self.purpose(),
            now: self.at,
        };
        let mut context = context.to_context();
        if let Some(signals) = &self.signals {
            signals.write(&mut context);
        }
        context
    }
}
