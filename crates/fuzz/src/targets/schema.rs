//! JSON as the gateway reads it, which takes nothing that the library refuses and reads it alike; and the OpenAPI documents of routes.

use crate::{Target, Verdict};
use countersign_gateway::json::{self, Integers};
use countersign_gateway::schema::Document;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "strict-json",
        about: "JSON as the gateway reads bodies and answers",
        run: strict_json,
        words: WORDS,
    },
    Target {
        name: "openapi-document",
        about: "the OpenAPI document of a route",
        run: document,
        words: WORDS,
    },
];

/// Pieces of documents.
pub(crate) const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"\\u0061\"",
    "\"a\":1",
    "1e400",
    "\"openapi\":\"3.1.0\"",
    "\"$ref\":\"#/components/schemas/A\"",
    "\"$ref\":\"https://a.example/\"",
    "\"pattern\":\"(a+)+\"",
    "\"readOnly\":true",
    "\"required\":[\"a\"]",
    "\"properties\":{}",
];

pub(crate) fn strict_json(input: &[u8]) -> Verdict {
    let read = json::value(input, Integers::Rounded);
    if let Ok(value) = &read {
        let known: Option<serde_json::Value> = serde_json::from_slice(input).ok();
        assert_eq!(known.as_ref(), Some(value), "both read the same");
        let exact = json::value(input, Integers::Exact);
        assert!(exact.is_err() || exact.as_ref() == Ok(value), "one reading");
    }
    Verdict::of(&read)
}

pub(crate) fn document(input: &[u8]) -> Verdict {
    Verdict::of(&Document::parse("fuzzed", input))
}
