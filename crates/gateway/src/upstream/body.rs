//! Bodies on their way to and from an upstream.

mod gathered;

pub(crate) use gathered::{Gathered, gather};

use super::members::Load;
use super::pool::{Lease, PassError};
use crate::ground::ASKED_ONCE_BYTES;
use crate::projection::ProjectionError;
use crate::request::GatewayRequest;
use crate::{grpc, headers};
use bytes::{Bytes, BytesMut};
use countersign_net::{BodyError, InboundBody};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// How far the body of a request got on its way to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The upstream would take more of it, and the caller has not sent it.
    Awaited,
    /// The caller broke off, or stopped sending for too long.
    Broken,
    /// All of it was read.
    Complete,
    /// Some is still to come, and the upstream has not asked for it.
    Open,
    /// The caller sent more than the route allows.
    TooLarge,
    /// All of it is here, and the upstream has not taken it.
    Unread,
}

const COMPLETE: u8 = 0;
const OPEN: u8 = 1;
const TOO_LARGE: u8 = 2;
const AWAITED: u8 = 3;
const BROKEN: u8 = 4;
const UNREAD: u8 = 5;

/// Watches the body of a request. Absent for a request without body: most have none, and it costs nothing then.
#[derive(Clone, Default)]
pub(crate) struct ProgressWatch(Option<Arc<Watched>>);

struct Watched {
    state: AtomicU8,
    completed: OnceLock<Instant>,
}

impl ProgressWatch {
    fn begin(state: u8) -> Self {
        Self(Some(Arc::new(Watched {
            state: AtomicU8::new(state),
            completed: OnceLock::new(),
        })))
    }

    #[cfg(test)]
    pub(super) fn of(progress: Progress) -> Self {
        let watch = Self::begin(OPEN);
        watch.set(match progress {
            Progress::Awaited => AWAITED,
            Progress::Broken => BROKEN,
            Progress::Complete => COMPLETE,
            Progress::Open => OPEN,
            Progress::TooLarge => TOO_LARGE,
            Progress::Unread => UNREAD,
        });
        watch
    }

    pub(crate) fn progress(&self) -> Progress {
        match self
            .0
            .as_ref()
            .map_or(COMPLETE, |watched| watched.state.load(Ordering::Relaxed))
        {
            COMPLETE => Progress::Complete,
            TOO_LARGE => Progress::TooLarge,
            AWAITED => Progress::Awaited,
            BROKEN => Progress::Broken,
            UNREAD => Progress::Unread,
            _ => Progress::Open,
        }
    }

    /// When the last of it was read; absent too where there was nothing to wait for.
    pub(crate) fn completed(&self) -> Option<Instant> {
        self.0.as_ref()?.completed.get().copied()
    }

    /// How long the upstream has had the whole request, of a way there that began at `began`. Absent while it has not.
    pub(crate) fn had_whole_for(&self, began: Instant, now: Instant) -> Option<Duration> {
        let since = match self.progress() {
            Progress::Complete => self.completed().map_or(began, |then| then.max(began)),
            Progress::Awaited
            | Progress::Broken
            | Progress::Open
            | Progress::TooLarge
            | Progress::Unread => return None,
        };
        Some(now.saturating_duration_since(since))
    }

    fn set(&self, state: u8) {
        if let Some(watched) = &self.0 {
            if state == COMPLETE {
                watched.completed.get_or_init(Instant::now);
            }
            watched.state.store(state, Ordering::Relaxed);
        }
    }
}

/// A body as it arrives, and how far it got.
pub(crate) struct Arriving {
    inner: InboundBody,
    watch: ProgressWatch,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) else {
            self.watch.set(AWAITED);
            return Poll::Pending;
        };
        self.watch.set(match &frame {
            None => COMPLETE,
            Some(Ok(_)) if self.inner.is_end_stream() => COMPLETE,
            Some(Ok(_)) => OPEN,
            Some(Err(BodyError::Broken(_) | BodyError::Idle)) => BROKEN,
            Some(Err(BodyError::TooLarge)) => TOO_LARGE,
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Whether all of a body is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    Arriving,
    Whole,
}

/// The body of a request before it is sent on.
pub(crate) enum RequestBody {
    /// As it arrives; it can be sent once.
    Arriving(Arriving),
    /// All of it.
    Whole(Bytes),
}

impl RequestBody {
    pub(crate) fn arriving(body: InboundBody) -> Self {
        let watch = if body.is_end_stream() {
            ProgressWatch::default()
        } else {
            ProgressWatch::begin(OPEN)
        };
        Self::Arriving(Arriving { inner: body, watch })
    }

    /// How far the caller got with it.
    pub(crate) fn watch(&self) -> ProgressWatch {
        match self {
            Self::Arriving(body) => body.watch.clone(),
            Self::Whole(_) => ProgressWatch::default(),
        }
    }

    /// Whether a caller can make the upstream wait for it.
    pub(crate) fn completeness(&self) -> Completeness {
        match self {
            Self::Arriving(body) if !body.is_end_stream() => Completeness::Arriving,
            Self::Arriving(_) | Self::Whole(_) => Completeness::Whole,
        }
    }

    /// The same, held in memory if it says that it has at most `bytes_max` bytes.
    pub(crate) async fn kept(self, bytes_max: u64) -> Result<Self, PassError> {
        match self {
            Self::Arriving(body)
                if body
                    .size_hint()
                    .exact()
                    .is_some_and(|length| length <= bytes_max) =>
            {
                hold(body, &HELD).await.map(Self::Whole)
            }
            other => Ok(other),
        }
    }

    /// All of it, read to its end; its limits are those of the route, and the room that all bodies in memory have.
    pub(crate) async fn whole(self) -> Result<Bytes, PassError> {
        match self {
            Self::Whole(bytes) => Ok(bytes),
            Self::Arriving(body) if body.is_end_stream() => Ok(Bytes::new()),
            Self::Arriving(body) => hold(body, &HELD).await,
        }
    }
}

/// Bytes of requests' bodies that a process holds in memory, to send them again or to know them again by their key.
pub const HELD_BYTES_MAX: usize = 256 * 1024 * 1024;

static HELD: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(HELD_BYTES_MAX)));

/// A body in memory; with the last of it goes its part of the room.
struct Held {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads `body` to its end. Room is taken for what came, not for what was announced: announcing costs nothing.
async fn hold<B>(mut body: B, room: &Arc<Semaphore>) -> Result<Bytes, PassError>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
{
    let mut bytes = BytesMut::new();
    let mut taken: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error {
            BodyError::TooLarge => PassError::BodyTooLarge,
            BodyError::Broken(_) | BodyError::Idle => PassError::Body,
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = u32::try_from(data.len()).map_err(|_| PassError::NoRoom)?;
        let more = Arc::clone(room).try_acquire_many_owned(length);
        let more = more.map_err(|_| PassError::NoRoom)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Bytes::from_owner(Held {
        bytes: bytes.freeze(),
        _room: taken,
    }))
}

/// The body of a request as the upstream gets it.
pub struct OutboundBody {
    inner: Outbound,
    watch: ProgressWatch,
}

enum Outbound {
    Arriving(Arriving),
    Whole(Option<Bytes>),
}

impl OutboundBody {
    pub(crate) fn new(body: RequestBody) -> Self {
        let inner = match body {
            RequestBody::Arriving(body) => Outbound::Arriving(body),
            RequestBody::Whole(bytes) => Outbound::Whole((!bytes.is_empty()).then_some(bytes)),
        };
        let watch = match &inner {
            Outbound::Arriving(body) => body.watch.clone(),
            Outbound::Whole(None) => ProgressWatch::default(),
            Outbound::Whole(Some(_)) => ProgressWatch::begin(UNREAD),
        };
        Self { inner, watch }
    }

    pub(crate) fn watch(&self) -> ProgressWatch {
        self.watch.clone()
    }
}

impl Body for OutboundBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let whole = match &mut self.inner {
            Outbound::Arriving(body) => return Pin::new(body).poll_frame(cx),
            Outbound::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        };
        self.watch.set(COMPLETE);
        Poll::Ready(whole)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Outbound::Arriving(body) => body.is_end_stream(),
            Outbound::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Outbound::Arriving(body) => body.size_hint(),
            Outbound::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

/// Why the body of an answer ended early.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The upstream broke off.
    #[error("the upstream broke off")]
    Broken(#[source] hyper::Error),
    /// The next piece did not come in time.
    #[error("the upstream stopped sending")]
    Idle,
}

/// The body of an answer. When it has been read to its end, its connection goes back to the pool; when it is dropped before, the
/// connection is closed with it.
pub struct PooledBody {
    /// What was read of it already.
    ahead: VecDeque<Frame<Bytes>>,
    inner: Pooled,
    lease: Option<Lease>,
    load: Option<Load>,
    idle: Duration,
    // Made on the first wait: an answer that is already there costs no timer.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Absent unless its caller says how long it waits.
    deadline: Option<Pin<Box<Sleep>>>,
    flow: Flow,
    /// What permitted it, where that is asked again.
    stands_on: Option<Box<GatewayRequest>>,
}

/// Whether more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Ended,
    Open,
}

/// What there is of an answer.
enum Pooled {
    /// As it comes from the upstream.
    Passing(Incoming),
    /// All of it.
    Whole(Option<Bytes>),
}

impl Pooled {
    fn is_end(&self) -> bool {
        match self {
            Self::Passing(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.is_none(),
        }
    }
}

impl PooledBody {
    /// An answer that is in memory, in place of the upstream's.
    pub(crate) fn in_memory(bytes: Bytes) -> Self {
        Self {
            ahead: VecDeque::new(),
            inner: Pooled::Whole((!bytes.is_empty()).then_some(bytes)),
            lease: None,
            load: None,
            idle: Duration::ZERO,
            sleep: None,
            deadline: None,
            flow: Flow::Open,
            stands_on: None,
        }
    }

    /// All of it, read to its end: at most `bytes_max` bytes, in the room that all bodies in memory have. Trailers are left out.
    pub(crate) async fn whole(mut self, bytes_max: usize) -> Result<Bytes, PassError> {
        let mut bytes = BytesMut::new();
        let mut taken: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = self.frame().await {
            let frame = frame.map_err(|error| match error {
                AnswerError::Broken(error) => PassError::Http(error),
                AnswerError::Idle => PassError::Timeout,
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() > bytes_max.saturating_sub(bytes.len()) {
                return Err(PassError::Projection(ProjectionError::TooLarge));
            }
            let no_room = || PassError::Projection(ProjectionError::NoRoom);
            let length = u32::try_from(data.len()).map_err(|_| no_room())?;
            let more = Arc::clone(&HELD).try_acquire_many_owned(length);
            let more = more.map_err(|_| no_room())?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Bytes::from_owner(Held {
            bytes: bytes.freeze(),
            _room: taken,
        }))
    }

    /// `idle` is the longest time between two pieces.
    pub(crate) fn new(inner: Incoming, lease: Lease, idle: Duration) -> Self {
        let mut body = Self {
            ahead: VecDeque::new(),
            inner: Pooled::Passing(inner),
            lease: Some(lease),
            load: None,
            idle,
            sleep: None,
            deadline: None,
            flow: Flow::Open,
            stands_on: None,
        };
        if body.inner.is_end() {
            body.give_back();
        }
        body
    }

    /// The empty body of an answer that switches to another protocol: it holds on to its place until it is dropped.
    pub(crate) fn switched(inner: Incoming, lease: Lease, idle: Duration) -> Self {
        Self {
            ahead: VecDeque::new(),
            inner: Pooled::Passing(inner),
            lease: Some(lease),
            load: None,
            idle,
            sleep: None,
            deadline: None,
            flow: Flow::Open,
            stands_on: None,
        }
    }

    /// The same, counted as under way at its address until its end.
    pub(crate) fn under(mut self, load: Load) -> Self {
        self.load = self.lease.is_some().then_some(load);
        self
    }

    /// Ends there, with the trailers of a call that took too long.
    pub(crate) fn end_at(&mut self, deadline: Instant) {
        if !self.inner.is_end() {
            self.deadline = Some(Box::pin(tokio::time::sleep_until(deadline)));
        }
    }

    /// The end, if its caller waits no longer.
    fn cut(&mut self, cx: &mut Context<'_>) -> Option<Frame<Bytes>> {
        let deadline = self.deadline.as_mut()?;
        if deadline.as_mut().poll(cx).is_pending() {
            return None;
        }
        (self.lease, self.load, self.deadline) = (None, None, None);
        self.flow = Flow::Ended;
        Some(Frame::trailers(grpc::deadline_exceeded()))
    }

    /// Whether it may go on for longer than what permitted it.
    pub(crate) fn is_long(&self) -> bool {
        let length = self.size_hint().exact();
        !self.is_end_stream() && length.is_none_or(|length| length > ASKED_ONCE_BYTES)
    }

    /// Keeps what permitted it.
    pub(crate) fn stand_on(&mut self, request: Box<GatewayRequest>) {
        self.stands_on = Some(request);
    }

    /// What permitted it, if that is to be asked again.
    pub(crate) fn take_request(&mut self) -> Option<Box<GatewayRequest>> {
        self.stands_on.take()
    }

    /// Waits so long between two pieces.
    pub(crate) fn wait_for(&mut self, idle: Duration) {
        self.idle = idle;
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<AnswerError> {
        let idle = self.idle;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(sleep.as_mut().poll(cx));
        // Nothing more will come of it, and its connection is not used again.
        (self.lease, self.load) = (None, None);
        Poll::Ready(AnswerError::Idle)
    }

    fn give_back(&mut self) {
        self.load = None;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.flow == Flow::Ended {
            return Poll::Ready(None);
        }
        let polled = match &mut self.inner {
            Pooled::Passing(body) => Pin::new(body).poll_frame(cx),
            Pooled::Whole(bytes) => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
        };
        let Poll::Ready(frame) = polled else {
            if let Some(last) = self.cut(cx) {
                return Poll::Ready(Some(Ok(last)));
            }
            return self.poll_idle(cx).map(|error| Some(Err(error)));
        };
        let (idle, now) = (self.idle, Instant::now);
        if let Some(sleep) = &mut self.sleep {
            sleep.as_mut().reset(now() + idle);
        }
        match &frame {
            None => self.give_back(),
            Some(Ok(_)) if self.inner.is_end() => self.give_back(),
            Some(Ok(_)) => {}
            // Its lease is dropped with it: a connection that broke is not used again.
            Some(Err(_)) => (self.lease, self.load) = (None, None),
        }
        let allowed = |frame: Frame<Bytes>| match frame.into_trailers() {
            Ok(mut trailers) => {
                headers::remove_from_trailers(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        };
        Poll::Ready(frame.map(|frame| frame.map(allowed).map_err(AnswerError::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && (self.flow == Flow::Ended || self.inner.is_end())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Pooled::Passing(_) if !self.ahead.is_empty() => SizeHint::default(),
            Pooled::Passing(body) => body.size_hint(),
            Pooled::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

#[cfg(test)]
mod tests;
