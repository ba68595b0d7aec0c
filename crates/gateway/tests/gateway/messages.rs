//! Partners' messages at a route: what the upstream gets of them, what comes back, and what is refused. Each refusal has a twin that goes through.

use crate::routes::{built, spec, specs};
use crate::world::World;
use bytes::Bytes;
use countersign_base::{Duration, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, ContentForm, DecryptionKey, EncryptionKey, EncryptionKeyType, JwkSet, KeyAlgorithm,
    KeyManagement, PrivateJwk, SignedContent,
};
use countersign_crypto::random::Random;
use countersign_gateway::forward_auth::{Answers, ForwardAuth, PATH, TrustedProxy};
use countersign_gateway::messages::{Answered, MessageRules, PartnerKeySet, PartnerKeys, Taken};
use countersign_gateway::routes::RouteSpec;
use countersign_gateway::{RouteError, Routes};
use countersign_net::ClientResponse;
use countersign_wire::message::{
    AnswerMark, Draft, Made, Message, MessageRefusal, Occasion, Party, Receiving, danger, open,
    seal, sign, verify, verify_detached, verify_receipt,
};
use http::{Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const CONTENT: &str = r#"{"order":1}"#;
const FORMS: [&str; 3] = ["signed", "detached", "sealed"];

/// The partner's keys and ours.
struct Keys {
    acme: PrivateJwk,
    acme_opens: PrivateJwk,
    ours: PrivateJwk,
    ours_open: PrivateJwk,
}

fn generated(algorithm: KeyAlgorithm, kid: &str) -> PrivateJwk {
    PrivateJwk::generate(algorithm, Some(kid.parse().unwrap())).unwrap()
}

impl Keys {
    fn new() -> Self {
        let p256 = KeyAlgorithm::Encryption(EncryptionKeyType::P256);
        Self {
            acme: generated(KeyAlgorithm::Signature(Algorithm::EdDsa), "acme-1"),
            acme_opens: generated(p256, "acme-seal"),
            ours: generated(KeyAlgorithm::Signature(Algorithm::Es256), "ours-1"),
            ours_open: generated(p256, "ours-seal"),
        }
    }

    /// The partner's set.
    fn published(&self) -> PartnerKeySet {
        let keys = [self.acme.public(), self.acme_opens.public()];
        let set = serde_json::json!({ "keys": keys });
        PartnerKeySet::parse(set.to_string().as_bytes()).unwrap()
    }

    fn rules(&self, form: &str) -> MessageRules {
        let opening: DecryptionKey = self.ours_open.decryption_key().unwrap();
        let (taken, answered) = match form {
            "detached" => (
                Taken::Detached,
                Answered::Detached(self.ours.signing_key().unwrap()),
            ),
            "sealed" => (
                Taken::Sealed(vec![opening]),
                Answered::Sealed(self.ours.signing_key().unwrap()),
            ),
            "answers" => (
                Taken::Plain,
                Answered::Signed(self.ours.signing_key().unwrap()),
            ),
            _ => (
                Taken::Signed,
                Answered::Signed(self.ours.signing_key().unwrap()),
            ),
        };
        let is_message = !matches!(taken, Taken::Plain);
        MessageRules {
            partner: "acme".parse().unwrap(),
            tenant: "demo".parse().unwrap(),
            party: party("acme"),
            own: party("us"),
            keys: PartnerKeys::Pinned(Arc::new(self.published())),
            taken,
            answered,
            mark: AnswerMark::Critical,
            receipts: is_message.then(|| self.ours.signing_key().unwrap()),
        }
    }

    /// A request of the partner's.
    fn made(&self, form: &str, content: &str, now: UnixTime) -> Made {
        self.written(form, Occasion::Own, content, now)
    }

    fn written(&self, form: &str, occasion: Occasion, content: &str, now: UnixTime) -> Made {
        let key = self.acme.signing_key().unwrap();
        let draft = Draft {
            issuer: party("acme"),
            audience: party("us"),
            occasion,
            mark: AnswerMark::Critical,
            content_type: "application/json".parse().unwrap(),
            lifetime: Duration::from_secs(60),
        };
        let (content, random) = (content.as_bytes(), Random::system());
        let made = match form {
            "detached" => sign(&key, &draft, content, ContentForm::Detached, &random, now),
            "sealed" => {
                let to = EncryptionKey::parse(self.ours_open.public()).unwrap();
                let to = (&to, KeyManagement::EcdhEs);
                seal(&key, &draft, content, to, &random, now)
            }
            _ => sign(&key, &draft, content, ContentForm::Attached, &random, now),
        };
        made.unwrap()
    }

    /// What came back, as the partner reads it.
    fn answered(
        &self,
        (form, occasion): (&str, &Occasion),
        answer: &ClientResponse,
        now: UnixTime,
    ) -> Result<Message, MessageRefusal> {
        let keys = JwkSet::single(self.ours.verifying_key().unwrap());
        let (us, acme) = (party("us"), party("acme"));
        let receiving = Receiving {
            issuer: &us,
            keys: &keys,
            audience: &acme,
            occasion,
        };
        let body = std::str::from_utf8(&answer.body).unwrap();
        let opened = match form {
            "detached" => {
                let signature = answer.headers["message-signature"].to_str().unwrap();
                verify_detached(signature, &answer.body, &receiving, now)
            }
            "sealed" => {
                let key = self.acme_opens.decryption_key().unwrap();
                open(body, [&key], &receiving, now)
            }
            _ => verify(body, &receiving, now),
        };
        opened.map(danger::spent)
    }
}

fn party(name: &str) -> Party {
    format!("https://{name}.example").parse().unwrap()
}

fn routes(world: &World, keys: &Keys) -> Routes {
    let mut all = specs();
    let mut rules = Vec::new();
    for form in FORMS.into_iter().chain(["answers"]) {
        let id = format!("m-{form}");
        all.push(RouteSpec {
            // A sealed answer stands in base64url twice.
            body_bytes_max: 4_000,
            ..spec(&id, &format!("/m-{form}/{{*rest}}"))
        });
        rules.push((id.parse().unwrap(), keys.rules(form)));
    }
    let routes = built(&world.authority, &world.upstream, all);
    routes.with_messages(rules).unwrap()
}

fn start() -> (World, Keys) {
    let (world, keys) = (World::start(), Keys::new());
    world.replace(routes(&world, &keys));
    (world, keys)
}

async fn post(world: &World, path: &str, fields: &[(&str, &str)], body: &str) -> ClientResponse {
    let bearer = world.bearer(|_| {});
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(fields);
    let body = Bytes::from(body.to_owned());
    world
        .send(&world.client(None), Method::POST, path, &all, body)
        .await
}

/// Sends a message as its form has it.
async fn send(world: &World, form: &str, made: &Made, content: &str) -> ClientResponse {
    let path = format!("/m-{form}/echo");
    let echo = ("x-answer-type", "application/json");
    if form == "detached" {
        let fields = [
            ("content-type", "application/json"),
            ("message-signature", made.text.as_str()),
            echo,
        ];
        return post(world, &path, &fields, content).await;
    }
    let fields = [("content-type", "application/jose"), echo];
    post(world, &path, &fields, &made.text).await
}

#[tokio::test]
async fn the_upstream_gets_the_content_and_the_partner_a_message_and_a_receipt() {
    let (world, keys) = start();
    for form in FORMS {
        let made = keys.made(form, CONTENT, world.now());
        let answer = send(&world, form, &made, CONTENT).await;
        assert_eq!(answer.status, StatusCode::OK, "{form}");
        let seen = world.upstream.take_one();
        assert_eq!(seen.body.unwrap(), CONTENT);
        let said = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
        assert_eq!(said("content-type"), "application/json");
        assert_eq!(said("content-length"), CONTENT.len().to_string());
        assert_eq!(said("countersign-message-partner"), "acme");
        assert_eq!(said("countersign-message-issuer"), "https://acme.example");
        assert_eq!(said("countersign-message-id"), made.sent.id.as_str());
        assert_eq!(said("countersign-message-key"), "acme-1");
        let digest = base64url::encode(&made.sent.digests.content);
        assert_eq!(said("countersign-message-sha256"), digest);
        assert!(!seen.headers.contains_key("message-signature"));
        // Back comes what the upstream said, as a message of ours.
        let read = |occasion: &Occasion| keys.answered((form, occasion), &answer, world.now());
        let message = read(&Occasion::AnswerTo(made.sent.id.clone())).unwrap();
        // It is no request, and answers nothing else.
        let refused = [
            (Occasion::Own, MessageRefusal::AnswerUnasked),
            (Occasion::AnswerToPlain, MessageRefusal::AnswerOther),
        ];
        for (other, reason) in refused {
            assert_eq!(read(&other).unwrap_err(), reason, "{form}");
        }
        assert_eq!(message.content(), CONTENT.as_bytes());
        assert_eq!(message.content_type.as_str(), "application/json");
        let media_type = answer.headers["content-type"].to_str().unwrap();
        let expected = if form == "detached" {
            "application/json"
        } else {
            "application/jose"
        };
        assert_eq!(media_type, expected);
        assert!(
            !answer.headers.contains_key("etag") && !answer.headers.contains_key("content-digest")
        );
        let receipt = answer.headers["message-receipt"].to_str().unwrap();
        let ours = JwkSet::single(keys.ours.verifying_key().unwrap());
        let receipt = verify_receipt(receipt, &ours, &made.sent, world.now()).unwrap();
        assert_eq!(receipt.message, made.sent.id);
        // Both stand in the log, by the names and digests that the partner has too.
        let log = world.log_text().await;
        World::assert_logged(&log, "message.received");
        World::assert_logged(&log, "message.sent");
        World::assert_logged(&log, made.sent.id.as_str());
        World::assert_logged(&log, message.id.as_str());
    }
    world.stop().await;
}

#[tokio::test]
async fn a_message_is_passed_on_once_in_whatever_form_it_comes() {
    let (world, keys) = start();
    let made = keys.made("signed", CONTENT, world.now());
    assert_eq!(
        send(&world, "signed", &made, CONTENT).await.status,
        StatusCode::OK
    );
    assert_eq!(world.upstream.take().len(), 1);
    let again = send(&world, "signed", &made, CONTENT).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(!again.headers.contains_key("message-receipt"));
    // The same signature beside its content, at another route of the partner.
    let [header, _, signature] = made.text.split('.').collect::<Vec<_>>().try_into().unwrap();
    let beside = Made {
        text: format!("{header}..{signature}"),
        sent: made.sent.clone(),
    };
    let again = send(&world, "detached", &beside, CONTENT).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(world.upstream.take().is_empty());
    World::assert_logged(&world.log_text().await, "message_replayed");
    let other = keys.made("signed", CONTENT, world.now());
    let answer = send(&world, "signed", &other, CONTENT).await;
    assert_eq!(answer.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list, a case each")]
async fn what_does_not_hold_never_reaches_the_upstream() {
    let (world, keys) = start();
    let now = world.now();
    let stranger = Keys {
        acme: generated(KeyAlgorithm::Signature(Algorithm::EdDsa), "acme-1"),
        ..Keys::new()
    };
    let hour = Duration::from_secs(3_600);
    let jose = [("content-type", "application/jose")];
    let good = || keys.made("signed", CONTENT, now).text;
    let detached = keys.made("detached", CONTENT, now).text;
    let beside = [
        ("content-type", "application/json"),
        ("message-signature", detached.as_str()),
    ];
    let twice = [beside[0], beside[1], beside[1]];
    let gzip = [jose[0], ("content-encoding", "gzip")];
    let old = keys.made("signed", CONTENT, now.minus(hour)).text;
    let early = keys.made("signed", CONTENT, now.plus(hour)).text;
    let forged = stranger.made("signed", CONTENT, now).text;
    let for_other = stranger.made("sealed", CONTENT, now).text;
    for (path, fields, body, status, reason) in [
        (
            "/m-signed/a",
            &jose[..],
            forged,
            400,
            "message_signature_wrong",
        ),
        ("/m-signed/a", &jose, old, 400, "message_expired"),
        ("/m-signed/a", &jose, early, 400, "message_issued_later"),
        (
            "/m-signed/a",
            &jose,
            CONTENT.to_owned(),
            400,
            "message_malformed",
        ),
        (
            "/m-signed/a",
            &jose,
            detached.clone(),
            400,
            "message_malformed",
        ),
        (
            "/m-signed/a",
            &jose,
            String::new(),
            400,
            "message_malformed",
        ),
        (
            "/m-signed/a",
            &[("content-type", "application/json")],
            good(),
            415,
            "message_media_type",
        ),
        ("/m-signed/a", &[], good(), 415, "message_media_type"),
        ("/m-signed/a", &gzip, good(), 415, "message_media_type"),
        (
            "/m-sealed/a",
            &jose,
            for_other,
            400,
            "message_does_not_open",
        ),
        ("/m-sealed/a", &jose, good(), 400, "message_malformed"),
        (
            "/m-detached/a",
            &beside,
            CONTENT.replace('1', "2"),
            400,
            "message_signature_wrong",
        ),
        (
            "/m-detached/a",
            &beside[..1],
            CONTENT.to_owned(),
            400,
            "message_no_signature",
        ),
        (
            "/m-detached/a",
            &twice,
            CONTENT.to_owned(),
            400,
            "message_no_signature",
        ),
    ] {
        let answer = post(&world, path, fields, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{reason}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("message"));
        World::assert_logged(&world.log_text().await, reason);
    }
    assert!(world.upstream.take().is_empty());
    assert_eq!(
        post(&world, "/m-signed/a", &jose, &good()).await.status,
        StatusCode::OK
    );
    assert_eq!(
        post(&world, "/m-detached/a", &beside, CONTENT).await.status,
        StatusCode::OK
    );
    world.stop().await;
}

/// What the partner answered to us is by its key and for us, and holds: whoever carried it hands it in as if the partner asked.
#[tokio::test]
async fn an_answer_is_no_request() {
    let (world, keys) = start();
    let asked = Occasion::AnswerTo("asked-1".parse().unwrap());
    for form in FORMS {
        for occasion in [Occasion::AnswerToPlain, asked.clone()] {
            let answer = keys.written(form, occasion, CONTENT, world.now());
            let refused = send(&world, form, &answer, CONTENT).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{form}");
            assert!(!refused.headers.contains_key("message-receipt"));
            let said: Value = serde_json::from_slice(&refused.body).unwrap();
            let records = world.records_of(said["request_id"].as_str().unwrap()).await;
            let [record] = &records[..] else {
                panic!("one record: {records:?}");
            };
            assert_eq!(record["kind"], "decision");
            assert_eq!(record["detail"]["decision"], "denied");
            assert_eq!(record["detail"]["reason"], "message_answer_unasked");
        }
        assert!(world.upstream.take().is_empty());
        // The good twin.
        let request = keys.made(form, CONTENT, world.now());
        let answer = send(&world, form, &request, CONTENT).await;
        assert_eq!(answer.status, StatusCode::OK, "{form}");
        assert_eq!(world.upstream.take().len(), 1);
    }
    world.stop().await;
}

/// Two requests of one partner, and whoever carries the answers swaps them.
#[tokio::test]
async fn an_answer_is_taken_for_no_other_request() {
    let (world, keys) = start();
    for form in FORMS {
        let (first, second) = (CONTENT, r#"{"order":2}"#);
        let ask = async |content: &str| {
            let made = keys.made(form, content, world.now());
            let answer = send(&world, form, &made, content).await;
            (Occasion::AnswerTo(made.sent.id), answer)
        };
        let (asked_first, answer_first) = ask(first).await;
        let (asked_second, answer_second) = ask(second).await;
        let read = |asked: &Occasion, answer: &ClientResponse| {
            let message = keys.answered((form, asked), answer, world.now());
            message.map(|message| String::from_utf8(message.content().to_vec()).unwrap())
        };
        assert_eq!(read(&asked_first, &answer_first), Ok(first.to_owned()));
        assert_eq!(read(&asked_second, &answer_second), Ok(second.to_owned()));
        let other = Err(MessageRefusal::AnswerOther);
        assert_eq!(read(&asked_first, &answer_second), other, "{form}");
        assert_eq!(read(&asked_second, &answer_first), other, "{form}");
    }
    world.stop().await;
}

/// A reader that understands nothing critical refuses our answers, and reads them where the partner's file says that they may be ignored.
#[tokio::test]
async fn a_partner_who_does_not_know_answers_is_told_apart_by_configuration() {
    let (world, keys) = start();
    for (mark, is_read) in [(AnswerMark::Critical, false), (AnswerMark::Ignorable, true)] {
        let rules = MessageRules {
            mark,
            ..keys.rules("signed")
        };
        let mut all = specs();
        all.push(spec("m-signed", "/m-signed/{*rest}"));
        let routes = built(&world.authority, &world.upstream, all);
        let rules = vec![("m-signed".parse().unwrap(), rules)];
        world.replace(routes.with_messages(rules).unwrap());
        let made = keys.made("signed", CONTENT, world.now());
        let answer = send(&world, "signed", &made, CONTENT).await;
        let body = std::str::from_utf8(&answer.body).unwrap();
        let read = SignedContent::parse(body, &[], 4096);
        assert_eq!(read.is_ok(), is_read, "{mark:?}");
        // Whoever knows them is told the same by both.
        let asked = Occasion::AnswerTo(made.sent.id);
        assert!(
            keys.answered(("signed", &asked), &answer, world.now())
                .is_ok()
        );
        let unasked = keys.answered(("signed", &Occasion::Own), &answer, world.now());
        assert_eq!(unasked.unwrap_err(), MessageRefusal::AnswerUnasked);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_message_that_is_denied_is_not_spent_and_one_that_cannot_be_remembered_goes_nowhere() {
    let (world, keys) = start();
    let made = keys.made("signed", CONTENT, world.now());
    let jose = ("content-type", "application/jose");
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str()), jose];
    let post = async || {
        let body = Bytes::from(made.text.clone());
        let client = world.client(None);
        let sent = world.send(&client, Method::POST, "/m-signed/a", &fields, body);
        sent.await.status.as_u16()
    };
    world
        .decide_by("@id(\"not-now\") forbid (principal, action, resource == Route::\"m-signed\");");
    assert_eq!(post().await, 403);
    world.decide_by("");
    world.planes.away.store(true, Ordering::SeqCst);
    assert_eq!(post().await, 503);
    assert!(world.upstream.take().is_empty());
    World::assert_logged(&world.log_text().await, "message_memory_away");
    world.planes.away.store(false, Ordering::SeqCst);
    assert_eq!(post().await, 200);
    assert_eq!(world.upstream.take().len(), 1);
    assert_eq!(post().await, 409);
    world.stop().await;
}

/// The credential is asked first: a message is no credential, and a stranger's bytes are not read.
#[tokio::test]
async fn a_message_is_no_credential() {
    let (world, keys) = start();
    let made = keys.made("signed", CONTENT, world.now());
    let fields = [("content-type", "application/jose")];
    let client = world.client(None);
    let body = || Bytes::from(made.text.clone());
    let answer = world.send(&client, Method::POST, "/m-signed/a", &fields, body());
    assert_eq!(answer.await.status, StatusCode::UNAUTHORIZED);
    assert!(world.upstream.take().is_empty());
    let answer = post(&world, "/m-signed/a", &fields, &made.text).await;
    assert_eq!(answer.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn what_the_gateway_says_of_a_message_no_caller_says() {
    let (world, keys) = start();
    let planted = [
        ("content-type", "application/json"),
        ("countersign-message-issuer", "https://mallory.example"),
        ("countersign-message-id", "planted"),
        ("message-receipt", "planted"),
    ];
    let answer = post(&world, "/m-answers/a", &planted, CONTENT).await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = world.upstream.take_one();
    assert!(!seen.headers.contains_key("countersign-message-issuer"));
    assert!(!seen.headers.contains_key("countersign-message-id"));
    assert_eq!(seen.body.unwrap(), CONTENT);
    // Answers alone are messages here.
    let occasion = Occasion::AnswerToPlain;
    let message = keys.answered(("signed", &occasion), &answer, world.now());
    let message = message.unwrap();
    assert_eq!(message.content_type.as_str(), "application/octet-stream");
    assert!(!answer.headers.contains_key("message-receipt"));
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_a_message_is_not_passed_on_as_another() {
    let (world, _keys) = start();
    for (fields, status) in [
        (vec![("x-answer-type", "text/plain")], 200),
        (vec![("x-answer-encoding", "gzip")], 502),
        (vec![("x-answer-type", "nonsense")], 502),
        (vec![("x-answer-times", "200000")], 502),
    ] {
        let answer = post(&world, "/m-answers/echo", &fields, CONTENT).await;
        assert_eq!(answer.status.as_u16(), status, "{fields:?}");
    }
    // Nothing is nothing.
    let answer = post(&world, "/m-answers/echo", &[], "").await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    world.stop().await;
}

/// A proxy that keeps the body can be told nothing about what is in it, and would pass an answer on as it is.
#[tokio::test]
async fn a_proxy_that_keeps_the_message_gets_no_permit_for_it() {
    let (world, keys) = start();
    let secret = "0123456789abcdef0123456789abcdef";
    let of_proxy = countersign_base::Secret::new(secret.to_owned());
    let proxy = TrustedProxy::new(Some(&of_proxy), None, Answers::Exact).unwrap();
    world.replace(routes(&world, &keys).asked_by(ForwardAuth::new(vec![proxy])));
    let bearer = world.bearer(|_| {});
    let host = format!("localhost:{}", world.port());
    for (path, status) in [
        ("/m-signed/a", 400),
        ("/m-answers/a", 400),
        ("/things/a", 200),
    ] {
        let fields = [
            ("countersign-proxy-secret", secret),
            ("x-forwarded-method", "POST"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-uri", path),
            ("x-forwarded-host", &host),
            ("authorization", &bearer),
        ];
        let answer = world.get(PATH, &fields).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn rules_are_for_a_route_of_the_same_tenant_and_for_one_partner() {
    let (world, keys) = (World::start(), Keys::new());
    let check = |rules: Vec<(&str, MessageRules)>| {
        let specs = vec![spec("m", "/m")];
        let rules = rules.into_iter();
        let rules = rules.map(|(route, rules)| (route.parse().unwrap(), rules));
        let routes = built(&world.authority, &world.upstream, specs);
        routes.with_messages(rules.collect()).map(|_| ())
    };
    let refused = |route: &str| Err(RouteError::Message(route.parse().unwrap()));
    let other = MessageRules {
        tenant: "other".parse().unwrap(),
        ..keys.rules("signed")
    };
    assert_eq!(check(vec![("m", keys.rules("signed"))]), Ok(()));
    assert_eq!(check(vec![("n", keys.rules("signed"))]), refused("n"));
    assert_eq!(check(vec![("m", other)]), refused("m"));
    let both = vec![("m", keys.rules("signed")), ("m", keys.rules("sealed"))];
    assert_eq!(check(both), refused("m"));
    world.stop().await;
}
