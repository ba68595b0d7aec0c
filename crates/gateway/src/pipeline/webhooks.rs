//! A webhook: it proves itself by its signature, not by a token, and goes to whoever takes webhooks in, not to an upstream. What costs least is asked first, and nothing
//! of its body is read before everything else was in order. See [`crate::webhooks`].

use super::{Ended, Flow, Step};
use crate::answer::{Denial, GatewayBody, short};
use crate::canonical::CanonicalTarget;
use crate::limiter::Caller as Counted;
use crate::planes::Planes;
use crate::upstream::{PassError, RequestBody};
use crate::webhooks::{
    BODY_TIME_MAX, DeniedKind, WebhookAnswer, WebhookDenied, WebhookHead, WebhookRoute,
};
use bytes::Bytes;
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Text};
use countersign_control::traces::SpanRoute;
use countersign_net::{Connection, InboundBody};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use std::sync::Arc;

/// A body of another type than the route takes, or of a content coding.
const MEDIA_TYPE: WebhookDenied = WebhookDenied::new("media_type", DeniedKind::MediaType);
/// A body that is larger than the route takes.
const TOO_LARGE: WebhookDenied = WebhookDenied::new("too_large", DeniedKind::TooLarge);
/// Nobody takes webhooks in.
const NO_RECEIVER: WebhookDenied = WebhookDenied::new("no_receiver", DeniedKind::Unavailable);

impl<P: Planes> Flow<'_, P> {
    /// Takes in a webhook, or says why not.
    pub(super) async fn take_in(
        &mut self,
        connection: &Arc<Connection>,
        head: &Parts,
        target: &CanonicalTarget,
        route: Arc<WebhookRoute>,
        body: Option<Incoming>,
    ) -> Step<Response<GatewayBody>> {
        self.webhook = Some(Arc::clone(&route));
        if let Some(span) = &mut self.span {
            span.route = Some(SpanRoute::Configured(route.id.clone()));
            span.tenant = Some(route.tenant.clone());
        }
        if !route.takes(&head.headers) {
            return Err(Denial::Webhook(MEDIA_TYPE).into());
        }
        let body = body.map_or_else(InboundBody::empty, |body| {
            let idle = route.idle.unwrap_or_else(|| self.core.body_idle_timeout());
            InboundBody::new(body, route.body_bytes_max, idle)
        });
        if body.announced_too_large() {
            return Err(Denial::Webhook(TOO_LARGE).into());
        }
        if let Some(threats) = &route.threats {
            threats
                .look(connection, &head.headers)
                .map_err(Denial::Threat)?;
        }
        self.webhook_within_limits(connection, &route).await?;
        let place = route.enter(connection.remote.ip());
        let _under_way = place.ok_or(Denial::Overloaded)?;
        let receiver = self.generation.routes().receiver();
        let receiver = receiver.ok_or(Denial::Webhook(NO_RECEIVER))?;
        let authority = target.authority();
        let path_and_query = head.uri.path_and_query();
        let path_and_query = path_and_query.map_or("/", PathAndQuery::as_str);
        let looked = receiver.look(WebhookHead {
            request: self.id,
            route: &route.id,
            tenant: &route.tenant,
            source: &route.source,
            method: target.method(),
            authority: &authority,
            path_and_query,
            headers: &head.headers,
            from: connection.remote.ip(),
            at: self.now,
        });
        let looked = looked.await.map_err(Denial::Webhook)?;
        let bytes = read(body).await?;
        let received = looked.receive(bytes).await.map_err(Denial::Webhook)?;
        Ok(self.received(received))
    }

    async fn webhook_within_limits(
        &mut self,
        connection: &Connection,
        route: &WebhookRoute,
    ) -> Step<()> {
        let Some(limits) = &route.limits else {
            return Ok(());
        };
        let counted = Counted {
            route: route.id.as_str(),
            tenant: route.tenant.as_str(),
            known: None,
            certificate: None,
            address: connection.remote.ip(),
        };
        let delay = self.charge(limits, &counted).await?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    fn received(&mut self, answer: WebhookAnswer) -> Response<GatewayBody> {
        let (status, media_type, body, recorded) = match answer {
            WebhookAnswer::Challenge { text, recorded } => {
                let text_plain = HeaderValue::from_static("text/plain; charset=utf-8");
                (StatusCode::OK, text_plain, text, recorded)
            }
            WebhookAnswer::Kept(received) => {
                let json = HeaderValue::from_static("application/json");
                let body = format!("{{\"request_id\":\"{}\"}}\n", self.id);
                (received.kind.status(), json, body, received.recorded)
            }
        };
        if let Some(span) = &mut self.span {
            span.decision = Some(Verdict::Allowed);
            span.event = Some(recorded);
            span.status = Some(status.as_u16());
        }
        let mut response = short(status, Bytes::from(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media_type);
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        response
    }

    /// Records a refused webhook unless it is in the log, and answers it.
    pub(super) fn refuse_webhook(
        &mut self,
        connection: &Connection,
        route: &WebhookRoute,
        ended: &Ended,
    ) -> Response<GatewayBody> {
        if ended.denial_recorded().is_none() {
            let refused = event::WebhookRefused {
                detail: ended.denial.detail().map(|detail| Text::of(&detail)),
                reason: Code::of(ended.denial.code()),
                route: route.id.clone(),
                source: Text::of(route.source.as_str()),
            };
            let recorder = self.core.planes().recorder();
            let (from, id) = (connection.remote.ip(), Some(self.id));
            if recorder.refused(from, &route.tenant, id, refused).is_err() {
                // It is refused either way; the log's own failure is reported where it happened.
                tracing::error!("a refusal could not be recorded");
            }
        }
        self.mark_refused(ended);
        ended.denial.problem(self.id)
    }
}

impl Ended {
    /// The record of what ended a request, where there is one.
    fn denial_recorded(&self) -> Option<countersign_base::EventId> {
        match &self.denial {
            Denial::Webhook(denied) => denied.recorded,
            _ => self.recorded,
        }
    }
}

/// All of a body, within the time that a provider may take.
async fn read(body: InboundBody) -> Step<Bytes> {
    let whole = tokio::time::timeout(BODY_TIME_MAX, RequestBody::arriving(body).whole()).await;
    match whole {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(PassError::BodyTooLarge)) => Err(Denial::Webhook(TOO_LARGE).into()),
        Ok(Err(error)) => Err(Denial::Content(error.into()).into()),
        Err(_elapsed) => Err(Denial::Content(PassError::Body.into()).into()),
    }
}
