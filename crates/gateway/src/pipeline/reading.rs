//! The one reading of a request, and what becomes of bytes that have none.

use super::SURFACE;
use crate::answer::Denial;
use crate::canonical::{CanonicalTarget, TargetError};
use crate::headers::unambiguous;
use crate::planes::{Planes, Seen};
use crate::service::Core;
use countersign_audit::Code;
use countersign_audit::event::{self, Verdict};
use countersign_base::Tenant;
use countersign_net::FramingFault;
use http::{StatusCode, Version, header};
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

/// The one reading of a request's target, or a refusal of what two readers could read differently.
pub(super) fn target_of(head: &http::request::Parts) -> Result<CanonicalTarget, Denial> {
    // HTTP/1.1 names the host in a field, whatever else the target says (RFC 9112 §3.2); HTTP/2 does so in `:authority`.
    if head.version < Version::HTTP_2 && !head.headers.contains_key(header::HOST) {
        return Err(Denial::Target(TargetError::Authority));
    }
    unambiguous(&head.headers).map_err(Denial::Fields)?;
    CanonicalTarget::of(&head.method, &head.uri, &head.headers).map_err(Denial::Target)
}
