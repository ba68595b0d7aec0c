//! Reads a request's body before it is decided about, where its operation needs it. After credential and limits: a stranger's bytes are not worth the memory. The bytes stay
//! in the request, so that keys, retries and the upstream get those that were looked at.

use super::{Flow, Holder, Step};
use crate::answer::Denial;
use crate::content::{self, Content, ContentError, ContentNeed};
use crate::forward_auth::ForwardError;
use crate::planes::Planes;
use crate::request::{GatewayRequest, Read};

impl<P: Planes> Flow<'_, P> {
    /// Reads what the operation needs, and has it judged by whoever asked for it.
    pub(super) async fn content(&self, request: &mut GatewayRequest) -> Step<()> {
        let need = request.matched().operation().content;
        if self.holder == Holder::Proxy {
            // A safe method has no body that means anything (RFC 9110 §9.3.1); of any other nobody here knows what the proxy will send on.
            let unseen = need == ContentNeed::Absent && request.target().method().is_safe();
            let refused = || Denial::Forwarded(ForwardError::Body).into();
            return unseen.then_some(()).ok_or_else(refused);
        }
        let bytes = request
            .read_body()
            .await
            .map_err(|error| Denial::Content(error.into()))?;
        let content = match need {
            ContentNeed::Unread => return Ok(()),
            ContentNeed::Absent if bytes.is_empty() => return Ok(()),
            ContentNeed::Absent => return Err(Denial::Content(ContentError::Unexpected).into()),
            ContentNeed::Whole => Content::of(bytes, &request.headers),
        };
        let content = content.map_err(Denial::Content)?;
        let attributes = content::attributes(&request.matched().route.resource, &content);
        let attributes = attributes.map_err(Denial::Content)?;
        request.read = Some(Box::new(Read {
            content,
            attributes,
        }));
        Ok(())
    }
}
