//! Bytes that are no request: the record of a connection that could not be framed.

use super::SURFACE;
use crate::planes::{Planes, Seen};
use crate::service::Core;
use countersign_audit::Code;
use countersign_audit::event::{self, Verdict};
use countersign_base::Tenant;
use countersign_net::FramingFault;
use http::StatusCode;
use std::net::IpAddr;
use std::time::Duration;

/// Records that a connection's bytes could not be framed. Its peer is answered by the HTTP layer, or not at all.
pub(crate) fn unframed<P: Planes>(core: &Core<P>, from: IpAddr, fault: FramingFault) {
    let planes = core.planes();
    let decision = event::Decision::new(SURFACE, Verdict::Denied, Code::of(fault.code()));
    let (tenant, id) = (Tenant::default_tenant(), core.next_request_id());
    if planes
        .recorder()
        .refused(from, &tenant, Some(id), decision)
        .is_err()
    {
        tracing::error!("a refusal could not be recorded");
    }
    planes.observe(Seen::Refused, StatusCode::BAD_REQUEST, Duration::ZERO);
}
