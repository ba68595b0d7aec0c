//! `[policies]`: the Cedar files that decide. Without a directory, the files that are built in and can be read with `countersign init`.

use serde::Deserialize;
use std::path::PathBuf;

/// `[policies]` as written and as used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoliciesSection {
    /// A directory of `*.cedar` files beside the built-in ones; relative paths start at the configuration directory.
    pub directory: Option<PathBuf>,
    /// A directory of `*.cedarschema` files that add types and actions to the built-in schema.
    pub schemas: Option<PathBuf>,
    /// A signed bundle that is the whole set: then nothing of the directories and of what is built in is loaded beside it, but the schema.
    pub bundle: Option<PathBuf>,
    /// Whose bundles are taken: public keys as `policy bundle key` prints them.
    pub signers: Vec<String>,
    /// Whether the built-in policies are loaded as well.
    pub built_in: BuiltIn,
}

/// What becomes of the policies that the program brings along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuiltIn {
    /// They decide together with the directory's.
    #[default]
    Keep,
    /// Only the directory's decide.
    Replace,
}
