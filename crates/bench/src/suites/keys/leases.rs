//! `restart-100k-leases`: a store with as many live leases, and how long a start on it takes.
//!
//! The leases are given while the server is down, by the vault's own step and the store's own commit, sealed under the tenant's own key: the entries are those
//! that a call would have written. Only their users exist in no database; a start asks none.

use super::place::Client;
use crate::Failed;
use crate::clients::now;
use crate::report::Run;
use crate::server::Server;
use countersign_base::{Duration as Lifetime, Secret, Tenant, UnixTime};
use countersign_control::{RootSource, Secrets};
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use countersign_keys::envelope::{open, seal};
use countersign_keys::{Aad, DataKey, Sealed};
use countersign_store::tables::vault_entries::{self, EntryChange, EntryCommit};
use countersign_store::tables::vault_keys;
use countersign_store::{Store, StoreOptions, StoreUrl};
use countersign_vault::entry::{Change, Entry};
use countersign_vault::lease::{HeldThing, NewLease, give, settle};
use countersign_vault::token::TokenId;
use countersign_vault::work::Commit;
use countersign_vault::{Cx, Loaded, Need, Revision, Stop, Work};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Leases that one transaction gives.
const CHUNK: u32 = 500;
/// How long they last.
const LASTS: Lifetime = Lifetime::from_secs(24 * 3600);
const FROM: &str = "database/creds/bench";

/// A data directory with leases; or why there is none.
pub(super) struct Starts(Result<Filled, String>);

struct Filled {
    program: PathBuf,
    leases: u32,
    /// The last that was given.
    one: String,
    home: tempfile::TempDir,
}

/// Fills a data directory.
pub(super) async fn starts(program: &Path, leases: u32) -> Starts {
    let filled = Filled::new(program, leases).await;
    Starts(filled.map_err(|problem| problem.to_string()))
}

impl Starts {
    /// One start.
    pub(super) async fn run(&self) -> Result<Run, Failed> {
        let filled = self.0.as_ref().map_err(Clone::clone)?;
        filled.start().await
    }
}

impl Filled {
    async fn new(program: &Path, leases: u32) -> Result<Self, Failed> {
        std::fs::create_dir_all("target")?;
        let home = tempfile::tempdir_in("target")?;
        let data = home.path().join("data");
        let server = Server::start(program, &data, None, &["--ephemeral"]).await?;
        let root = Client::of(&server)?;
        root.put("sys/mounts/database", &json!({ "type": "database" }))
            .await?;
        let orphan = json!({ "ttl": "48h" });
        let made = root.put("auth/token/create-orphan", &orphan).await?;
        let token = made.pointer("/auth/client_token").and_then(Value::as_str);
        let token = Secret::new(token.ok_or("no token")?.to_owned());
        server.stop().await?;
        let one = fill(&data, &token, leases).await?;
        Ok(Self {
            program: program.to_owned(),
            leases,
            one,
            home,
        })
    }

    /// Starts, asks for a lease, and stops; all leases have to be there still.
    async fn start(&self) -> Result<Run, Failed> {
        let data = self.home.path().join("data");
        let begun = Instant::now();
        let server = Server::start(&self.program, &data, None, &["--ephemeral"]).await?;
        let root = Client::of(&server)?;
        let known = root
            .put("sys/leases/lookup", &json!({ "lease_id": self.one }))
            .await?;
        let took = begun.elapsed();
        let left = known.pointer("/data/ttl").and_then(Value::as_u64);
        if left.is_none_or(|left| left == 0) {
            return Err(format!("a lease does not live: {known}").into());
        }
        let counted = root
            .call(http::Method::GET, "sys/leases/count", &Value::Null)
            .await?;
        let count = counted.pointer("/data/lease_count").and_then(Value::as_u64);
        if count != Some(u64::from(self.leases)) {
            return Err(format!("not {} leases: {counted}", self.leases).into());
        }
        let resident = server.resident_mib()?;
        server.stop().await?;
        Ok(Run {
            value: took.as_secs_f64() * 1000.0,
            p50_us: None,
            p99_us: None,
            rss_mib: Some(resident),
            rate: None,
        })
    }
}

/// The store of a server that is down, opened as it opens it itself.
struct Vault {
    store: Store,
    tenant: Tenant,
    secrets: Secrets,
    key: DataKey,
    random: Random,
    now: UnixTime,
}

/// Gives the leases, and says which was the last.
async fn fill(data: &Path, token: &Secret<String>, leases: u32) -> Result<String, Failed> {
    let vault = Vault::open(data).await?;
    let (mut loaded, mut last) = (Loaded::default(), String::new());
    let mut left = leases;
    while left > 0 {
        let chunk = left.min(CHUNK);
        let (given, commit) = vault.give(token, chunk, &mut loaded).await?;
        let commit = vault.sealed(commit)?;
        vault.store.commit_entries(&vault.tenant, commit).await?;
        last = given;
        left -= chunk;
    }
    vault.store.close().await;
    Ok(last)
}

impl Vault {
    async fn open(data: &Path) -> Result<Self, Failed> {
        let (random, tenant) = (Random::system(), Tenant::default_tenant());
        let now = UnixTime(i64::try_from(now())?);
        let url = StoreUrl::Sqlite(data.join("state.db"));
        let store = Store::open(&StoreOptions::new(url), now).await?;
        let cost = Cost::passphrase();
        let secrets = Secrets::open(&store, &RootSource::File, data, cost, &random, now).await?;
        let mut connection = store.read().await?;
        let mut keys = vault_keys::all(&mut connection, &tenant).await?;
        drop(connection);
        let row = keys.pop().ok_or("the vault has no key")?;
        let place = Aad::row(&tenant, "vault_keys", "wrapped", &row.key);
        let key = DataKey::unwrap(&secrets.keks(), &place, &Sealed::from_bytes(row.wrapped))?;
        Ok(Self {
            store,
            tenant,
            secrets,
            key,
            random,
            now,
        })
    }

    /// The step that gives leases, run until nothing is missing.
    async fn give(
        &self,
        token: &Secret<String>,
        leases: u32,
        loaded: &mut Loaded,
    ) -> Result<(String, Commit), Failed> {
        let mac = self.secrets.tenant_mac_key(&self.tenant, "vault");
        let cx = Cx {
            tenant: &self.tenant,
            mac: &mac,
            random: &self.random,
            now: self.now,
        };
        let token = TokenId::of(token, &cx).ok_or("no vault token")?;
        loop {
            let mut work = Work::new(loaded);
            match given(&token, leases, &mut work, &cx) {
                Ok(last) => return Ok((last, work.finish())),
                Err(Stop::Need(Need::Entries(names))) => {
                    for name in names {
                        let entry = self.entry(name.as_str()).await?;
                        loaded.entry(name, entry);
                    }
                }
                Err(Stop::Need(_)) => return Err("giving a lease needs no lists".into()),
                Err(Stop::Refused(problem)) => return Err(problem.into()),
            }
        }
    }

    async fn entry(&self, name: &str) -> Result<Option<Entry>, Failed> {
        let mut connection = self.store.read().await?;
        let found = vault_entries::find(&mut connection, &self.tenant, name).await?;
        found
            .map(|stored| {
                let sealed = Sealed::from_bytes(stored.sealed);
                let value = open(&self.key, &self.place(name), &sealed)?;
                Ok(Entry::new(Revision(stored.revision), value))
            })
            .transpose()
    }

    fn place(&self, name: &str) -> Aad {
        Aad::row(&self.tenant, "vault_entries", "sealed", name.as_bytes())
    }

    fn sealed(&self, commit: Commit) -> Result<EntryCommit, Failed> {
        let read = commit.read.into_iter();
        let read = read.map(|(name, seen)| (name.as_str().to_owned(), seen.map(|seen| seen.0)));
        let changes = commit.changes.into_iter().map(|(name, change)| {
            let change = match change {
                Change::Delete => EntryChange::Delete,
                Change::Put { value, due } => {
                    let place = self.place(name.as_str());
                    let sealed = seal(&self.key, &place, value.expose(), &self.random)?;
                    EntryChange::Put {
                        revision: i64::from_be_bytes(self.random.bytes()),
                        sealed: sealed.into_bytes(),
                        due,
                    }
                }
            };
            Ok((name.as_str().to_owned(), change))
        });
        Ok(EntryCommit {
            read: read.collect(),
            changes: changes.collect::<Result<_, Failed>>()?,
        })
    }
}

/// Gives leases as credentials of a database are given, once their users are made.
fn given(token: &TokenId, leases: u32, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<String, Stop> {
    let mut last = String::new();
    for _ in 0..leases {
        let held = HeldThing::DatabaseRole {
            mount: "bench".to_owned(),
            connection: "bench".to_owned(),
            role: "bench".to_owned(),
            username: format!("v-bench-{}", cx.random.request_id()),
        };
        let lease = NewLease {
            path: FROM.to_owned(),
            token: token.clone(),
            ttl: LASTS,
            max_ttl: LASTS,
            renewable: true,
            held,
        };
        last = give(lease, work, cx)?.id;
        settle(&last, work, cx)?;
    }
    Ok(last)
}
