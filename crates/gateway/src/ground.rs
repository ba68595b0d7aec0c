//! What something stands on that goes on after its request was decided about: a tunnel, an answer that streams.
//!
//! Every [`ASKED_EVERY`] it is asked again, and at the moment its token ends: does the token stand, and the browser's session that it came out of, is the route still there
//! and would it take the token, and, when policies changed or [`DECIDED_EVERY`] has passed, do they permit it. What ends it then stands in the log.
//!
//! An answer that says at its head that it has at most [`ASKED_ONCE_BYTES`] is not asked again: it is in somebody's buffers before a second has passed.
//!
//! Not here: how its end is told, which is the protocol's own ([`crate::websocket::tunnel`], [`crate::answer`]).

use crate::pipeline::SURFACE;
use crate::planes::Planes;
use crate::request::GatewayRequest;
use crate::routes::{Routes, Upgrade};
use crate::service::Gateway;
use crate::sessions::{Cookie, SessionDoors};
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Text};
use countersign_authn::{Anonymous, Binding, Standing};
use countersign_base::{Secret, UnixTime};
use countersign_control::browser_sessions::{SessionError, SessionName};
use countersign_policy::{PolicySet, Query, Target, decide};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How often it is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How often unchanged policies are asked again: some look at the time.
const DECIDED_EVERY: Duration = Duration::from_secs(30);
/// How often the store is asked about a browser's session of which nobody here knows that it ended: another node may have ended it.
const SESSION_ASKED_EVERY: Duration = Duration::from_secs(5);
/// How long it goes on while the store cannot tell about its session.
const SESSION_UNKNOWN_MAX: Duration = Duration::from_secs(30);
/// An answer that says that it has no more bytes than this is decided about once.
pub(crate) const ASKED_ONCE_BYTES: u64 = 64 * 1024;

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The body of an answer.
    Answer,
    /// A WebSocket.
    Tunnel,
}

/// What it stands on: the request that was permitted, without the message that went on.
pub(crate) struct Ground {
    request: Box<GatewayRequest>,
    kind: Kind,
    session: Option<Session>,
    began: UnixTime,
    /// Of the keys of issuers that are not ours, as of the first time that somebody asked; absent while nobody did, and of our own tokens.
    keys: Option<u64>,
}

/// The session that the request's token came out of.
struct Session {
    name: SessionName,
    cookie: Secret<String>,
    /// How many sessions had ended here, and when the store said that this one goes on.
    known: Option<(u64, Instant)>,
}

/// Why it would not be permitted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    /// As records name it.
    pub(crate) reason: &'static str,
    pub(crate) of: Of,
}

/// What of it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// Who asked: token, session, sign-in.
    Credential,
    /// What they may do.
    Permission,
}

impl Ground {
    /// What was decided about this request. `doors` are those that it came through.
    pub(crate) fn of(
        request: Box<GatewayRequest>,
        kind: Kind,
        doors: Option<&SessionDoors>,
    ) -> Self {
        let session = session_of(&request, doors);
        Self {
            began: request.at,
            keys: None,
            request,
            kind,
            session,
        }
    }
}

/// The session of a request: its route has some, it brought the cookie, and so its token came out of it. With another credential beside it, it was refused.
fn session_of(request: &GatewayRequest, doors: Option<&SessionDoors>) -> Option<Session> {
    let name = request.matched().route.session.as_ref()?;
    let door = doors?
        .of(name)
        .filter(|door| door.is_at(request.target()))?;
    match door.session(&request.headers) {
        Cookie::Value(cookie) => Some(Session {
            name: name.clone(),
            cookie,
            known: None,
        }),
        Cookie::Absent | Cookie::Malformed | Cookie::Repeated => None,
    }
}

/// Asked of the policies of now. Nothing can be done to what passes, so that a policy that asks for something denies it.
struct Again<'a>(&'a GatewayRequest);

impl Target for Again<'_> {
    fn query(&self) -> Query {
        self.0.query()
    }
}

/// Returns once it would not be permitted again, which is in the log then.
pub(crate) async fn lost<P: Planes>(gateway: Arc<Gateway<P>>, mut ground: Ground) -> Lost {
    let lost = until_lost(&gateway, &mut ground).await;
    record(&gateway, &ground, lost.reason);
    lost
}

async fn until_lost<P: Planes>(gateway: &Gateway<P>, ground: &mut Ground) -> Lost {
    let planes = gateway.planes();
    // Policies may have changed between the decision and the head of the answer, so the first time they are asked in any case.
    let mut decided: Option<(Arc<PolicySet>, Instant)> = None;
    loop {
        let now = planes.clock().now();
        let subject = ground.request.caller().subject();
        let left = subject.map(|subject| subject.ends(ground.began).since(now));
        let pause = left.map_or(ASKED_EVERY, |left| left.min(ASKED_EVERY));
        tokio::time::sleep(pause).await;
        if let Some(lost) = unfounded(gateway, ground) {
            return lost;
        }
        if let Some(session) = &mut ground.session
            && let Some(lost) = session.over(planes).await
        {
            return lost;
        }
        let (policies, now) = (planes.policies(), Instant::now());
        let known = decided.as_ref().is_some_and(|(asked, when)| {
            Arc::ptr_eq(&policies, asked) && now.duration_since(*when) < DECIDED_EVERY
        });
        if known {
            continue;
        }
        if let Some(lost) = forbidden(&policies, planes, &mut ground.request) {
            return lost;
        }
        decided = Some((policies, now));
    }
}

/// What of its token and its route is gone.
fn unfounded<P: Planes>(gateway: &Gateway<P>, ground: &mut Ground) -> Option<Lost> {
    let planes = gateway.planes();
    let now = planes.clock().now();
    if let Some(subject) = ground.request.caller().subject() {
        if let Standing::Ended(reason) = subject.standing(planes.revocations(), ground.began, now) {
            return Some(Lost {
                reason: reason.as_str(),
                of: Of::Credential,
            });
        }
        if subject.token().other().is_some() {
            // Which key came or went is not known: whoever goes on shows the token again.
            let keys = planes.other_key_generation(now);
            if *ground.keys.get_or_insert(keys) != keys {
                return Some(Lost {
                    reason: "keys_changed",
                    of: Of::Credential,
                });
            }
        }
    }
    let there = gateway.with_routes(|routes| still_there(routes, ground));
    (!there).then_some(Lost {
        reason: "route_changed",
        of: Of::Permission,
    })
}

/// Why policy would not permit it now.
fn forbidden<P: Planes>(
    policies: &PolicySet,
    planes: &P,
    request: &mut GatewayRequest,
) -> Option<Lost> {
    request.at = planes.clock().now();
    match decide(policies, Again(request)) {
        Ok(_permitted) => None,
        Err(denied) => {
            let of = match denied.reason().step_up() {
                Some(_) => Of::Credential,
                None => Of::Permission,
            };
            let reason = denied.reason().as_str();
            Some(Lost { reason, of })
        }
    }
}

/// Whether the routes of now have the same route for the request, and it would take the same token from the same place.
fn still_there(routes: &Routes, ground: &Ground) -> bool {
    let request = &ground.request;
    let Ok(matched) = routes.find(request.target()) else {
        return false;
    };
    let (before, after) = (&request.matched().route, &matched.route);
    let rules = &after.rules;
    let nobody = rules.anonymous() == Anonymous::Allowed;
    let token = request.caller().subject().map_or(nobody, |subject| {
        let (trusted, audience) = match subject.token().other() {
            None => (
                rules
                    .issuers()
                    .iter()
                    .any(|trusted| trusted.issuer == *subject.issuer()),
                rules.audience(),
            ),
            // All of its entry: with another leeway or another belief it would be judged in another way.
            Some(other) => (
                rules.others().iter().any(|trusted| **trusted == *other),
                other.audience(rules.audience()),
            ),
        };
        let form = if subject.token().is_api_key() {
            rules.api_keys().is_some()
        } else {
            ground.session.is_some()
                || rules.binding() == Binding::Any
                || subject.binding().is_some()
        };
        trusted
            && form
            && audience == subject.audience()
            && subject.require_scopes(&matched.operation().scopes).is_ok()
    });
    let session = ground.session.is_none() || before.session == after.session;
    let threats = after.threats.as_ref();
    let place = threats.is_none_or(|threats| threats.admits(request.connection.remote.ip()));
    let taken = match ground.kind {
        Kind::Answer => true,
        Kind::Tunnel => after.upgrade == Upgrade::WebSocket,
    };
    token && session && place && taken && before.id == after.id
}

impl Session {
    /// Whether it is over: here it is known at once, of other nodes the store knows.
    async fn over<P: Planes>(&mut self, planes: &P) -> Option<Lost> {
        let over = Lost {
            reason: SessionError::Over.as_str(),
            of: Of::Credential,
        };
        let Some(sessions) = planes.browser_sessions() else {
            return Some(over);
        };
        // Read before the store is: an end in between is asked about next time.
        let (ended, now) = (sessions.ended_here(), Instant::now());
        if let Some((then, when)) = self.known
            && then == ended
            && now.duration_since(when) < SESSION_ASKED_EVERY
        {
            return None;
        }
        match sessions.goes_on(&self.name, &self.cookie).await {
            Ok(()) => {
                self.known = Some((ended, now));
                None
            }
            Err(SessionError::Unavailable) => {
                let (_, since) = *self.known.get_or_insert((ended, now));
                (now.duration_since(since) >= SESSION_UNKNOWN_MAX).then_some(Lost {
                    reason: SessionError::Unavailable.as_str(),
                    of: Of::Credential,
                })
            }
            Err(SessionError::Over | SessionError::Refused(_)) => Some(over),
        }
    }
}

fn record<P: Planes>(gateway: &Gateway<P>, ground: &Ground, reason: &'static str) {
    let request = &ground.request;
    let route = &request.matched().route;
    let mut decision = event::Decision::new(SURFACE, Verdict::Denied, Code::of(reason));
    decision.route = Some(route.id.clone());
    decision.resource = Text::of(route.id.as_str());
    let recorder = gateway.planes().recorder();
    let from = request.connection.remote.ip();
    if recorder
        .refused(from, &route.tenant, Some(request.id()), decision)
        .is_err()
    {
        tracing::error!("the end of what was permitted could not be recorded");
    }
}

/// Asks about an answer while it streams. Nothing is asked, and no timer made, before its upstream lets wait for a piece, or it has gone on for [`ASKED_EVERY`].
pub(crate) struct Watch {
    lost: Pin<Box<dyn Future<Output = Lost> + Send>>,
    began: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting,
    Watching,
}

impl Watch {
    pub(crate) fn new<P: Planes>(gateway: &Arc<Gateway<P>>, ground: Ground) -> Self {
        Self {
            lost: Box::pin(lost(Arc::clone(gateway), ground)),
            began: Instant::now(),
            state: State::Resting,
        }
    }

    /// Ready once the answer may not go on. Asked before each piece.
    pub(crate) fn before_piece(&mut self, cx: &mut Context<'_>) -> Poll<Lost> {
        match self.state {
            State::Resting if self.began.elapsed() < ASKED_EVERY => Poll::Pending,
            State::Resting | State::Watching => self.wait(cx),
        }
    }

    /// The same, while no piece is there.
    pub(crate) fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Lost> {
        self.state = State::Watching;
        self.lost.as_mut().poll(cx)
    }
}
