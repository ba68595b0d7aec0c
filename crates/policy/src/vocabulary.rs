//! The entities and contexts of the default schema, built from typed evidence: one place where a [`Subject`] becomes a principal.

use crate::query::{Entity, EntityId, Value};
use countersign_authn::access_token::Confirmation;
use countersign_authn::{Acr, AttributeValue, Subject, SubjectId};
use countersign_base::{
    Audience, ClientId, EndpointId, EventTypeName, GroupName, PartnerName, Role, RouteId, Scopes,
    SourceName, Tenant, UnixTime, UserId,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `Tenant::"..."`.
#[must_use]
pub fn tenant_id(tenant: &Tenant) -> EntityId {
    EntityId::new("Tenant", tenant.as_str())
}

/// `Client::"..."`.
#[must_use]
pub fn client_id(client: &ClientId) -> EntityId {
    EntityId::new("Client", client.as_str())
}

/// `User::"..."`.
#[must_use]
pub fn user_id(user: UserId) -> EntityId {
    EntityId::new("User", user.to_string())
}

fn of_tenant(id: EntityId, tenant: &Tenant) -> Entity {
    Entity::new(id).attribute("tenant", tenant_id(tenant))
}

/// A resource of an application: any type of the schema, in a tenant.
#[must_use]
pub fn resource(kind: &str, id: &str, tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new(kind, id), tenant)
}

/// Whom an access token speaks of, with roles and attributes.
#[must_use]
pub fn principal(subject: &Subject) -> Entity {
    let entity = match subject.principal() {
        SubjectId::Client(client) => of_tenant(client_id(client), subject.tenant()),
        SubjectId::External(id) => {
            let name = format!("{} {id}", subject.issuer());
            of_tenant(EntityId::new("External", name), subject.tenant())
                .attribute("issuer", subject.issuer().as_str())
        }
        SubjectId::Foreign(foreign) => of_tenant(
            EntityId::new("External", foreign.to_string()),
            subject.tenant(),
        )
        .attribute("issuer", foreign.issuer.as_str()),
        SubjectId::User(user) => of_tenant(user_id(*user), subject.tenant()),
    };
    with_attributes(with_roles(entity, subject.roles()), subject.attributes())
}

/// A person, as the directory knows them.
#[must_use]
pub fn user<'a>(
    user: UserId,
    tenant: &Tenant,
    roles: impl IntoIterator<Item = &'a Role>,
    groups: impl IntoIterator<Item = &'a GroupName>,
    attributes: &BTreeMap<String, AttributeValue>,
) -> Entity {
    let entity = with_roles(of_tenant(user_id(user), tenant), roles);
    let member =
        |entity: Entity, group: &GroupName| entity.parent(EntityId::new("Group", group.as_str()));
    with_attributes(groups.into_iter().fold(entity, member), attributes)
}

/// A client.
#[must_use]
pub fn client(client: &ClientId, tenant: &Tenant) -> Entity {
    of_tenant(client_id(client), tenant)
}

/// A request without a credential.
#[must_use]
pub fn anonymous(tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new("Anonymous", ""), tenant)
}

/// The holder of the installation's own administrator credential, at work on `tenant`.
#[must_use]
pub fn operator(name: &str, tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new("Operator", name), tenant)
}

/// Whether a route lets requests without a credential through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteAccess {
    /// It does.
    Anonymous,
    /// It does not.
    Authenticated,
}

/// A route.
#[must_use]
pub fn route(route: &RouteId, tenant: &Tenant, scopes: &Scopes, access: RouteAccess) -> Entity {
    of_tenant(EntityId::new("Route", route.as_str()), tenant)
        .attribute("scopes", scope_set(scopes))
        .attribute("anonymous", access == RouteAccess::Anonymous)
}

/// `WebhookSource::"..."`.
#[must_use]
pub fn webhook_source_id(source: &SourceName) -> EntityId {
    EntityId::new("WebhookSource", source.as_str())
}

/// A sender of webhooks whose signature held.
#[must_use]
pub fn webhook_source(source: &SourceName, tenant: &Tenant, scheme: &str) -> Entity {
    of_tenant(webhook_source_id(source), tenant).attribute("scheme", scheme)
}

/// A route at which the webhooks of `source` come in.
#[must_use]
pub fn webhook_route(route: &RouteId, tenant: &Tenant, source: &SourceName) -> Entity {
    self::route(
        route,
        tenant,
        &Scopes::default(),
        RouteAccess::Authenticated,
    )
    .attribute("webhook", webhook_source_id(source))
}

/// An audience.
#[must_use]
pub fn audience(audience: &Audience, tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new("Audience", audience.as_str()), tenant)
        .attribute("uri", audience.as_str())
}

/// A person's own pages.
#[must_use]
pub fn account(owner: UserId, tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new("Account", owner.to_string()), tenant)
        .attribute("owner", user_id(owner))
}

/// The administration of a tenant.
#[must_use]
pub fn administration(tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new("Administration", tenant.as_str()), tenant)
}

/// The decision point of a tenant.
#[must_use]
pub fn decision_point(tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new("DecisionPoint", tenant.as_str()), tenant)
}

/// An event type of webhooks.
#[must_use]
pub fn event_type(name: &EventTypeName, tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new("EventType", name.as_str()), tenant)
}

/// A partner whose receivers webhooks go to.
#[must_use]
pub fn partner(name: &PartnerName, tenant: &Tenant) -> Entity {
    of_tenant(EntityId::new("Partner", name.as_str()), tenant).attribute("name", name.as_str())
}

/// Where webhooks go; without a partner, it is the tenant's own.
#[must_use]
pub fn webhook_endpoint(id: EndpointId, partner: Option<&PartnerName>, tenant: &Tenant) -> Entity {
    let entity = of_tenant(EntityId::new("WebhookEndpoint", id.to_string()), tenant);
    match partner {
        None => entity,
        Some(partner) => entity.attribute("partner", partner.as_str()),
    }
}

/// A place outside that workloads reach through the egress proxy, with the clients that the allow-list names for it.
#[must_use]
pub fn egress_destination<'a>(
    host: &str,
    port: u16,
    tenant: &Tenant,
    clients: impl IntoIterator<Item = &'a ClientId>,
) -> Entity {
    let id = EntityId::new("EgressDestination", format!("{host}:{port}"));
    let listed = clients
        .into_iter()
        .map(|client| Value::Entity(client_id(client)));
    of_tenant(id, tenant)
        .attribute("host", host)
        .attribute("port", i64::from(port))
        .attribute("clients", Value::Set(listed.collect()))
}

/// The hour (UTC, 0 to 23) and the day of the week (0 for Monday) of a moment, as contexts name them.
#[must_use]
pub fn calendar(now: UnixTime) -> [(String, Value); 2] {
    let (days, seconds) = (now.0.div_euclid(86_400), now.0.rem_euclid(86_400));
    // The epoch began on a Thursday.
    let weekday = (days + 3).rem_euclid(7);
    [
        ("hour".to_owned(), (seconds / 3600).into()),
        ("weekday".to_owned(), weekday.into()),
    ]
}

/// A set of scopes.
#[must_use]
pub fn scope_set(scopes: &Scopes) -> Value {
    Value::strings(scopes.iter().map(|scope| scope.as_str()))
}

/// What a route's request is decided on besides principal and resource: `RequestContext` of the schema.
#[derive(Debug, Clone)]
pub struct RequestContext<'a> {
    /// The route.
    pub route: &'a RouteId,
    /// The method.
    pub method: &'a str,
    /// The host.
    pub host: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// Whose request it is, if it has a token.
    pub subject: Option<&'a Subject>,
    /// Where it comes from.
    pub source: Option<IpAddr>,
    /// What it is for, if that is one of the route's purposes.
    pub purpose: Option<&'a str>,
    /// When.
    pub now: UnixTime,
}

impl RequestContext<'_> {
    /// As the context of a query.
    #[must_use]
    pub fn to_context(&self) -> BTreeMap<String, Value> {
        let mut context = BTreeMap::from([
            ("route".to_owned(), self.route.as_str().into()),
            ("method".to_owned(), self.method.into()),
            ("host".to_owned(), self.host.into()),
            ("path".to_owned(), self.path.into()),
            ("time".to_owned(), self.now.0.into()),
            (
                "scopes".to_owned(),
                self.subject.map_or_else(
                    || Value::Set(Default::default()),
                    |subject| scope_set(subject.scopes()),
                ),
            ),
            (
                "actors".to_owned(),
                self.subject
                    .map_or_else(|| Value::Set(Default::default()), actors),
            ),
            (
                "binding".to_owned(),
                self.subject.map_or("none", binding).into(),
            ),
        ]);
        let acr = self.subject.and_then(Subject::acr);
        let auth_time = self.subject.and_then(Subject::auth_time);
        let optional = [
            ("source", self.source.map(Value::from)),
            ("purpose", self.purpose.map(Value::from)),
            (
                "client",
                self.subject
                    .map(|subject| client_id(subject.client()).into()),
            ),
            ("acr", acr.map(Value::from)),
            (
                "level",
                acr.and_then(|acr| acr.parse::<Acr>().ok())
                    .map(|acr| acr.level().into()),
            ),
            ("auth_time", auth_time.map(|time| time.0.into())),
            (
                "age",
                auth_time.map(|time| self.now.0.saturating_sub(time.0).max(0).into()),
            ),
        ];
        context.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
        context
    }
}

/// What a request to the egress proxy is decided on besides principal and resource: `EgressContext` of the schema.
#[derive(Debug, Clone)]
pub struct EgressContext<'a> {
    /// The rule of the allow-list.
    pub rule: &'a RouteId,
    /// `tunnel`, `http` or `https`.
    pub form: &'a str,
    /// The method, where the proxy reads it.
    pub method: Option<&'a str>,
    /// The canonical path, where the proxy reads it.
    pub path: Option<&'a str>,
    /// The workload.
    pub client: &'a ClientId,
    /// Whom its token speaks of, if it showed one.
    pub subject: Option<&'a Subject>,
    /// Where it is.
    pub source: IpAddr,
    /// When.
    pub now: UnixTime,
}

impl EgressContext<'_> {
    /// As the context of a query.
    #[must_use]
    pub fn to_context(&self) -> BTreeMap<String, Value> {
        let none = || Value::Set(Default::default());
        let subject = self.subject;
        let mut context = BTreeMap::from([
            ("rule".to_owned(), self.rule.as_str().into()),
            ("form".to_owned(), self.form.into()),
            ("client".to_owned(), client_id(self.client).into()),
            (
                "scopes".to_owned(),
                subject.map_or_else(none, |subject| scope_set(subject.scopes())),
            ),
            ("actors".to_owned(), subject.map_or_else(none, actors)),
            ("binding".to_owned(), subject.map_or("none", binding).into()),
            ("time".to_owned(), self.now.0.into()),
            ("source".to_owned(), self.source.into()),
        ]);
        let read = [("method", self.method), ("path", self.path)];
        context.extend(
            read.into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.into()))),
        );
        context
    }
}

/// The actors of a token, by `sub`.
#[must_use]
pub fn actors(subject: &Subject) -> Value {
    Value::strings(subject.actors().iter().map(|actor| actor.sub.as_str()))
}

/// What a token is bound to, as contexts name it.
#[must_use]
pub fn binding(subject: &Subject) -> &'static str {
    match subject.binding() {
        None => "none",
        Some(Confirmation::Certificate(_)) => "certificate",
        Some(Confirmation::Dpop(_)) => "dpop",
    }
}

fn with_roles<'a>(entity: Entity, roles: impl IntoIterator<Item = &'a Role>) -> Entity {
    roles.into_iter().fold(entity, |entity, role| {
        entity.parent(EntityId::new("Role", role.as_str()))
    })
}

/// Attributes as tags, which are strings: a truth value as `true` or `false`, a set as one tag `name:member` a member.
fn with_attributes(entity: Entity, attributes: &BTreeMap<String, AttributeValue>) -> Entity {
    attributes
        .iter()
        .fold(entity, |entity, (name, value)| match value {
            AttributeValue::Bool(value) => entity.tag(name, value.to_string()),
            AttributeValue::Long(number) => entity.tag(name, number.to_string()),
            AttributeValue::Text(text) => entity.tag(name, text.as_str()),
            AttributeValue::Texts(texts) => texts.iter().fold(entity, |entity, text| {
                entity.tag(format!("{name}:{text}"), "true")
            }),
        })
}

#[cfg(test)]
mod tests;
