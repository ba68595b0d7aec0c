//! `[[agent.templates]]`: what is rendered, to which file, with which mode, and what is done when it changes.

use super::SocketSection;
use crate::config::error::Mistakes;
use crate::config::span::Span;
use countersign_base::Duration;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;

/// Templates of one agent.
const TEMPLATES_MAX: usize = 200;
/// How long a command may take, where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The mode of files and sockets, where nothing else is said.
const MODE: u32 = 0o600;

/// One of `[[agent.templates]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTemplate {
    /// Names it in reports and at the socket.
    name: String,
    /// The file with the template, or else `text`.
    source: Option<PathBuf>,
    /// The template itself.
    text: Option<String>,
    /// The file that it is rendered to; without it, it is at the socket alone.
    destination: Option<PathBuf>,
    /// The file's mode, octal; without it, `0600`.
    mode: Option<String>,
    /// The user that the file is given to, by number.
    owner: Option<u32>,
    /// The group that the file is given to, by number.
    group: Option<u32>,
    /// What becomes of the file when a value in it has ended and there is no other.
    #[serde(default = "AfterUse::removed")]
    when_ended: AfterUse,
    /// What becomes of the file when the agent ends. One that holds leased values is removed in any case: they end with the agent's token.
    #[serde(default = "AfterUse::kept")]
    when_stopped: AfterUse,
    /// A program and its arguments, run when the file has changed. No shell.
    command: Option<Vec<String>>,
    /// How long it may take; without it, `30s`.
    command_timeout: Option<Span>,
    /// A signal to send when the file has changed.
    signal: Option<SignalSection>,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterUse {
    /// It stays as it is.
    Keep,
    /// It is removed.
    Remove,
}

impl AfterUse {
    const fn kept() -> Self {
        Self::Keep
    }

    const fn removed() -> Self {
        Self::Remove
    }
}

/// A signal to a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalSection {
    /// Which.
    pub name: SignalName,
    /// The file that holds the process's number.
    pub pid_file: PathBuf,
}

/// A signal that means "read it again" somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignalName {
    /// SIGHUP
    Hup,
    /// SIGINT
    Int,
    /// SIGTERM
    Term,
    /// SIGUSR1
    Usr1,
    /// SIGUSR2
    Usr2,
}

/// Where a template stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateText {
    /// In a file; relative paths start at the configuration directory.
    File(PathBuf),
    /// In the configuration.
    Here(String),
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandSection {
    /// The program, by an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// One template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateSection {
    /// Names it.
    pub name: String,
    /// Where it stands.
    pub text: TemplateText,
    /// The file that it is rendered to.
    pub destination: Option<PathBuf>,
    /// The file's mode.
    pub mode: u32,
    /// The user that the file is given to.
    pub owner: Option<u32>,
    /// The group that the file is given to.
    pub group: Option<u32>,
    /// What becomes of the file when a value in it has ended.
    pub when_ended: AfterUse,
    /// What becomes of the file when the agent ends.
    pub when_stopped: AfterUse,
    /// What is run when it has changed.
    pub command: Option<CommandSection>,
    /// What is signalled when it has changed.
    pub signal: Option<SignalSection>,
}

pub(super) fn check(
    raw: Vec<Spanned<RawTemplate>>,
    socket: Option<&SocketSection>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<TemplateSection> {
    let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
    let mut sections = Vec::new();
    for (number, template) in raw.into_iter().enumerate() {
        let span = template.span();
        if number >= TEMPLATES_MAX {
            mistakes.at(
                &span,
                "an agent has at most 200 templates",
                "run another agent for the rest",
            );
            break;
        }
        let Some(section) = check_one(template.into_inner(), socket, &span, mistakes) else {
            continue;
        };
        if !names.insert(section.name.clone()) {
            let message = format!("the template `{}` stands here twice", section.name);
            mistakes.at(&span, message, "give one of them another name");
        }
        if section
            .destination
            .iter()
            .any(|place| !places.insert(place.clone()))
        {
            mistakes.at(
                &span,
                "two templates are rendered to one file",
                "give one of them another `destination`",
            );
        }
        sections.push(section);
    }
    sections
}

fn check_one(
    raw: RawTemplate,
    socket: Option<&SocketSection>,
    span: &Range<usize>,
    mistakes: &mut Mistakes<'_>,
) -> Option<TemplateSection> {
    if !is_name(&raw.name) {
        mistakes.at(
            span,
            "the name of a template is 1 to 64 letters, digits and `-_.`",
            "write `name = \"database\"`",
        );
        return None;
    }
    let text = match (raw.source, raw.text) {
        (Some(file), None) => TemplateText::File(file),
        (None, Some(text)) => TemplateText::Here(text),
        (Some(_), Some(_)) | (None, None) => {
            mistakes.at(
                span,
                format!("the template `{}` stands in exactly one place", raw.name),
                "write `source = \"FILE\"` or `text = \"...\"`",
            );
            return None;
        }
    };
    if let Some(place) = &raw.destination {
        is_place(place, span, mistakes).then_some(())?;
    } else if socket.is_none() {
        mistakes.at(
            span,
            format!("the template `{}` is rendered to nowhere", raw.name),
            "write `destination = \"FILE\"`, or `[agent.socket]`",
        );
    }
    let file_mode = mode(raw.mode.as_deref(), span, mistakes)?;
    if file_mode & 0o002 != 0 {
        mistakes.at(
            span,
            "a file with a secret that everybody may write",
            "take the last digit's 2 away: `mode = \"0640\"`",
        );
    }
    let timeout = raw.command_timeout.map_or(TIMEOUT, |span| span.0);
    let command = match raw.command.map(|argv| command(argv, timeout)) {
        None => None,
        Some(Some(command)) => Some(command),
        Some(None) => {
            mistakes.at(
                span,
                "a command begins with the absolute path of a program",
                "write `command = [\"/usr/bin/systemctl\", \"reload\", \"billing\"]`; there is no shell",
            );
            return None;
        }
    };
    Some(TemplateSection {
        mode: file_mode,
        name: raw.name,
        text,
        destination: raw.destination,
        owner: raw.owner,
        group: raw.group,
        when_ended: raw.when_ended,
        when_stopped: raw.when_stopped,
        command,
        signal: raw.signal,
    })
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(letter) && !name.starts_with('.')
}

fn command(argv: Vec<String>, timeout: Duration) -> Option<CommandSection> {
    let mut argv = argv.into_iter();
    let program = PathBuf::from(argv.next()?);
    program.is_absolute().then(|| CommandSection {
        program,
        arguments: argv.collect(),
        timeout,
    })
}

/// Whether this names a file without going up.
pub(super) fn is_place(path: &Path, span: &Range<usize>, mistakes: &mut Mistakes<'_>) -> bool {
    let up = path.components().any(|part| part == Component::ParentDir);
    let place = !up && path.file_name().is_some();
    if !place {
        mistakes.at(
            span,
            format!("`{}` names no file", path.display()),
            "write the file's path without `..`",
        );
    }
    place
}

/// A mode in octal digits.
pub(super) fn mode(
    text: Option<&str>,
    span: &Range<usize>,
    mistakes: &mut Mistakes<'_>,
) -> Option<u32> {
    let Some(text) = text else {
        return Some(MODE);
    };
    let digits = text.len() <= 4 && text.chars().all(|c| c.is_digit(8));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| digits);
    let mode = mode.filter(|mode| mode & !0o777 == 0 && mode & 0o400 != 0);
    if mode.is_none() {
        mistakes.at(
            span,
            format!("`{text}` is no mode of a file with a secret"),
            "write octal digits such as `mode = \"0640\"`",
        );
    }
    mode
}
