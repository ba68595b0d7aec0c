//! One request to one upstream: an address for each attempt, the attempts that are worth it, and what they say of the address.

use super::UpstreamSpec;
use super::body::{Completeness, OutboundBody, PooledBody, Progress, RequestBody};
use super::breaker::Outcome;
use super::members::{Load, Members, Others, Wanted};
use super::pool::{PassError, Pool};
use super::retry::{self, Repeat, Spent};
use crate::websocket::Switching;
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{Method, Request, Response, header};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// One upstream as one core uses it: its own connections, and what all cores know of its addresses.
pub(crate) struct Upstream {
    spec: UpstreamSpec,
    pools: Vec<Pool>,
    members: Arc<Members>,
}

/// A request on its way, and what may be done with it.
pub(crate) struct Sending {
    /// In a box: it goes through many hands.
    pub(crate) request: Box<Request<RequestBody>>,
    pub(crate) repeat: Repeat,
    /// Of the caller, where the upstream is chosen by it.
    pub(crate) key: u64,
    /// Until when its caller waits.
    pub(crate) deadline: Option<Instant>,
}

/// Whether an attempt before the last may have been carried out.
#[derive(Debug, Default)]
pub(crate) struct Earlier(AtomicBool);

impl Earlier {
    pub(crate) fn was_sent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One attempt's end.
enum Attempt {
    Final(Result<Response<PooledBody>, PassError>),
    Again(Result<Response<PooledBody>, PassError>),
}

impl Upstream {
    pub(crate) fn new(spec: UpstreamSpec, members: Arc<Members>) -> Self {
        let pools = spec.endpoints.iter();
        Self {
            pools: pools
                .map(|endpoint| Pool::new(endpoint.clone(), spec.timeouts))
                .collect(),
            spec,
            members,
        }
    }

    pub(crate) const fn spec(&self) -> &UpstreamSpec {
        &self.spec
    }

    pub(crate) const fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// Sends `sending`, whose URI is path and query alone, as often as is allowed and worth it. What comes back holds on to its connection.
    pub(crate) async fn send(
        &self,
        sending: Sending,
        earlier: Option<&Earlier>,
    ) -> Result<Response<PooledBody>, PassError> {
        let total = Instant::now() + self.spec.timeouts.total;
        let deadline = sending
            .deadline
            .map_or(total, |deadline| deadline.min(total));
        let watch = sending.request.body().watch();
        match timeout_at(deadline, self.attempts(sending, earlier)).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(match watch.progress() {
                Progress::Awaited | Progress::Broken => PassError::Body,
                Progress::TooLarge => PassError::BodyTooLarge,
                Progress::Complete | Progress::Open | Progress::Unread => PassError::Timeout,
            }),
        }
    }

    /// When a second address is asked as well, of a request that asks for nothing to be done (RFC 9110 §9.2.1).
    fn hedge_of(&self, request: &Request<RequestBody>) -> Option<Duration> {
        let delay = self.spec.retries.hedge?;
        let method = request.method();
        let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        // A handshake asks for a connection of its own.
        (safe && request.extensions().get::<Switching>().is_none()).then_some(delay)
    }

    async fn attempts(
        &self,
        sending: Sending,
        earlier: Option<&Earlier>,
    ) -> Result<Response<PooledBody>, PassError> {
        let Sending {
            mut request,
            repeat,
            key,
            deadline: _,
        } = sending;
        self.members.budget.earn();
        let hedge = self.hedge_of(&request);
        let only = self.spec.retries.attempts < 2 && hedge.is_none() && self.members.are_calm();
        if !only {
            // A trial of an address that was given up waits for no caller.
            let body = std::mem::replace(request.body_mut(), RequestBody::Whole(Bytes::new()));
            *request.body_mut() = Box::pin(body.kept(retry::REPLAY_BYTES_MAX)).await?;
        }
        let mut attempts = Attempts {
            upstream: self,
            repeat,
            key,
            hedge,
            tried: Vec::new(),
        };
        let bytes = match request.body() {
            RequestBody::Whole(bytes) if !only => bytes.clone(),
            // A body that passes by can't be sent twice.
            RequestBody::Whole(_) | RequestBody::Arriving(_) => {
                return attempts.last(request).await;
            }
        };
        for attempt in 1..self.spec.retries.attempts {
            let ended = match attempts.once(again(&request, bytes.clone())).await? {
                Attempt::Final(ended) => return ended,
                Attempt::Again(ended) => ended,
            };
            if self.members.budget.spend() == Spent::Empty {
                return ended;
            }
            if !matches!(&ended, Err(error) if error.is_unsent())
                && let Some(earlier) = earlier
            {
                earlier.0.store(true, Ordering::Relaxed);
            }
            drop(ended);
            let wait = retry::wait(&self.spec.retries, attempt, self.members.draw());
            Box::pin(tokio::time::sleep(wait)).await;
        }
        attempts.last(request).await
    }
}

/// The same request with this body.
fn again(request: &Request<RequestBody>, body: Bytes) -> Box<Request<RequestBody>> {
    let mut again = Request::new(RequestBody::Whole(body));
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    *again.extensions_mut() = request.extensions().clone();
    Box::new(again)
}

struct Attempts<'u> {
    upstream: &'u Upstream,
    repeat: Repeat,
    key: u64,
    /// When a second address is asked as well.
    hedge: Option<Duration>,
    tried: Vec<usize>,
}

impl Attempts<'_> {
    async fn last(
        &mut self,
        request: Box<Request<RequestBody>>,
    ) -> Result<Response<PooledBody>, PassError> {
        match self.once(request).await? {
            Attempt::Final(ended) | Attempt::Again(ended) => ended,
        }
    }

    /// One attempt. An error here is the end: no address can be used.
    async fn once(&mut self, request: Box<Request<RequestBody>>) -> Result<Attempt, PassError> {
        if let Some(delay) = self.hedge {
            // In a box, so that a request that is sent once carries no room for it.
            return Box::pin(self.hedged(delay, request)).await;
        }
        let chosen = self.choose(request.body().completeness())?;
        at(self.upstream, self.repeat, chosen, request).await
    }

    /// Asks another address as well when the first takes longer than `delay`, once and if retries may be spent. The first good answer counts, and the other request is dropped.
    async fn hedged(
        &mut self,
        delay: Duration,
        request: Box<Request<RequestBody>>,
    ) -> Result<Attempt, PassError> {
        let RequestBody::Whole(bytes) = request.body() else {
            let chosen = self.choose(request.body().completeness())?;
            return at(self.upstream, self.repeat, chosen, request).await;
        };
        // Of one request so many.
        self.hedge = None;
        let again = again(&request, bytes.clone());
        let chosen = self.choose(Completeness::Whole)?;
        let position = chosen.0;
        let upstream = self.upstream;
        let mut first = pin!(at(upstream, self.repeat, chosen, request));
        if let Ok(ended) = timeout(delay, first.as_mut()).await {
            return ended;
        }
        let others = upstream.members.others(position, upstream.members.now());
        if others == Others::None || upstream.members.budget.spend() == Spent::Empty {
            return first.await;
        }
        let second = match self.choose(Completeness::Whole) {
            Ok(second) if second.0 != position => second,
            Ok(_) | Err(_) => return first.await,
        };
        let second = pin!(at(upstream, self.repeat, second, again));
        match select(first, second).await {
            Either::Left((ended, other)) => good_or(ended, other).await,
            Either::Right((ended, other)) => good_or(ended, other).await,
        }
    }

    /// An address that was not tried yet, if there is one.
    fn choose(&mut self, body: Completeness) -> Result<(usize, Load), PassError> {
        let upstream = self.upstream;
        let now = upstream.members.now();
        let wanted = Wanted {
            key: self.key,
            repeat: self.repeat,
            body,
        };
        let chosen = upstream.members.choose(wanted, &self.tried, now);
        let (position, load) = chosen.map_err(|ejected| PassError::Ejected {
            retry_after_seconds: ejected
                .until
                .saturating_sub(now)
                .div_ceil(1_000_000_000)
                .max(1),
        })?;
        self.tried.push(position);
        Ok((position, load))
    }
}

/// What has ended, if it is an answer that counts; otherwise what the other comes to.
async fn good_or(
    ended: Result<Attempt, PassError>,
    other: impl Future<Output = Result<Attempt, PassError>>,
) -> Result<Attempt, PassError> {
    match ended {
        Ok(Attempt::Final(Ok(response))) => Ok(Attempt::Final(Ok(response))),
        Ok(Attempt::Final(Err(_)) | Attempt::Again(_)) | Err(_) => other.await,
    }
}

/// One attempt at one address.
async fn at(
    upstream: &Upstream,
    repeat: Repeat,
    (position, mut load): (usize, Load),
    request: Box<Request<RequestBody>>,
) -> Result<Attempt, PassError> {
    let pool = upstream.pools.get(position);
    let pool = pool.ok_or_else(|| PassError::Connect(std::io::ErrorKind::NotFound.into()))?;
    let ended = pool.send(Box::new(request.map(OutboundBody::new))).await;
    let others = upstream.members.others(position, upstream.members.now());
    load.report(outcome_of(&ended, others));
    // Who says when to come back is not asked sooner.
    let told =
        matches!(&ended, Ok(response) if response.headers().contains_key(header::RETRY_AFTER));
    let status = ended.as_ref().map(Response::status);
    let again = !told && retry::is_worth_another(repeat, status);
    let ended = ended.map(|response| response.map(|body| body.under(load)));
    Ok(if again {
        Attempt::Again(ended)
    } else {
        Attempt::Final(ended)
    })
}

/// What the end of an attempt says of its address.
fn outcome_of(ended: &Result<Response<PooledBody>, PassError>, others: Others) -> Outcome {
    match ended {
        Ok(response) => match others {
            Others::Serve if retry::is_gateways(response.status()) => Outcome::Failed,
            // A status may be what one caller asked for: it does not take the last address from everybody.
            Others::None | Others::Serve => Outcome::Succeeded,
        },
        Err(
            PassError::Connect(_)
            | PassError::Handshake(_)
            | PassError::Http(_)
            | PassError::Switch
            | PassError::Timeout,
        ) => Outcome::Failed,
        // The caller's fault, or ours.
        Err(
            PassError::Body
            | PassError::BodyTooLarge
            | PassError::Busy
            | PassError::CutShort(_)
            | PassError::Ejected { .. }
            | PassError::NoRoom
            | PassError::Projection(_)
            | PassError::RefusedStream,
        ) => Outcome::Nothing,
    }
}
