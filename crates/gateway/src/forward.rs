//! The only function that opens an upstream. It takes the recorded permit, and the request comes out of the permit: nothing else can be
//! sent on, and no other request than the one that was decided about and recorded.

use crate::headers;
use crate::idempotency::{self, UpstreamKeys};
use crate::projection::{self, Plan, Projected};
use crate::request::{Caller, GatewayRequest};
use crate::routes::CallersToken;
use crate::upstream::{
    Balance, Earlier, Gathered, HashBy, PassError, PooledBody, Repeat, RequestBody, Sending,
    Upstream, Upstreams, gather, key_of,
};
use crate::websocket;
use countersign_control::traces::Onward;
use countersign_policy::Permitted;
use countersign_policy::obligation::Obligations;
use countersign_store::Recorded;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::time::Instant;

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// The token that goes on to the upstream.
pub enum UpstreamToken {
    /// The caller's, if the route passes it on; none otherwise.
    AsRouted,
    /// An exchanged one: the value of `Authorization`.
    Exchanged(HeaderValue),
}

/// Sends a request that was permitted and recorded to its upstream.
///
/// # Errors
/// When the upstream can't be reached or does not answer, the caller's body ends early, or what the permit asks for cannot be done with the answer.
pub fn forward(
    recorded: Recorded<Permitted<GatewayRequest>>,
    upstreams: &Upstreams,
    token: UpstreamToken,
) -> impl Future<Output = Result<Response<PooledBody>, PassError>> + Send {
    forward_telling(recorded, upstreams, token, None)
}

/// What goes out, and what is done with what comes back.
struct Prepared<'u> {
    upstream: &'u Upstream,
    sending: Sending,
    /// Of which the outgoing request took body and fields.
    request: Box<GatewayRequest>,
    plan: Option<Box<Plan>>,
    obligations: Option<Arc<Obligations>>,
}

fn prepared(
    recorded: Recorded<Permitted<GatewayRequest>>,
    upstreams: &Upstreams,
    token: UpstreamToken,
) -> Result<Prepared<'_>, PassError> {
    let decision = recorded.receipt();
    let obligations = recorded.decision().obligations().cloned();
    let mut request = Box::new(recorded.into_target());
    let message = request.message.take();
    if message.as_ref().is_some_and(|message| !message.is_spent()) {
        // It may have come before: nobody gets it.
        return Err(PassError::Body);
    }
    let timeout = request.call.and_then(|call| call.timeout);
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let plan = Plan::of(&request);
    let upstream = upstreams.get(request.matched.route.upstream);
    let upstream = upstream.ok_or_else(|| PassError::Connect(io::ErrorKind::NotFound.into()))?;
    let key = balance_key(&request, upstream.members().balance());
    let spec = request.matched.route.idempotency.as_ref();
    let keys = spec.map_or(UpstreamKeys::Ignored, |spec| spec.upstream);
    let mut outbound = Box::new(outbound(&mut request, token));
    if obligations.is_some() || plan.is_some() {
        projection::ask_for_all(outbound.headers_mut());
    }
    if let Some(message) = message {
        message.write(outbound.headers_mut());
    }
    let repeat = repeat_of(keys, &outbound);
    headers::set(
        outbound.headers_mut(),
        headers::DECISION,
        &decision.to_string(),
    );
    Ok(Prepared {
        upstream,
        sending: Sending {
            request: outbound,
            repeat,
            key,
            deadline,
        },
        request,
        plan,
        obligations,
    })
}

/// The same as [`forward`], and `earlier` learns whether an attempt before the last may have been carried out.
pub(crate) async fn forward_telling(
    recorded: Recorded<Permitted<GatewayRequest>>,
    upstreams: &Upstreams,
    token: UpstreamToken,
    earlier: Option<&Earlier>,
) -> Result<Response<PooledBody>, PassError> {
    let Prepared {
        upstream,
        sending,
        request,
        plan,
        obligations,
    } = prepared(recorded, upstreams, token)?;
    let deadline = sending.deadline;
    let (switching, idle) = (request.switching, request.matched.route.idle);
    let mut response = upstream.send(sending, earlier).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && !(switching.is_some()
            && obligations.is_none()
            && plan.is_none()
            && websocket::is_switch(response.headers()))
    {
        // Nor where something has to be done with what passes, which nobody does with frames.
        return Err(PassError::Switch);
    }
    headers::remove_hop_by_hop(response.headers_mut());
    headers::remove_planted_cookies(response.headers_mut());
    if let Some(idle) = idle {
        response.body_mut().wait_for(idle);
    }
    if let Some(deadline) = deadline {
        response.body_mut().end_at(deadline);
    }
    if switching.is_some() || response.body().is_long() {
        response.body_mut().stand_on(request);
    }
    if let Some(plan) = plan {
        // Before what policy takes out, which may be what the document requires.
        response = Box::pin(projected(response, &plan)).await?;
    }
    match obligations {
        None => Ok(response),
        // In a box, so that a request whose answer nobody changes carries no room for it.
        Some(obligations) => Box::pin(obliged(response, &obligations)).await,
    }
}

/// The answer cut down to its document.
async fn projected(
    response: Response<PooledBody>,
    plan: &Plan,
) -> Result<Response<PooledBody>, PassError> {
    let (mut head, body) = response.into_parts();
    if !plan.reads(&head) {
        return Ok(Response::from_parts(head, body));
    }
    let gathered = gather(body, projection::ANSWER_BYTES_MAX).await?;
    let bytes = match &gathered {
        Gathered::Whole(bytes) => Some(bytes),
        Gathered::Passing(_) => None,
    };
    let projected = plan.carry_out(&mut head, bytes);
    let body = match (projected.map_err(PassError::Projection)?, gathered) {
        (Projected::AsIs, Gathered::Whole(bytes)) | (Projected::Body(bytes), _) => {
            PooledBody::in_memory(bytes)
        }
        (Projected::AsIs, Gathered::Passing(body)) => body,
    };
    Ok(Response::from_parts(head, body))
}

/// The answer with what its permit asks for carried out on it.
async fn obliged(
    response: Response<PooledBody>,
    obligations: &Obligations,
) -> Result<Response<PooledBody>, PassError> {
    let (mut head, body) = response.into_parts();
    let body = body.whole(projection::ANSWER_BYTES_MAX).await?;
    let body = projection::oblige(&mut head, &body, obligations).map_err(PassError::Projection)?;
    Ok(Response::from_parts(head, PooledBody::in_memory(body)))
}

/// What the address is chosen by.
fn balance_key(request: &GatewayRequest, balance: Balance) -> u64 {
    let by = match balance {
        Balance::LeastLoaded => return 0,
        Balance::ConsistentHash(by) => by,
    };
    match (by, request.caller.subject()) {
        (HashBy::Client, Some(subject)) => {
            key_of(&(subject.tenant().as_str(), subject.client().as_str()))
        }
        (HashBy::Subject, Some(subject)) => {
            key_of(&(subject.tenant().as_str(), subject.principal().to_string()))
        }
        (HashBy::Client | HashBy::Subject, None) | (HashBy::Network, _) => {
            key_of(&request.connection.remote.ip().to_canonical())
        }
    }
}

/// Whether it may be sent twice: by its method, or because its upstream knows its key, which has to be in what goes out: a caller may name the field in
/// `Connection`, and then it ends here.
fn repeat_of(keys: UpstreamKeys, outbound: &Request<RequestBody>) -> Repeat {
    let keyed = match keys {
        UpstreamKeys::Honoured => {
            matches!(idempotency::key_of(outbound.headers()), Ok(Some(_)))
        }
        UpstreamKeys::Ignored => false,
    };
    if keyed {
        Repeat::Harmless
    } else {
        Repeat::of(outbound.method())
    }
}

fn outbound(request: &mut GatewayRequest, token: UpstreamToken) -> Request<RequestBody> {
    let (mut headers, body) = request.take_message();
    headers::remove_untrusted(&mut headers);
    headers::remove_own_cookies(&mut headers);
    headers::remove_api_key(&mut headers, request.matched.route.rules.api_keys());
    match (token, request.matched.route.callers_token) {
        (UpstreamToken::Exchanged(value), CallersToken::PassOn | CallersToken::Remove) => {
            _ = headers.insert(header::AUTHORIZATION, value)
        }
        (UpstreamToken::AsRouted, CallersToken::Remove) => {
            _ = headers.remove(header::AUTHORIZATION)
        }
        // An API key is worth as much to whoever reads it as to its owner.
        (UpstreamToken::AsRouted, CallersToken::PassOn) if is_by_api_key(&request.caller) => {
            _ = headers.remove(header::AUTHORIZATION);
        }
        (UpstreamToken::AsRouted, CallersToken::PassOn) => {}
    }
    set_own(&mut headers, request);
    std::mem::replace(&mut request.onward, Onward::removed()).write(&mut headers);
    let mut outbound = Request::new(body);
    *outbound.method_mut() = request.target.method().clone();
    *outbound.uri_mut() = Uri::from(request.target.path_and_query().clone());
    *outbound.headers_mut() = headers;
    if request.call.is_some() {
        // Servers of gRPC refuse a call without it, and its trailers do come back.
        outbound.headers_mut().insert(header::TE, TRAILERS);
    }
    if let Some(switching) = request.switching {
        websocket::write_switch(outbound.headers_mut());
        outbound.extensions_mut().insert(switching);
    }
    outbound
}

/// What another proxy has to do with the fields of a request that it holds, so that its upstream sees what it would see behind this gateway.
pub(crate) struct Edits {
    /// To be set, in the place of what is there.
    pub(crate) set: HeaderMap,
    /// To be removed; none of them is to be set.
    pub(crate) remove: Vec<HeaderName>,
}

/// See [`Edits`]. The proxy frames the message itself, and its traces are its own.
pub(crate) fn edits(recorded: &Recorded<Permitted<GatewayRequest>>) -> Edits {
    let request = recorded.decision().target();
    let came = &request.headers;
    let mut onward = came.clone();
    headers::remove_trusted(&mut onward);
    headers::remove_own_cookies(&mut onward);
    headers::remove_api_key(&mut onward, request.matched.route.rules.api_keys());
    match request.matched.route.callers_token {
        CallersToken::PassOn if !is_by_api_key(&request.caller) => {}
        CallersToken::PassOn | CallersToken::Remove => _ = onward.remove(header::AUTHORIZATION),
    }
    let mut set = HeaderMap::new();
    let cookies = |headers: &HeaderMap| headers.get_all(header::COOKIE).iter().cloned().collect();
    let (before, after): (Vec<HeaderValue>, Vec<HeaderValue>) = (cookies(came), cookies(&onward));
    // Changed ones are one line.
    if let [one] = after.as_slice()
        && before != after
    {
        set.insert(header::COOKIE, one.clone());
    }
    set_own(&mut set, request);
    let decision = recorded.receipt().to_string();
    headers::set(&mut set, headers::DECISION, &decision);
    let gone = came.keys().filter(|name| !onward.contains_key(*name));
    let mut remove: Vec<HeaderName> = gone
        .cloned()
        .chain(headers::trusted_names())
        // What cannot be told is removed: the caller's own must not stand in its place.
        .filter(|name| set.get(name).is_none_or(|value| !is_text(value)))
        .collect();
    remove.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    remove.dedup();
    Edits { set, remove }
}

/// Whether the proxy can be told this value.
fn is_text(value: &HeaderValue) -> bool {
    std::str::from_utf8(value.as_bytes()).is_ok()
}

/// What the gateway itself says of a request, but for the decision.
fn set_own(headers: &mut HeaderMap, request: &GatewayRequest) {
    headers::set_forwarded(
        headers,
        request.connection.remote.ip(),
        &request.target.authority(),
    );
    headers::set(headers, headers::REQUEST_ID, &request.id.to_string());
    headers::set(
        headers,
        headers::TENANT,
        request.matched.route.tenant.as_str(),
    );
    set_identity(headers, &request.caller);
}

fn is_by_api_key(caller: &Caller) -> bool {
    caller
        .subject()
        .is_some_and(|subject| subject.token().is_api_key())
}

/// Who the caller is. The fields were removed before, so an anonymous request has none of them.
pub(crate) fn set_identity(headers: &mut HeaderMap, caller: &Caller) {
    let Some(subject) = caller.subject() else {
        return;
    };
    headers::set(headers, headers::SUBJECT, &subject.principal().to_string());
    headers::set(headers, headers::CLIENT, subject.client().as_str());
    headers::set(headers, headers::SCOPES, &subject.scopes().to_string());
}
