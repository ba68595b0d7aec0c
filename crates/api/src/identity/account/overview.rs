//! What the account pages show: read from the store at each visit, newest first.

use super::{Change, seal};
use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::call::Call;
use crate::identity::ticket::Browser;
use crate::pages;
use crate::pages::account::{
    AccountPage, ApplicationRow, ApplicationsPage, Frame, LinkedRow, Moment, OfferedRow,
    ProvidersPage, SessionRow, SessionsPage,
};
use axum::response::Response;
use countersign_base::{Audience, ClientId, Scopes, UnixTime};
use countersign_federation::LinkingRule;
use countersign_federation::linking::SessionProof;
use countersign_oauth::{ResolvedUser, Session};
use countersign_store::tables::{consents, grants, sessions, upstream_links};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one list.
const SHOWN_MAX: u16 = 200;

/// A page on its way to a browser.
pub(super) struct View<'a> {
    pub(super) identity: &'a Identity,
    pub(super) call: &'a Call,
    pub(super) session: &'a Session,
    pub(super) browser: &'a Browser,
    pub(super) owner: ResolvedUser,
    pub(super) frame: Frame,
}

/// What one application may, from consents and grants together.
struct Access {
    scopes: Scopes,
    audiences: BTreeSet<Audience>,
    since: UnixTime,
    active: bool,
}

impl View<'_> {
    pub(super) async fn render(self, page: AccountPage) -> Result<Response, Failure> {
        match page {
            AccountPage::Sessions => self.sessions().await,
            AccountPage::Applications => self.applications().await,
            AccountPage::Security => self.security().await,
            AccountPage::App => self.app(None),
            AccountPage::Password => self.password(None),
            AccountPage::Providers => self.providers().await,
        }
    }

    pub(super) fn ticket(&self, change: Change) -> Result<String, Failure> {
        seal(self.identity, self.call, self.browser, self.session, change)
    }

    async fn sessions(self) -> Result<Response, Failure> {
        let fabric = &self.identity.fabric;
        let mut connection = fabric.store().read().await?;
        let mut found = sessions::of_user(
            &mut connection,
            &self.call.tenant.name,
            self.session.user,
            SHOWN_MAX,
            fabric.now(),
        )
        .await?;
        drop(connection);
        found.sort_by_key(|session| (session.id != self.session.id, -session.auth_time.0));
        let rows = found.into_iter().map(|session| {
            let device = session.device;
            Ok(SessionRow {
                device: device.map_or_else(|| "A browser".to_owned(), |device| device.to_string()),
                began: session.auth_time.into(),
                ends: session.expires.into(),
                here: session.id == self.session.id,
                ticket: self.ticket(Change::EndSession(session.id))?,
            })
        });
        let page = SessionsPage {
            sessions: rows.collect::<Result<_, Failure>>()?,
            everywhere: self.ticket(Change::EndEverySession)?,
            frame: self.frame,
        };
        Ok(pages::render(&self.call.tenant, &page, ""))
    }

    async fn applications(self) -> Result<Response, Failure> {
        let mut rows = Vec::new();
        for (client, access) in self.accesses().await? {
            let directory = self.identity.fabric.directory();
            let record = directory.client(&self.call.tenant.name, &client).await?;
            let name = record.map_or_else(|| client.to_string(), |record| record.name.to_string());
            let scopes = access.scopes.iter().map(|scope| {
                let words = pages::explain(scope.as_str()).words;
                (scope.to_string(), words)
            });
            let issuer = self.call.tenant.issuer.as_str();
            let audiences = access
                .audiences
                .iter()
                .map(ToString::to_string)
                .filter(|audience| audience != issuer);
            rows.push(ApplicationRow {
                name,
                scopes: scopes.collect(),
                audiences: audiences.collect(),
                since: access.since.into(),
                active: access.active,
                ticket: self.ticket(Change::RemoveAccess(client.clone()))?,
                id: client.to_string(),
            });
        }
        let page = ApplicationsPage {
            frame: self.frame,
            applications: rows,
        };
        Ok(pages::render(&self.call.tenant, &page, ""))
    }

    async fn accesses(&self) -> Result<BTreeMap<ClientId, Access>, Failure> {
        let fabric = &self.identity.fabric;
        let (tenant, user) = (&self.call.tenant.name, self.session.user);
        let mut connection = fabric.store().read().await?;
        let consents = consents::of_user(&mut connection, tenant, user, SHOWN_MAX).await?;
        let grants =
            grants::of_user(&mut connection, tenant, user, SHOWN_MAX, fabric.now()).await?;
        drop(connection);
        let mut found: BTreeMap<ClientId, Access> = BTreeMap::new();
        let mut add = |client, scopes: Scopes, audiences: BTreeSet<Audience>, since, active| {
            let entry = found.entry(client).or_insert_with(|| Access {
                scopes: Scopes::none(),
                audiences: BTreeSet::new(),
                since,
                active: false,
            });
            entry.scopes = entry.scopes.iter().chain(scopes.iter()).cloned().collect();
            entry.audiences.extend(audiences);
            entry.since = entry.since.min(since);
            entry.active |= active;
        };
        for consent in consents {
            add(
                consent.client,
                consent.scopes,
                consent.audiences,
                consent.granted,
                false,
            );
        }
        for grant in grants {
            let audiences = grant.audiences.into_iter().collect();
            add(grant.client, grant.scopes, audiences, grant.created, true);
        }
        Ok(found)
    }

    async fn providers(self) -> Result<Response, Failure> {
        let fabric = &self.identity.fabric;
        let mut connection = fabric.store().read().await?;
        let tenant = &self.call.tenant.name;
        let links = upstream_links::of_user(&mut connection, tenant, self.session.user).await?;
        drop(connection);
        let upstreams = fabric.upstreams();
        let mut linked = Vec::new();
        for link in &links {
            let label = upstreams.find(tenant, &link.provider).map_or_else(
                || link.provider.to_string(),
                |known| known.record().label.to_string(),
            );
            linked.push(LinkedRow {
                label,
                since: Moment::from(link.linked),
                ticket: self.ticket(Change::Unlink(link.provider.clone()))?,
            });
        }
        let mut offered = Vec::new();
        for upstream in upstreams.of_tenant(tenant) {
            let record = upstream.record();
            let is_linked = links.iter().any(|link| link.provider == record.name);
            if !is_linked && record.linking != LinkingRule::None {
                offered.push(OfferedRow {
                    label: record.label.to_string(),
                    ticket: self.ticket(Change::Link(record.name.clone()))?,
                });
            }
        }
        let page = ProvidersPage {
            hindrance: (super::proof(self.session) == SessionProof::Other).then_some(
                "To link or unlink an account, sign in with your password or a passkey.",
            ),
            linked,
            offered,
            frame: self.frame,
        };
        Ok(pages::render(&self.call.tenant, &page, ""))
    }
}
