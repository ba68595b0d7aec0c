//! A request that becomes another protocol: what is asked of it before it is decided about, and what begins once its upstream answered 101. See
//! [`crate::websocket`].

use super::{Flow, Holder, Step, Tail};
use crate::answer::{Denial, GatewayBody};
use crate::canonical::CanonicalTarget;
use crate::cors::CorsAnswer;
use crate::planes::Planes;
use crate::request::GatewayRequest;
use crate::routes::Route;
use crate::upstream::{PassError, PooledBody};
use crate::websocket::tunnel::{Ground, Tunnel};
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
    ground: Ground,
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

    /// What its tunnel would stand on.
    pub(super) fn switch_of(
        &mut self,
        recorded: &Recorded<Permitted<GatewayRequest>>,
    ) -> Option<Box<Switch>> {
        let Handshake(caller) = *self.handshake.take()?;
        let request = recorded.decision().target();
        Some(Box::new(Switch {
            caller,
            connection: Arc::clone(&request.connection),
            ground: Ground::of(request),
        }))
    }

    /// The upstream has switched: the caller is told, and bytes pass from now on.
    pub(super) fn switch(
        &self,
        switch: Option<Box<Switch>>,
        mut head: response::Parts,
        answer: PooledBody,
        tail: Box<Tail>,
    ) -> Step<Response<GatewayBody>> {
        let upstream = head.extensions.remove::<OnUpgrade>();
        let hold = switch
            .as_ref()
            .and_then(|switch| switch.connection.framing.hand_over());
        let (Some(switch), Some(upstream), Some(hold)) = (switch, upstream, hold) else {
            return Err(self.failed(*tail, Denial::Pass(PassError::Switch)));
        };
        let Switch { caller, ground, .. } = *switch;
        websocket::write_switch(&mut head.headers);
        let tunnel = Tunnel {
            gateway: Arc::clone(self.core.gateway()),
            ground,
            hold,
            caller,
            upstream,
            answer,
            tail,
        };
        tunnel.begin();
        let body = GatewayBody::own(VecDeque::new());
        Ok(Response::from_parts(head, body))
    }
}
