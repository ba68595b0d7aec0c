//! A template with its values in place.

use super::filter::plain;
use super::{Piece, Reference, Template, distance};
use crate::answer::Answer;
use crate::request::Request;
use countersign_base::Secret;
use zeroize::Zeroizing;

/// Bytes of a rendered template.
const RENDERED_MAX: usize = 4 * 1024 * 1024;

/// Why a template can't be rendered. No value is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Not there yet, or not any more.
    #[error("line {line}: there is no answer for `{path}`")]
    Absent {
        /// The line.
        line: usize,
        /// What was asked for.
        path: String,
    },
    /// The secret has other fields.
    #[error("line {line}: `{path}` has no field `{field}`{}", near(nearest.as_ref()))]
    Field {
        /// The line.
        line: usize,
        /// What was asked for.
        path: String,
        /// The field that it does not have.
        field: String,
        /// The name of a field that it has.
        nearest: Option<String>,
    },
    /// The filter can't write it.
    #[error("line {line}: the value in `{path}` cannot be written by `{filter}`")]
    Form {
        /// The line.
        line: usize,
        /// What was asked for.
        path: String,
        /// The filter.
        filter: &'static str,
    },
    /// It is no text.
    #[error("line {line}: the value in `{path}` is no text; write it with `| json`")]
    NotText {
        /// The line.
        line: usize,
        /// What was asked for.
        path: String,
    },
    /// What comes of it is too large.
    #[error("what comes of the template has more than 4 MiB")]
    TooLarge,
}

fn near(nearest: Option<&String>) -> String {
    nearest
        .map(|name| format!("; the nearest is `{name}`"))
        .unwrap_or_default()
}

impl Template {
    /// Puts the values in place.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn render<'a>(
        &self,
        answers: impl Fn(&Request) -> Option<&'a Answer>,
    ) -> Result<Secret<Vec<u8>>, RenderError> {
        let mut written = Zeroizing::new(Vec::new());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => written.extend_from_slice(text.as_bytes()),
                Piece::Value(reference) => {
                    let answer = answers(&reference.request);
                    let answer = answer.ok_or_else(|| RenderError::Absent {
                        line: reference.line,
                        path: reference.request.to_string(),
                    })?;
                    written.extend_from_slice(&reference.value(answer)?);
                }
            }
            if written.len() > RENDERED_MAX {
                return Err(RenderError::TooLarge);
            }
        }
        Ok(Secret::new(std::mem::take(&mut *written)))
    }
}

impl Reference {
    fn value(&self, answer: &Answer) -> Result<Zeroizing<Vec<u8>>, RenderError> {
        let (line, path) = (self.line, || self.request.to_string());
        let not_text = || RenderError::NotText { line, path: path() };
        let Some(field) = &self.field else {
            let whole = serde_json::to_vec(answer.fields()).map_err(|_| not_text())?;
            return Ok(Zeroizing::new(whole));
        };
        let value = answer.field(field).ok_or_else(|| {
            let names = answer.fields().keys();
            let nearest = names.min_by_key(|name| distance(field, name));
            RenderError::Field {
                line,
                path: path(),
                field: field.clone(),
                nearest: nearest.cloned(),
            }
        })?;
        match self.filter {
            None => {
                let text = plain(value).ok_or_else(not_text)?;
                Ok(Zeroizing::new(text.as_bytes().to_vec()))
            }
            Some(filter) => filter.write(value).ok_or_else(|| RenderError::Form {
                line,
                path: path(),
                filter: filter.name(),
            }),
        }
    }
}
