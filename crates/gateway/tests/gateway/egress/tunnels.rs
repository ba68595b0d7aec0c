//! How tunnels end: by their sides, by limits, and when what permitted them does so no longer.

use super::{Out, billing, get, requests, rule, usual};
use crate::world::World;
use countersign_gateway::egress::{EgressRules, EgressSpec, Form};
use countersign_net::{Drained, EgressPolicy, Limits, Transport};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Waits until the tunnel has ended.
async fn ends(tunnel: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), tunnel.read_to_end(&mut rest));
    // A reset is an end as well.
    let _ended = read.await.unwrap();
}

#[tokio::test]
async fn a_tunnel_ends_when_its_grant_is_revoked() {
    let out = Out::start();
    let bearer = out.bearer(|_| {});
    let mut tunnel = out.tunnel_with("partner.test:443", &bearer).await.unwrap();
    let other = out.bearer(|claims| claims["grant_id"] = json!("0000000000000008"));
    let twin = out.tunnel_with("partner.test:443", &other).await.unwrap();
    let grant = "0000000000000007".parse().unwrap();
    out.world
        .planes
        .revoked
        .grants
        .lock()
        .unwrap()
        .insert(grant);
    ends(&mut tunnel).await;
    assert!(stands(&out, twin).await, "the twin");
    let log = out.log().await;
    World::assert_logged(&log, "\"reason\":\"revoked\"");
}

/// Whether a tunnel still leads to its destination.
async fn stands(out: &Out, tunnel: TcpStream) -> bool {
    let tls = super::internet_tls(&out.internet).connector();
    let Ok(mut session) = tls
        .connect("partner.test".try_into().unwrap(), tunnel)
        .await
    else {
        return false;
    };
    get(&mut session, "partner.test", "/").await.contains("200")
}

#[tokio::test]
async fn a_tunnel_ends_when_its_token_expires() {
    let out = Out::start();
    let soon = out.world.now().0 + 2;
    let bearer = out.bearer(|claims| claims["exp"] = json!(soon));
    let mut tunnel = out.tunnel_with("partner.test:443", &bearer).await.unwrap();
    ends(&mut tunnel).await;
    assert!(out.world.now().0 >= soon);
    let log = out.log().await;
    World::assert_logged(&log, "\"reason\":\"token_expired\"");
}

#[tokio::test]
async fn a_tunnel_ends_when_its_rule_or_its_workload_is_gone() {
    for (reason, keep_rule) in [("host_not_listed", false), ("workload_withdrawn", true)] {
        let out = Out::start();
        let mut tunnel = out.tunnel("partner.test:443").await;
        let mut spec = usual(&out.internet);
        if keep_rule {
            spec.workloads.clear();
        } else {
            spec.rules.retain(|rule| rule.id.as_str() != "partner");
        }
        out.proxy.replace_rules(EgressRules::new(spec));
        ends(&mut tunnel).await;
        let log = out.log().await;
        World::assert_logged(&log, &format!("\"reason\":\"{reason}\""));
    }
    // The twin: other rules that still list it.
    let out = Out::start();
    let tunnel = out.tunnel("partner.test:443").await;
    let asked = out.internet.looked_up("partner.test");
    out.proxy
        .replace_rules(EgressRules::new(usual(&out.internet)));
    assert!(stands(&out, tunnel).await);
    assert_eq!(out.internet.looked_up("partner.test"), asked);
}

#[tokio::test]
async fn a_tunnel_has_so_many_bytes_and_so_much_patience() {
    let out = Out::with(|spec| spec.limits.bytes_max = 64);
    let mut tunnel = out.tunnel("partner.test:443").await;
    tunnel.write_all(&[0x16; 65]).await.unwrap();
    ends(&mut tunnel).await;

    let out = Out::with(|spec| spec.limits.idle = Duration::from_secs(1));
    let mut tunnel = out.tunnel("partner.test:443").await;
    ends(&mut tunnel).await;

    let out = Out::with(|spec| spec.limits.total = Duration::from_secs(1));
    let mut tunnel = out.tunnel("partner.test:443").await;
    ends(&mut tunnel).await;

    let out = Out::start();
    let tunnel = out.tunnel("partner.test:443").await;
    assert!(stands(&out, tunnel).await, "the twin");
}

#[tokio::test]
async fn a_workload_has_so_many_tunnels_at_once() {
    let out = Out::with(|spec| spec.limits.per_workload = 2);
    let first = out.tunnel("partner.test:443").await;
    let _second = out.tunnel("partner.test:443").await;
    assert_eq!(out.verdict("partner.test:443").await, "429 workload_busy");
    let other = out.bearer(|_| {});
    assert_eq!(
        out.verdict_with("partner.test:443", &other).await,
        "200",
        "another workload has its own"
    );
    assert!(stands(&out, first).await);
    // Its end frees its place, as soon as the proxy has seen it.
    let freed = tokio::time::timeout(Duration::from_secs(20), async {
        while out.verdict("partner.test:443").await != "200" {
            tokio::task::yield_now().await;
        }
    });
    freed.await.unwrap();
}

#[tokio::test]
async fn a_drain_lets_tunnels_finish_and_closes_them_at_the_deadline() {
    let out = Out::start();
    let mut tunnel = out.tunnel("partner.test:443").await;
    let Out {
        running,
        world,
        internet,
        ..
    } = out;
    let drained = running.stop(Duration::from_millis(50)).await;
    assert_eq!(drained, Drained::DeadlinePassed);
    ends(&mut tunnel).await;
    let log = world.log_text().await;
    World::assert_logged(&log, "\"status\":200");
    drop(internet);

    let out = Out::start();
    let tunnel = out.tunnel("partner.test:443").await;
    assert!(stands(&out, tunnel).await);
    let drained = out.running.stop(Duration::from_secs(20)).await;
    assert_eq!(drained, Drained::Clean, "the twin: nothing was under way");
}

/// What a server on loopback sends to whoever connects.
#[derive(Debug, Clone, Copy)]
enum Sends {
    /// What it is sent.
    Back,
    /// An answer without an end, as fast as it is taken.
    Endlessly,
    /// The first piece of an answer.
    Piece,
}

async fn loopback(sends: Sends) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(speak(stream, sends));
        }
    });
    address
}

async fn speak(mut stream: TcpStream, sends: Sends) {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let said = match sends {
            Sends::Back => stream.write_all(&buffer[..count]).await,
            Sends::Endlessly => {
                let piece = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
                let mut said = stream.write_all(head).await;
                while said.is_ok() {
                    said = stream.write_all(&piece).await;
                }
                said
            }
            Sends::Piece => stream.write_all(head).await,
        };
        if said.is_err() {
            return;
        }
    }
}

/// Rules that let `billing` reach this server, whose network is excepted.
fn listing(spec: &mut EgressSpec, server: SocketAddr) {
    spec.policy = EgressPolicy::public_only().admitting("127.0.0.0/8".parse().unwrap());
    let forms = [
        ("near", Form::Tunnel),
        ("near-http", Form::Plain(requests(&["GET"], &["/"]))),
    ];
    for (id, form) in forms {
        let mut listed = rule(id, "127.0.0.1", form);
        listed.ports = [server.port()].into();
        spec.rules.push(listed);
    }
}

/// The beginning of the answer of such a server to a request of `billing`.
async fn under_way(out: &Out, server: SocketAddr) -> TcpStream {
    let mut stream = out.connect().await;
    let head = format!(
        "GET http://{server}/ HTTP/1.1\r\nHost: {server}\r\n{}\r\n",
        billing()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\nfirst\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    stream
}

#[tokio::test]
async fn what_goes_to_a_network_that_is_excepted_no_more_ends() {
    let (echo, piece) = (loopback(Sends::Back).await, loopback(Sends::Piece).await);
    let out = Out::with(|spec| {
        listing(spec, echo);
        listing(spec, piece);
    });
    let mut tunnel = out.tunnel(&echo.to_string()).await;
    let mut answer = under_way(&out, piece).await;
    let reload = |change: &dyn Fn(&mut EgressSpec)| {
        let mut spec = usual(&out.internet);
        listing(&mut spec, echo);
        listing(&mut spec, piece);
        change(&mut spec);
        out.proxy.replace_rules(EgressRules::new(spec));
    };
    // The twin: another network besides.
    reload(&|spec| {
        let policy = spec.policy.clone();
        spec.policy = policy.admitting("10.0.0.0/8".parse().unwrap());
    });
    // Twice each.
    out.world.asked_policies(4).await;
    tunnel.write_all(b"still here").await.unwrap();
    let mut back = [0; 10];
    tunnel.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"still here");
    reload(&|spec| spec.policy = EgressPolicy::public_only());
    ends(&mut tunnel).await;
    let mut rest = Vec::new();
    let _reset = answer.read_to_end(&mut rest).await;
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "no last chunk: the answer is not whole"
    );
    let log = out.log().await;
    assert_eq!(
        log.matches("\"reason\":\"address_loopback\"").count(),
        2,
        "{log}"
    );
}

#[tokio::test]
async fn a_workload_that_stops_reading_loses_its_place() {
    let server = loopback(Sends::Endlessly).await;
    let limits = Limits {
        write_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = World::start();
    let out = Out::within(limits, Transport::Plaintext, world, |spec| {
        listing(spec, server);
        spec.limits.per_workload = 1;
    });
    let mut reads = under_way(&out, server).await;
    for _ in 0..3 {
        let until = tokio::time::Instant::now() + Duration::from_millis(250);
        let mut piece = [0; 64 * 1024];
        while tokio::time::Instant::now() < until {
            assert!(reads.read(&mut piece).await.unwrap() > 0);
        }
        assert_eq!(
            out.verdict(&server.to_string()).await,
            "429 workload_busy",
            "the twin reads and keeps its place"
        );
    }
    // It goes on, and is read by nobody any more.
    let freed = tokio::time::timeout(Duration::from_secs(20), async {
        while out.verdict(&server.to_string()).await != "200" {
            tokio::task::yield_now().await;
        }
    });
    freed.await.unwrap();
    drop(reads);
}
