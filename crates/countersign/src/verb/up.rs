//! `countersign up`: everything in one process, until it is told to end.

use super::{Ended, Output, runtime, say_config_errors, say_run_error};
use crate::cli::UpArgs;
use crate::config::error::ConfigError;
use crate::config::telemetry::{LogFormat, LogLevel};
use crate::config::{self, Config};
use crate::run::{
    self, OpenedRoot, Options, RunError, Running, SealedProcess, SealedStart, system_clock,
};
use countersign_audit::Code;
use countersign_base::{Duration, Secret};
use countersign_control::fabric::Progress;
use countersign_control::telemetry::{self, Format};
use countersign_crypto::Random;
use countersign_crypto::password::Cost;
use countersign_store::StoreUrl;
use std::path::Path;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;

/// Certificates live a week.
pub(super) const CERTIFICATES_RENEWED_EVERY: Duration = Duration::from_secs(86_400);

pub(super) fn up(args: &UpArgs, output: Output) -> Ended {
    let config = match load(args) {
        Ok(config) => config,
        Err(errors) => return say_config_errors(&errors),
    };
    let store = match args.store.as_deref().map(str::parse).transpose() {
        Ok(store) => store,
        Err(error) => {
            eprintln!("error: `--store`: {error}");
            return Ended::Usage;
        }
    };
    install_log(&config);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads: {error}");
            return Ended::Failed;
        }
    };
    runtime.block_on(async {
        let Ok(signals) = Signals::install() else {
            eprintln!("error: signals can't be received");
            return Ended::Failed;
        };
        match phases(&config, args, store, output, signals).await {
            Ok(()) => Ended::Done,
            Err(error) => say_run_error(&error),
        }
    })
}

/// Runs the fabric; where operators hold shares, waits for them before it and after each time that the seal was closed.
async fn phases(
    config: &Config,
    args: &UpArgs,
    store: Option<StoreUrl>,
    output: Output,
    mut signals: Signals,
) -> Result<(), RunError> {
    let mut config = config.clone();
    loop {
        let mut options = options(config.clone(), args, store.clone());
        if config.keys.seal.is_some() {
            let unsealed = match run::sealed(&options).await? {
                SealedStart::Open(unsealed) => *unsealed,
                SealedStart::Closed(closed) => {
                    say_sealed(&closed, output);
                    tokio::select! {
                        unsealed = closed.unsealed() => unsealed,
                        () = signals.end() => return Ok(()),
                    }
                }
            };
            config = unsealed.config.clone();
            options.config = unsealed.config;
            options.unsealed = Some(OpenedRoot {
                root: unsealed.root,
                status: unsealed.status,
                opening: unsealed.opening,
            });
        }
        let running = run::run(options).await?;
        say_ready(&running, output);
        match serve(running, args, &mut signals).await {
            Told::End => return Ok(()),
            Told::Seal => {}
        }
    }
}

/// What ends the fabric.
enum Told {
    /// A signal: the process ends.
    End,
    /// Somebody who may closed the seal: it waits for shares.
    Seal,
}

fn say_sealed(closed: &SealedProcess, output: Output) {
    let (control, status) = (closed.control().port(), closed.status());
    let address = format!("https://localhost:{control}");
    let ca = closed.ca().display();
    match output {
        Output::Json => {
            let line = serde_json::json!({
                "sealed": true,
                "initialized": status.initialized,
                "control": address,
                "ca": ca.to_string(),
            });
            println!("{line}");
        }
        Output::Text => {
            let what = if status.initialized && status.recovery_seal {
                "sealed: its source gives no key; the log says why"
            } else if status.initialized {
                "sealed: give shares to `/v1/sys/unseal`"
            } else {
                "not initialized: make shares at `/v1/sys/init`"
            };
            println!(
                "countersign is {what}\n\n  control        {address}\n  ca             {ca}\n"
            );
        }
    }
}

/// What a process is started with.
pub(super) fn options(config: Config, args: &UpArgs, store: Option<StoreUrl>) -> Options {
    Options {
        config,
        data: args.data.clone(),
        unsealed: None,
        store,
        password_cost: Cost::owasp(),
        clock: system_clock(),
        random: Random::system(),
        progress: Box::new(say_progress),
    }
}

pub(super) fn load(args: &UpArgs) -> Result<Config, Vec<ConfigError>> {
    let mut config = match &args.config {
        Some(dir) => config::load(dir)?,
        None => config::parse(Path::new("."), Path::new(config::FILE), "")?,
    };
    if args.ephemeral {
        config.listeners = config.listeners.on_free_ports();
        if let Some(proxy) = &mut config.egress.proxy {
            proxy.listen.set_port(0);
        }
    }
    Ok(config)
}

pub(super) fn install_log(config: &Config) {
    let level = match config.telemetry.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    let format = match config.telemetry.format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    telemetry::install(level, format);
}

fn say_progress(progress: Progress) {
    match progress {
        Progress::MakingKey(tenant) => eprintln!("  making a signing key for tenant {tenant}"),
        Progress::StoreOpened | Progress::LogOpened | Progress::Reconciled(_) => {}
    }
}

fn say_ready(running: &Running, output: Output) {
    let addresses = Addresses::of(running);
    match output {
        Output::Json => println!("{}", addresses.json_with(running.vault_token())),
        Output::Text => print!("{}", addresses.table()),
    }
}

/// What `up` tells once it is ready.
pub(crate) struct Addresses(Vec<(&'static str, String)>);

impl Addresses {
    pub(crate) fn of(running: &Running) -> Self {
        let bound = running.bound();
        let https = |port: u16| format!("https://localhost:{port}");
        let data = std::path::absolute(running.fabric().data())
            .unwrap_or_else(|_| running.fabric().data().to_owned());
        let always = [
            ("identity", https(bound.identity.port())),
            ("identity_mtls", https(bound.identity_mtls.port())),
            ("gateway", https(bound.gateway.port())),
            ("control", https(bound.control.port())),
            (
                "telemetry",
                format!("http://127.0.0.1:{}", bound.telemetry.port()),
            ),
            ("ca", data.join("ca.pem").display().to_string()),
            ("data", data.display().to_string()),
        ];
        let egress = running.egress_url().map(|url| ("egress", url));
        Self(always.into_iter().chain(egress).collect())
    }

    /// For a machine that reads the first line, with the token that its scripts use the vault with. Nothing else prints it.
    pub(crate) fn json_with(&self, vault_token: Option<&Secret<String>>) -> String {
        let token = vault_token.map(|token| ("vault_token", token.expose().as_str()));
        let addresses = self.0.iter().map(|(name, value)| (*name, value.as_str()));
        let object = addresses
            .chain(token)
            .map(|(name, value)| (name.to_owned(), serde_json::Value::from(value)));
        serde_json::Value::Object(object.collect()).to_string()
    }

    pub(crate) fn table(&self) -> String {
        let lines = self
            .0
            .iter()
            .map(|(name, value)| format!("  {name:<14} {value}\n"));
        format!("countersign is ready\n\n{}\n", lines.collect::<String>())
    }
}

/// The signals that are listened to. Installed before anything listens, so that none that follows the ready line is lost.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hangup: Signal,
}

impl Signals {
    pub(super) fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the process.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until told to end: SIGHUP reloads, SIGTERM and SIGINT drain and end.
async fn serve(running: Running, args: &UpArgs, signals: &mut Signals) -> Told {
    let mut renewal = tokio::time::interval(CERTIFICATES_RENEWED_EVERY);
    renewal.tick().await;
    let told = loop {
        tokio::select! {
            _ = signals.terminate.recv() => break Told::End,
            _ = signals.interrupt.recv() => break Told::End,
            () = running.seal_closed() => break Told::Seal,
            _ = signals.hangup.recv() => reload(&running, args).await,
            _ = renewal.tick() => {
                if running.renew_certificates().is_err() {
                    tracing::error!(event = "certificates_not_renewed");
                }
            }
        }
    };
    eprintln!("  draining");
    let reason = match told {
        Told::End => "signal",
        Told::Seal => "sealed",
    };
    running.stop(Code::of(reason)).await;
    told
}

/// Takes another configuration up, or keeps the old one whole.
async fn reload(running: &Running, args: &UpArgs) {
    let loaded = load(args);
    let result = match &loaded {
        Ok(config) => running
            .reload(config)
            .await
            .map_err(|error| _ = say_run_error(&error)),
        Err(errors) => {
            say_config_errors(errors);
            Err(())
        }
    };
    match result {
        Ok(changes) => {
            tracing::info!(event = "configuration_reloaded", count = changes);
            eprintln!("  reloaded: {changes} changes");
        }
        Err(()) => {
            tracing::warn!(event = "reload_refused");
            eprintln!("  the reload is refused; the configuration before it stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::load;
    use crate::cli::UpArgs;
    use crate::config;

    #[test]
    fn free_ports_change_addresses_and_nothing_else_that_is_said_of_listeners() {
        let directory = tempfile::tempdir().unwrap();
        let text = "[listeners]\ngateway = \"127.0.0.1:9443\"\nconnections_per_peer = 7\nnames = [\"gateway.example\"]\ngateway_from = { deny = [\"blocked\"] }\n[[networks]]\nname = \"blocked\"\naddresses = [\"192.0.2.0/24\"]\n";
        std::fs::write(directory.path().join(config::FILE), text).unwrap();
        let listeners = |ephemeral| {
            let args = UpArgs {
                config: Some(directory.path().to_owned()),
                data: directory.path().join("data"),
                store: None,
                ephemeral,
            };
            load(&args).unwrap().listeners
        };
        let (written, free) = (listeners(false), listeners(true));
        assert_eq!(written.gateway.port(), 9443);
        assert_eq!(free.gateway.port(), 0);
        assert_eq!(free.connections_per_peer, 7);
        assert!(free.gateway_from.is_some());
        assert_eq!(free, written.on_free_ports());
    }
}
