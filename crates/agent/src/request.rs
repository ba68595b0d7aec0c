//! What a template asks the vault for: a path that is read, or a call with parameters whose answer is made anew each time.

use std::collections::BTreeMap;
use std::fmt;

/// Characters of a path.
const PATH_MAX: usize = 512;
/// Parameters of a call.
const PARAMETERS_MAX: usize = 32;
/// Characters of a parameter's value.
const PARAMETER_MAX: usize = 4_096;

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// A call with a body (POST): a certificate, for example. Each answer is another one.
    Issue,
    /// A reading (GET).
    Secret,
}

impl Verb {
    /// Every verb by its name in templates.
    pub const ALL: [(&'static str, Self); 2] = [("issue", Self::Issue), ("secret", Self::Secret)];
}

/// A request to the vault. Two that are equal are made once, so that a certificate and its key in two files belong together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    verb: Verb,
    path: String,
    parameters: BTreeMap<String, String>,
}

/// Why this is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The agent hands secrets on; it administers nothing.
    #[error("paths below `sys/` and `auth/` hold no secrets of applications")]
    Administration,
    /// No parameter of this form.
    #[error(
        "a parameter's name is letters, digits and `_`, its value has at most 4096 characters, and there are at most 32"
    )]
    Parameter,
    /// Readings have none.
    #[error("`secret` takes no parameters; a call that does is `issue`")]
    ParametersOfReading,
    /// Not a path.
    #[error(
        "a path is what stands below `/v1/`, such as `secret/data/billing`: segments of letters, digits and `-_.:@+~`, none empty, `.` or `..`"
    )]
    Path,
}

impl Request {
    /// A reading of `path`.
    ///
    /// # Errors
    /// When it is no path.
    pub fn secret(path: &str) -> Result<Self, RequestError> {
        Self::new(Verb::Secret, path, BTreeMap::new())
    }

    /// A request.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn new(
        verb: Verb,
        path: &str,
        parameters: BTreeMap<String, String>,
    ) -> Result<Self, RequestError> {
        if !is_path(path) {
            return Err(RequestError::Path);
        }
        if path.starts_with("sys/") || path.starts_with("auth/") {
            return Err(RequestError::Administration);
        }
        if verb == Verb::Secret && !parameters.is_empty() {
            return Err(RequestError::ParametersOfReading);
        }
        let fits = |(name, value): (&String, &String)| {
            is_name(name) && value.chars().count() <= PARAMETER_MAX
        };
        if parameters.len() > PARAMETERS_MAX || !parameters.iter().all(fits) {
            return Err(RequestError::Parameter);
        }
        Ok(Self {
            verb,
            path: path.to_owned(),
            parameters,
        })
    }

    /// How it is made.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        self.verb
    }

    /// What stands below `/v1/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What a call sends.
    #[must_use]
    pub const fn parameters(&self) -> &BTreeMap<String, String> {
        &self.parameters
    }
}

impl fmt::Display for Request {
    /// The path alone: what a call sends is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

fn is_path(path: &str) -> bool {
    let segment = |segment: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || "-_.:@+~".contains(c);
        !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(letter)
    };
    path.len() <= PATH_MAX && path.contains('/') && path.split('/').all(segment)
}

/// Whether this is the name of a parameter.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::{Request, RequestError, Verb};
    use std::collections::BTreeMap;

    #[test]
    fn only_paths_of_secrets_are_asked_for() {
        for path in [
            "secret/data/billing",
            "database/creds/app",
            "team/data/a.b_c-d:e@f+g~h",
        ] {
            assert_eq!(Request::secret(path).unwrap().path(), path);
        }
        for (path, expected) in [
            ("", RequestError::Path),
            ("secret", RequestError::Path),
            ("/secret/data/a", RequestError::Path),
            ("secret/data/", RequestError::Path),
            ("secret//a", RequestError::Path),
            ("secret/../sys/seal", RequestError::Path),
            ("secret/data/a?version=1", RequestError::Path),
            ("secret/data/%2e%2e", RequestError::Path),
            ("secret/data/a b", RequestError::Path),
            ("secret/data/a\n", RequestError::Path),
            ("sys/seal", RequestError::Administration),
            ("auth/token/create", RequestError::Administration),
        ] {
            assert_eq!(Request::secret(path), Err(expected), "{path:?}");
        }
        assert_eq!(
            Request::secret(&format!("a/{}", "b".repeat(600))),
            Err(RequestError::Path)
        );
    }

    #[test]
    fn a_reading_has_no_parameters_and_a_call_has_few() {
        let with = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
        let one = || with("common_name", "a.example".to_owned());
        assert_eq!(
            Request::new(Verb::Secret, "a/b", one()),
            Err(RequestError::ParametersOfReading)
        );
        assert!(Request::new(Verb::Issue, "pki/issue/web", one()).is_ok());
        for wrong in [
            with("", String::new()),
            with("a-b", String::new()),
            with("a", "x".repeat(5_000)),
            (0..33)
                .map(|at| (format!("n{at}"), String::new()))
                .collect(),
        ] {
            assert_eq!(
                Request::new(Verb::Issue, "pki/issue/web", wrong),
                Err(RequestError::Parameter)
            );
        }
    }
}
