//! Users of a real PostgreSQL under load: leased to tokens that are revoked or run out, taken back one by one, a user whose password is rotated, and the one that
//! makes the others.
//!
//! A try to take a user back that a crash cut off is made again when whoever began it must have given up: two minutes later (`TRY_SECONDS` of the leases). So what is
//! revoked is gone within [`BOUND`], and not at once.

use super::tokens::stands;
use super::vault::{Said, Vault};
use super::{Cx, Part};
use crate::Failed;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Within this a user is gone whose lease was revoked or whose owner ended, counted from the last crash.
pub(super) const BOUND: Duration = Duration::from_secs(140);
/// Leases that live at one time.
const LIVING_MAX: usize = 6;
/// How long a token lives that is to run out.
const SHORT: Duration = Duration::from_secs(4);
/// Clocks of one machine, in whole seconds.
const SLACK: Duration = Duration::from_secs(2);
const LEASES: &str = "sys/leases/lookup/database/creds/app/";

/// The server.
#[derive(Clone)]
pub(super) struct Postgres {
    url: url::Url,
    psql: PathBuf,
}

impl Postgres {
    /// The one that the environment names, if it does.
    pub(super) fn of_environment() -> Result<Option<Self>, Failed> {
        let Ok(url) = std::env::var("POSTGRES_URL") else {
            return Ok(None);
        };
        let psql = std::env::var_os("PSQL_BIN").unwrap_or_else(|| "psql".into());
        Ok(Some(Self {
            url: url.parse()?,
            psql: psql.into(),
        }))
    }

    async fn run(&self, url: &str, statement: &str) -> Result<String, Failed> {
        let done = Command::new(&self.psql)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-d", url, "-c", statement])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let done = tokio::time::timeout(Duration::from_secs(30), done).await??;
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
        } else {
            Err(format!("psql: {}", String::from_utf8_lossy(&done.stderr)).into())
        }
    }

    async fn administer(&self, statement: &str) -> Result<String, Failed> {
        self.run(self.url.as_str(), statement).await
    }

    /// The users that were made for leases.
    async fn users(&self) -> Result<BTreeSet<String>, Failed> {
        let statement = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'";
        let said = self.administer(statement).await?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    async fn signs_in(&self, user: &str, password: &str) -> bool {
        let mut url = self.url.clone();
        let set = url.set_username(user).and(url.set_password(Some(password)));
        set.is_ok() && self.run(url.as_str(), "SELECT 1").await.is_ok()
    }

    /// Where the vault reaches it: a template.
    fn template(&self) -> String {
        format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@{}:{}{}",
            self.url.host_str().unwrap_or_default(),
            self.url.port().unwrap_or(5432),
            self.url.path()
        )
    }
}

/// Whether a lease lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Ended,
    /// Its revocation is under way.
    Ending,
    Lives,
}

/// A user that was answered.
#[derive(Clone)]
struct Given {
    username: String,
    lease: String,
    token: String,
    fate: Fate,
    /// When its token has surely run out.
    over: Option<Instant>,
}

impl Given {
    /// Whether it has surely ended.
    fn has_ended(&self) -> bool {
        self.fate == Fate::Ended || self.over.is_some_and(|over| Instant::now() >= over)
    }

    /// Whether it surely lives.
    fn lives(&self) -> bool {
        self.fate == Fate::Lives && self.over.is_none()
    }
}

/// What was acknowledged of users.
#[derive(Clone)]
pub(super) struct Databases {
    postgres: Postgres,
    given: Vec<Given>,
    /// Whether a rotation of the static role may be under way.
    rotating: bool,
    /// What was acknowledged in the whole run.
    pub(super) made: u64,
    pub(super) revoked: u64,
    pub(super) rotations: u64,
    pub(super) root_rotations: u64,
}

impl Part for Databases {
    async fn round(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let living = self.given.iter().filter(|given| given.lives()).count();
        match cx.below(10) {
            0 => self.rotate(cx).await,
            1 => {
                let said = cx
                    .vault
                    .ask("POST", "database/rotate-root/main", &Json::Null);
                let said = under_way_or_done(said.await?)?;
                self.root_rotations += u64::from(said.is_done());
                Ok(())
            }
            2..=4 if living > 0 => self.end(cx).await,
            _ if living < LIVING_MAX => self.make(cx).await,
            _ => self.end(cx).await,
        }
    }
}

/// A rotation that a crash cut off is gone on with a minute later; until then another one is refused, and so is a user while nobody knows which password holds.
fn under_way_or_done(said: Said) -> Result<Said, Failed> {
    match said.status {
        200..=299 | 400 | 502 => Ok(said),
        _ => Err(said.problem("a database")),
    }
}

impl Databases {
    /// Mounts the engine, with a role for leases and one whose password rotates.
    pub(super) async fn prepare(vault: &mut Vault, postgres: Postgres) -> Result<Self, Failed> {
        for statement in [
            "CREATE ROLE manager WITH SUPERUSER LOGIN PASSWORD 'first'",
            "CREATE ROLE fixed WITH LOGIN PASSWORD 'old'",
        ] {
            postgres.administer(statement).await?;
        }
        let config = json!({
            "plugin_name": "postgresql-database-plugin", "connection_url": postgres.template(),
            "username": "manager", "password": "first", "allowed_roles": ["app", "fixed"],
        });
        let role = json!({
            "db_name": "main", "default_ttl": "1h", "max_ttl": "2h",
            "creation_statements": ["CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"],
        });
        let fixed = json!({ "db_name": "main", "username": "fixed", "rotation_period": "24h" });
        for (path, body) in [
            ("sys/mounts/database", json!({ "type": "database" })),
            ("database/config/main", config),
            ("database/roles/app", role),
            ("database/static-roles/fixed", fixed),
        ] {
            vault.must("POST", path, &body).await?;
        }
        Ok(Self {
            postgres,
            given: Vec::new(),
            rotating: false,
            made: 0,
            revoked: 0,
            rotations: 0,
            root_rotations: 0,
        })
    }

    /// A token, and a user for it.
    async fn make(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let is_short = cx.below(4) == 0;
        let ttl = if is_short { SHORT.as_secs() } else { 1800 };
        let body = json!({ "policies": ["chaos"], "ttl": ttl });
        let said = cx.done("POST", "auth/token/create", &body).await?;
        let token = said.text("/auth/client_token").ok_or("no token")?;
        let said = cx
            .vault
            .ask_as(&token, "GET", "database/creds/app", &Json::Null);
        let said = said.await?;
        // A token that runs out may have done so before.
        if !said.is_done() && (is_short || matches!(said.status, 400 | 502)) {
            return Ok(());
        }
        let text = |at| said.text(at).ok_or_else(|| said.problem("a user"));
        self.given.push(Given {
            username: text("/data/username")?,
            lease: text("/lease_id")?,
            token,
            fate: Fate::Lives,
            over: is_short.then(|| Instant::now() + SHORT + SLACK),
        });
        self.made += 1;
        Ok(())
    }

    /// Ends one that lives: by its token, or itself.
    async fn end(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let mut living: Vec<&mut Given> = self.given.iter_mut().filter(|g| g.lives()).collect();
        let chosen = cx.below(living.len());
        let Some(given) = living.get_mut(chosen) else {
            return Ok(());
        };
        given.fate = Fate::Ending;
        if cx.below(2) == 0 {
            let body = json!({ "token": given.token });
            cx.done("POST", "auth/token/revoke", &body).await?;
        } else {
            let body = json!({ "lease_id": given.lease });
            let said = cx.vault.ask("POST", "sys/leases/revoke", &body).await?;
            // It is marked, and tried again: that is an answer too, and it stays ended.
            if !said.is_done() && said.status != 502 {
                return Err(said.problem("sys/leases/revoke"));
            }
        }
        given.fate = Fate::Ended;
        self.revoked += 1;
        Ok(())
    }

    async fn rotate(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        self.rotating = true;
        let said = cx
            .vault
            .ask("POST", "database/rotate-role/fixed", &Json::Null);
        let said = under_way_or_done(said.await?)?;
        if said.is_done() {
            self.rotating = false;
            self.rotations += 1;
        }
        Ok(())
    }

    /// Takes over what came of what was under way. Those that live are listed, and their users are there; tokens of those that ended answer nothing.
    /// How many were looked at.
    pub(super) async fn check(&mut self, vault: &mut Vault) -> Result<u64, Failed> {
        let mut seen = 0;
        for given in &mut self.given {
            if given.fate == Fate::Ending {
                let lives =
                    is_known(vault, &given.lease).await? && stands(vault, &given.token).await?;
                given.fate = if lives { Fate::Lives } else { Fate::Ended };
            }
        }
        let (users, listed) = (self.postgres.users().await?, listed(vault).await?);
        for given in self.given.iter().filter(|given| given.lives()) {
            let is_there = users.contains(&given.username);
            if !is_there || !listed.contains(&given.lease) || !is_known(vault, &given.lease).await?
            {
                return Err(format!(
                    "a lease lives, its user {}, and it {} listed",
                    if is_there { "is there" } else { "is not" },
                    if listed.contains(&given.lease) {
                        "is"
                    } else {
                        "is not"
                    }
                )
                .into());
            }
            seen += 1;
        }
        Ok(seen)
    }

    /// Whether the stored password of the static role signs in; nothing while a rotation may be under way.
    pub(super) async fn check_static(&self, vault: &mut Vault) -> Result<u64, Failed> {
        if self.rotating {
            return Ok(0);
        }
        let path = "database/static-creds/fixed";
        let said = vault.must("GET", path, &Json::Null).await?;
        let password = said.text("/data/password").ok_or("no password")?;
        if self.postgres.signs_in("fixed", &password).await {
            Ok(1)
        } else {
            Err("the stored password of the static role does not sign in".into())
        }
    }

    /// Whether the stored password of the connection signs in: a user is made by it, for a token that is revoked then.
    pub(super) async fn check_connection(&mut self, vault: &mut Vault) -> Result<(), Failed> {
        let body = json!({ "policies": ["chaos"], "ttl": "5m" });
        let said = vault.must("POST", "auth/token/create", &body).await?;
        let token = said.text("/auth/client_token").ok_or("no token")?;
        let said = vault.ask_as(&token, "GET", "database/creds/app", &Json::Null);
        let said = said.await?;
        let text = |at| said.text(at).ok_or_else(|| said.problem("a user"));
        self.given.push(Given {
            username: text("/data/username")?,
            lease: text("/lease_id")?,
            token: token.clone(),
            fate: Fate::Ended,
            over: None,
        });
        let body = json!({ "token": token });
        vault.must("POST", "auth/token/revoke", &body).await?;
        Ok(())
    }

    /// Waits until nothing of what ended is left, at the longest for [`BOUND`]: neither a user nor a lease in the list, and the static role signs in. How many had ended.
    pub(super) async fn settled(&mut self, vault: &mut Vault) -> Result<u64, Failed> {
        let until = Instant::now() + BOUND;
        // What was under way has come to its end by then.
        self.rotating = false;
        loop {
            let left = self.left(vault).await?;
            if left.is_empty() {
                let ended = self.given.iter().filter(|given| given.has_ended());
                return Ok(u64::try_from(ended.count())?);
            }
            if Instant::now() >= until {
                return Err(format!("after {} s: {}", BOUND.as_secs(), left.join(", ")).into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn left(&self, vault: &mut Vault) -> Result<Vec<String>, Failed> {
        let (users, listed) = (self.postgres.users().await?, listed(vault).await?);
        let mut left = remains(&self.given, &users, &listed);
        if let Err(error) = self.check_static(vault).await {
            left.push(error.to_string());
        }
        Ok(left)
    }

    /// Revokes everything that lives; afterwards nothing is to be left at all.
    pub(super) async fn end_all(&mut self, vault: &mut Vault) -> Result<(), Failed> {
        for given in &mut self.given {
            if given.lives() {
                let body = json!({ "token": given.token });
                vault.must("POST", "auth/token/revoke", &body).await?;
                given.fate = Fate::Ended;
            }
        }
        // Users whose answer never arrived belong to nobody who is known here.
        let path = "sys/leases/revoke-prefix/database/creds/app";
        vault.must("POST", path, &Json::Null).await?;
        Ok(())
    }

    /// Waits until no user and no lease is left at all.
    pub(super) async fn nothing_left(&self, vault: &mut Vault) -> Result<(), Failed> {
        let until = Instant::now() + BOUND;
        loop {
            let (users, listed) = (self.postgres.users().await?, listed(vault).await?);
            if users.is_empty() && listed.is_empty() {
                return Ok(());
            }
            if Instant::now() >= until {
                let text = format!("{} users and {} leases are left", users.len(), listed.len());
                return Err(text.into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// A ledger in which a lease lives that never was.
    pub(super) fn falsified(&self) -> Self {
        let mut false_one = self.clone();
        false_one.given.push(Given {
            username: "v-nobody".to_owned(),
            lease: "database/creds/app/never".to_owned(),
            token: "hvs.never".to_owned(),
            fate: Fate::Lives,
            over: None,
        });
        false_one
    }
}

/// What is left of leases that have ended.
fn remains(given: &[Given], users: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<String> {
    let mut left = Vec::new();
    for given in given.iter().filter(|given| given.has_ended()) {
        if users.contains(&given.username) {
            left.push(format!("the user {}", given.username));
        }
        if listed.contains(&given.lease) {
            left.push(format!("the lease of {}", given.username));
        }
    }
    left
}

/// Whether a lease can be looked up.
async fn is_known(vault: &mut Vault, lease: &str) -> Result<bool, Failed> {
    let body = json!({ "lease_id": lease });
    let said = vault.ask("POST", "sys/leases/lookup", &body).await?;
    match said.status {
        200 => Ok(true),
        400 | 404 => Ok(false),
        _ => Err(said.problem("sys/leases/lookup")),
    }
}

/// The leases that the vault tells of.
async fn listed(vault: &mut Vault) -> Result<BTreeSet<String>, Failed> {
    let said = vault.ask("LIST", LEASES, &Json::Null).await?;
    match said.status {
        200 => {
            let keys = said.at("/data/keys").and_then(Json::as_array);
            let keys = keys.into_iter().flatten().filter_map(Json::as_str);
            Ok(keys
                .map(|key| format!("database/creds/app/{key}"))
                .collect())
        }
        404 => Ok(BTreeSet::new()),
        _ => Err(said.problem(LEASES)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Given, remains};
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    #[test]
    fn what_is_left_of_an_ended_lease_is_told() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let over = Instant::now().checked_sub(Duration::from_secs(1));
        let given = |fate, over| Given {
            username: "v-a".to_owned(),
            lease: "l/a".to_owned(),
            token: "t".to_owned(),
            fate,
            over,
        };
        let nothing: BTreeSet<String> = set(&[]);
        for (fate, over, users, listed, expected) in [
            (Fate::Ended, None, set(&["v-a"]), nothing.clone(), 1),
            (Fate::Ended, None, set(&["v-a"]), set(&["l/a"]), 2),
            (Fate::Ended, None, set(&["v-b"]), set(&["l/b"]), 0),
            (Fate::Lives, None, set(&["v-a"]), set(&["l/a"]), 0),
            (Fate::Lives, over, set(&["v-a"]), nothing.clone(), 1),
        ] {
            let left = remains(&[given(fate, over)], &users, &listed);
            assert_eq!(left.len(), expected, "{fate:?} {left:?}");
        }
    }
}
