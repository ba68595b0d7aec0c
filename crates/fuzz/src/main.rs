//! The driver's command line: `[--minutes N] [--seed N] [TARGET ...]`, or `--input FILE TARGET` to run one input again.

use countersign_fuzz::targets;
use countersign_fuzz::{Target, driver, examples, seeds};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

struct Options {
    minutes: f64,
    seed: u64,
    input: Option<PathBuf>,
    write_seeds: bool,
    targets: Vec<&'static Target>,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!(
                "fuzz: {problem}\nusage: cargo xtask fuzz [--minutes N] [--seed N] [--input FILE] [TARGET ...]"
            );
            ExitCode::from(2)
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos().into());
    let mut options = Options {
        minutes: 1.0,
        seed: clock,
        input: None,
        write_seeds: false,
        targets: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or(format!("`{argument}` needs a value"))
        };
        match argument.as_str() {
            "--minutes" => {
                options.minutes = value()?.parse().map_err(|_| "`--minutes` needs a number")?
            }
            "--seed" => options.seed = value()?.parse().map_err(|_| "`--seed` needs a number")?,
            "--input" => options.input = Some(value()?.into()),
            "--write-seeds" => options.write_seeds = true,
            name => options.targets.push(
                targets::all()
                    .find(|target| target.name == name)
                    .ok_or(format!("`{name}` is not a target"))?,
            ),
        }
    }
    if options.targets.is_empty() {
        options.targets = targets::all().collect();
    }
    Ok(options)
}

/// Runs and returns how many targets broke.
fn run(options: &Options) -> Result<usize, String> {
    if let Some(path) = &options.input {
        let input = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for target in &options.targets {
            println!("{}: {:?}", target.name, (target.run)(&input));
        }
        return Ok(0);
    }
    if options.write_seeds {
        return write_seeds().map(|()| 0).map_err(|error| error.to_string());
    }
    println!("seed {}", options.seed);
    // Panics are caught and counted; their texts would drown the report.
    std::panic::set_hook(Box::new(|_| ()));
    let keep = Path::new("target/fuzz").to_path_buf();
    let share = options.minutes.max(0.0) * 60.0
        / f64::from(u32::try_from(options.targets.len()).unwrap_or(u32::MAX));
    let mut broken = 0;
    for target in &options.targets {
        let outcome = driver::run(target, Duration::from_secs_f64(share), options.seed, &keep)
            .map_err(|error| format!("{}: {error}", target.name))?;
        println!(
            "{:<22}{:>9} inputs{:>9} accepted  {} failures",
            target.name,
            outcome.inputs,
            outcome.accepted,
            outcome.failures.len()
        );
        for failure in &outcome.failures {
            println!("    {failure}");
        }
        broken += usize::from(!outcome.failures.is_empty());
    }
    println!(
        "fuzz: {} passed, {broken} failed, 0 skipped",
        options.targets.len() - broken
    );
    Ok(broken)
}

/// Adds the examples that have no file yet.
fn write_seeds() -> Result<(), examples::Failed> {
    for (name, file, bytes) in examples::all()? {
        let target = targets::all()
            .find(|target| target.name == name)
            .ok_or(format!("`{name}` is not a target"))?;
        let folder = seeds::folder(target);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(file);
        if !path.exists() {
            std::fs::write(&path, bytes)?;
            println!("{}", path.display());
        }
    }
    Ok(())
}
