//! The signing keys of every tenant: sealed at rest in the store, open in memory, rotated on schedule and on demand.
//!
//! What to do and when is decided by [`countersign_keys::rotation`]; here it is carried out, each step one transaction with its event. Readers look at a
//! snapshot and take no lock. A key signs only after it was published, and a tenant's keys are never another's.

mod line;

use crate::opaque::OpaqueKeys;
use crate::secrets::Secrets;
use arc_swap::ArcSwap;
use bytes::Bytes;
use countersign_audit::event::{KeyCreated, KeyRotated};
use countersign_audit::{Code, Event, Record};
use countersign_base::{Clock, Kid, Secret, Tenant, UnixTime};
use countersign_crypto::Random;
use countersign_crypto::jose::{
    Algorithm, DecryptionKey, JoseError, JwkSet, PublicJwk, VerifyingKey,
};
use countersign_crypto::mac::MacKey;
use countersign_crypto::signing::{
    AccessToken, AuthorizationResponse, IdToken, IdentityAssertion, IntrospectionResponse,
    LogoutToken, RevocationList, SigningKey, TransactionToken, UserInfoResponse,
};
use countersign_keys::envelope::{self, SealError};
use countersign_keys::rotation::{
    self, NotYet, RotationPolicy, RotationStep, SigningKeyRow, SigningKeyState,
};
use countersign_keys::{Aad, OpenError, Sealed};
use countersign_store::tables::signing_keys::{self, SigningKeyRecord};
use countersign_store::{Store, StoreError, Write};
use line::Line;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keys with which a tenant signs now.
#[derive(Clone)]
pub struct Signer {
    /// For access tokens.
    pub access_token: SigningKey<AccessToken>,
    /// For signed authorization responses.
    pub authorization_response: SigningKey<AuthorizationResponse>,
    /// For ID tokens.
    pub id_token: SigningKey<IdToken>,
    /// For answers to introspection.
    pub introspection: SigningKey<IntrospectionResponse>,
    /// For identity assertions to other authorization servers.
    pub identity_assertion: SigningKey<IdentityAssertion>,
    /// For the lists of what was revoked.
    pub revocation_list: SigningKey<RevocationList>,
    /// For transaction tokens.
    pub transaction_token: SigningKey<TransactionToken>,
    /// For signed userinfo.
    pub userinfo: SigningKey<UserInfoResponse>,
    /// For logout tokens.
    pub logout_token: SigningKey<LogoutToken>,
}

/// The published half of a tenant's keys.
pub struct PublishedKeys {
    /// The JWK set (RFC 7517 §5), as `/.well-known/jwks.json` answers it.
    pub body: Bytes,
    /// The same, parsed.
    pub set: JwkSet,
    /// Which snapshot this is; part of the key of every cached verdict.
    pub generation: u64,
}

struct TenantKeys {
    signers: BTreeMap<&'static str, Signer>,
    default: Algorithm,
    /// What opens messages to the tenant: the current key and those that clients may still have at hand.
    decryption: Arc<[DecryptionKey]>,
    published: Arc<PublishedKeys>,
}

#[derive(Default)]
struct Ring {
    generation: u64,
    tenants: BTreeMap<Tenant, TenantKeys>,
}

/// Why a key could not be made, opened or moved.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The next key has not been published for long enough.
    #[error(transparent)]
    NotYet(#[from] NotYet),
    /// A sealed key does not open.
    #[error("a signing key cannot be opened: {0}")]
    Open(#[from] OpenError),
    /// A key cannot be sealed.
    #[error("a signing key cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// A key cannot be made or read.
    #[error("a signing key cannot be used: {0}")]
    Signing(#[from] JoseError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No such tenant has keys.
    #[error("no tenant `{0}`")]
    UnknownTenant(Tenant),
}

/// What the ring is run with.
pub struct KeyRingOptions {
    /// When keys change.
    pub policy: RotationPolicy,
    /// What tenants sign with; the first is the default.
    pub algorithms: Vec<Algorithm>,
}

/// The ring.
pub struct KeyRing {
    store: Store,
    secrets: Arc<Secrets>,
    clock: Clock,
    options: KeyRingOptions,
    ring: ArcSwap<Ring>,
    /// One change at a time; readers never wait for it.
    changing: tokio::sync::Mutex<()>,
}

impl KeyRing {
    /// An empty ring; [`KeyRing::advance`] fills it.
    #[must_use]
    pub fn new(store: Store, secrets: Arc<Secrets>, clock: Clock, options: KeyRingOptions) -> Self {
        Self {
            store,
            secrets,
            clock,
            options,
            ring: ArcSwap::default(),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// The keys with which `tenant` signs by default.
    #[must_use]
    pub fn signer(&self, tenant: &Tenant) -> Option<Signer> {
        let ring = self.ring.load();
        let keys = ring.tenants.get(tenant)?;
        keys.signers.get(keys.default.name()).cloned()
    }

    /// The key with which `tenant` signs access tokens in `algorithm`.
    #[must_use]
    pub fn access_token_key(
        &self,
        tenant: &Tenant,
        algorithm: Algorithm,
    ) -> Option<SigningKey<AccessToken>> {
        self.ring
            .load()
            .tenants
            .get(tenant)?
            .signers
            .get(algorithm.name())
            .map(|signer| signer.access_token.clone())
    }

    /// The key with which `tenant` signs ID tokens in `algorithm`.
    #[must_use]
    pub fn id_token_key(
        &self,
        tenant: &Tenant,
        algorithm: Algorithm,
    ) -> Option<SigningKey<IdToken>> {
        self.ring
            .load()
            .tenants
            .get(tenant)?
            .signers
            .get(algorithm.name())
            .map(|signer| signer.id_token.clone())
    }

    /// The keys that open what is encrypted to `tenant`; none if it is not known.
    #[must_use]
    pub fn decryption_keys(&self, tenant: &Tenant) -> Arc<[DecryptionKey]> {
        let ring = self.ring.load();
        ring.tenants.get(tenant).map_or_else(
            || Arc::new([]) as Arc<[DecryptionKey]>,
            |keys| Arc::clone(&keys.decryption),
        )
    }

    /// The algorithms tokens are signed with; the first is the default.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.options.algorithms
    }

    /// What `tenant` publishes.
    #[must_use]
    pub fn jwks(&self, tenant: &Tenant) -> Option<Arc<PublishedKeys>> {
        self.ring
            .load()
            .tenants
            .get(tenant)
            .map(|keys| Arc::clone(&keys.published))
    }

    /// Which snapshot readers see; it grows with every change.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.ring.load().generation
    }

    /// How many keys are published, over all tenants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring
            .load()
            .tenants
            .values()
            .map(|keys| keys.published.set.iter().count())
            .sum()
    }

    /// Whether no tenant has keys yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key that derives the refresh tokens of `tenant`.
    #[must_use]
    pub fn refresh_key(&self, tenant: &Tenant) -> MacKey {
        self.secrets.tenant_mac_key(tenant, "refresh-token")
    }

    /// The key that makes the pairwise subjects of `tenant` (OpenID Connect Core §8.1).
    #[must_use]
    pub fn pairwise_key(&self, tenant: &Tenant) -> MacKey {
        self.secrets.tenant_mac_key(tenant, "pairwise-subject")
    }

    /// The key of the identifiers of a tenant's logout tokens.
    #[must_use]
    pub(crate) fn logout_token_key(&self, tenant: &Tenant) -> MacKey {
        self.secrets.tenant_mac_key(tenant, "logout-token")
    }

    /// Where what is encrypted to clients gets its randomness.
    pub(crate) fn random(&self) -> &Random {
        self.secrets.random()
    }

    /// The opaque access token of `tenant` for these random bytes ([`OpaqueKeys::token`]).
    #[must_use]
    pub fn opaque_token(&self, tenant: &Tenant, token_id: &[u8; 16]) -> Secret<String> {
        self.opaque_keys(tenant).token(token_id)
    }

    /// The keys that make the opaque access tokens of `tenant` and the keyed hashes under which they lie.
    #[must_use]
    pub fn opaque_keys(&self, tenant: &Tenant) -> OpaqueKeys {
        OpaqueKeys {
            tokens: self.secrets.tenant_mac_key(tenant, "opaque-access-token"),
            handles: self.secrets.tenant_mac_key(tenant, "access-token-handle"),
        }
    }

    /// Carries out what is due for `tenants` and takes up what other nodes did. `progress` hears of each key that is made.
    ///
    /// # Errors
    /// When the store fails or a key does not open; the snapshot then stays as it was.
    pub async fn advance(
        &self,
        tenants: &[Tenant],
        mut progress: impl FnMut(&Tenant) + Send,
    ) -> Result<(), KeyRingError> {
        let _one = self.changing.lock().await;
        let now = self.clock.now();
        for tenant in tenants {
            for line in self.lines() {
                // A first key is followed by its successor: both are published from the first day on.
                for _ in 0..2 {
                    let rows = self.rows(tenant, line).await?;
                    for step in rotation::plan(&rows, &self.options.policy, now) {
                        if matches!(step, RotationStep::Establish | RotationStep::Publish) {
                            progress(tenant);
                        }
                        self.carry_out(tenant, line, &step, "schedule", now).await?;
                    }
                }
            }
        }
        self.reload(tenants).await
    }

    /// Lets the next keys of `tenant` sign now, if they were published for long enough.
    ///
    /// # Errors
    /// [`KeyRingError::NotYet`] says from when on it is possible.
    pub async fn rotate(&self, tenant: &Tenant) -> Result<Vec<Kid>, KeyRingError> {
        let _one = self.changing.lock().await;
        let now = self.clock.now();
        let mut tenants: Vec<Tenant> = self.ring.load().tenants.keys().cloned().collect();
        if !tenants.contains(tenant) {
            return Err(KeyRingError::UnknownTenant(tenant.clone()));
        }
        for line in self.lines() {
            let rows = self.rows(tenant, line).await?;
            for step in rotation::plan_on_demand(&rows, &self.options.policy, now)? {
                self.carry_out(tenant, line, &step, "demand", now).await?;
            }
            let rows = self.rows(tenant, line).await?;
            for step in rotation::plan(&rows, &self.options.policy, now) {
                self.carry_out(tenant, line, &step, "schedule", now).await?;
            }
        }
        tenants.sort();
        self.reload(&tenants).await?;
        let current = |algorithm: &Algorithm| {
            self.access_token_key(tenant, *algorithm)
                .map(|key| key.kid().clone())
        };
        Ok(self.options.algorithms.iter().filter_map(current).collect())
    }

    /// What rotates: one line of keys for each algorithm of signatures, and one for messages to the tenant.
    fn lines(&self) -> Vec<Line> {
        let signatures = self.options.algorithms.iter().copied().map(Line::Signature);
        signatures.chain([Line::Encryption]).collect()
    }

    async fn rows(&self, tenant: &Tenant, line: Line) -> Result<Vec<SigningKeyRow>, StoreError> {
        let mut connection = self.store.read().await?;
        let rows = signing_keys::list(&mut connection, tenant).await?;
        Ok(rows
            .iter()
            .filter(|row| line.owns(row))
            .map(plan_row)
            .collect())
    }

    async fn carry_out(
        &self,
        tenant: &Tenant,
        line: Line,
        step: &RotationStep,
        reason: &'static str,
        now: UnixTime,
    ) -> Result<(), KeyRingError> {
        let (writes, event) = match step {
            RotationStep::Establish => self.new_key(tenant, line, SigningKeyState::Current, now)?,
            RotationStep::Publish => self.new_key(tenant, line, SigningKeyState::Next, now)?,
            RotationStep::Remove { kid } => (
                vec![Write::RemoveSigningKey(kid.clone())],
                moved(
                    line,
                    kid,
                    SigningKeyState::Retired,
                    SigningKeyState::Gone,
                    reason,
                ),
            ),
            RotationStep::Rotate { next, current } => (
                vec![
                    Write::MoveSigningKey(
                        current.clone(),
                        SigningKeyState::Current,
                        SigningKeyState::Retired,
                    ),
                    Write::MoveSigningKey(
                        next.clone(),
                        SigningKeyState::Next,
                        SigningKeyState::Current,
                    ),
                ],
                moved(
                    line,
                    next,
                    SigningKeyState::Next,
                    SigningKeyState::Current,
                    reason,
                ),
            ),
        };
        let record = Record {
            id: self.secrets.random().event_id(),
            time: self.clock.millis(),
            tenant: tenant.clone(),
            request: None,
            event,
        };
        self.store.change(tenant, writes, record, now).await?;
        tracing::info!(event = "signing_key_changed", tenant = tenant.as_str());
        Ok(())
    }

    fn new_key(
        &self,
        tenant: &Tenant,
        line: Line,
        state: SigningKeyState,
        now: UnixTime,
    ) -> Result<(Vec<Write>, Event), KeyRingError> {
        let new = line.generate()?;
        let kid = new.kid;
        let sealed = envelope::seal(
            &*self.secrets.keks(),
            &aad(tenant, &kid),
            new.private.expose(),
            self.secrets.random(),
        )?;
        let row = SigningKeyRecord {
            tenant: tenant.clone(),
            kid: kid.clone(),
            purpose: line.purpose().to_owned(),
            algorithm: line.algorithm(),
            state,
            public_jwk: new.public.to_string(),
            sealed: sealed.into_bytes(),
            created: now,
            changed: now,
        };
        let created = KeyCreated {
            algorithm: Code::of(line.algorithm().name()),
            kid,
            purpose: Code::of(line.purpose()),
        };
        Ok((vec![Write::AddSigningKey(Box::new(row))], created.into()))
    }

    async fn reload(&self, tenants: &[Tenant]) -> Result<(), KeyRingError> {
        let mut connection = self.store.read().await?;
        let generation = self.ring.load().generation + 1;
        let mut ring = Ring {
            generation,
            tenants: BTreeMap::new(),
        };
        for tenant in tenants {
            let rows = signing_keys::list(&mut connection, tenant).await?;
            ring.tenants
                .insert(tenant.clone(), self.open(tenant, &rows, generation)?);
        }
        self.ring.store(Arc::new(ring));
        Ok(())
    }

    fn open(
        &self,
        tenant: &Tenant,
        rows: &[SigningKeyRecord],
        generation: u64,
    ) -> Result<TenantKeys, KeyRingError> {
        let mut signers = BTreeMap::new();
        let mut verifying = Vec::new();
        let mut published = Vec::new();
        for (row, algorithm) in rows
            .iter()
            .filter(|row| row.state.is_published())
            .filter_map(|row| Some((row, line::signs(row)?)))
        {
            let value: serde_json::Value = serde_json::from_str(&row.public_jwk)
                .map_err(|_| JoseError::Key("the stored public key is not JSON"))?;
            let jwk = PublicJwk::parse(&value)?;
            published.push(jwk.to_published_json(&row.kid, algorithm));
            verifying.push(VerifyingKey::new(&jwk, algorithm, Some(row.kid.clone()))?);
            if row.state == SigningKeyState::Current {
                let pkcs8 = self.open_sealed(tenant, row)?;
                signers.insert(algorithm.name(), signer(algorithm, &row.kid, &pkcs8)?);
            }
        }
        let mut decryption = Vec::new();
        for row in rows.iter().filter(|row| Line::Encryption.owns(row)) {
            let key = line::decryption_key(&row.kid, &self.open_sealed(tenant, row)?)?;
            // One key is offered, so that nobody has to choose; the others open what was encrypted to them before.
            if row.state == SigningKeyState::Current {
                published.push(key.public().to_published_json());
            }
            decryption.push(key);
        }
        let body = Bytes::from(serde_json::json!({ "keys": published }).to_string());
        let published = Arc::new(PublishedKeys {
            body,
            set: JwkSet::from_keys(verifying),
            generation,
        });
        let default = self
            .options
            .algorithms
            .first()
            .copied()
            .unwrap_or(Algorithm::Es256);
        Ok(TenantKeys {
            signers,
            default,
            decryption: decryption.into(),
            published,
        })
    }

    fn open_sealed(
        &self,
        tenant: &Tenant,
        row: &SigningKeyRecord,
    ) -> Result<Secret<Vec<u8>>, OpenError> {
        envelope::open(
            &*self.secrets.keks(),
            &aad(tenant, &row.kid),
            &Sealed::from_bytes(row.sealed.clone()),
        )
    }
}

fn signer(algorithm: Algorithm, kid: &Kid, pkcs8: &Secret<Vec<u8>>) -> Result<Signer, JoseError> {
    Ok(Signer {
        access_token: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
        authorization_response: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
        id_token: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
        introspection: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
        identity_assertion: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
        revocation_list: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
        transaction_token: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
        userinfo: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
        logout_token: SigningKey::from_pkcs8(algorithm, kid.clone(), pkcs8)?,
    })
}

/// A sealed key opens only in its own row.
fn aad(tenant: &Tenant, kid: &Kid) -> Aad {
    Aad::row(tenant, "signing_keys", "sealed", kid.as_str().as_bytes())
}

fn plan_row(row: &SigningKeyRecord) -> SigningKeyRow {
    SigningKeyRow {
        kid: row.kid.clone(),
        state: row.state,
        published_at: row.created,
        state_since: row.changed,
    }
}

fn moved(
    line: Line,
    kid: &Kid,
    from: SigningKeyState,
    to: SigningKeyState,
    reason: &'static str,
) -> Event {
    let name = |state| match state {
        SigningKeyState::Next => Code::of("next"),
        SigningKeyState::Current => Code::of("current"),
        SigningKeyState::Retired => Code::of("retired"),
        SigningKeyState::Gone => Code::of("gone"),
    };
    let purpose = Code::of(line.purpose());
    KeyRotated {
        from: name(from),
        kid: kid.clone(),
        purpose,
        reason: Code::of(reason),
        to: name(to),
    }
    .into()
}

#[cfg(test)]
mod tests;
