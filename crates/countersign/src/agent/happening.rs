//! What an agent tells: names, paths and statuses, and never a value (GHSA-444v-8vxr-p36h).

use serde::Serialize;
use std::fmt;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// A secret's time is over, and there is no other yet.
    Ended {
        /// Its path.
        path: String,
    },
    /// A secret was not got or its lease not renewed; it is tried again.
    NotGot {
        /// Its path.
        path: String,
        /// Why.
        why: String,
    },
    /// The application could not be told; it is tried again.
    NotTold {
        /// Why.
        why: String,
    },
    /// A template could not be rendered or written.
    NotWritten {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// Another configuration is in use.
    Reloaded,
    /// Another configuration was refused; the one before it stays.
    ReloadRefused {
        /// Why.
        why: String,
    },
    /// A file was removed.
    Removed {
        /// Its template's name.
        name: String,
    },
    /// A sign-in failed; it is tried again.
    SignInFailed {
        /// Why.
        why: String,
    },
    /// The agent is signed in.
    SignedIn,
    /// A file stays although values in it have ended.
    Stale {
        /// Its template's name.
        name: String,
    },
    /// The token was taken back by somebody else, or has ended.
    TokenGone,
    /// The token could not be taken back, and ends by itself.
    TokenLeft {
        /// Why.
        why: String,
    },
    /// The application was told that something has changed.
    Told,
    /// A file was written.
    Written {
        /// Its template's name.
        name: String,
    },
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { path } => write!(f, "`{path}` has ended"),
            Self::NotGot { path, why } => write!(f, "`{path}` was not got: {why}"),
            Self::NotTold { why } => write!(f, "the application was not told: {why}"),
            Self::NotWritten { name, why } => write!(f, "`{name}` was not written: {why}"),
            Self::Reloaded => f.write_str("the configuration was taken up"),
            Self::ReloadRefused { why } => {
                write!(
                    f,
                    "the configuration was refused, the one before it stays: {why}"
                )
            }
            Self::Removed { name } => write!(f, "the file of `{name}` was removed"),
            Self::SignInFailed { why } => write!(f, "not signed in: {why}"),
            Self::SignedIn => f.write_str("signed in"),
            Self::Stale { name } => {
                write!(
                    f,
                    "the file of `{name}` stays, though values in it have ended"
                )
            }
            Self::TokenGone => f.write_str("the token is gone"),
            Self::TokenLeft { why } => write!(f, "the token was not taken back: {why}"),
            Self::Told => f.write_str("the application was told"),
            Self::Written { name } => write!(f, "`{name}` was written"),
        }
    }
}
