//! Brings the store to what the configuration declares: tenants, groups, people, clients.
//!
//! What is declared belongs to the configuration ([`Origin::Configuration`]) and can't be changed by script; what was declared once and is no longer is
//! removed (clients, groups) or disabled (people, identity providers). What a script made is left alone, unless the configuration declares the same name: then it takes it over.

use crate::passwords::{PasswordPool, PoolBusy};
use crate::secrets::Secrets;
use crate::wrong_codes;
use countersign_audit::event::{
    Actor, ClientAdded, ClientChanged, ProviderChanged, TenantAdded, UserAdded, UserChanged,
};
use countersign_audit::{Code, Event, Record, Text};
use countersign_authn::client::secret_tag;
use countersign_base::{Clock, Secret, Tenant};
use countersign_crypto::password::{PasswordError, PasswordHash};
use countersign_federation::ProviderRecord;
use countersign_federation::provider::ProviderState;
use countersign_oauth::authentication::{BreachedPasswords, PasswordRefused};
use countersign_oauth::client::Origin;
use countersign_oauth::{
    ClientAuthentication, ClientRecord, GroupRecord, StoredPassword, TenantRecord, UserRecord,
};
use countersign_store::tables::revocations::Revoked;
use countersign_store::tables::{
    PAGE_MAX, clients, identity_providers, tenants, user_groups, users,
};
use countersign_store::{AuthenticatorChange, Store, StoreError, Write};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A person that the configuration declares.
pub struct DeclaredUser {
    /// Their record; id, password and time of making are filled in here.
    pub record: UserRecord,
    /// Their password in clear, for as long as it takes to hash it.
    pub password: Secret<String>,
}

/// A client that the configuration declares.
pub struct DeclaredClient {
    /// Its record; for a client with a secret, the authentication is filled in here.
    pub record: ClientRecord,
    /// Its secret, if it has one.
    pub secret: Option<Secret<String>>,
}

/// Everything that a configuration declares.
#[derive(Default)]
pub struct Declared {
    /// Tenants.
    pub tenants: Vec<TenantRecord>,
    /// Groups.
    pub groups: Vec<GroupRecord>,
    /// People.
    pub users: Vec<DeclaredUser>,
    /// Clients.
    pub clients: Vec<DeclaredClient>,
    /// Identity providers that are not ours.
    pub providers: Vec<ProviderRecord>,
    /// Passwords that nobody may choose.
    pub breached_passwords: BreachedPasswords,
}

/// Why the store could not be brought there.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A password cannot be one.
    #[error("a declared password cannot be used: {0}")]
    Password(#[from] PasswordError),
    /// The tenant's rules refuse a password.
    #[error("a declared password cannot be used: {0}")]
    PasswordRefused(#[from] PasswordRefused),
    /// The password pool is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Carries the declaration out; gives the number of changes.
pub(crate) struct Reconciler<'a> {
    pub(crate) store: &'a Store,
    pub(crate) secrets: &'a Secrets,
    pub(crate) passwords: &'a PasswordPool,
    pub(crate) clock: &'a Clock,
}

impl Reconciler<'_> {
    /// Tenants come first: everything else belongs to one.
    ///
    /// # Errors
    /// When the store fails, or a password cannot be hashed; changes made before stay.
    pub(crate) async fn run(&self, declared: Declared) -> Result<u64, ReconcileError> {
        let mut changes = 0;
        self.passwords
            .ask_about_leaks(Arc::new(declared.breached_passwords));
        let names: BTreeSet<Tenant> = declared
            .tenants
            .iter()
            .map(|tenant| tenant.name.clone())
            .collect();
        for tenant in declared.tenants {
            changes += self.tenant(tenant).await?;
        }
        changes += self.groups(&names, declared.groups).await?;
        changes += self.users(&names, declared.users).await?;
        changes += self.clients(&names, declared.clients).await?;
        changes += self.providers(&names, declared.providers).await?;
        Ok(changes)
    }

    async fn tenant(&self, declared: TenantRecord) -> Result<u64, ReconcileError> {
        let mut connection = self.store.read().await?;
        let stored = tenants::find(&mut connection, &declared.name).await?;
        drop(connection);
        if stored.as_ref() == Some(&declared) {
            return Ok(0);
        }
        let name = declared.name.clone();
        let event = TenantAdded {
            by: Actor::Configuration,
            name: name.clone(),
        };
        self.change(
            &name,
            vec![Write::PutTenant(Box::new(declared))],
            event.into(),
        )
        .await
    }

    async fn groups(
        &self,
        tenants: &BTreeSet<Tenant>,
        declared: Vec<GroupRecord>,
    ) -> Result<u64, ReconcileError> {
        let mut changes = 0;
        for tenant in tenants {
            let mut connection = self.store.read().await?;
            let stored = user_groups::list(&mut connection, tenant, None, PAGE_MAX).await?;
            drop(connection);
            let wanted: Vec<&GroupRecord> = declared
                .iter()
                .filter(|group| group.tenant == *tenant)
                .collect();
            let gone = stored.iter().filter(|group| {
                group.origin == Origin::Configuration
                    && !wanted.iter().any(|other| other.name == group.name)
            });
            let mut writes: Vec<Write> = gone
                .map(|group| Write::RemoveGroup(group.name.clone()))
                .collect();
            let changed = wanted.into_iter().filter(|group| !stored.contains(group));
            writes.extend(changed.map(|group| Write::PutGroup(Box::new(group.clone()))));
            if !writes.is_empty() {
                let event = countersign_audit::event::AdminAction {
                    action: countersign_audit::Text::of("groups.reconcile"),
                    by: Actor::Configuration,
                    decision: countersign_audit::event::Verdict::Allowed,
                    reason: Code::of("declared"),
                    resource: countersign_audit::Text::of("groups"),
                };
                changes += self.change(tenant, writes, event.into()).await?;
            }
        }
        Ok(changes)
    }

    async fn users(
        &self,
        tenants: &BTreeSet<Tenant>,
        declared: Vec<DeclaredUser>,
    ) -> Result<u64, ReconcileError> {
        let mut changes = self.disable_undeclared(tenants, &declared).await?;
        for user in declared {
            changes += self.user(user).await?;
        }
        Ok(changes)
    }

    async fn disable_undeclared(
        &self,
        tenants: &BTreeSet<Tenant>,
        declared: &[DeclaredUser],
    ) -> Result<u64, ReconcileError> {
        let mut changes = 0;
        for tenant in tenants {
            let mut after = None;
            loop {
                let mut connection = self.store.read().await?;
                let page = users::list(&mut connection, tenant, after.as_ref(), PAGE_MAX).await?;
                drop(connection);
                let Some(last) = page.last() else { break };
                after = Some(last.username.clone());
                for mut user in page
                    .into_iter()
                    .filter(|user| user.origin == Origin::Configuration && user.enabled)
                {
                    let kept = declared.iter().any(|other| {
                        other.record.tenant == *tenant && other.record.username == user.username
                    });
                    if !kept {
                        user.enabled = false;
                        let event = UserChanged {
                            by: Actor::Configuration,
                            change: Code::of("disabled"),
                            user: user.id,
                        };
                        let revoked = Revoked::User(user.id);
                        // The person's row first, as everywhere, so that nodes wait for each other instead of deadlocking.
                        let writes = vec![Write::PutUser(Box::new(user)), Write::Revoke(revoked)];
                        changes += self.change(tenant, writes, event.into()).await?;
                    }
                }
            }
        }
        Ok(changes)
    }

    async fn user(&self, declared: DeclaredUser) -> Result<u64, ReconcileError> {
        let DeclaredUser {
            mut record,
            password,
        } = declared;
        let mut connection = self.store.read().await?;
        let stored = users::find_by_name(&mut connection, &record.tenant, &record.username).await?;
        drop(connection);
        let tenant = record.tenant.clone();
        let Some(stored) = stored else {
            record.id = self.secrets.random().user_id();
            record.created = self.clock.now();
            record.password = Some(self.hash(&record, password).await?);
            let event = UserAdded {
                by: Actor::Configuration,
                user: record.id,
            };
            return self
                .change(
                    &tenant,
                    vec![Write::AddUser(Box::new(record))],
                    event.into(),
                )
                .await;
        };
        record.id = stored.id;
        record.created = stored.created;
        record.password = match stored
            .password
            .as_ref()
            .and_then(|kept| PasswordHash::parse(kept.phc()).ok())
        {
            Some(hash) => {
                let candidate = Secret::new(password.expose().clone());
                match self.passwords.verify(hash, candidate).await? {
                    Ok(_matched) => stored.password.clone(),
                    Err(_differs) => Some(self.hash(&record, password).await?),
                }
            }
            None => Some(self.hash(&record, password).await?),
        };
        if record == stored {
            return Ok(0);
        }
        let event = UserChanged {
            by: Actor::Configuration,
            change: Code::of("declared"),
            user: record.id,
        };
        let (id, renewed) = (record.id, record.password != stored.password);
        let mut writes = vec![Write::PutUser(Box::new(record))];
        if renewed {
            // Whoever knew the password before is out.
            writes.push(Write::Revoke(Revoked::User(id)));
            writes.extend(wrong_codes::forgotten(self.secrets, &tenant, id));
            let forgotten = AuthenticatorChange::ForgetBrowsers(id);
            writes.push(Write::Authenticator(forgotten));
        }
        self.change(&tenant, writes, event.into()).await
    }

    /// A new password, by the rules of the tenant as it is declared.
    async fn hash(
        &self,
        of: &UserRecord,
        password: Secret<String>,
    ) -> Result<StoredPassword, ReconcileError> {
        let mut connection = self.store.read().await?;
        let tenant = tenants::find(&mut connection, &of.tenant).await?;
        drop(connection);
        let rules = tenant
            .map(|tenant| tenant.authentication)
            .unwrap_or_default();
        let chosen = self
            .passwords
            .judge(password, &of.username, rules.passwords())?;
        let hash = self.passwords.create(chosen).await??;
        Ok(StoredPassword::new(hash.to_string()))
    }

    async fn clients(
        &self,
        tenants: &BTreeSet<Tenant>,
        declared: Vec<DeclaredClient>,
    ) -> Result<u64, ReconcileError> {
        let mut changes = 0;
        for tenant in tenants {
            let mut after = None;
            loop {
                let mut connection = self.store.read().await?;
                let page = clients::list(&mut connection, tenant, after.as_ref(), PAGE_MAX).await?;
                drop(connection);
                let Some(last) = page.last() else { break };
                after = Some(last.id.clone());
                for client in page
                    .into_iter()
                    .filter(|client| client.origin == Origin::Configuration)
                {
                    if !declared
                        .iter()
                        .any(|other| other.record.tenant == *tenant && other.record.id == client.id)
                    {
                        let event = ClientChanged {
                            by: Actor::Configuration,
                            change: Code::of("removed"),
                            client: client.id.clone(),
                        };
                        changes += self
                            .change(tenant, vec![Write::RemoveClient(client.id)], event.into())
                            .await?;
                    }
                }
            }
        }
        for client in declared {
            changes += self.client(client).await?;
        }
        Ok(changes)
    }

    async fn client(&self, declared: DeclaredClient) -> Result<u64, ReconcileError> {
        let DeclaredClient { mut record, secret } = declared;
        if let Some(secret) = secret {
            let key = self.secrets.client_secret_key(&record.tenant);
            let tag = secret_tag(&key, &record.tenant, &record.id, &secret);
            let tag = tag.as_bytes().to_vec();
            record.authentication = match record.authentication {
                ClientAuthentication::PostedSecret { .. } => {
                    ClientAuthentication::PostedSecret { tag }
                }
                ClientAuthentication::Certificates { .. }
                | ClientAuthentication::Keys { .. }
                | ClientAuthentication::Public
                | ClientAuthentication::Secret { .. }
                | ClientAuthentication::TlsSubject { .. }
                | ClientAuthentication::Workload { .. } => ClientAuthentication::Secret { tag },
            };
        }
        let mut connection = self.store.read().await?;
        let stored = clients::find(&mut connection, &record.tenant, &record.id).await?;
        drop(connection);
        let (tenant, id) = (record.tenant.clone(), record.id.clone());
        let event: Event = match &stored {
            None => {
                record.created = self.clock.now();
                ClientAdded {
                    by: Actor::Configuration,
                    client: id,
                    method: method(&record.authentication),
                }
                .into()
            }
            Some(stored) => {
                record.created = stored.created;
                if record == *stored {
                    return Ok(0);
                }
                ClientChanged {
                    by: Actor::Configuration,
                    change: Code::of("declared"),
                    client: id,
                }
                .into()
            }
        };
        self.change(&tenant, vec![Write::PutClient(Box::new(record))], event)
            .await
    }

    /// A provider that is no longer declared is disabled, not forgotten: its links stand again when it comes back, and what came of it ends now.
    async fn providers(
        &self,
        tenants: &BTreeSet<Tenant>,
        declared: Vec<ProviderRecord>,
    ) -> Result<u64, ReconcileError> {
        let mut changes = 0;
        for tenant in tenants {
            let mut connection = self.store.read().await?;
            let stored = identity_providers::list(&mut connection, tenant).await?;
            drop(connection);
            let wanted: Vec<&ProviderRecord> = declared
                .iter()
                .filter(|provider| provider.tenant == *tenant)
                .collect();
            let gone = stored.iter().filter(|provider| {
                provider.is_enabled() && !wanted.iter().any(|other| other.name == provider.name)
            });
            let disabled = gone.map(|provider| ProviderRecord {
                state: ProviderState::Disabled,
                ..provider.clone()
            });
            let changed = wanted.iter().filter(|provider| !stored.contains(provider));
            for provider in disabled.chain(changed.map(|provider| (*provider).clone())) {
                let event = ProviderChanged {
                    by: Actor::Configuration,
                    change: Code::of(if provider.is_enabled() {
                        "declared"
                    } else {
                        "disabled"
                    }),
                    provider: Text::of(provider.name.as_str()),
                };
                let writes = vec![Write::PutProvider(Box::new(provider))];
                changes += self.change(tenant, writes, event.into()).await?;
            }
        }
        Ok(changes)
    }

    async fn change(
        &self,
        tenant: &Tenant,
        writes: Vec<Write>,
        event: Event,
    ) -> Result<u64, ReconcileError> {
        let record = Record {
            id: self.secrets.random().event_id(),
            time: self.clock.millis(),
            tenant: tenant.clone(),
            request: None,
            event,
        };
        self.store
            .change(tenant, writes, record, self.clock.now())
            .await?;
        Ok(1)
    }
}

/// The name of a method of client authentication, as records say it.
#[must_use]
pub fn method(authentication: &ClientAuthentication) -> Code {
    Code::of(authentication.method())
}

#[cfg(test)]
mod tests;
