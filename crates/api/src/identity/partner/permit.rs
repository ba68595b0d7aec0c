//! Who may see and do what on the partner's page: the questions to policy, and the evidence that it said yes and that this is recorded.

use crate::access::entity_of;
use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::call::Call;
use crate::identity::own_page::{self, Decided};
use crate::identity::record;
use countersign_audit::event::{Decision, Verdict};
use countersign_audit::{Code, Text};
use countersign_authn::Acr;
use countersign_base::{EndpointId, PartnerName, RequestId, Tenant, UnixTime};
use countersign_oauth::authorize::PageError;
use countersign_oauth::{ResolvedUser, Session};
use countersign_policy::{Entity, Query, Target, Value, decide, vocabulary};
use countersign_store::tables::webhook_endpoints::{
    self, EndpointRecord, EndpointRow, EndpointTarget,
};
use countersign_store::{About, Durability, Recordable};
use std::collections::BTreeMap;

/// The attribute of a person that names the partner they belong to.
const ATTRIBUTE: &str = "partner";
/// The door that records and counters name.
const SURFACE: &str = "partner";
/// A look at the list, as policies name it.
const ENDPOINTS: &str = "endpoints";

/// Who asks, and how well and when they proved who they are.
#[derive(Clone)]
pub(super) struct Asker {
    tenant: Tenant,
    owner: ResolvedUser,
    level: i64,
    auth_time: UnixTime,
    request: RequestId,
    now: UnixTime,
}

impl Asker {
    pub(super) async fn of(
        identity: &Identity,
        call: &Call,
        session: &Session,
    ) -> Result<Self, Failure> {
        let owner = own_page::owner(identity, call, session).await?;
        Ok(Self::new(identity, call, session, owner))
    }

    pub(super) fn new(
        identity: &Identity,
        call: &Call,
        session: &Session,
        owner: ResolvedUser,
    ) -> Self {
        Self {
            tenant: call.tenant.name.clone(),
            owner,
            level: session.acr().map_or(0, Acr::level),
            auth_time: session.auth_time,
            request: call.id,
            now: identity.fabric.now(),
        }
    }

    pub(super) fn username(&self) -> String {
        self.owner.user.username.to_string()
    }

    /// The partner that the person belongs to, if their attribute names one.
    fn partner(&self) -> Option<PartnerName> {
        let attributes = &self.owner.user.attributes;
        let (_, value) = attributes
            .iter()
            .find(|(name, _)| name.as_str() == ATTRIBUTE)?;
        value.as_str().parse().ok()
    }

    fn query(&self, action: &str, operation: &str, resource: Entity) -> Query {
        let age = self.now.0.saturating_sub(self.auth_time.0).max(0);
        let context: [(&str, Value); 4] = [
            ("operation", operation.into()),
            ("level", self.level.into()),
            ("age", age.into()),
            ("time", self.now.0.into()),
        ];
        Query {
            principal: entity_of(&self.owner, &self.tenant),
            action: action.to_owned(),
            resource,
            context: context
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<BTreeMap<_, _>>(),
            others: Vec::new(),
        }
    }

    fn about(&self, action: &str, operation: &str, resource: &str) -> About {
        About {
            request: Some(self.request),
            user: Some(self.owner.user.id),
            action: Text::of(&format!("{action}.{operation}")),
            resource: Text::of(resource),
            ..About::new(self.tenant.clone(), Code::of(SURFACE))
        }
    }
}

/// What can be looked at.
trait Visible {
    fn entity(&self, tenant: &Tenant) -> Entity;
    fn in_words(&self) -> String;
}

impl Visible for PartnerName {
    fn entity(&self, tenant: &Tenant) -> Entity {
        vocabulary::partner(self, tenant)
    }

    fn in_words(&self) -> String {
        format!("Partner {self}")
    }
}

impl Visible for EndpointRow {
    fn entity(&self, tenant: &Tenant) -> Entity {
        vocabulary::webhook_endpoint(self.id, self.partner.as_ref(), tenant)
    }

    fn in_words(&self) -> String {
        format!("WebhookEndpoint {}", self.id)
    }
}

/// A look at something.
struct Seeing<V> {
    asker: Asker,
    operation: &'static str,
    what: V,
}

impl<V: Visible> Target for Seeing<V> {
    fn query(&self) -> Query {
        let resource = self.what.entity(&self.asker.tenant);
        self.asker
            .query("view_partner_webhooks", self.operation, resource)
    }
}

impl<V: Visible> Recordable for Seeing<V> {
    fn about(&self) -> About {
        let what = self.what.in_words();
        self.asker
            .about("view_partner_webhooks", self.operation, &what)
    }
}

/// What is done about an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Disable,
    Enable,
    Replay,
    Resend,
    RotateSecret,
    SendTest,
}

impl Operation {
    /// As policies name it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Replay => "replay",
            Self::Resend => "resend",
            Self::RotateSecret => "rotate_secret",
            Self::SendTest => "send_test",
        }
    }
}

/// A change of an endpoint.
struct Managing {
    asker: Asker,
    operation: Operation,
    endpoint: EndpointRow,
}

impl Target for Managing {
    fn query(&self) -> Query {
        let resource = self.endpoint.entity(&self.asker.tenant);
        let operation = self.operation.as_str();
        self.asker
            .query("manage_partner_webhooks", operation, resource)
    }
}

impl Recordable for Managing {
    fn about(&self) -> About {
        let (operation, endpoint) = (self.operation.as_str(), self.endpoint.in_words());
        self.asker
            .about("manage_partner_webhooks", operation, &endpoint)
    }
}

/// Whether the person's other pages lead to these: nothing is permitted by it, so nothing is recorded. Who comes is asked about by [`partner`].
pub(super) fn is_led_to(identity: &Identity, asker: &Asker) -> bool {
    let Some(what) = asker.partner() else {
        return false;
    };
    let target = Seeing {
        asker: asker.clone(),
        operation: ENDPOINTS,
        what,
    };
    decide(&identity.fabric.policies(), target).is_ok()
}

/// Evidence that the person may see the endpoints of their partner. Only [`partner`] makes one.
pub(super) struct SeenPartner {
    name: PartnerName,
}

impl SeenPartner {
    pub(super) const fn name(&self) -> &PartnerName {
        &self.name
    }
}

/// The partner of the person who asks, if policy lets them see its endpoints.
///
/// # Errors
/// [`PageError::PartnerDenied`], also for somebody who belongs to none.
pub(super) async fn partner(
    identity: &Identity,
    call: &Call,
    asker: &Asker,
) -> Result<SeenPartner, Failure> {
    let Some(name) = asker.partner() else {
        let event = Decision {
            action: Text::of(&format!("view_partner_webhooks.{ENDPOINTS}")),
            user: Some(asker.owner.user.id),
            ..Decision::new(
                Code::of(SURFACE),
                Verdict::Denied,
                Code::of("partner_absent"),
            )
        };
        identity.fabric.metrics().decided(SURFACE, "refused");
        record::refused(identity, call, event)?;
        return Err(PageError::PartnerDenied.into());
    };
    let target = Seeing {
        asker: asker.clone(),
        operation: ENDPOINTS,
        what: name,
    };
    match own_page::decided(identity, call, target, SURFACE, Durability::Queued).await? {
        Decided::Permitted(permitted) => Ok(SeenPartner {
            name: permitted.into_target().what,
        }),
        Decided::Denied => Err(PageError::PartnerDenied.into()),
    }
}

/// A receiver that policy lets the person see. Only [`endpoint`] and [`those_seen`] make one.
pub(super) struct Seen {
    endpoint: EndpointRow,
    record: EndpointRecord,
}

impl Seen {
    pub(super) const fn endpoint(&self) -> &EndpointRow {
        &self.endpoint
    }

    pub(super) const fn record(&self) -> &EndpointRecord {
        &self.record
    }

    /// A service of this installation is nothing that a partner sees.
    fn of(endpoint: EndpointRow) -> Option<Self> {
        let record = match &endpoint.target {
            EndpointTarget::Receiver(record) => (**record).clone(),
            EndpointTarget::Service(_) => return None,
        };
        Some(Self { endpoint, record })
    }
}

/// The endpoint of that id, if policy lets the person see it.
///
/// # Errors
/// [`Failure::NotFound`], whether there is none or they may not.
pub(super) async fn endpoint(
    identity: &Identity,
    call: &Call,
    asker: &Asker,
    id: EndpointId,
    operation: &'static str,
) -> Result<Seen, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    let found = webhook_endpoints::find(&mut connection, &asker.tenant, id).await?;
    drop(connection);
    let what = found.ok_or(Failure::NotFound)?;
    let target = Seeing {
        asker: asker.clone(),
        operation,
        what,
    };
    match own_page::decided(identity, call, target, SURFACE, Durability::Queued).await? {
        Decided::Permitted(permitted) => {
            Seen::of(permitted.into_target().what).ok_or(Failure::NotFound)
        }
        Decided::Denied => Err(Failure::NotFound),
    }
}

/// Those of a partner's endpoints that policy shows the person too: the look at the list is recorded, and a policy may except single ones.
pub(super) fn those_seen(
    identity: &Identity,
    asker: &Asker,
    _of: &SeenPartner,
    endpoints: Vec<EndpointRow>,
) -> Vec<Seen> {
    let policies = identity.fabric.policies();
    let visible = |what: EndpointRow| {
        let target = Seeing {
            asker: asker.clone(),
            operation: "endpoint",
            what: what.clone(),
        };
        decide(&policies, target).ok().and_then(|_| Seen::of(what))
    };
    endpoints.into_iter().filter_map(visible).collect()
}

/// An endpoint that policy lets the person do one thing about; the decision is on disk. Only [`manage`] makes one.
pub(super) struct Managed {
    seen: Seen,
}

impl Managed {
    pub(super) const fn endpoint(&self) -> &EndpointRow {
        &self.seen.endpoint
    }

    pub(super) const fn record(&self) -> &EndpointRecord {
        &self.seen.record
    }

    pub(super) fn into_seen(self) -> Seen {
        self.seen
    }
}

/// Asks whether the person may do this about an endpoint that they see.
///
/// # Errors
/// [`PageError::PartnerDenied`].
pub(super) async fn manage(
    identity: &Identity,
    call: &Call,
    asker: &Asker,
    seen: Seen,
    operation: Operation,
) -> Result<Managed, Failure> {
    let target = Managing {
        asker: asker.clone(),
        operation,
        endpoint: seen.endpoint,
    };
    match own_page::decided(identity, call, target, SURFACE, Durability::Durable).await? {
        Decided::Permitted(permitted) => {
            let seen = Seen::of(permitted.into_target().endpoint).ok_or(Failure::NotFound)?;
            Ok(Managed { seen })
        }
        Decided::Denied => Err(PageError::PartnerDenied.into()),
    }
}

/// Whether a page offers this: nothing is permitted by it, so nothing is recorded. Who presses the button is asked about by [`manage`].
pub(super) fn is_offered(
    identity: &Identity,
    asker: &Asker,
    seen: &Seen,
    operation: Operation,
) -> bool {
    let target = Managing {
        asker: asker.clone(),
        operation,
        endpoint: seen.endpoint.clone(),
    };
    decide(&identity.fabric.policies(), target).is_ok()
}
