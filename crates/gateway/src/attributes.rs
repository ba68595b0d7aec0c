//! What policies learn of an object from whoever keeps it: its owner, its state, looked up over HTTP before the decision.
//!
//! A source is one address that the operator names, reached over TLS with the gateway's certificate; a caller chooses nothing of it but one segment of its path, which is
//! escaped. Answers are kept for a while, objects that are not there for a shorter one, and never beyond: without an answer there is no decision, and the request is denied. One question
//! about an object is under way at a time, and no more than so many to a source.
//!
//! Not here: what the values mean. They have to be of the types that the schema declares, which the decision checks.

use crate::content::{Content, ContentError};
use crate::routes::{AttributeSource, ResourceSpec, Route};
use crate::verdicts::Cache;
use countersign_base::JsonPointer;
use countersign_net::{ClientError, ClientOptions, EgressPolicy, HttpClient, TlsClient};
use countersign_policy::Value;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use url::Url;

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a text that is an attribute.
const VALUE_BYTES_MAX: usize = 1024;
/// Bytes of an id that is asked about.
const ID_BYTES_MAX: usize = 256;
/// Objects whose attributes are kept, of all sources together.
pub const OBJECTS_MAX: usize = 65_536;
/// How long nobody asks again after no answer came.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Where the id stands in an address.
const PLACE: &str = "{}";

/// A source as configuration says it.
#[derive(Clone)]
pub struct SourceSpec {
    /// Its name, which attributes of routes use.
    pub name: String,
    /// `https://orders.internal/objects/{}`: one segment of the path is the object's id.
    pub url: String,
    /// What the gateway shows and whom it believes.
    pub tls: TlsClient,
    /// How long an answer counts.
    pub ttl: Duration,
    /// How long it counts that an object is not there.
    pub negative_ttl: Duration,
    /// Time for all of a look-up, waiting for others included.
    pub timeout: Duration,
    /// Look-ups under way at once.
    pub concurrency: usize,
}

/// Why a source cannot be used as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The address.
    #[error("the attribute source `{0}` needs an `https` URL with one segment `{{}}` in its path")]
    Address(String),
    /// Two of the same name.
    #[error("the attribute source `{0}` stands there twice")]
    Duplicate(String),
    /// A route names one that is not there.
    #[error("no attribute source `{0}`")]
    Unknown(String),
}

/// Why there are no attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// The source has something else in the place of one, or nothing.
    #[error("an attribute is missing or of another type")]
    Broken,
    /// The id is none that can be asked about.
    #[error("an id that is not asked about")]
    Id,
    /// The source does not answer, or not as it should.
    #[error("the attribute source does not answer")]
    Unavailable,
    /// The source knows no such object.
    #[error("the attribute source knows no such object")]
    Unknown,
}

impl AttributeError {
    /// The reason as records name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Broken => "attributes_broken",
            Self::Id => "attributes_id",
            Self::Unavailable => "attributes_unavailable",
            Self::Unknown => "attributes_unknown",
        }
    }

    /// The status that callers see: an object that is not there is told like one that is somebody else's.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Broken | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Id | Self::Unknown => StatusCode::FORBIDDEN,
        }
    }
}

/// What is known of an object: the values of the places that routes name.
type Values = BTreeMap<JsonPointer, Value>;

/// Sources of one set of routes, with what they said.
pub(crate) struct Sources {
    sources: Vec<Source>,
    known: Cache<(usize, String), Arc<Mutex<Slot>>>,
}

struct Source {
    spec: SourceSpec,
    before: String,
    behind: String,
    fields: BTreeSet<JsonPointer>,
    places: Semaphore,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Absent(u64),
    Failed(AttributeError, u64),
    Known(Arc<Values>, u64),
}

/// Checks that every source that routes name is there and can be asked.
///
/// # Errors
/// The first mistake found.
pub(crate) fn check(sources: &[SourceSpec], routes: &[Arc<Route>]) -> Result<(), SourceError> {
    let mut names = BTreeSet::new();
    for source in sources {
        if !names.insert(&source.name) {
            return Err(SourceError::Duplicate(source.name.clone()));
        }
        address(source)?;
    }
    for route in routes {
        for (source, ..) in looked_up(&route.resource) {
            if !names.contains(source) {
                return Err(SourceError::Unknown(source.clone()));
            }
        }
    }
    Ok(())
}

/// What stands before and behind the id, and the host.
fn address(source: &SourceSpec) -> Result<(String, String, String), SourceError> {
    let wrong = || SourceError::Address(source.name.clone());
    let (before, behind) = source.url.split_once(PLACE).ok_or_else(wrong)?;
    let url = Url::parse(&format!("{before}0{behind}")).map_err(|_| wrong())?;
    let whole = before.ends_with('/') && (behind.is_empty() || behind.starts_with('/'));
    let plain = url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && !behind.contains(PLACE);
    match url.host_str() {
        // What is written is what is asked: nothing of it was repaired.
        Some(host) if whole && plain && url.as_str() == format!("{before}0{behind}") => {
            Ok((before.to_owned(), behind.to_owned(), host.to_owned()))
        }
        Some(_) | None => Err(wrong()),
    }
}

/// The source, the parameter, the place and the type of each attribute that is looked up, with its name.
fn looked_up(
    resource: &ResourceSpec,
) -> impl Iterator<Item = (&String, &String, &JsonPointer, Option<&String>, &String)> {
    let attributes = match resource {
        ResourceSpec::Entity { attributes, .. } => Some(attributes),
        ResourceSpec::Route => None,
    };
    let each = attributes.into_iter().flatten();
    each.filter_map(|(name, from)| match from {
        AttributeSource::Source {
            source,
            parameter,
            field,
            kind,
        } => Some((source, parameter, field, kind.as_ref(), name)),
        AttributeSource::Body { .. }
        | AttributeSource::Entity { .. }
        | AttributeSource::Parameter(_)
        | AttributeSource::Static(_) => None,
    })
}

impl Sources {
    /// The sources of these routes; [`check`] has seen both.
    pub(crate) fn new(specs: &[SourceSpec], routes: &[Arc<Route>]) -> Self {
        let source = |spec: &SourceSpec| {
            let (before, behind, _) = address(spec).ok()?;
            let fields = routes
                .iter()
                .flat_map(|route| looked_up(&route.resource))
                .filter(|(source, ..)| **source == spec.name)
                .map(|(_, _, field, ..)| field.clone());
            Some(Source {
                before,
                behind,
                fields: fields.collect(),
                places: Semaphore::new(spec.concurrency),
                spec: spec.clone(),
            })
        };
        Self {
            sources: specs.iter().filter_map(source).collect(),
            known: Cache::new(OBJECTS_MAX),
        }
    }

    /// Clients of one runtime, one a source.
    pub(crate) fn clients(&self) -> Vec<HttpClient> {
        let client = |source: &Source| {
            let host = address(&source.spec).map(|(.., host)| host);
            // The operator named this host, and nothing else can be reached by way of it.
            let egress = EgressPolicy::public_only().allowing(&host.unwrap_or_default());
            let options = ClientOptions {
                connect_timeout: source.spec.timeout,
                timeout: source.spec.timeout,
                body_bytes_max: ANSWER_BYTES_MAX,
            };
            HttpClient::new(source.spec.tls.clone(), egress, options)
        };
        self.sources.iter().map(client).collect()
    }

    /// The attributes of a route's resource, by name. `steady` is in nanoseconds.
    ///
    /// # Errors
    /// Whatever is not known: then there is nothing to decide on.
    pub(crate) async fn attributes(
        &self,
        clients: &[HttpClient],
        resource: &ResourceSpec,
        parameter: impl Fn(&str) -> String,
        steady: impl Fn() -> u64,
    ) -> Result<Vec<(String, Value)>, AttributeError> {
        let mut found = Vec::new();
        // One answer an object, so that its attributes are of one moment.
        let mut answers: Vec<((usize, String), Arc<Values>)> = Vec::new();
        for (source, named, field, kind, name) in looked_up(resource) {
            let position = self.sources.iter().position(|one| one.spec.name == *source);
            let position = position.ok_or(AttributeError::Unavailable)?;
            let client = clients.get(position).ok_or(AttributeError::Unavailable)?;
            let asked = (position, parameter(named));
            let known = answers.iter().find(|(known, _)| *known == asked);
            let values = match known {
                Some((_, values)) => Arc::clone(values),
                None => {
                    let values = self
                        .values(position, client, asked.1.clone(), &steady)
                        .await?;
                    answers.push((asked, Arc::clone(&values)));
                    values
                }
            };
            let value = values.get(field).ok_or(AttributeError::Broken)?;
            let value = match (value, kind) {
                (value, None) => value.clone(),
                (Value::String(id), Some(kind)) if !id.is_empty() => {
                    Value::Entity(countersign_policy::EntityId::new(kind, id))
                }
                (_, Some(_)) => return Err(AttributeError::Broken),
            };
            found.push((name.clone(), value));
        }
        Ok(found)
    }

    async fn values(
        &self,
        position: usize,
        client: &HttpClient,
        id: String,
        steady: &impl Fn() -> u64,
    ) -> Result<Arc<Values>, AttributeError> {
        let source = self
            .sources
            .get(position)
            .ok_or(AttributeError::Unavailable)?;
        let url = source.url(&id)?;
        let slot = self.known.get_or_insert((position, id), Arc::default);
        let asked = async {
            let mut slot = slot.lock().await;
            match &*slot {
                Slot::Known(values, until) if steady() < *until => return Ok(Arc::clone(values)),
                Slot::Absent(until) if steady() < *until => return Err(AttributeError::Unknown),
                Slot::Failed(error, until) if steady() < *until => return Err(*error),
                Slot::Absent(_) | Slot::Empty | Slot::Failed(..) | Slot::Known(..) => {}
            }
            // What was known is not any more, whatever comes of this.
            *slot = Slot::Empty;
            // Its time begins when it was asked for, so that it is never older than it may be.
            let began = steady();
            let until = |after: Duration| {
                began.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
            };
            let asked = source.ask(client, &url).await;
            *slot = match &asked {
                Ok(values) => Slot::Known(Arc::clone(values), until(source.spec.ttl)),
                Err(AttributeError::Unknown) => Slot::Absent(until(source.spec.negative_ttl)),
                Err(error) => Slot::Failed(*error, until(RETRY_AFTER)),
            };
            asked
        };
        match tokio::time::timeout(source.spec.timeout, asked).await {
            Ok(asked) => asked,
            Err(_elapsed) => Err(AttributeError::Unavailable),
        }
    }
}

impl Source {
    fn url(&self, id: &str) -> Result<Url, AttributeError> {
        let usual = (1..=ID_BYTES_MAX).contains(&id.len()) && !matches!(id, "." | "..");
        if !usual {
            return Err(AttributeError::Id);
        }
        let mut text = self.before.clone();
        for byte in id.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    text.push(char::from(byte));
                }
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
        text.push_str(&self.behind);
        Url::parse(&text).map_err(|_| AttributeError::Id)
    }

    async fn ask(&self, client: &HttpClient, url: &Url) -> Result<Arc<Values>, AttributeError> {
        let place = self.places.acquire().await;
        let _place = place.map_err(|_| AttributeError::Unavailable)?;
        let mut fields = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        fields.insert(header::ACCEPT, json);
        let answer = client
            .send(Method::GET, url, fields, bytes::Bytes::new())
            .await;
        let answer = answer.map_err(|error| self.failed(&error))?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(AttributeError::Unknown),
            status => {
                tracing::warn!(source = %self.spec.name, %status, "an attribute source did not answer");
                return Err(AttributeError::Unavailable);
            }
        }
        let content = Content::of(answer.body, &answer.headers);
        let content = content.map_err(|_| AttributeError::Broken)?;
        let mut values = Values::new();
        for field in &self.fields {
            match content.attribute(field) {
                Ok(Value::String(text)) if text.len() > VALUE_BYTES_MAX => {
                    return Err(AttributeError::Broken);
                }
                Ok(value) => _ = values.insert(field.clone(), value),
                // Another route may need it of another object; this one is denied when it does.
                Err(ContentError::Attribute) => {}
                Err(_) => return Err(AttributeError::Broken),
            }
        }
        Ok(Arc::new(values))
    }

    fn failed(&self, error: &ClientError) -> AttributeError {
        tracing::warn!(source = %self.spec.name, %error, "an attribute source did not answer");
        match error {
            ClientError::BodyTooLarge => AttributeError::Broken,
            ClientError::Connect(_)
            | ClientError::Egress(_)
            | ClientError::Http(_)
            | ClientError::Timeout
            | ClientError::Url => AttributeError::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
