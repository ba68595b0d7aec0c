//! Reads a request's body before it is decided about, where its operation needs it, and holds the request against the route's document. After credential and limits: a
//! stranger's bytes are not worth the memory. The bytes stay in the request, so that keys, retries and the upstream get those that were looked at.

use super::{Flow, Holder, Step};
use crate::answer::Denial;
use crate::content::{self, Content, ContentNeed};
use crate::forward_auth::ForwardError;
use crate::planes::Planes;
use crate::request::{GatewayRequest, Read};
use bytes::Bytes;
use http::{HeaderMap, header};

impl<P: Planes> Flow<'_, P> {
    /// Reads what the operation needs, and has it judged by whoever asked for it.
    pub(super) async fn content(&self, request: &mut GatewayRequest) -> Step<()> {
        let bytes = match self.holder {
            Holder::Gateway => {
                let read = request.read_body().await;
                read.map_err(|error| Denial::Content(error.into()))?
            }
            Holder::Proxy => unseen(request)?,
        };
        let content = Content::of(bytes, &request.headers);
        let (matched, target) = (request.matched(), request.target());
        let conforming = match &matched.operation().contract {
            None => None,
            Some(contract) => {
                let judged = contract.judge(target, matched, &request.headers, content.as_ref());
                Some(judged.map_err(|fault| Denial::Schema(Box::new(fault)))?)
            }
        };
        let resource = &matched.route.resource;
        let content = match content {
            Ok(content) => Some(content),
            // What does not fit goes on in report mode, unless somebody else has to see it.
            Err(_) if conforming.is_some() && resource.content() == ContentNeed::Unread => None,
            Err(error) => return Err(Denial::Content(error).into()),
        };
        let attributes = match &content {
            Some(content) => content::attributes(resource, content).map_err(Denial::Content)?,
            None => Vec::new(),
        };
        request.read = Some(Box::new(Read {
            content,
            attributes,
            conforming,
        }));
        Ok(())
    }
}

/// Whether the fields say that there is a body, whatever its method means by one: some servers read it.
pub(super) fn announces_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.contains_key(header::CONTENT_TYPE)
        || headers
            .get_all(header::CONTENT_LENGTH)
            .iter()
            .any(|length| length != "0")
}

/// What can be said of a body that a proxy keeps. A safe method has none that means anything (RFC 9110 §9.3.1); of any other nobody here knows what the proxy will send on.
fn unseen(request: &GatewayRequest) -> Result<Bytes, Denial> {
    match request.matched().operation().content {
        ContentNeed::Unread => Ok(Bytes::new()),
        ContentNeed::Absent
            if request.target().method().is_safe() && !announces_body(&request.headers) =>
        {
            Ok(Bytes::new())
        }
        ContentNeed::Absent | ContentNeed::Whole => Err(Denial::Forwarded(ForwardError::Body)),
    }
}
