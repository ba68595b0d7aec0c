//! `init`: writes a commented starter configuration, with the built-in policies as files to read and change.

use super::{Ended, Output, print_line};
use crate::config::FILE;
use countersign_policy::defaults;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The starter configuration: settings that can be taken up by removing the `#` before them.
const STARTER: &str = include_str!("init/countersign.toml");
const GITIGNORE: &str =
    "# Secrets are files beside the configuration, never part of its history.\nsecrets/\n";

pub(super) fn init(dir: &Path, output: Output) -> Ended {
    if dir.join(FILE).exists() {
        eprintln!(
            "error: `{}` is there already: nothing was changed",
            dir.join(FILE).display()
        );
        return Ended::Usage;
    }
    match write(dir) {
        Ok(written) => {
            say(dir, &written, output);
            Ended::Done
        }
        Err((path, error)) => {
            eprintln!("error: `{}` cannot be written: {error}", path.display());
            Ended::Failed
        }
    }
}

type Failed = (PathBuf, io::Error);

/// Writes every file of the starter; none may be there.
fn write(dir: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut files = vec![
        (PathBuf::from(".gitignore"), GITIGNORE.to_owned()),
        (PathBuf::from("schemas/README"), SCHEMAS.to_owned()),
        (
            PathBuf::from("policies/built-in.cedarschema"),
            format!("{SCHEMA_HEAD}{}", defaults::SCHEMA),
        ),
    ];
    for (name, text) in defaults::POLICIES {
        files.push((Path::new("policies").join(name), text.to_owned()));
    }
    // Last: a directory without it is no configuration yet, so that what broke off can be begun again.
    files.push((PathBuf::from(FILE), STARTER.to_owned()));
    for (name, text) in &files {
        let path = dir.join(name);
        write_new(&path, text).map_err(|error| (path, error))?;
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

const SCHEMA_HEAD: &str = "// To read: this schema is built in. Types and actions of your own go into ../schemas/*.cedarschema.\n\n";
const SCHEMAS: &str = "Files `*.cedarschema` here add types and actions to the built-in schema (policies/built-in.cedarschema).\n";

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn say(dir: &Path, written: &[PathBuf], output: Output) {
    let names: Vec<String> = written
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    match output {
        Output::Json => {
            let dir = dir.display().to_string();
            print_line(json!({ "directory": dir, "files": names }));
        }
        Output::Text => {
            print_line(format_args!(
                "wrote {} files to `{}`",
                names.len(),
                dir.display()
            ));
            print_line(format_args!(
                "next: countersign check {0} && countersign up --config {0}",
                dir.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests;
