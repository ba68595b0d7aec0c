//! Everything a test needs around the gateway: an issuer, callers with keys, a control plane of plain data, the audit log on disk.

use crate::routes::{built, spec, specs};
use crate::upstream::FakeUpstream;
use bytes::Bytes;
use countersign_authn::api_key::SourceNetworks;
use countersign_authn::dpop::{NonceUse, Nonces};
use countersign_authn::opaque::StoredAnswer;
use countersign_authn::replay::ReplayLimits;
use countersign_authn::{
    Freshness, KeyAnswer, KeyNeeded, RevocationId, Revocations, TrustedIssuer, danger,
};
use countersign_base::{Clock, GrantId, Kid, Secret, Tenant, UnixTime};
use countersign_control::{Metrics, TraceOptions, Traces};
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{
    AccessToken, DpopProof, LogCheckpoint, SigningKey, generate_pkcs8,
};
use countersign_crypto::x509::{CertificateThumbprint, PeerCertificate};
use countersign_gateway::forward_auth::{ForwardAuth, TrustedProxy};
use countersign_gateway::limiter::LimitedBy;
use countersign_gateway::messages::NotSpent;
use countersign_gateway::routes::{RouteSpec, Routes};
use countersign_gateway::{
    ExchangeError, ExchangeRequest, Exchanged, Gateway, GatewayOptions, Planes, RunningGateway,
    Seen, UpstreamSpec,
};
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientCertificates, ClientOptions, ClientResponse, EgressPolicy, HttpClient, Limits, Listeners,
    ServerTls, TlsClient, TlsIdentity, TrustRoots,
};
use countersign_oauth::api_key::ApiKeyRecord;
use countersign_oauth::{ClientRecord, TenantRecord};
use countersign_policy::PolicySet;
use countersign_store::audit::{AuditLog, AuditOptions, AuditTask, NoOutbox, tail};
use countersign_store::idempotency::KeyRegistry;
use countersign_store::redis::SharedCounters;
use countersign_store::{Recorder, ReplayMemory};
use countersign_testkit::{TestAuthority, system_clock};
use countersign_wire::message::{self, Message, Unspent};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

pub const ISSUER: &str = "https://id.example";
pub const FOREIGN_ISSUER: &str = "https://other.example";
/// An issuer that is not ours, by the name `partner`. Its key is called as that of our own issuer is.
pub const PARTNER: &str = "https://login.partner.example";
pub const AUDIENCE: &str = "https://api.example";
pub const OTHER_AUDIENCE: &str = "https://other-api.example";
/// A person.
pub const ALICE: &str = "0123456789abcdef0123456789abcdef";
pub const BOB: &str = "fedcba9876543210fedcba9876543210";

const SCHEMA: &str = r#"
entity Order { tenant: Tenant, owner: User, region: String };
action "read_order" appliesTo { principal: [User, Client, External, Anonymous], resource: [Order], context: RequestContext };
action "broken" appliesTo { principal: [User, Client, External, Anonymous], resource: [Order], context: RequestContext };
"#;
const POLICIES: &str = r#"
@id("owner-in-region")
permit (principal is User, action == Action::"read_order", resource is Order)
when { resource.owner == principal && principal.hasTag("region") && principal.getTag("region") == resource.region };
@id("everyone-may")
permit (principal, action == Action::"broken", resource is Order);
@id("nobody-in-private")
forbid (principal, action == Action::"request", resource is Route)
when { context.path like "/things/private" || context.path like "/things/private/*" };
@id("masked") @mask("/iban /items/*/price") @drop("/**/internal") @limit_rows("/items 2")
permit (principal, action == Action::"request", resource == Route::"obliged");
@id("second-factor") @step_up("acr=urn:countersign:acr:2")
forbid (principal, action == Action::"request", resource == Route::"stepped")
unless { context has level && context.level >= 2 };
@id("fresh") @step_up("max_age=300")
permit (principal, action == Action::"request", resource == Route::"stepped");
@id("purposed") @purpose("billing")
permit (principal, action == Action::"request", resource == Route::"purposed");
@id("worked") @challenge("proof-of-work bits=10")
forbid (principal, action == Action::"request", resource is Route)
when { context.path like "/worked*" }
unless { context has proof_of_work && context.proof_of_work >= 10 };
@id("nobody-out-there")
forbid (principal, action == Action::"egress", resource is EgressDestination)
when { resource.host == "forbidden.test" };
@id("fails-to-evaluate")
forbid (principal, action == Action::"broken", resource is Order)
when { context.time + 9223372036854775807 > 0 };
"#;

/// The control plane of a test.
pub struct TestPlanes {
    clock: Clock,
    random: Random,
    policies: Mutex<Arc<PolicySet>>,
    policies_asked: AtomicUsize,
    replay: ReplayMemory,
    nonces: Nonces,
    recorder: Recorder,
    pub traces: Traces,
    keys: Vec<(String, SigningKey<AccessToken>)>,
    pub generation: AtomicU64,
    pub other_generation: AtomicU64,
    pub fetches: AtomicUsize,
    /// Set while neither keys nor the store can be had.
    pub away: AtomicBool,
    /// Opaque tokens and their claims.
    pub opaque: Mutex<BTreeMap<String, Value>>,
    /// API keys, what they say, and where they may come from.
    pub api_keys: Mutex<BTreeMap<String, (ApiKeyRecord, ClientRecord)>>,
    pub lookups: AtomicUsize,
    /// Partners' messages that were taken.
    pub messages: Mutex<BTreeSet<[u8; 32]>>,
    pub exchanges: AtomicUsize,
    pub exchange_fails: Mutex<Option<ExchangeError>>,
    pub observed: Mutex<Vec<(&'static str, u16)>>,
    pub revoked: RevokedGrants,
    counters: Option<SharedCounters>,
    shared_keys: Option<KeyRegistry>,
    pub limited: Mutex<Vec<&'static str>>,
}

/// Grants that are revoked, and whether the table is current.
#[derive(Default)]
pub struct RevokedGrants {
    pub grants: Mutex<BTreeSet<GrantId>>,
    pub stale: Mutex<Option<()>>,
    /// How often it was asked.
    pub asked: AtomicUsize,
}

impl Revocations for RevokedGrants {
    fn not_before(&self, id: RevocationId<'_>) -> Option<UnixTime> {
        match id {
            RevocationId::Grant(grant) if self.grants.lock().unwrap().contains(&grant) => {
                Some(UnixTime(i64::MAX))
            }
            _ => None,
        }
    }

    fn freshness(&self, _now: UnixTime) -> Freshness {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.stale.lock().unwrap().is_some() {
            Freshness::Stale
        } else {
            Freshness::Current
        }
    }
}

impl Planes for TestPlanes {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn random(&self) -> &Random {
        &self.random
    }

    fn policies(&self) -> Arc<PolicySet> {
        self.policies_asked.fetch_add(1, Ordering::SeqCst);
        Arc::clone(&self.policies.lock().unwrap())
    }

    fn revocations(&self) -> &dyn Revocations {
        &self.revoked
    }

    fn replay(&self) -> &ReplayMemory {
        &self.replay
    }

    fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    fn traces(&self) -> &Traces {
        &self.traces
    }

    fn key_generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn other_key_generation(&self, _now: UnixTime) -> u64 {
        self.other_generation.load(Ordering::SeqCst)
    }

    async fn key(&self, needed: &KeyNeeded, _now: UnixTime) -> KeyAnswer {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return KeyAnswer::Unavailable;
        }
        let found = self.keys.iter().find(|(issuer, key)| {
            issuer == needed.issuer().as_str() && needed.kid() == Some(key.kid())
        });
        match found {
            Some((_, key)) => KeyAnswer::Key(key.verifying_key().unwrap()),
            None => KeyAnswer::Unknown,
        }
    }

    async fn stored(&self, token: &str, issuers: &[TrustedIssuer]) -> StoredAnswer {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return StoredAnswer::Unavailable;
        }
        if let Some((record, client)) = self.api_keys.lock().unwrap().get(token) {
            let tenant = TenantRecord::new(issuers[0].tenant.clone(), issuers[0].issuer.clone());
            let Some(claims) = record.claims(client, &tenant, self.clock.now()) else {
                return StoredAnswer::Unknown;
            };
            let networks = SourceNetworks(record.networks.iter().copied().collect());
            let stored = danger::stored_api_key(tenant.name, token, claims, networks);
            return StoredAnswer::Token(Box::new(stored.unwrap()));
        }
        let rows = self.opaque.lock().unwrap();
        let (Some(row), Some(issuer)) = (rows.get(token), issuers.first()) else {
            return StoredAnswer::Unknown;
        };
        let stored = danger::stored_token(issuer.tenant.clone(), token, &row.to_string());
        StoredAnswer::Token(Box::new(stored.unwrap()))
    }

    fn work_key(&self, tenant: &Tenant) -> Option<MacKey> {
        let key: [u8; 32] = *countersign_audit::Digest::of(tenant.as_str().as_bytes()).as_bytes();
        Some(MacKey::new(Secret::new(key)))
    }

    fn counters(&self) -> Option<&SharedCounters> {
        self.counters.as_ref()
    }

    fn shared_keys(&self) -> Option<&KeyRegistry> {
        self.shared_keys.as_ref()
    }

    async fn spend_message(
        &self,
        _tenant: &Tenant,
        unspent: Unspent<Message>,
    ) -> Result<Message, NotSpent> {
        if self.away.load(Ordering::SeqCst) {
            return Err(NotSpent::Unavailable);
        }
        if self.messages.lock().unwrap().insert(unspent.one_time().key) {
            Ok(message::danger::spent(unspent))
        } else {
            Err(NotSpent::Replayed)
        }
    }

    fn limited(&self, by: LimitedBy) {
        self.limited.lock().unwrap().push(by.as_str());
    }

    fn observe(&self, seen: Seen, status: StatusCode, _took: Duration) {
        let mut observed = self.observed.lock().unwrap();
        observed.push((seen.as_str(), status.as_u16()));
    }

    fn observe_egress(&self, seen: Seen, status: StatusCode) {
        let mut observed = self.observed.lock().unwrap();
        observed.push((seen.as_str(), status.as_u16()));
    }

    async fn exchange(&self, request: ExchangeRequest<'_>) -> Result<Exchanged, ExchangeError> {
        let number = self.exchanges.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = *self.exchange_fails.lock().unwrap() {
            return Err(error);
        }
        let binding = request
            .certificate
            .map(|thumbprint| thumbprint.to_string())
            .unwrap_or_default();
        let token = format!(
            "exchanged.{number}.{}.{}",
            request.audience.as_str().len(),
            binding.len()
        );
        Ok(Exchanged {
            token: Secret::new(token),
            expires: self.clock.now().plus(Duration::from_secs(300)),
        })
    }
}

pub fn key<P: countersign_crypto::signing::Purpose>(kid: &str) -> SigningKey<P> {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    SigningKey::from_pkcs8(Algorithm::Es256, kid.parse::<Kid>().unwrap(), &pkcs8).unwrap()
}

/// A gateway with its issuer, its upstream and its log.
pub struct World {
    pub authority: TestAuthority,
    pub upstream: FakeUpstream,
    pub planes: Arc<TestPlanes>,
    gateway: Arc<Gateway<TestPlanes>>,
    running: RunningGateway,
    pub issuer: SigningKey<AccessToken>,
    pub foreign: SigningKey<AccessToken>,
    pub partner: SigningKey<AccessToken>,
    log: AuditLog,
    task: Mutex<Option<AuditTask>>,
    directory: tempfile::TempDir,
}

/// What a test may want otherwise.
pub struct Setup {
    pub cores: usize,
    pub nonce_use: NonceUse,
    pub started: UnixTime,
    pub limits: Limits,
    pub audit: AuditOptions,
    pub traces: TraceOptions,
    pub counters: Option<SharedCounters>,
    pub shared_keys: Option<KeyRegistry>,
}

impl Default for Setup {
    fn default() -> Self {
        let started = system_clock().now().minus(Duration::from_secs(3_600));
        let audit = AuditOptions {
            refusals_per_second: 10_000,
            ..AuditOptions::default()
        };
        Self {
            cores: 1,
            nonce_use: NonceUse::AfterStart,
            started,
            limits: Limits::default(),
            audit,
            traces: TraceOptions::default(),
            counters: None,
            shared_keys: None,
        }
    }
}

impl World {
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let clock = system_clock();
        let authority = TestAuthority::new(clock.now());
        let upstream = FakeUpstream::start(&authority);
        let directory = tempfile::tempdir().unwrap();
        let (log, task) = opened(directory.path(), &clock, setup.audit);
        let random = Random::system();
        let (issuer, foreign, partner) = (key("issuer-1"), key("foreign-1"), key("issuer-1"));
        let planes = Arc::new(TestPlanes {
            traces: traces(setup.traces, &authority, &clock, &random),
            policies: Mutex::new(Arc::new(policies(""))),
            policies_asked: AtomicUsize::new(0),
            replay: ReplayMemory::new(ReplayLimits::default()),
            nonces: Nonces::new(
                MacKey::new(Secret::new([1; 32])),
                [2; 16],
                setup.started,
                setup.nonce_use,
            ),
            recorder: Recorder::new(log.clone(), clock.clone(), random.clone(), None),
            keys: vec![
                (ISSUER.to_owned(), issuer.clone()),
                (FOREIGN_ISSUER.to_owned(), foreign.clone()),
                (PARTNER.to_owned(), partner.clone()),
            ],
            generation: AtomicU64::new(0),
            other_generation: AtomicU64::new(0),
            fetches: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            opaque: Mutex::default(),
            api_keys: Mutex::default(),
            lookups: AtomicUsize::new(0),
            messages: Mutex::default(),
            exchanges: AtomicUsize::new(0),
            exchange_fails: Mutex::new(None),
            observed: Mutex::default(),
            revoked: RevokedGrants::default(),
            counters: setup.counters,
            shared_keys: setup.shared_keys,
            limited: Mutex::default(),
            clock,
            random,
        });
        let gateway = Gateway::new(Arc::clone(&planes), built(&authority, &upstream, specs()));
        let roots = roots(&authority);
        let tls = ServerTls::new(
            &TlsIdentity::from_issued(&authority.server()).unwrap(),
            ClientCertificates::Optional(roots),
        )
        .unwrap();
        let listeners = Listeners::bind(
            "127.0.0.1:0".parse().unwrap(),
            NonZeroUsize::new(setup.cores).unwrap(),
        )
        .unwrap();
        let limits = setup.limits;
        let options = GatewayOptions { tls, limits };
        let running = Arc::clone(&gateway).start(listeners, options).unwrap();
        Self {
            authority,
            upstream,
            planes,
            gateway,
            running,
            issuer,
            foreign,
            partner,
            log,
            task: Mutex::new(Some(task)),
            directory,
        }
    }

    /// Puts other routes in place: those of the start, and `more`.
    pub fn reload(&self, change: impl FnOnce(&mut Vec<RouteSpec>)) {
        let mut specs = specs();
        change(&mut specs);
        self.gateway
            .replace_routes(built(&self.authority, &self.upstream, specs));
    }

    /// Keeps so many verdicts from now on.
    pub fn remember_tokens(&self, tokens_max: usize) {
        self.gateway.remember_tokens(tokens_max);
    }

    /// Lets these proxies ask about requests that they hold.
    pub fn trust(&self, proxies: Vec<TrustedProxy>) {
        let routes = built(&self.authority, &self.upstream, specs());
        self.gateway
            .replace_routes(routes.asked_by(ForwardAuth::new(proxies)));
    }

    /// A certificate for a proxy, and what it is pinned by.
    pub fn proxy_certificate(&self) -> (TlsIdentity, CertificateThumbprint) {
        let issued = self.authority.client("urn:example:proxy");
        let leaf = PeerCertificate::from_der(issued.chain_der[0].clone()).unwrap();
        (
            TlsIdentity::from_issued(&issued).unwrap(),
            leaf.thumbprint(),
        )
    }

    /// Puts these routes in place of all others.
    pub fn replace(&self, routes: Routes) {
        self.gateway.replace_routes(routes);
    }

    /// Puts other policies in place: those of the start, and `more`.
    pub fn decide_by(&self, more: &str) {
        *self.planes.policies.lock().unwrap() = Arc::new(policies(more));
    }

    /// Returns once what stands has been asked again so many times.
    pub async fn asked_again(&self, times: usize) {
        let asked = || self.planes.revoked.asked.load(Ordering::SeqCst);
        let before = asked();
        while asked() < before + times {
            tokio::task::yield_now().await;
        }
    }

    /// Returns once somebody has looked at the policies so many times.
    pub async fn asked_policies(&self, times: usize) {
        let asked = || self.planes.policies_asked.load(Ordering::SeqCst);
        let before = asked();
        while asked() < before + times {
            tokio::task::yield_now().await;
        }
    }

    /// Puts one route `/r/...` in place, to this upstream.
    pub fn reach(&self, upstream: UpstreamSpec, change: impl FnOnce(&mut RouteSpec)) {
        let mut route = spec("reached", "/r/{*rest}");
        route.upstream = upstream.name.clone();
        change(&mut route);
        let hosts = ["localhost".to_owned()].into();
        self.gateway
            .replace_routes(Routes::build(vec![route], vec![upstream], hosts).unwrap());
    }

    pub fn port(&self) -> u16 {
        self.running.address().port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port())
    }

    pub async fn stop(self) {
        self.running.stop(Duration::from_secs(5)).await;
    }

    pub fn now(&self) -> UnixTime {
        self.planes.clock.now()
    }

    /// The claims of a good token: Alice, through the client `portal`, allowed to read orders.
    pub fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "sub": ALICE, "aud": AUDIENCE, "client_id": "portal", "scope": "orders.read orders.write",
            "iat": self.now().0 - 5, "exp": self.now().0 + 300, "jti": Random::system().token().expose(),
            "attrs": { "region": "eu" },
        })
    }

    pub fn token(&self, claims: &Value) -> String {
        sign_jwt(&self.issuer, claims).unwrap()
    }

    /// A bearer token, changed by the test.
    pub fn bearer(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        format!("Bearer {}", self.token(&claims))
    }

    /// A client of this gateway, with or without a certificate.
    pub fn client(&self, identity: Option<&TlsIdentity>) -> HttpClient {
        let tls = TlsClient::new(&roots(&self.authority), identity, Alpn::Http1).unwrap();
        HttpClient::new(
            tls,
            EgressPolicy::public_only().allowing("localhost"),
            ClientOptions::default(),
        )
    }

    pub async fn get(&self, path: &str, fields: &[(&str, &str)]) -> ClientResponse {
        self.send(&self.client(None), Method::GET, path, fields, Bytes::new())
            .await
    }

    pub async fn send(
        &self,
        client: &HttpClient,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> ClientResponse {
        let url = Url::parse(&self.url(path)).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        client.send(method, &url, headers, body).await.unwrap()
    }

    /// What the gateway says to these bytes, until it closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let tls = TlsClient::new(&roots(&self.authority), None, Alpn::Http1).unwrap();
        let stream = tokio::net::TcpStream::connect(self.running.address())
            .await
            .unwrap();
        let mut stream = tls
            .connector()
            .connect("localhost".try_into().unwrap(), stream)
            .await
            .unwrap();
        stream.write_all(bytes).await.unwrap();
        // What is written of many connections at once by one task waits here otherwise.
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        // A reset after an answer is as good as a close.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The status of a raw request with a good bearer token on the target `target`.
    pub async fn raw_get(&self, target: &str) -> u16 {
        let bearer = self.bearer(|_| {});
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n",
            self.port()
        );
        status(&self.raw(head.as_bytes()).await)
    }

    /// The log takes nothing any more.
    pub fn close_log(&self) {
        drop(self.task.lock().unwrap().take());
    }

    /// Everything that stands in the log.
    pub async fn log_text(&self) -> String {
        self.log.published().await.unwrap();
        let mut text = String::new();
        read_into(
            &mut text,
            &self.directory.path().join("test.example/log/tile/entries"),
        );
        text
    }

    /// The records of the log that name this request.
    pub async fn records_of(&self, request: &str) -> Vec<Value> {
        self.log.published().await.unwrap();
        let (records, _) = tail(self.log.directory(), 0).unwrap();
        let records = records
            .iter()
            .map(|(_, record)| serde_json::to_value(record).unwrap());
        let named = records.filter(|record| record.to_string().contains(request));
        named.collect()
    }

    /// Returns once `needle` stands in the log.
    pub async fn logged(&self, needle: &str) {
        let soon = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let text = self.log_text().await;
            if text.contains(needle) {
                return;
            }
            assert!(
                std::time::Instant::now() < soon,
                "`{needle}` is not in the log: {text}"
            );
            tokio::task::yield_now().await;
        }
    }

    /// The records that are about the request with the id in `response`, or hold `needle`.
    #[track_caller]
    pub fn assert_logged(text: &str, needle: &str) {
        assert!(
            text.contains(needle),
            "`{needle}` is not in the log: {text}"
        );
    }
}

fn traces(
    options: TraceOptions,
    authority: &TestAuthority,
    clock: &Clock,
    random: &Random,
) -> Traces {
    let (clock, random) = (clock.clone(), random.clone());
    let pem = authority.certificate_pem();
    Traces::start(options, pem, clock, random, Metrics::new()).unwrap()
}

fn opened(directory: &Path, clock: &Clock, options: AuditOptions) -> (AuditLog, AuditTask) {
    let pkcs8 = generate_pkcs8(Algorithm::EdDsa).unwrap();
    let key: SigningKey<LogCheckpoint> =
        SigningKey::from_pkcs8(Algorithm::EdDsa, "log".parse().unwrap(), &pkcs8).unwrap();
    let origin = "test.example/log".parse().unwrap();
    AuditLog::open(directory, &origin, key, clock, Arc::new(NoOutbox), options).unwrap()
}

fn policies(more: &str) -> PolicySet {
    let schema = format!("{}\n{SCHEMA}", countersign_policy::defaults::SCHEMA);
    let mut sources = countersign_policy::defaults::POLICIES.to_vec();
    sources.push(("test.cedar", POLICIES));
    sources.push(("more.cedar", more));
    PolicySet::load(&schema, &sources).unwrap()
}

fn read_into(text: &mut String, path: &Path) {
    let Ok(entries) = std::fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            read_into(text, &entry.path());
        } else {
            text.push_str(&String::from_utf8_lossy(
                &std::fs::read(entry.path()).unwrap(),
            ));
        }
    }
}

pub fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default()
}

pub fn roots(authority: &TestAuthority) -> TrustRoots {
    TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap()
}

/// A caller that holds a DPoP key.
pub struct Holder(pub SigningKey<DpopProof>);

impl Holder {
    pub fn new() -> Self {
        Self(key("holder"))
    }

    pub fn thumbprint(&self) -> String {
        self.0.public_jwk().thumbprint().to_string()
    }

    /// A token bound to this key.
    pub fn token(&self, world: &World, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = world.claims();
        claims["cnf"] = json!({ "jkt": self.thumbprint() });
        change(&mut claims);
        world.token(&claims)
    }

    /// A proof for `GET url` with `token`, changed by the test.
    pub fn proof(
        &self,
        world: &World,
        path: &str,
        token: &str,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let mut claims = json!({
            "htm": "GET", "htu": world.url(path), "iat": world.now().0, "jti": Random::system().token().expose(),
            "ath": sha256_base64url(token.as_bytes()),
        });
        change(&mut claims);
        sign_jwt(&self.0, &claims).unwrap()
    }
}
