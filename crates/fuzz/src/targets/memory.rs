//! A vault in memory for the targets: every call goes the whole way of the product (who asks, whether they may, the step, what follows it), under a policy that
//! permits everything, and its commits stand or do not as in the store.
//!
//! Every entry that a call leaves is looked at: its name holds nothing that a name may not, and its value reads again.

#![expect(
    clippy::panic,
    reason = "a target panics when what must hold does not: the driver counts it"
)]

use countersign_base::{RequestId, Secret, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use countersign_crypto::x509::PeerCertificate;
use countersign_policy::defaults::SCHEMA;
use countersign_policy::{PolicySet, decide};
use countersign_vault::answer::{Answer, Effect, Outcome};
use countersign_vault::caller::{Presented, Request, identify};
use countersign_vault::entry::{Change, Entry, Listing, NAME_BYTES_MAX, Revision};
use countersign_vault::mounts::Mounts;
use countersign_vault::token::{RootLife, first_root};
use countersign_vault::work::{EffectResult, Unreachable};
use countersign_vault::{
    Body, Cx, EntryName, Loaded, Need, Operation, RequestPath, Stop, VaultError, Work, engine,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// When every call is made.
pub(super) const NOW: UnixTime = UnixTime(1_800_000_000);
/// How often a step may ask for more.
const LOADS_MAX: usize = 1_000;
/// What may follow one call.
const EFFECTS_MAX: usize = 16;

/// The vault. A copy is a vault of its own.
#[derive(Clone)]
pub(super) struct Memory {
    entries: BTreeMap<EntryName, (Revision, Vec<u8>)>,
    revisions: i64,
    root: Arc<Secret<String>>,
    mac: MacKey,
    random: Random,
    /// What addresses answer.
    pub(super) documents: BTreeMap<String, String>,
}

/// A call that was answered, and the statements that it sent to databases.
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) statements: Vec<String>,
}

fn policies() -> &'static PolicySet {
    static EVERYTHING: OnceLock<PolicySet> = OnceLock::new();
    EVERYTHING.get_or_init(|| {
        let all = [("all.cedar", "permit (principal, action, resource);")];
        PolicySet::load(SCHEMA, &all).unwrap_or_else(|error| panic!("{error}"))
    })
}

impl Memory {
    /// With what every tenant has, and a root token.
    pub(super) fn new() -> Self {
        let drawn = AtomicU64::new(1);
        let random = Random::from_fn(move |buffer| {
            for chunk in buffer.chunks_mut(8) {
                let number = drawn.fetch_add(1, Ordering::Relaxed);
                let bytes = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
                chunk
                    .iter_mut()
                    .zip(bytes)
                    .for_each(|(to, from)| *to = from);
            }
        });
        let mut memory = Self {
            entries: BTreeMap::new(),
            revisions: 0,
            root: Arc::new(Secret::new(String::new())),
            mac: MacKey::new(Secret::new([7; 32])),
            random,
            documents: BTreeMap::new(),
        };
        let root = memory.step(|work, cx| {
            let first = Mounts::first(|| cx.random.request_id().to_string());
            work.put(&Mounts::entry(), &first)?;
            first_root(RootLife::Endless, work, cx)
        });
        match root {
            Ok(auth) => memory.root = Arc::new(auth.client_token),
            Err(error) => panic!("the first root token: {error}"),
        }
        memory
    }

    /// A call with the root token that has to succeed: what targets begin with.
    pub(super) fn prepare(&mut self, operation: Operation, path: &str, body: &str) -> Answered {
        self.call(operation, path, body.as_bytes(), None)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A call with the root token. On a public path a credential says nothing.
    pub(super) fn call(
        &mut self,
        operation: Operation,
        path: &str,
        body: &[u8],
        peer: Option<PeerCertificate>,
    ) -> Result<Answered, VaultError> {
        let request = Request {
            operation,
            path: RequestPath::parse(path)?,
            query: BTreeMap::new(),
            body: Body::parse(body)?,
            peer,
            from: Some([127, 0, 0, 1].into()),
            request: RequestId::from_bytes([1; 16]),
            wrap_ttl: None,
        };
        let shown = Presented::Token(Arc::clone(&self.root));
        let asked = self.step(|work, cx| identify(&request, &shown, work, cx))?;
        let permitted = decide(policies(), asked).map_err(|_| VaultError::Denied)?;
        let mut outcome = self.step(|work, cx| engine::perform(&permitted, work, cx))?;
        let mut statements = Vec::new();
        for _ in 0..EFFECTS_MAX {
            let then = match outcome {
                Outcome::Done(answer) => {
                    return Ok(Answered {
                        answer: *answer,
                        statements,
                    });
                }
                Outcome::Then(then) => *then,
            };
            if let Effect::Sql(sql) = &then.effect {
                let all = sql.before.iter().chain(&sql.statements);
                statements.extend(all.map(|statement| statement.expose().clone()));
            }
            let done = EffectResult::Done;
            outcome = self.step(|work, cx| engine::resume(&then.next, &done, work, cx))?;
        }
        panic!("effects follow one another without an end");
    }

    fn step<T>(
        &mut self,
        step: impl Fn(&mut Work<'_>, &Cx<'_>) -> Result<T, Stop>,
    ) -> Result<T, VaultError> {
        let tenant = Tenant::default_tenant();
        let mut loaded = Loaded::default();
        for _ in 0..LOADS_MAX {
            let cx = Cx {
                tenant: &tenant,
                mac: &self.mac,
                random: &self.random,
                now: NOW,
            };
            let mut work = Work::new(&loaded);
            match step(&mut work, &cx) {
                Ok(done) => {
                    let changes = work.finish().changes;
                    self.commit(changes);
                    return Ok(done);
                }
                Err(Stop::Refused(error)) => {
                    assert_ne!(
                        error,
                        VaultError::Corrupt,
                        "what the vault wrote it can read"
                    );
                    return Err(error);
                }
                Err(Stop::Need(need)) => self.load(need, &mut loaded),
            }
        }
        panic!("a step asks for ever more");
    }

    fn load(&self, need: Need, loaded: &mut Loaded) {
        match need {
            Need::Document(url) => {
                let document = self.documents.get(&url).cloned().ok_or(Unreachable);
                loaded.document(url, document);
            }
            Need::Entries(names) => {
                for name in names {
                    let entry = self
                        .entries
                        .get(&name)
                        .map(|(revision, value)| Entry::new(*revision, Secret::new(value.clone())));
                    loaded.entry(name, entry);
                }
            }
            Need::Names(listing) => {
                let names = self.names(&listing);
                loaded.listing(listing, names);
            }
        }
    }

    fn names(&self, listing: &Listing) -> Vec<EntryName> {
        let fits = |name: &&EntryName| {
            name.as_str().starts_with(&listing.prefix)
                && listing.after.as_ref().is_none_or(|after| *name > after)
        };
        let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
        let names = self.entries.keys().filter(fits).take(limit);
        names.cloned().collect()
    }

    fn commit(&mut self, changes: BTreeMap<EntryName, Change>) {
        for (name, change) in changes {
            match change {
                Change::Delete => drop(self.entries.remove(&name)),
                Change::Put { value, .. } => {
                    let text = name.as_str();
                    assert!(
                        text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control),
                        "the name of an entry"
                    );
                    let read = serde_json::from_slice::<serde_json::Value>(value.expose());
                    assert!(read.is_ok(), "the value of an entry");
                    self.revisions += 1;
                    let entry = (Revision(self.revisions), value.expose().clone());
                    self.entries.insert(name, entry);
                }
            }
        }
    }
}
