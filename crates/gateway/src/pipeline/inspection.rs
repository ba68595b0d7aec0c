//! Where a request comes from and what it looks like, for routes that ask: addresses before anybody looks at its credential, the firewall behind credential and
//! limits, so that a stranger's request does not cost its time.

use super::content::announces_body;
use super::{Flow, Holder, Step};
use crate::answer::Denial;
use crate::planes::Planes;
use crate::request::GatewayRequest;
use crate::routes::Route;
use crate::threats::waf::{SeenBody, WafRequest};
use crate::threats::{Signals, ThreatRefusal};
use bytes::Bytes;
use countersign_net::Connection;
use std::sync::Arc;

impl<P: Planes> Flow<'_, P> {
    /// Address, geography and what is known of the caller's software: a refusal, or attributes for policy.
    pub(super) fn signals(
        &self,
        connection: &Connection,
        head: &http::request::Parts,
        route: &Route,
    ) -> Step<Option<Box<Signals>>> {
        let Some(threats) = &route.threats else {
            return Ok(None);
        };
        let signals = threats.look(connection, &head.headers);
        let mut signals = Box::new(signals.map_err(Denial::Threat)?);
        signals.worked(self.work_shown(connection, head, route));
        Ok(Some(signals))
    }

    /// Has the route's firewall look at the request, with its body.
    pub(super) async fn screen(&self, request: &mut GatewayRequest) -> Step<()> {
        let route = Arc::clone(&request.matched().route);
        let threats = route.threats.as_ref();
        let Some(screen) = threats.and_then(|threats| threats.waf.as_ref()) else {
            return Ok(());
        };
        let bytes = match self.holder {
            Holder::Gateway => request
                .read_body()
                .await
                .map_err(|error| Denial::Content(error.into()))?,
            Holder::Proxy => Bytes::new(),
        };
        let body = match self.holder {
            // A safe method has no body that means anything (RFC 9110 §9.3.1), unless its fields announce one.
            Holder::Proxy
                if !request.target().method().is_safe() || announces_body(&request.headers) =>
            {
                SeenBody::Elsewhere
            }
            Holder::Gateway | Holder::Proxy => SeenBody::Whole(&bytes),
        };
        let seen = WafRequest {
            target: request.target(),
            version: request.version,
            headers: &request.headers,
            remote: request.connection.remote.ip(),
        };
        match screen.inspect(&seen, body) {
            Ok(screened) => {
                let signals = request.signals.get_or_insert_default();
                signals.screened(screen.waf().name(), screened);
                Ok(())
            }
            Err(refusal) => {
                let waf = screen.waf().name().to_owned();
                Err(Denial::Threat(ThreatRefusal::Waf { waf, refusal }).into())
            }
        }
    }
}
