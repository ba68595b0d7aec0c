//! Conversations with identity providers that are not ours: their metadata and keys, fetched when they are due and kept, and the redemption of codes.
//!
//! Every provider has an HTTP client of its own, which trusts what its configuration names and passes the egress guard. What is asked and what an answer is
//! worth is `federation`'s; here it is sent, and our assertion signed.
//!
//! Not here: which provider somebody goes to, and what is stored.

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_authn::jwks::{FetchFailed, FetchTicket, IssuerKeys, JwksLimits, Lookup};
use countersign_base::{Clock, Duration, Kid, Secret, Tenant, UnixTime};
use countersign_crypto::jose::{Algorithm, JwkSet, VerifyingKey, sign_jwt};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{ClientAssertion, SigningKey};
use countersign_federation::metadata::MetadataRefusal;
use countersign_federation::token::{
    AssertionClaims, TokenAnswerRefusal, TokenRequest, basic_credentials,
};
use countersign_federation::{ProviderMetadata, ProviderName, ProviderRecord, TokenAnswer};
use countersign_net::{ClientError, ClientResponse, HttpClient};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use url::Url;

/// How long a discovery document is believed without looking.
const METADATA_FRESH: Duration = Duration::from_secs(3600);
/// The pause after a fetch that failed.
const METADATA_RETRY: Duration = Duration::from_secs(10);

/// How we authenticate at a provider.
pub enum UpstreamCredential {
    /// `private_key_jwt` (RFC 7523 §2.2).
    Key(SigningKey<ClientAssertion>),
    /// `client_secret_basic` (RFC 6749 §2.3.1).
    Secret(Secret<String>),
}

/// A provider as the configuration gives it.
pub struct UpstreamOptions {
    /// What it is to us.
    pub record: ProviderRecord,
    /// How we authenticate there.
    pub credential: UpstreamCredential,
    /// The way to it.
    pub http: HttpClient,
}

/// Why a provider could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It answered something else than it should.
    #[error(transparent)]
    Answer(#[from] TokenAnswerRefusal),
    /// Our own request could not be made.
    #[error("our request to the provider could not be made")]
    Request,
    /// What it says of itself is refused.
    #[error(transparent)]
    Metadata(#[from] MetadataRefusal),
    /// It refused the code.
    #[error("the provider refused the code with status {0}")]
    Refused(StatusCode),
    /// It could not be reached.
    #[error("the provider could not be reached")]
    Unreachable,
}

impl UpstreamError {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Answer(refusal) => refusal.as_str(),
            Self::Request => "upstream_request",
            Self::Metadata(refusal) => refusal.as_str(),
            Self::Refused(_) => "upstream_code_refused",
            Self::Unreachable => "upstream_unreachable",
        }
    }
}

impl From<ClientError> for UpstreamError {
    fn from(error: ClientError) -> Self {
        tracing::warn!(event = "upstream_unreachable", %error);
        Self::Unreachable
    }
}

/// The providers of every tenant.
#[derive(Default)]
pub struct Upstreams(ArcSwap<BTreeMap<(Tenant, ProviderName), Arc<Upstream>>>);

impl Upstreams {
    /// Takes these providers instead of all that were there.
    pub fn replace(&self, providers: Vec<UpstreamOptions>, clock: &Clock, random: &Random) {
        let upstreams = providers.into_iter().map(|options| {
            let key = (options.record.tenant.clone(), options.record.name.clone());
            (key, Arc::new(Upstream::new(options, clock, random)))
        });
        self.0.store(Arc::new(upstreams.collect()));
    }

    /// The provider of this name.
    #[must_use]
    pub fn find(&self, tenant: &Tenant, provider: &ProviderName) -> Option<Arc<Upstream>> {
        let key = (tenant.clone(), provider.clone());
        self.0.load().get(&key).cloned()
    }

    /// The enabled providers of a tenant, in the order of their names.
    #[must_use]
    pub fn of_tenant(&self, tenant: &Tenant) -> Vec<Arc<Upstream>> {
        self.0
            .load()
            .values()
            .filter(|upstream| upstream.record.tenant == *tenant && upstream.record.is_enabled())
            .cloned()
            .collect()
    }

    /// The provider of the domain of an address that somebody typed.
    #[must_use]
    pub fn by_address(&self, tenant: &Tenant, address: &str) -> Option<Arc<Upstream>> {
        self.of_tenant(tenant)
            .into_iter()
            .find(|upstream| upstream.record.claims(address))
    }
}

struct Metadata {
    document: Option<Arc<ProviderMetadata>>,
    next: UnixTime,
}

/// One provider.
pub struct Upstream {
    record: ProviderRecord,
    credential: UpstreamCredential,
    http: HttpClient,
    clock: Clock,
    random: Random,
    /// Held while it is fetched, so that any number of callers cause one fetch.
    metadata: Mutex<Metadata>,
    keys: Mutex<IssuerKeys>,
}

impl Upstream {
    pub(crate) fn new(options: UpstreamOptions, clock: &Clock, random: &Random) -> Self {
        Self {
            record: options.record,
            credential: options.credential,
            http: options.http,
            clock: clock.clone(),
            random: random.clone(),
            metadata: Mutex::new(Metadata {
                document: None,
                next: UnixTime(i64::MIN),
            }),
            keys: Mutex::new(IssuerKeys::new(JwksLimits::default())),
        }
    }

    /// What it is to us.
    #[must_use]
    pub const fn record(&self) -> &ProviderRecord {
        &self.record
    }

    /// The time by which its answers are judged.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When it cannot be reached, or says that it is somebody else. What it said before serves on while it cannot be reached.
    pub async fn metadata(&self) -> Result<Arc<ProviderMetadata>, UpstreamError> {
        let mut held = self.metadata.lock().await;
        let now = self.clock.now();
        if now < held.next {
            return held.document.clone().ok_or(UpstreamError::Unreachable);
        }
        match self.discover().await {
            Ok(document) => {
                let document = Arc::new(document);
                *held = Metadata {
                    document: Some(Arc::clone(&document)),
                    next: now.plus(METADATA_FRESH),
                };
                Ok(document)
            }
            Err(error) => {
                held.next = now.plus(METADATA_RETRY);
                match (&error, &held.document) {
                    (UpstreamError::Unreachable, Some(document)) => Ok(Arc::clone(document)),
                    (_, _) => {
                        held.document = None;
                        Err(error)
                    }
                }
            }
        }
    }

    async fn discover(&self) -> Result<ProviderMetadata, UpstreamError> {
        let url = self
            .record
            .issuer
            .discovery_url()
            .map_err(|_| UpstreamError::Request)?;
        let answer = self.http.get(&url).await?;
        if answer.status != StatusCode::OK {
            return Err(UpstreamError::Unreachable);
        }
        Ok(ProviderMetadata::parse(&answer.body, &self.record.issuer)?)
    }

    /// Redeems a code.
    ///
    /// # Errors
    /// When the provider cannot be reached, refuses the code, or answers with something else than an ID token.
    pub async fn redeem(
        &self,
        metadata: &ProviderMetadata,
        request: TokenRequest,
    ) -> Result<TokenAnswer, UpstreamError> {
        let answer = self.ask(metadata.token_endpoint(), request).await?;
        if answer.status != StatusCode::OK {
            return Err(UpstreamError::Refused(answer.status));
        }
        Ok(TokenAnswer::parse(&answer.body)?)
    }

    /// Posts a form with our authentication to one of the provider's endpoints.
    ///
    /// # Errors
    /// When it cannot be reached, or the request cannot be made. A refusal is an answer.
    pub(crate) async fn ask(
        &self,
        endpoint: &Url,
        request: TokenRequest,
    ) -> Result<ClientResponse, UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let client_id = self.record.client_id.as_str();
        let request = match &self.credential {
            UpstreamCredential::Key(key) => {
                let jti = self.random.token().expose().clone();
                let claims = AssertionClaims::new(&self.record, jti, self.clock.now());
                let assertion = sign_jwt(key, &claims).map_err(|_| UpstreamError::Request)?;
                request.with_assertion(client_id, assertion)
            }
            UpstreamCredential::Secret(secret) => {
                let credentials = basic_credentials(client_id, secret);
                let value = format!("Basic {}", STANDARD.encode(credentials.expose()));
                let mut value =
                    HeaderValue::from_str(&value).map_err(|_| UpstreamError::Request)?;
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
                request
            }
        };
        let body = Bytes::from(request.body().expose().clone());
        Ok(self
            .http
            .send(Method::POST, endpoint, headers, body)
            .await?)
    }

    /// The provider's key that a token names; none if it has no such key.
    ///
    /// # Errors
    /// When its keys cannot be had now.
    pub async fn key(
        &self,
        metadata: &ProviderMetadata,
        kid: Option<&Kid>,
        algorithm: Algorithm,
    ) -> Result<Option<VerifyingKey>, UpstreamError> {
        let mut keys = self.keys.lock().await;
        loop {
            match keys.lookup(kid, algorithm, self.clock.now()) {
                Lookup::Found(key) => return Ok(Some(key)),
                Lookup::Unknown => return Ok(None),
                // Nobody else fetches while the lock is held: whoever did was dropped.
                Lookup::Unavailable | Lookup::Wait => return Err(UpstreamError::Unreachable),
                Lookup::Fetch(ticket) => self.fetch(&mut keys, ticket, metadata.jwks_uri()).await,
            }
        }
    }

    async fn fetch(&self, keys: &mut IssuerKeys, ticket: FetchTicket, address: &Url) {
        let outcome = match self.http.get(address).await {
            Ok(answer) if answer.status == StatusCode::OK => JwkSet::parse(&answer.body)
                .map(|(set, _skipped)| (set, Duration::ZERO))
                .map_err(|_| FetchFailed),
            Ok(_) | Err(_) => Err(FetchFailed),
        };
        if outcome.is_err() {
            tracing::warn!(event = "upstream_keys_unavailable", provider = %self.record.name);
        }
        keys.fetched(ticket, outcome, self.clock.now());
    }
}
