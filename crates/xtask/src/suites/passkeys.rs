//! Passkeys in headless Chromium with its virtual authenticator: enrolled, used in every way there is, removed.

use super::{Report, Suite, counted, pages};
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "passkeys",
    about: "enrol, sign in with, step up with and remove a passkey in Chromium",
    run,
};

fn run() -> Result<Report, Problem> {
    let finished = pages::drive("passkeys.mjs", None)?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
