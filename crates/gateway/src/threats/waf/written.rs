//! Rule files as they are written: which files, which directives, which actions. What is not named here is refused before the parser sees it.

use super::LoadError;
use std::path::{Path, PathBuf};
use zentinel_modsec::parser::{Lexer, TokenKind};

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files of one set.
const FILES_MAX: usize = 512;
/// Directives that are run, and those that mean nothing here.
pub(super) const DIRECTIVES: [&str; 4] = ["secrule", "secaction", "secmarker", "secdefaultaction"];
pub(super) const DIRECTIVES_IGNORED: [&str; 2] = ["seccomponentsignature", "seccollectiontimeout"];
/// Actions that are run or mean nothing here: all they could do is to write other logs or to keep counts over requests.
const ACTIONS: [&str; 29] = [
    "accuracy",
    "auditlog",
    "block",
    "capture",
    "chain",
    "ctl",
    "deny",
    "drop",
    "expirevar",
    "id",
    "initcol",
    "log",
    "logdata",
    "maturity",
    "msg",
    "multimatch",
    "noauditlog",
    "nolog",
    "pass",
    "phase",
    "rev",
    "sanitisematched",
    "sanitizematched",
    "setvar",
    "severity",
    "skipafter",
    "status",
    "tag",
    "ver",
];
/// `ctl` that changes nothing here.
const CONTROLS_IGNORED: [&str; 3] = ["auditengine", "auditlogparts", "forcerequestbodyvariable"];

/// The files of a set, those of a directory in the order of their names. A directory that holds `rules`, as packages of the Core Rule Set do, means
/// its `crs-setup.conf`, if there is one, and the files there.
pub(super) fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
    let mut found = Vec::new();
    for path in named {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let inner = path.join("rules");
        let setup = path.join("crs-setup.conf");
        let dir = if inner.is_dir() {
            if setup.is_file() {
                found.push(setup);
            }
            inner
        } else {
            path.clone()
        };
        let unreadable =
            |error: std::io::Error| LoadError::of(&dir, 0, None, error.kind().to_string());
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "conf")
            {
                inside.push(path);
            }
        }
        inside.sort();
        found.extend(inside);
    }
    match found.first() {
        Some(first) if found.len() > FILES_MAX => Err(LoadError::of(
            first,
            0,
            None,
            format!("more than {FILES_MAX} files"),
        )),
        Some(_) => Ok(found),
        None => {
            let named = named.first().cloned().unwrap_or_default();
            Err(LoadError::of(
                &named,
                0,
                None,
                "no file with rules".to_owned(),
            ))
        }
    }
}

/// One directive as it stands in its file.
pub(super) struct Written<'a> {
    pub(super) file: &'a Path,
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) text: &'a str,
    pub(super) arguments: Vec<String>,
}

impl Written<'_> {
    pub(super) fn error(&self, rule: Option<u32>, message: String) -> LoadError {
        LoadError::of(self.file, self.line, rule, message)
    }

    /// The list of actions, if it has one.
    pub(super) fn actions(&self) -> &str {
        let position = if self.name == "secrule" { 2 } else { 0 };
        self.arguments.get(position).map_or("", String::as_str)
    }
}

pub(super) fn read(file: &Path) -> Result<String, String> {
    let said = |error: std::io::Error| format!("cannot be read: {}", error.kind());
    if std::fs::metadata(file).map_err(said)?.len() > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(unquoted_selections(
        &std::fs::read_to_string(file).map_err(said)?,
    ))
}

/// `TX:'/name/'` without its quotes: the parser would take them for the end of the variables. Lines stay where they are.
fn unquoted_selections(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let Some((before, rest)) = line.split_once(":'/") else {
            return line.to_owned();
        };
        let variables = before.trim_start().strip_prefix("SecRule ");
        match (variables, rest.split_once("/'")) {
            (Some(variables), Some((pattern, behind))) if !variables.contains(['"', '\'', ' ']) => {
                format!("{before}:/{pattern}/{behind}")
            }
            (_, _) => line.to_owned(),
        }
    });
    lines.collect()
}

/// The directives of a file, each with its lines.
pub(super) fn directives<'a>(file: &'a Path, text: &'a str) -> Vec<Result<Written<'a>, LoadError>> {
    let mut lexer = Lexer::new(text);
    let mut found: Vec<(usize, String, Vec<String>)> = Vec::new();
    let mut stray = Vec::new();
    while let Some(token) = lexer.next_token() {
        match token.kind {
            TokenKind::Directive(name) => {
                found.push((token.line, name.to_ascii_lowercase(), Vec::new()));
            }
            TokenKind::Word(word) | TokenKind::QuotedString(word) => match found.last_mut() {
                Some((_, _, arguments)) => arguments.push(word),
                None => stray.push(LoadError::of(
                    file,
                    token.line,
                    None,
                    format!("`{word}` is no directive"),
                )),
            },
            TokenKind::Comment | TokenKind::Eof | TokenKind::Newline => {}
        }
    }
    let starts = line_starts(text);
    let start = |line: usize| {
        starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(text.len())
    };
    let ends: Vec<usize> = found
        .iter()
        .skip(1)
        .map(|(line, ..)| start(*line))
        .chain([text.len()])
        .collect();
    let written = found
        .into_iter()
        .zip(ends)
        .map(|((line, name, arguments), end)| {
            let chunk = text.get(start(line)..end).unwrap_or_default();
            let most = match name.as_str() {
                "secrule" => 3,
                _ => 1,
            };
            if DIRECTIVES.contains(&name.as_str()) && arguments.len() > most {
                let message = format!("`{name}` has at most {most} arguments");
                return Err(LoadError::of(file, line, None, message));
            }
            Ok(Written {
                file,
                line,
                name,
                text: chunk,
                arguments,
            })
        });
    stray.into_iter().map(Err).chain(written).collect()
}

fn line_starts(text: &str) -> Vec<usize> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0)
        .chain(ends.map(|(at, _)| at + 1))
        .collect()
}

/// `a:b,c:'d,e'` as names in lower case with their values.
pub(super) fn split_actions(list: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut quote = None;
    for letter in list.chars().chain([',']) {
        match (letter, quote) {
            (',', None) => {
                let action = current.trim();
                let (name, value) = action.split_once(':').unwrap_or((action, ""));
                if !name.is_empty() {
                    found.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
                current.clear();
                continue;
            }
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            (_, _) => {}
        }
        current.push(letter);
    }
    if !current.trim().trim_end_matches(',').is_empty() {
        // A quote that does not end: whatever is in it would not have been looked at.
        found.push(("unfinished quote".to_owned(), String::new()));
    }
    found
}

pub(super) fn check_actions(actions: &[(String, String)]) -> Result<(), String> {
    for (name, value) in actions {
        if name == "t" || ACTIONS.contains(&name.as_str()) {
            let control = value
                .split('=')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            if name == "ctl" && !CONTROLS_IGNORED.contains(&control.as_str()) {
                return Err(format!("`ctl:{control}` is not run: write an exclusion"));
            }
            continue;
        }
        return Err(format!("the action `{name}` is not run"));
    }
    Ok(())
}
