//! Searches: who may, to what, and what. Each candidate is a question of its own, decided by the same policies; those that are permitted are recorded and told.
//!
//! A search can only look where there is a list: people and clients of the directory, their accounts, and the actions of the schema. Anything else is refused
//! rather than answered with nothing. A page ends with its limit or once [`EXAMINED_MAX`] candidates were looked at, so a page may hold fewer than were asked
//! for and still name a next one.

use super::Access;
use super::answer::Failure;
use super::caller::{self, Admitted, Right};
use super::directory::{Found, NoEntity, entity_of, person};
use super::pages::PageOf;
use super::question::{Asking, Judged};
use axum::extract::Request;
use countersign_base::{ClientId, RequestId, Tenant, UserId};
use countersign_policy::authzen::{Described, Search, Sought};
use countersign_policy::vocabulary;
use countersign_store::StoreError;
use countersign_store::tables::{clients, users};
use serde_json::{Value, json};

/// Candidates that one call looks at.
const EXAMINED_MAX: u16 = 200;

/// One that a search may tell of.
struct Candidate {
    /// Names it in the answer and, if the page ends with it, the next page.
    id: String,
    /// Nothing if it is disabled.
    found: Option<Found>,
}

/// The lists that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Accounts,
    Clients,
    People,
}

pub(super) async fn found(
    access: &Access,
    id: RequestId,
    request: Request,
    sought: Sought,
) -> Result<Value, Failure> {
    let Admitted { asker, body } = caller::admit(access, id, request, Right::Search).await?;
    let mut search = Search::parse(sought, &body)?;
    let of = PageOf::new(&asker, sought, &search);
    if let Some(token) = &search.token {
        search.token = Some(access.pages.last(&of, token)?);
    }
    let mut asking = Asking::new(access, &asker);
    match sought {
        Sought::Action => actions(&mut asking, &search).await,
        Sought::Subject => {
            let resource = asking.find(&search.resource).await?;
            let sought = &search.subject;
            let pick = |found: Found| (Ok(found), resource.clone());
            let page = entities(access, &asking, &search, sought, pick, asker.tenant()).await?;
            page.told(access, &of)
        }
        Sought::Resource => {
            let subject = asking.find(&search.subject).await?;
            let sought = &search.resource;
            let pick = |found: Found| (subject.clone(), Ok(found));
            let page = entities(access, &asking, &search, sought, pick, asker.tenant()).await?;
            page.told(access, &of)
        }
    }
}

/// The actions of the schema that apply between the two, as far as they are permitted. They are few, so there is one page.
async fn actions(asking: &mut Asking<'_>, search: &Search) -> Result<Value, Failure> {
    let subject = asking.find(&search.subject).await?;
    let resource = asking.find(&search.resource).await?;
    let names = match (&subject, &resource) {
        (Ok(subject), Ok(resource)) => asking
            .policies()
            .actions_between(subject.entity.id().kind(), resource.entity.id().kind()),
        (Err(_), _) | (_, Err(_)) => Vec::new(),
    };
    let mut permitted = Vec::new();
    let mut results = Vec::new();
    for name in names {
        let prepared = asking.question(subject.clone(), &name, resource.clone(), &search.context);
        let judged = asking.judge(prepared);
        if judged.decision() {
            permitted.push(judged);
            results.push(json!({ "name": name }));
        }
    }
    asking.record_all(permitted).await?;
    Ok(page(results, None))
}

/// Those of a list that are permitted, from the page's beginning on.
async fn entities(
    access: &Access,
    asking: &Asking<'_>,
    search: &Search,
    sought: &Described,
    pick: impl Fn(Found) -> (Result<Found, NoEntity>, Result<Found, NoEntity>),
    tenant: &Tenant,
) -> Result<Page, Failure> {
    let listed = match asking.policies().kind(&sought.kind) {
        Some("Account") => Listed::Accounts,
        Some("Client") => Listed::Clients,
        Some("User") => Listed::People,
        Some(_) | None => return Err(Failure::NotListed),
    };
    let candidates = candidates(access, tenant, listed, search.token.as_deref()).await?;
    let whole_list = candidates.len() < usize::from(EXAMINED_MAX);
    let (examined, mut last) = (candidates.len(), None);
    let mut permitted: Vec<Judged> = Vec::new();
    let mut results = Vec::new();
    let mut seen = 0;
    for candidate in candidates {
        if results.len() >= usize::from(search.limit) {
            break;
        }
        seen += 1;
        last = Some(candidate.id.clone());
        let Some(found) = candidate.found else {
            continue;
        };
        let (subject, resource) = pick(found);
        let prepared = asking.question(subject, &search.action, resource, &search.context);
        let judged = asking.judge(prepared);
        if judged.decision() {
            permitted.push(judged);
            results.push(json!({ "type": sought.kind, "id": candidate.id }));
        }
    }
    asking.record_all(permitted).await?;
    let ended = whole_list && seen == examined;
    Ok(Page {
        results,
        last: last.filter(|_| !ended),
    })
}

/// Those that a page tells of, and whom it ended with if there may be more.
struct Page {
    results: Vec<Value>,
    last: Option<String>,
}

impl Page {
    fn told(self, access: &Access, of: &PageOf) -> Result<Value, Failure> {
        let next = self
            .last
            .map(|last| access.pages.after(of, &last, access.fabric.random()));
        Ok(page(self.results, next.transpose()?))
    }
}

fn page(results: Vec<Value>, next: Option<String>) -> Value {
    let next = next.unwrap_or_default();
    json!({ "results": results, "page": { "next_token": next } })
}

/// The next of a list behind the one that the page before ended with.
async fn candidates(
    access: &Access,
    tenant: &Tenant,
    listed: Listed,
    after: Option<&str>,
) -> Result<Vec<Candidate>, Failure> {
    match listed {
        Listed::Clients => clients_after(access, tenant, after).await,
        Listed::Accounts | Listed::People => people_after(access, tenant, listed, after).await,
    }
}

async fn clients_after(
    access: &Access,
    tenant: &Tenant,
    after: Option<&str>,
) -> Result<Vec<Candidate>, Failure> {
    let after = after
        .map(|after| after.parse::<ClientId>().map_err(|_| Failure::PageUnknown))
        .transpose()?;
    let mut connection = access.fabric.store().read().await?;
    let records = clients::list(&mut connection, tenant, after.as_ref(), EXAMINED_MAX).await?;
    let candidate = |record: countersign_oauth::ClientRecord| Candidate {
        found: record.enabled.then(|| Found {
            entity: vocabulary::client(&record.id, tenant),
            user: None,
        }),
        id: record.id.as_str().to_owned(),
    };
    Ok(records.into_iter().map(candidate).collect())
}

async fn people_after(
    access: &Access,
    tenant: &Tenant,
    listed: Listed,
    after: Option<&str>,
) -> Result<Vec<Candidate>, Failure> {
    let records = {
        let mut connection = access.fabric.store().read().await?;
        let after = match after {
            None => None,
            Some(after) => {
                let id: UserId = after.parse().map_err(|_| Failure::PageUnknown)?;
                let last = users::find(&mut connection, tenant, id).await?;
                Some(last.ok_or(Failure::PageUnknown)?.username)
            }
        };
        users::list(&mut connection, tenant, after.as_ref(), EXAMINED_MAX).await?
    };
    let mut candidates = Vec::with_capacity(records.len());
    for record in records {
        let id = record.id.to_string();
        let found = candidate_person(access, tenant, listed, &id).await?;
        candidates.push(Candidate { id, found });
    }
    Ok(candidates)
}

/// Read again one by one: a list does not know of groups.
async fn candidate_person(
    access: &Access,
    tenant: &Tenant,
    listed: Listed,
    id: &str,
) -> Result<Option<Found>, StoreError> {
    let Some(person) = person(access, tenant, id).await? else {
        return Ok(None);
    };
    Ok(Some(match listed {
        Listed::Accounts | Listed::Clients => Found {
            entity: vocabulary::account(person.user.id, tenant),
            user: None,
        },
        Listed::People => Found {
            entity: entity_of(&person, tenant),
            user: Some(person.user.id),
        },
    }))
}
