//! Questions as the OpenID AuthZEN Authorization API 1.0 writes them: one, a batch, or a search.
//!
//! Only the form is read here: which members there are and of which JSON type. Members that nobody knows are ignored, as the API says; a known one of another
//! type, a missing one and one that stands there twice refuse the request, because two readers could take it for different questions.
//!
//! Not here: what a name means in a policy set ([`crate::PolicySet::describe`]), who may ask, and the answer.

mod json;

use serde_json::{Map, Value as Json};

/// Questions in one batch.
pub const EVALUATIONS_MAX: usize = 100;
/// Results on one page of a search.
pub const PAGE_MAX: u16 = 100;
/// Results on a page whose size nobody asked for.
pub const PAGE_DEFAULT: u16 = 50;
/// Bytes of a type, an id or the name of an action.
const NAME_BYTES_MAX: usize = 1024;

/// Why a request is refused: for its sender, without any of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is no JSON, is nested too deep, or has a member twice.
    #[error("expected one JSON object without repeated members")]
    Json,
    /// A member that has to be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A name is empty or longer than any.
    #[error("`{0}` has to have 1 to 1024 bytes")]
    Name(&'static str),
    /// The page's limit.
    #[error("`page.limit` has to be 1 to 100")]
    PageLimit,
    /// There is no such semantic.
    #[error(
        "`options.evaluations_semantic` has to be `execute_all`, `deny_on_first_deny` or `permit_on_first_permit`"
    )]
    Semantic,
    /// A batch is too large.
    #[error("`evaluations` holds more than 100")]
    TooMany,
    /// A member has another JSON type.
    #[error("`{0}` has another type")]
    Type(&'static str),
}

/// A subject or resource as the caller describes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Described {
    /// Its type, as the caller writes it.
    pub kind: String,
    /// Its id within the type.
    pub id: String,
    /// What the caller says of it.
    pub properties: Map<String, Json>,
}

/// One question.
#[derive(Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Who.
    pub subject: Described,
    /// What is done: the name of the action.
    pub action: String,
    /// To what.
    pub resource: Described,
    /// What else the caller knows.
    pub context: Map<String, Json>,
}

/// When a batch ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Semantic {
    /// After the first denial.
    DenyOnFirstDeny,
    /// After the last question.
    #[default]
    ExecuteAll,
    /// After the first permit.
    PermitOnFirstPermit,
}

/// The body of an evaluations request.
#[derive(PartialEq, Eq)]
pub enum Batch {
    /// Without `evaluations` it is one question, and is answered like one.
    One(Box<Evaluation>),
    /// The questions in their order; one that cannot be read says why and does not spoil the others.
    Many(Semantic, Vec<Result<Evaluation, RequestError>>),
}

/// What a search looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// Who may do this to that.
    Subject,
    /// To what they may do this.
    Resource,
    /// What they may do to that.
    Action,
}

/// The body of a search. What is sought has a type and no id; a search for actions has no action.
#[derive(Clone, PartialEq, Eq)]
pub struct Search {
    /// Who; the id is empty in a search for subjects.
    pub subject: Described,
    /// What is done; empty in a search for actions.
    pub action: String,
    /// To what; the id is empty in a search for resources.
    pub resource: Described,
    /// What else the caller knows.
    pub context: Map<String, Json>,
    /// Where the page begins: what the page before named.
    pub token: Option<String>,
    /// Results on the page.
    pub limit: u16,
}

/// What a batch says for all of its questions.
#[derive(Clone, Copy)]
struct Parts<'a> {
    subject: Option<&'a Json>,
    action: Option<&'a Json>,
    resource: Option<&'a Json>,
    context: Option<&'a Json>,
}

impl Evaluation {
    /// Reads the body of an evaluation request.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        Parts::of(&object(body)?).evaluation()
    }

    /// Reads a question that is part of something else, such as the `input` of an OPA request.
    ///
    /// # Errors
    /// As [`Evaluation::parse`].
    pub fn of(body: &Map<String, Json>) -> Result<Self, RequestError> {
        Parts::of(body).evaluation()
    }
}

/// The member `input` of an OPA request; nothing if there is none.
///
/// # Errors
/// When the body is no object, or `input` is none.
pub fn input(body: &[u8]) -> Result<Option<Map<String, Json>>, RequestError> {
    let mut body = object(body)?;
    match body.remove("input") {
        None => Ok(None),
        Some(Json::Object(input)) => Ok(Some(input)),
        Some(_) => Err(RequestError::Type("input")),
    }
}

impl Batch {
    /// Reads the body of an evaluations request. A question of the batch takes from the request's own members what it does not say itself.
    ///
    /// # Errors
    /// What is wrong with the form of the request as a whole.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let body = object(body)?;
        let semantic = semantic(&body)?;
        let common = Parts::of(&body);
        let items = match body.get("evaluations") {
            None => &[][..],
            Some(Json::Array(items)) => items,
            Some(_) => return Err(RequestError::Type("evaluations")),
        };
        if items.len() > EVALUATIONS_MAX {
            return Err(RequestError::TooMany);
        }
        if items.is_empty() {
            return Ok(Self::One(Box::new(common.evaluation()?)));
        }
        // What stands for all of them is read once, so that its flaw is the request's and not of each question.
        common.check()?;
        let questions = items.iter().map(|item| match item {
            Json::Object(item) => Parts::of(item).or(common).evaluation(),
            _ => Err(RequestError::Type("evaluations")),
        });
        Ok(Self::Many(semantic, questions.collect()))
    }
}

impl Search {
    /// Reads the body of a search.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(sought: Sought, body: &[u8]) -> Result<Self, RequestError> {
        let body = object(body)?;
        let parts = Parts::of(&body);
        let (token, limit) = page(&body)?;
        let whole = |part, name| described(part, name, Id::Needed);
        let kind = |part, name| described(part, name, Id::Ignored);
        Ok(Self {
            subject: match sought {
                Sought::Subject => kind(parts.subject, SUBJECT)?,
                Sought::Action | Sought::Resource => whole(parts.subject, SUBJECT)?,
            },
            action: match sought {
                Sought::Action => String::new(),
                Sought::Resource | Sought::Subject => action(parts.action)?,
            },
            resource: match sought {
                Sought::Resource => kind(parts.resource, RESOURCE)?,
                Sought::Action | Sought::Subject => whole(parts.resource, RESOURCE)?,
            },
            context: members(parts.context, "context")?,
            token,
            limit,
        })
    }
}

impl Semantic {
    /// Whether a batch ends with this answer.
    #[must_use]
    pub const fn ends_with(self, decision: bool) -> bool {
        match self {
            Self::DenyOnFirstDeny => !decision,
            Self::ExecuteAll => false,
            Self::PermitOnFirstPermit => decision,
        }
    }
}

impl<'a> Parts<'a> {
    fn of(body: &'a Map<String, Json>) -> Self {
        Self {
            subject: body.get("subject"),
            action: body.get("action"),
            resource: body.get("resource"),
            context: body.get("context"),
        }
    }

    /// What is not said here is taken from `common`.
    fn or(self, common: Self) -> Self {
        Self {
            subject: self.subject.or(common.subject),
            action: self.action.or(common.action),
            resource: self.resource.or(common.resource),
            context: self.context.or(common.context),
        }
    }

    /// That what is there has its form, whatever is not there.
    fn check(self) -> Result<(), RequestError> {
        if self.subject.is_some() {
            described(self.subject, SUBJECT, Id::Needed)?;
        }
        if self.action.is_some() {
            action(self.action)?;
        }
        if self.resource.is_some() {
            described(self.resource, RESOURCE, Id::Needed)?;
        }
        members(self.context, "context").map(drop)
    }

    fn evaluation(self) -> Result<Evaluation, RequestError> {
        Ok(Evaluation {
            subject: described(self.subject, SUBJECT, Id::Needed)?,
            action: action(self.action)?,
            resource: described(self.resource, RESOURCE, Id::Needed)?,
            context: members(self.context, "context")?,
        })
    }
}

/// The names under which errors speak of an entity and its members.
#[derive(Clone, Copy)]
struct Names {
    entity: &'static str,
    kind: &'static str,
    id: &'static str,
    properties: &'static str,
}

const SUBJECT: Names = Names {
    entity: "subject",
    kind: "subject.type",
    id: "subject.id",
    properties: "subject.properties",
};
const RESOURCE: Names = Names {
    entity: "resource",
    kind: "resource.type",
    id: "resource.id",
    properties: "resource.properties",
};

/// Whether an entity has to say its id.
#[derive(Clone, Copy)]
enum Id {
    Ignored,
    Needed,
}

fn object(body: &[u8]) -> Result<Map<String, Json>, RequestError> {
    match json::parse(body) {
        Some(Json::Object(object)) => Ok(object),
        Some(_) | None => Err(RequestError::Json),
    }
}

fn described(part: Option<&Json>, names: Names, id: Id) -> Result<Described, RequestError> {
    let entity = match part {
        None => return Err(RequestError::Missing(names.entity)),
        Some(Json::Object(entity)) => entity,
        Some(_) => return Err(RequestError::Type(names.entity)),
    };
    Ok(Described {
        kind: name(entity.get("type"), names.kind)?,
        id: match id {
            Id::Ignored => String::new(),
            Id::Needed => name(entity.get("id"), names.id)?,
        },
        properties: members(entity.get("properties"), names.properties)?,
    })
}

fn action(part: Option<&Json>) -> Result<String, RequestError> {
    let action = match part {
        None => return Err(RequestError::Missing("action")),
        Some(Json::Object(action)) => action,
        Some(_) => return Err(RequestError::Type("action")),
    };
    members(action.get("properties"), "action.properties")?;
    name(action.get("name"), "action.name")
}

fn name(part: Option<&Json>, named: &'static str) -> Result<String, RequestError> {
    match part {
        None => Err(RequestError::Missing(named)),
        Some(Json::String(text)) if (1..=NAME_BYTES_MAX).contains(&text.len()) => Ok(text.clone()),
        Some(Json::String(_)) => Err(RequestError::Name(named)),
        Some(_) => Err(RequestError::Type(named)),
    }
}

fn members(part: Option<&Json>, named: &'static str) -> Result<Map<String, Json>, RequestError> {
    match part {
        None => Ok(Map::new()),
        Some(Json::Object(members)) => Ok(members.clone()),
        Some(_) => Err(RequestError::Type(named)),
    }
}

fn semantic(body: &Map<String, Json>) -> Result<Semantic, RequestError> {
    let options = members(body.get("options"), "options")?;
    match options.get("evaluations_semantic") {
        None => Ok(Semantic::default()),
        Some(Json::String(name)) => match name.as_str() {
            "deny_on_first_deny" => Ok(Semantic::DenyOnFirstDeny),
            "execute_all" => Ok(Semantic::ExecuteAll),
            "permit_on_first_permit" => Ok(Semantic::PermitOnFirstPermit),
            _ => Err(RequestError::Semantic),
        },
        Some(_) => Err(RequestError::Semantic),
    }
}

fn page(body: &Map<String, Json>) -> Result<(Option<String>, u16), RequestError> {
    let page = members(body.get("page"), "page")?;
    let token = match page.get("token") {
        None => None,
        Some(Json::String(token)) => Some(token.clone()).filter(|token| !token.is_empty()),
        Some(_) => return Err(RequestError::Type("page.token")),
    };
    let limit = match page.get("limit") {
        None => PAGE_DEFAULT,
        Some(limit) => limit
            .as_u64()
            .and_then(|limit| u16::try_from(limit).ok())
            .filter(|limit| (1..=PAGE_MAX).contains(limit))
            .ok_or(RequestError::PageLimit)?,
    };
    Ok((token, limit))
}

#[cfg(test)]
mod tests;
