//! An answer that was given before, to whoever asks again under its key.

use super::tail::Tail;
use super::{Flow, Step};
use crate::answer::{Denial, GatewayBody, write_nonce};
use crate::idempotency::{self, Answer};
use crate::planes::Planes;
use crate::projection::oblige;
use crate::request::GatewayRequest;
use crate::upstream::PassError;
use countersign_authn::NoncePolicy;
use countersign_policy::Permitted;
use countersign_store::Recorded;
use http::{HeaderMap, HeaderValue, Response};

impl<P: Planes> Flow<'_, P> {
    /// The answer that was given before.
    pub(super) fn replay(
        &self,
        recorded: &Recorded<Permitted<GatewayRequest>>,
        answer: &Answer,
        mut tail: Box<Tail>,
    ) -> Step<Response<GatewayBody>> {
        tail.status = answer.status.as_u16();
        let mut kept = Response::new(());
        *kept.status_mut() = answer.status;
        *kept.headers_mut() = answer.headers.clone();
        let (mut head, ()) = kept.into_parts();
        // What policies ask for now may be more than what they asked for then.
        let body = match recorded.decision().obligations() {
            None => answer.body.clone(),
            Some(obligations) => match oblige(&mut head, &answer.body, obligations) {
                Ok(body) => body,
                Err(error) => {
                    let denial = Denial::Pass(PassError::Projection(error));
                    return Err(self.failed(*tail, denial));
                }
            },
        };
        let mut response = Response::from_parts(head, GatewayBody::kept(body, tail));
        let headers = response.headers_mut();
        headers.insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
        self.hand_out_nonce(headers);
        Ok(response)
    }

    /// The nonce that the next proof must carry.
    pub(super) fn hand_out_nonce(&self, headers: &mut HeaderMap) {
        if let NoncePolicy::Required(nonces) = self.core.planes().nonces().policy(self.now) {
            write_nonce(headers, nonces.current(self.now).as_str());
        }
    }
}
