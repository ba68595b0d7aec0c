//! The way of every administrative request: authenticated, decided, recorded; only then is there a [`Permit`] that a handler can act with.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::described::{self, Described};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Path, Request, State};
use countersign_audit::event::{Actor, AdminAction, Verdict};
use countersign_audit::{Code, Event, Text};
use countersign_base::{EventId, RequestId, Tenant, UnixTime};
use countersign_control::administrator::{AdminCall, Administrator, NotAdministrator};
use countersign_policy::{Permitted, Query, Target, decide, vocabulary};
use countersign_store::{About, Durability, Recordable, Recorded, StoreError, Write};
use http::header;
use http::request::Parts;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

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

    pub(crate) fn request(&self) -> RequestId {
        self.permitted.decision().target().request
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.permitted.decision().target().now
    }

    /// Carries a change out, with the event that reports it, in one transaction; the event's id is its receipt.
    pub(crate) async fn change(
        self,
        writes: Vec<Write>,
        event: impl Into<Event>,
    ) -> Result<EventId, AdminError> {
        let AdminRequest {
            tenant, request, ..
        } = self.permitted.into_target();
        let fabric = &self.admin.fabric;
        // What is ended ends now, not when its request began to arrive.
        let now = fabric.now();
        let record = fabric.recorder().about_event(&tenant, Some(request), event);
        let event = match fabric.store().change(&tenant, writes, record, now).await {
            Ok(event) => event,
            Err(StoreError::Conflict(..)) => return Err(AdminError::Exists),
            Err(StoreError::Full(_)) => {
                let message = "there are as many as are allowed: end one first";
                return Err(AdminError::Invalid(message.to_owned()));
            }
            Err(StoreError::Superseded(_)) => {
                let message = "what it is about is not there any more, or has ended";
                return Err(AdminError::Invalid(message.to_owned()));
            }
            Err(_) => return Err(AdminError::Unavailable),
        };
        // What was revoked with it is denied by this node from now on, not from the next look at the table on.
        let clients = fabric
            .revocations()
            .refresh(fabric.store(), now)
            .await
            .map_err(|_| AdminError::Unavailable)?;
        for (tenant, client) in clients {
            fabric.directory().client_changed(&tenant, &client);
        }
        Ok(event)
    }
}

/// What a handler is called with. Its body is not read before the caller is known.
pub(crate) struct Called {
    request: RequestId,
    from: IpAddr,
    /// What the path names: `tenant`, `grant`. A path that cannot be read names nothing.
    named: BTreeMap<String, String>,
    parts: Parts,
    body: Body,
}

impl FromRequest<Admin> for Called {
    type Rejection = Infallible;

    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Infallible> {
        let (mut parts, body) = request.into_parts();
        let named = Path::from_request_parts(&mut parts, admin).await;
        let from = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
        Ok(Self {
            request: admin.fabric.random().request_id(),
            from: from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            named: named.map(|Path(named)| named).unwrap_or_default(),
            parts,
            body,
        })
    }
}

/// The body of a request that is permitted.
pub(crate) struct Unread {
    body: Body,
    media_type: Option<String>,
}

impl Unread {
    /// Reads it as `T`.
    pub(super) async fn json<T: Described>(self) -> Result<T, AdminError> {
        self.json_up_to(BODY_BYTES_MAX).await
    }

    /// Reads it as `T`, which may be larger than others.
    pub(super) async fn json_up_to<T: Described>(self, bytes_max: usize) -> Result<T, AdminError> {
        parsed(&self.bytes(bytes_max).await?)
    }

    /// Reads it as `T`, if it says anything.
    pub(super) async fn json_or_nothing<T: Described>(self) -> Result<Option<T>, AdminError> {
        match self.bytes(BODY_BYTES_MAX).await? {
            bytes if bytes.is_empty() => Ok(None),
            bytes => parsed(&bytes).map(Some),
        }
    }

    async fn bytes(self, bytes_max: usize) -> Result<Bytes, AdminError> {
        let json = |text: &str| text.trim().eq_ignore_ascii_case("application/json");
        let essence = |text: &String| text.split(';').next().is_some_and(json);
        if !self.media_type.as_ref().is_none_or(essence) {
            return Err(AdminError::MediaType);
        }
        axum::body::to_bytes(self.body, bytes_max)
            .await
            .map_err(|_| {
                let expected = bytes_max / 1024;
                AdminError::Invalid(format!("expected a body of at most {expected} KiB"))
            })
    }
}

fn parsed<T: Described>(bytes: &[u8]) -> Result<T, AdminError> {
    // Position and expectation, never the text: a body may hold a password.
    let unreadable = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        AdminError::Invalid(format!(
            "the body is not what this endpoint takes (line {line}, column {column})"
        ))
    };
    let read = serde_json::from_slice(bytes).map_err(unreadable)?;
    described::judge::<T>(&serde_json::from_slice(bytes).map_err(unreadable)?).map_err(
        |place| {
            AdminError::Invalid(format!(
                "the body is not what this endpoint takes ({place})"
            ))
        },
    )?;
    Ok(read)
}

impl Called {
    /// What a handler makes of it, with the id that its caller may ask with.
    pub(super) async fn answered<T, F>(self, handler: impl FnOnce(Self) -> F) -> Answer<T>
    where
        F: Future<Output = Result<T, AdminError>>,
    {
        Answer {
            request: self.request,
            result: handler(self).await,
        }
    }

    /// What the path names so, if it has the form of a `T`.
    pub(crate) fn named<T: FromStr>(&self, name: &str) -> Option<T> {
        self.named.get(name)?.parse().ok()
    }

    /// Authenticates, decides and records, in the tenant that the path names; the permit is what a handler acts with.
    pub(crate) async fn permit<'a>(
        self,
        admin: &'a Admin,
        area: &'static str,
        operation: &'static str,
    ) -> Result<(Permit<'a>, Unread), AdminError> {
        let tenant = self.named("tenant");
        self.permit_in(tenant, admin, area, operation).await
    }

    async fn permit_in<'a>(
        self,
        tenant: Option<Tenant>,
        admin: &'a Admin,
        area: &'static str,
        operation: &'static str,
    ) -> Result<(Permit<'a>, Unread), AdminError> {
        let fabric = &admin.fabric;
        let now = fabric.now();
        let tenant = tenant.filter(|tenant| fabric.directory().tenant(tenant).is_some());
        let administrator = self.authenticate(admin, now).map_err(|refusal| {
            self.refused(admin, tenant.as_ref(), area, operation, refusal);
            AdminError::Unauthenticated(refusal)
        })?;
        let tenant = tenant.ok_or(AdminError::Unknown("tenant"))?;
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
                    .await
                    .map_err(|_| AdminError::Unavailable)?;
                let media_type = self.parts.headers.get(header::CONTENT_TYPE);
                let unread = Unread {
                    media_type: media_type
                        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
                    body: self.body,
                };
                Ok((Permit { admin, permitted }, unread))
            }
            Err(denied) => {
                fabric.metrics().decided("admin", "denied");
                // The answer is the same whether or not the denial could be recorded: no.
                let _ = fabric.recorder().record_denied(denied);
                Err(AdminError::Denied)
            }
        }
    }

    fn authenticate(
        &self,
        admin: &Admin,
        now: UnixTime,
    ) -> Result<Administrator, NotAdministrator> {
        let uri = match self.parts.extensions.get::<OriginalUri>() {
            Some(OriginalUri(uri)) => uri,
            None => &self.parts.uri,
        };
        let call = AdminCall {
            method: &self.parts.method,
            path: uri.path(),
            headers: &self.parts.headers,
        };
        admin
            .administrator
            .authenticate(&call, admin.fabric.replay(), now)
    }

    fn refused(
        &self,
        admin: &Admin,
        tenant: Option<&Tenant>,
        area: &'static str,
        operation: &'static str,
        refusal: NotAdministrator,
    ) {
        let event = AdminAction {
            action: Text::of(&format!("{area}.{operation}")),
            by: Actor::Anonymous,
            decision: Verdict::Denied,
            reason: Code::of(refusal.as_str()),
            resource: Text::of("Administration"),
        };
        let tenant = tenant.cloned().unwrap_or_else(Tenant::default_tenant);
        // As above: the answer does not depend on it.
        let _ = admin
            .fabric
            .recorder()
            .refused(self.from, &tenant, Some(self.request), event);
        admin.fabric.metrics().decided("admin", "refused");
    }
}

/// A path that is no endpoint: authenticated like any other, so that strangers learn nothing of what there is.
pub(crate) async fn unknown(State(admin): State<Admin>, called: Called) -> Answer<()> {
    nothing_there(&admin, called, AdminError::Unknown("endpoint")).await
}

/// An endpoint that does nothing with this method, the same.
pub(crate) async fn wrong_method(State(admin): State<Admin>, called: Called) -> Answer<()> {
    nothing_there(&admin, called, AdminError::Method).await
}

async fn nothing_there(admin: &Admin, called: Called, told: AdminError) -> Answer<()> {
    let nothing = async |called: Called| {
        let permitted = called.permit_in(Some(Tenant::default_tenant()), admin, "api", "unknown");
        Err(permitted.await.err().unwrap_or(told))
    };
    called.answered(nothing).await
}
