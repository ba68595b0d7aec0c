//! `subject-keys-1m`: keys of people out of a store that holds many, and out of one that holds few.

use super::lane::Lane;
use crate::clients::now;
use crate::report::Run;
use crate::zipf::Dice;
use crate::{Failed, cpu};
use countersign_base::{Tenant, UnixTime, UserId};
use countersign_crypto::puncturable::PuncturableKey;
use countersign_crypto::random::Random;
use countersign_keys::KekSet;
use countersign_store::Subjects;
use countersign_store::tables::subject_keys::{self, SubjectKey};
use countersign_store::{Store, StoreOptions, StoreUrl};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// People of the store that the other is held against.
const FEW: u32 = 1_000;
/// People that one transaction takes in.
const CHUNK: usize = 10_000;

/// Both rows: `many` people, and few.
pub(super) async fn lanes(case: &'static str, many: u32) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for (subject, count) in [("countersign", many), ("limit", FEW)] {
        lanes.push(match People::new(count).await {
            Ok(people) => Lane::here(case, subject, move |duration| people.run(duration)),
            Err(problem) => Lane::absent(case, subject, &problem),
        });
    }
    lanes
}

/// A store with keys of people.
struct People {
    store: Store,
    subjects: Subjects,
    tenant: Tenant,
    users: Vec<UserId>,
    _home: tempfile::TempDir,
}

impl People {
    async fn new(count: u32) -> Result<Self, Failed> {
        std::fs::create_dir_all("target")?;
        let home = tempfile::tempdir_in("target")?;
        let (random, tenant) = (Random::system(), Tenant::default_tenant());
        let now = UnixTime(i64::try_from(now())?);
        let url = StoreUrl::Sqlite(home.path().join("state.db"));
        let store = Store::open(&StoreOptions::new(url), now).await?;
        let keks = Arc::new(KekSet::generate(&random));
        let epochs = PuncturableKey::generate(&random);
        let keks = Arc::new(move || Arc::clone(&keks));
        // Nobody is forgotten here, so nothing is to be stored again.
        let subjects = Subjects::new(keks, epochs, Arc::new(|_| Ok(())));
        let users: Vec<UserId> = (0..count).map(|_| random.user_id()).collect();
        for chunk in users.chunks(CHUNK) {
            let mut made = Vec::with_capacity(chunk.len());
            for user in chunk {
                made.push((*user, subjects.generate(&tenant, *user, &random)?));
            }
            let tenant = tenant.clone();
            store
                .write(move |tx| {
                    Box::pin(async move {
                        for (user, wrapped) in made {
                            let _stands =
                                subject_keys::put_first(tx, &tenant, user, wrapped, now).await?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        Ok(Self {
            store,
            subjects,
            tenant,
            users,
            _home: home,
        })
    }

    /// Finds and unwraps keys for so long.
    fn run(&self, duration: Duration) -> Result<Run, Failed> {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.looked_up(duration))
        })
    }

    async fn looked_up(&self, duration: Duration) -> Result<Run, Failed> {
        let mut dice = Dice::new(1);
        let (started, before) = (Instant::now(), cpu::own_time()?);
        let mut latencies = Vec::new();
        while started.elapsed() < duration {
            let one = Instant::now();
            let place = usize::try_from(dice.next())? % self.users.len();
            let user = *self.users.get(place).ok_or("nobody")?;
            let mut connection = self.store.read().await?;
            let found = subject_keys::find(&mut connection, &self.tenant, user).await?;
            let SubjectKey::Wrapped(wrapped) = found else {
                return Err("a key is not there".into());
            };
            let _key = self.subjects.unwrap(&self.tenant, user, wrapped)?;
            latencies.push(u32::try_from(one.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        let spent = cpu::own_time()?.saturating_sub(before);
        latencies.sort_unstable();
        Ok(Run {
            value: f64::from(u32::try_from(latencies.len())?) / spent.as_secs_f64().max(0.001),
            p50_us: Some(crate::load::at(&latencies, 0.5)),
            p99_us: Some(crate::load::at(&latencies, 0.99)),
            rss_mib: None,
            rate: None,
        })
    }
}
