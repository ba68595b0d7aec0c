//! What a verb is: a name, a line of help and a function.

/// A developer command.
pub(crate) struct Verb {
    /// As typed after `cargo xtask`.
    pub(crate) name: &'static str,
    /// One line for the help.
    pub(crate) about: &'static str,
    /// Runs it with the arguments after the name.
    pub(crate) run: fn(&[String]) -> Result<Outcome, Problem>,
}

/// How a verb that could run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to complain about: exit code 0.
    Clean,
    /// It ran and found something wrong: exit code 1.
    Findings,
}

impl Outcome {
    /// Clean if nothing was counted.
    pub(crate) fn of(findings: usize) -> Self {
        if findings == 0 {
            Self::Clean
        } else {
            Self::Findings
        }
    }
}

/// Why a verb could not run at all: exit code 2.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) String);

impl Problem {
    /// A problem said in one sentence.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
