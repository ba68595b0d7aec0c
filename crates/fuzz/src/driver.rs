//! Runs targets for a while, or on one file, and keeps every input that broke one.
//!
//! An input that takes longer than [`SLOW`] is a failure too: a parser's cost must be bounded by its limits.

use crate::mutate::{Generator, mutated};
use crate::{Target, Verdict, seeds};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest that one input may take, debug build and busy machine included.
pub const SLOW: Duration = Duration::from_secs(2);
/// New seeds that one target keeps in memory.
const KEPT_MAX: usize = 512;
/// Inputs between two looks at the clock.
const ROUND: usize = 64;

/// How one target went.
pub struct Outcome {
    /// Inputs fed.
    pub inputs: u64,
    /// Of those, taken by the parser.
    pub accepted: u64,
    /// One line for each input that broke it, with the file it was kept in.
    pub failures: Vec<String>,
}

/// Feeds `target` mutated seeds until `budget` is over or it breaks three times.
///
/// # Errors
/// When the corpus cannot be read or a breaking input cannot be kept.
pub fn run(target: &Target, budget: Duration, seed: u64, keep: &Path) -> std::io::Result<Outcome> {
    let mut corpus = seeds::of(target)?;
    let given = corpus.len();
    let mut generator = Generator::new(seed);
    let mut outcome = Outcome {
        inputs: 0,
        accepted: 0,
        failures: Vec::new(),
    };
    let started = Instant::now();
    for input in corpus.clone() {
        judge(target, &input, keep, &mut outcome)?;
    }
    while started.elapsed() < budget && outcome.failures.len() < 3 {
        for _ in 0..ROUND {
            let input = mutated(&corpus, target.words, &mut generator);
            let verdict = judge(target, &input, keep, &mut outcome)?;
            // What the parser takes reaches deeper than what it refuses at the door.
            if verdict == Some(Verdict::Accepted) && !corpus.contains(&input) {
                if corpus.len() < given + KEPT_MAX {
                    corpus.push(input);
                } else if let Some(old) = generator
                    .below(KEPT_MAX)
                    .checked_add(given)
                    .and_then(|at| corpus.get_mut(at))
                {
                    *old = input;
                }
            }
        }
    }
    Ok(outcome)
}

fn judge(
    target: &Target,
    input: &[u8],
    keep: &Path,
    outcome: &mut Outcome,
) -> std::io::Result<Option<Verdict>> {
    let started = Instant::now();
    let verdict = catch_unwind(AssertUnwindSafe(|| (target.run)(input))).ok();
    let took = started.elapsed();
    outcome.inputs += 1;
    outcome.accepted += u64::from(verdict == Some(Verdict::Accepted));
    let what = match verdict {
        None => "panicked".to_owned(),
        Some(_) if took > SLOW => format!("took {} ms", took.as_millis()),
        Some(_) => return Ok(verdict),
    };
    let path = kept(keep, target.name, input)?;
    outcome.failures.push(format!(
        "{}: {what}: cargo xtask fuzz --input {} {}",
        target.name,
        path.display(),
        target.name
    ));
    Ok(verdict)
}

fn kept(keep: &Path, name: &str, input: &[u8]) -> std::io::Result<PathBuf> {
    let folder = keep.join(name);
    std::fs::create_dir_all(&folder)?;
    let name = countersign_crypto::digest::sha256_base64url(input);
    let path = folder.join(name.get(..16).unwrap_or(&name));
    std::fs::write(&path, input)?;
    Ok(path)
}
