//! How an authorization request ends: with a code, or without one. Either way a pushed request is spent.

use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::call::Call;
use crate::identity::documents;
use crate::identity::record;
use crate::identity::response::deliver;
use crate::identity::sign_in::admission::Admitted;
use crate::identity::ticket::{Source, Ticket};
use axum::response::Response;
use countersign_audit::event::CodeIssued;
use countersign_audit::{Event, Record, Text};
use countersign_oauth::authorize::{Approved, PageError, ReturnAddress};
use countersign_oauth::{
    AuthorizationRequest, ClientRecord, ConsentRecord, OAuthError, PushedRequest, Taken,
};
use countersign_store::{AuthorizationCode, Judged, NewOneTime, RequestUri, Settled, Write};

/// What a code is made of: what the person approved, and that policy lets them go on to this client.
pub(in super::super) struct Cleared {
    pub(in super::super) approved: Approved,
    pub(in super::super) admitted: Admitted,
    /// What they said just now, to be remembered.
    pub(in super::super) consent: Option<ConsentRecord>,
}

/// Makes the code, spends the pushed request and remembers the consent in one transaction, then sends the browser back.
pub(in super::super) async fn issue(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    request: &AuthorizationRequest,
    ticket: &Ticket,
    cleared: Cleared,
) -> Result<Response, Failure> {
    let fabric = &identity.fabric;
    let (now, code) = (fabric.now(), fabric.random().token());
    let record = cleared.approved.code(fabric.random().grant_id(), now);
    if !cleared.admitted.is_of(record.user, &record.client) {
        return Err(PageError::InteractionOver.into());
    }
    let event = CodeIssued {
        aud: record
            .audiences
            .first()
            .map(|audience| Text::of(audience.as_str())),
        client: record.client.clone(),
        grant: record.grant,
        scopes: Text::of(&record.scopes.to_string()),
        user: record.user,
    };
    let event = fabric
        .recorder()
        .about_event(&call.tenant.name, Some(call.id), event);
    let hash = fabric
        .secrets()
        .handle::<AuthorizationCode>(&call.tenant.name, code.expose());
    let mut writes = vec![Write::AddOneTime(NewOneTime::new::<AuthorizationCode>(
        &hash,
        &record,
        record.expires,
    )?)];
    // The row of a client that is a document comes first: the consent names it.
    let row = documents::row(identity, call, &request.client).await?;
    let known = row.is_some();
    writes.extend(row);
    writes.extend(
        cleared
            .consent
            .map(|consent| Write::PutConsent(Box::new(consent))),
    );
    commit(identity, call, ticket, writes, event).await?;
    if known {
        fabric
            .directory()
            .client_changed(&call.tenant.name, &request.client);
    }
    let address = ReturnAddress::of(request, &call.tenant.issuer);
    deliver(identity, call, client, address.code(code))
}

/// Ends an interaction without a code: a pushed request is spent by an error as by a code (PAR-6, PAR-9).
pub(in super::super) async fn end(
    identity: &Identity,
    call: &Call,
    ticket: &Ticket,
    event: impl Into<Event>,
) -> Result<(), Failure> {
    match &ticket.source {
        Source::Here(_) | Source::Page(_) => record::refused(identity, call, event),
        Source::Pushed(_) => {
            let event =
                identity
                    .fabric
                    .recorder()
                    .about_event(&call.tenant.name, Some(call.id), event);
            commit(identity, call, ticket, Vec::new(), event).await
        }
    }
}

/// Writes everything at once, or nothing: a pushed request that was used before ends here (PAR-6).
async fn commit(
    identity: &Identity,
    call: &Call,
    ticket: &Ticket,
    writes: Vec<Write>,
    event: Record,
) -> Result<(), Failure> {
    let fabric = &identity.fabric;
    let now = fabric.now();
    let handle = match &ticket.source {
        Source::Here(_) | Source::Page(_) => {
            let _receipt = fabric
                .store()
                .change(&call.tenant.name, writes, event, now)
                .await?;
            return Ok(());
        }
        Source::Pushed(handle) => fabric
            .secrets()
            .handle::<RequestUri>(&call.tenant.name, handle),
    };
    let judge = move |taken: Taken<PushedRequest>| match taken {
        Taken::Fresh(_) => Judged::Commit {
            permit: (),
            writes,
            event,
        },
        Taken::Spent(_) => Judged::Refuse {
            error: OAuthError::RequestUriReused,
        },
        Taken::Unknown => Judged::Refuse {
            error: OAuthError::RequestUriUnknown,
        },
    };
    let settled = fabric
        .store()
        .spend::<RequestUri, (), OAuthError, _>(&call.tenant.name, handle, now, judge)
        .await?;
    let error = match settled {
        Settled::Permitted(_) => return Ok(()),
        Settled::Refused(refused) => refused.into_decision(),
        Settled::RefusedUnrecorded(error) => error,
    };
    record::authorization_refused(
        identity,
        call,
        ticket.client.clone(),
        "error_page",
        error.reason(),
    )?;
    Err(PageError::RequestUri(error).into())
}
