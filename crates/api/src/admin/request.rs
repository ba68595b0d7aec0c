//! The way of every administrative request: authenticated, decided, recorded; only then is there a [`Permit`] that a handler can act with.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::authenticate::Administrator;
use axum::extract::{FromRequest, Request, State};
use bytes::Bytes;
use countersign_audit::event::{Actor, AdminAction, Verdict};
use countersign_audit::{Code, Event, Text};
use countersign_base::{Conditional, NoTls, RequestId, Tenant, UnixTime};
use countersign_net::Peer;
use countersign_policy::{Permitted, Query, Target, decide, vocabulary};
use countersign_store::{About, Durability, Recordable, Recorded, StoreError, Write};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What is asked of the admin API.
pub(crate) struct AdminRequest {
    _administrator: Administrator,
    tenant: Tenant,
    area: &'static str,
    operation: &'static str,
    request: RequestId,
    now: UnixTime,
}

impl Target for AdminRequest {
    fn query(&self) -> Query {
        Query {
            principal: vocabulary::operator("local", &self.tenant),
            action: "administer".to_owned(),
            resource: vocabulary::administration(&self.tenant),
            context: BTreeMap::from([
                ("area".to_owned(), self.area.into()),
                ("operation".to_owned(), self.operation.into()),
                ("time".to_owned(), self.now.0.into()),
            ]),
            others: Vec::new(),
        }
    }
}

impl Recordable for AdminRequest {
    fn about(&self) -> About {
        About {
            request: Some(self.request),
            action: Text::of(&format!("{}.{}", self.area, self.operation)),
            resource: Text::of("Administration"),
            ..About::new(self.tenant.clone(), Code::of("admin"))
        }
    }
}

/// A recorded permission to do one thing in one tenant.
pub(crate) struct Permit<'a> {
    admin: &'a Admin,
    permitted: Recorded<Permitted<AdminRequest>>,
}

impl Permit<'_> {
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.permitted.decision().target().tenant
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.permitted.decision().target().now
    }

    /// Carries a change out, with the event that reports it, in one transaction.
    pub(crate) async fn change(
        self,
        writes: Vec<Write>,
        event: impl Into<Event>,
    ) -> Result<(), AdminError> {
        let AdminRequest {
            tenant,
            request,
            now,
            ..
        } = self.permitted.into_target();
        let fabric = &self.admin.fabric;
        let record = fabric.recorder().about_event(&tenant, Some(request), event);
        match fabric.store().change(&tenant, writes, record, now).await {
            Ok(_event) => {}
            Err(StoreError::Conflict(..)) => return Err(AdminError::Exists),
            Err(_) => return Err(AdminError::Unavailable),
        }
        // What was revoked with it is denied by this node from now on, not from the next look at the table on.
        fabric
            .revocations()
            .refresh(fabric.store(), now)
            .await
            .map_err(|_| AdminError::Unavailable)
    }
}

/// What a handler is called with: who, from where, and the body.
pub(crate) struct Called {
    request: RequestId,
    peer: Peer,
    from: IpAddr,
    body: Bytes,
}

impl FromRequest<Admin> for Called {
    type Rejection = Answer<()>;

    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Answer<()>> {
        let id = admin.fabric.random().request_id();
        let peer = request.extensions().get::<Peer>().cloned();
        let from = request.extensions().get::<SocketAddr>().map(SocketAddr::ip);
        let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await;
        let body = body.map_err(|_| Answer {
            request: id,
            result: Err(AdminError::Invalid(
                "expected a body of at most 64 KiB".to_owned(),
            )),
        })?;
        Ok(Self {
            request: id,
            // Whoever wires the router without the connection gets nobody, never an administrator.
            peer: peer.unwrap_or(Conditional::Absent(NoTls::NoCertificate)),
            from: from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            body,
        })
    }
}

impl Called {
    pub(crate) const fn request(&self) -> RequestId {
        self.request
    }

    /// The body as `T`.
    pub(crate) fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, AdminError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Position and expectation, never the text: a body may hold a password.
            let (line, column) = (error.line(), error.column());
            AdminError::Invalid(format!(
                "the body is not what this endpoint takes (line {line}, column {column})"
            ))
        })
    }

    /// Authenticates, decides and records; the permit is what a handler acts with.
    pub(crate) async fn permit<'a>(
        &self,
        admin: &'a Admin,
        tenant: &str,
        area: &'static str,
        operation: &'static str,
    ) -> Result<Permit<'a>, AdminError> {
        let fabric = &admin.fabric;
        let now = fabric.now();
        let known = tenant
            .parse::<Tenant>()
            .ok()
            .filter(|tenant| fabric.directory().tenant(tenant).is_some());
        let administrator = match admin.credential.authenticate(&self.peer, now) {
            Ok(administrator) => administrator,
            Err(refusal) => {
                let event = AdminAction {
                    action: Text::of(&format!("{area}.{operation}")),
                    by: Actor::Anonymous,
                    decision: Verdict::Denied,
                    reason: Code::of(refusal.as_str()),
                    resource: Text::of("Administration"),
                };
                let tenant = known.unwrap_or_else(Tenant::default_tenant);
                // The answer is the same whether or not the refusal could be recorded: no.
                let _ = fabric
                    .recorder()
                    .refused(self.from, &tenant, Some(self.request), event);
                fabric.metrics().decided("admin", "refused");
                return Err(AdminError::Unauthenticated);
            }
        };
        let tenant = known.ok_or(AdminError::Unknown("tenant"))?;
        let target = AdminRequest {
            _administrator: administrator,
            tenant,
            area,
            operation,
            request: self.request,
            now,
        };
        match decide(&fabric.policies(), target) {
            Ok(permitted) => {
                fabric.metrics().decided("admin", "permitted");
                let permitted = fabric
                    .recorder()
                    .record(permitted, Durability::Durable)
                    .await;
                Ok(Permit {
                    admin,
                    permitted: permitted.map_err(|_| AdminError::Unavailable)?,
                })
            }
            Err(denied) => {
                fabric.metrics().decided("admin", "denied");
                let _ = fabric.recorder().record_denied(denied);
                Err(AdminError::Denied)
            }
        }
    }
}

/// A path that is no endpoint: authenticated like any other, so that strangers learn nothing of what there is.
pub(crate) async fn unknown(State(admin): State<Admin>, called: Called) -> Answer<()> {
    let result = match called
        .permit(&admin, Tenant::default_tenant().as_str(), "api", "unknown")
        .await
    {
        Ok(_permit) => Err(AdminError::Unknown("endpoint")),
        Err(error) => Err(error),
    };
    Answer {
        request: called.request(),
        result,
    }
}
