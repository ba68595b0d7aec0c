//! The agent of a workload: signs in to the vault, renders secrets to files or a Unix socket, renews at two thirds of every lease, and tells the application.
//!
//! What is due, what a template says and where a file may be written is decided in [`countersign_agent`]; here the calls are made and the files are written. Tokens and values
//! are in memory alone, and in no text that leaves: a report names templates, paths and statuses (GHSA-444v-8vxr-p36h).

mod application;
mod error;
mod happening;
mod output;
mod socket;
mod templates;
mod vault;

pub use error::AgentError;
pub use happening::Happening;
pub use output::OutputError;
pub(crate) use templates::check;

use crate::config::Config;
use crate::config::agent::{
    AfterUse, AgentSection, CommandSection, SignalSection, TemplateSection,
};
use crate::config::error::ConfigError;
use countersign_agent::{Answer, Failure, Request, RequestId, Schedule, Step, Template};
use countersign_base::{Clock, Duration, Secret, UnixMillis};
use countersign_crypto::Random;
use output::{Ownership, Written};
use socket::{Rendered, Socket};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use templates::template;
use tokio::sync::mpsc;
use vault::{SignedIn, VaultClient};

/// The longest sleep: a machine's clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// Steps of one round: past it the application is told before the rest is done.
const STEPS_MAX: usize = 1_000;

/// What an agent is started with.
pub struct AgentOptions {
    /// The checked configuration, which has `[agent]`.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Who hears what happens. No secret is part of it.
    pub told: Arc<dyn Fn(&Happening) + Send + Sync>,
}

/// How far an agent has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Everything is rendered.
    Complete,
    /// Something was refused or can't be written: waiting alone mends nothing.
    Failed,
    /// The server is not there.
    Waiting,
}

/// An agent between two rounds.
pub struct Agent {
    options: AgentOptions,
    section: AgentSection,
    outputs: Vec<Output>,
    schedule: Schedule,
    answers: BTreeMap<RequestId, Answer>,
    session: Option<SignedIn>,
    socket: Option<Socket>,
    /// What is still to be run or sent, because something has changed or because it failed.
    pending: BTreeSet<Telling>,
    refused: bool,
}

/// A template and what has become of it.
struct Output {
    section: TemplateSection,
    template: Template,
    requests: Vec<RequestId>,
    state: OutputState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutputState {
    /// Not written by this agent.
    Absent,
    /// It can't be written as things are.
    Failed,
    /// It was written, and its values have ended since.
    Stale,
    /// It is there.
    There,
}

/// What is done when a file has changed; equal ones once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Telling {
    Command(CommandSection),
    Signal(SignalSection),
}

/// Runs an agent until `end`, then takes its token back.
///
/// # Errors
/// When it can't begin: the configuration, a template, the socket. What fails later is told and tried again.
pub async fn run(options: AgentOptions, end: impl Future<Output = ()>) -> Result<(), AgentError> {
    let (_none, configs) = mpsc::channel(1);
    run_with(options, end, configs).await
}

/// The same, taking up every configuration that comes.
///
/// # Errors
/// As [`run`]. A configuration that is refused is told, and the one before it stays.
pub async fn run_with(
    options: AgentOptions,
    end: impl Future<Output = ()>,
    mut configs: mpsc::Receiver<Config>,
) -> Result<(), AgentError> {
    let mut agent = Agent::new(options)?;
    let mut end = pin!(end);
    loop {
        let until = tokio::select! {
            () = &mut end => break,
            until = agent.round() => until,
        };
        let ahead = until.0.saturating_sub(agent.options.clock.millis().0);
        let sleep = Duration::from_millis(u64::try_from(ahead).unwrap_or(0)).min(SLEEP_MAX);
        tokio::select! {
            () = &mut end => break,
            () = tokio::time::sleep(sleep) => {}
            Some(config) = configs.recv() => agent = agent.reload(config).await,
        }
    }
    agent.stop().await;
    Ok(())
}

impl Agent {
    /// An agent that has not signed in yet. Its socket listens, and has nothing to serve.
    ///
    /// # Errors
    /// When it can't begin.
    pub fn new(options: AgentOptions) -> Result<Self, AgentError> {
        let config = &options.config;
        let section = config.agent.clone().ok_or_else(|| {
            let file = config.dir.join(crate::config::FILE);
            let error = ConfigError::in_file(&file, "there is no `[agent]` to run");
            AgentError::Config(
                error.with_help("write `[agent]` with `address` and a way to sign in"),
            )
        })?;
        let templates = section
            .templates
            .iter()
            .map(|section| template(config, section));
        let templates = templates
            .collect::<Result<Vec<_>, _>>()
            .map_err(AgentError::Config)?;
        let requests: BTreeSet<Request> = templates
            .iter()
            .flat_map(Template::requests)
            .cloned()
            .collect();
        let schedule = Schedule::new(&requests, section.refresh, options.clock.millis());
        let outputs = section.templates.iter().zip(templates);
        let outputs = outputs.map(|(section, template)| Output {
            requests: ids(&schedule, &template),
            section: section.clone(),
            template,
            state: OutputState::Absent,
        });
        let outputs = outputs.collect();
        let socket = section.socket.as_ref();
        let socket = socket
            .map(|socket| Socket::listen(&config.dir, socket))
            .transpose()?;
        Ok(Self {
            section,
            outputs,
            schedule,
            answers: BTreeMap::new(),
            session: None,
            socket,
            pending: BTreeSet::new(),
            refused: false,
            options,
        })
    }

    /// Does what is due, renders what has changed, and tells the application. Gives back when to do so again.
    pub async fn round(&mut self) -> UnixMillis {
        let mut steps = 0_usize;
        self.refused = false;
        let until = loop {
            let now = self.now();
            match self.schedule.next(now) {
                Step::Wait(until) => break until,
                step if steps < STEPS_MAX => self.step(step).await,
                _ => break now,
            }
            steps += 1;
        };
        self.render();
        self.tell().await;
        until
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let there = |output: &Output| output.state == OutputState::There;
        let failed = |output: &Output| output.state == OutputState::Failed;
        if self.outputs.iter().all(there) && self.pending.is_empty() && self.session.is_some() {
            Progress::Complete
        } else if self.refused || self.outputs.iter().any(failed) || !self.pending.is_empty() {
            Progress::Failed
        } else {
            Progress::Waiting
        }
    }

    /// Ends the agent: its token is taken back, and with it every lease; files that hold leased values are removed, and those that are configured so.
    pub async fn stop(mut self) {
        for at in 0..self.outputs.len() {
            let Some(output) = self.outputs.get(at) else {
                continue;
            };
            let leased = output
                .requests
                .iter()
                .any(|id| self.schedule.is_leased(*id));
            if output.state != OutputState::Absent
                && (leased || output.section.when_stopped == AfterUse::Remove)
            {
                self.remove(at);
            }
        }
        self.revoke().await;
    }

    /// Ends an agent that ran once: what it rendered stays good. Its token is taken back where nothing hangs on it, and ends by itself otherwise.
    pub async fn leave(mut self) {
        if !self.schedule.holds_leases() {
            self.revoke().await;
        }
    }

    async fn revoke(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.revoke().await
        {
            self.say(&Happening::TokenLeft { why: error.said });
        }
    }

    /// Takes another configuration up, or stays as it is. The old token is taken back once everything is rendered with the new one.
    async fn reload(mut self, config: Config) -> Self {
        // One socket a path: the new agent listens where the old one did.
        let socket = self.socket.take();
        let path = socket.as_ref().map(|socket| socket.path().to_owned());
        drop(socket);
        let options = AgentOptions {
            config,
            clock: self.options.clock.clone(),
            random: self.options.random.clone(),
            told: Arc::clone(&self.options.told),
        };
        let mut next = match Self::new(options) {
            Ok(next) => next,
            Err(error) => {
                self.say(&Happening::ReloadRefused {
                    why: error.to_string(),
                });
                if let (Some(_), Some(socket)) = (path, &self.section.socket) {
                    self.socket = Socket::listen(&self.options.config.dir, socket).ok();
                    self.render();
                }
                return self;
            }
        };
        next.round().await;
        let gone = |output: &&Output| {
            let mut kept = next.outputs.iter();
            output.state != OutputState::Absent
                && !kept.any(|other| other.section.destination == output.section.destination)
        };
        let gone: Vec<usize> = (0..self.outputs.len())
            .filter(|at| self.outputs.get(*at).as_ref().is_some_and(gone))
            .collect();
        for at in gone {
            self.remove(at);
        }
        if next.progress() == Progress::Complete {
            self.revoke().await;
        }
        next.say(&Happening::Reloaded);
        next
    }

    fn now(&self) -> UnixMillis {
        self.options.clock.millis()
    }

    fn say(&self, happening: &Happening) {
        (self.options.told)(happening);
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Wait(_) => {}
            Step::Drop(id) => {
                self.answers.remove(&id);
                self.schedule.dropped(id, self.now());
                let path = self.path(id);
                self.say(&Happening::Ended { path });
            }
            Step::Login => self.login().await,
            Step::LookUp => self.look_up().await,
            Step::RenewToken => self.renew_token().await,
            Step::Fetch(id) => self.fetch(id).await,
            Step::Renew(id, lease) => self.renew(id, &lease).await,
        }
    }

    async fn login(&mut self) {
        let signed_in = match VaultClient::new(&self.options.config, &self.section) {
            Ok(client) => {
                client
                    .login(&self.options.config, &self.section.login)
                    .await
            }
            Err(error) => Err(vault::CallError::failed(error.to_string())),
        };
        let (random, now) = (self.options.random.clone(), self.now());
        match signed_in {
            Ok((session, login)) => {
                self.schedule.logged_in(&login, &random, now);
                self.session = Some(session);
                self.say(&Happening::SignedIn);
            }
            Err(error) => {
                self.note(error.failure);
                self.schedule.login_failed(error.failure, &random, now);
                self.say(&Happening::SignInFailed { why: error.said });
            }
        }
    }

    async fn look_up(&mut self) {
        let looked = match &self.session {
            Some(session) => session.look_up().await.map_err(|error| error.failure),
            None => Err(Failure::Refused),
        };
        let (random, now) = (self.options.random.clone(), self.now());
        match looked {
            Ok(()) => self.schedule.token_stands(),
            Err(Failure::Refused) => {
                self.session = None;
                self.schedule.token_gone(now);
                self.say(&Happening::TokenGone);
            }
            Err(Failure::Away | Failure::Failed) => self.schedule.look_up_failed(&random, now),
        }
    }

    async fn renew_token(&mut self) {
        let renewed = match &self.session {
            Some(session) => session.renew_token().await.map_err(|error| error.failure),
            None => Err(Failure::Refused),
        };
        let (random, now) = (self.options.random.clone(), self.now());
        match renewed {
            Ok(span) => self.schedule.token_renewed(span, &random, now),
            Err(failure) => self.schedule.token_renewal_failed(failure, &random, now),
        }
    }

    async fn fetch(&mut self, id: RequestId) {
        let (Some(session), Some(request)) = (&self.session, self.schedule.request(id)) else {
            self.schedule.token_gone(self.now());
            return;
        };
        let fetched = session.fetch(request).await;
        let (random, now) = (self.options.random.clone(), self.now());
        match fetched {
            Ok(answer) => {
                self.schedule.fetched(id, answer.lifetime(), &random, now);
                self.answers.insert(id, answer);
            }
            Err(error) => self.not_got(id, error),
        }
    }

    async fn renew(&mut self, id: RequestId, lease: &str) {
        let Some(session) = &self.session else {
            self.schedule.token_gone(self.now());
            return;
        };
        let renewed = session.renew(lease).await;
        let (random, now) = (self.options.random.clone(), self.now());
        match renewed {
            Ok(renewed) => self.schedule.renewed(id, renewed.span, &random, now),
            Err(error) => self.not_got(id, error),
        }
    }

    fn not_got(&mut self, id: RequestId, error: vault::CallError) {
        self.note(error.failure);
        let (random, now) = (self.options.random.clone(), self.now());
        self.schedule.failed(id, error.failure, &random, now);
        let (path, why) = (self.path(id), error.said);
        self.say(&Happening::NotGot { path, why });
    }

    fn note(&mut self, failure: Failure) {
        self.refused |= failure != Failure::Away;
    }

    fn path(&self, id: RequestId) -> String {
        let request = self.schedule.request(id);
        request.map(ToString::to_string).unwrap_or_default()
    }

    /// Renders every template whose values are there.
    fn render(&mut self) {
        let mut rendered = BTreeMap::new();
        for at in 0..self.outputs.len() {
            if let Some((name, content)) = self.render_one(at) {
                rendered.insert(name, content);
            }
        }
        if let Some(socket) = &self.socket {
            socket.serve(rendered);
        }
    }

    fn render_one(&mut self, at: usize) -> Option<(String, Rendered)> {
        let output = self.outputs.get(at)?;
        let missing = |id: &RequestId| !self.answers.contains_key(id);
        if output.requests.iter().any(missing) {
            if output.state == OutputState::There {
                self.ended(at);
            }
            return None;
        }
        let by_request: BTreeMap<&Request, &Answer> = self
            .schedule
            .requests()
            .filter_map(|(id, request)| Some((request, self.answers.get(&id)?)))
            .collect();
        let content = output
            .template
            .render(|request| by_request.get(request).copied());
        let (section, state) = (&output.section, output.state);
        let written = content
            .map_err(|error| error.to_string())
            .and_then(|content| {
                let written = write(&self.options.config.dir, section, &content)?;
                Ok((content, written))
            });
        let name = section.name.clone();
        let (next, content) = match written {
            Ok((content, written)) => {
                if written == Written::Changed {
                    self.pending.extend(tellings(section));
                    self.say(&Happening::Written { name: name.clone() });
                }
                (OutputState::There, Some((name, Arc::new(content))))
            }
            Err(why) => {
                if state != OutputState::Failed {
                    self.say(&Happening::NotWritten { name, why });
                }
                (OutputState::Failed, None)
            }
        };
        if let Some(output) = self.outputs.get_mut(at) {
            output.state = next;
        }
        content
    }

    /// A value of this file has ended, and there is no other.
    fn ended(&mut self, at: usize) {
        let Some(output) = self.outputs.get_mut(at) else {
            return;
        };
        output.state = OutputState::Stale;
        match output.section.when_ended {
            AfterUse::Keep => {
                let name = output.section.name.clone();
                self.say(&Happening::Stale { name });
            }
            AfterUse::Remove => self.remove(at),
        }
    }

    fn remove(&mut self, at: usize) {
        let Some(section) = self.outputs.get(at).map(|output| &output.section) else {
            return;
        };
        let Some(destination) = &section.destination else {
            return;
        };
        let path = self.options.config.dir.join(destination);
        let removed = output::place(&path, section.owner).and_then(|place| output::remove(&place));
        let name = section.name.clone();
        match removed {
            Ok(()) => self.say(&Happening::Removed { name }),
            Err(error) => self.say(&Happening::NotWritten {
                name,
                why: error.to_string(),
            }),
        }
    }

    /// Runs and sends what is pending. What fails is done again in the next round.
    async fn tell(&mut self) {
        for telling in std::mem::take(&mut self.pending) {
            let dir = &self.options.config.dir;
            let told = match &telling {
                Telling::Command(command) => {
                    application::run(dir, command, &self.section.login).await
                }
                Telling::Signal(signal) => application::signal(dir, signal),
            };
            match told {
                Ok(()) => self.say(&Happening::Told),
                Err(why) => {
                    self.say(&Happening::NotTold { why });
                    self.pending.insert(telling);
                }
            }
        }
    }
}

/// Writes a template's file, where it has one.
fn write(
    dir: &Path,
    section: &TemplateSection,
    content: &Secret<Vec<u8>>,
) -> Result<Written, String> {
    let Some(destination) = &section.destination else {
        return Ok(Written::Same);
    };
    let written = output::place(&dir.join(destination), section.owner)
        .and_then(|place| output::write(&place, content, Ownership::from(section)));
    written.map_err(|error| error.to_string())
}

fn tellings(section: &TemplateSection) -> impl Iterator<Item = Telling> {
    let command = section.command.clone().map(Telling::Command);
    let signal = section.signal.clone().map(Telling::Signal);
    command.into_iter().chain(signal)
}

fn ids(schedule: &Schedule, template: &Template) -> Vec<RequestId> {
    let wanted = template.requests();
    let all = schedule.requests();
    all.filter(|(_, request)| wanted.contains(request))
        .map(|(id, _)| id)
        .collect()
}
