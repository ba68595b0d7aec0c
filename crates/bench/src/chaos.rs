//! The crash test: the real program is killed (`kill -9`) at random instants under load and started again on the same data.
//!
//! After each restart, everything that was acknowledged must be there: codes, refresh rotations, sessions, audit records. Nothing that can be used once
//! may be accepted twice: codes (also by many attempts at the same moment), assertions, DPoP proofs. The audit log must verify as the crash left it
//! and after the restart. What was in flight at the crash was not acknowledged, so nothing is expected of it.

mod checks;
pub(crate) mod ledger;
pub(crate) mod session;
pub(crate) mod sync_order;
pub(crate) mod tally;
pub(crate) mod workers;

use crate::Failed;
use crate::clients::{AUDIENCE, SCOPE};
use crate::server::Server;
use crate::zipf::Dice;
use ledger::Ledger;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Where the person's browser would be sent with a code.
pub(crate) const REDIRECT: &str = "https://portal.example/callback";
/// The person's password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A directory with configuration and data, and the program that runs on it again and again.
pub(crate) struct Ground {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Ground {
    /// A new one in a directory of its own, which goes with it.
    pub(crate) fn new(program: &Path) -> Result<Self, Failed> {
        Self::with(program, "")
    }

    /// The same, with more configuration.
    pub(crate) fn with(program: &Path, more: &str) -> Result<Self, Failed> {
        std::fs::create_dir_all("target")?;
        let home = tempfile::tempdir_in("target")?;
        let config = home.path().join("config");
        std::fs::create_dir_all(&config)?;
        let text = configuration()? + more;
        std::fs::write(config.join("countersign.toml"), text)?;
        Ok(Self {
            program: program.to_path_buf(),
            home,
        })
    }

    /// The directory of all of it.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file beside the configuration.
    pub(crate) fn configure(&self, name: &str, content: &str) -> Result<(), Failed> {
        Ok(std::fs::write(
            self.home.path().join("config").join(name),
            content,
        )?)
    }

    /// Adds to the configuration.
    pub(crate) fn also(&self, more: &str) -> Result<(), Failed> {
        let path = self.home.path().join("config/countersign.toml");
        let text = std::fs::read_to_string(&path)? + more;
        Ok(std::fs::write(path, text)?)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Starts the program on the same data, at the same addresses.
    pub(crate) async fn start(&self) -> Result<Server, Failed> {
        Server::start(
            &self.program,
            &self.data(),
            Some(&self.home.path().join("config")),
            &[],
        )
        .await
    }

    /// `audit verify` on the files alone.
    pub(crate) async fn verify_log(&self) -> Result<(), Failed> {
        let output = tokio::process::Command::new(&self.program)
            .args(["audit", "verify", "--data"])
            .arg(self.data())
            .output()
            .await?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!(
            "audit verify: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
        .into())
    }
}

/// The listeners keep their ports over restarts, as a deployment's would; the ports themselves are free ones.
fn configuration() -> Result<String, Failed> {
    let held: Vec<TcpListener> = (0..5)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<Result<_, _>>()?;
    let mut text = "[listeners]\n".to_owned();
    for (name, listener) in [
        "identity",
        "identity_mtls",
        "gateway",
        "control",
        "telemetry",
    ]
    .iter()
    .zip(&held)
    {
        text.push_str(&format!("{name} = \"{}\"\n", listener.local_addr()?));
    }
    Ok(text)
}

/// Runs for about `minutes` and says whether everything held.
///
/// # Errors
/// When the program cannot be started or prepared at all.
pub async fn run(program: &Path, minutes: f64) -> Result<bool, Failed> {
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| u64::from(since.subsec_nanos()));
    println!("chaos: seed {seed}");
    let mut dice = Dice::new(seed);
    let ground = Ground::new(program)?;
    let deadline = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut server = ground.start().await?;
    let ledger = Arc::new(prepare(&server).await?);
    let mut lives = 0;
    while Instant::now() < deadline || lives == 0 {
        lives += 1;
        load_for(
            &server,
            &ledger,
            Duration::from_millis(1000 + dice.next() % 4000),
            Ending::Crash,
        )
        .await?;
        server.kill().await?;
        ledger.check(
            "the audit log verifies as the crash left it",
            ground.verify_log().await,
        );
        server = ground.start().await?;
        checks::after_restart(&server, &ledger).await?;
    }
    ledger.check(
        "an answer leaves after the sync of what it promises",
        sync_order::answers_follow_syncs(&server, &ledger).await,
    );
    load_for(&server, &ledger, Duration::from_secs(1), Ending::Quiet).await?;
    server.stop().await?;
    ledger.check(
        "the audit log verifies after a clean end",
        ground.verify_log().await,
    );
    ledger.check(
        "every acknowledged token has its record",
        checks::records(&ground.data(), &ledger),
    );
    Ok(ledger.summary(lives))
}

/// Clients, a person, and her session.
async fn prepare(server: &Server) -> Result<Ledger, Failed> {
    let registration = [
        "--scope",
        SCOPE,
        "--scope",
        "openid",
        "--audience",
        AUDIENCE,
    ];
    let mut phone = vec![
        "client",
        "add",
        "phone",
        "--public",
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--redirect-uri",
        REDIRECT,
    ];
    phone.extend(registration);
    server.administer(&phone, "").await?;
    let mut batch = vec![
        "client",
        "add",
        "batch",
        "--secret",
        "--grant",
        "client_credentials",
    ];
    batch.extend(registration);
    let added = server.administer(&batch, "").await?;
    let secret = added
        .get("client_secret")
        .and_then(|secret| secret.as_str())
        .ok_or("no client_secret")?;
    server
        .administer(&["user", "add", "alice", "--password-stdin"], PASSWORD)
        .await?;
    Ledger::new(server, secret)
}

/// Whether the load is cut off or comes to its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Workers are left in the middle of what they do.
    Crash,
    /// Workers finish their round.
    Quiet,
}

/// Loads the server for a while. With [`Ending::Crash`] it returns while requests are in flight.
async fn load_for(
    server: &Server,
    ledger: &Arc<Ledger>,
    duration: Duration,
    ending: Ending,
) -> Result<(), Failed> {
    let destination = crate::load::Destination::new(&server.addresses.identity, &server.roots()?)?;
    let (stop, stopped) = watch::channel(Signal::Go);
    let workers = workers::start(&destination, ledger, &stopped);
    tokio::time::sleep(duration).await;
    if ending == Ending::Quiet {
        stop.send_replace(Signal::Stop);
        for worker in workers {
            worker.await?;
        }
    } else {
        // They end by themselves when their connections break; what they learn after the kill cannot be an acknowledgement.
        tokio::spawn(async move {
            for worker in workers {
                let _ended = worker.await;
            }
            drop(stop);
        });
    }
    Ok(())
}

/// What workers watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Go on.
    Go,
    /// Finish the round and end.
    Stop,
}
