//! The body of an answer on its way to the caller: whose it is, what is counted of it, and what ends it before its end.

use crate::ground::{Lost, Watch};
use crate::grpc::{self, Dialect};
use crate::keyed::FirstBody;
use crate::pipeline::Tail;
use crate::request::GatewayRequest;
use crate::upstream::{AnswerError, PooledBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The body of an answer. Its end, read to its end or given up, is the end of the request.
pub struct GatewayBody {
    content: Content,
    tail: Option<Box<Tail>>,
    /// Absent where it is decided about once.
    watched: Option<Box<Watched>>,
}

/// An answer that is asked about again while it streams, and how its caller is told of the end.
struct Watched {
    watch: Watch,
    dialect: Dialect,
}

/// Why the body of an answer ended early.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// Its upstream's did.
    #[error(transparent)]
    Upstream(#[from] AnswerError),
    /// What permitted it does so no longer. Over HTTP/2 the stream is reset with this; HTTP/1.1 sends no last chunk.
    #[error("not permitted any more")]
    Withdrawn(#[source] h2::Error),
}

enum Content {
    /// An answer of the gateway's own that ends with trailers.
    Own(VecDeque<Frame<Bytes>>),
    /// What was read of it, then the rest.
    Passing(VecDeque<Frame<Bytes>>, PooledBody),
    Streamed(PooledBody),
    Whole(Option<Bytes>),
}

impl GatewayBody {
    /// An answer of the gateway's own.
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self {
            content: Content::Whole(Some(bytes)),
            tail: None,
            watched: None,
        }
    }

    /// An answer without a body.
    pub(super) const fn empty() -> Self {
        Self {
            content: Content::Whole(None),
            tail: None,
            watched: None,
        }
    }

    /// An answer of the gateway's own in pieces.
    pub(crate) const fn own(frames: VecDeque<Frame<Bytes>>) -> Self {
        Self {
            content: Content::Own(frames),
            tail: None,
            watched: None,
        }
    }

    /// What it says, if all of it is in memory.
    pub(crate) fn text(&self) -> Bytes {
        match &self.content {
            Content::Whole(bytes) => bytes.clone().unwrap_or_default(),
            Content::Own(_) | Content::Passing(..) | Content::Streamed(_) => Bytes::new(),
        }
    }

    /// An answer that is in memory, with the record of its outcome to be written at its end.
    pub(crate) fn kept(bytes: Bytes, tail: Box<Tail>) -> Self {
        Self {
            content: Content::Whole(Some(bytes)),
            tail: Some(tail),
            watched: None,
        }
    }

    /// The first answer to a key, with the record of its outcome to be written at its end.
    pub(crate) fn first(body: FirstBody, tail: Box<Tail>) -> Self {
        let content = match body {
            FirstBody::Passing(frames, rest) => Content::Passing(frames, *rest),
            FirstBody::Whole(bytes) => Content::Whole(Some(bytes)),
        };
        Self {
            content,
            tail: Some(tail),
            watched: None,
        }
    }

    /// The upstream's body, with the record of its outcome to be written at its end.
    pub(crate) fn streamed(body: PooledBody, tail: Box<Tail>) -> Self {
        Self {
            content: Content::Streamed(body),
            tail: Some(tail),
            watched: None,
        }
    }

    /// What permitted it, if that is to be asked again.
    pub(crate) fn take_request(&mut self) -> Option<Box<GatewayRequest>> {
        match &mut self.content {
            Content::Passing(_, body) | Content::Streamed(body) => body.take_request(),
            Content::Own(_) | Content::Whole(_) => None,
        }
    }

    /// Ends it as soon as `watch` says so, with trailers where callers read them.
    pub(crate) fn watch(&mut self, watch: Watch, dialect: Dialect) {
        self.watched = Some(Box::new(Watched { watch, dialect }));
    }

    /// The end of an answer that may not go on; its upstream is told by the end of its stream.
    fn cut(&mut self, lost: Lost) -> Option<Result<Frame<Bytes>, Unfinished>> {
        self.content = Content::Own(VecDeque::new());
        let dialect = self.watched.take()?.dialect;
        Some(match dialect {
            Dialect::Grpc => Ok(Frame::trailers(grpc::withdrawn(lost.of))),
            Dialect::Http => Err(Unfinished::Withdrawn(h2::Reason::CANCEL.into())),
        })
    }

    fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        Poll::Ready(match &mut self.content {
            Content::Own(frames) => frames.pop_front().map(Ok),
            Content::Passing(frames, rest) => match frames.pop_front() {
                Some(frame) => Some(Ok(frame)),
                None => ready!(Pin::new(rest).poll_frame(cx)),
            },
            Content::Streamed(body) => ready!(Pin::new(body).poll_frame(cx)),
            Content::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        })
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = Unfinished;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
        let this = self.get_mut();
        if let Some(watched) = &mut this.watched
            && let Poll::Ready(lost) = watched.watch.before_piece(cx)
        {
            return Poll::Ready(this.cut(lost));
        }
        let polled = this.poll_content(cx);
        let Poll::Ready(frame) = polled else {
            return match &mut this.watched {
                Some(watched) => {
                    let lost = ready!(watched.watch.wait(cx));
                    Poll::Ready(this.cut(lost))
                }
                None => Poll::Pending,
            };
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Some(tail) = &mut this.tail
        {
            tail.passed_on(data.len());
        }
        Poll::Ready(frame.map(|frame| Ok(frame?)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(frames) => frames.is_empty(),
            Content::Passing(frames, rest) => frames.is_empty() && rest.is_end_stream(),
            Content::Streamed(body) => body.is_end_stream(),
            Content::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(_) | Content::Passing(..) => SizeHint::default(),
            Content::Streamed(body) => body.size_hint(),
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
