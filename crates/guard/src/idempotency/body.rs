//! Bodies: a request's read whole, an answer's read as far as it may be kept, and what goes out of one that is not.

use super::refusal::KeyRefusal;
use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// All of a request's body, up to `bytes_max`.
pub(super) async fn read_whole<B: Body>(body: B, bytes_max: usize) -> Result<Bytes, KeyRefusal> {
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| KeyRefusal::BodyBroken)?;
        let data = frame.into_data().map_err(|_| KeyRefusal::Trailers)?;
        if whole.len().saturating_add(data.remaining()) > bytes_max {
            return Err(KeyRefusal::BodyTooLarge);
        }
        whole.extend_from_slice(&to_bytes(data));
    }
    Ok(whole.freeze())
}

fn to_bytes<D: Buf>(mut data: D) -> Bytes {
    let length = data.remaining();
    data.copy_to_bytes(length)
}

/// What was read of an answer's body.
pub(super) enum Read<R: Body> {
    /// It broke off.
    Broken(AnswerBody<R>),
    /// More than may be kept.
    TooLarge(AnswerBody<R>),
    /// All of it.
    Whole(Bytes),
}

/// Reads an answer's body up to `bytes_max`. Trailers belong to an answer, and what is kept has none: one with trailers counts as too large.
pub(super) async fn read_answer<R: Body>(body: R, bytes_max: usize) -> Read<R> {
    let mut body = Box::pin(body);
    let (mut early, mut bytes) = (VecDeque::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame.map_data(to_bytes),
            Err(error) => {
                let error = Some(error);
                return Read::Broken(AnswerBody(Inner::Broken { early, error }));
            }
        };
        let length = frame.data_ref().map(Bytes::len);
        early.push_back(frame);
        bytes = bytes.saturating_add(length.unwrap_or(0));
        if length.is_none() || bytes > bytes_max {
            let rest = body;
            return Read::TooLarge(AnswerBody(Inner::Passing { early, rest }));
        }
    }
    let mut whole = BytesMut::with_capacity(bytes);
    for data in early.into_iter().filter_map(|frame| frame.into_data().ok()) {
        whole.extend_from_slice(&data);
    }
    Read::Whole(whole.freeze())
}

/// The body of an answer behind the layer: one that is kept or refuses, or the handler's own as it comes.
pub struct AnswerBody<R: Body>(Inner<R>);

enum Inner<R: Body> {
    Broken {
        early: VecDeque<Frame<Bytes>>,
        error: Option<R::Error>,
    },
    Passing {
        early: VecDeque<Frame<Bytes>>,
        rest: Pin<Box<R>>,
    },
    Whole(Bytes),
}

impl<R: Body> AnswerBody<R> {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self(Inner::Whole(bytes))
    }

    pub(super) fn passing(body: R) -> Self {
        Self(Inner::Passing {
            early: VecDeque::new(),
            rest: Box::pin(body),
        })
    }
}

impl<R: Body> From<Bytes> for AnswerBody<R> {
    fn from(bytes: Bytes) -> Self {
        Self::whole(bytes)
    }
}

// Nothing in it is pinned but what stands in a box.
impl<R: Body> Unpin for AnswerBody<R> {}

impl<R: Body> Body for AnswerBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match &mut self.0 {
            Inner::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Broken { early, error } => Poll::Ready(match early.pop_front() {
                Some(frame) => Some(Ok(frame)),
                None => error.take().map(Err),
            }),
            Inner::Passing { early, rest } => match early.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => rest
                    .as_mut()
                    .poll_frame(cx)
                    .map(|next| next.map(|frame| frame.map(|frame| frame.map_data(to_bytes)))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(bytes) => bytes.is_empty(),
            Inner::Broken { early, error } => early.is_empty() && error.is_none(),
            Inner::Passing { early, rest } => early.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Inner::Passing { early, rest } if early.is_empty() => rest.size_hint(),
            Inner::Broken { .. } | Inner::Passing { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests;
