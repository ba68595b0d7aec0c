//! The crash test of keys, leases and erasure: the real program is killed (`kill -9`) at random instants while keys rotate, texts are rewrapped, secrets are written and
//! destroyed, tokens and users of a database are revoked, and people are erased; then it is started again on the same data.
//!
//! After each restart nothing that was acknowledged as readable is unreadable, nothing that was acknowledged as gone is readable, and no lease outlives its owner unseen.
//! What was under way at the crash is there as a whole or not at all; from then on it is as it was found. Who has a part of the ledger is the only one who changes it, so
//! at most one change of each thing is under way.
//!
//! A user of a database whose revocation was cut off is gone later than at once ([`databases::BOUND`]); so users are made and revoked in the first third of the run
//! alone, and waited for at its end. Without `POSTGRES_URL` there are none. At the end every check is shown a ledger that lies, and has to say so.

mod databases;
mod people;
mod rotation;
mod secrets;
mod tokens;
mod transit;
mod vault;
mod workers;

use crate::Failed;
use crate::chaos::tally::Tallies;
use crate::chaos::{Ground, Signal};
use crate::load::Destination;
use crate::server::Server;
use crate::zipf::Dice;
use countersign_crypto::random::Random;
use databases::{Databases, Postgres};
use people::People;
use rotation::Rotation;
use secrets::Secrets;
use serde_json::{Value as Json, json};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokens::Families;
use tokio::sync::watch;
use transit::Transit;
use vault::{Admin, Said, Vault};
use workers::{At, Workers, start};

const CAS: &str = "a write of a secret with a stale version is refused";
const CONNECTION: &str = "the stored password of the database connection signs in";
const DEAD: &str = "no token answers whose family was revoked, or whose time ran out";
const ERASED: &str = "nothing of erased people is readable";
const FALSE: &str = "each check tells a ledger that lies";
const KEK: &str =
    "every acknowledged version of the key-encryption key is there, and what is sealed opens";
const KEK_OLD: &str = "older versions of the key-encryption key are gone in the stated time";
const LEASES: &str = "every lease that lives is listed, and its user is there";
const LIVING: &str = "tokens that live answer, with what they kept";
const LOG: &str = "the audit log verifies";
const NOTHING: &str = "when all leases are revoked, no user and no lease is left";
const OLDER: &str = "an older database brings nobody back who was erased, and loses nobody else";
const ROTATIONS: &str = "every acknowledged rotation of a transit key is there";
const SETTLED: &str =
    "of what was revoked or ran out, no user and no lease is left in the stated time";
const STATIC: &str = "the stored password of the static role signs in";
const TEXTS: &str = "every acknowledged ciphertext opens, or is refused by its key's minimum";
const THERE: &str = "what is sealed for people who are there opens";
const VERSIONS: &str =
    "every acknowledged version of a secret is whole, and a destroyed one is gone";
const WORK: &str = "no call fails before the crash";

/// Every check. One that never ran fails the crash test.
const NAMES: &[&str] = &[
    CAS, DEAD, ERASED, FALSE, KEK, KEK_OLD, LIVING, LOG, OLDER, ROTATIONS, TEXTS, THERE, VERSIONS,
    WORK,
];
/// Those that need a database.
const DATABASE_NAMES: &[&str] = &[CONNECTION, LEASES, NOTHING, SETTLED, STATIC];

/// What tokens of the load may do.
const POLICY: &str = r#"path "auth/token/create" { capabilities = ["create", "update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update"] }
path "database/creds/app" { capabilities = ["read"] }"#;

/// One thing under load, with what was acknowledged of it.
trait Part: Send + 'static {
    /// One thing that it does. An error is a call that broke off, or one that should have been done and was not.
    fn round(&mut self, cx: &mut Cx) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// What a worker works with.
struct Cx {
    vault: Vault,
    admin: Admin,
    tallies: Arc<Tallies>,
    dice: Dice,
    random: Random,
}

impl Cx {
    async fn connect(run: &Run, server: &Server, seed: u64) -> Result<Self, Failed> {
        Ok(Self {
            vault: run.vault(server).await?,
            admin: run.admin(server).await?,
            tallies: Arc::clone(&run.tallies),
            dice: Dice::new(seed),
            random: Random::system(),
        })
    }

    /// A number below `end`; 0 if there is none.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.dice.next() % end).unwrap_or(0)
    }

    /// A text that nothing else holds.
    fn word(&self) -> String {
        self.random.token().expose().clone()
    }

    /// A call that has to be done, unless the crash comes.
    async fn done(&mut self, method: &str, path: &str, body: &Json) -> Result<Said, Failed> {
        let said = self.vault.ask(method, path, body).await?;
        self.judged(said, path)
    }

    async fn done_as(
        &mut self,
        token: &str,
        method: &str,
        path: &str,
        body: &Json,
    ) -> Result<Said, Failed> {
        let said = self.vault.ask_as(token, method, path, body).await?;
        self.judged(said, path)
    }

    fn judged(&self, said: Said, path: &str) -> Result<Said, Failed> {
        if said.is_done() {
            return Ok(said);
        }
        Err(self.refused(&said, path))
    }

    /// Notes that a call was refused which should have been done. What it was about is in doubt until after the crash, so its worker ends.
    fn refused(&self, said: &Said, path: &str) -> Failed {
        self.tallies.check(WORK, Err(said.problem(path)));
        said.problem(path)
    }
}

/// All that is under load.
struct Parts {
    transit: Vec<Transit>,
    secrets: Secrets,
    families: Families,
    databases: Option<Databases>,
    people: People,
    rotation: Rotation,
}

/// Whether users of databases are made and revoked in this life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    All,
    WithoutDatabases,
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Crash,
    Quiet,
}

/// A run.
struct Run {
    ground: Ground,
    tallies: Arc<Tallies>,
}

/// Runs for about `minutes`, and then until what has to end has ended, and says whether everything held.
///
/// # Errors
/// When the program cannot be started or prepared at all.
pub async fn run(program: &Path, minutes: f64, seed: Option<u64>) -> Result<bool, Failed> {
    let seed = seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(1, |since| u64::from(since.subsec_nanos()))
    });
    println!("chaos-keys: seed {seed}");
    let mut dice = Dice::new(seed);
    let run = Run {
        // The shortest that there is: older versions are to go while this runs.
        ground: Ground::with(program, "[keys]\ndestroy_after = \"1m\"\n")?,
        tallies: Arc::default(),
    };
    let mut server = run.ground.start().await?;
    let mut parts = run.prepare(&server).await?;
    let begun = Instant::now();
    let lasts = Duration::from_secs_f64(minutes * 60.0);
    let mut crashes = 0;
    while begun.elapsed() < lasts || crashes == 0 {
        crashes += 1;
        let load = if begun.elapsed() < lasts / 3 {
            Load::All
        } else {
            Load::WithoutDatabases
        };
        let pause = Duration::from_millis(300 + dice.next() % 3000);
        let next = run.life(server, parts, load, Ending::Crash, pause, dice.next());
        (server, parts) = next.await?;
        run.after_restart(&server, &mut parts, load).await;
    }
    let pause = Duration::from_secs(1);
    let load = Load::WithoutDatabases;
    let last = run.life(server, parts, load, Ending::Quiet, pause, dice.next());
    (server, parts) = last.await?;
    run.at_the_end(&server, &mut parts).await?;
    run.older_database(server, &mut parts).await?;
    Ok(run.summary(crashes, &parts))
}

impl Run {
    async fn vault(&self, server: &Server) -> Result<Vault, Failed> {
        let control = Destination::new(&server.addresses.control, &server.roots()?)?;
        let token = server.addresses.vault_token.as_deref();
        Vault::connect(&control, token.ok_or("no token of the vault")?).await
    }

    async fn admin(&self, server: &Server) -> Result<Admin, Failed> {
        let control = Destination::new(&server.addresses.control, &server.roots()?)?;
        Admin::connect(&control, &self.ground.data()).await
    }

    async fn prepare(&self, server: &Server) -> Result<Parts, Failed> {
        let mut vault = self.vault(server).await?;
        let policy = json!({ "policy": POLICY });
        vault
            .must("POST", "sys/policies/acl/chaos", &policy)
            .await?;
        let databases = match Postgres::of_environment()? {
            Some(postgres) => Some(Databases::prepare(&mut vault, postgres).await?),
            None => {
                println!("chaos-keys: POSTGRES_URL says of no database: no users are made");
                None
            }
        };
        Ok(Parts {
            transit: vec![
                Transit::prepare(&mut vault, "one").await?,
                Transit::prepare(&mut vault, "two").await?,
            ],
            secrets: Secrets::default(),
            families: Families::default(),
            databases,
            people: People::prepare(server, &self.ground).await?,
            rotation: Rotation::prepare(&mut self.admin(server).await?).await?,
        })
    }

    /// Loads the server for a while, ends it, and starts it again on the same data.
    async fn life(
        &self,
        server: Server,
        parts: Parts,
        load: Load,
        ending: Ending,
        pause: Duration,
        seed: u64,
    ) -> Result<(Server, Parts), Failed> {
        let (stop, stopped) = watch::channel(Signal::Go);
        let workers = self.workers(&server, parts, load, &stopped, seed).await?;
        tokio::time::sleep(pause).await;
        let ended = match ending {
            Ending::Crash => {
                let at = Instant::now();
                server.kill().await?;
                stop.send_replace(Signal::Stop);
                (workers.joined(&self.tallies, Some(at)).await?, None)
            }
            Ending::Quiet => {
                stop.send_replace(Signal::Stop);
                (workers.joined(&self.tallies, None).await?, Some(server))
            }
        };
        match ended {
            (parts, Some(server)) => Ok((server, parts)),
            (parts, None) => {
                self.tallies.check(LOG, self.ground.verify_log().await);
                Ok((self.ground.start().await?, parts))
            }
        }
    }

    async fn workers(
        &self,
        server: &Server,
        parts: Parts,
        load: Load,
        stopped: &watch::Receiver<Signal>,
        seed: u64,
    ) -> Result<Workers, Failed> {
        let mut dice = Dice::new(seed);
        let mut transit = Vec::new();
        for key in parts.transit {
            let cx = Cx::connect(self, server, dice.next()).await?;
            transit.push(start(key, cx, stopped));
        }
        let cx = Cx::connect(self, server, dice.next()).await?;
        let secrets = start(parts.secrets, cx, stopped);
        let cx = Cx::connect(self, server, dice.next()).await?;
        let families = start(parts.families, cx, stopped);
        let cx = Cx::connect(self, server, dice.next()).await?;
        let people = start(parts.people, cx, stopped);
        let cx = Cx::connect(self, server, dice.next()).await?;
        let rotation = start(parts.rotation, cx, stopped);
        let databases = match (parts.databases, load) {
            (None, _) => At::Rest(None),
            (Some(databases), Load::WithoutDatabases) => At::Rest(Some(Box::new(databases))),
            (Some(databases), Load::All) => {
                let cx = Cx::connect(self, server, dice.next()).await?;
                At::Work(start(databases, cx, stopped))
            }
        };
        Ok(Workers {
            transit,
            secrets,
            families,
            databases,
            people,
            rotation,
        })
    }

    /// Everything that was acknowledged before the crash.
    async fn after_restart(&self, server: &Server, parts: &mut Parts, load: Load) {
        if let Err(error) = self.looked(server, parts, load, secrets::RECENT).await {
            self.tallies.check(WORK, Err(error));
        }
    }

    async fn looked(
        &self,
        server: &Server,
        parts: &mut Parts,
        load: Load,
        newest: usize,
    ) -> Result<(), Failed> {
        let (tallies, mut vault) = (&self.tallies, self.vault(server).await?);
        for key in &mut parts.transit {
            tallies.count(ROTATIONS, key.check_versions(&mut vault).await);
            tallies.count(TEXTS, key.check_texts(&mut vault).await);
        }
        tallies.count(VERSIONS, parts.secrets.check(&mut vault, newest).await);
        pair(
            tallies,
            LIVING,
            DEAD,
            parts.families.check(&mut vault).await,
        );
        let mut admin = self.admin(server).await?;
        pair(tallies, THERE, ERASED, parts.people.check(&mut admin).await);
        tallies.count(KEK, parts.rotation.check(&mut admin).await);
        // Looking makes a user and takes it back; a crash must not cut that off in the lives that users are not under load in.
        if let (Some(databases), Load::All) = (&mut parts.databases, load) {
            tallies.count(LEASES, databases.check(&mut vault).await);
            tallies.count(STATIC, databases.check_static(&mut vault).await);
            tallies.check(CONNECTION, databases.check_connection(&mut vault).await);
        }
        Ok(())
    }

    /// Everything once more, and what takes its time.
    async fn at_the_end(&self, server: &Server, parts: &mut Parts) -> Result<(), Failed> {
        self.looked(server, parts, Load::All, usize::MAX).await?;
        self.lies(server, parts).await?;
        let (tallies, mut vault) = (&self.tallies, self.vault(server).await?);
        if let Some(databases) = &mut parts.databases {
            let begun = Instant::now();
            tallies.count(SETTLED, databases.settled(&mut vault).await);
            tallies.count(STATIC, databases.check_static(&mut vault).await);
            println!(
                "chaos-keys: what was revoked was gone {} s after the last check",
                begun.elapsed().as_secs()
            );
            databases.end_all(&mut vault).await?;
            tallies.check(NOTHING, databases.nothing_left(&mut vault).await);
        }
        let mut admin = self.admin(server).await?;
        tallies.check(KEK_OLD, parts.rotation.settled(&mut admin).await);
        // Now that nothing of the older versions is left, everything once more.
        self.looked(server, parts, Load::WithoutDatabases, usize::MAX)
            .await
    }

    /// Shows each check a ledger that lies.
    async fn lies(&self, server: &Server, parts: &Parts) -> Result<(), Failed> {
        let mut vault = self.vault(server).await?;
        let mut admin = self.admin(server).await?;
        for key in &parts.transit {
            let mut lie = key.falsified();
            self.told(TEXTS, lie.check_texts(&mut vault).await);
            self.told(ROTATIONS, lie.check_versions(&mut vault).await);
        }
        let mut lie = parts.secrets.falsified();
        self.told(VERSIONS, lie.check(&mut vault, usize::MAX).await);
        if parts.families.has_living() {
            let mut lie = parts.families.falsified();
            self.told(DEAD, lie.check(&mut vault).await);
        }
        let mut lie = parts.people.falsified();
        self.told(ERASED, lie.check(&mut admin).await);
        let mut lie = parts.rotation.falsified();
        self.told(KEK, lie.check(&mut admin).await);
        if let Some(databases) = &parts.databases {
            let mut lie = databases.falsified();
            self.told(LEASES, lie.check(&mut vault).await);
        }
        Ok(())
    }

    fn told<T>(&self, name: &str, result: Result<T, Failed>) {
        let told = match result {
            Ok(_) => Err(format!("`{name}` holds of a ledger that lies").into()),
            Err(_) => Ok(()),
        };
        self.tallies.check(FALSE, told);
    }

    /// Erases somebody, and puts the database of before back in its place, with today's epoch key beside it.
    async fn older_database(&self, server: Server, parts: &mut Parts) -> Result<(), Failed> {
        let data = self.ground.data();
        let older = data.with_extension("older");
        std::fs::create_dir(&older)?;
        server.stop().await?;
        self.tallies.check(LOG, self.ground.verify_log().await);
        replace(&data, &older)?;
        let server = self.ground.start().await?;
        let mut admin = self.admin(&server).await?;
        parts.people.erase_one(&mut admin).await?;
        server.kill().await?;
        replace(&older, &data)?;
        let server = self.ground.start().await?;
        let mut admin = self.admin(&server).await?;
        let found = parts.people.check(&mut admin).await;
        let found = found.map(|(there, gone)| there + gone);
        self.tallies.count(OLDER, found);
        server.kill().await
    }

    fn summary(&self, crashes: u32, parts: &Parts) -> bool {
        let names = match parts.databases {
            Some(_) => [NAMES, DATABASE_NAMES].concat(),
            None => NAMES.to_vec(),
        };
        let (passed, failed) = self.tallies.summary(&names);
        let sum = |of: fn(&Transit) -> u64| parts.transit.iter().map(of).sum::<u64>();
        println!(
            "chaos-keys: {crashes} crashes; transit: {} encryptions, {} rewraps, {} rotations; secrets: {} writes, {} destroyed; tokens: {} made, {} families revoked; people erased: {}; rotations of the key-encryption key: {}, of the vault's data key: {}, of the root key: {}",
            sum(|key| key.encryptions),
            sum(|key| key.rewraps),
            sum(|key| key.rotations),
            parts.secrets.writes,
            parts.secrets.destroyed,
            parts.families.made,
            parts.families.revoked,
            parts.people.erased,
            parts.rotation.rotations,
            parts.rotation.of_data,
            parts.rotation.of_root,
        );
        if let Some(databases) = &parts.databases {
            println!(
                "chaos-keys: database: {} leases, {} revoked, {} rotations of the static role, {} of the connection's password",
                databases.made, databases.revoked, databases.rotations, databases.root_rotations
            );
        }
        println!("chaos-keys: {passed} passed, {failed} failed, 0 skipped");
        failed == 0
    }
}

/// Puts the database of one directory in the place of another's.
fn replace(from: &Path, to: &Path) -> Result<(), Failed> {
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        let (from, to) = (from.join(file), to.join(file));
        if to.exists() {
            std::fs::remove_file(&to)?;
        }
        if from.exists() {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Notes a check that looks at two kinds of things at once.
fn pair(
    tallies: &Tallies,
    first: &'static str,
    second: &'static str,
    found: Result<(u64, u64), Failed>,
) {
    match found {
        Ok((one, other)) => {
            tallies.count(first, Ok(one));
            tallies.count(second, Ok(other));
        }
        Err(error) => {
            tallies.check(second, Err(error.to_string().into()));
            tallies.check(first, Err(error));
        }
    }
}
