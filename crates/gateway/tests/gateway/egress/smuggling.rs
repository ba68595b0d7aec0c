//! One request in is one request out, or none: what two readers could frame or read differently, tunnels that were refused, loops.

use super::{Out, billing, said};
use crate::world::{World, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The statuses of all answers in what a connection said.
fn statuses(answers: &str) -> Vec<u16> {
    answers
        .split("HTTP/1.")
        .skip(1)
        .map(|answer| status(&format!("HTTP/1.{answer}")))
        .collect()
}

#[tokio::test]
async fn frm_1_to_frm_9_g30_what_can_be_framed_in_two_ways_never_leaves() {
    let out = Out::start();
    let key = billing();
    let post = |fields: &str, body: &str| {
        format!(
            "POST http://open.test/v1 HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n{key}{fields}\r\n{body}"
        )
    };
    for (name, bytes) in [
        (
            "two lengths",
            post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"),
        ),
        (
            "length and coding",
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
        ),
        (
            "coding twice",
            post(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                "0\r\n\r\n",
            ),
        ),
        (
            "other coding",
            post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ),
        ("signed length", post("Content-Length: +1\r\n", "a")),
        ("bare feed", post("X: a\nContent-Length: 1\r\n", "a")),
        ("bare return", post("X: a\rContent-Length: 1\r\n", "a")),
        ("fold", post("X: a\r\n b\r\n", "")),
        ("space before colon", post("Content-Length : 1\r\n", "a")),
        ("nul", post("X: a\0b\r\n", "")),
        ("underscores", post("Content_Length: 1\r\n", "")),
        ("two hosts", post("Host: partner.test\r\n", "")),
        ("fragment", post("", "").replace("/v1 ", "/v1#/admin ")),
        ("two spaces", post("", "").replace("POST ", "POST  ")),
        ("http/0.9", "GET http://open.test/v1\r\n\r\n".to_owned()),
    ] {
        let answer = out.raw(&bytes).await;
        assert_eq!(statuses(&answer), [400], "{name}: {answer}");
    }
    assert!(out.internet.heard().is_empty() && out.internet.dialled().is_empty());
    let answer = out.raw(post("Content-Length: 1\r\n", "a")).await;
    assert_eq!(statuses(&answer), [200], "the twin: {answer}");
    let answer = out
        .raw(post(
            "Transfer-Encoding: chunked\r\n",
            "1\r\na\r\n0\r\n\r\n",
        ))
        .await;
    assert_eq!(statuses(&answer), [200], "the twin: {answer}");
    let heard = out.internet.heard();
    assert_eq!(
        (&heard[0].body[..], &heard[1].body[..]),
        (&b"a"[..], &b"a"[..])
    );
    let log = out.log().await;
    World::assert_logged(&log, "\"reason\":\"framing_length\"");
    World::assert_logged(&log, "\"surface\":\"egress\"");
}

#[tokio::test]
async fn nothing_behind_a_refused_tunnel_is_read_as_a_request() {
    let out = Out::start();
    let key = billing();
    let behind =
        format!("GET http://open.test/v1/smuggled HTTP/1.1\r\nHost: open.test\r\n{key}\r\n");
    for (name, head) in [
        (
            "not listed",
            format!("CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n{key}\r\n"),
        ),
        (
            "nobody",
            "CONNECT partner.test:443 HTTP/1.1\r\nHost: partner.test:443\r\n\r\n".to_owned(),
        ),
        (
            "with content",
            format!(
                "CONNECT partner.test:443 HTTP/1.1\r\nHost: partner.test:443\r\nContent-Length: {}\r\n{key}\r\n",
                behind.len()
            ),
        ),
    ] {
        let answer = out.raw(format!("{head}{behind}")).await;
        assert_eq!(statuses(&answer).len(), 1, "{name}: {answer}");
    }
    assert!(out.internet.heard().is_empty());
    // The twin: two requests on one connection, both meant as such.
    let two = format!(
        "{behind}{}",
        behind.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    );
    let answer = out.raw(two).await;
    assert_eq!(statuses(&answer), [200, 200], "{answer}");
}

#[tokio::test]
async fn what_does_not_wait_for_its_tunnel_is_read_as_http() {
    let out = Out::start();
    let key = billing();
    let head = format!("CONNECT partner.test:443 HTTP/1.1\r\nHost: partner.test:443\r\n{key}\r\n");
    // The first bytes of a TLS handshake, sent before anybody agreed to a tunnel.
    let mut early = head.into_bytes();
    early.extend_from_slice(&[0x16, 0x03, 0x01, 0x00, 0x05, b'\n', b'\n']);
    let answer = out.raw(early).await;
    assert_eq!(said(&answer), "400 tunnel_content", "{answer}");
    assert_eq!(out.verdict("partner.test:443").await, "200", "the twin");
    assert!(out.internet.heard().is_empty());
    World::assert_logged(&out.log().await, "framing_");
}

#[tokio::test]
async fn a_tunnel_carries_what_is_no_http() {
    let out = Out::start();
    let mut stream = out.tunnel("partner.test:443").await;
    // Not TLS and not HTTP: the destination ends it, and the proxy has no opinion.
    stream
        .write_all(b"\n\n\x00 POST / HTTP/9\n\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    let mut session = out.session("partner.test").await;
    assert!(
        super::get(&mut session, "partner.test", "/")
            .await
            .contains("200")
    );
}

#[tokio::test]
async fn a_request_that_came_by_before_is_a_loop() {
    let out = Out::start();
    let answer = out.request("GET", "http://open.test/v1", "").await;
    assert_eq!(said(&answer), "200");
    let via = out.internet.heard()[0].headers["via"]
        .to_str()
        .unwrap()
        .to_owned();
    let looped = format!("Via: 1.1 other, {via}\r\n");
    let answer = out.request("GET", "http://open.test/v1", &looped).await;
    assert_eq!(said(&answer), "508 proxy_loop");
    let answer = out
        .request("GET", "http://open.test/v1", "Via: 1.1 other\r\n")
        .await;
    assert_eq!(said(&answer), "200", "the twin");
    let tunnel = format!("{}{looped}", billing());
    assert_eq!(
        out.verdict_with("partner.test:443", &tunnel).await,
        "508 proxy_loop"
    );
}
