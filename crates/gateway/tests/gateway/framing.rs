//! One request in is one request upstream, written anew, or a refusal that closes the connection.

use crate::world::World;
use http::Method;

/// Sends a head and bytes after it on one connection, and says which statuses came back and what the upstream saw.
async fn exchange(
    world: &World,
    fields: &str,
    rest: &str,
) -> (Vec<u16>, Vec<(Method, String, usize)>) {
    let bearer = world.bearer(|_| {});
    let bytes = format!(
        "POST /things/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\n{fields}\r\n{rest}",
        world.port()
    );
    let answer = world.raw(bytes.as_bytes()).await;
    let statuses = answer
        .split("HTTP/1.")
        .skip(1)
        .filter_map(|part| part.split(' ').nth(1)?.parse().ok())
        .collect();
    let seen = world.upstream.take().into_iter().map(|seen| {
        (
            seen.method,
            seen.target,
            seen.body.map_or(0, |body| body.len()),
        )
    });
    (statuses, seen.collect())
}

const SMUGGLED: &str = "GET /things/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn frm_1_frm_2_g25_g27_g29_a_length_and_a_coding_are_refused() {
    let world = World::start();
    let chunked = format!("3\r\nabc\r\n0\r\n\r\n{SMUGGLED}");
    for both in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "content-length: 0\r\nX-A: 1\r\nTRANSFER-ENCODING: CHUNKED\r\n",
    ] {
        let (statuses, seen) = exchange(&world, both, &chunked).await;
        assert_eq!((statuses, seen), (vec![400], vec![]), "{both}");
    }
    World::assert_logged(&world.log_text().await, "framing_length_and_coding");
    let (statuses, seen) = exchange(
        &world,
        "Transfer-Encoding: chunked\r\nConnection: close\r\n",
        &chunked,
    )
    .await;
    assert_eq!(
        (statuses, seen),
        (vec![200], vec![(Method::POST, "/things/a".to_owned(), 3)])
    );
    world.stop().await;
}

#[tokio::test]
async fn frm_3_frm_5_frm_8_g25_g27_g30_lengths_that_are_no_lengths_are_refused() {
    let world = World::start();
    for fields in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 03\r\n",
        "Content-Length : 3\r\n",
        "Content_Length: 3\r\nConnection: close\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3 3\r\n",
        "X-A: 1\r\n folded: 2\r\nContent-Length: 3\r\n",
    ] {
        let (statuses, seen) = exchange(&world, fields, &format!("abc{SMUGGLED}")).await;
        assert_eq!((statuses, seen), (vec![400], vec![]), "{fields}");
    }
    let (statuses, seen) =
        exchange(&world, "Content-Length: 3\r\nConnection: close\r\n", "abc").await;
    assert_eq!(
        (statuses, seen),
        (vec![200], vec![(Method::POST, "/things/a".to_owned(), 3)])
    );
    world.stop().await;
}

#[tokio::test]
async fn frm_4_g27_g29_a_repeated_length_is_refused() {
    let world = World::start();
    for fields in [
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 3\r\n",
    ] {
        let (statuses, seen) = exchange(&world, fields, &format!("abc{SMUGGLED}")).await;
        assert_eq!((statuses, seen), (vec![400], vec![]), "{fields}");
    }
    let (statuses, seen) =
        exchange(&world, "Content-Length: 3\r\nConnection: close\r\n", "abc").await;
    assert_eq!(
        (statuses, seen),
        (vec![200], vec![(Method::POST, "/things/a".to_owned(), 3)])
    );
    world.stop().await;
}

#[tokio::test]
async fn frm_7_g29_lines_that_do_not_end_in_both_characters_are_refused() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let good = format!(
        "GET /things/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nX-A: 1\r\nConnection: close\r\n\r\n",
        world.port()
    );
    for bad in [
        good.replacen("\r\n", "\n", 1),
        good.replace("X-A: 1\r\n", "X-A: 1\n"),
        good.replace("X-A: 1\r\n", "X-A: 1\rX-B: 2\r\n"),
        good.replace("\r\n\r\n", "\r\n\n"),
        good.replace("\r\n\r\n", "\n\n"),
        good.replace("X-A: 1", "X-A: \0"),
        good.replace("X-A: 1", "X-A: \x0b"),
        good.replace("GET /things/a ", "GET\t/things/a "),
        good.replace("GET /things/a ", "GET /things/a  "),
        format!("\n{good}"),
        format!("\r\n\r\n{good}"),
    ] {
        let answer = world.raw(bad.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{bad:?} {answer}");
    }
    assert!(world.upstream.take().is_empty());
    let text = world.log_text().await;
    for reason in [
        "framing_bare_lf",
        "framing_bare_cr",
        "framing_control",
        "framing_empty_line",
        "framing_request_line",
    ] {
        World::assert_logged(&text, reason);
    }
    assert!(world.raw(good.as_bytes()).await.contains(" 200 "));
    let observed = world.planes.observed.lock().unwrap().clone();
    assert_eq!(
        (observed.len(), observed[0], observed[11]),
        (12, ("refused", 400), ("permitted", 200)),
        "refusals of the wire are counted as others are"
    );
    world.stop().await;
}

#[tokio::test]
async fn frm_6_a_broken_chunk_is_half_a_request_and_the_end() {
    let world = World::start();
    for rest in [
        "3\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nCountersign-Subject : evil\r\n\r\n",
    ] {
        let bytes = format!("{rest}{SMUGGLED}");
        let (statuses, seen) = exchange(&world, "Transfer-Encoding: chunked\r\n", &bytes).await;
        assert!(
            statuses.iter().all(|status| *status == 400),
            "{rest:?} {statuses:?}"
        );
        assert!(
            !seen
                .iter()
                .any(|(_, target, _)| target.contains("smuggled")),
            "{rest:?} {seen:?}"
        );
    }
    assert!(world.upstream.take().iter().all(|seen| seen.body.is_err()));
    World::assert_logged(&world.log_text().await, "framing_chunk");
    world.stop().await;
}

#[tokio::test]
async fn frm_6_chunk_extensions_do_not_pass() {
    let world = World::start();
    let (statuses, seen) = exchange(
        &world,
        "Transfer-Encoding: chunked\r\nConnection: close\r\n",
        "3;evil=1\r\nabc\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(
        (statuses, seen),
        (vec![200], vec![(Method::POST, "/things/a".to_owned(), 3)])
    );
    world.stop().await;
}

#[tokio::test]
async fn frm_9_g25_g27_http_1_0_has_no_transfer_encoding() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let head = format!(
        "Host: localhost:{}\r\nAuthorization: {bearer}\r\n",
        world.port()
    );
    let bad = format!(
        "POST /things/a HTTP/1.0\r\n{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    );
    assert!(world.raw(bad.as_bytes()).await.contains(" 400 "));
    assert!(world.upstream.take().is_empty());
    let good = format!("POST /things/a HTTP/1.0\r\n{head}Content-Length: 3\r\n\r\nabc");
    assert!(world.raw(good.as_bytes()).await.contains(" 200 "));
    assert_eq!(world.upstream.take_one().body.unwrap().as_ref(), b"abc");
    world.stop().await;
}

#[tokio::test]
async fn g30_a_request_without_length_has_no_body_and_connect_is_refused() {
    let world = World::start();
    let next = format!(
        "GET /things/next HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        world.bearer(|_| {})
    );
    let (statuses, seen) = exchange(&world, "", &next).await;
    let seen: Vec<_> = seen
        .into_iter()
        .map(|(_, target, body)| (target, body))
        .collect();
    assert_eq!(statuses, [200, 200]);
    assert_eq!(
        seen,
        [("/things/a".to_owned(), 0), ("/things/next".to_owned(), 0)]
    );
    for target in ["localhost:443", "upstream.example:80", "/things/a"] {
        let connect = format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n{SMUGGLED}"
        );
        let answer = world.raw(connect.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{target} {answer}");
    }
    assert!(world.upstream.take().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn frm_10_g24_an_upgrade_is_not_passed_on() {
    let world = World::start();
    let (statuses, seen) = exchange(
        &world,
        "Connection: upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
        SMUGGLED,
    )
    .await;
    assert_eq!(statuses.first(), Some(&200), "{seen:?}");
    assert_eq!(
        seen.iter()
            .filter(|(_, target, _)| target == "/things/smuggled")
            .count(),
        0
    );
    let bearer = world.bearer(|_| {});
    assert_eq!(
        world
            .get(
                "/things/a",
                &[("authorization", &bearer), ("upgrade", "websocket")]
            )
            .await
            .status,
        200
    );
    assert!(!world.upstream.take_one().headers.contains_key("upgrade"));
    world.stop().await;
}

#[tokio::test]
async fn frm_11_g23_an_early_refusal_never_reads_the_body_as_a_request() {
    let world = World::start();
    for target in ["/nowhere", "/things/a;b", "/admin/a"] {
        let bearer = world.bearer(|_| {});
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\n",
            world.port()
        );
        let bytes = format!(
            "{head}Content-Length: {}\r\n\r\n{SMUGGLED}GET /things/b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            SMUGGLED.len()
        );
        world.raw(bytes.as_bytes()).await;
        let smuggled = world
            .upstream
            .take()
            .into_iter()
            .filter(|seen| seen.target.contains("smuggled"))
            .count();
        assert_eq!(smuggled, 0, "{target}");
        assert!(!world.log_text().await.contains("smuggled"));
    }
    world.stop().await;
}

#[tokio::test]
async fn frm_11_a_connection_with_an_unread_body_is_not_used_again() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    let client = world.client(None);
    for _ in 0..3 {
        let early = world
            .send(
                &client,
                Method::POST,
                "/things/early",
                &fields,
                vec![b'x'; 900].into(),
            )
            .await;
        assert_eq!(early.status, 200);
        assert_eq!(world.get("/things/after", &fields).await.status, 200);
    }
    let targets: Vec<String> = world
        .upstream
        .take()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    assert_eq!(targets, ["/things/early", "/things/after"].repeat(3));
    world.stop().await;
}

#[tokio::test]
async fn hdr_8_trailers_of_a_request_do_not_pass() {
    let world = World::start();
    let fields =
        "Transfer-Encoding: chunked\r\nTrailer: countersign-subject\r\nConnection: close\r\n";
    let bearer = world.bearer(|_| {});
    let head = format!(
        "POST /things/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\n{fields}\r\n",
        world.port()
    );
    let answer = world
        .raw(format!("{head}3\r\nabc\r\n0\r\ncountersign-subject: evil\r\n\r\n").as_bytes())
        .await;
    assert!(answer.contains(" 200 "), "{answer}");
    let seen = world.upstream.take_one();
    assert!(
        !seen.headers.contains_key("trailer") && seen.trailers.is_none(),
        "{seen:?}"
    );
    world.stop().await;
}
