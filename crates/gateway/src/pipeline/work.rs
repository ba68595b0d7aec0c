//! Proofs of work in the way of a request: what its cookie vouches for, the answer to a challenge, and the challenge where policy asks for one.

use super::{Flow, Holder, Step, target_of};
use crate::answer::{Denial, GatewayBody, no_content};
use crate::planes::Planes;
use crate::request::GatewayRequest;
use crate::routes::Route;
use crate::sessions::is_navigation;
use crate::threats::ThreatRefusal;
use crate::threats::work::{Booth, Form, PROOF_OF_WORK, Posed, WorkSet};
use countersign_crypto::mac::MacKey;
use countersign_net::Connection;
use countersign_policy::obligation::WorkBits;
use countersign_policy::{DenialReason, Denied};
use http::request::Parts;
use http::{HeaderValue, Response, header};

impl<P: Planes> Flow<'_, P> {
    /// Where challenges of a route are posed; nowhere unless it says so, and not through a proxy, which keeps the cookies to itself.
    fn booth<'r>(&self, route: &'r Route) -> Option<(MacKey, &'r WorkSet)> {
        let set = route.threats.as_ref()?.work.as_ref()?;
        if self.holder != Holder::Gateway {
            return None;
        }
        Some((self.core.planes().work_key(&route.tenant)?, set))
    }

    /// How much work the cookie of a request vouches for.
    pub(super) fn work_shown(
        &self,
        connection: &Connection,
        head: &Parts,
        route: &Route,
    ) -> Option<WorkBits> {
        let (key, set) = self.booth(route)?;
        let booth = Booth::new(&key, set, connection.remote.ip());
        booth.shown(&head.headers, self.now)
    }

    /// Takes the answer to a challenge, where a route poses them: it is the whole of its request, which goes to no upstream.
    pub(super) fn worked(
        &mut self,
        connection: &Connection,
        head: &Parts,
    ) -> Step<Option<Response<GatewayBody>>> {
        let routes = self.generation.routes();
        if !routes.pose_work() || !head.headers.contains_key(&PROOF_OF_WORK) {
            return Ok(None);
        }
        let target = target_of(head)?;
        let Ok(matched) = routes.find(&target) else {
            return Ok(None);
        };
        let Some((key, set)) = self.booth(&matched.route) else {
            return Ok(None);
        };
        self.enter(&matched.route, &head.headers);
        let booth = Booth::new(&key, set, connection.remote.ip());
        let answered = booth.answered(&head.headers, self.now);
        let bits = answered.map_err(|refusal| Denial::Threat(ThreatRefusal::Work(refusal)))?;
        let mut answer = no_content();
        if let Ok(cookie) = HeaderValue::from_str(&booth.cookie(bits, self.now)) {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(Some(answer))
    }

    /// What a denial by policy is to the caller.
    pub(super) fn told(&self, denied: &Denied<GatewayRequest>) -> Denial {
        let challenge = if let DenialReason::ProofOfWorkRequired(bits) = denied.reason() {
            self.posed(denied.target(), *bits)
        } else {
            None
        };
        challenge.map_or_else(
            || Denial::by_policy(denied.reason()),
            |posed| Denial::Challenge(Box::new(posed)),
        )
    }

    fn posed(&self, request: &GatewayRequest, bits: WorkBits) -> Option<Posed> {
        let (key, set) = self.booth(&request.matched().route)?;
        let booth = Booth::new(&key, set, request.connection.remote.ip());
        let form = if is_navigation(request.target().method(), &request.headers) {
            Form::Page
        } else {
            Form::Document
        };
        Some(Posed {
            challenge: booth.pose(bits, self.core.planes().random(), self.now),
            bits,
            form,
        })
    }
}
