//! One request through the gateway, step by step in the order that the crate's page lists. Whatever ends it early is recorded and answered
//! here.

mod held;

use crate::answer::{Denial, GatewayBody, LimitFields, describe_key, no_content};
use crate::canonical::CanonicalTarget;
use crate::content::ContentNeed;
use crate::cors::{self, CorsAnswer};
use crate::exchange::{self, ExchangeRequest};
use crate::forward::{UpstreamToken, forward};
use crate::forward_auth::Asked;
use crate::grpc::{Call, Dialect};
use crate::idempotency;
use crate::keyed;
use crate::planes::{Planes, Seen};
use crate::projection::Unfit;
use crate::request::{Arrived, GatewayRequest};
use crate::routes::{Destination, Matched, Route};
use crate::service::{Core, Generation};
use crate::upstream::{PassError, PooledBody};
use crate::webhooks::WebhookRoute;
use crate::websocket::{Handshake, Switching};
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Text};
use countersign_authn::Binding;
use countersign_base::{EventId, RequestId, Tenant, UnixTime};
use countersign_control::traces::{Span, SpanRoute, Surface};
use countersign_net::{Connection, InboundBody};
use countersign_policy::{Permitted, decide};
use countersign_store::Recorded;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Instant;

mod admission;
mod attributes;
mod authentication;
mod content;
mod envoy;
mod inspection;
mod lesson;
mod messages;
mod reading;
mod replayed;
mod sessions;
mod switch;
mod tail;
mod webhooks;
mod work;

use lesson::Lesson;
use reading::target_of;
pub(crate) use reading::unframed;
pub use sessions::SessionDenial;
use switch::Switch;
use tail::CLIENT_CLOSED;
pub(crate) use tail::{Places, Tail};

/// The door that records name.
pub(crate) const SURFACE: Code = Code::of("gateway");

/// What a request left behind when it ended early: enough for its record and its answer.
pub(crate) struct Ended {
    denial: Denial,
    /// Whether the denial stands in the log already.
    recorded: Option<EventId>,
}

impl From<Denial> for Box<Ended> {
    fn from(denial: Denial) -> Self {
        Self::new(Ended {
            denial,
            recorded: None,
        })
    }
}

type Step<T> = Result<T, Box<Ended>>;

/// Who has a request before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// This gateway: its body is here.
    Gateway,
    /// A proxy that asks about it, and keeps its body.
    Proxy,
}

/// What the steps of one request share.
struct Flow<'a, P> {
    core: &'a Core<P>,
    generation: &'a Arc<Generation>,
    id: RequestId,
    now: UnixTime,
    started: Instant,
    /// Known from the second step on.
    route: Option<Arc<Route>>,
    /// Known from the second step on, of a webhook, which has no other route.
    webhook: Option<Arc<WebhookRoute>>,
    /// Absent while traces are off; it goes with the answer's body once an upstream answered.
    span: Option<Box<Span>>,
    /// Known once the limits were asked.
    limit: Option<LimitFields>,
    holder: Holder,
    /// Known from the second step on.
    cors: CorsAnswer,
    places: Places,
    /// Absent unless it is a handshake.
    handshake: Option<Box<Handshake>>,
    dialect: Dialect,
}

/// Answers one request.
pub(crate) async fn answer<P: Planes>(
    core: &Core<P>,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> Response<GatewayBody> {
    let generation = core.generation();
    let mut flow = Flow {
        core,
        generation: &generation,
        id: core.next_request_id(),
        now: core.planes().clock().now(),
        started: Instant::now(),
        route: None,
        webhook: None,
        span: core
            .planes()
            .traces()
            .begin(Surface::Gateway, request.method(), request.headers()),
        limit: None,
        holder: Holder::Gateway,
        cors: CorsAnswer::default(),
        places: Places::default(),
        handshake: None,
        dialect: Dialect::of(&request),
    };
    let dialect = flow.dialect;
    let asked = generation.routes().forward_auth().asked(request.uri());
    let (mut response, seen) = match asked {
        // In boxes, so that a request to a route carries no room for them; the same goes for every box around a future below.
        Some(Asked::Grpc) => Box::pin(flow.check(connection, request)).await,
        Some(Asked::Http) => Box::pin(flow.judge(connection, request)).await,
        None => match flow.run(connection, request).await {
            Ok(response) => (response, Seen::Permitted),
            Err(ended) => {
                let refused = flow.refuse(connection, &ended);
                (dialect.refusal(refused), ended.denial.seen())
            }
        },
    };
    core.planes()
        .observe(seen, response.status(), flow.started.elapsed());
    if let Some(fields) = flow.limit {
        fields.write(response.headers_mut());
    }
    flow.cors.write(response.headers_mut());
    response
}

impl<P: Planes> Flow<'_, P> {
    async fn run(
        &mut self,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
    ) -> Step<Response<GatewayBody>> {
        let (head, body) = request.into_parts();
        let mut body = Some(body);
        let doors = self.generation.routes().session_doors();
        if doors.is_some_and(|doors| doors.are_asked(&head.uri)) {
            let answered = Box::pin(self.at_session_door(connection, &head, &mut body)).await?;
            if let Some(answer) = answered {
                return Ok(answer);
            }
        }
        if let Some(taken) = self.worked(connection, &head)? {
            return Ok(taken);
        }
        if let Some(granted) = self.preflight(&head)? {
            return Ok(granted);
        }
        let target = target_of(&head)?;
        let routes = self.generation.routes();
        let destination = routes.destination(&target, target.method());
        let matched = match destination.map_err(Denial::NoRoute)? {
            Destination::Upstream(matched) => matched,
            Destination::Webhook(route) => {
                return Box::pin(self.take_in(connection, &head, &target, route, body)).await;
            }
        };
        let at = (target, matched);
        let recorded = self.permitted_at(connection, head, at, body).await?;
        match routes.message_rules(&recorded.decision().target().matched().route) {
            None => self.pass_on(recorded).await,
            Some(rules) => Box::pin(self.pass_on_message(recorded, rules)).await,
        }
    }

    /// Every step before the upstream. Without a body it is in somebody else's hands.
    async fn permitted(
        &mut self,
        connection: &Arc<Connection>,
        head: http::request::Parts,
        body: Option<Incoming>,
    ) -> Step<Recorded<Permitted<GatewayRequest>>> {
        let target = target_of(&head)?;
        let matched = self.generation.routes().find(&target);
        let at = (target, matched.map_err(Denial::NoRoute)?);
        self.permitted_at(connection, head, at, body).await
    }

    async fn permitted_at(
        &mut self,
        connection: &Arc<Connection>,
        mut head: http::request::Parts,
        (target, matched): (CanonicalTarget, Matched),
        body: Option<Incoming>,
    ) -> Step<Recorded<Permitted<GatewayRequest>>> {
        self.enter(&matched.route, &head.headers);
        self.handshake = self.handshake_in(&mut head, &target, &matched.route)?;
        let body = body.map_or_else(InboundBody::empty, |body| {
            let idle = matched.route.idle;
            let idle = idle.unwrap_or_else(|| self.core.body_idle_timeout());
            InboundBody::new(body, matched.route.body_bytes_max, idle)
        });
        if body.announced_too_large() {
            return Err(Denial::BodyTooLarge.into());
        }
        let signals = self.signals(connection, &head, &matched.route)?;
        let caller = self
            .authenticate(connection, &head, &target, &matched)
            .await?;
        self.within_limits(connection, &caller, &matched.route)
            .await?;
        let arrived = Arrived {
            id: self.id,
            connection: Arc::clone(connection),
            head,
            body,
            at: self.now,
        };
        let onward = self.core.planes().traces().onward(self.span.as_deref());
        let mut request = GatewayRequest::new(arrived, target, matched, caller).traced(onward);
        let routes = self.generation.routes();
        if let Some(rules) = routes.message_rules(&request.matched().route) {
            Box::pin(self.open_message(&mut request, rules)).await?;
        }
        if request.matched().operation().content != ContentNeed::Unread {
            Box::pin(self.content(&mut request)).await?;
        }
        if signals.is_some() {
            request.signals = signals;
            Box::pin(self.screen(&mut request)).await?;
        }
        if request.matched().route.looks_up {
            Box::pin(self.look_up(&mut request)).await?;
        }
        if self.holder == Holder::Proxy {
            request = request.answered_elsewhere();
        }
        request.call = Call::of(self.dialect, &request.headers);
        request.switching = self.handshake.as_ref().map(|_| Switching);
        let durability = request.matched().route.durability;
        let permitted = self.permit(request)?;
        let recorder = self.core.planes().recorder();
        let recorded = recorder.record(permitted, durability).await;
        let recorded = recorded.map_err(|_| Denial::Record)?;
        if let Some(span) = &mut self.span {
            span.decision = Some(Verdict::Allowed);
            span.event = Some(recorded.receipt());
        }
        Ok(recorded)
    }

    /// Whose route it is, for whatever is said of the request from here on.
    fn enter(&mut self, route: &Arc<Route>, headers: &HeaderMap) {
        self.route = Some(Arc::clone(route));
        if let Some(rules) = &route.cors {
            self.cors = rules.answer(headers);
        }
        if let Some(span) = &mut self.span {
            span.route = Some(SpanRoute::Configured(route.id.clone()));
            span.tenant = Some(route.tenant.clone());
        }
    }

    /// Answers a preflight about a route that has rules for other origins. It asks what a page may do and does nothing, so it needs no credential and no
    /// decision. About any other route it is a request like any other, with the method `OPTIONS`.
    fn preflight(&mut self, head: &http::request::Parts) -> Step<Option<Response<GatewayBody>>> {
        let Some(method) = cors::asked_method(&head.method, &head.headers) else {
            return Ok(None);
        };
        let target = target_of(head)?;
        let Ok(matched) = self.generation.routes().find_for(&target, &method) else {
            return Ok(None);
        };
        let Some(rules) = &matched.route.cors else {
            return Ok(None);
        };
        self.enter(&matched.route, &head.headers);
        // A refused one names no origin, not even the one that asked for too much.
        self.cors = CorsAnswer::Ruled(None);
        let granted = rules.preflight(&head.headers).map_err(Denial::Preflight)?;
        self.cors = CorsAnswer::Granted(granted);
        Ok(Some(no_content()))
    }

    /// Whether they may; if not, the record of it.
    fn permit(&self, request: GatewayRequest) -> Step<Permitted<GatewayRequest>> {
        let planes = self.core.planes();
        match decide(&planes.policies(), request) {
            Ok(permitted) => Ok(permitted),
            Err(denied) => {
                let denial = self.told(&denied);
                let recorded = planes
                    .recorder()
                    .record_denied(denied)
                    .map_err(|_| Denial::Record)?;
                Err(Box::new(Ended {
                    denial,
                    recorded: Some(recorded.receipt()),
                }))
            }
        }
    }

    async fn pass_on(
        &mut self,
        recorded: Recorded<Permitted<GatewayRequest>>,
    ) -> Step<Response<GatewayBody>> {
        let mut tail = Box::new(self.tail(&recorded));
        tail.span = self.span.take();
        let route = Arc::clone(&recorded.decision().target().matched().route);
        let known = match route.idempotency {
            None => Ok(keyed::Key::Unkeyed),
            Some(_) => Box::pin(self.known_yet(&recorded)).await,
        };
        let running = match known {
            Ok(keyed::Key::Again(answer)) => return self.replay(&recorded, &answer, tail),
            Ok(keyed::Key::First(running) | keyed::Key::FirstAfterWait(running)) => Some(running),
            Ok(keyed::Key::Unkeyed) => None,
            Err(denial) => return Err(self.failed(*tail, denial)),
        };
        let token = match route.exchange {
            None => Ok(UpstreamToken::AsRouted),
            Some(_) => Box::pin(self.upstream_token(&recorded)).await,
        };
        let token = match token {
            Ok(token) => token,
            Err(error) => {
                if let Some(running) = running {
                    running.end(idempotency::Ended::NotCarriedOut).await;
                }
                return Err(self.failed(*tail, Denial::Exchange(error)));
            }
        };
        let exchanged = match &token {
            UpstreamToken::AsRouted => None,
            UpstreamToken::Exchanged(_) => exchange_key(&recorded),
        };
        let switch = self.switch_of(&recorded);
        let places = std::mem::take(&mut self.places);
        let lesson = Lesson::begin(recorded.decision().target().watch_body());
        let answered = match running {
            None => {
                tail.places = places;
                forward(recorded, &self.generation.upstreams, token)
                    .await
                    .map(|response| response.map(Passed::Streamed))
            }
            Some(running) => {
                let generation = Arc::clone(self.generation);
                let answered;
                (answered, tail.places) =
                    Box::pin(keyed::run(recorded, generation, token, running, places)).await;
                answered.map(|response| response.map(Passed::First))
            }
        };
        if let Some(place) = &tail.places.upstream {
            lesson.tell(place, &answered, self.core.moment(self.now).steady);
        }
        let response = match answered {
            Ok(response) => response,
            Err(error) => return Err(self.failed(*tail, Denial::Pass(error))),
        };
        if let Some(key) = exchanged.filter(|_| response.status() == StatusCode::UNAUTHORIZED) {
            self.generation.exchanges().forget(&key);
        }
        self.pass_back(response, switch, tail)
    }

    /// The upstream's answer, for the caller.
    fn pass_back(
        &self,
        response: Response<Passed>,
        switch: Option<Box<Switch>>,
        mut tail: Box<Tail>,
    ) -> Step<Response<GatewayBody>> {
        let (mut head, body) = response.into_parts();
        tail.status = head.status.as_u16();
        self.hand_out_nonce(&mut head.headers);
        if let Some(Unfit(detail)) = head.extensions.remove() {
            tail.unfit(&detail);
        }
        let body = match body {
            Passed::Streamed(body) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                return self.switch(switch, head, body, tail);
            }
            Passed::First(body) => GatewayBody::first(body, tail),
            Passed::Streamed(body) => GatewayBody::streamed(body, tail),
        };
        Ok(self.asked_again(Response::from_parts(head, body)))
    }

    async fn upstream_token(
        &self,
        recorded: &Recorded<Permitted<GatewayRequest>>,
    ) -> Result<UpstreamToken, exchange::ExchangeError> {
        let request = recorded.decision().target();
        let route = &request.matched().route;
        let Some(spec) = &route.exchange else {
            return Ok(UpstreamToken::AsRouted);
        };
        // An anonymous request has nothing to exchange; its upstream sees no token.
        let (Some(subject), Some(key)) = (request.caller().subject(), exchange_key(recorded))
        else {
            return Ok(UpstreamToken::AsRouted);
        };
        let certificate = self
            .generation
            .upstreams
            .get(route.upstream)
            .and_then(|upstream| upstream.spec().certificate());
        let wanted = ExchangeRequest {
            subject,
            tenant: &route.tenant,
            client: &spec.client,
            audience: &spec.audience,
            scopes: &spec.scopes,
            certificate,
            request: self.id,
        };
        let planes = self.core.planes();
        self.generation
            .exchanges()
            .get(key, self.now, async || planes.exchange(wanted).await)
            .await
            .map(UpstreamToken::Exchanged)
    }

    fn tail(&self, recorded: &Recorded<Permitted<GatewayRequest>>) -> Tail {
        Tail {
            recorder: self.core.planes().recorder().clone(),
            tenant: recorded.decision().target().matched().route.tenant.clone(),
            request: self.id,
            receipt: recorded.receipt(),
            started: self.started,
            status: CLIENT_CLOSED,
            bytes: 0,
            detail: reported(recorded.decision().target()),
            span: None,
            places: Places::default(),
        }
    }

    /// A permitted request that ended without an answer of its upstream still has an outcome.
    fn failed(&self, mut tail: Tail, denial: Denial) -> Box<Ended> {
        if let Denial::Pass(
            PassError::Connect(_)
            | PassError::CutShort(_)
            | PassError::Handshake(_)
            | PassError::Http(_)
            | PassError::Projection(_)
            | PassError::Timeout,
        ) = denial
        {
            tracing::warn!(reason = denial.code(), "an upstream did not answer");
        }
        tail.status = denial.status().as_u16();
        if let Denial::Pass(PassError::Projection(error)) = &denial {
            tail.unfit(&error.detail());
        }
        if let Denial::Key(_) = &denial {
            tail.detail = Some(Text::of(denial.code()));
        }
        if let Some(span) = &mut tail.span {
            span.error = Some(denial.code());
        }
        let recorded = Some(tail.receipt);
        drop(tail);
        Box::new(Ended { denial, recorded })
    }

    /// Records a refusal that is not in the log yet, and answers it.
    fn refuse(&mut self, connection: &Connection, ended: &Ended) -> Response<GatewayBody> {
        if let Some(route) = self.webhook.take() {
            return self.refuse_webhook(connection, &route, ended);
        }
        if ended.recorded.is_none() {
            let planes = self.core.planes();
            let mut decision =
                event::Decision::new(SURFACE, Verdict::Denied, Code::of(ended.denial.code()));
            decision.detail = ended.denial.detail().map(|detail| Text::of(&detail));
            let tenant = match &self.route {
                Some(route) => {
                    decision.route = Some(route.id.clone());
                    decision.resource = Text::of(route.id.as_str());
                    route.tenant.clone()
                }
                None => Tenant::default_tenant(),
            };
            if planes
                .recorder()
                .refused(connection.remote.ip(), &tenant, Some(self.id), decision)
                .is_err()
            {
                // It is refused either way; the log's own failure is reported where it happened.
                tracing::error!("a refusal could not be recorded");
            }
        }
        self.mark_refused(ended);
        let binding = self
            .route
            .as_ref()
            .map_or(Binding::Required, |route| route.rules.binding());
        let mut answer = ended.denial.answer(self.id, binding);
        let spec = self.route.as_ref().map(|route| route.idempotency.as_ref());
        if let (Denial::Key(error), Some(Some(spec))) = (&ended.denial, spec) {
            describe_key(&mut answer, (ended.denial.code(), *error), spec, self.id);
        }
        answer
    }
}

impl<P> Flow<'_, P> {
    fn mark_refused(&mut self, ended: &Ended) {
        if let Some(span) = &mut self.span {
            // A request that was permitted and then failed has handed its span on, with what was decided.
            span.decision = Some(Verdict::Denied);
            span.event = ended.recorded;
            span.error = Some(ended.denial.code());
            span.status = Some(ended.denial.status().as_u16());
        }
    }
}

fn exchange_key(recorded: &Recorded<Permitted<GatewayRequest>>) -> Option<exchange::Key> {
    let request = recorded.decision().target();
    let subject = request.caller().subject()?;
    Some(exchange::Key {
        token: subject.token().cache_key(),
        route: request.matched().route.number,
    })
}

/// The body of an upstream's answer.
enum Passed {
    First(keyed::FirstBody),
    Streamed(PooledBody),
}

/// What of a request did not fit although it goes on.
fn reported(request: &GatewayRequest) -> Option<Text<256>> {
    let fault = request.conforming()?.fault()?;
    Some(Text::of(&fault.detail()))
}
