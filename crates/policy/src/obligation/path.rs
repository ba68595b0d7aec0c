//! Where in a JSON document: RFC 6901 with two steps that stand for many.

use std::fmt;
use std::str::FromStr;

/// Bytes of a path.
const BYTES_MAX: usize = 512;
/// Steps of a path.
const STEPS_MAX: usize = 32;

/// A path into a JSON document, written as a JSON pointer (RFC 6901 §3). A step `*` stands for every member of an object and every element of an array, `**` for any
/// number of steps, also none: `/items/*/price`, `/**/iban`. A number stands for that element of an array and for the member of that name.
///
/// Members whose names are `*` or `**`, or hold white space, can only be reached by such a step.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    text: String,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// `*`
    Any,
    /// `**`
    Deep,
    /// A member, or the element of this number.
    Named(String),
}

impl FieldPath {
    /// The whole document.
    #[must_use]
    pub const fn root() -> Self {
        Self {
            text: String::new(),
            steps: Vec::new(),
        }
    }

    /// The path as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let refused = |why: &str| Err(format!("`{text}` is no path: {why}"));
        let Some(rest) = text.strip_prefix('/') else {
            return refused("it begins with `/`, as in `/customer/iban`");
        };
        if text.len() > BYTES_MAX
            || text
                .chars()
                .any(|one| one.is_control() || one.is_whitespace())
        {
            return refused("it is too long, or has white space");
        }
        let mut steps = Vec::new();
        for step in rest.split('/') {
            steps.push(match step {
                "*" => Step::Any,
                "**" => Step::Deep,
                name if name
                    .split('~')
                    .skip(1)
                    .all(|rest| rest.starts_with(['0', '1'])) =>
                {
                    // In this order, so that `~01` is `~1` (RFC 6901 §4).
                    Step::Named(name.replace("~1", "/").replace("~0", "~"))
                }
                _ => return refused("`~` is written `~0`, and `/` in a name `~1`"),
            });
        }
        if steps.len() > STEPS_MAX {
            return refused("it has more than 32 steps");
        }
        if steps.last() == Some(&Step::Deep) {
            return refused("`**` needs a step behind it");
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}
