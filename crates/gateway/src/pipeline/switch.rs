//! A request that becomes another protocol: what is asked of it before it is decided about, and what begins once its upstream answered 101. See
//! [`crate::websocket`]. And what is asked again while it goes on ([`crate::ground`]), of a tunnel as of an answer that streams.

use super::{Flow, Holder, Step, Tail};
use crate::answer::{Denial, GatewayBody};
use crate::canonical::CanonicalTarget;
use crate::cors::CorsAnswer;
use crate::ground::{Ground, Kind, Watch};
use crate::grpc::{self, Dialect};
use crate::planes::Planes;
use crate::request::GatewayRequest;
use crate::routes::Route;
use crate::upstream::{PassError, PooledBody};
use crate::websocket::tunnel::Tunnel;
use crate::websocket::{self, Asked, Handshake, PageOrigin, UpgradeError};
use countersign_net::Connection;
use countersign_policy::Permitted;
use countersign_store::Recorded;
use http::{Response, request, response};
use hyper::upgrade::OnUpgrade;
use std::collections::VecDeque;
use std::sync::Arc;

/// A handshake that was permitted and recorded.
pub(super) struct Switch {
    caller: OnUpgrade,
    connection: Arc<Connection>,
}

impl<P: Planes> Flow<'_, P> {
    /// The handshake in a request, with the connection that it is about.
    pub(super) fn handshake_in(
        &self,
        head: &mut request::Parts,
        target: &CanonicalTarget,
        route: &Route,
    ) -> Step<Option<Box<Handshake>>> {
        let origin = match &self.cors {
            CorsAnswer::Ruled(Some(_)) => PageOrigin::Listed,
            CorsAnswer::Granted(_) | CorsAnswer::Ruled(None) | CorsAnswer::Silent => {
                PageOrigin::Unlisted
            }
        };
        let asked = websocket::handshake(head, target, route, origin);
        match (asked.map_err(Denial::Upgrade)?, self.holder) {
            // Whoever holds the request switches, too.
            (Asked::Nothing, _) | (Asked::WebSocket, Holder::Proxy) => Ok(None),
            (Asked::WebSocket, Holder::Gateway) => {
                let upgrade = head.extensions.remove::<OnUpgrade>();
                let upgrade = upgrade.ok_or(Denial::Upgrade(UpgradeError::Broken))?;
                Ok(Some(Box::new(Handshake(upgrade))))
            }
        }
    }

    /// The two sides of its tunnel, should there be one.
    pub(super) fn switch_of(
        &mut self,
        recorded: &Recorded<Permitted<GatewayRequest>>,
    ) -> Option<Box<Switch>> {
        let Handshake(caller) = *self.handshake.take()?;
        let request = recorded.decision().target();
        Some(Box::new(Switch {
            caller,
            connection: Arc::clone(&request.connection),
        }))
    }

    /// The upstream has switched: the caller is told, and bytes pass from now on.
    pub(super) fn switch(
        &self,
        switch: Option<Box<Switch>>,
        mut head: response::Parts,
        mut answer: PooledBody,
        tail: Box<Tail>,
    ) -> Step<Response<GatewayBody>> {
        let upstream = head.extensions.remove::<OnUpgrade>();
        let hold = switch
            .as_ref()
            .and_then(|switch| switch.connection.framing.hand_over());
        let request = answer.take_request();
        let (Some(switch), Some(upstream), Some(hold), Some(request)) =
            (switch, upstream, hold, request)
        else {
            return Err(self.failed(*tail, Denial::Pass(PassError::Switch)));
        };
        let idle = request.matched().route.idle;
        let ground = Ground::of(
            request,
            Kind::Tunnel,
            self.generation.routes().session_doors(),
        );
        websocket::write_switch(&mut head.headers);
        let tunnel = Tunnel {
            gateway: Arc::clone(self.core.gateway()),
            ground,
            idle: idle.unwrap_or(websocket::IDLE),
            hold,
            caller: switch.caller,
            upstream,
            answer,
            tail,
        };
        tunnel.begin();
        let body = GatewayBody::own(VecDeque::new());
        Ok(Response::from_parts(head, body))
    }

    /// An answer that goes on for longer than its decision is good for is asked about again while it does.
    pub(super) fn asked_again(&self, mut response: Response<GatewayBody>) -> Response<GatewayBody> {
        let Some(request) = response.body_mut().take_request() else {
            return response;
        };
        let dialect = match self.dialect {
            Dialect::Grpc if grpc::is_grpc(response.headers()) => Dialect::Grpc,
            Dialect::Grpc | Dialect::Http => Dialect::Http,
        };
        let doors = self.generation.routes().session_doors();
        let ground = Ground::of(request, Kind::Answer, doors);
        let watch = Watch::new(self.core.gateway(), ground);
        response.body_mut().watch(watch, dialect);
        response
    }
}
