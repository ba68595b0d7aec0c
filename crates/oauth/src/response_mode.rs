//! How an authorization response travels (OAuth 2.0 Multiple Response Types §2.1, OAuth 2.0 Form Post Response Mode, JARM §2.3).
//!
//! Not here: modes that put the answer into a fragment; with the code flow alone nothing needs them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A value of `response_mode`. A client may use the modes that it is registered for, and no other (R13).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum ResponseMode {
    /// In a form that the person sends on.
    #[serde(rename = "form_post")]
    FormPost,
    /// As a signed JWT in such a form.
    #[serde(rename = "form_post.jwt")]
    FormPostJwt,
    /// In the query of the redirect.
    #[default]
    #[serde(rename = "query")]
    Query,
    /// As a signed JWT in the query; `jwt` means this one, because the code flow's default is the query (JARM §2.3.4).
    #[serde(rename = "query.jwt", alias = "jwt")]
    QueryJwt,
}

impl ResponseMode {
    /// Every mode, the one for answers in doubt first.
    pub const ALL: [Self; 4] = [
        Self::Query,
        Self::QueryJwt,
        Self::FormPost,
        Self::FormPostJwt,
    ];

    /// The values that metadata names.
    pub const NAMES: [&'static str; 5] =
        ["query", "form_post", "jwt", "query.jwt", "form_post.jwt"];

    /// The mode of this value.
    #[must_use]
    pub fn from_parameter(text: &str) -> Option<Self> {
        match text {
            "jwt" => Some(Self::QueryJwt),
            _ => Self::ALL.into_iter().find(|mode| mode.as_str() == text),
        }
    }

    /// The value of the parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FormPost => "form_post",
            Self::FormPostJwt => "form_post.jwt",
            Self::Query => "query",
            Self::QueryJwt => "query.jwt",
        }
    }

    /// Whether the answer is a signed JWT (JARM).
    #[must_use]
    pub const fn is_signed(self) -> bool {
        match self {
            Self::FormPostJwt | Self::QueryJwt => true,
            Self::FormPost | Self::Query => false,
        }
    }

    /// Whether the answer is a form.
    #[must_use]
    pub const fn is_form(self) -> bool {
        match self {
            Self::FormPost | Self::FormPostJwt => true,
            Self::Query | Self::QueryJwt => false,
        }
    }
}

impl fmt::Display for ResponseMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
