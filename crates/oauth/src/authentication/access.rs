//! Conditional access: whether policy lets somebody in who proved who they are in this way, from there, at this hour.
//!
//! One action, `sign_in`, and one scale, `level`. What policy denies at the level that was reached it is asked again for the higher ones: the lowest that it
//! permits is what the person is asked for. So a policy says plainly what it wants, and nothing has to be annotated.
//!
//! Where no level would do and the sign-in is not of this moment, it is asked for a sign-in of now: so a policy may also say how old a sign-in may be.
//!
//! Not here: how a factor is asked for, and the recording of the decision.

use super::{AuthenticationMethod, SecondFactors, achieved};
use crate::user::ResolvedUser;
use countersign_authn::{Acr, AttributeValue};
use countersign_base::{ClientId, Tenant, UnixTime, UserId};
use countersign_policy::{
    Denied, Entity, Permitted, PolicySet, Query, Target, Value, decide, vocabulary,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is known of the circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signals {
    /// Where the browser is.
    pub source: IpAddr,
    /// Whether they signed in with it before.
    pub device: Device,
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    /// When they last proved who they are in this browser; now, for who just did.
    pub auth_time: UnixTime,
    /// Now.
    pub now: UnixTime,
}

/// A browser, as a person's history knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// They signed in with it before.
    Known,
    /// They did not.
    New,
}

/// Somebody who proved who they are and wants to go on: the target of the decision.
#[derive(Debug, Clone)]
pub struct SignInAttempt {
    person: ResolvedUser,
    client: Option<ClientId>,
    methods: BTreeSet<AuthenticationMethod>,
    factors: SecondFactors,
    signals: Signals,
    /// The level that policy is asked about, where it is not the one that was reached.
    supposed: Option<Acr>,
}

impl SignInAttempt {
    /// For a client, or for the person's own pages.
    #[must_use]
    pub const fn new(
        person: ResolvedUser,
        client: Option<ClientId>,
        methods: BTreeSet<AuthenticationMethod>,
        factors: SecondFactors,
        signals: Signals,
    ) -> Self {
        Self {
            person,
            client,
            methods,
            factors,
            signals,
            supposed: None,
        }
    }

    /// Who.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.person.user.id
    }

    /// Them, as they were when policy was asked.
    #[must_use]
    pub const fn person(&self) -> &ResolvedUser {
        &self.person
    }

    /// In which tenant.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.person.user.tenant
    }

    /// For which client, if for one.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// What they used.
    #[must_use]
    pub const fn methods(&self) -> &BTreeSet<AuthenticationMethod> {
        &self.methods
    }

    /// What second factors they have.
    #[must_use]
    pub const fn factors(&self) -> SecondFactors {
        self.factors
    }

    fn level(&self) -> i64 {
        self.supposed
            .or_else(|| achieved(&self.methods))
            .map_or(0, Acr::level)
    }

    fn supposing(&self, acr: Acr) -> Self {
        Self {
            supposed: Some(acr),
            ..self.clone()
        }
    }

    fn supposing_now(&self) -> Self {
        let now = self.signals.now;
        let signals = Signals {
            auth_time: now,
            ..self.signals
        };
        Self {
            signals,
            ..self.clone()
        }
    }

    fn principal(&self) -> Entity {
        let user = &self.person.user;
        let attributes = user
            .attributes
            .iter()
            .map(|(name, value)| {
                let text = AttributeValue::Text(value.as_str().to_owned());
                (name.as_str().to_owned(), text)
            })
            .collect();
        vocabulary::user(
            user.id,
            &user.tenant,
            &self.person.roles,
            &user.groups,
            &attributes,
        )
    }
}

impl Target for SignInAttempt {
    fn query(&self) -> Query {
        let signals = &self.signals;
        let age = signals.now.since(signals.auth_time).as_secs();
        let methods = self.methods.iter().map(|method| method.as_str());
        let mut context = BTreeMap::from([
            ("level".to_owned(), Value::from(self.level())),
            ("methods".to_owned(), Value::strings(methods)),
            ("factors".to_owned(), Value::strings(self.factors.names())),
            (
                "has_second_factor".to_owned(),
                self.factors.is_enrolled().into(),
            ),
            ("source".to_owned(), signals.source.into()),
            (
                "new_device".to_owned(),
                (signals.device == Device::New).into(),
            ),
            ("failures".to_owned(), i64::from(signals.failures).into()),
            (
                "age".to_owned(),
                i64::try_from(age).unwrap_or(i64::MAX).into(),
            ),
            ("time".to_owned(), signals.now.0.into()),
        ]);
        context.extend(vocabulary::calendar(signals.now));
        let resource = match &self.client {
            Some(client) => vocabulary::client(client, self.tenant()),
            None => vocabulary::account(self.user(), self.tenant()),
        };
        Query {
            principal: self.principal(),
            action: "sign_in".to_owned(),
            resource,
            context,
            others: Vec::new(),
        }
    }
}

/// What policy says.
#[must_use]
pub enum Access {
    /// They may go on.
    Permitted(Permitted<SignInAttempt>),
    /// Not with what they used so far, or not at all.
    Denied(Denied<SignInAttempt>, Remedy),
}

/// What would change a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing that they could do here and now.
    None,
    /// A factor that brings them to this class.
    Reach(Acr),
    /// To prove once more who they are.
    SignInAgain,
}

/// Asks policy about an attempt, and if it says no, what it would take.
pub fn judge(policies: &PolicySet, attempt: SignInAttempt) -> Access {
    let reached = achieved(&attempt.methods);
    match decide(policies, attempt) {
        Ok(permitted) => Access::Permitted(permitted),
        Err(denied) => {
            let attempt = denied.target();
            let class = Acr::ALL
                .into_iter()
                .filter(|acr| reached.is_none_or(|reached| *acr > reached))
                .find(|acr| decide(policies, attempt.supposing(*acr)).is_ok());
            let fresh = attempt.signals.auth_time == attempt.signals.now;
            let remedy = match class {
                Some(acr) => Remedy::Reach(acr),
                None if !fresh && decide(policies, attempt.supposing_now()).is_ok() => {
                    Remedy::SignInAgain
                }
                None => Remedy::None,
            };
            Access::Denied(denied, remedy)
        }
    }
}

#[cfg(test)]
mod tests;
