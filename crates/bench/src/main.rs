//! `bench --server PATH SUITE [--quick]` and `chaos --server PATH [--minutes N]`.

use countersign_bench::{Failed, chaos, suites};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Default)]
struct Options {
    server: PathBuf,
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
            runtime.block_on(suites::run(&options.names, &options.server, effort))
        }
        "chaos" => runtime.block_on(chaos::run(&options.server, options.minutes.unwrap_or(1.0))),
        other => Err(format!("`{other}` is neither `bench` nor `chaos`").into()),
    }
}
