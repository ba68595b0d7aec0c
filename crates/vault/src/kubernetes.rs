//! `auth/kubernetes/`: workloads of a cluster that sign in with the token of their service account.
//!
//! The cluster's public keys are given as `pem_keys`, and tokens are verified here: nobody is asked, so a token of an account that was deleted holds until it
//! ends. Tokens without an end, as clusters made them before bound tokens, are therefore refused. Not here: asking the cluster (`TokenReview`).

use crate::answer::{Answer, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::jwt::judge::{self, Admitted, Demand, Leeway};
use crate::jwt::keys::of_pem;
use crate::sign_in::{SignedIn, TokenRules};
use crate::work::{Stop, Work};
use crate::{VaultError, glob, named};
use countersign_base::Duration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// How much the cluster's clock may differ.
const SKEW: Duration = Duration::from_secs(10);

/// The configuration of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    host: String,
    pem_keys: Vec<String>,
    issuer: Option<String>,
}

/// What names somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AliasSource {
    /// Namespace and name: an account that is made anew is the same.
    ServiceaccountName,
    /// The account's uid: one that is made anew is another.
    #[default]
    ServiceaccountUid,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    names: Vec<String>,
    namespaces: Vec<String>,
    audience: Option<String>,
    alias: AliasSource,
    tokens: TokenRules,
}

/// A service account as a token names it.
struct Account<'c> {
    namespace: &'c str,
    name: &'c str,
    uid: &'c str,
}

impl<'c> Account<'c> {
    /// The account of a bound token.
    fn of(claims: Admitted<'c>) -> Option<Self> {
        let cluster = claims.claims().object("kubernetes.io").ok()??;
        let account = cluster.get("serviceaccount")?;
        let found = Self {
            namespace: cluster.get("namespace")?.as_str()?,
            name: account.get("name")?.as_str()?,
            uid: account.get("uid")?.as_str()?,
        };
        let subject = claims.claims().text("sub").ok()??;
        let named = format!("system:serviceaccount:{}:{}", found.namespace, found.name);
        (subject == named && !found.uid.is_empty()).then_some(found)
    }
}

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    match (call.segments().as_slice(), call.operation) {
        (["login"], Operation::Create | Operation::Update) => login(call, work, cx),
        (["config"], _) => config(call, work),
        (["role"], Operation::List) => named::list(call, "role", work),
        (["role", name], _) => role(call, name, work),
        (["login" | "role"], _) => Err(VaultError::Unsupported.into()),
        _ => Err(VaultError::NotFound.into()),
    }
}

fn login(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let config: Option<Config> = work.read(&call.entry(&["config"]))?;
    let config =
        config.ok_or_else(|| VaultError::invalid("could not load backend configuration"))?;
    let name = call.body.required_text("role")?;
    let token = call.body.required_text("jwt")?;
    let entry = call.entry(&["role", named::checked(&name)?]);
    let role: Option<Role> = work.read(&entry)?;
    let role = role.ok_or_else(|| VaultError::invalid("invalid role name"))?;
    let signed = judge::signed(&token, &of_pem(&config.pem_keys)?, &BTreeSet::new())?;
    let audiences: Vec<String> = match &role.audience {
        Some(audience) => vec![audience.clone()],
        // Tokens of a cluster always have an audience; without one of the role's own it is the cluster's, which is not looked at.
        None => texts(signed.strings("aud").ok().flatten().unwrap_or_default()),
    };
    if signed.time("exp").ok().flatten().is_none() {
        return Err(VaultError::invalid("the token has no end").into());
    }
    let demand = Demand {
        issuer: config.issuer.as_deref(),
        audiences: &audiences,
        leeway: Leeway {
            skew: SKEW,
            expiration: Duration::ZERO,
            not_before: Duration::ZERO,
        },
    };
    let claims = demand.admit(&signed, cx.now)?;
    let account = Account::of(claims)
        .ok_or_else(|| VaultError::invalid("the token is none of a service account"))?;
    let bound =
        |patterns: &[String], text: &str| patterns.iter().any(|pattern| glob::fits(pattern, text));
    if !bound(&role.names, account.name) {
        return Err(VaultError::Denied.into());
    }
    if !bound(&role.namespaces, account.namespace) {
        return Err(VaultError::Denied.into());
    }
    let full = format!("{}/{}", account.namespace, account.name);
    let alias = match role.alias {
        AliasSource::ServiceaccountName => full.clone(),
        AliasSource::ServiceaccountUid => account.uid.to_owned(),
    };
    let who = SignedIn {
        role: entry,
        display_name: format!("{}-{}", account.namespace, account.name),
        alias,
        metadata: BTreeMap::from([
            ("role".to_owned(), name),
            ("service_account_name".to_owned(), account.name.to_owned()),
            (
                "service_account_namespace".to_owned(),
                account.namespace.to_owned(),
            ),
            ("service_account_uid".to_owned(), account.uid.to_owned()),
        ]),
        certificate: None,
        bound_cidrs: BTreeSet::new(),
    };
    role.tokens.issue(who, call, work, cx)
}

fn texts(parts: Vec<&str>) -> Vec<String> {
    parts.into_iter().map(str::to_owned).collect()
}

fn config(call: &Call, work: &mut Work<'_>) -> Result<Outcome, Stop> {
    let entry = call.entry(&["config"]);
    let body = &call.body;
    match call.operation {
        Operation::Create | Operation::Update => {
            if body
                .text("token_reviewer_jwt")?
                .is_some_and(|token| !token.is_empty())
            {
                return Err(VaultError::invalid(
                    "`token_reviewer_jwt` is not supported: the cluster is not asked, set `pem_keys`",
                )
                .into());
            }
            let config = Config {
                host: body.text("kubernetes_host")?.unwrap_or_default(),
                pem_keys: body.texts("pem_keys")?.unwrap_or_default(),
                issuer: body.text("issuer")?.filter(|issuer| !issuer.is_empty()),
            };
            of_pem(&config.pem_keys)?;
            work.put(&entry, &config)?;
            Ok(Answer::nothing().into())
        }
        Operation::Read => {
            let config: Config = work.read(&entry)?.ok_or(VaultError::NotFound)?;
            Ok(Answer::data(json!({
                "disable_local_ca_jwt": true,
                "issuer": config.issuer.unwrap_or_default(),
                "kubernetes_ca_cert": "",
                "kubernetes_host": config.host,
                "pem_keys": config.pem_keys,
                "token_reviewer_jwt_set": false,
            }))
            .into())
        }
        Operation::Delete | Operation::List | Operation::Patch => {
            Err(VaultError::Unsupported.into())
        }
    }
}

fn role(call: &Call, name: &str, work: &mut Work<'_>) -> Result<Outcome, Stop> {
    let entry = call.entry(&["role", named::checked(name)?]);
    let found: Option<Role> = work.read(&entry)?;
    match call.operation {
        Operation::Create | Operation::Update => {
            let role = of_body(call, found.unwrap_or_default())?;
            work.put(&entry, &role)?;
            let answer = Answer::nothing();
            Ok(match role.audience {
                Some(_) => answer,
                None => answer.warning(
                    "without `audience`, tokens for other services sign in with this role",
                ),
            }
            .into())
        }
        Operation::Delete => {
            work.delete(&entry);
            Ok(Answer::nothing().into())
        }
        Operation::Read => {
            let role = found.ok_or(VaultError::NotFound)?;
            let mut members = Map::from_iter([
                ("alias_name_source".to_owned(), json!(role.alias)),
                (
                    "audience".to_owned(),
                    json!(role.audience.unwrap_or_default()),
                ),
                ("bound_service_account_names".to_owned(), json!(role.names)),
                (
                    "bound_service_account_namespaces".to_owned(),
                    json!(role.namespaces),
                ),
            ]);
            role.tokens.show(&mut members);
            Ok(Answer::data(Json::Object(members)).into())
        }
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

fn of_body(call: &Call, mut role: Role) -> Result<Role, VaultError> {
    let body = &call.body;
    if let Some(names) = body.texts("bound_service_account_names")? {
        role.names = names;
    }
    if let Some(namespaces) = body.texts("bound_service_account_namespaces")? {
        role.namespaces = namespaces;
    }
    if let Some(audience) = body.text("audience")? {
        role.audience = Some(audience).filter(|audience| !audience.is_empty());
    }
    match body.text("alias_name_source")?.as_deref() {
        None => {}
        Some("" | "serviceaccount_uid") => role.alias = AliasSource::ServiceaccountUid,
        Some("serviceaccount_name") => role.alias = AliasSource::ServiceaccountName,
        Some(_) => {
            return Err(VaultError::invalid(
                "`alias_name_source` must be `serviceaccount_uid` or `serviceaccount_name`",
            ));
        }
    }
    role.tokens = role.tokens.changed(body)?;
    if role.names.is_empty() || role.namespaces.is_empty() {
        return Err(VaultError::invalid(
            "`bound_service_account_names` and `bound_service_account_namespaces` can not be empty",
        ));
    }
    let all = |patterns: &[String]| {
        patterns
            .iter()
            .any(|pattern| pattern.chars().all(|c| c == '*'))
    };
    if all(&role.names) && all(&role.namespaces) {
        return Err(VaultError::invalid(
            "service_account_names and namespaces can not both be `*`",
        ));
    }
    Ok(role)
}

#[cfg(test)]
mod tests;
