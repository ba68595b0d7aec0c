//! From `[[webhook_sources]]` to what takes in their webhooks, and the gateway's way to it: `gateway` and `channels` do not know each other.

use super::{RunError, browser_sessions, foreign, routes};
use crate::config::error::ConfigError;
use crate::config::key_places::KeyPlace;
use crate::config::webhook_sources::WebhookSourceSection;
use crate::config::{Config, FILE};
use bytes::Bytes;
use countersign_base::Secret;
use countersign_channels::webhook::receiver::{
    Arriving, Heard, Looked, NotTaken, ReceivedSource, Receiver, SourceKeys, TakenWhen,
};
use countersign_control::fabric::StartError;
use countersign_control::{Fabric, FollowedKeys, ForeignKeys};
use countersign_gateway::Routes;
use countersign_gateway::webhooks::{
    DeniedKind, Looking, ReceivedKind, Receiving, WebhookAnswer, WebhookDenied, WebhookHead,
    WebhookLooked, WebhookReceived, WebhookReceiver,
};
use countersign_net::TrustRoots;
use countersign_wire::HeadView;
use countersign_wire::webhook::{KeyText, OtherSchemes, Source, SourceRules};
use serde_json::Value;
use std::sync::Arc;

/// Keys of one set.
const JWKS_BYTES_MAX: u64 = 256 * 1024;

/// The gateway's routes, with who answers at its own addresses and who takes webhooks in.
///
/// # Errors
/// What of the configuration cannot be used.
pub(super) fn served(
    config: &Config,
    fabric: &Arc<Fabric>,
    base: &str,
    at: &str,
    roots: &TrustRoots,
) -> Result<Routes, RunError> {
    let built = routes::build(config, fabric, base, roots).map_err(RunError::Config)?;
    let sources = sources(config, fabric.foreign_keys()).map_err(RunError::Config)?;
    Ok(built
        .with_sessions(browser_sessions::doors(config, at))
        .received_by(Door::new(fabric, sources)))
}

/// What [`sources`] would refuse: nothing has to run.
///
/// # Errors
/// As [`sources`].
pub(super) fn check(config: &Config) -> Result<(), Vec<ConfigError>> {
    let nobodys = ForeignKeys::new(super::system_clock(), Vec::new());
    sources(config, &nobodys).map(drop)
}

/// The sources of a configuration, with their secrets read. A set of keys at an address need not be there yet: until it is, what its source sends is refused.
///
/// # Errors
/// Every source whose keys cannot be read, or are none of its scheme.
fn sources(
    config: &Config,
    foreign: &ForeignKeys,
) -> Result<Vec<ReceivedSource>, Vec<ConfigError>> {
    let (mut sources, mut errors) = (Vec::new(), Vec::new());
    for section in &config.webhook_sources {
        match source(config, foreign, section) {
            Ok(source) => sources.push(source),
            Err(message) => errors.push(ConfigError::in_file(
                &config.dir.join(FILE),
                format!("source `{}`: {message}", section.name),
            )),
        }
    }
    if errors.is_empty() {
        Ok(sources)
    } else {
        Err(errors)
    }
}

fn source(
    config: &Config,
    foreign: &ForeignKeys,
    section: &WebhookSourceSection,
) -> Result<ReceivedSource, String> {
    let keys = match foreign::of_source(section) {
        Some((of, _)) => {
            let signed = section.clone();
            let made = move |bytes: &[u8]| {
                let keys = signed.scheme.keys_of_set(bytes).ok()?;
                Source::new(rules(&signed, keys)).ok()
            };
            SourceKeys::Followed(Box::new(FollowedKeys::new(foreign.clone(), of, made)))
        }
        None => {
            let source = Source::new(rules(section, pinned(config, section)?));
            SourceKeys::Pinned(Arc::new(source.map_err(|error| error.to_string())?))
        }
    };
    // Its service's secrets are read again where deliveries begin; here it is said what is wrong with them.
    let _signing = routes::signing(config, section)?;
    let (name, tenant) = (section.name.clone(), section.tenant.clone());
    let times = (section.tolerance, section.remember);
    ReceivedSource::new(name, tenant, keys, times).map_err(|error| error.to_string())
}

/// The source with these keys.
fn rules(section: &WebhookSourceSection, keys: Vec<KeyText>) -> SourceRules {
    SourceRules {
        scheme: section.scheme.clone(),
        keys,
        tolerance: section.tolerance,
        event_id: section.event_id.clone(),
        others: OtherSchemes::Refused,
    }
}

/// The keys that the configuration holds or refers to.
fn pinned(config: &Config, section: &WebhookSourceSection) -> Result<Vec<KeyText>, String> {
    let mut keys = Vec::new();
    for reference in &section.secrets {
        keys.push(KeyText {
            id: None,
            text: reference.read(&config.dir)?,
        });
    }
    if let Some(KeyPlace::File(path)) = &section.jwks {
        keys.extend(key_set(&config.dir.join(path))?);
    }
    Ok(keys)
}

/// The keys of a JWK set, each under its `kid`.
fn key_set(path: &std::path::Path) -> Result<Vec<KeyText>, String> {
    let failed = |what: &str| format!("`{}`: {what}", path.display());
    let length = std::fs::metadata(path).map_err(|error| failed(&error.kind().to_string()))?;
    if length.len() > JWKS_BYTES_MAX {
        return Err(failed("the set is too large"));
    }
    let text = std::fs::read(path).map_err(|error| failed(&error.kind().to_string()))?;
    let set: Value = serde_json::from_slice(&text).map_err(|_| failed("no JSON"))?;
    let keys = set.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or_else(|| failed("no JWK set: it has no `keys`"))?;
    let named = |key: &Value| KeyText {
        id: key.get("kid").and_then(Value::as_str).map(str::to_owned),
        text: Secret::new(key.to_string()),
    };
    Ok(keys.iter().map(named).collect())
}

/// Puts an endpoint for the service of each source, so that what comes in is delivered.
///
/// # Errors
/// When the database failed.
pub(super) async fn put_services(config: &Config, fabric: &Fabric) -> Result<(), StartError> {
    for section in &config.webhook_sources {
        let store = fabric.store();
        store
            .put_webhook_service(&section.tenant, &section.name, fabric.now())
            .await?;
    }
    Ok(())
}

/// The receiver, as the gateway sees it.
pub(super) struct Door(Receiver);

impl Door {
    /// The receiver of these sources.
    pub(super) fn new(fabric: &Arc<Fabric>, sources: Vec<ReceivedSource>) -> Arc<Self> {
        Arc::new(Self(Receiver::new(Arc::clone(fabric), sources)))
    }
}

impl WebhookReceiver for Door {
    fn look<'a>(&'a self, head: WebhookHead<'a>) -> Looking<'a> {
        Box::pin(self.look_at(head))
    }
}

impl Door {
    async fn look_at(
        &self,
        head: WebhookHead<'_>,
    ) -> Result<Box<dyn WebhookLooked>, WebhookDenied> {
        let fields = head.headers.iter();
        let fields: Vec<(&str, &[u8])> = fields
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let view = HeadView {
            method: head.method.as_str(),
            scheme: "https",
            authority: head.authority,
            path_and_query: head.path_and_query,
            fields: &fields,
        };
        let arriving = Arriving {
            request: head.request,
            route: head.route.clone(),
            from: head.from,
            at: head.at,
        };
        match self.0.look(head.source, &view, arriving).await {
            Ok(looked) => Ok(Box::new(Seen(looked))),
            Err(error) => Err(denied(error)),
        }
    }
}

/// A webhook whose head is in order.
struct Seen(Looked);

impl WebhookLooked for Seen {
    fn receive(self: Box<Self>, body: Bytes) -> Receiving {
        Box::pin(async move {
            let taken = match self.0.receive(body).await.map_err(denied)? {
                Heard::Challenge { text, recorded } => {
                    return Ok(WebhookAnswer::Challenge { text, recorded });
                }
                Heard::Taken(taken) => taken,
            };
            Ok(WebhookAnswer::Kept(WebhookReceived {
                kind: match taken.when {
                    TakenWhen::Before => ReceivedKind::Duplicate,
                    TakenWhen::Now => ReceivedKind::First,
                },
                recorded: taken.recorded,
            }))
        })
    }
}

/// What the sender learns: what it did not prove and what came before, but never which part of a proof was wrong.
fn denied(error: NotTaken) -> WebhookDenied {
    use countersign_wire::webhook::WebhookRefusal as Refusal;
    match error {
        NotTaken::Before { refusal, recorded } => {
            WebhookDenied::new(refusal.as_str(), DeniedKind::Conflict).recorded(recorded)
        }
        NotTaken::Denied(event) => {
            WebhookDenied::new("denied", DeniedKind::Forbidden).recorded(event)
        }
        NotTaken::Refused(refusal @ Refusal::MediaType) => {
            WebhookDenied::new(refusal.as_str(), DeniedKind::MediaType)
        }
        NotTaken::Refused(refusal @ Refusal::TooLarge) => {
            WebhookDenied::new(refusal.as_str(), DeniedKind::TooLarge)
        }
        NotTaken::Refused(refusal) => WebhookDenied::new(refusal.as_str(), DeniedKind::Unproven),
        NotTaken::Unavailable(unavailable) => {
            WebhookDenied::new(unavailable.as_str(), DeniedKind::Unavailable)
        }
        NotTaken::KeysAway => WebhookDenied::new("keys_away", DeniedKind::Unavailable),
        NotTaken::UnknownSource => WebhookDenied::new("source_unknown", DeniedKind::Unavailable),
    }
}
