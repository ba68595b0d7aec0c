//! `policy`: the analysis and the tests of policies, and recorded decisions looked at again. Nothing is changed.

mod analyse;
mod bundle;
mod cases;
mod decided;
mod test;

use super::{Ended, Output, say_config_errors};
use crate::cli::PolicyVerb;
use crate::config;
use crate::run::{PolicyTexts, policy_texts};
use std::path::Path;

pub(super) fn policy(verb: &PolicyVerb, output: Output) -> Ended {
    match verb {
        PolicyVerb::Analyse { dir } => analyse::analyse(dir.as_deref(), output),
        PolicyVerb::Bundle(verb) => bundle::bundle(verb, output),
        PolicyVerb::Explain { event, target } => decided::explain(*event, target, output),
        PolicyVerb::Replay(args) => decided::replay(args, output),
        PolicyVerb::Test(args) => test::test(args, output),
    }
}

/// The policies of a configuration, or the built-in ones.
fn texts(config: Option<&Path>) -> Result<PolicyTexts, Ended> {
    let Some(dir) = config else {
        return Ok(PolicyTexts::built_in());
    };
    let config = config::load(dir).map_err(|errors| say_config_errors(&errors))?;
    policy_texts(&config).map_err(|error| say_config_errors(&[error]))
}
