//! A request that Envoy holds: every step but the last, and what Envoy has to do in place of the upstream's answer. See [`crate::ext_authz`].

use super::{Ended, Flow, Holder, Step};
use crate::answer::{Denial, GatewayBody};
use crate::ext_authz::{self, CheckRequest, CheckResponse, QUESTION_BYTES_MAX};
use crate::forward;
use crate::forward_auth::{Described, ForwardError};
use crate::grpc::Dialect;
use crate::planes::{Planes, Seen};
use countersign_net::{Connection, InboundBody};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

/// What a question is told in its own language.
type Told = Result<tonic::Response<CheckResponse>, tonic::Status>;

impl<P: Planes> Flow<'_, P> {
    /// Answers Envoy, which holds a request and asks about it.
    pub(super) async fn check(
        &mut self,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
    ) -> (Response<GatewayBody>, Seen) {
        self.holder = Holder::Proxy;
        if let Err(error) = self.is_question(connection, &request) {
            let denial = Denial::Forwarded(error);
            let dialect = Dialect::of(&request);
            let refused = self.refuse(connection, &Box::<Ended>::from(denial));
            return (dialect.refusal(refused), Seen::Refused);
        }
        self.holder = Holder::Proxy;
        self.dialect = Dialect::Http;
        let bytes_max = u64::try_from(QUESTION_BYTES_MAX).unwrap_or(u64::MAX);
        let idle = self.core.body_idle_timeout();
        let request = request.map(|body| InboundBody::new(body, bytes_max, idle));
        let mut seen = Seen::Refused;
        let asking = Asking {
            flow: Some(self),
            connection,
            seen: Some(&mut seen),
        };
        let codec: ProstCodec<CheckResponse, CheckRequest> = ProstCodec::default();
        let mut service = Grpc::new(codec).max_decoding_message_size(QUESTION_BYTES_MAX);
        let (head, body) = service.unary(asking, request).await.into_parts();
        let body = match body.collect().await {
            Ok(collected) => {
                let trailers = collected.trailers().cloned().map(Frame::trailers);
                let data = Frame::data(collected.to_bytes());
                GatewayBody::own([data].into_iter().chain(trailers).collect())
            }
            // It stands in memory and has no way to fail.
            Err(_status) => GatewayBody::own(VecDeque::new()),
        };
        (Response::from_parts(head, body), seen)
    }

    /// Whether a proxy of ours asks, and asks as gRPC does.
    fn is_question(
        &self,
        connection: &Connection,
        request: &Request<Incoming>,
    ) -> Result<(), ForwardError> {
        let proxies = self.generation.routes().forward_auth();
        if !proxies.knows(connection, request.headers()) {
            return Err(ForwardError::Untrusted);
        }
        match Dialect::of(request) {
            Dialect::Grpc => Ok(()),
            Dialect::Http => Err(ForwardError::Description),
        }
    }

    async fn judged(
        &mut self,
        connection: &Arc<Connection>,
        question: CheckRequest,
    ) -> (CheckResponse, Seen) {
        let (connection, outcome) = match ext_authz::described(connection, question) {
            Ok(Described { connection, head }) => {
                let outcome = self.edits(&connection, head).await;
                (connection, outcome)
            }
            Err(error) => (Arc::clone(connection), Err(Denial::Forwarded(error).into())),
        };
        match outcome {
            Ok(edits) => {
                let mut told = HeaderMap::new();
                self.tell(&mut told);
                self.hand_out_nonce(&mut told);
                (ext_authz::permitted(&edits, &told), Seen::Permitted)
            }
            Err(ended) => {
                let (mut head, body) = self.refuse(&connection, &ended).into_parts();
                self.tell(&mut head.headers);
                let answer = ext_authz::refused(head.status, &head.headers, &body.text());
                (answer, ended.denial.seen())
            }
        }
    }

    async fn edits(
        &mut self,
        connection: &Arc<Connection>,
        head: http::request::Parts,
    ) -> Step<forward::Edits> {
        let recorded = self.permitted(connection, head, None).await?;
        // The outcome is that of the question: what Envoy then does, nobody here sees.
        let mut tail = self.tail(&recorded);
        tail.status = StatusCode::OK.as_u16();
        tail.span = self.span.take();
        drop(tail);
        Ok(forward::edits(&recorded))
    }

    /// What the route tells every caller of it. It belongs to the caller's answer, not to Envoy's.
    fn tell(&mut self, headers: &mut HeaderMap) {
        if let Some(fields) = self.limit.take() {
            fields.write(headers);
        }
        std::mem::take(&mut self.cors).write(headers);
    }
}

/// The one question of a call.
struct Asking<'a, 'f, P> {
    /// Gone once it was asked.
    flow: Option<&'a mut Flow<'f, P>>,
    connection: &'a Arc<Connection>,
    seen: Option<&'a mut Seen>,
}

impl<'a, P: Planes> UnaryService<CheckRequest> for Asking<'a, '_, P> {
    type Response = CheckResponse;
    type Future = Pin<Box<dyn Future<Output = Told> + Send + 'a>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let (flow, seen, connection) = (self.flow.take(), self.seen.take(), self.connection);
        Box::pin(async move {
            let (Some(flow), Some(seen)) = (flow, seen) else {
                return Err(tonic::Status::internal(""));
            };
            let (answer, became) = flow.judged(connection, request.into_inner()).await;
            *seen = became;
            Ok(tonic::Response::new(answer))
        })
    }
}
