//! The layer behind the guard, before a handler that counts what it does.

use super::*;
use crate::fixtures::{AUDIENCE, ORIGIN, Sender, clock, keys_of, rules};
use crate::idempotency::storage::{AfterLease, Ended};
use crate::idempotency::{MemoryKeys, StorageError};
use crate::{Guard, GuardLayer, GuardOptions, LifetimeOnly};
use countersign_authn::dpop::NonceUse;
use countersign_authn::jwks::JwksLimits;
use countersign_authn::replay::ReplayLimits;
use countersign_authn::{Anonymous, Binding};
use countersign_base::{Clock, Duration, Scopes};
use countersign_crypto::Random;
use futures_util::future::{join_all, ready};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

const KEY: &str = "8e03978e-40d5-43e8";
const PAGE: &str = "https://docs.example/keys";

/// What the handler does when it is asked.
#[derive(Clone, Copy)]
enum Act {
    Answer(u16),
    Bytes(usize),
    Fail,
    Later,
    Nothing,
    Panic,
}

/// The handler: what it does next, how often it was asked, and a gate before its answer.
struct Handler {
    act: Mutex<Act>,
    hits: AtomicUsize,
    attempts: Mutex<Vec<u32>>,
    gate: Semaphore,
    reached: Semaphore,
}

#[derive(Debug)]
struct Failure;

impl Handler {
    async fn answer(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let hit = self.hits.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(execution) = request.extensions().get::<Execution>() {
            self.attempts.lock().unwrap().push(execution.attempt());
        }
        self.reached.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let act = *self.act.lock().unwrap();
        let status = match act {
            Act::Answer(status) => status,
            Act::Fail => return Err(Failure),
            Act::Panic => panic!("as the test wants it"),
            Act::Later => 503,
            Act::Bytes(_) | Act::Nothing => 200,
        };
        let text = match act {
            Act::Bytes(bytes) => "x".repeat(bytes),
            _ => format!("{hit} of {}", body.len()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let headers = response.headers_mut();
        headers.insert("location", HeaderValue::from_static("/charges/7"));
        headers.insert("set-cookie", HeaderValue::from_static("session=1"));
        if matches!(act, Act::Later) {
            headers.insert("retry-after", HeaderValue::from_static("1"));
        }
        if matches!(act, Act::Nothing) {
            response.extensions_mut().insert(NotCarriedOut);
        }
        Ok(response)
    }
}

/// A process with its service.
struct World {
    sender: Sender,
    guard: Arc<Guard>,
    handler: Arc<Handler>,
    clock: Clock,
    seconds: Arc<AtomicI64>,
    keys: MemoryKeys,
    options: IdempotencyOptions,
}

impl World {
    fn new(act: Act) -> Self {
        let world = Self::held(act);
        world.handler.gate.add_permits(1_000_000);
        world
    }

    /// One whose handler waits before it answers.
    fn held(act: Act) -> Self {
        let sender = Sender::new();
        let (clock, seconds) = clock();
        let guard = Guard::new(
            GuardOptions {
                origin: ORIGIN.to_owned(),
                rules: rules(AUDIENCE, Binding::Any, Anonymous::Allowed),
                scopes: Scopes::none(),
                clock: clock.clone(),
                random: Random::system(),
                revocations: Arc::new(LifetimeOnly),
                nonces: NonceUse::AfterStart,
                jwks: JwksLimits::default(),
                replay: ReplayLimits::default(),
            },
            keys_of(&sender),
        );
        let handler = Arc::new(Handler {
            act: Mutex::new(act),
            hits: AtomicUsize::new(0),
            attempts: Mutex::default(),
            gate: Semaphore::new(0),
            reached: Semaphore::new(0),
        });
        let options = IdempotencyOptions::new(PAGE, clock.clone(), Random::system());
        Self {
            sender,
            guard: Arc::new(guard),
            handler,
            clock,
            seconds,
            keys: MemoryKeys::default(),
            options,
        }
    }

    fn act(&self, act: Act) {
        *self.handler.act.lock().unwrap() = act;
    }

    fn hits(&self) -> usize {
        self.handler.hits.load(Ordering::SeqCst)
    }

    fn pass(&self, time: Duration) {
        let seconds = i64::try_from(time.as_secs()).unwrap();
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    fn request(&self, claims: Value, keys: &[&str], body: &'static str) -> Request<Full<Bytes>> {
        let mut request = Request::post("/charges").body(Full::from(body)).unwrap();
        *request.headers_mut() = self.sender.bearer(claims);
        for key in keys {
            let key = HeaderValue::from_bytes(key.as_bytes()).unwrap();
            request.headers_mut().append("idempotency-key", key);
        }
        request
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Told, Failure> {
        self.send_over(self.keys.clone(), request).await
    }

    /// To a service of this handler with its keys in `storage`.
    async fn send_over(
        &self,
        storage: impl IdempotencyStorage,
        request: Request<Full<Bytes>>,
    ) -> Result<Told, Failure> {
        let handler = Arc::clone(&self.handler);
        let service = tower::service_fn(move |request| {
            let handler = Arc::clone(&handler);
            async move { handler.answer(request).await }
        });
        let layer = IdempotencyLayer::new(self.options.clone(), storage).unwrap();
        let service = GuardLayer::new(Arc::clone(&self.guard)).layer(layer.layer(service));
        let response = service.oneshot(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok(Told {
            status: head.status.as_u16(),
            refusal: head.extensions.get().copied(),
            not_stored: head.extensions.get::<NotStored>().is_some(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    }

    async fn post(&self, key: &str, body: &'static str) -> Told {
        let request = self.request(json!({}), &[key], body);
        self.send(request).await.unwrap()
    }
}

struct Told {
    status: u16,
    refusal: Option<KeyRefusal>,
    not_stored: bool,
    headers: HeaderMap,
    body: String,
}

impl Told {
    fn was_replayed(&self) -> bool {
        self.headers.contains_key(REPLAYED)
    }
}

#[tokio::test]
async fn what_comes_again_is_answered_as_before_and_not_executed() {
    let world = World::new(Act::Answer(201));
    let first = world.post(KEY, "abc").await;
    assert_eq!((first.status, first.was_replayed()), (201, false));
    assert!(first.headers.contains_key("set-cookie"));
    let again = world.post(KEY, "abc").await;
    assert_eq!((again.status, again.was_replayed()), (201, true));
    assert_eq!((again.body.as_str(), world.hits()), ("1 of 3", 1));
    assert_eq!(again.headers["location"], "/charges/7");
    assert!(!again.headers.contains_key("set-cookie"));
    // Quoted it is the same key.
    let quoted = world.post(&format!("\"{KEY}\""), "abc").await;
    assert!(quoted.was_replayed());
    // A failure is an answer like any other.
    world.act(Act::Answer(500));
    assert_eq!(world.post("another-key-16-c", "abc").await.status, 500);
    world.act(Act::Answer(201));
    let failed = world.post("another-key-16-c", "abc").await;
    assert_eq!(
        (failed.status, failed.was_replayed(), world.hits()),
        (500, true, 2)
    );
}

#[tokio::test]
async fn a_key_used_for_something_else_is_422() {
    let world = World::new(Act::Answer(200));
    assert_eq!(world.post(KEY, "abc").await.status, 200);
    let body = world.post(KEY, "abd").await;
    assert_eq!(
        (body.status, body.refusal),
        (422, Some(KeyRefusal::Mismatch))
    );
    for (name, value) in [("content-type", "text/csv"), ("content-encoding", "gzip")] {
        let mut request = world.request(json!({}), &[KEY], "abc");
        let value = HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
        assert_eq!(world.send(request).await.unwrap().status, 422, "{name}");
    }
    let mut request = world.request(json!({}), &[KEY], "abc");
    *request.uri_mut() = "/charges?dry=1".parse().unwrap();
    assert_eq!(world.send(request).await.unwrap().status, 422);
    assert_eq!(world.hits(), 1);
    // Another path or method is another key.
    let mut request = world.request(json!({}), &[KEY], "abc");
    *request.uri_mut() = "/refunds".parse().unwrap();
    assert_eq!(world.send(request).await.unwrap().body, "2 of 3");
    let mut request = world.request(json!({}), &[KEY], "abc");
    *request.method_mut() = Method::PUT;
    assert_eq!(world.send(request).await.unwrap().body, "3 of 3");
}

#[tokio::test]
async fn nobody_meets_the_answers_of_others() {
    let world = World::new(Act::Answer(200));
    let callers = [
        json!({}),
        json!({ "sub": "ffeeddccbbaa99887766554433221100" }),
        json!({ "client_id": "other" }),
    ];
    for (number, claims) in callers.iter().enumerate() {
        let request = world.request(claims.clone(), &[KEY], "abc");
        let told = world.send(request).await.unwrap();
        assert_eq!(told.body, format!("{} of 3", number + 1));
    }
    for claims in callers {
        let request = world.request(claims, &[KEY], "abc");
        assert!(world.send(request).await.unwrap().was_replayed());
    }
    // Without a token there is nobody whose key it could be.
    let mut anonymous = world.request(json!({}), &[KEY], "abc");
    anonymous.headers_mut().remove("authorization");
    let told = world.send(anonymous).await.unwrap();
    assert_eq!(
        (told.status, told.refusal),
        (400, Some(KeyRefusal::CallerUnknown))
    );
    assert_eq!(world.hits(), 3);
}

#[tokio::test]
async fn a_key_is_needed_where_the_rules_say_so_and_only_for_unsafe_methods() {
    let mut world = World::new(Act::Answer(200));
    let refused = async |world: &World, keys: &[&str]| {
        let request = world.request(json!({}), keys, "abc");
        let told = world.send(request).await.unwrap();
        (told.status, told.refusal)
    };
    assert_eq!(refused(&world, &[]).await, (200, None));
    world.options.need = KeyNeed::Required;
    for (keys, refusal) in [
        (&[][..], KeyRefusal::Missing),
        (&["a b"], KeyRefusal::Malformed),
        (&[KEY, KEY], KeyRefusal::Several),
        (&["fifteen-charact"], KeyRefusal::Short),
    ] {
        assert_eq!(
            refused(&world, keys).await,
            (400, Some(refusal)),
            "{keys:?}"
        );
    }
    assert_eq!(world.hits(), 1);
    assert_eq!(refused(&world, &["sixteen-characte"]).await, (200, None));
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let mut request = world.request(json!({}), &[], "");
        *request.method_mut() = method;
        assert_eq!(world.send(request).await.unwrap().status, 200);
    }
    world.options.key_bytes_min = 1;
    assert_eq!(refused(&world, &["k"]).await, (200, None));
}

#[tokio::test]
async fn a_refusal_is_a_problem_that_links_to_its_page() {
    let mut world = World::new(Act::Answer(200));
    world.options.need = KeyNeed::Required;
    world.options.keep = Duration::from_secs(3_600);
    let request = world.request(json!({}), &[], "abc");
    let told = world.send(request).await.unwrap();
    assert_eq!(told.headers["content-type"], "application/problem+json");
    assert_eq!(
        told.headers["link"],
        format!("<{PAGE}>; rel=\"describedby\"")
    );
    let problem: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(problem["type"], format!("{PAGE}#idempotency_key_missing"));
    assert_eq!(
        (&problem["status"], &problem["kept_seconds"]),
        (&json!(400), &json!(3_600))
    );
    assert!(problem["title"].as_str().unwrap().contains("needed"));
}

#[tokio::test]
async fn of_100_at_once_one_is_executed() {
    let world = World::held(Act::Answer(201));
    let all = join_all((0..100).map(|_| world.post(KEY, "abc")));
    let release = async {
        world.handler.reached.acquire().await.unwrap().forget();
        // The others have been told by then: they wait for nothing.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        world.handler.gate.add_permits(100);
    };
    let (told, ()) = futures_util::join!(all, release);
    assert_eq!(world.hits(), 1);
    let first = told
        .iter()
        .filter(|told| told.status == 201 && !told.was_replayed());
    assert_eq!(first.count(), 1);
    for told in told.iter().filter(|told| told.status != 201) {
        assert_eq!(
            (told.status, told.refusal),
            (409, Some(KeyRefusal::InProgress))
        );
        assert_eq!(told.headers["retry-after"], "1");
    }
    assert!(
        told.iter()
            .all(|told| told.status == 201 || told.status == 409)
    );
    assert!(world.post(KEY, "abc").await.was_replayed());
}

#[tokio::test]
async fn a_caller_that_lost_its_connection_finds_the_answer() {
    let world = World::held(Act::Answer(201));
    let mut first = Box::pin(world.post(KEY, "abc"));
    while world.hits() == 0 {
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    drop(first);
    world.handler.gate.add_permits(1);
    let told = loop {
        let told = world.post(KEY, "abc").await;
        if told.status != 409 {
            break told;
        }
        tokio::task::yield_now().await;
    };
    assert!(told.was_replayed());
    assert_eq!((told.body.as_str(), world.hits()), ("1 of 3", 1));
}

#[tokio::test]
async fn what_may_have_taken_effect_is_not_done_twice_and_what_has_not_is() {
    let world = World::new(Act::Fail);
    let request = world.request(json!({}), &[KEY], "abc");
    assert!(world.send(request).await.is_err());
    let told = world.post(KEY, "abc").await;
    assert_eq!(
        (told.status, told.refusal),
        (409, Some(KeyRefusal::OutcomeUnknown))
    );
    world.act(Act::Panic);
    let told = world.post("panics-16-charac", "abc").await;
    assert_eq!((told.status, told.refusal), (500, Some(KeyRefusal::Failed)));
    world.act(Act::Answer(200));
    let told = world.post("panics-16-charac", "abc").await;
    assert_eq!(told.refusal, Some(KeyRefusal::OutcomeUnknown));
    assert_eq!(world.hits(), 2);
    // The handler, or what stands before it, says that it did nothing.
    for (act, key) in [
        (Act::Answer(429), "busy-16-characte"),
        (Act::Later, "later-16-charact"),
        (Act::Nothing, "nothing-16-chara"),
    ] {
        world.act(act);
        let before = world.hits();
        let first = world.post(key, "abc").await;
        assert!(!first.was_replayed());
        world.act(Act::Answer(200));
        let again = world.post(key, "abc").await;
        assert_eq!((again.status, again.was_replayed()), (200, false));
        assert_eq!(world.hits(), before + 2);
    }
}

#[tokio::test]
async fn who_dies_before_the_answer_leaves_what_the_rules_say() {
    for (after, told) in [
        (AfterLease::OutcomeUnknown, "409"),
        (AfterLease::RunAgain, "201"),
    ] {
        let mut world = World::held(Act::Answer(201));
        world.options.after_lease = after;
        // Killed between execution and answer: its task is there and says nothing.
        let mut first = Box::pin(world.post(KEY, "abc"));
        while world.hits() == 0 {
            assert!(futures_util::poll!(first.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        world.pass(world.options.lease - Duration::from_secs(1));
        assert_eq!(
            world.post(KEY, "abc").await.refusal,
            Some(KeyRefusal::InProgress)
        );
        world.pass(Duration::from_secs(1));
        // Its own turn at the gate comes after that of whoever takes over.
        let second = world.post(KEY, "abc");
        let release = async {
            while after == AfterLease::RunAgain && world.hits() == 1 {
                tokio::task::yield_now().await;
            }
            world.handler.gate.add_permits(2);
        };
        let (second, ()) = futures_util::join!(second, release);
        assert_eq!(second.status.to_string(), told);
        let attempts = world.handler.attempts.lock().unwrap().clone();
        match after {
            AfterLease::OutcomeUnknown => assert_eq!(attempts, [1]),
            AfterLease::RunAgain => assert_eq!(attempts, [1, 2]),
        }
        // The late answer of the first goes to its caller, and only where nobody took over it is kept.
        assert_eq!(first.await.body, "1 of 3");
        let last = world.post(KEY, "abc").await;
        match after {
            AfterLease::OutcomeUnknown => assert_eq!(last.body, "1 of 3"),
            AfterLease::RunAgain => assert_eq!(last.body, "2 of 3"),
        }
    }
}

#[tokio::test]
async fn answers_are_kept_for_their_time_and_no_longer() {
    let world = World::new(Act::Answer(200));
    assert_eq!(world.post(KEY, "abc").await.body, "1 of 3");
    world.pass(Duration::from_secs(300));
    assert!(world.post(KEY, "abc").await.was_replayed());
    // The token of the fixture is over by then: the clock of the keys alone goes on.
    let clock = world.clock.clone();
    let later = Clock::from_fn(move || {
        countersign_base::UnixMillis(clock.now().plus(Duration::from_secs(86_100)).0 * 1_000)
    });
    let world = World {
        options: IdempotencyOptions {
            clock: later,
            ..world.options.clone()
        },
        ..world
    };
    let fresh = world.post(KEY, "abd").await;
    assert_eq!(
        (fresh.body.as_str(), fresh.was_replayed()),
        ("2 of 3", false)
    );
}

#[tokio::test]
async fn an_answer_too_large_to_keep_goes_out_once() {
    let world = World::new(Act::Bytes(ANSWER_BYTES_MAX + 1));
    let first = world.post(KEY, "abc").await;
    assert_eq!(
        (first.status, first.body.len()),
        (200, ANSWER_BYTES_MAX + 1)
    );
    let again = world.post(KEY, "abc").await;
    assert_eq!(
        (again.status, again.refusal),
        (409, Some(KeyRefusal::NotKept))
    );
    assert_eq!(world.hits(), 1);
}

#[tokio::test]
async fn a_request_has_a_size() {
    let mut world = World::new(Act::Answer(200));
    world.options.request_bytes_max = 2;
    let told = world.post(KEY, "abc").await;
    assert_eq!(
        (told.status, told.refusal),
        (413, Some(KeyRefusal::BodyTooLarge))
    );
    let without = world.request(json!({}), &[], "abc");
    assert_eq!(world.send(without).await.unwrap().status, 200);
    assert_eq!(world.hits(), 1);
}

/// A storage that is away when it is asked, or when it is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Asked,
    Told,
}

impl IdempotencyStorage for Away {
    fn claim(&self, _: Claim) -> BoxFuture<'_, Result<Claimed, StorageError>> {
        Box::pin(ready(match self {
            Self::Asked => Err(StorageError::new("away")),
            Self::Told => Ok(Claimed::First { attempt: 1 }),
        }))
    }

    fn end(
        &self,
        _: [u8; 32],
        _: FencingToken,
        _: Ending,
    ) -> BoxFuture<'_, Result<Ended, StorageError>> {
        Box::pin(ready(Err(StorageError::new("away"))))
    }
}

#[tokio::test]
async fn while_the_storage_is_away_nothing_with_a_key_is_executed() {
    let world = World::new(Act::Answer(201));
    let request = world.request(json!({}), &[KEY], "abc");
    let told = world.send_over(Away::Asked, request).await.unwrap();
    assert_eq!((told.status, told.refusal), (503, Some(KeyRefusal::Away)));
    assert_eq!(world.hits(), 0);
    // What was carried out is told to its caller, and the log reads that it is not kept.
    let request = world.request(json!({}), &[KEY], "abc");
    let told = world.send_over(Away::Told, request).await.unwrap();
    assert!(told.status == 201 && told.not_stored);
}
