//! Who gets a delivery when a service has several addresses, and what is tried when one of them is gone.

use super::{Outgoing, Service, ToService};
use countersign_net::tls::Alpn;
use countersign_net::{
    DeliveryLimits, DeliveryPool, DeliveryTls, EgressPolicy, Receiver, Schemes, TlsClient,
    TrustRoots,
};
use countersign_testkit::{FakeInternet, Said};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

struct Setting {
    internet: Arc<FakeInternet>,
    pool: DeliveryPool,
}

impl Setting {
    fn new() -> Self {
        let internet = FakeInternet::new();
        let roots = TrustRoots::from_pem(internet.certificate_pem().as_bytes()).unwrap();
        let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
        let policy = EgressPolicy::public_only().over(internet.network());
        let limits = DeliveryLimits::default();
        let pool = DeliveryPool::new(tls, policy, Schemes::HttpToo, limits);
        Self { internet, pool }
    }

    fn answers(&self, host: &str, status: StatusCode) {
        let said = move |_: &countersign_testkit::Heard| Said::status(status);
        self.internet.plain_host(host, said);
    }

    fn service(&self, hosts: &[&str]) -> ToService {
        let receiver = |host: &&str| Receiver::new(format!("http://{host}/in").parse().unwrap());
        let (first, also) = hosts.split_first().unwrap();
        let service = Service {
            receiver: receiver(first),
            also: also.iter().map(receiver).collect(),
            signing: Arc::default(),
            media_type: "application/json".to_owned(),
            rate: None,
            concurrency: 1,
            retries: "service".to_owned(),
        };
        ToService::new(&self.pool, &service)
    }

    /// The hosts that heard something, in turn.
    fn heard(&self) -> Vec<String> {
        let heard = self.internet.heard();
        heard.into_iter().map(|heard| heard.host).collect()
    }
}

fn outgoing() -> Outgoing {
    Outgoing {
        headers: HeaderMap::new(),
        body: "{}".into(),
    }
}

#[tokio::test]
async fn the_addresses_take_turns() {
    let setting = Setting::new();
    for host in ["one.test", "two.test"] {
        setting.answers(host, StatusCode::OK);
    }
    let service = setting.service(&["one.test", "two.test"]);
    for _ in 0..4 {
        assert_eq!(
            service.send(&outgoing()).await.unwrap().status,
            StatusCode::OK
        );
    }
    let expected = ["one.test", "two.test", "one.test", "two.test"];
    assert_eq!(setting.heard(), expected);
}

#[tokio::test]
async fn where_nothing_could_be_sent_the_next_one_is_tried_at_once() {
    let setting = Setting::new();
    setting.answers("two.test", StatusCode::OK);
    // A name that leads nowhere, and an address where nobody listens.
    setting
        .internet
        .resolves("gone.test", &[&["203.0.114.200"]]);
    let service = setting.service(&["unknown.test", "gone.test", "two.test"]);
    for _ in 0..3 {
        assert!(service.send(&outgoing()).await.is_ok());
    }
    assert_eq!(setting.heard(), ["two.test"; 3]);
    let alone = setting.service(&["unknown.test", "gone.test"]);
    assert!(alone.send(&outgoing()).await.is_err());
}

#[tokio::test]
async fn what_was_answered_goes_nowhere_else() {
    let setting = Setting::new();
    setting.answers("one.test", StatusCode::INTERNAL_SERVER_ERROR);
    setting.answers("two.test", StatusCode::OK);
    let service = setting.service(&["one.test", "two.test"]);
    let answer = service.send(&outgoing()).await.unwrap();
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(setting.heard(), ["one.test"]);
}

#[tokio::test]
async fn a_certificate_carries_the_name_that_is_configured() {
    let setting = Setting::new();
    setting
        .internet
        .host("cert.test", |_| Said::status(StatusCode::OK));
    let address = setting.internet.address_of("cert.test").to_string();
    setting.internet.resolves("inside.test", &[&[&address]]);
    let roots = TrustRoots::from_pem(setting.internet.certificate_pem().as_bytes()).unwrap();
    let tls = DeliveryTls::new(&roots, None).unwrap();
    let receiver = || {
        let url = "https://inside.test/in".parse().unwrap();
        Receiver::new(url).with_tls(tls.clone())
    };
    let sent = async |receiver: Receiver| {
        let outgoing = outgoing();
        let sent = setting
            .pool
            .send(&receiver, outgoing.headers, outgoing.body);
        sent.await.is_ok()
    };
    assert!(
        !sent(receiver()).await,
        "the host is not in the certificate"
    );
    assert!(sent(receiver().with_server_name("cert.test")).await);
    // A connection that was made under one name serves no other.
    assert!(!sent(receiver().with_server_name("other.test")).await);
    assert!(!sent(receiver()).await);
}
