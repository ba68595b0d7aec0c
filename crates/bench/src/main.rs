//! `bench --server PATH [--peer NAME=DIRECTORY] [--absent NAME=REASON] SUITE [--quick]` and `chaos --server PATH [--minutes N]`.

use countersign_bench::peers::Installed;
use countersign_bench::{Failed, chaos, suites};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Default)]
struct Options {
    server: PathBuf,
    peers: Installed,
    quick: bool,
    minutes: Option<f64>,
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
    let mut options = Options::default();
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
            "--minutes" => {
                options.minutes = Some(
                    arguments
                        .next()
                        .ok_or("`--minutes` needs a number")?
                        .parse()?,
                )
            }
            name => options.names.push(name.to_owned()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match verb.as_str() {
        "bench" => {
            let effort = if options.quick {
                suites::Effort::quick()
            } else {
                suites::Effort::full()
            };
            let subjects = suites::Subjects {
                server: options.server,
                peers: options.peers,
            };
            runtime.block_on(suites::run(&options.names, &subjects, effort))
        }
        "chaos" => runtime.block_on(chaos::run(&options.server, options.minutes.unwrap_or(1.0))),
        other => Err(format!("`{other}` is neither `bench` nor `chaos`").into()),
    }
}

/// `NAME=VALUE`.
fn named(argument: Option<String>) -> Result<(String, String), Failed> {
    let argument = argument.ok_or("a peer is written NAME=DIRECTORY, an absent one NAME=REASON")?;
    let (name, value) = argument
        .split_once('=')
        .ok_or("a peer is written NAME=DIRECTORY, an absent one NAME=REASON")?;
    Ok((name.to_owned(), value.to_owned()))
}
