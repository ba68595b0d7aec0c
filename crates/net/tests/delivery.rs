//! What is delivered goes where it may, over connections that are kept no longer than they may be, and what comes back is bounded.

#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use countersign_net::tls::Alpn;
use countersign_net::{
    Answer, ClientCertificates, Connection, DeliveryError, DeliveryLimits, DeliveryPool,
    DeliveryTls, Drain, DrainTrigger, EgressPolicy, Limits, Listener, Network, Receiver, Refused,
    RetryAfter, Schemes, ServerTls, TlsClient, TlsIdentity, Transport, TrustRoots, Unanswered,
};
use countersign_testkit::{FakeInternet, Said, TestAuthority, system_clock};
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn pool_with(
    internet: &Arc<FakeInternet>,
    policy: EgressPolicy,
    limits: DeliveryLimits,
) -> DeliveryPool {
    let roots = TrustRoots::from_pem(internet.certificate_pem().as_bytes()).unwrap();
    let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
    DeliveryPool::new(tls, policy.over(internet.network()), Schemes::Https, limits)
}

fn pool(internet: &Arc<FakeInternet>, limits: DeliveryLimits) -> DeliveryPool {
    pool_with(internet, EgressPolicy::public_only(), limits)
}

fn to(url: &str) -> Receiver {
    Receiver::new(url.parse().unwrap())
}

async fn send(pool: &DeliveryPool, url: &str) -> Result<Answer, DeliveryError> {
    let body = Bytes::from_static(b"{}");
    pool.send(&to(url), HeaderMap::new(), body).await
}

fn reason(result: &Result<Answer, DeliveryError>) -> &'static str {
    result
        .as_ref()
        .err()
        .map_or("answered", DeliveryError::reason)
}

#[tokio::test]
async fn deliveries_to_one_receiver_share_a_connection_and_the_name_is_looked_up_once() {
    let internet = FakeInternet::new();
    internet.host("rp.test", |_| Said::of("text/plain", "ok"));
    let pool = pool(&internet, DeliveryLimits::default());
    for _ in 0..5 {
        let answer = send(&pool, "https://rp.test/hook?x=1").await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(&answer.excerpt[..], b"ok");
    }
    let heard = internet.heard();
    assert_eq!(heard.len(), 5);
    assert_eq!(
        (&heard[0].method, &*heard[0].path),
        (&Method::POST, "/hook?x=1")
    );
    assert_eq!(heard[0].headers[header::HOST], "rp.test");
    assert_eq!(internet.looked_up("rp.test"), 1);
    assert_eq!(internet.dialled().len(), 1);
    assert_eq!(pool.open(), 1);
}

#[tokio::test]
async fn a43_a_name_that_leads_elsewhere_later_is_judged_again_when_its_connections_time_is_over() {
    let internet = FakeInternet::new();
    internet.host("rebinding.test", |_| Said::status(StatusCode::OK));
    let public = internet.address_of("rebinding.test").to_string();
    internet.resolves("rebinding.test", &[&[&public], &["127.0.0.1"]]);
    let kept = DeliveryLimits::default();
    let never_kept = DeliveryLimits {
        kept_for: Duration::ZERO,
        ..kept
    };
    let first = pool(&internet, never_kept);
    assert_eq!(
        reason(&send(&first, "https://rebinding.test/").await),
        "answered"
    );
    assert_eq!(
        internet.looked_up("rebinding.test"),
        1,
        "one look for one connection"
    );
    let refused = send(&first, "https://rebinding.test/").await;
    assert!(
        matches!(refused, Err(DeliveryError::Refused(Refused::Forbidden(_)))),
        "for good: {refused:?}"
    );
    assert_eq!(internet.dialled().len(), 1, "and nothing was connected to");

    // The twin: the address that was judged is the one in use for as long as the connection is kept.
    let dialled = internet.dialled().len();
    internet.resolves("rebinding.test", &[&[&public]]);
    let second = pool(&internet, kept);
    for _ in 0..2 {
        assert_eq!(
            reason(&send(&second, "https://rebinding.test/").await),
            "answered"
        );
    }
    assert_eq!(internet.dialled().len(), dialled + 1);
}

#[tokio::test]
async fn r56_what_may_not_be_reached_is_refused_for_good_before_anything_is_connected_to() {
    let internet = FakeInternet::new();
    let own: SocketAddr = ([203, 0, 114, 77], 443).into();
    let policy = EgressPolicy::public_only().sparing([own]);
    let pool = pool_with(&internet, policy, DeliveryLimits::default());
    internet.resolves("private.test", &[&["10.0.0.1"]]);
    internet.resolves("metadata.test", &[&["169.254.169.254"]]);
    internet.resolves("mixed.test", &[&["203.0.114.1", "127.0.0.1"]]);
    internet.resolves("own.test", &[&["203.0.114.77"]]);
    for url in [
        "https://private.test/",
        "https://metadata.test/",
        "https://mixed.test/",
        "https://own.test/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
    ] {
        let refused = send(&pool, url).await;
        assert!(
            matches!(refused, Err(DeliveryError::Refused(Refused::Forbidden(_)))),
            "{url}: {refused:?}"
        );
    }
    for url in [
        "http://rp.test/",
        "https://user:word@rp.test/",
        "https://rp.test/#fragment",
        "ftp://rp.test/",
        "data:text/plain,x",
    ] {
        let refused = send(&pool, url).await;
        assert!(
            matches!(refused, Err(DeliveryError::Refused(Refused::Url))),
            "{url}: {refused:?}"
        );
    }
    assert_eq!(internet.dialled(), []);
    assert_eq!(pool.open(), 0);
    // What may pass is told apart: a name without an address, a host that nobody answers at.
    let unknown = send(&pool, "https://nowhere.test/").await;
    assert!(matches!(
        unknown,
        Err(DeliveryError::Unanswered(Unanswered::Host(_)))
    ));
    internet.resolves("silent.test", &[&["203.0.114.99"]]);
    let silent = send(&pool, "https://silent.test/").await;
    assert!(matches!(
        silent,
        Err(DeliveryError::Unanswered(Unanswered::Connect(_)))
    ));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let internet = FakeInternet::new();
    internet.host("target.test", |_| Said::status(StatusCode::OK));
    let pool = pool(&internet, DeliveryLimits::default());
    for status in [301, 302, 303, 307, 308] {
        internet.host("moved.test", move |_| {
            Said::status(StatusCode::from_u16(status).unwrap())
                .with(header::LOCATION, "https://target.test/")
        });
        let answer = send(&pool, "https://moved.test/").await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
    }
    assert_eq!(internet.looked_up("target.test"), 0);
}

#[tokio::test]
async fn retry_after_is_read_and_of_the_body_the_beginning_is_kept() {
    let internet = FakeInternet::new();
    internet.host("busy.test", |_| {
        let said = Said::of("text/plain", "x".repeat(5_000));
        Said {
            status: StatusCode::TOO_MANY_REQUESTS,
            ..said.with(header::RETRY_AFTER, "120")
        }
    });
    let pool = pool(&internet, DeliveryLimits::default());
    let answer = send(&pool, "https://busy.test/").await.unwrap();
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let expected = RetryAfter::In(Duration::from_secs(120));
    assert_eq!(answer.retry_after, Some(expected));
    assert_eq!(answer.excerpt.len(), 1024);
    assert_eq!(
        pool.open(),
        1,
        "it was read to its end: the connection stays"
    );
}

#[tokio::test]
async fn a_huge_answer_costs_its_connection_and_no_memory() {
    let internet = FakeInternet::new();
    internet.host("huge.test", |_| {
        Said::of("text/plain", "x".repeat(8 * 1024 * 1024))
    });
    let pool = pool(&internet, DeliveryLimits::default());
    let answer = send(&pool, "https://huge.test/").await.unwrap();
    assert_eq!(
        (answer.status, answer.excerpt.len()),
        (StatusCode::OK, 1024)
    );
    assert_eq!(pool.open(), 0);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_costs_its_time_and_its_own_room_alone() {
    let internet = FakeInternet::new();
    internet.host("slow.test", |_| Said::status(StatusCode::OK));
    internet.host("quick.test", |_| Said::status(StatusCode::OK));
    let held = internet.hold("slow.test", Method::POST);
    let pool = pool(
        &internet,
        DeliveryLimits {
            timeout: Duration::from_millis(300),
            per_receiver_max: 2,
            connections_max: 3,
            ..DeliveryLimits::default()
        },
    );
    let (first, second, (third, quick)) = tokio::join!(
        send(&pool, "https://slow.test/"),
        send(&pool, "https://slow.test/"),
        async {
            internet.wait_for(2).await;
            tokio::join!(
                send(&pool, "https://slow.test/"),
                send(&pool, "https://quick.test/")
            )
        }
    );
    for late in [first, second] {
        assert!(matches!(
            late,
            Err(DeliveryError::Unanswered(Unanswered::Timeout))
        ));
    }
    assert!(matches!(third, Err(DeliveryError::Busy)), "{third:?}");
    assert_eq!(quick.unwrap().status, StatusCode::OK);
    assert_eq!(pool.open(), 1, "what timed out is closed");
    drop(held);
}

#[tokio::test]
async fn where_all_are_too_many_an_idle_connection_makes_room() {
    let internet = FakeInternet::new();
    let limits = DeliveryLimits {
        connections_max: 2,
        ..DeliveryLimits::default()
    };
    let pool = pool(&internet, limits);
    for name in ["one.test", "two.test", "three.test", "four.test"] {
        internet.host(name, |_| Said::status(StatusCode::OK));
        assert_eq!(
            reason(&send(&pool, &format!("https://{name}/")).await),
            "answered"
        );
        assert!(pool.open() <= 2);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_its_time_is_over() {
    let internet = FakeInternet::new();
    internet.host("rp.test", |_| Said::status(StatusCode::OK));
    let limits = DeliveryLimits {
        idle_for: Duration::from_millis(1),
        ..DeliveryLimits::default()
    };
    let pool = pool(&internet, limits);
    assert_eq!(reason(&send(&pool, "https://rp.test/").await), "answered");
    assert_eq!(pool.open(), 1);
    let closed = async {
        while pool.open() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed)
        .await
        .unwrap();
}

/// How a plain server treats its connections.
#[derive(Clone, Copy)]
enum Treats {
    /// It answers one request, and closes before the next comes.
    ClosesAfterOne,
    /// It answers one request, reads the next and closes without a word.
    ClosesOnTheSecond,
    /// It answers, and the body that it announces never comes.
    NeverEnds,
}

/// A server on loopback that counts requests and connections.
struct Plain {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

async fn plain(treats: Treats) -> Plain {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let server = Plain {
        address: listener.local_addr().unwrap(),
        connections: Arc::default(),
        requests: Arc::default(),
    };
    let (connections, requests) = (server.connections.clone(), server.requests.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(treat(stream, treats, requests.clone()));
        }
    });
    server
}

async fn treat(mut stream: TcpStream, treats: Treats, requests: Arc<AtomicUsize>) {
    read_request(&mut stream).await;
    requests.fetch_add(1, Ordering::SeqCst);
    let length = match treats {
        Treats::ClosesAfterOne | Treats::ClosesOnTheSecond => 0,
        Treats::NeverEnds => 5,
    };
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    match treats {
        Treats::ClosesAfterOne => stream.shutdown().await.unwrap(),
        Treats::ClosesOnTheSecond => {
            if read_request(&mut stream).await {
                requests.fetch_add(1, Ordering::SeqCst);
            }
        }
        Treats::NeverEnds => {
            read_request(&mut stream).await;
        }
    }
}

/// Reads one request whose body is `{}`; whether one came.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n{}") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return false,
        }
    }
    true
}

fn services(address: SocketAddr) -> (DeliveryPool, String) {
    services_within(address, DeliveryLimits::default())
}

fn services_within(address: SocketAddr, limits: DeliveryLimits) -> (DeliveryPool, String) {
    let authority = TestAuthority::new(system_clock().now());
    let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap();
    let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
    let policy = EgressPolicy::public_only().allowing("127.0.0.1");
    let pool = DeliveryPool::new(tls, policy, Schemes::HttpToo, limits);
    (pool, format!("http://{address}/"))
}

#[tokio::test]
async fn what_was_taken_is_taken_though_the_rest_of_the_answer_never_comes() {
    let server = plain(Treats::NeverEnds).await;
    let limits = DeliveryLimits {
        timeout: Duration::from_secs(1),
        ..DeliveryLimits::default()
    };
    let (pool, url) = services_within(server.address, limits);
    let answered = send(&pool, &url).await;
    assert_eq!(answered.unwrap().status, StatusCode::OK);
    assert_eq!(pool.open(), 0);
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn plain_http_reaches_this_machine_and_nothing_else() {
    let server = plain(Treats::ClosesAfterOne).await;
    let internet = FakeInternet::new();
    internet.resolves("localhost.evil.test", &[&["127.0.0.1"]]);
    internet.resolves("rp.test", &[&["203.0.114.7"]]);
    let roots = TrustRoots::from_pem(internet.certificate_pem().as_bytes()).unwrap();
    let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
    let pool = |policy: EgressPolicy| {
        let limits = DeliveryLimits::default();
        DeliveryPool::new(tls.clone(), policy, Schemes::HttpsOrLoopback, limits)
    };
    let url = format!("http://{}/", server.address);
    let allowed = pool(EgressPolicy::public_only().allowing("127.0.0.1"));
    assert_eq!(reason(&send(&allowed, &url).await), "answered");
    let guarded = pool(EgressPolicy::public_only());
    assert_eq!(reason(&send(&guarded, &url).await), "address_forbidden");
    let elsewhere = pool(EgressPolicy::public_only().over(internet.network()));
    for url in [
        "http://rp.test/",
        "http://localhost.evil.test/",
        "http://203.0.114.7/",
    ] {
        assert_eq!(reason(&send(&elsewhere, url).await), "url", "{url}");
    }
    assert_eq!(internet.dialled(), []);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_where_nothing_was_sent() {
    let server = plain(Treats::ClosesAfterOne).await;
    let (pool, url) = services(server.address);
    for _ in 0..4 {
        assert_eq!(reason(&send(&pool, &url).await), "answered");
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 4, "each came once");
    assert_eq!(server.connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_may_have_been_heard_is_not_sent_a_second_time() {
    let server = plain(Treats::ClosesOnTheSecond).await;
    let (pool, url) = services(server.address);
    assert_eq!(reason(&send(&pool, &url).await), "answered");
    let broken = send(&pool, &url).await;
    assert!(
        matches!(
            broken,
            Err(DeliveryError::Unanswered(Unanswered::Broken(_)))
        ),
        "{broken:?}"
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert_eq!(pool.open(), 0);
}

/// A receiver that asks for a certificate of this authority and remembers who came.
struct Mutual {
    pool: DeliveryPool,
    came: Arc<Mutex<Vec<String>>>,
    _running: DrainTrigger,
}

fn mutual(authority: &TestAuthority, limits: DeliveryLimits) -> Mutual {
    let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap();
    let identity = TlsIdentity::from_issued(&authority.server_for(&["mutual.test"])).unwrap();
    let tls = ServerTls::new(&identity, ClientCertificates::Required(roots)).unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.address();
    let came: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = came.clone();
    let make = move |connection: &Arc<Connection>| {
        let who = match &connection.peer {
            countersign_base::Conditional::Present(certificate) => {
                certificate.alternative_names().uris.join(",")
            }
            countersign_base::Conditional::Absent(_) => "nobody".to_owned(),
        };
        let seen = seen.clone();
        service_fn(move |_request: http::Request<hyper::body::Incoming>| {
            seen.lock().unwrap().push(who.clone());
            async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) }
        })
    };
    let (trigger, drain) = Drain::new();
    let transport = Transport::Tls(tls);
    tokio::spawn(countersign_net::serve(
        listener,
        transport,
        Limits::default(),
        make,
        drain,
    ));
    // The pool itself believes another authority: the receiver brings its own.
    let other = FakeInternet::new();
    let roots = TrustRoots::from_pem(other.certificate_pem().as_bytes()).unwrap();
    let client = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
    let network = Network::new(
        |_, port| Box::pin(async move { Ok(vec![SocketAddr::from(([203, 0, 114, 9], port))]) }),
        move |_| Box::pin(TcpStream::connect(address)),
    );
    let policy = EgressPolicy::public_only().over(network);
    Mutual {
        pool: DeliveryPool::new(client, policy, Schemes::Https, limits),
        came,
        _running: trigger,
    }
}

#[tokio::test]
async fn a_certificate_of_ours_and_an_authority_of_theirs_are_used_for_the_receiver_that_has_them()
{
    let authority = TestAuthority::new(system_clock().now());
    let mutual = mutual(&authority, DeliveryLimits::default());
    let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap();
    let url = "https://mutual.test/hook";
    let ours = |uri: &str| {
        let identity = TlsIdentity::from_issued(&authority.client(uri)).unwrap();
        DeliveryTls::new(&roots, Some(&identity)).unwrap()
    };
    let (one, two) = (ours("urn:one"), ours("urn:two"));
    for tls in [&one, &two, &one] {
        let receiver = to(url).with_tls(tls.clone());
        let body = Bytes::from_static(b"{}");
        let answer = mutual.pool.send(&receiver, HeaderMap::new(), body).await;
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }
    let came = mutual.came.lock().unwrap().clone();
    assert_eq!(came, ["urn:one", "urn:two", "urn:one"]);
    assert_eq!(mutual.pool.open(), 2, "a connection serves one certificate");
    // Without them: not believed, and not let in.
    let stranger = send(&mutual.pool, url).await;
    assert!(matches!(
        stranger,
        Err(DeliveryError::Unanswered(Unanswered::Connect(_)))
    ));
    let without = to(url).with_tls(DeliveryTls::new(&roots, None).unwrap());
    let body = Bytes::from_static(b"{}");
    let refused = mutual.pool.send(&without, HeaderMap::new(), body).await;
    assert!(
        matches!(refused, Err(DeliveryError::Unanswered(_))),
        "{refused:?}"
    );
    assert_eq!(mutual.came.lock().unwrap().len(), 3);
}
