//! A service with sealed cards, its rows of keys, and its callers, for the tests of sealed fields.

use super::{
    CacheLimits, DataKeyError, DataKeySource, FieldKey, FieldKeys, IndexRoot, KeyId, KeyOwner,
    KeyVersion, Sealed, SealedFields, Secret, digits, folded,
};
use crate::check::{Checked, Guard, GuardOptions, GuardRequest, LifetimeOnly};
use crate::fixtures::{AUDIENCE, ORIGIN, Sender, clock, issuer, keys_of};
use countersign_authn::dpop::NonceUse;
use countersign_authn::jwks::JwksLimits;
use countersign_authn::replay::ReplayLimits;
use countersign_authn::{Anonymous, Binding, ResourceRules, Subject, TrustedIssuer};
use countersign_base::{Clock, Conditional, NoTls, Scopes, Tenant};
use countersign_crypto::Random;
use futures_util::future::BoxFuture;
use http::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// What must be in nothing that is written anywhere but sealed.
pub(crate) const CANARY: &str = "4929 1234 5678 9012";
/// The person whom the fixture's tokens speak of, and another one.
pub(crate) const ALICE: &str = "00112233445566778899aabbccddeeff";
pub(crate) const BOB: &str = "ffeeddccbbaa99887766554433221100";

#[derive(SealedFields)]
#[sealed(table = "cards")]
#[expect(dead_code, reason = "the tests seal the columns one by one")]
pub(crate) struct Card {
    pub(crate) id: i64,
    #[sealed(
        classification = "restricted",
        mask = "last4",
        blind_index(rows = 1_000_000, normalise = digits),
        purposes("chargeback", "fraud-review")
    )]
    pub(crate) pan: Sealed<CardPan>,
    #[sealed(classification = "restricted", purposes("chargeback"))]
    pub(crate) track: Option<Sealed<CardTrack>>,
    #[sealed(
        classification = "confidential",
        column = "holder_sealed",
        key = "subject",
        purposes("statement"),
        blind_index(bits = 8, rows = 1_000, normalise = folded)
    )]
    pub(crate) holder: Sealed<CardHolder>,
    #[sealed(classification = "internal", value = i64)]
    pub(crate) limit: Sealed<CardLimit>,
}

/// The same column's name in another table.
#[derive(SealedFields)]
#[sealed(table = "old_cards")]
#[expect(dead_code, reason = "the tests seal the columns one by one")]
pub(crate) struct OldCard {
    #[sealed(classification = "restricted", mask = "last4", purposes("chargeback"))]
    pub(crate) pan: Sealed<OldCardPan>,
}

/// A service's rows of data keys, and how often they were asked for.
#[derive(Clone, Default)]
pub(crate) struct Rows(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    keys: BTreeMap<KeyOwner, Vec<[u8; 32]>>,
    erased: BTreeSet<KeyOwner>,
    asked: usize,
    down: bool,
}

impl Rows {
    pub(crate) fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
    }

    pub(crate) fn rotate(&self, owner: &KeyOwner) {
        let secret = Random::system().bytes();
        let mut table = self.0.lock().unwrap();
        table.keys.get_mut(owner).unwrap().push(secret);
    }

    pub(crate) fn erase(&self, owner: &KeyOwner) {
        let mut table = self.0.lock().unwrap();
        table.keys.remove(owner);
        table.erased.insert(owner.clone());
    }

    pub(crate) fn go_down(&self) {
        self.0.lock().unwrap().down = true;
    }
}

impl Table {
    fn ask(&mut self, owner: &KeyOwner) -> Result<(), DataKeyError> {
        self.asked += 1;
        if self.down {
            return Err(DataKeyError::Unavailable);
        }
        if self.erased.contains(owner) {
            return Err(DataKeyError::Erased);
        }
        Ok(())
    }
}

/// All owners' keys have one name: what tells them apart is whose they are.
const ID: KeyId = KeyId::from_bytes(*b"data-key");

fn key(secrets: &[[u8; 32]], version: u32) -> Result<FieldKey, DataKeyError> {
    let at = usize::try_from(version).unwrap().wrapping_sub(1);
    let secret = *secrets.get(at).ok_or(DataKeyError::Unknown)?;
    Ok(FieldKey::new(ID, KeyVersion(version), Secret::new(secret)))
}

impl DataKeySource for Rows {
    fn current(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<FieldKey, DataKeyError>> {
        let (rows, owner) = (self.clone(), owner.clone());
        Box::pin(async move {
            let mut table = rows.0.lock().unwrap();
            table.ask(&owner)?;
            let secrets = table
                .keys
                .entry(owner)
                .or_insert_with(|| vec![Random::system().bytes()]);
            key(secrets, u32::try_from(secrets.len()).unwrap())
        })
    }

    fn named(
        &self,
        owner: &KeyOwner,
        id: KeyId,
        version: KeyVersion,
    ) -> BoxFuture<'static, Result<FieldKey, DataKeyError>> {
        let (rows, owner) = (self.clone(), owner.clone());
        Box::pin(async move {
            let mut table = rows.0.lock().unwrap();
            table.ask(&owner)?;
            let secrets = table.keys.get(&owner).filter(|_| id == ID);
            key(secrets.ok_or(DataKeyError::Unknown)?, version.0)
        })
    }

    fn index_root(&self, tenant: &Tenant) -> BoxFuture<'static, Result<IndexRoot, DataKeyError>> {
        let (rows, tenant) = (self.clone(), tenant.clone());
        Box::pin(async move {
            rows.0.lock().unwrap().ask(&KeyOwner::Tenant(tenant))?;
            // The same for all tenants: that their indexes differ is not the source's doing.
            Ok(IndexRoot::new(Secret::new([3; 32])))
        })
    }
}

/// The keys of a service whose clock a test turns.
pub(crate) fn keys(rows: &Rows) -> (FieldKeys, Clock, Arc<AtomicI64>) {
    let (clock, hand) = clock();
    let keys = FieldKeys::new(
        rows.clone(),
        CacheLimits::default(),
        clock.clone(),
        Random::system(),
    );
    (keys, clock, hand)
}

pub(crate) fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

/// A checked caller of a tenant, with these scopes.
pub(crate) async fn caller(tenant: &str, sub: &str, scope: &str) -> Subject {
    let (clock, hand) = clock();
    let sender = Sender::new();
    let trusted = TrustedIssuer {
        tenant: tenant.parse().unwrap(),
        ..issuer()
    };
    let options = GuardOptions {
        origin: ORIGIN.to_owned(),
        rules: ResourceRules::new(
            AUDIENCE.parse().unwrap(),
            vec![trusted],
            Binding::Any,
            Anonymous::Refused,
        ),
        scopes: Scopes::none(),
        clock,
        random: Random::system(),
        revocations: Arc::new(LifetimeOnly),
        nonces: NonceUse::AfterStart,
        jwks: JwksLimits::default(),
        replay: ReplayLimits::default(),
    };
    let guard = Guard::new(options, keys_of(&sender));
    hand.fetch_add(100, Ordering::SeqCst);
    let headers = sender.bearer(json!({ "sub": sub, "scope": scope }));
    let request = GuardRequest {
        method: &Method::GET,
        path: "/cards",
        query: None,
        headers: &headers,
        peer: Conditional::Absent(NoTls::NoCertificate),
    };
    match guard.check(&request).await.unwrap() {
        Checked::Subject(subject) => subject,
        Checked::Anonymous(_) => panic!("a token was sent"),
    }
}
