//! A fabric with endpoints, a publisher, and a dispatcher that can be ended and begun again.

use crate::webhook::dispatcher::{Dispatcher, DispatcherOptions, Service, Services, Share, Trust};
use countersign_audit::event::Stopped;
use countersign_audit::{Code, Record};
use countersign_base::{
    Duration, EndpointId, MessageId, Secret, SourceName, Tenant, UnixTime, WebhookSecretId,
};
use countersign_control::Declared;
use countersign_crypto::digest::sha256;
use countersign_crypto::random::Random;
use countersign_keys::{Aad, envelope};
use countersign_net::tls::Alpn;
use countersign_net::{DeliveryLimits, DeliveryPool, EgressPolicy, Schemes, TlsClient, TrustRoots};
use countersign_store::Write;
use countersign_store::tables::webhook_deliveries::{self, DeliveryState, ListedWebhook};
use countersign_store::tables::webhook_endpoints::{
    EndpointRecord, EndpointState, EndpointSwitch, EndpointTarget, WebhookOrder, WebhookPayload,
    WebhookSigning, find,
};
use countersign_store::tables::webhook_secrets::{NewWebhookSecret, SecretKind};
use countersign_store::webhooks::{
    Accepted, Addressee, NewEndpoint, NewMessage, WebhookDeliveryId, WebhookMessage, WebhookWrite,
};
use countersign_testkit::{FakeInternet, TestFabric, tenant};
use countersign_wire::webhook::standard::{self, SigningSecret};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The setting of a test.
pub(super) struct Scene {
    pub(super) test: TestFabric,
    pub(super) inbound: Vec<((Tenant, SourceName), Service)>,
    dispatcher: Option<Dispatcher>,
    timeout: Duration,
    share: Share,
}

/// An endpoint, and what its first secret is.
pub(super) struct Made {
    pub(super) id: EndpointId,
    pub(super) secret: SigningSecret,
}

impl Scene {
    /// Without a dispatcher.
    pub(super) async fn set() -> Self {
        Self {
            test: TestFabric::start(Declared::default()).await.unwrap(),
            inbound: Vec::new(),
            dispatcher: None,
            timeout: Duration::from_secs(20),
            share: Share::of(64),
        }
    }

    /// With one.
    pub(super) async fn begun() -> Self {
        let mut scene = Self::set().await;
        scene.begin();
        scene
    }

    /// How long an attempt may take from the next beginning on.
    pub(super) fn timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// How much may be under way from the next beginning on.
    pub(super) fn share(&mut self, share: Share) {
        self.share = share;
    }

    pub(super) fn internet(&self) -> &Arc<FakeInternet> {
        &self.test.internet
    }

    pub(super) fn tenant() -> Tenant {
        tenant("default")
    }

    pub(super) fn begin(&mut self) {
        let internet = self.internet();
        let roots = TrustRoots::from_pem(internet.certificate_pem().as_bytes()).unwrap();
        let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
        let limits = DeliveryLimits {
            timeout: self.timeout,
            ..DeliveryLimits::default()
        };
        let policy = EgressPolicy::public_only().over(internet.network());
        let inside = EgressPolicy::public_only().over(internet.network());
        let services = DeliveryPool::new(tls.clone(), inside, Schemes::HttpToo, limits);
        let options = DispatcherOptions {
            receivers: DeliveryPool::new(tls, policy, Schemes::Https, limits),
            trust: Trust::new(roots, None).unwrap(),
            inbound: Services::new(services, self.inbound.clone()),
            share: self.share,
        };
        self.dispatcher = Some(Dispatcher::start(&self.test.fabric, options));
    }

    /// Ends the dispatcher, with so much time for what is under way.
    pub(super) async fn end(&mut self, deadline: Duration) {
        self.dispatcher.take().unwrap().stop(deadline).await;
    }

    pub(super) fn now(&self) -> UnixTime {
        self.test.fabric.now()
    }

    pub(super) fn later(&self, seconds: u64) {
        self.test.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) fn record(&self) -> Record {
        let event = Stopped {
            reason: Code::of("test"),
        };
        let recorder = self.test.fabric.recorder();
        recorder.about_event(&Self::tenant(), None, event)
    }

    pub(super) async fn write(&self, write: WebhookWrite) {
        self.write_of(&Self::tenant(), write).await;
    }

    async fn write_of(&self, tenant: &Tenant, write: WebhookWrite) {
        let writes = vec![Write::Webhook(Box::new(write))];
        let store = self.test.fabric.store();
        let changed = store.change(tenant, writes, self.record(), self.now());
        changed.await.unwrap();
    }

    /// A new secret, sealed as one is.
    pub(super) fn secret(&self) -> (NewWebhookSecret, SigningSecret) {
        self.secret_of(&Self::tenant())
    }

    fn secret_of(&self, tenant: &Tenant) -> (NewWebhookSecret, SigningSecret) {
        let fabric = &self.test.fabric;
        let secret = SigningSecret::generate(standard::SecretKind::Hmac, fabric.random()).unwrap();
        let id = WebhookSecretId::from_bytes(fabric.random().bytes());
        let place = Aad::row(tenant, "webhook_secrets", "sealed", id.as_bytes());
        let text = secret.to_text();
        let keks = fabric.secrets().keks();
        let bytes = text.expose().as_bytes();
        let sealed = envelope::seal(&*keks, &place, bytes, fabric.random()).unwrap();
        let new = NewWebhookSecret {
            id,
            kind: SecretKind::Hmac,
            sealed: sealed.into_bytes(),
        };
        (new, secret)
    }

    /// An endpoint that wants everything.
    pub(super) async fn endpoint(&self, url: &str) -> Made {
        self.endpoint_with(url, |_| {}).await
    }

    pub(super) async fn endpoint_with(
        &self,
        url: &str,
        change: impl FnOnce(&mut EndpointRecord),
    ) -> Made {
        self.endpoint_for(url, "*", change).await
    }

    /// An endpoint that wants the events of this pattern.
    pub(super) async fn endpoint_for(
        &self,
        url: &str,
        pattern: &str,
        change: impl FnOnce(&mut EndpointRecord),
    ) -> Made {
        self.endpoint_of(&Self::tenant(), url, pattern, change)
            .await
    }

    /// The same, of this tenant.
    pub(super) async fn endpoint_of(
        &self,
        tenant: &Tenant,
        url: &str,
        pattern: &str,
        change: impl FnOnce(&mut EndpointRecord),
    ) -> Made {
        let mut record = EndpointRecord {
            url: url.parse().unwrap(),
            description: None,
            signing: WebhookSigning::V1,
            payload: WebhookPayload::Full,
            encryption: None,
            order: WebhookOrder::Any,
            rate: None,
            concurrency: 8,
            retries: countersign_base::Bounded::parse("standard").unwrap(),
            client_certificate: false,
            ca: None,
            disabled: None,
        };
        change(&mut record);
        let id = EndpointId::from_bytes(self.test.fabric.random().bytes());
        let (new, secret) = self.secret_of(tenant);
        let endpoint = NewEndpoint {
            id,
            partner: None,
            record,
            patterns: BTreeSet::from([pattern.parse().unwrap()]),
            secret: new,
        };
        self.write_of(tenant, WebhookWrite::AddEndpoint(Box::new(endpoint)))
            .await;
        Made { id, secret }
    }

    pub(super) async fn switch(&self, id: EndpointId, to: EndpointSwitch) {
        self.write(WebhookWrite::SwitchEndpoint(id, to)).await;
    }

    /// Gives an endpoint another address.
    pub(super) async fn move_to(&self, id: EndpointId, url: &str) {
        let mut connection = self.test.fabric.store().read().await.unwrap();
        let row = find(&mut connection, &Self::tenant(), id).await;
        drop(connection);
        let EndpointTarget::Receiver(mut record) = row.unwrap().unwrap().target else {
            panic!("it is a receiver");
        };
        record.url = url.parse().unwrap();
        let patterns = BTreeSet::from(["*".parse().unwrap()]);
        self.write(WebhookWrite::PutEndpoint {
            id,
            record,
            patterns,
        })
        .await;
    }

    pub(super) async fn state(&self, id: EndpointId) -> EndpointState {
        let mut connection = self.test.fabric.store().read().await.unwrap();
        let row = find(&mut connection, &Self::tenant(), id).await;
        row.unwrap().unwrap().state
    }

    /// Waits until the endpoint is disabled.
    pub(super) async fn until_disabled(&self, id: EndpointId) {
        let disabled = async {
            while self.state(id).await != EndpointState::Disabled {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), disabled);
        waited.await.unwrap();
    }

    /// Publishes this body.
    pub(super) async fn publish(&self, body: &str) -> MessageId {
        self.publish_as("invoice.paid", body, None).await
    }

    /// Publishes this body, in the order of this key.
    pub(super) async fn publish_as(
        &self,
        event_type: &str,
        body: &str,
        order_key: Option<u8>,
    ) -> MessageId {
        let message = sealed_message(self, event_type, body);
        self.publish_message(message, order_key).await
    }

    /// Publishes something to the endpoints of this tenant.
    pub(super) async fn publish_of(&self, tenant: &Tenant) -> MessageId {
        let message = message_of(self, tenant, "invoice.paid", "{}");
        self.publish_message(message, None).await
    }

    async fn publish_message(&self, message: WebhookMessage, order_key: Option<u8>) -> MessageId {
        let fabric = &self.test.fabric;
        let new = NewMessage {
            message,
            order_key: order_key.map(|key| [key; 16]),
        };
        let id = new.message.id;
        let accepted = fabric
            .store()
            .accept_message(new, self.record(), self.now());
        assert!(matches!(accepted.await.unwrap(), Accepted::New(_)));
        id
    }

    /// The delivery of a message to an endpoint.
    pub(super) async fn delivery(&self, message: MessageId, endpoint: EndpointId) -> ListedWebhook {
        let mut connection = self.test.fabric.store().read().await.unwrap();
        let id = WebhookDeliveryId { message, endpoint };
        let tenant = Self::tenant();
        let found = webhook_deliveries::find(&mut connection, &tenant, id);
        found.await.unwrap().unwrap()
    }

    /// Waits until the delivery is as expected, and gives it.
    pub(super) async fn until(
        &self,
        message: MessageId,
        endpoint: EndpointId,
        expected: impl Fn(&ListedWebhook) -> bool,
    ) -> ListedWebhook {
        let mut last = None;
        let waited = async {
            loop {
                let delivery = self.delivery(message, endpoint).await;
                if expected(&delivery) {
                    return delivery;
                }
                last = Some(delivery);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(10), waited).await {
            Ok(delivery) => delivery,
            Err(_) => panic!("{last:?}"),
        }
    }

    pub(super) async fn until_delivered(&self, message: MessageId, endpoint: EndpointId) {
        self.until(message, endpoint, |delivery| {
            delivery.state == DeliveryState::Delivered
        })
        .await;
    }

    /// Waits until so many attempts of it have failed.
    pub(super) async fn until_failed(
        &self,
        message: MessageId,
        endpoint: EndpointId,
        attempts: usize,
    ) -> ListedWebhook {
        self.until(message, endpoint, |delivery| delivery.log.len() >= attempts)
            .await
    }
}

pub(super) fn sealed_message(scene: &Scene, event_type: &str, body: &str) -> WebhookMessage {
    message_of(scene, &Scene::tenant(), event_type, body)
}

fn message_of(scene: &Scene, tenant: &Tenant, event_type: &str, body: &str) -> WebhookMessage {
    let fabric = &scene.test.fabric;
    let random: &Random = fabric.random();
    let id = MessageId::from_bytes(random.bytes());
    let place = Aad::row(tenant, "webhook_messages", "sealed", id.as_bytes());
    let body = Secret::new(body.as_bytes().to_vec());
    let keks = fabric.secrets().keks();
    let sealed = envelope::seal(&*keks, &place, body.expose(), random).unwrap();
    WebhookMessage {
        tenant: tenant.clone(),
        id,
        event_type: event_type.parse().unwrap(),
        version: 1,
        to: Addressee::Everyone,
        digest: sha256(body.expose()),
        sealed: sealed.into_bytes(),
        created: scene.now(),
    }
}
