//! Requests with a key: which of them is the first, and that one carried to its end whether or not its caller waits for it: a caller that lost the connection asks again under
//! the same key, and is answered then.

use crate::answer::Denial;
use crate::forward::{UpstreamToken, forward_telling};
use crate::idempotency::{
    self, ANSWER_BYTES_MAX, Answer, Begun, Ended, IdempotencySpec, KeyError, KeyNeed, Named,
    Running, TokenSeen, fields_bytes, is_not_carried_out,
};
use crate::pipeline::Places;
use crate::planes::Planes;
use crate::request::GatewayRequest;
use crate::service::{Core, Generation};
use crate::upstream::{AnswerError, Earlier, PassError, PooledBody};
use bytes::{Bytes, BytesMut};
use countersign_policy::Permitted;
use countersign_store::Recorded;
use countersign_store::idempotency::KeysAway;
use countersign_store::redis::Found;
use http::{Response, header};
use http_body::Frame;
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// What is known of a request's key.
pub(crate) enum Key {
    /// It was answered before.
    Again(Arc<Answer>),
    /// It is the first, and has its places.
    First(Running),
    /// It is the first that got through after waiting for others, and has no places.
    FirstAfterWait(Running),
    /// It has none, or the route knows none.
    Unkeyed,
}

/// Whether this is the first request under its key, on a route that knows keys. A duplicate waits for the first, for a while.
pub(crate) async fn known_yet<P: Planes>(
    core: &Core<P>,
    recorded: &Recorded<Permitted<GatewayRequest>>,
    places: &mut Places,
) -> Result<Key, Denial> {
    let request = recorded.decision().target();
    let Some(spec) = &request.matched().route.idempotency else {
        return Ok(Key::Unkeyed);
    };
    if !idempotency::is_unsafe(request.target().method()) {
        return Ok(Key::Unkeyed);
    }
    let key = idempotency::key_of(&request.headers).map_err(Denial::Key)?;
    let Some(key) = key else {
        return match spec.need {
            KeyNeed::Optional => Ok(Key::Unkeyed),
            KeyNeed::Required => Err(Denial::Key(KeyError::Missing)),
        };
    };
    if key.len() < usize::from(spec.key_bytes_min) {
        return Err(Denial::Key(KeyError::Short));
    }
    let body = request.read_body().await.map_err(Denial::Pass)?;
    let Some(named) = Named::of(request, &key, &body) else {
        return Ok(Key::Unkeyed);
    };
    let until = tokio::time::Instant::now() + idempotency::WAIT_MAX;
    let mut first: fn(Running) -> Key = Key::First;
    loop {
        let now = core.steady();
        match core.keys().begin(named, spec.keep, now) {
            Begun::Replay(answer) => return Ok(Key::Again(answer)),
            Begun::Run(running) => {
                return of_all_processes(core, request, &named, spec, running, first).await;
            }
            Begun::Refused(error) => return Err(Denial::Key(error)),
            Begun::Wait(mut ends) => {
                // Whoever waits takes no place from those who don't.
                *places = Places::default();
                first = Key::FirstAfterWait;
                let ended = tokio::time::timeout_at(until, ends.changed()).await;
                if ended.is_err() {
                    return Err(Denial::Key(KeyError::InProgress));
                }
            }
        }
    }
}

/// Whether the first of this process is the first of all that share keys.
async fn of_all_processes<P: Planes>(
    core: &Core<P>,
    request: &GatewayRequest,
    named: &Named,
    spec: &IdempotencySpec,
    running: Running,
    first: fn(Running) -> Key,
) -> Result<Key, Denial> {
    let Some(keys) = core.planes().shared_keys() else {
        return Ok(first(running));
    };
    // Nothing goes on before it is known, and a caller who leaves meanwhile leaves nothing behind: what is dropped before it is passed on is free.
    let mut running = running;
    let tenant = &request.matched().route.tenant;
    let found = keys.begin(named.shared(tenant), spec.keep).await;
    let refused = |error| Err(Denial::Key(error));
    match found {
        Ok(Found::Run(held)) => {
            running.hold(held);
            Ok(first(running))
        }
        Ok(Found::Answered(answer)) => match Answer::decode(answer.expose()) {
            Some(answer) => {
                running.relay(&answer);
                Ok(Key::Again(Arc::new(answer)))
            }
            None => refused(KeyError::Away),
        },
        Ok(Found::Mismatch) => refused(KeyError::Mismatch),
        Ok(Found::NotKept) => refused(KeyError::NotKept),
        Ok(Found::Running) => refused(KeyError::InProgress),
        Ok(Found::Unknown) => refused(KeyError::Unknown),
        Err(KeysAway::NoRoom) => refused(KeyError::NoRoom),
        Err(away @ (KeysAway::Redis(_) | KeysAway::Sealed | KeysAway::Store(_))) => {
            tracing::warn!(event = "shared_keys_away", %away);
            refused(KeyError::Away)
        }
    }
}

/// The body of the first answer.
pub(crate) enum FirstBody {
    /// What was read of an answer that is not kept, and the rest.
    Passing(VecDeque<Frame<Bytes>>, Box<PooledBody>),
    /// All of it, and it is kept.
    Whole(Bytes),
}

/// Passes a request on and keeps its answer. Its places are taken until then, whether or not its caller waits for it, and come back with
/// what became of it.
pub(crate) async fn run(
    recorded: Recorded<Permitted<GatewayRequest>>,
    generation: Arc<Generation>,
    token: UpstreamToken,
    mut running: Running,
    places: Places,
) -> (Result<Response<FirstBody>, PassError>, Places) {
    // A task of its own: it goes on when the caller's connection does not.
    let carried = tokio::spawn(async move {
        running.passes_on();
        let earlier = Earlier::default();
        let seen = match &token {
            UpstreamToken::AsRouted => TokenSeen::Callers,
            UpstreamToken::Exchanged(_) => TokenSeen::Exchanged,
        };
        let passed = forward_telling(recorded, &generation.upstreams, token, Some(&earlier)).await;
        let ended = match passed {
            Ok(response) => keep(response, running, &earlier, seen).await,
            Err(error) => {
                if error.is_unsent() && !earlier.was_sent() {
                    running.end(Ended::NotCarriedOut).await;
                }
                Err(error)
            }
        };
        (ended, places)
    });
    carried.await.unwrap_or_else(|lost| {
        let lost = PassError::Connect(io::Error::other(lost));
        (Err(lost), Places::default())
    })
}

async fn keep(
    response: Response<PooledBody>,
    running: Running,
    earlier: &Earlier,
    seen: TokenSeen,
) -> Result<Response<FirstBody>, PassError> {
    let (head, mut body) = response.into_parts();
    let (mut frames, mut bytes) = (VecDeque::new(), 0_usize);
    let fields = fields_bytes(&head.headers);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error {
            AnswerError::Broken(error) => PassError::Http(error),
            AnswerError::Idle => PassError::Timeout,
        })?;
        let data = frame.data_ref().map(Bytes::len);
        frames.push_back(frame);
        bytes = bytes.saturating_add(data.unwrap_or(0));
        // Trailers belong to the answer, and what is kept has none.
        if data.is_none() || bytes.saturating_add(fields) > ANSWER_BYTES_MAX {
            running.end(Ended::TooLarge).await;
            let body = FirstBody::Passing(frames, Box::new(body));
            return Ok(Response::from_parts(head, body));
        }
    }
    let mut whole = BytesMut::with_capacity(bytes);
    for data in frames
        .into_iter()
        .filter_map(|frame| frame.into_data().ok())
    {
        whole.extend_from_slice(&data);
    }
    let whole = whole.freeze();
    if is_not_carried_out(head.status, &head.headers, seen) {
        if !earlier.was_sent() {
            running.end(Ended::NotCarriedOut).await;
        }
        // Else its outcome stays unknown: this attempt did nothing, an earlier one may have.
    } else {
        let mut headers = head.headers.clone();
        // A cookie is told once: later it would bring back a session that has ended since.
        headers.remove(header::SET_COOKIE);
        let answer = Answer {
            status: head.status,
            headers,
            body: whole.clone(),
        };
        running.end(Ended::Answered(answer)).await;
    }
    Ok(Response::from_parts(head, FirstBody::Whole(whole)))
}
