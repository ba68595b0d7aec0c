//! Who people and clients are: as the directory knows them, never as the caller says. An account is the person's whose it is; whatever else there is, the
//! caller describes.

use super::Access;
use countersign_authn::AttributeValue;
use countersign_base::{ClientId, Tenant, UserId, Username};
use countersign_oauth::user::ResolvedUser;
use countersign_policy::authzen::Described;
use countersign_policy::{Entity, PolicySet, vocabulary};
use countersign_store::StoreError;
use countersign_store::tables::{user_groups, users};
use std::collections::{BTreeMap, HashMap};

/// Why there is no such entity to ask about.
#[derive(Clone)]
pub(super) enum NoEntity {
    /// The directory knows nobody and nothing of this id, or they are disabled. With one of the same type that has nothing and is nobody, so that a caller can be
    /// told what it would be told of somebody in whom no policy sees anything.
    Unknown(Box<Found>),
    /// The description does not fit the schema, or names a type that it does not have.
    Unfit,
}

/// An entity, and the person it is.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) entity: Entity,
    pub(super) user: Option<UserId>,
}

/// The directory of one tenant, for one call: what was looked up once is not looked up again.
pub(super) struct Directory<'a> {
    access: &'a Access,
    tenant: &'a Tenant,
    seen: HashMap<(String, String), Option<Found>>,
}

impl<'a> Directory<'a> {
    pub(super) fn new(access: &'a Access, tenant: &'a Tenant) -> Self {
        Self {
            access,
            tenant,
            seen: HashMap::new(),
        }
    }

    /// The entity that is described.
    pub(super) async fn find(
        &mut self,
        policies: &PolicySet,
        described: &Described,
    ) -> Result<Result<Found, NoEntity>, StoreError> {
        let Some(kind) = policies.kind(&described.kind) else {
            return Ok(Err(NoEntity::Unfit));
        };
        if !matches!(
            kind,
            "Account" | "Administration" | "Client" | "DecisionPoint" | "User"
        ) {
            let entity = policies.describe(described, self.tenant);
            return Ok(entity
                .map(|entity| Found { entity, user: None })
                .map_err(|_| NoEntity::Unfit));
        }
        let key = (kind.to_owned(), described.id.clone());
        let found = match self.seen.get(&key) {
            Some(seen) => seen.clone(),
            None => {
                let found = self.known(kind, &described.id).await?;
                self.seen.insert(key, found.clone());
                found
            }
        };
        Ok(found.ok_or_else(|| NoEntity::Unknown(Box::new(nobody(kind, self.tenant)))))
    }

    async fn known(&self, kind: &str, id: &str) -> Result<Option<Found>, StoreError> {
        let tenant = self.tenant;
        let of_tenant = |entity: Entity| (id == tenant.as_str()).then_some(entity);
        let entity = match kind {
            "Account" => {
                let person = person(self.access, tenant, id).await?;
                person.map(|person| vocabulary::account(person.user.id, tenant))
            }
            "Administration" => of_tenant(vocabulary::administration(tenant)),
            "Client" => self.client(id).await?,
            "DecisionPoint" => of_tenant(vocabulary::decision_point(tenant)),
            _ => {
                let person = person(self.access, tenant, id).await?;
                return Ok(person.map(|person| Found {
                    entity: entity_of(&person, tenant),
                    user: Some(person.user.id),
                }));
            }
        };
        Ok(entity.map(|entity| Found { entity, user: None }))
    }

    async fn client(&self, id: &str) -> Result<Option<Entity>, StoreError> {
        let Ok(id) = id.parse::<ClientId>() else {
            return Ok(None);
        };
        let directory = self.access.fabric.directory();
        let client = directory.client(self.tenant, &id).await?;
        let client = client.filter(|client| client.enabled);
        Ok(client.map(|client| vocabulary::client(&client.id, self.tenant)))
    }
}

/// One of a type that the directory has a list of, who is not in it.
fn nobody(kind: &str, tenant: &Tenant) -> Found {
    let id = UserId::from_bytes([0; 16]);
    let entity = match kind {
        "Account" => vocabulary::account(id, tenant),
        "Administration" => vocabulary::administration(tenant),
        "Client" => vocabulary::resource("Client", "", tenant),
        "DecisionPoint" => vocabulary::decision_point(tenant),
        _ => vocabulary::user(id, tenant, [], [], &BTreeMap::new()),
    };
    Found { entity, user: None }
}

/// The person of this id or username, with roles and groups of now; nobody if they are disabled.
pub(super) async fn person(
    access: &Access,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<ResolvedUser>, StoreError> {
    let mut connection = access.fabric.store().read().await?;
    let mut record = None;
    if let Ok(id) = id.parse::<UserId>() {
        record = users::find(&mut connection, tenant, id).await?;
    }
    if record.is_none()
        && let Ok(name) = id.parse::<Username>()
    {
        record = users::find_by_name(&mut connection, tenant, &name).await?;
    }
    let Some(record) = record.filter(|record| record.enabled) else {
        return Ok(None);
    };
    let groups = user_groups::of_user(&mut connection, tenant, record.id).await?;
    Ok(Some(ResolvedUser::new(record, &groups)))
}

/// A person as policies see them.
pub(crate) fn entity_of(person: &ResolvedUser, tenant: &Tenant) -> Entity {
    let ResolvedUser { user, roles } = person;
    let attributes: BTreeMap<String, AttributeValue> = user
        .attributes
        .iter()
        .map(|(name, value)| {
            let value = AttributeValue::Text(value.as_str().to_owned());
            (name.as_str().to_owned(), value)
        })
        .collect();
    vocabulary::user(user.id, tenant, roles, &user.groups, &attributes)
}
