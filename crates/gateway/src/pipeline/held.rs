//! A request that another proxy holds: every step but the last, and an answer of our own in place of the upstream's. See [`crate::forward_auth`].

use super::{Flow, Holder};
use crate::answer::{Denial, GatewayBody};
use crate::forward_auth::{self, Described};
use crate::planes::{Planes, Seen};
use bytes::Bytes;
use countersign_net::Connection;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;

impl<P: Planes> Flow<'_, P> {
    /// Answers a proxy that holds a request and asks about it.
    pub(super) async fn judge(
        &mut self,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
    ) -> (Response<GatewayBody>, Seen) {
        self.holder = Holder::Proxy;
        let (head, body) = request.into_parts();
        let routes = self.generation.routes();
        let (answers, described) = routes.forward_auth().described(connection, head);
        let (connection, outcome) = match described {
            Ok(Described { connection, head }) => {
                let outcome = self.permitted(&connection, head, Some(body)).await;
                (connection, outcome)
            }
            Err(error) => (Arc::clone(connection), Err(Denial::Forwarded(error).into())),
        };
        match outcome {
            Ok(recorded) => {
                // The outcome is that of the question: what the proxy then does, nobody here sees.
                let mut tail = self.tail(&recorded);
                tail.status = StatusCode::OK.as_u16();
                tail.span = self.span.take();
                drop(tail);
                let mut response = Response::new(GatewayBody::whole(Bytes::new()));
                *response.headers_mut() = forward_auth::identity(&recorded);
                (response, Seen::Permitted)
            }
            Err(ended) => {
                let mut response = self.refuse(&connection, &ended);
                *response.status_mut() = answers.status(response.status());
                (response, ended.denial.seen())
            }
        }
    }
}
