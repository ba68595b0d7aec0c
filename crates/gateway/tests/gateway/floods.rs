//! HTTP/2 spoken wrongly or in floods, in raw frames (RFC 9113 §4): the connection ends with GOAWAY, and the gateway lives on.

use crate::world::{World, roots};
use countersign_net::TlsClient;
use countersign_net::tls::Alpn;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A literal field without indexing (RFC 7541 §6.2.2), names and values shorter than 127 bytes.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(name.len()).unwrap()];
    bytes.extend(name.as_bytes());
    bytes.push(u8::try_from(value.len()).unwrap());
    bytes.extend(value.as_bytes());
    bytes
}

fn request(method: &str, path: &str, port: u16, more: &[(&str, &str)]) -> Vec<u8> {
    let authority = format!("localhost:{port}");
    let pseudo = [
        (":method", method),
        (":scheme", "https"),
        (":authority", authority.as_str()),
        (":path", path),
    ];
    pseudo
        .iter()
        .chain(more)
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

struct Raw(TlsStream<TcpStream>);

impl Raw {
    async fn connect(world: &World) -> Self {
        let tls = TlsClient::new(&roots(&world.authority), None, Alpn::Http2OrHttp1).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", world.port()))
            .await
            .unwrap();
        let mut stream = tls
            .connector()
            .connect("localhost".try_into().unwrap(), stream)
            .await
            .unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self(stream)
    }

    /// Writes until the peer has closed.
    async fn write(&mut self, bytes: &[u8]) {
        // A peer that closes in the middle is what floods are about.
        let _ = self.0.write_all(bytes).await;
    }

    /// The next frame, unless the connection has ended.
    async fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((
            head[3],
            u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        ))
    }

    /// How the peer ended: the error code of GOAWAY (RFC 9113 §7), or of the reset of stream 1, or none.
    async fn end(&mut self) -> Option<u32> {
        while let Some((kind, stream, payload)) = self.next().await {
            let code = match (kind, stream) {
                (GOAWAY, _) => payload.get(4..8),
                (RST_STREAM, 1) => payload.get(..4),
                _ => None,
            };
            if let Some(code) = code {
                return Some(u32::from_be_bytes(code.try_into().unwrap()));
            }
        }
        None
    }
}

async fn lives(world: &World) {
    let bearer = world.bearer(|_| {});
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &bearer)])
            .await
            .status,
        StatusCode::OK
    );
}

const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn fld_1_fld_5_g31_g35_rapid_resets_end_the_connection() {
    let world = World::start();
    let mut raw = Raw::connect(&world).await;
    let head = request("GET", "/things/a", world.port(), &[]);
    let mut bytes = Vec::new();
    for number in 0..2_000_u32 {
        let stream = 2 * number + 1;
        bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head));
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    raw.write(&bytes).await;
    let mut code = raw.end().await;
    // Streams that were answered before their reset come first.
    while matches!(code, Some(other) if other != ENHANCE_YOUR_CALM) {
        code = raw.end().await;
    }
    assert_eq!(code, Some(ENHANCE_YOUR_CALM));
    lives(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn fld_3_g33_endless_continuations_end_the_connection() {
    let world = World::start();
    let mut raw = Raw::connect(&world).await;
    raw.write(&frame(
        HEADERS,
        END_STREAM,
        1,
        &request("GET", "/things/a", world.port(), &[]),
    ))
    .await;
    let filler: Vec<u8> = (0..100)
        .flat_map(|_| field("x-filler", &"a".repeat(100)))
        .collect();
    for _ in 0..200 {
        raw.write(&frame(CONTINUATION, 0, 1, &filler)).await;
    }
    // Ended with an error, or without a word: not served.
    let end = raw.end().await;
    assert!(
        matches!(end, None | Some(PROTOCOL_ERROR | ENHANCE_YOUR_CALM)),
        "{end:?}"
    );
    assert!(world.upstream.take().is_empty());
    lives(&world).await;
    world.stop().await;
}

const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;

impl Raw {
    /// Waits until the peer has read everything before this, by its answer to a ping.
    async fn settled(&mut self) {
        self.write(&frame(PING, 0, 0, &[7; 8])).await;
        loop {
            let (kind, _, payload) = self.next().await.unwrap();
            if kind == PING && payload == [7; 8] {
                return;
            }
        }
    }

    /// Sends a request for `path` on `stream` and waits for the head of its answer.
    async fn answered(&mut self, world: &World, stream: u32, path: &str) -> u8 {
        let head = request("GET", path, world.port(), &[]);
        self.write(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &head))
            .await;
        loop {
            let (kind, of, payload) = self.next().await.unwrap();
            if (kind, of) == (HEADERS, stream) {
                return payload[0];
            }
        }
    }
}

#[tokio::test]
async fn fld_2_g32_many_open_streams_that_are_reset_at_once_cost_little() {
    let world = World::start();
    let mut raw = Raw::connect(&world).await;
    let head = request("POST", "/open/a", world.port(), &[]);
    let mut stream = 1;
    // Ten times as many streams in all as may be open at once: none of them is left over.
    for _ in 0..10 {
        let streams: Vec<u32> = (0..100).map(|number| stream + 2 * number).collect();
        for open in &streams {
            raw.write(&frame(HEADERS, END_HEADERS, *open, &head)).await;
        }
        raw.settled().await;
        for open in streams.iter().rev() {
            raw.write(&frame(RST_STREAM, 0, *open, &8_u32.to_be_bytes()))
                .await;
        }
        raw.settled().await;
        stream += 200;
    }
    assert_eq!(
        raw.answered(&world, stream, "/open/after").await,
        0x88,
        "200"
    );
    lives(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn fld_4_g34_resets_that_the_server_is_brought_to_end_the_connection() {
    let world = World::start();
    let mut raw = Raw::connect(&world).await;
    let head = request("POST", "/open/a", world.port(), &[]);
    let mut bytes = Vec::new();
    for number in 0..2_000_u32 {
        let stream = 2 * number + 1;
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &head));
        // A window that overflows is this side's fault, and the other side has to reset the stream.
        bytes.extend(frame(
            WINDOW_UPDATE,
            0,
            stream,
            &0x7fff_ffff_u32.to_be_bytes(),
        ));
    }
    raw.write(&bytes).await;
    let mut resets = 0;
    let goaway = loop {
        match raw.next().await {
            Some((GOAWAY, _, payload)) => break Some(payload),
            Some((RST_STREAM, _, _)) => resets += 1,
            Some(_) => {}
            None => break None,
        }
    };
    let code = goaway.and_then(|payload| payload.get(4..8).map(<[u8]>::to_vec));
    assert_eq!(
        code.as_deref(),
        Some(ENHANCE_YOUR_CALM.to_be_bytes().as_slice()),
        "after {resets} resets"
    );
    assert!(resets <= 300, "{resets}");
    lives(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn frm_15_g36_data_after_a_reset_belongs_to_nothing() {
    let world = World::start();
    let mut raw = Raw::connect(&world).await;
    let head = request("POST", "/open/a", world.port(), &[]);
    raw.write(&frame(HEADERS, END_HEADERS, 1, &head)).await;
    raw.write(&frame(DATA, 0, 1, b"abc")).await;
    raw.settled().await;
    raw.write(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))
        .await;
    raw.write(&frame(DATA, 0, 1, b"def")).await;
    raw.write(&frame(DATA, END_STREAM, 1, b"ghi")).await;
    raw.write(&frame(PING, ACK, 0, &[0; 8])).await;
    // Whether the connection goes on or ends, no whole request came of it.
    raw.write(&frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        3,
        &request("GET", "/open/after", world.port(), &[]),
    ))
    .await;
    let mut after = None;
    while after.is_none() {
        match raw.next().await {
            Some((HEADERS, 3, payload)) => after = Some(payload[0]),
            Some((GOAWAY, _, _)) | None => break,
            Some(_) => {}
        }
    }
    assert!(matches!(after, None | Some(0x88)), "{after:?}");
    lives(&world).await;
    for seen in world.upstream.take() {
        assert!(
            seen.target != "/open/a" || seen.body.is_err(),
            "half a request became whole: {seen:?}"
        );
    }
    world.stop().await;
}

#[tokio::test]
async fn frm_12_frm_13_g28_values_that_http1_cannot_carry_are_refused() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let (scheme, token) = bearer.split_at(7);
    assert_eq!((scheme, token.is_empty()), ("Bearer ", false));
    for (path, more) in [
        ("/things/a", ("x-evil", "a\r\nx-injected: 1")),
        ("/things/a", ("x-evil", "a\0b")),
        ("/things/a", ("x evil", "a")),
        ("/things/a", ("connection", "close")),
        ("/things/a", ("transfer-encoding", "chunked")),
        ("/things/a b", ("accept", "a")),
        (
            "/things/a HTTP/1.1\r\n\r\nGET /things/smuggled",
            ("accept", "a"),
        ),
    ] {
        let mut raw = Raw::connect(&world).await;
        raw.write(&frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            1,
            &request("GET", path, world.port(), &[more]),
        ))
        .await;
        assert_eq!(raw.end().await, Some(PROTOCOL_ERROR), "{path} {more:?}");
    }
    assert!(world.upstream.take().is_empty());
    lives(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn frm_14_a_length_that_differs_from_the_data_is_no_request() {
    let world = World::start();
    for announced in ["2", "9"] {
        let mut raw = Raw::connect(&world).await;
        // The open route takes it without a token, so that the body is what is judged.
        let head = request(
            "POST",
            "/open/a",
            world.port(),
            &[("content-length", announced)],
        );
        raw.write(&frame(HEADERS, END_HEADERS, 1, &head)).await;
        raw.write(&frame(DATA, END_STREAM, 1, b"abcde")).await;
        assert_eq!(raw.end().await, Some(PROTOCOL_ERROR), "{announced}");
    }
    assert!(world.upstream.take().iter().all(|seen| seen.body.is_err()));
    lives(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn path_14_authority_and_host_must_agree_in_http2_too() {
    let world = World::start();
    let mut statuses = Vec::new();
    for host in ["localhost", "evil.example"] {
        let mut raw = Raw::connect(&world).await;
        let more = [(
            "host",
            if host == "localhost" {
                format!("localhost:{}", world.port())
            } else {
                host.to_owned()
            },
        )];
        let more: Vec<(&str, &str)> = more
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        raw.write(&frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            1,
            &request("GET", "/open/a", world.port(), &more),
        ))
        .await;
        let answer = loop {
            match raw.next().await {
                Some((HEADERS, 1, payload)) => break payload,
                Some(_) => {}
                None => panic!("no answer"),
            }
        };
        // The first field of the answer is `:status`, by its index in the static table (RFC 7541 appendix A).
        statuses.push(answer[0]);
    }
    assert_eq!(statuses, [0x88, 0x8c], "200 and 400");
    assert_eq!(world.upstream.take().len(), 1);
    world.stop().await;
}
