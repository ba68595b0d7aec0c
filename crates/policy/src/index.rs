//! Which policies to try: slices by the heads of their scopes, built once.
//!
//! Cedar tries every policy of the set it is given, at about a microsecond each. So policies are sorted into cells, for each action by what the
//! head says of principal and resource: an entity where it names one (`==` or `in`), the type otherwise. A head that is open stands in the
//! cells of every type that the action applies to. A question visits the cells of its principal and each of the principal's ancestors, crossed
//! with those of its resource. Each policy lies in exactly one of the cells that a question visits, and a policy in a cell that is not visited
//! cannot match; so the union of the answers is the answer of the whole set.

use crate::footprint::Footprint;
use crate::memory::Memory;
use crate::obligation::{Asked, Condition, Obligations};
use crate::query::{Entity, EntityId, Query, Value};
use crate::schema::Shapes;
use crate::set::{PolicyError, PolicyId};
use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Entities, EntityUid, Policy,
    PrincipalConstraint, Request, ResourceConstraint, RestrictedExpression, Schema,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A cell's place in one dimension: an entity or a type, by number.
type Place = u32;

/// What a set answers, before errors and forbids are weighed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) permits: Vec<PolicyId>,
    pub(crate) forbids: Vec<PolicyId>,
    pub(crate) failed: Vec<PolicyId>,
    /// What the permits ask for together.
    pub(crate) obligations: Option<Arc<Obligations>>,
    /// What would lift all of the forbids.
    pub(crate) lifting: Option<Condition>,
}

impl Outcome {
    /// Puts each list in the order of the ids, and takes down what the policies ask for.
    fn complete(mut self, asked: &Asked) -> Self {
        self.permits.sort();
        self.forbids.sort();
        self.failed.sort();
        self.obligations = asked.of_permits(&self.permits);
        self.lifting = asked.lifting(&self.forbids);
        self
    }
}

/// The cells of every action.
pub(crate) struct Index {
    authorizer: Authorizer,
    actions: HashMap<String, ActionCells>,
    asked: Asked,
    #[cfg(test)]
    all: cedar_policy::PolicySet,
}

struct ActionCells {
    uid: EntityUid,
    entity: cedar_policy::Entity,
    entities: HashMap<EntityId, Place>,
    types: HashMap<String, Place>,
    cells: HashMap<(Place, Place), cedar_policy::PolicySet>,
    memory: Memory,
}

/// What one head says of a principal or resource.
enum Head {
    Entity(EntityId),
    Open,
    Type(String),
}

impl Index {
    pub(crate) fn new(
        policies: Vec<Policy>,
        schema: &Schema,
        shapes: &Shapes,
    ) -> Result<Self, PolicyError> {
        let unread = |error: &dyn std::fmt::Display| PolicyError::Schema(error.to_string());
        let entities = schema.action_entities().map_err(|error| unread(&error))?;
        let mut asked = Asked::default();
        policies.iter().try_for_each(|policy| asked.add(policy))?;
        let mut actions = HashMap::new();
        for uid in schema.actions() {
            let entity = entities
                .get(uid)
                .ok_or_else(|| unread(&"an action is not in the schema"))?
                .clone();
            actions.insert(
                uid.id().unescaped().to_owned(),
                ActionCells::new(uid.clone(), entity),
            );
        }
        for (name, cells) in &mut actions {
            let principals = schema
                .principals_for_action(&cells.uid)
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect();
            let resources = schema
                .resources_for_action(&cells.uid)
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect();
            let mut footprint = Footprint::default();
            for policy in &policies {
                if applies(policy, &cells.uid, &entities) {
                    fits(&asked, policy, name, shapes)?;
                    let added = cells.add(policy, &principals, &resources);
                    added.map_err(|error| unread(&error))?;
                    footprint.add(policy, name, shapes);
                }
            }
            cells.memory = Memory::new(footprint);
        }
        Ok(Self {
            authorizer: Authorizer::new(),
            actions,
            asked,
            #[cfg(test)]
            all: cedar_policy::PolicySet::from_policies(policies)
                .map_err(|error| unread(&error))?,
        })
    }

    /// Asks the cells that a question visits, unless it was asked before. The question fits the schema, so that Cedar takes it unless entities are their own ancestors; those
    /// that could be are all part of what the memory knows a question by.
    pub(crate) fn ask(&self, query: &Query, shapes: &Shapes) -> Result<Arc<Outcome>, String> {
        let action = self.actions.get(&query.action).ok_or("unknown action")?;
        let known = action.memory.known(query);
        if let Some(answered) = action.memory.answer(&known) {
            return Ok(answered);
        }
        let outcome = Arc::new(self.ask_cells(action, query, shapes)?);
        // A policy may also have failed for want of room where it was asked from, which is nothing of the question's.
        if outcome.failed.is_empty() {
            action.memory.keep(known, Arc::clone(&outcome));
        }
        Ok(outcome)
    }

    fn ask_cells(
        &self,
        action: &ActionCells,
        query: &Query,
        shapes: &Shapes,
    ) -> Result<Outcome, String> {
        let (principals, resources) = (
            action.places(&query.principal, query),
            action.places(&query.resource, query),
        );
        let pairs = principals
            .iter()
            .flat_map(|principal| resources.iter().map(|resource| (*principal, *resource)));
        let mut cells = pairs.filter_map(|pair| action.cells.get(&pair)).peekable();
        if cells.peek().is_none() {
            return Ok(Outcome::default());
        }
        let (request, entities) = action.build(query, shapes)?;
        let mut outcome = Outcome::default();
        for cell in cells {
            self.ask_one(cell, &request, &entities, &mut outcome);
        }
        Ok(outcome.complete(&self.asked))
    }

    /// A question as the engine takes it.
    pub(crate) fn build(
        &self,
        query: &Query,
        shapes: &Shapes,
    ) -> Result<(Request, Entities), String> {
        let action = self.actions.get(&query.action).ok_or("unknown action")?;
        action.build(query, shapes)
    }

    /// Asks the whole set.
    #[cfg(test)]
    pub(crate) fn ask_all(&self, query: &Query, shapes: &Shapes) -> Result<Arc<Outcome>, String> {
        let action = self.actions.get(&query.action).ok_or("unknown action")?;
        let (request, entities) = action.build(query, shapes)?;
        let mut outcome = Outcome::default();
        self.ask_one(&self.all, &request, &entities, &mut outcome);
        Ok(Arc::new(outcome.complete(&self.asked)))
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self, action: &str) -> usize {
        self.actions
            .get(action)
            .map_or(0, |cells| cells.memory.len())
    }

    fn ask_one(
        &self,
        policies: &cedar_policy::PolicySet,
        request: &Request,
        entities: &Entities,
        outcome: &mut Outcome,
    ) {
        let response = self.authorizer.is_authorized(request, policies, entities);
        let reasons = response.diagnostics().reason().map(named);
        match response.decision() {
            Decision::Allow => outcome.permits.extend(reasons),
            // Without a reason no policy forbade; none permitted either.
            Decision::Deny => outcome.forbids.extend(reasons),
        }
        let failed = response.diagnostics().errors().map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
                named(error.policy_id())
            }
        });
        outcome.failed.extend(failed);
    }
}

/// Whether what a policy asks for can be found in the contexts of an action that it is about.
fn fits(asked: &Asked, policy: &Policy, action: &str, shapes: &Shapes) -> Result<(), PolicyError> {
    let id = named(policy.id());
    let missing = shapes
        .actions
        .get(action)
        .and_then(|shape| asked.unfit(&id, &shape.context));
    match missing {
        None => Ok(()),
        Some(missing) => Err(PolicyError::Invalid {
            policy: id,
            message: format!("{missing} of `{action}`: name the actions that it is about"),
        }),
    }
}

fn named(id: &cedar_policy::PolicyId) -> PolicyId {
    PolicyId::new(AsRef::<str>::as_ref(id))
}

/// Whether a policy's head lets this action through, or a group of actions that it is in.
fn applies(policy: &Policy, action: &EntityUid, entities: &Entities) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == *action,
        ActionConstraint::In(uids) => uids
            .iter()
            .any(|uid| uid == action || entities.is_ancestor_of(uid, action)),
    }
}

impl ActionCells {
    fn new(uid: EntityUid, entity: cedar_policy::Entity) -> Self {
        Self {
            uid,
            entity,
            entities: HashMap::new(),
            types: HashMap::new(),
            cells: HashMap::new(),
            memory: Memory::default(),
        }
    }

    fn add(
        &mut self,
        policy: &Policy,
        principals: &BTreeSet<String>,
        resources: &BTreeSet<String>,
    ) -> Result<(), String> {
        let principal_places = self.places_of(principal_head(policy), principals);
        let resource_places = self.places_of(resource_head(policy), resources);
        for principal in &principal_places {
            for resource in &resource_places {
                let cell = self.cells.entry((*principal, *resource)).or_default();
                cell.add(policy.clone())
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn places_of(&mut self, head: Head, types: &BTreeSet<String>) -> Vec<Place> {
        match head {
            Head::Entity(id) => {
                let next = self.next_place();
                vec![*self.entities.entry(id).or_insert(next)]
            }
            Head::Open => types.iter().map(|kind| self.place_of_type(kind)).collect(),
            Head::Type(kind) => vec![self.place_of_type(&kind)],
        }
    }

    fn place_of_type(&mut self, kind: &str) -> Place {
        let next = self.next_place();
        *self.types.entry(kind.to_owned()).or_insert(next)
    }

    fn next_place(&self) -> Place {
        Place::try_from(self.entities.len() + self.types.len()).unwrap_or(Place::MAX)
    }

    /// The places that an entity visits: its own and its ancestors', as far as policies name them, and its type's.
    fn places(&self, entity: &Entity, query: &Query) -> Vec<Place> {
        let mut places: Vec<Place> = self
            .types
            .get(entity.id().kind())
            .copied()
            .into_iter()
            .collect();
        if self.entities.is_empty() {
            return places;
        }
        let mut seen: BTreeSet<&EntityId> = BTreeSet::from([entity.id()]);
        let mut open = vec![entity.id()];
        while let Some(id) = open.pop() {
            places.extend(self.entities.get(id));
            let known = [&query.principal, &query.resource]
                .into_iter()
                .chain(&query.others)
                .filter(|known| known.id() == id);
            open.extend(
                known
                    .flat_map(Entity::parents)
                    .filter(|parent| seen.insert(*parent)),
            );
        }
        places
    }

    fn build(&self, query: &Query, shapes: &Shapes) -> Result<(Request, Entities), String> {
        let uid = |id| entity_uid(id, shapes);
        let context = query
            .context
            .iter()
            .map(|(name, value)| Ok((name.clone(), expression(value, shapes)?)));
        let context = context.collect::<Result<Vec<_>, String>>()?;
        let context = Context::from_pairs(context).map_err(|_| "the context cannot be read")?;
        let (principal, resource) = (uid(query.principal.id())?, uid(query.resource.id())?);
        let request = Request::new(principal, self.uid.clone(), resource, context, None)
            .map_err(|_| "the request cannot be built")?;
        let mut given: Vec<&Entity> = Vec::with_capacity(2 + query.others.len());
        for entity in [&query.principal, &query.resource]
            .into_iter()
            .chain(&query.others)
        {
            // Whoever stands there twice is the same both times: the question fits the schema.
            if given.iter().all(|known| known.id() != entity.id()) {
                given.push(entity);
            }
        }
        let entities = std::iter::once(Ok(self.entity.clone()))
            .chain(given.into_iter().map(|entity| cedar_entity(entity, shapes)));
        let entities = entities.collect::<Result<Vec<_>, String>>()?;
        let entities =
            Entities::from_entities(entities, None).map_err(|_| "an entity is its own ancestor")?;
        Ok((request, entities))
    }
}

fn principal_head(policy: &Policy) -> Head {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => Head::Open,
        PrincipalConstraint::Eq(uid)
        | PrincipalConstraint::In(uid)
        | PrincipalConstraint::IsIn(_, uid) => Head::Entity(id_of(&uid)),
        PrincipalConstraint::Is(kind) => Head::Type(kind.to_string()),
    }
}

fn resource_head(policy: &Policy) -> Head {
    match policy.resource_constraint() {
        ResourceConstraint::Any => Head::Open,
        ResourceConstraint::Eq(uid)
        | ResourceConstraint::In(uid)
        | ResourceConstraint::IsIn(_, uid) => Head::Entity(id_of(&uid)),
        ResourceConstraint::Is(kind) => Head::Type(kind.to_string()),
    }
}

fn id_of(uid: &EntityUid) -> EntityId {
    EntityId::new(uid.type_name().to_string(), uid.id().unescaped())
}

fn entity_uid(id: &EntityId, shapes: &Shapes) -> Result<EntityUid, String> {
    let name = shapes
        .type_name(id.kind())
        .ok_or_else(|| format!("unknown entity type `{}`", id.kind()))?;
    Ok(EntityUid::from_type_name_and_id(
        name.clone(),
        cedar_policy::EntityId::new(id.id()),
    ))
}

fn cedar_entity(entity: &Entity, shapes: &Shapes) -> Result<cedar_policy::Entity, String> {
    let pairs = |values: &std::collections::BTreeMap<String, Value>| {
        values
            .iter()
            .map(|(name, value)| Ok((name.clone(), expression(value, shapes)?)))
            .collect::<Result<Vec<_>, String>>()
    };
    let parents = entity
        .parents()
        .iter()
        .map(|parent| entity_uid(parent, shapes))
        .collect::<Result<Vec<_>, String>>()?;
    cedar_policy::Entity::new_with_tags(
        entity_uid(entity.id(), shapes)?,
        pairs(entity.attributes())?,
        parents,
        pairs(entity.tags())?,
    )
    .map_err(|_| "an attribute cannot be read".to_owned())
}

fn expression(value: &Value, shapes: &Shapes) -> Result<RestrictedExpression, String> {
    Ok(match value {
        Value::Address(address) => shapes.address(*address),
        Value::Bool(value) => RestrictedExpression::new_bool(*value),
        Value::Entity(id) => RestrictedExpression::new_entity_uid(entity_uid(id, shapes)?),
        Value::Long(number) => RestrictedExpression::new_long(*number),
        Value::Record(record) => {
            let members = record
                .iter()
                .map(|(name, value)| Ok((name.clone(), expression(value, shapes)?)));
            RestrictedExpression::new_record(members.collect::<Result<Vec<_>, String>>()?)
                .map_err(|_| "a record has a member twice")?
        }
        Value::Set(values) => {
            let members = values.iter().map(|value| expression(value, shapes));
            RestrictedExpression::new_set(members.collect::<Result<Vec<_>, String>>()?)
        }
        Value::String(text) => RestrictedExpression::new_string(text.clone()),
    })
}
