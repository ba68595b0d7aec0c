//! `cargo xtask screenshots`: a picture of every page, light, dark and narrow, in the build directory, to be looked at.

use crate::suites::pages;
use crate::tree;
use crate::verb::{Outcome, Problem, Verb};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "screenshots",
    about: "every page in headless Chromium, light, dark, narrow, to the build directory",
    run,
};

fn run(_arguments: &[String]) -> Result<Outcome, Problem> {
    let folder = tree::target().join("screenshots");
    let finished = pages::drive(pages::WALK, Some(&folder))?;
    println!("{}", folder.display());
    Ok(Outcome::of(usize::from(!finished.succeeded())))
}
