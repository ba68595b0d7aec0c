//! Where requests come from, what they carry and what sends them: firewall, lists, signals and connections, through the front door.

use crate::world::{Setup, World, roots};
use countersign_gateway::threats::network::{AddressList, Cidr, NetworkRules};
use countersign_gateway::threats::waf::{Limits as WafLimits, Mode, Waf, WafSpec};
use countersign_gateway::threats::{RouteThreats, Software};
use countersign_net::tls::Alpn;
use countersign_net::{Limits, TlsClient};
use http::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

const RULES: &str = r#"
SecAction "id:901200,phase:1,pass,nolog,t:none,setvar:tx.anomaly_score_pl1=0"
SecRule ARGS "@rx evil" "id:942001,phase:2,block,t:none,setvar:'tx.anomaly_score_pl1=+5'"
SecRule TX:ANOMALY_SCORE_PL1 "@ge %{tx.inbound_anomaly_score_threshold}" "id:949110,phase:2,deny,t:none,log"
"#;

fn waf(mode: Mode) -> RouteThreats {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.conf");
    std::fs::write(&file, RULES).unwrap();
    let spec = WafSpec {
        name: "crs".to_owned(),
        rules: vec![file],
        mode,
        paranoia: 1,
        threshold: 5,
        exclusions: Vec::new(),
        left_out: Vec::new(),
        variables: BTreeMap::new(),
        limits: WafLimits {
            body_bytes_max: 100,
            ..WafLimits::default()
        },
    };
    let waf = Waf::load(&spec).unwrap();
    RouteThreats {
        waf: Some(waf.screen(&[]).unwrap()),
        ..RouteThreats::default()
    }
}

/// A world whose route `things` has this, and all others nothing.
fn world(setup: Setup, threats: RouteThreats) -> World {
    let world = World::with(setup);
    let threats = Arc::new(threats);
    world.reload(|specs| {
        let things = specs.iter_mut().find(|spec| spec.id.as_str() == "things");
        things.unwrap().threats = Some(threats);
    });
    world
}

async fn post(world: &World, path: &str, body: &str) -> StatusCode {
    let bearer = world.bearer(|_| {});
    let fields = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = bytes::Bytes::from(body.to_owned());
    let client = world.client(None);
    world
        .send(&client, Method::POST, path, &fields, body)
        .await
        .status
}

#[tokio::test]
async fn an_attack_is_refused_without_internals_and_recorded_with_score_and_rules() {
    let world = world(Setup::default(), waf(Mode::Block));
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    let refused = world.get("/things/a?q=evil-twin", &fields).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let told = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(
        told.contains("request_id") && !told.contains("942001"),
        "{told}"
    );
    assert_eq!(
        world.get("/things/a?q=good", &fields).await.status,
        StatusCode::OK
    );
    assert_eq!(
        world.get("/passed/a?q=evil", &fields).await.status,
        StatusCode::OK,
        "another route"
    );
    assert_eq!(
        post(&world, "/things/a", "q=evil").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(post(&world, "/things/a", "q=good").await, StatusCode::OK);
    // What cannot be inspected is refused.
    assert_eq!(
        post(&world, "/things/a", &"q=good&".repeat(20)).await,
        StatusCode::FORBIDDEN
    );
    // A stranger is told of the credential: the firewall does not work for nobody.
    assert_eq!(
        world.get("/things/a?q=evil", &[]).await.status,
        StatusCode::UNAUTHORIZED
    );
    let log = world.log_text().await;
    World::assert_logged(&log, "waf_blocked");
    World::assert_logged(&log, "crs waf_blocked score 5 rules 942001 949110");
    World::assert_logged(&log, "waf_limit_body");
    assert!(
        !log.contains("evil-twin"),
        "what was matched is not recorded"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_firewall_that_detects_lets_through_and_records() {
    let world = world(Setup::default(), waf(Mode::Detect));
    assert_eq!(post(&world, "/things/a", "q=evil").await, StatusCode::OK);
    assert_eq!(
        post(&world, "/things/a", &"q=good&".repeat(20)).await,
        StatusCode::OK
    );
    let log = world.log_text().await;
    World::assert_logged(&log, "crs waf_blocked score 5 rules 942001 949110");
    World::assert_logged(&log, "crs waf_limit_body");
    world.stop().await;
}

#[tokio::test]
async fn an_address_on_a_list_is_refused_before_its_credential_is_looked_at() {
    let list = |network: &str| {
        let network: Cidr = network.parse().unwrap();
        vec![Arc::new([network].into_iter().collect::<AddressList>())]
    };
    let denied = RouteThreats {
        network: Some(NetworkRules {
            deny: list("127.0.0.0/8"),
            ..NetworkRules::default()
        }),
        ..RouteThreats::default()
    };
    let world = world(Setup::default(), denied);
    assert_eq!(
        world.get("/things/a", &[]).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        world.get("/passed/a", &[]).await.status,
        StatusCode::UNAUTHORIZED,
        "another route"
    );
    World::assert_logged(&world.log_text().await, "network_denied");
    let bearer = world.bearer(|_| {});
    let allow = |network: &str| {
        Arc::new(RouteThreats {
            network: Some(NetworkRules {
                allow: vec![list(network)],
                ..NetworkRules::default()
            }),
            ..RouteThreats::default()
        })
    };
    for (network, expected) in [
        ("192.0.2.0/24", StatusCode::FORBIDDEN),
        ("127.0.0.1", StatusCode::OK),
    ] {
        world.reload(|specs| {
            let things = specs.iter_mut().find(|spec| spec.id.as_str() == "things");
            things.unwrap().threats = Some(allow(network));
        });
        let answer = world.get("/things/a", &[("authorization", &bearer)]).await;
        assert_eq!(answer.status, expected, "{network}");
    }
    world.stop().await;
}

#[tokio::test]
async fn what_sends_a_request_is_recorded_where_the_route_asks() {
    let threats = RouteThreats {
        software: Software::Seen,
        ..RouteThreats::default()
    };
    let world = world(Setup::default(), threats);
    let bearer = world.bearer(|_| {});
    let fields = [
        ("authorization", bearer.as_str()),
        ("user-agent", "curl/8.5.0"),
    ];
    assert_eq!(world.get("/passed/a", &fields).await.status, StatusCode::OK);
    let silent = world.log_text().await;
    assert!(!silent.contains("ja4 t13"), "another route");
    assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    let log = world.log_text().await;
    World::assert_logged(&log, "ja4 t13d");
    World::assert_logged(&log, "signals tool");
    world.stop().await;
}

#[tokio::test]
async fn a_peer_has_so_many_connections_and_no_more() {
    let limits = Limits {
        connections_per_peer_max: 2,
        ..Limits::default()
    };
    let world = World::with(Setup {
        limits,
        cores: 2,
        ..Setup::default()
    });
    let tls = TlsClient::new(&roots(&world.authority), None, Alpn::Http1).unwrap();
    let connect = async || {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", world.port())).await?;
        tls.connector()
            .connect("localhost".try_into().unwrap(), stream)
            .await
    };
    let first = connect().await.unwrap();
    let mut second = connect().await.unwrap();
    assert!(connect().await.is_err(), "closed before its handshake");
    drop(first);
    // The place is free once the gateway has seen the end of the connection.
    let third = loop {
        match connect().await {
            Ok(third) => break third,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    drop(third);
    // The one that was there all the time still is.
    let request = format!(
        "GET /things/a HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
        world.port()
    );
    tokio::io::AsyncWriteExt::write_all(&mut second, request.as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    world.stop().await;
}
