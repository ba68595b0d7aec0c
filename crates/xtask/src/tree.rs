//! The repository as a tree of files: where its root is, its Rust sources, its crates.
//!
//! Reads only; build output, `node_modules` and hidden directories are never walked.

use crate::verb::Problem;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root directory, absolute.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The directory for everything a verb downloads, builds or writes for a while.
pub(crate) fn scratch() -> PathBuf {
    target().join("xtask")
}

/// `cargo`, in the workspace's root, with the features a plain user of this repository gets.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs `cargo` and returns what it printed; refuses to go on when it fails.
pub(crate) fn cargo_output(arguments: &[&str]) -> Result<String, Problem> {
    let mut command = cargo();
    // An override of feature unification would make every crate's tree look like the whole workspace's.
    command
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env_remove("CARGO_UNSTABLE_FEATURE_UNIFICATION");
    let output = command.args(arguments).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Problem::new(format!(
            "`cargo {}` failed: {said}",
            arguments.join(" ")
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A text file with its path relative to the root, `/` between the parts.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Such as `crates/base/src/lib.rs`.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl SourceFile {
    /// Whether the file exists for tests alone.
    pub(crate) fn is_test(&self) -> bool {
        let stem_is_tests = ["/tests.rs", "/fixture.rs", "/fixtures.rs"]
            .iter()
            .any(|end| self.path.ends_with(end));
        stem_is_tests
            || self.path.contains("/tests/")
            || self.path.contains("/examples/")
            || self.path.contains("/benches/")
    }

    /// The lines up to the first inline test module, with their numbers from 1.
    pub(crate) fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut in_tests = false;
        let mut after_cfg = false;
        self.text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
            .take_while(move |(_, line)| {
                // `#[cfg(test)] mod tests {` opens the inline tests; `mod tests;` only names a file.
                if after_cfg
                    && line.trim_start().starts_with("mod ")
                    && line.trim_end().ends_with('{')
                {
                    in_tests = true;
                }
                after_cfg = line.trim() == "#[cfg(test)]"
                    || (after_cfg && line.trim_start().starts_with("#["));
                !in_tests
            })
    }
}

/// Every Rust file of the workspace's crates.
pub(crate) fn rust_files() -> Result<Vec<SourceFile>, Problem> {
    files_below("crates", "rs")
}

/// Every file below `folder` (relative to the root) whose name ends in `.extension`, sorted by path.
pub(crate) fn files_below(folder: &str, extension: &str) -> Result<Vec<SourceFile>, Problem> {
    let root = root();
    let mut found = Vec::new();
    let mut queue = vec![root.join(folder)];
    while let Some(directory) = queue.pop() {
        if !directory.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            }
            if path.is_dir() {
                queue.push(path);
            } else if path.extension().is_some_and(|end| end == extension) {
                let text = std::fs::read_to_string(&path)?;
                let relative = path
                    .strip_prefix(&root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .replace('\\', "/");
                found.push(SourceFile {
                    path: relative,
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The words of a line of Rust: runs of letters, digits and underscores.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

/// The line without a trailing `//` comment; strings that hold `//` are cut too, which errs towards fewer words.
pub(crate) fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

/// The build directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
