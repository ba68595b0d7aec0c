//! The rules as a tower layer: it stands behind the [`crate::GuardLayer`], whose subject is the caller that a key belongs to.

use super::answer::Answer;
use super::body::{AnswerBody, Read, read_answer, read_whole};
use super::key::IdempotencyKey;
use super::refusal::KeyRefusal;
use super::storage::{Claim, Claimed, Ending, FencingToken, IdempotencyStorage, Known};
use super::{
    ANSWER_BYTES_MAX, Execution, IdempotencyOptions, KeyNeed, NotCarriedOut, NotStored,
    OptionsError,
};
use bytes::Bytes;
use countersign_authn::Subject;
use countersign_crypto::digest::sha256_parts;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Says that an answer was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Puts the rules for keys before a service.
pub struct IdempotencyLayer<T>(Arc<Shared<T>>);

struct Shared<T> {
    options: IdempotencyOptions,
    storage: T,
}

impl<T: IdempotencyStorage> IdempotencyLayer<T> {
    /// The layer of these rules, with keys in `storage`.
    ///
    /// # Errors
    /// When the rules are past the bounds that there are.
    pub fn new(options: IdempotencyOptions, storage: T) -> Result<Self, OptionsError> {
        options.check()?;
        Ok(Self(Arc::new(Shared { options, storage })))
    }
}

impl<T> Clone for IdempotencyLayer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, S> Layer<S> for IdempotencyLayer<T> {
    type Service = IdempotencyService<T, S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdempotencyService {
            shared: Arc::clone(&self.0),
            inner,
        }
    }
}

/// A service behind the rules. Requests that are the first under a key carry an [`Execution`] in their extensions.
pub struct IdempotencyService<T, S> {
    shared: Arc<Shared<T>>,
    inner: S,
}

impl<T, S: Clone> Clone for IdempotencyService<T, S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            inner: self.inner.clone(),
        }
    }
}

impl<T, S, B, R> Service<Request<B>> for IdempotencyService<T, S>
where
    T: IdempotencyStorage,
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    B::Error: Send,
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Send,
{
    type Response = Response<AnswerBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        // The one that is ready goes with the request, its clone stays.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let asked = match shared.asked(&parts) {
                Ok(Some(asked)) => asked,
                Ok(None) => {
                    let response = inner.call(Request::from_parts(parts, body)).await?;
                    return Ok(response.map(AnswerBody::passing));
                }
                Err(refusal) => return Ok(shared.refused(refusal)),
            };
            let body = match read_whole(body, shared.options.request_bytes_max).await {
                Ok(body) => body,
                Err(refusal) => return Ok(shared.refused(refusal)),
            };
            let claim = shared.claim(&asked, fingerprint(&parts, &body));
            let also = Arc::clone(&shared);
            // A task of its own: what has begun goes on when the caller's connection does not, and the caller asks again.
            let carried = tokio::spawn(async move { also.carry(inner, parts, body, claim).await });
            match carried.await {
                Ok(answered) => answered,
                Err(_) => Ok(shared.refused(KeyRefusal::Failed)),
            }
        })
    }
}

/// Whose key it is.
struct Asked {
    name: [u8; 32],
    caller: [u8; 32],
}

impl<T: IdempotencyStorage> Shared<T> {
    /// Absent where a request has no key and needs none.
    fn asked(&self, parts: &Parts) -> Result<Option<Asked>, KeyRefusal> {
        if !is_unsafe(&parts.method) {
            return Ok(None);
        }
        let Some(key) = IdempotencyKey::of(&parts.headers)? else {
            return match self.options.need {
                KeyNeed::Optional => Ok(None),
                KeyNeed::Required => Err(KeyRefusal::Missing),
            };
        };
        if key.as_str().len() < self.options.key_bytes_min {
            return Err(KeyRefusal::Short);
        }
        // Without somebody whose it is, whoever guessed it would be given another's answer.
        let subject = parts.extensions.get::<Subject>();
        let subject = subject.ok_or(KeyRefusal::CallerUnknown)?;
        let principal = subject.principal().to_string();
        let caller = [
            subject.tenant().as_str(),
            subject.issuer().as_str(),
            &principal,
            subject.client().as_str(),
        ];
        let caller = digest(caller.map(str::as_bytes));
        let name = digest([
            &caller,
            parts.method.as_str().as_bytes(),
            parts.uri.path().as_bytes(),
            key.as_str().as_bytes(),
        ]);
        Ok(Some(Asked { name, caller }))
    }

    fn claim(&self, asked: &Asked, fingerprint: [u8; 32]) -> Claim {
        let now = self.options.clock.now();
        Claim {
            name: asked.name,
            caller: asked.caller,
            fingerprint,
            token: FencingToken::from_bytes(self.options.random.bytes()),
            now,
            lease_ends: now.plus(self.options.lease),
            expires: now.plus(self.options.keep),
            after_lease: self.options.after_lease,
        }
    }

    async fn carry<S, B, R>(
        &self,
        inner: S,
        parts: Parts,
        body: Bytes,
        claim: Claim,
    ) -> Result<Response<AnswerBody<R>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        B: From<Bytes>,
        R: Body,
    {
        let (name, token) = (claim.name, claim.token);
        let attempt = match self.storage.claim(claim).await {
            Ok(Claimed::First { attempt }) => attempt,
            Ok(Claimed::Known(known)) => return Ok(self.again(known)),
            Ok(Claimed::NoRoom) => return Ok(self.refused(KeyRefusal::NoRoom)),
            Err(_) => return Ok(self.refused(KeyRefusal::Away)),
        };
        let execution = Execution {
            name,
            token,
            attempt,
        };
        let mut request = Request::from_parts(parts, B::from(body));
        request.extensions_mut().insert(execution);
        let mut inner = inner;
        let answered = AssertUnwindSafe(async { inner.call(request).await });
        match answered.catch_unwind().await {
            Ok(Ok(response)) => Ok(self.keep(execution, response).await),
            Ok(Err(error)) => {
                drop(self.storage.end(name, token, Ending::Unknown).await);
                Err(error)
            }
            Err(_panic) => {
                drop(self.storage.end(name, token, Ending::Unknown).await);
                Ok(self.refused(KeyRefusal::Failed))
            }
        }
    }

    /// What whoever asks again is told.
    fn again<R: Body>(&self, known: Known) -> Response<AnswerBody<R>> {
        let refusal = match known {
            Known::Answered(answer) => {
                let mut response = answer.to_response();
                response
                    .headers_mut()
                    .insert(REPLAYED, HeaderValue::from_static("true"));
                return response;
            }
            Known::Mismatch => KeyRefusal::Mismatch,
            Known::NotKept => KeyRefusal::NotKept,
            Known::Running => KeyRefusal::InProgress,
            Known::Unknown => KeyRefusal::OutcomeUnknown,
        };
        self.refused(refusal)
    }

    /// Keeps the answer, and passes it on when it is kept.
    async fn keep<R: Body>(
        &self,
        execution: Execution,
        response: Response<R>,
    ) -> Response<AnswerBody<R>> {
        let (mut head, body) = response.into_parts();
        let not_carried_out = head.extensions.get::<NotCarriedOut>().is_some()
            || is_not_carried_out(head.status, &head.headers);
        let (ending, body) = if not_carried_out {
            (Ending::Free, AnswerBody::passing(body))
        } else {
            match read_answer(body, ANSWER_BYTES_MAX).await {
                Read::Broken(body) => (Ending::Unknown, body),
                Read::TooLarge(body) => (Ending::NotKept, body),
                Read::Whole(bytes) => {
                    let answer = Answer::new(head.status, &head.headers, bytes.clone());
                    let ending = answer.map_or(Ending::NotKept, Ending::Answered);
                    (ending, AnswerBody::whole(bytes))
                }
            }
        };
        let ended = self.storage.end(execution.name, execution.token, ending);
        if let Err(error) = ended.await {
            // It was carried out, and its caller is told; who asks again is told that nobody knows.
            head.extensions.insert(NotStored(Arc::new(error)));
        }
        Response::from_parts(head, body)
    }

    fn refused<R: Body>(&self, refusal: KeyRefusal) -> Response<AnswerBody<R>> {
        let options = &self.options;
        refusal.into_response(&options.described_by, options.keep.as_secs())
    }
}

/// The methods that keys are for: those that are not safe (RFC 9110 §9.2.1).
const fn is_unsafe(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// Whether an answer says that nothing was done: then the key is free for another try.
fn is_not_carried_out(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::MISDIRECTED_REQUEST | StatusCode::TOO_EARLY => {
            true
        }
        // Without a time to come back it may as well be a failure in the middle.
        StatusCode::SERVICE_UNAVAILABLE => headers.contains_key(header::RETRY_AFTER),
        _ => false,
    }
}

/// What is asked: the query, what the body is, and the body.
fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let field = |name| {
        let value = parts.headers.get(name);
        value.map_or(&b""[..], HeaderValue::as_bytes)
    };
    digest([
        parts.uri.query().unwrap_or_default().as_bytes(),
        field(header::CONTENT_TYPE),
        field(header::CONTENT_ENCODING),
        body,
    ])
}

/// Parts with their lengths before them, so that none runs into the next.
fn digest<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let lengths = parts.map(|part| u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    let mut all: Vec<&[u8]> = Vec::with_capacity(N * 2);
    for (length, part) in lengths.iter().zip(parts) {
        all.push(length);
        all.push(part);
    }
    sha256_parts(&all)
}

#[cfg(test)]
mod tests;
