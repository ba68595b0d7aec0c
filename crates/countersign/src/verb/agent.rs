//! `countersign agent`: signs a workload in, renders its secrets and keeps them fresh until it is told to end.

use super::up::{self, Signals};
use super::{Ended, Output, print_line, runtime, say_config_errors};
use crate::agent::{self, Agent, AgentError, AgentOptions, Happening, Progress};
use crate::cli::AgentArgs;
use crate::config::{self, Config};
use crate::run::system_clock;
use countersign_base::Duration;
use countersign_crypto::Random;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How long `--once` waits for a server that is not there.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn agent(args: &AgentArgs, output: Output) -> Ended {
    let config = match load(args) {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    up::install_log(&config);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads: {error}");
            return Ended::Failed;
        }
    };
    let options = options(config, output);
    runtime.block_on(async {
        let Ok(signals) = Signals::install() else {
            eprintln!("error: signals can't be received");
            return Ended::Failed;
        };
        let ended = if args.once {
            once(options).await
        } else {
            until_told(options, args, signals)
                .await
                .map(|()| Ended::Done)
        };
        ended.unwrap_or_else(|error| say(&error))
    })
}

fn load(args: &AgentArgs) -> Result<Config, Ended> {
    let config = config::load(&args.config).map_err(|errors| say_config_errors(&errors))?;
    agent::check(&config).map_err(|errors| say_config_errors(&errors))?;
    Ok(config)
}

fn options(config: Config, output: Output) -> AgentOptions {
    AgentOptions {
        config,
        clock: system_clock(),
        random: Random::system(),
        told: Arc::new(move |happening: &Happening| match output {
            Output::Json => print_line(serde_json::json!(happening)),
            Output::Text => eprintln!("  {happening}"),
        }),
    }
}

fn say(error: &AgentError) -> Ended {
    eprintln!("error: {error}");
    match error {
        AgentError::Config(_) => Ended::Usage,
        AgentError::Output(_)
        | AgentError::Shown(_)
        | AgentError::Socket { .. }
        | AgentError::Tls(_) => Ended::Failed,
    }
}

/// Renders everything once. A server that is not there is waited for, a refusal is not.
async fn once(options: AgentOptions) -> Result<Ended, AgentError> {
    let clock = options.clock.clone();
    let mut agent = Agent::new(options)?;
    let end = clock.millis().seconds().plus(PATIENCE);
    loop {
        let until = agent.round().await;
        match agent.progress() {
            Progress::Waiting if until.seconds() < end => {
                let ahead = until.0.saturating_sub(clock.millis().0);
                tokio::time::sleep(Duration::from_millis(u64::try_from(ahead).unwrap_or(0))).await;
            }
            progress => {
                agent.leave().await;
                return Ok(match progress {
                    Progress::Complete => Ended::Done,
                    Progress::Failed | Progress::Waiting => Ended::Failed,
                });
            }
        }
    }
}

/// SIGHUP reloads, SIGTERM and SIGINT end.
async fn until_told(
    options: AgentOptions,
    args: &AgentArgs,
    signals: Signals,
) -> Result<(), AgentError> {
    let Signals {
        mut terminate,
        mut interrupt,
        mut hangup,
    } = signals;
    let (send, configs) = mpsc::channel(1);
    let ended = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hangup.recv() => match load(args) {
                    Ok(config) => _ = send.send(config).await,
                    Err(_) => eprintln!("  the reload is refused; the configuration before it stays"),
                },
            }
        }
    };
    agent::run_with(options, ended, configs).await
}
