//! The program is killed while an upstream works on a request with an idempotency key: whoever asks again is not followed by a second execution, and an answer that was given is there.

use crate::server::{Server, send};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_net::TlsClient;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

const SECRET: &str = "of-this-test-alone-0123456789";

/// An upstream that counts what it does. It answers what says `quick`, and holds everything else for ever.
struct Upstream {
    address: String,
    hits: Arc<AtomicUsize>,
    reached: mpsc::Receiver<()>,
}

impl Upstream {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let hits = Arc::new(AtomicUsize::new(0));
        let (tell, reached) = mpsc::channel();
        let counted = Arc::clone(&hits);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (counted, tell) = (Arc::clone(&counted), tell.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), &counted, &tell));
            }
        });
        Self {
            address,
            hits,
            reached,
        }
    }
}

/// Answers the requests of one connection, as long as it stands.
fn serve(stream: &TcpStream, hits: &AtomicUsize, tell: &mpsc::Sender<()>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let hit = hits.fetch_add(1, Ordering::SeqCst) + 1;
        if body == b"quick" {
            let text = format!("charge {hit}");
            let head = format!("HTTP/1.1 201 Created\r\nContent-Length: {}", text.len());
            write!(&mut &*stream, "{head}\r\n\r\n{text}").ok()?;
        } else {
            tell.send(()).ok()?;
        }
    }
}

fn configuration(upstream: &str) -> String {
    format!(
        r#"
[listeners]
issuer_base = "https://id.example"

[[clients]]
id = "shop"
secret = {{ file = "secrets/shop" }}
grants = ["client_credentials"]
scopes = ["charges.write"]
audiences = ["https://charges.example"]

[[upstreams]]
name = "charges"
url = "{upstream}"
plain_http_because = "it is this test"

[[routes]]
name = "charges"
path = "/charges"
upstream = "charges"
audience = "https://charges.example"
proof = "any"
idempotency = {{ keys = "required" }}
actions.POST = {{ action = "request", scopes = ["charges.write"] }}
"#
    )
}

fn token(server: &Server) -> String {
    let mut headers = HeaderMap::new();
    let basic = format!("Basic {}", STANDARD.encode(format!("shop:{SECRET}")));
    headers.insert(header::AUTHORIZATION, basic.parse().unwrap());
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, form);
    let body =
        "grant_type=client_credentials&scope=charges.write&resource=https%3A%2F%2Fcharges.example";
    let url = server.url("identity", "/token");
    let answer = send(&server.client(), Method::POST, &url, headers, body);
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// What the gateway says, at whatever port it is; empty if it broke off.
fn charge(server: &Server, token: &str, key: &str, body: &str) -> String {
    raw(
        &server.tls(),
        &server.url("gateway", ""),
        &request(token, key, body),
    )
}

fn request(token: &str, key: &str, body: &str) -> String {
    format!(
        "POST /charges HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn raw(tls: &TlsClient, url: &Url, request: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let port = url.port().unwrap();
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
        let name = "localhost".try_into().unwrap();
        let connected = tls.connector().connect(name, stream.unwrap()).await;
        let mut stream = connected.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        // One that breaks off is what the test is about.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    })
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn was_replayed(answer: &str) -> bool {
    answer.contains("idempotency-replayed: true")
}

#[test]
fn what_was_under_way_when_the_program_was_killed_is_not_done_again() {
    let upstream = Upstream::start();
    let files = [("secrets/shop", SECRET)];
    let server = Server::start(&configuration(&upstream.address), &files);
    let bearer = token(&server);
    let first = charge(&server, &bearer, "answered-16-characters", "quick");
    assert_eq!(
        (status(&first), was_replayed(&first)),
        ("201", false),
        "{first}"
    );
    // Killed between execution and answer: the upstream has the request, and nobody will ever be answered.
    let (tls, url) = (server.tls(), server.url("gateway", ""));
    let slow = request(&bearer, "under-way-16-characters", "slow");
    let waiting = std::thread::spawn(move || raw(&tls, &url, &slow));
    upstream.reached.recv().unwrap();
    let server = server.killed_and_started();
    assert_eq!(waiting.join().unwrap(), "", "it was answered by nobody");
    let bearer = token(&server);
    let again = charge(&server, &bearer, "under-way-16-characters", "slow");
    assert_eq!(status(&again), "409", "{again}");
    assert!(again.contains("idempotency_outcome_unknown"), "{again}");
    let again = charge(&server, &bearer, "\"answered-16-characters\"", "quick");
    assert_eq!(
        (status(&again), was_replayed(&again)),
        ("201", true),
        "{again}"
    );
    assert!(again.ends_with("charge 1"), "{again}");
    assert_eq!(upstream.hits.load(Ordering::SeqCst), 2);
    // A key of its own is executed, as ever.
    let fresh = charge(&server, &bearer, "another-16-characters", "quick");
    assert!(fresh.ends_with("charge 3"), "{fresh}");
}
