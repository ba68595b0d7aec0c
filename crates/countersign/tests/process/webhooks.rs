//! A provider sends webhooks and the process is killed while it does: what was acknowledged is there afterwards, and what was not can be sent again without happening twice.

use crate::server::Server;
use bytes::Bytes;
use countersign_base::{Secret, UnixTime};
use countersign_net::HttpClient;
use countersign_testkit::system_clock;
use countersign_wire::webhook::standard::{self, SigningSecret};
use http::{HeaderMap, HeaderValue, Method};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use url::Url;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const CONFIGURATION: &str = r#"
[[upstreams]]
name = "billing"
url = "https://localhost:1"

[[webhook_sources]]
name = "billing-provider"
scheme = "standard-webhooks"
secrets = [{ file = "billing.secret" }]
deliver = { upstream = "billing", path = "/webhooks" }

[[routes]]
name = "hooks"
path = "/hooks/billing"
webhook = "billing-provider"
"#;
/// How many senders there are, and after how many answers the process is killed: in the midst of further ones.
const SENDERS: usize = 8;
const ANSWERED: usize = 40;

/// An event as its provider knows it: its attempt, and what it was answered.
struct Sent {
    at: UnixTime,
    answered: Option<u16>,
}

fn body(id: &str) -> String {
    format!("{{\"type\":\"invoice.paid\",\"id\":\"{id}\"}}")
}

/// The status of an attempt, if there was an answer.
async fn post(client: &HttpClient, url: &Url, id: &str, at: UnixTime) -> Option<u16> {
    let body = body(id);
    let secret = SigningSecret::parse(&Secret::new(SECRET.to_owned())).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    for (name, value) in standard::headers(&[secret], id, at, body.as_bytes()).unwrap() {
        headers.insert(name, HeaderValue::from_str(&value).unwrap());
    }
    let sent = client.send(Method::POST, url, headers, Bytes::from(body));
    sent.await.ok().map(|answer| answer.status.as_u16())
}

/// Sends new events until the process no longer answers, and counts the answers.
async fn send(
    number: usize,
    client: HttpClient,
    url: Url,
    answered: Arc<AtomicUsize>,
    sent: Arc<Mutex<BTreeMap<String, Sent>>>,
) {
    for count in 0.. {
        let id = format!("msg_{number}_{count}");
        let at = system_clock().now();
        let unanswered = Sent { at, answered: None };
        sent.lock().unwrap().insert(id.clone(), unanswered);
        let Some(status) = post(&client, &url, &id, at).await else {
            return;
        };
        sent.lock().unwrap().get_mut(&id).unwrap().answered = Some(status);
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let server = Server::start(CONFIGURATION, &[("billing.secret", SECRET)]);
    let url = server.url("gateway", "/hooks/billing");
    let (answered, sent) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let (answered, sent) = (Arc::clone(&answered), Arc::clone(&sent));
            let sending = send(number, server.client(), url.clone(), answered, sent);
            runtime.spawn(sending)
        })
        .collect();
    while answered.load(Ordering::SeqCst) < ANSWERED {
        std::thread::yield_now();
    }
    let server = server.killed_and_started();
    for sender in senders {
        runtime.block_on(sender).unwrap();
    }
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    let url = server.url("gateway", "/hooks/billing");
    let client = server.client();
    let unanswered = sent.values().filter(|sent| sent.answered.is_none()).count();
    assert!(sent.len() > unanswered && unanswered > 0, "{}", sent.len());
    for (id, Sent { at, answered }) in sent {
        let again = runtime.block_on(post(&client, &url, &id, at));
        match answered {
            // It was acknowledged, so it is known: the very same attempt is a replay.
            Some(202) => assert_eq!(again, Some(409), "{id}"),
            Some(other) => panic!("{id} was answered {other}"),
            // Nobody was told: it is there, or it is not, and is taken in now.
            None => assert!(matches!(again, Some(202 | 409)), "{id}: {again:?}"),
        }
        // Either way it is there once: the next attempt of its provider changes nothing.
        let later = UnixTime(at.0 + 1);
        let repeated = runtime.block_on(post(&client, &url, &id, later));
        assert_eq!(repeated, Some(200), "{id}");
    }
}
