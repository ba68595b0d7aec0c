//! The same for an answer on one stream of HTTP/2: a peer may keep the stream's window shut while its connection goes on. What is not taken for too long is given up with
//! everything it holds; what remains of it resets the stream when the peer asks for more.
//!
//! Nobody looks at a body while its stream's window is shut, so each has a task that looks at the time.
//!
//! Not here: a window that a setting of the peer's makes smaller while the body itself is waited for. Nobody asks the body when it goes on, so it counts as waiting still.

use crate::BoxError;
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// A body whose frames wait so long to be asked for and no longer.
pub(crate) struct TakenBody<B> {
    shared: Arc<Mutex<Shared<B>>>,
    /// Absent where nothing has to be taken.
    watch: Option<AbortHandle>,
}

struct Shared<B> {
    body: Content<B>,
    /// Since when the next frame could be asked for; absent while it is the body that is waited for.
    asked_for_since: Option<Instant>,
}

enum Content<B> {
    Ended,
    GivenUp,
    Here(Pin<Box<B>>),
}

impl<B> TakenBody<B>
where
    B: Body + Send + 'static,
{
    /// To be called on the runtime that sends it.
    pub(crate) fn new(body: B, patience: Duration) -> Self {
        let needs_nothing = body.is_end_stream();
        let shared = Arc::new(Mutex::new(Shared {
            body: Content::Here(Box::pin(body)),
            asked_for_since: Some(Instant::now()),
        }));
        let watch = (!needs_nothing).then(|| {
            let watched = Arc::downgrade(&shared);
            tokio::spawn(watch(watched, patience)).abort_handle()
        });
        Self { shared, watch }
    }
}

impl<B> TakenBody<B> {
    fn lock(&self) -> MutexGuard<'_, Shared<B>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Drop for TakenBody<B> {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// Gives the body up once nobody has asked for its next frame for so long.
async fn watch<B>(watched: Weak<Mutex<Shared<B>>>, patience: Duration) {
    while let Some(until) = until(&watched, patience) {
        sleep_until(until).await;
    }
}

/// When to look again, unless it has ended.
fn until<B>(watched: &Weak<Mutex<Shared<B>>>, patience: Duration) -> Option<Instant> {
    let shared = watched.upgrade()?;
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let until = match (&shared.body, shared.asked_for_since) {
        (Content::Ended | Content::GivenUp, _) => return None,
        (Content::Here(_), since) => since.unwrap_or(now) + patience,
    };
    if until > now {
        return Some(until);
    }
    let body = std::mem::replace(&mut shared.body, Content::GivenUp);
    drop(shared);
    drop(body);
    tracing::debug!("a peer took nothing of an answer for too long");
    None
}

impl<B> Body for TakenBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut shared = self.lock();
        let polled = match &mut shared.body {
            Content::Ended => return Poll::Ready(None),
            Content::GivenUp => {
                let late = io::Error::from(io::ErrorKind::TimedOut);
                return Poll::Ready(Some(Err(late.into())));
            }
            Content::Here(body) => body.as_mut().poll_frame(cx),
        };
        match &polled {
            Poll::Pending => shared.asked_for_since = None,
            Poll::Ready(Some(Ok(_))) => shared.asked_for_since = Some(Instant::now()),
            Poll::Ready(None | Some(Err(_))) => shared.body = Content::Ended,
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.lock().body {
            Content::Ended => true,
            Content::GivenUp => false,
            Content::Here(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.lock().body {
            Content::Ended => SizeHint::with_exact(0),
            Content::GivenUp => SizeHint::default(),
            Content::Here(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests;
