//! `bench --server PATH [--peer NAME=DIRECTORY] [--absent NAME=REASON] [--postgres URL] SUITE [--quick]`, `chaos --server PATH [--minutes N]`,
//! `chaos-keys --server PATH [--minutes N] [--seed N]`, `chaos-webhooks` with the same arguments, `webhook-receivers ADDRESS DIR`, which it starts and kills,
//! `soak --server PATH [--minutes N] [--out DIR]`, `upstream ADDRESS`, and `soak-upstream ADDRESS`, which the soak starts and kills.
//!
//! `--case=NAME` measures one case of a suite (of `gateway`; may stand several times), `--trial=SECONDS` only sees whether everything works: with either of them nothing is written.

use countersign_bench::peers::Installed;
use countersign_bench::{Failed, chaos, chaos_keys, chaos_webhooks, soak, suites, upstream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What is measured in this process allocates as the server does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Default)]
struct Options {
    server: PathBuf,
    peers: Installed,
    postgres: Option<String>,
    quick: bool,
    minutes: Option<f64>,
    seed: Option<u64>,
    cases: Vec<String>,
    trial: Option<Duration>,
    out: PathBuf,
    names: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, Failed> {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let mut options = Options {
        out: PathBuf::from("."),
        ..Options::default()
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--server" => {
                options.server = arguments
                    .next()
                    .ok_or("`--server` needs the program")?
                    .into()
            }
            "--peer" => {
                let (name, directory) = named(arguments.next())?;
                options.peers.insert(name, Ok(directory.into()));
            }
            "--absent" => {
                let (name, reason) = named(arguments.next())?;
                options.peers.insert(name, Err(reason));
            }
            "--postgres" => options.postgres = arguments.next(),
            "--out" => options.out = arguments.next().ok_or("`--out` needs a directory")?.into(),
            "--minutes" => options.minutes = Some(number(&argument, arguments.next())?),
            "--seed" => options.seed = Some(number(&argument, arguments.next())?),
            other => options.take(other)?,
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(carried_out(&verb, options))
}

async fn carried_out(verb: &str, options: Options) -> Result<bool, Failed> {
    match verb {
        "bench" => bench(options).await,
        "chaos" => chaos::run(&options.server, options.minutes.unwrap_or(1.0)).await,
        "chaos-keys" => {
            let minutes = options.minutes.unwrap_or(1.5);
            chaos_keys::run(&options.server, minutes, options.seed).await
        }
        "chaos-webhooks" => {
            let minutes = options.minutes.unwrap_or(1.0);
            chaos_webhooks::run(&options.server, minutes, options.seed).await
        }
        "webhook-receivers" => {
            let [address, directory] = &options.names[..] else {
                return Err("`webhook-receivers` needs an address and a directory".into());
            };
            let directory = PathBuf::from(directory);
            chaos_webhooks::receiver::serve(address.parse()?, &directory).await?;
            Ok(true)
        }
        "upstream" => {
            let address = options.names.first().ok_or("where is it to listen?")?;
            upstream::serve(address.parse()?).await?;
            Ok(true)
        }
        "soak" => {
            let minutes = options.minutes.unwrap_or(1.0);
            soak::run(&options.server, minutes, &options.out).await
        }
        "soak-upstream" => {
            let address = options
                .names
                .first()
                .ok_or("`soak-upstream` needs an address")?;
            soak::upstream::serve(address.parse()?).await?;
            Ok(true)
        }
        other => Err(format!(
            "`{other}` is none of `bench`, `chaos`, `chaos-keys`, `chaos-webhooks`, `soak`, `soak-upstream`, `upstream` and `webhook-receivers`"
        )
        .into()),
    }
}

impl Options {
    /// Takes what is one word by itself.
    fn take(&mut self, argument: &str) -> Result<(), Failed> {
        match argument.split_once('=') {
            Some(("--case", name)) => self.cases.push(name.to_owned()),
            Some(("--trial", seconds)) => {
                self.trial = Some(Duration::try_from_secs_f64(seconds.parse()?)?);
            }
            Some(_) | None => self.names.push(argument.to_owned()),
        }
        Ok(())
    }
}

async fn bench(options: Options) -> Result<bool, Failed> {
    let effort = match options.trial {
        Some(duration) => suites::Effort::trial(duration),
        None if options.quick => suites::Effort::quick(),
        None => suites::Effort::full(),
    };
    let outcome = if options.trial.is_some() || !options.cases.is_empty() {
        suites::Outcome::Shown
    } else {
        suites::Outcome::Written
    };
    let postgres = options
        .postgres
        .ok_or_else(|| match options.peers.get("postgresql") {
            Some(Err(reason)) => format!("not run: {reason}"),
            Some(Ok(_)) | None => {
                "not run: `cargo xtask bench keys` starts a PostgreSQL".to_owned()
            }
        });
    let subjects = suites::Subjects {
        postgres,
        server: options.server,
        peers: options.peers,
        cases: options.cases,
    };
    suites::run(&options.names, &subjects, effort, outcome).await
}

/// The number that follows an argument.
fn number<N: std::str::FromStr>(argument: &str, given: Option<String>) -> Result<N, Failed> {
    let number = given.and_then(|given| given.parse().ok());
    number.ok_or_else(|| format!("`{argument}` needs a number").into())
}

/// `NAME=VALUE`.
fn named(argument: Option<String>) -> Result<(String, String), Failed> {
    let argument = argument.ok_or("a peer is written NAME=DIRECTORY, an absent one NAME=REASON")?;
    let (name, value) = argument
        .split_once('=')
        .ok_or("a peer is written NAME=DIRECTORY, an absent one NAME=REASON")?;
    Ok((name.to_owned(), value.to_owned()))
}
