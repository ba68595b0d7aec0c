//! The whole server in the test's process, on free ports.

use countersign::config::listeners::Listeners;
use countersign::config::{self, Config};
use countersign::run::{Options, Running, run};
use countersign_base::Clock;
use countersign_crypto::Random;
use countersign_crypto::password::Cost;
use countersign_net::TlsIdentity;
use countersign_testkit::Caller;
use std::path::Path;
use url::Url;

/// Runs this configuration; its data stands in `directory`. Without the address of a store it has one of its own in the data directory.
pub(crate) async fn started(
    directory: &Path,
    config: Config,
    store: Option<&str>,
    clock: Clock,
) -> Running {
    let options = Options {
        config,
        data: directory.join("data"),
        unsealed: None,
        store: store.map(|address| address.parse().unwrap()),
        password_cost: Cost::for_tests(),
        clock,
        random: Random::system(),
        progress: Box::new(|_| {}),
    };
    run(options).await.unwrap()
}

/// The configuration, on free ports.
pub(crate) fn parsed(directory: &Path, configuration: &str) -> Config {
    let file = Path::new("countersign.toml");
    let mut parsed = config::parse(directory, file, configuration).unwrap();
    parsed.listeners = Listeners::ephemeral();
    parsed
}

/// Somebody who calls it, with this certificate.
pub(crate) fn caller(running: &Running, identity: Option<&TlsIdentity>) -> Caller {
    Caller::new(running.fabric().authority().certificate_pem(), identity)
}

/// An address of a surface that listens at `port`.
pub(crate) fn url(port: u16, path: &str) -> Url {
    Url::parse(&format!("https://localhost:{port}{path}")).unwrap()
}
