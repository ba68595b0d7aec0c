//! How much of a processor a call may take: keys that are generated, certificates, batches, and what is looked through for nobody in particular.
//!
//! A judgement by the form of the call alone, made before it is carried out; nothing here decides whether it may be.

use crate::call::Call;
use crate::kind::EngineKind;
use serde_json::Value as Json;

/// Items of a batch that count as little.
const BATCH_SMALL: usize = 16;
/// Bytes of one input that count as little.
const INPUT_SMALL: usize = 64 * 1024;

/// How much of a processor a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Milliseconds to seconds: it is carried out where it holds up nobody else, and few at a time.
    Large,
    /// Microseconds.
    Small,
}

impl Call {
    /// How much of a processor it may take.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let segments = self.segments();
        let is_large = match self.mount.engine {
            // Without a name every role's patterns and anchors are tried.
            EngineKind::Cert => {
                segments.as_slice() == ["login"] && self.body.text("name").ok().flatten().is_none()
            }
            EngineKind::Pki => self.operation.writes() && generates_or_signs(&segments),
            // Policies are translated, and tried as what they become.
            EngineKind::System => {
                self.operation.writes()
                    && matches!(segments.first(), Some(&("policies" | "policy")))
            }
            EngineKind::Transit => {
                self.operation.writes() && (makes_keys(&segments) || has_much(self))
            }
            EngineKind::AppRole
            | EngineKind::Cubbyhole
            | EngineKind::Database
            | EngineKind::Jwt
            | EngineKind::Kubernetes
            | EngineKind::Kv
            | EngineKind::Token => false,
        };
        if is_large { Cost::Large } else { Cost::Small }
    }
}

/// Whether a PKI path generates a key, or signs with one.
fn generates_or_signs(segments: &[&str]) -> bool {
    matches!(
        segments,
        ["root" | "intermediate", "generate", ..]
            | ["issue" | "sign" | "sign-verbatim", ..]
            | ["root", "sign-intermediate" | "sign-self-issued"]
    ) || segments.last() == Some(&"finalize")
}

/// Whether a transit path generates a key.
fn makes_keys(segments: &[&str]) -> bool {
    matches!(segments, ["keys", _] | ["keys", _, "rotate"])
}

fn has_much(call: &Call) -> bool {
    let items = match call.body.value("batch_input") {
        Some(Json::Array(items)) => items.len(),
        Some(_) | None => 0,
    };
    let long = |name: &&str| matches!(call.body.value(name), Some(Json::String(text)) if text.len() > INPUT_SMALL);
    items > BATCH_SMALL || ["ciphertext", "input", "plaintext"].iter().any(long)
}

#[cfg(test)]
mod tests;
