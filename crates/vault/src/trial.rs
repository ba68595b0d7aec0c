//! A vault in memory for tests: loads what a step asks for, runs it again, and commits what it read and wrote as the store does.

use crate::answer::{Answer, Effect, Outcome};
use crate::body::Body;
use crate::call::{Call, Cx, Operation};
use crate::caller::Caller;
use crate::engine;
use crate::entry::{Change, Entry, EntryName, Listing, Revision};
use crate::error::VaultError;
use crate::mounts::Mounts;
use crate::path::RequestPath;
use crate::token::{self, Held, TokenId};
use crate::work::{Commit, EffectResult, Loaded, Need, Stop, Unreachable, Work};
use countersign_base::{Duration, RequestId, Secret, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use countersign_crypto::x509::PeerCertificate;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Stored {
    revision: i64,
    value: Vec<u8>,
    due: Option<UnixTime>,
}

/// The vault, with `secret/`, `transit/` and what is always there.
pub(crate) struct Trial {
    entries: BTreeMap<EntryName, Stored>,
    revisions: i64,
    /// What addresses answer; others are unreachable.
    pub(crate) documents: BTreeMap<String, String>,
    /// What effects come to, in order; those past the list are done.
    pub(crate) effects: Vec<EffectResult>,
    /// The effects that happened, as they are described, with their statements.
    pub(crate) happened: Vec<Effect>,
    pub(crate) tenant: Tenant,
    pub(crate) now: UnixTime,
    /// What calls show, over which certificate, and for how long their answers are to be put away.
    pub(crate) shown: Option<Arc<Secret<String>>>,
    pub(crate) peer: Option<PeerCertificate>,
    pub(crate) wrap_ttl: Option<Duration>,
    /// Where calls come from.
    pub(crate) from: Option<IpAddr>,
    mac: MacKey,
    random: Random,
}

impl Trial {
    pub(crate) fn new() -> Self {
        let drawn = AtomicU64::new(1);
        let random = Random::from_fn(move |buffer| {
            for chunk in buffer.chunks_mut(8) {
                let number = drawn.fetch_add(1, Ordering::Relaxed);
                let bytes = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
                chunk.copy_from_slice(&bytes[..chunk.len()]);
            }
        });
        let mut trial = Self {
            entries: BTreeMap::new(),
            revisions: 0,
            documents: BTreeMap::new(),
            effects: Vec::new(),
            happened: Vec::new(),
            tenant: Tenant::default_tenant(),
            now: UnixTime(1_800_000_000),
            shown: None,
            peer: None,
            wrap_ttl: None,
            from: None,
            mac: MacKey::new(Secret::new([7; 32])),
            random,
        };
        let mounts = Mounts::first(|| trial.random.request_id().to_string());
        trial
            .step(|work, cx| {
                work.put(&Mounts::entry(), &mounts)?;
                token::row::Row::endless_root(cx).write(&TokenId("root".to_owned()), work)
            })
            .unwrap();
        trial
    }

    /// The root token's entry as one of the trial's tenant.
    pub(crate) fn root_of_tenant(&mut self) {
        self.step(|work, cx| {
            token::row::Row::endless_root(cx).write(&TokenId("root".to_owned()), work)
        })
        .unwrap();
    }

    /// Mounts one engine more.
    pub(crate) fn mount(&mut self, path: &str, engine: crate::kind::EngineKind) {
        self.step(|work, cx| {
            let mut mounts = Arc::unwrap_or_clone(Mounts::read(work)?);
            let mut mount = mounts.get("secret/").unwrap().clone();
            mount.engine = engine;
            mount.uuid = cx.random.request_id().to_string();
            mount.options.clear();
            mounts.add(path.to_owned(), mount)?;
            work.put(&Mounts::entry(), &mounts)
        })
        .unwrap();
    }

    /// Runs a step until nothing is missing, and commits it. Of a refused step nothing is committed.
    pub(crate) fn step<T>(
        &mut self,
        step: impl Fn(&mut Work<'_>, &Cx<'_>) -> Result<T, Stop>,
    ) -> Result<T, VaultError> {
        let (done, commit) = self.prepare(step)?;
        self.commit(commit);
        Ok(done)
    }

    /// Runs a step until nothing is missing, and does not commit it yet.
    pub(crate) fn prepare<T>(
        &self,
        step: impl Fn(&mut Work<'_>, &Cx<'_>) -> Result<T, Stop>,
    ) -> Result<(T, Commit), VaultError> {
        let mut loaded = Loaded::default();
        for _ in 0..10_000 {
            let cx = self.cx();
            let mut work = Work::new(&loaded);
            match step(&mut work, &cx) {
                Ok(done) => return Ok((done, work.finish())),
                Err(Stop::Refused(error)) => return Err(error),
                Err(Stop::Need(need)) => self.load(need, &mut loaded),
            }
        }
        panic!("a step asks for ever more");
    }

    /// What surrounds its steps.
    pub(crate) const fn cx(&self) -> Cx<'_> {
        Cx {
            tenant: &self.tenant,
            mac: &self.mac,
            random: &self.random,
            now: self.now,
        }
    }

    /// Commits a step that was prepared before, if nothing that it read was written meanwhile, as the store does.
    pub(crate) fn commit_late(&mut self, commit: Commit) -> bool {
        let stands = |name: &EntryName| self.entries.get(name).map(|e| Revision(e.revision));
        let fresh = commit.read.iter().all(|(name, read)| stands(name) == *read);
        if fresh {
            self.commit(commit);
        }
        fresh
    }

    /// An entry as it is stored.
    pub(crate) fn json(&self, name: &str) -> Option<Json> {
        let stored = self.entries.get(&EntryName::stored(name))?;
        Some(serde_json::from_slice(&stored.value).unwrap())
    }

    /// When an entry wants to be looked at again.
    pub(crate) fn due_of(&self, name: &str) -> Option<UnixTime> {
        self.entries.get(&EntryName::stored(name))?.due
    }

    /// The entries whose time has come.
    pub(crate) fn all_due(&self) -> Vec<EntryName> {
        let is_due = |stored: &Stored| stored.due.is_some_and(|due| due <= self.now);
        let due = self.entries.iter().filter(|(_, stored)| is_due(stored));
        due.map(|(name, _)| name.clone()).collect()
    }

    fn load(&self, need: Need, loaded: &mut Loaded) {
        match need {
            Need::Document(url) => {
                let document = self.documents.get(&url).cloned().ok_or(Unreachable);
                loaded.document(url, document);
            }
            Need::Entries(names) => {
                for name in names {
                    let entry = self.entries.get(&name).map(|stored| {
                        let value = Secret::new(stored.value.clone());
                        Entry::new(Revision(stored.revision), value)
                    });
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
        let limit = usize::try_from(listing.limit).unwrap();
        self.entries
            .keys()
            .filter(fits)
            .take(limit)
            .cloned()
            .collect()
    }

    fn commit(&mut self, commit: Commit) {
        for (name, change) in commit.changes {
            match change {
                Change::Delete => drop(self.entries.remove(&name)),
                Change::Put { value, due } => {
                    self.revisions += 1;
                    let stored = Stored {
                        revision: self.revisions,
                        value: value.expose().clone(),
                        due,
                    };
                    self.entries.insert(name, stored);
                }
            }
        }
    }

    /// All names below a prefix.
    pub(crate) fn stored(&self, prefix: &str) -> Vec<String> {
        let names = self.entries.keys().map(|name| name.as_str().to_owned());
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    /// Everything that is stored, as one text: to look for what must not be there.
    pub(crate) fn dump(&self) -> String {
        let line = |(name, stored): (&EntryName, &Stored)| {
            format!("{name} {}\n", String::from_utf8_lossy(&stored.value))
        };
        self.entries.iter().map(line).collect()
    }

    /// A call as `caller`, without policy: an engine's own rules alone.
    pub(crate) fn call_as(
        &mut self,
        caller: impl Fn() -> Caller,
        operation: Operation,
        path: &str,
        body: Json,
    ) -> Result<Answer, VaultError> {
        let outcome = self.begin_as(caller, operation, path, body)?;
        self.end(outcome)
    }

    /// The first step of a call with a root token alone: what follows it never happens, as after a crash.
    pub(crate) fn begin(
        &mut self,
        operation: Operation,
        path: &str,
        body: Json,
    ) -> Result<Outcome, VaultError> {
        self.begin_as(root, operation, path, body)
    }

    fn begin_as(
        &mut self,
        caller: impl Fn() -> Caller,
        operation: Operation,
        path: &str,
        body: Json,
    ) -> Result<Outcome, VaultError> {
        let call = self.asked_as(caller, operation, path, body)?;
        self.step(|work, cx| engine::carry_out(&call, work, cx))
    }

    /// What a call asks, before it is carried out: others may commit in between.
    pub(crate) fn asked_as(
        &mut self,
        caller: impl Fn() -> Caller,
        operation: Operation,
        path: &str,
        body: Json,
    ) -> Result<Call, VaultError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: BTreeMap<_, _> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let path = RequestPath::parse(path)?;
        let body = Body::of(body)?;
        let from = self.from;
        let (shown, peer, wrap_ttl) = (self.shown.clone(), self.peer.clone(), self.wrap_ttl);
        self.step(|work, _| {
            let mounts = Mounts::read(work)?;
            let (at, mount, rest) = mounts.route(&path)?;
            let mut call = Call {
                operation,
                path: path.clone(),
                at: at.to_owned(),
                mount: mount.clone(),
                rest: rest.to_owned(),
                query: query.clone(),
                body: body.clone(),
                caller: caller(),
                shown: shown.clone(),
                peer: peer.clone(),
                from,
                request: RequestId::from_bytes([1; 16]),
                wrap_ttl,
            };
            if operation == Operation::Update && !engine::exists(&call, work)? {
                call.operation = Operation::Create;
            }
            Ok(call)
        })
    }

    /// A call with a root token.
    pub(crate) fn call(
        &mut self,
        operation: Operation,
        path: &str,
        body: Json,
    ) -> Result<Answer, VaultError> {
        self.call_as(root, operation, path, body)
    }

    /// `data` of a call with a root token.
    pub(crate) fn data(&mut self, operation: Operation, path: &str, body: Json) -> Json {
        let answer = self.call(operation, path, body).unwrap();
        answer.data.unwrap_or(Json::Null)
    }

    /// Carries out the effects of an outcome and what follows them.
    pub(crate) fn end(&mut self, mut outcome: Outcome) -> Result<Answer, VaultError> {
        loop {
            match outcome {
                Outcome::Done(answer) => return Ok(*answer),
                Outcome::Then(then) => {
                    let result = if self.effects.is_empty() {
                        EffectResult::Done
                    } else {
                        self.effects.remove(0)
                    };
                    let (effect, next) = (then.effect, then.next);
                    self.happened.push(effect);
                    outcome = self.step(|work, cx| engine::resume(&next, &result, work, cx))?;
                }
            }
        }
    }

    /// Lets time pass, and looks at every entry whose time has come, as the background does, until none is left.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(std::time::Duration::from_secs(seconds));
        for _ in 0..100_000 {
            let now = self.now;
            let is_due = |stored: &Stored| stored.due.is_some_and(|due| due <= now);
            let due = self.entries.iter().find(|(_, stored)| is_due(stored));
            let Some(name) = due.map(|(name, _)| name.clone()) else {
                return;
            };
            let outcome = self.step(|work, cx| engine::due(&name, work, cx)).unwrap();
            self.end(outcome).unwrap();
        }
        panic!("an entry stays due");
    }
}

/// The holder of the root token that a trial begins with, which nobody can show.
pub(crate) fn root() -> Caller {
    Caller::Token(Box::new(Held {
        id: TokenId("root".to_owned()),
        accessor: "root".to_owned(),
        policies: BTreeSet::from(["root".to_owned()]),
        display_name: "root".to_owned(),
        entity: String::new(),
        metadata: BTreeMap::new(),
        expires: None,
        bound_cidrs: BTreeSet::new(),
    }))
}
