//! WebSocket through the gateway: the handshake is judged as a request, then bytes pass until what permitted them is gone.

use crate::routes::spec;
use crate::world::{World, roots};
use countersign_gateway::cors::{CorsSpec, Credentials};
use countersign_gateway::routes::{RouteSpec, Upgrade};
use countersign_gateway::upstream::{Adapt, ConcurrencySpec, UpstreamTransport};
use countersign_gateway::{Endpoint, UpstreamSpec};
use countersign_net::TlsClient;
use countersign_net::tls::Alpn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What RFC 6455 §1.3 answers to [`KEY`].
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What the upstream does with a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// 200 and a body.
    Plain,
    /// 101 to another protocol.
    Other,
    /// 101, then every byte comes back.
    Switch,
}

/// An upstream that remembers the bytes it was sent.
struct Echo {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    ended: Arc<tokio::sync::Notify>,
}

impl Echo {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let ended: Arc<tokio::sync::Notify> = Arc::default();
        let (remembered, over) = (Arc::clone(&heads), Arc::clone(&ended));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heads, ended) = (Arc::clone(&remembered), Arc::clone(&over));
                tokio::spawn(async move {
                    serve(stream, answer, &heads).await;
                    ended.notify_one();
                });
            }
        });
        Self {
            address,
            heads,
            ended,
        }
    }

    fn spec(&self) -> UpstreamSpec {
        let endpoint = Endpoint {
            authority: self.address.to_string().parse().unwrap(),
            host: self.address.ip().to_string(),
            port: self.address.port(),
            transport: UpstreamTransport::Plaintext,
        };
        UpstreamSpec::of("echo".parse().unwrap(), vec![endpoint])
    }

    fn head(&self) -> String {
        let mut heads = self.heads.lock().unwrap();
        assert_eq!(heads.len(), 1, "{heads:?}");
        heads.remove(0)
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, heads: &Mutex<Vec<String>>) {
    let head = read_head(&mut stream).await;
    heads.lock().unwrap().push(head);
    let said = match answer {
        Answer::Plain => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        Answer::Other => {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"
                .to_owned()
        }
        Answer::Switch => format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        ),
    };
    stream.write_all(said.as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn read_head<S: AsyncReadExt + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

fn reach(world: &World, echo: &Echo, change: impl FnOnce(&mut RouteSpec)) {
    world.reach(echo.spec(), |route| {
        route.upgrade = Upgrade::WebSocket;
        change(route);
    });
}

/// The fields of a handshake, with `more`, or instead of those of the same name.
fn handshake(world: &World, path: &str, bearer: Option<&str>, more: &[(&str, &str)]) -> String {
    let host = format!("localhost:{}", world.port());
    let mut fields = vec![
        ("Host", host.as_str()),
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "chat"),
    ];
    fields.extend(bearer.map(|bearer| ("Authorization", bearer)));
    for (name, value) in more {
        fields.retain(|(known, _)| known != name || known == &"Sec-WebSocket-Key" && value == &KEY);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("GET {path} HTTP/1.1\r\n{fields}\r\n")
}

async fn connect(world: &World) -> TlsStream<TcpStream> {
    let tls = TlsClient::new(&roots(&world.authority), None, Alpn::Http1).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", world.port()))
        .await
        .unwrap();
    let name = "localhost".try_into().unwrap();
    tls.connector().connect(name, stream).await.unwrap()
}

/// Shakes hands and answers the stream with the head of the answer.
async fn open(world: &World, head: &str) -> (TlsStream<TcpStream>, String) {
    let mut stream = connect(world).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_head(&mut stream).await;
    (stream, answer)
}

fn status(answer: &str) -> u16 {
    crate::world::status(answer)
}

/// A masked text frame of a client.
fn text(said: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(said.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(said);
    frame
}

async fn echoed(stream: &mut TlsStream<TcpStream>, frame: &[u8]) {
    stream.write_all(frame).await.unwrap();
    let mut back = vec![0; frame.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, frame);
}

/// Everything that still comes, until the end.
async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut rest).await;
    rest
}

#[tokio::test]
async fn a_handshake_is_judged_and_then_bytes_pass_both_ways() {
    let (world, echo) = (World::start(), Echo::start(Answer::Switch).await);
    reach(&world, &echo, |_| {});
    let bearer = world.bearer(|_| {});
    let head = handshake(
        &world,
        "/r/chat?room=1",
        Some(&bearer),
        &[("Countersign-Subject", "root")],
    );
    let (mut stream, answer) = open(&world, &head).await;
    assert_eq!(status(&answer), 101, "{answer}");
    let answer = answer.to_ascii_lowercase();
    for line in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        &format!("sec-websocket-accept: {}\r\n", ACCEPT.to_ascii_lowercase()),
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    echoed(&mut stream, &text(b"hello")).await;
    echoed(&mut stream, &vec![0x42; 100_000]).await;
    let seen = echo.head().to_ascii_lowercase();
    for line in [
        "get /r/chat?room=1 http/1.1\r\n",
        "upgrade: websocket\r\n",
        "connection: upgrade\r\n",
        "sec-websocket-protocol: chat\r\n",
    ] {
        assert!(seen.contains(line), "{line} in {seen}");
    }
    assert!(
        !seen.contains("authorization") && !seen.contains("root"),
        "{seen}"
    );
    stream.shutdown().await.unwrap();
    assert!(rest(&mut stream).await.is_empty());
    echo.ended.notified().await;
    world.logged("\"status\":101").await;
    world.logged("\"bytes\":200022").await;
}

#[tokio::test]
async fn handshakes_that_are_not_permitted_never_reach_the_upstream() {
    let (world, echo) = (World::start(), Echo::start(Answer::Switch).await);
    reach(&world, &echo, |_| {});
    let good = world.bearer(|_| {});
    let other = world.bearer(|claims| claims["aud"] = "https://else.example".into());
    let own = format!("https://localhost:{}", world.port());
    let short = "A".repeat(20);
    for (credential, field, expected, code) in [
        (None, ("X-A", "b"), 401, "no_credential"),
        (Some(&other), ("X-A", "b"), 401, "audience_mismatch"),
        (
            Some(&good),
            ("Sec-WebSocket-Key", ""),
            400,
            "upgrade_broken",
        ),
        (
            Some(&good),
            ("Sec-WebSocket-Key", short.as_str()),
            400,
            "upgrade_broken",
        ),
        (
            Some(&good),
            ("Connection", "keep-alive"),
            400,
            "upgrade_broken",
        ),
        (Some(&good), ("Content-Length", "1"), 400, "upgrade_broken"),
        (
            Some(&good),
            ("Sec-WebSocket-Version", "8"),
            426,
            "upgrade_version",
        ),
        (
            Some(&good),
            ("Origin", "https://evil.example"),
            403,
            "upgrade_origin",
        ),
        (Some(&good), ("Origin", "null"), 403, "upgrade_origin"),
        (Some(&good), ("Origin", own.as_str()), 101, ""),
    ] {
        let head = handshake(&world, "/r/a", credential.map(String::as_str), &[field]);
        let (_, answer) = open(&world, &head).await;
        assert_eq!(status(&answer), expected, "{field:?} {answer}");
        if expected == 101 {
            echo.head();
        } else {
            assert!(echo.heads.lock().unwrap().is_empty(), "{field:?}");
            world.logged(code).await;
        }
    }
}

#[tokio::test]
async fn a_route_takes_no_handshake_unless_it_says_so() {
    let (world, echo) = (World::start(), Echo::start(Answer::Plain).await);
    let bearer = world.bearer(|_| {});
    reach(&world, &echo, |route| route.upgrade = Upgrade::Refused);
    let head = handshake(&world, "/r/a", Some(&bearer), &[]);
    let (_, answer) = open(&world, &head).await;
    assert_eq!(status(&answer), 403);
    world.logged("upgrade_not_taken").await;
    // What is no handshake is a plain request, and its wish is not passed on.
    let head = handshake(&world, "/r/a", Some(&bearer), &[("Upgrade", "h2c")]);
    let (_, answer) = open(&world, &head).await;
    assert_eq!(status(&answer), 200);
    let seen = echo.head().to_ascii_lowercase();
    assert!(!seen.contains("upgrade"), "{seen}");
}

#[tokio::test]
async fn pages_of_listed_origins_may_shake_hands() {
    let (world, echo) = (World::start(), Echo::start(Answer::Switch).await);
    let bearer = world.bearer(|_| {});
    reach(&world, &echo, |route| {
        route.cors = Some(CorsSpec {
            origins: ["https://app.example".parse().unwrap()].into(),
            headers: [].into(),
            expose: [].into(),
            credentials: Credentials::Refused,
            max_age: Duration::from_secs(60),
        });
    });
    for (origin, expected) in [("https://evil.example", 403), ("https://app.example", 101)] {
        let head = handshake(&world, "/r/a", Some(&bearer), &[("Origin", origin)]);
        let (_, answer) = open(&world, &head).await;
        assert_eq!(status(&answer), expected, "{origin}");
    }
}

#[tokio::test]
async fn frm_10_nothing_after_an_upgrade_goes_on_before_the_upstream_answered_101() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let pipelined = format!(
        "GET /r/second HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n",
        world.port()
    );
    // The upstream stays with HTTP: the second request is a request, judged for itself.
    let echo = Echo::start(Answer::Plain).await;
    reach(&world, &echo, |_| {});
    let head = handshake(&world, "/r/first", Some(&bearer), &[]) + &pipelined;
    let answers = world.raw(head.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    let heads = std::mem::take(&mut *echo.heads.lock().unwrap());
    assert_eq!(heads.len(), 2, "{heads:?}");
    assert!(heads[0].starts_with("GET /r/first ") && heads[1].starts_with("GET /r/second "));
    // Frames before the answer are no HTTP: that is the end of the connection, and nothing of them went on.
    let early = [
        handshake(&world, "/r/a", Some(&bearer), &[]).into_bytes(),
        text(b"early"),
    ]
    .concat();
    let answer = world.raw(&early).await;
    assert!(!answer.contains("101"), "{answer}");
    for head in echo.heads.lock().unwrap().drain(..) {
        assert!(!head.contains("early"));
    }
}

#[tokio::test]
async fn an_upstream_may_switch_to_nothing_else() {
    let (world, echo) = (World::start(), Echo::start(Answer::Other).await);
    reach(&world, &echo, |_| {});
    let bearer = world.bearer(|_| {});
    let (_, answer) = open(&world, &handshake(&world, "/r/a", Some(&bearer), &[])).await;
    assert_eq!(status(&answer), 502);
    world.logged("\"status\":502").await;
    // Nor without having been asked.
    let answer = world.get("/r/a", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status.as_u16(), 502);
    let echo = Echo::start(Answer::Switch).await;
    reach(&world, &echo, |_| {});
    let (_, answer) = open(&world, &handshake(&world, "/r/a", Some(&bearer), &[])).await;
    assert_eq!(status(&answer), 101);
}

/// What a tunnel ends with after `withdraw`, when the last frame was whole and when it was not.
async fn withdrawn(world: &World, token: &str, withdraw: impl FnOnce(&World)) {
    let echo = Echo::start(Answer::Switch).await;
    reach(world, &echo, |_| {});
    let head = handshake(world, "/r/a", Some(token), &[]);
    let (mut whole, answer) = open(world, &head).await;
    assert_eq!(status(&answer), 101);
    let (mut half, _) = open(world, &head).await;
    echoed(&mut whole, &text(b"hello")).await;
    echoed(&mut half, &text(b"hello")[..8]).await;
    withdraw(world);
    // 1008 to the caller; what the upstream is sent comes back from this one.
    let end = rest(&mut whole).await;
    assert!(end.starts_with(&[0x88, 2, 0x03, 0xf0]), "{end:?}");
    assert_eq!(
        rest(&mut half).await,
        b"",
        "no close in the midst of a frame"
    );
}

#[tokio::test]
async fn a_tunnel_ends_with_its_token() {
    let world = World::start();
    let token = world.bearer(|claims| claims["exp"] = (world.now().0 + 2).into());
    withdrawn(&world, &token, |_| {}).await;
    world.logged("token_expired").await;
}

#[tokio::test]
async fn a_tunnel_ends_when_its_grant_is_revoked() {
    let world = World::start();
    let grant = "0000000000000007";
    let token = world.bearer(|claims| claims["grant_id"] = grant.into());
    withdrawn(&world, &token, |world| {
        let mut grants = world.planes.revoked.grants.lock().unwrap();
        grants.insert(grant.parse().unwrap());
    })
    .await;
    world.logged("\"revoked\"").await;
}

#[tokio::test]
async fn a_tunnel_ends_when_its_route_is_gone_and_stays_when_it_is_not() {
    let world = World::start();
    let token = world.bearer(|_| {});
    withdrawn(&world, &token, |world| {
        world.reload(|specs| specs.push(spec("other", "/other")));
    })
    .await;
    world.logged("route_changed").await;
    let echo = Echo::start(Answer::Switch).await;
    reach(&world, &echo, |_| {});
    let (mut stream, _) = open(&world, &handshake(&world, "/r/a", Some(&token), &[])).await;
    echoed(&mut stream, &text(b"before")).await;
    reach(&world, &echo, |_| {});
    world.asked_again(2).await;
    echoed(&mut stream, &text(b"after")).await;
}

#[tokio::test]
async fn a_silent_tunnel_ends() {
    let (world, echo) = (World::start(), Echo::start(Answer::Switch).await);
    reach(&world, &echo, |route| {
        route.idle = Some(Duration::from_millis(300))
    });
    let bearer = world.bearer(|_| {});
    let (mut stream, answer) = open(&world, &handshake(&world, "/r/a", Some(&bearer), &[])).await;
    assert_eq!(status(&answer), 101);
    assert!(
        rest(&mut stream).await.starts_with(&[0x88, 2, 0x03, 0xe9]),
        "1001"
    );
}

#[tokio::test]
async fn a_tunnel_holds_its_place_and_is_told_of_the_end() {
    let (world, echo) = (World::start(), Echo::start(Answer::Switch).await);
    reach(&world, &echo, |route| {
        route.concurrency = Some(ConcurrencySpec {
            max: 1,
            adapt: Adapt::Fixed,
        });
    });
    let bearer = world.bearer(|_| {});
    let head = handshake(&world, "/r/a", Some(&bearer), &[]);
    let (mut stream, answer) = open(&world, &head).await;
    assert_eq!(status(&answer), 101);
    let (_, answer) = open(&world, &head).await;
    assert_eq!(status(&answer), 503, "the place is taken");
    echoed(&mut stream, &text(b"hello")).await;
    let reading = tokio::spawn(async move { rest(&mut stream).await });
    world.stop().await;
    assert!(
        reading.await.unwrap().starts_with(&[0x88, 2, 0x03, 0xe9]),
        "1001"
    );
}
