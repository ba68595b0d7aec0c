//! Addresses that are never reached, in every spelling and by every way round.

use super::{Out, billing, get, requests, rule, said, usual};
use countersign_gateway::egress::{EgressRules, Form, HostPattern};
use countersign_net::{EgressPolicy, Network};
use countersign_testkit::Said;
use http::{StatusCode, header};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Every special address, by the name of its kind.
const SPECIAL: &[(&str, &str)] = &[
    ("0.0.0.0", "address_unspecified"),
    ("10.0.0.1", "address_private"),
    ("100.64.0.1", "address_carrier_grade"),
    ("100.100.100.200", "address_metadata"),
    ("127.0.0.1", "address_loopback"),
    ("127.255.0.1", "address_loopback"),
    ("168.63.129.16", "address_metadata"),
    ("169.254.1.1", "address_link_local"),
    ("169.254.169.254", "address_metadata"),
    ("169.254.170.2", "address_metadata"),
    ("172.16.0.1", "address_private"),
    ("192.0.0.192", "address_metadata"),
    ("192.0.2.1", "address_documentation"),
    ("192.88.99.1", "address_reserved"),
    ("192.168.0.1", "address_private"),
    ("198.18.0.1", "address_reserved"),
    ("224.0.0.1", "address_multicast"),
    ("255.255.255.255", "address_reserved"),
    ("::", "address_unspecified"),
    ("::1", "address_loopback"),
    ("::7f00:1", "address_reserved"),
    ("::ffff:10.0.0.1", "address_private"),
    ("::ffff:169.254.169.254", "address_metadata"),
    ("64:ff9b::a9fe:a9fe", "address_metadata"),
    ("64:ff9b:1::1", "address_reserved"),
    ("2001::1", "address_reserved"),
    ("2001:db8::1", "address_documentation"),
    ("2002:a9fe:a9fe::", "address_metadata"),
    ("fc00::1", "address_private"),
    ("fd00:ec2::254", "address_metadata"),
    ("fe80::1", "address_link_local"),
    ("ff02::1", "address_multicast"),
];

#[tokio::test]
async fn a43_no_special_address_is_reached_by_a_listed_name() {
    let out = Out::start();
    for (number, (address, code)) in SPECIAL.iter().enumerate() {
        let name = format!("n{number}.inside.test");
        out.internet.resolves(&name, &[&[address]]);
        assert_eq!(
            out.verdict(&format!("{name}:443")).await,
            format!("403 {code}"),
            "{address}"
        );
        // One among others is enough: nobody knows which would be taken.
        let public = out.internet.address_of("partner.test").to_string();
        let mixed = format!("m{number}.inside.test");
        out.internet.resolves(&mixed, &[&[&public, address]]);
        assert_eq!(
            out.verdict(&format!("{mixed}:443")).await,
            format!("403 {code}"),
            "{public} and {address}"
        );
    }
    assert_eq!(out.internet.dialled(), [], "no connection");
    let public = out.internet.address_of("partner.test").to_string();
    out.internet.resolves("twin.inside.test", &[&[&public]]);
    assert_eq!(out.verdict("twin.inside.test:443").await, "200", "the twin");
    let log = out.log().await;
    crate::world::World::assert_logged(&log, "\"reason\":\"address_metadata\"");
}

#[tokio::test]
async fn a43_no_special_address_is_reached_by_its_own_spelling_even_if_it_is_listed() {
    let hosts = SPECIAL
        .iter()
        .map(|(address, _)| match address.contains(':') {
            true => format!("[{address}]"),
            false => (*address).to_owned(),
        });
    let hosts: Vec<String> = hosts.collect();
    let out = Out::with(|spec| {
        for (number, host) in hosts.iter().enumerate() {
            // A spelling that has no canonical form cannot be listed either.
            if let Ok(exact) = host.parse() {
                let mut listed = rule(&format!("r{number}"), "partner.test", Form::Tunnel);
                listed.host = HostPattern::Exactly(exact);
                spec.rules.push(listed);
            }
        }
    });
    for (host, (address, code)) in hosts.iter().zip(SPECIAL) {
        let verdict = out.verdict(&format!("{host}:443")).await;
        let respelled = address.starts_with("::ffff") || *address == "::7f00:1";
        let expected = if respelled {
            "400 destination_address_spelling".to_owned()
        } else {
            format!("403 {code}")
        };
        assert_eq!(verdict, expected, "{host}");
    }
    for spelled in [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "0251.0376.0251.0376",
        "0xa9fea9fe",
        "2852039166",
        "169.254.43518",
    ] {
        assert_eq!(
            out.verdict(&format!("{spelled}:443")).await,
            "400 destination_address_spelling",
            "{spelled}"
        );
    }
    for (spelled, code) in [
        ("127.0.0.1.", "destination_trailing_dot"),
        ("169.254.169.254.", "destination_trailing_dot"),
        ("localhost.", "destination_trailing_dot"),
        ("[fe80::1%25lo]", "destination_zone"),
        ("x@127.0.0.1", "destination_user_info"),
    ] {
        let verdict = out.verdict(&format!("{spelled}:443")).await;
        // Some of them are no target at all to the HTTP layer.
        assert!(
            verdict == format!("400 {code}") || verdict == "400",
            "{spelled}: {verdict}"
        );
    }
    assert_eq!(out.internet.dialled(), [], "no connection");
    assert_eq!(out.verdict("partner.test:443").await, "200", "the twin");
}

#[tokio::test]
async fn a43_a_name_that_leads_elsewhere_at_the_second_look_gains_nothing() {
    let out = Out::start();
    let public = out.internet.address_of("partner.test");
    let answers: &[&[&str]] = &[&[&public.to_string()], &["169.254.169.254"], &["127.0.0.1"]];
    out.internet.resolves("partner.test", answers);
    let mut session = out.session("partner.test").await;
    assert!(
        get(&mut session, "partner.test", "/")
            .await
            .contains("partner.test /")
    );
    assert_eq!(out.internet.looked_up("partner.test"), 1, "one look");
    assert_eq!(out.internet.dialled(), [SocketAddr::new(public, 443)]);
    assert_eq!(
        out.verdict("partner.test:443").await,
        "403 address_metadata",
        "the next request looks again, and judges again"
    );
    assert_eq!(
        out.verdict("partner.test:443").await,
        "403 address_loopback"
    );
    assert_eq!(out.internet.dialled().len(), 1);
}

#[tokio::test]
async fn a43_a_redirect_is_the_workloads_next_request_and_judged_as_one() {
    let out = Out::start();
    out.internet.host("open.test", |_| {
        Said::status(StatusCode::FOUND)
            .with(header::LOCATION, "http://169.254.169.254/latest/meta-data/")
    });
    let answer = out.request("GET", "http://open.test/v1", "").await;
    assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
    assert!(
        answer
            .to_lowercase()
            .contains("location: http://169.254.169.254/")
    );
    assert_eq!(out.internet.dialled().len(), 1, "nobody followed it");
    let next = "http://169.254.169.254/latest/meta-data/";
    let answer = out.request("GET", next, "").await;
    assert_eq!(said(&answer), "403 host_not_listed");
    let mut spec = usual(&out.internet);
    let everything = Form::Plain(requests(&["GET"], &["/"]));
    spec.rules
        .push(rule("metadata", "169.254.169.254", everything));
    out.proxy.replace_rules(EgressRules::new(spec));
    let answer = out.request("GET", next, "").await;
    assert_eq!(
        said(&answer),
        "403 address_metadata",
        "not even if it is listed"
    );
}

/// A server on loopback that says what it heard.
async fn plain_server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = vec![0; 4096];
                let count = stream.read(&mut heard).await.unwrap();
                let text = &heard[..count];
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(text).await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn an_excepted_network_is_reached_and_our_own_listeners_never() {
    let server = plain_server().await;
    let control = plain_server().await;
    let out = Out::with(|spec| {
        spec.policy = EgressPolicy::public_only()
            .admitting("127.0.0.1/32".parse().unwrap())
            .sparing([control]);
        for (id, port) in [("server", server.port()), ("control", control.port())] {
            let mut tunnel = rule(id, "127.0.0.1", Form::Tunnel);
            tunnel.ports = [port].into();
            spec.rules.push(tunnel);
            let mut plain = rule(
                &format!("{id}-http"),
                "127.0.0.1",
                Form::Plain(requests(&["GET"], &["/"])),
            );
            plain.ports = [port].into();
            spec.rules.push(plain);
        }
    });
    let reach = |address: SocketAddr| format!("127.0.0.1:{}", address.port());
    assert_eq!(out.verdict(&reach(server)).await, "200");
    assert_eq!(out.verdict(&reach(control)).await, "403 address_own");
    let answer = out
        .request("GET", &format!("http://{}/a", reach(server)), "X-A: b\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("GET /a HTTP/1.1"), "{answer}");
    assert!(answer.contains("x-a: b"), "{answer}");
    assert!(
        !answer.to_lowercase().contains("proxy-authorization"),
        "{answer}"
    );
    let answer = out
        .request("GET", &format!("http://{}/a", reach(control)), "")
        .await;
    assert_eq!(said(&answer), "403 address_own");
}

#[tokio::test]
async fn nothing_is_looked_up_that_is_not_listed() {
    let looked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looked);
    let out = Out::with(|spec| {
        let network = Network::new(
            move |_, _| {
                counted.fetch_add(1, Ordering::SeqCst);
                Box::pin(async { Ok(Vec::new()) })
            },
            |address| Box::pin(TcpStream::connect(address)),
        );
        spec.policy = EgressPolicy::public_only().over(network);
    });
    assert_eq!(
        out.verdict("secret-data.other.test:443").await,
        "403 host_not_listed"
    );
    assert_eq!(
        out.verdict_with("partner.test:443", "").await,
        "407 no_credential"
    );
    assert_eq!(
        looked.load(Ordering::SeqCst),
        0,
        "names carry data out as well"
    );
    assert_eq!(
        out.verdict_with("partner.test:443", &billing()).await,
        "502 host_unknown"
    );
    assert_eq!(looked.load(Ordering::SeqCst), 1);
}
