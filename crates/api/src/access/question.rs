//! One question of a caller: prepared from what it says and what the directory knows, decided, recorded, and only then an answer.

use super::Access;
use super::answer::Failure;
use super::caller::{Asker, SURFACE};
use super::directory::{Directory, Found, NoEntity};
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Text};
use countersign_authn::{Acr, AuthenticationDemand};
use countersign_base::{ClientId, EventId, RequestId, Tenant, UserId};
use countersign_policy::authzen::{Described, Evaluation, RequestError};
use countersign_policy::obligation::Duty;
use countersign_policy::{Denied, Permitted, PolicySet, Query, Target, decide, vocabulary};
use countersign_store::{About, Durability, Recordable};
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What somebody else wants decided.
pub(super) struct Question {
    query: Query,
    tenant: Tenant,
    client: ClientId,
    user: Option<UserId>,
    request: RequestId,
    /// What the one who asks says that it carries out.
    duties: &'static [Duty],
}

impl Target for Question {
    fn query(&self) -> Query {
        self.query.clone()
    }

    fn carries_out(&self) -> &[Duty] {
        self.duties
    }
}

/// What a caller carries out: everything, if it says that it takes obligations of ours (`supported_obligations` holds `custom`; a type that it then does not know is a denial
/// to it), else nothing.
fn duties(context: &Map<String, Value>) -> &'static [Duty] {
    let supported = context
        .get("supported_obligations")
        .and_then(Value::as_array);
    let custom = supported.is_some_and(|types| types.iter().any(|one| one == "custom"));
    if custom { &Duty::ALL } else { &[] }
}

/// The obligation to sign in again, as the AuthZEN profile for obligations has it; its `max_age` is ours.
fn step_up(demand: AuthenticationDemand) -> Value {
    let acr = demand.acr.unwrap_or(Acr::OneFactor);
    let mut properties = Map::from_iter([("acr_value".to_owned(), acr.as_str().into())]);
    if let Some(max_age) = demand.max_age {
        properties.insert("max_age".to_owned(), max_age.into());
    }
    json!([{ "type": "step-up", "id": "1", "properties": properties }])
}

impl Recordable for Question {
    fn about(&self) -> About {
        About {
            request: Some(self.request),
            client: Some(self.client.clone()),
            user: self.user,
            action: Text::of(&self.query.action),
            resource: Text::of(self.query.resource.id().kind()),
            ..About::new(self.tenant.clone(), SURFACE)
        }
    }
}

/// A question as far as it could be made one.
pub(super) enum Prepared {
    Question(Box<Question>),
    /// It cannot be asked of these policies or of this directory: denied, for this reason.
    Unanswerable(Unanswerable),
    /// One of a batch that has not the form of a question.
    Unreadable(RequestError),
}

/// Why a question is denied that no policy was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unanswerable {
    /// What the log says.
    recorded: &'static str,
    /// What the caller is told: whoever may only ask about those whom it can name is not told which names there are.
    told: &'static str,
}

impl Unanswerable {
    const INVALID: Self = Self {
        recorded: "query_invalid",
        told: "query_invalid",
    };
}

/// What was decided, not recorded yet and so not to be told.
pub(super) enum Judged {
    Permitted(Permitted<Question>),
    Denied(Denied<Question>),
    Unanswerable(Unanswerable),
    Unreadable(RequestError),
}

impl Judged {
    pub(super) const fn decision(&self) -> bool {
        match self {
            Self::Permitted(_) => true,
            Self::Denied(_) | Self::Unanswerable(_) | Self::Unreadable(_) => false,
        }
    }
}

/// An answer that may be told: it is in the log.
pub(super) struct Answered {
    pub(super) decision: bool,
    pub(super) reason: &'static str,
    event: EventId,
    policies: String,
    obligations: Option<Value>,
    error: Option<RequestError>,
}

impl Answered {
    /// As AuthZEN tells it; the members of `context` beside `error` are ours.
    pub(super) fn to_json(&self) -> Value {
        let mut context = self.explanation();
        if let Some(error) = self.error {
            let error = json!({ "status": 400, "message": error.to_string() });
            context.insert("error".to_owned(), error);
        }
        json!({ "decision": self.decision, "context": context })
    }

    /// The audit event of the decision.
    pub(super) const fn event(&self) -> EventId {
        self.event
    }

    /// Where to look it up, and in one word why.
    pub(super) fn explanation(&self) -> Map<String, Value> {
        let told = [
            ("decision_id".to_owned(), self.event.to_string().into()),
            ("policy_version".to_owned(), self.policies.as_str().into()),
            ("reason".to_owned(), self.reason.into()),
        ];
        let obligations = self.obligations.clone();
        let obligations = obligations.map(|all| ("obligations".to_owned(), all));
        told.into_iter().chain(obligations).collect()
    }

    /// The same for who takes nothing but yes and no: what it is not told of, it does not carry out.
    pub(super) const fn is_plain_permit(&self) -> bool {
        self.decision && self.obligations.is_none()
    }
}

/// One call's questions: all of them meet the same policies.
pub(super) struct Asking<'a> {
    access: &'a Access,
    asker: &'a Asker,
    policies: Arc<PolicySet>,
    directory: Directory<'a>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(access: &'a Access, asker: &'a Asker) -> Self {
        Self {
            access,
            asker,
            policies: access.fabric.policies(),
            directory: Directory::new(access, asker.tenant()),
        }
    }

    pub(super) fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// Asks one question.
    pub(super) async fn ask(&mut self, evaluation: &Evaluation) -> Result<Answered, Failure> {
        let prepared = self.prepare(evaluation).await?;
        self.record(self.judge(prepared)).await
    }

    /// The entity that is described.
    pub(super) async fn find(
        &mut self,
        described: &Described,
    ) -> Result<Result<Found, NoEntity>, Failure> {
        Ok(self.directory.find(&self.policies, described).await?)
    }

    pub(super) async fn prepare(&mut self, evaluation: &Evaluation) -> Result<Prepared, Failure> {
        let subject = self.find(&evaluation.subject).await?;
        let resource = self.find(&evaluation.resource).await?;
        Ok(self.question(subject, &evaluation.action, resource, &evaluation.context))
    }

    /// Puts a question together.
    pub(super) fn question(
        &self,
        subject: Result<Found, NoEntity>,
        action: &str,
        resource: Result<Found, NoEntity>,
        context: &Map<String, Value>,
    ) -> Prepared {
        let unknown = match (&subject, &resource) {
            (Err(NoEntity::Unknown(_)), _) => Some("subject_unknown"),
            (_, Err(NoEntity::Unknown(_))) => Some("resource_unknown"),
            (Ok(_) | Err(NoEntity::Unfit), Ok(_) | Err(NoEntity::Unfit)) => None,
        };
        let (Some(subject), Some(resource)) = (or_nobody(subject), or_nobody(resource)) else {
            return Prepared::Unanswerable(Unanswerable::INVALID);
        };
        let duties = duties(context);
        let Ok(context) = self.policies.context(action, context, &self.own_context()) else {
            return Prepared::Unanswerable(Unanswerable::INVALID);
        };
        let question = Question {
            query: Query {
                principal: subject.entity,
                action: action.to_owned(),
                resource: resource.entity,
                context,
                others: Vec::new(),
            },
            tenant: self.asker.tenant().clone(),
            client: self.asker.client().clone(),
            user: subject.user,
            request: self.asker.request(),
            duties,
        };
        match unknown {
            None => Prepared::Question(Box::new(question)),
            Some(recorded) => Prepared::Unanswerable(Unanswerable {
                recorded,
                told: match decide(&self.policies, question) {
                    Err(denied) => denied.reason().as_str(),
                    Ok(_) => "nothing_permits",
                },
            }),
        }
    }

    /// What nobody else is asked for: the time.
    fn own_context(&self) -> BTreeMap<String, countersign_policy::Value> {
        let now = self.asker.now();
        let mut own = BTreeMap::from(vocabulary::calendar(now));
        own.insert("time".to_owned(), now.0.into());
        own
    }

    pub(super) fn judge(&self, prepared: Prepared) -> Judged {
        match prepared {
            Prepared::Question(question) => match decide(&self.policies, *question) {
                Ok(permitted) => Judged::Permitted(permitted),
                Err(denied) => Judged::Denied(denied),
            },
            Prepared::Unanswerable(reason) => Judged::Unanswerable(reason),
            Prepared::Unreadable(error) => Judged::Unreadable(error),
        }
    }

    /// Records what was decided: a permit is on disk when this returns.
    pub(super) async fn record(&self, judged: Judged) -> Result<Answered, Failure> {
        let recorder = self.access.fabric.recorder();
        let decision = judged.decision();
        let outcome = if decision { "permitted" } else { "denied" };
        self.access.fabric.metrics().decided("access", outcome);
        let mut obligations = None;
        let (event, reason, error) = match judged {
            Judged::Permitted(permitted) => {
                obligations = permitted.obligations().map(|all| all.to_json());
                let recorded = recorder.record(permitted, Durability::Durable).await?;
                (recorded.receipt(), "permitted", None)
            }
            Judged::Denied(denied) => {
                if let Some(demand) = denied.reason().step_up() {
                    obligations = Some(step_up(demand));
                }
                let reason = denied.reason().as_str();
                (recorder.record_denied(denied)?.receipt(), reason, None)
            }
            Judged::Unanswerable(Unanswerable { recorded, told }) => {
                (self.record_unasked(recorded).await?, told, None)
            }
            Judged::Unreadable(error) => {
                let reason = "invalid_request";
                (self.record_unasked(reason).await?, reason, Some(error))
            }
        };
        Ok(Answered {
            decision,
            reason,
            event,
            policies: self.policies.digest().to_string(),
            obligations,
            error,
        })
    }

    /// Records all of it at once, in its order: one wait for the disk.
    pub(super) async fn record_all(&self, judged: Vec<Judged>) -> Result<Vec<Answered>, Failure> {
        try_join_all(judged.into_iter().map(|judged| self.record(judged))).await
    }

    /// A denial that no policy was asked about. The caller's own texts are not recorded.
    async fn record_unasked(&self, reason: &'static str) -> Result<EventId, Failure> {
        let mut decision = event::Decision::new(SURFACE, Verdict::Denied, Code::of(reason));
        decision.client = Some(self.asker.client().clone());
        decision.resource = Text::of("DecisionPoint");
        let recorder = self.access.fabric.recorder();
        let (tenant, request) = (self.asker.tenant(), Some(self.asker.request()));
        Ok(recorder
            .event(tenant, request, decision, Durability::Queued)
            .await?)
    }
}

/// Somebody to ask about, whether or not the directory knows them; none if the description fits nothing.
fn or_nobody(found: Result<Found, NoEntity>) -> Option<Found> {
    match found {
        Ok(found) => Some(found),
        Err(NoEntity::Unknown(nobody)) => Some(*nobody),
        Err(NoEntity::Unfit) => None,
    }
}
