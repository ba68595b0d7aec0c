//! What the auth methods have in common: the `token_*` parameters of their roles, the alias of who signed in, and the token that is made.
//!
//! An alias is folded before it names anybody: `alice`, `Alice` and `alice ` are one (CVE-2025-6004, CVE-2025-6013). There is no engine of identities here; the
//! entity of a token is a keyed hash of the mount and the alias, the same at every sign-in.

use crate::VaultError;
use crate::answer::{Answer, Outcome};
use crate::body::Body;
use crate::call::{Call, Cx};
use crate::entry::EntryName;
use crate::token::renew::Stretch;
use crate::token::{self, MadeBy, NewToken};
use crate::work::{Stop, Work};
use countersign_base::{AddressBlock, Duration, hex};
use countersign_crypto::x509::CertificateThumbprint;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// Bytes of an alias.
const ALIAS_BYTES_MAX: usize = 512;

/// The `token_*` parameters of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRules {
    policies: BTreeSet<String>,
    ttl: Option<Duration>,
    max_ttl: Option<Duration>,
    explicit_max_ttl: Option<Duration>,
    period: Option<Duration>,
    uses: u32,
    no_default_policy: bool,
    bound_cidrs: BTreeSet<AddressBlock>,
}

impl TokenRules {
    /// The rules with what a body says of them; what it does not name stays.
    ///
    /// # Errors
    /// When a parameter cannot be read, or is not supported.
    pub(crate) fn changed(mut self, body: &Body) -> Result<Self, VaultError> {
        // The older names, without `token_`, still come from clients.
        for name in ["policies", "token_policies"] {
            if let Some(policies) = body.texts(name)? {
                self.policies = policies.into_iter().collect();
            }
        }
        if self
            .policies
            .iter()
            .any(|policy| policy.trim().eq_ignore_ascii_case("root"))
        {
            return Err(VaultError::invalid(
                "the policy `root` cannot be given by a sign-in",
            ));
        }
        for (names, kept) in [
            (["ttl", "token_ttl"], &mut self.ttl),
            (["max_ttl", "token_max_ttl"], &mut self.max_ttl),
            (
                ["explicit_max_ttl", "token_explicit_max_ttl"],
                &mut self.explicit_max_ttl,
            ),
            (["period", "token_period"], &mut self.period),
        ] {
            for name in names {
                if let Some(given) = body.duration(name)? {
                    // Zero is what the API writes for none.
                    *kept = Some(given).filter(|given| !given.is_zero());
                }
            }
        }
        if self
            .ttl
            .zip(self.max_ttl)
            .is_some_and(|(ttl, max)| ttl > max)
        {
            return Err(VaultError::invalid(
                "`token_ttl` must not be above `token_max_ttl`",
            ));
        }
        for name in ["num_uses", "token_num_uses"] {
            if let Some(uses) = body.count(name)? {
                self.uses = uses;
            }
        }
        if let Some(without) = body.truth("token_no_default_policy")? {
            self.no_default_policy = without;
        }
        for name in ["bound_cidrs", "token_bound_cidrs"] {
            if let Some(blocks) = cidrs(body, name)? {
                self.bound_cidrs = blocks;
            }
        }
        match body.text("token_type")?.as_deref() {
            None | Some("" | "default" | "default-service" | "service") => Ok(self),
            Some(_) => Err(VaultError::invalid("`token_type` must be `service`")),
        }
    }

    /// Adds the rules to what a role answers.
    pub(crate) fn show(&self, members: &mut Map<String, Json>) {
        let seconds = |span: Option<Duration>| json!(span.unwrap_or_default().as_secs());
        for (name, value) in [
            ("token_bound_cidrs", shown(&self.bound_cidrs)),
            ("token_explicit_max_ttl", seconds(self.explicit_max_ttl)),
            ("token_max_ttl", seconds(self.max_ttl)),
            ("token_no_default_policy", json!(self.no_default_policy)),
            ("token_num_uses", json!(self.uses)),
            ("token_period", seconds(self.period)),
            ("token_policies", json!(self.policies)),
            ("token_ttl", seconds(self.ttl)),
            ("token_type", json!("default")),
        ] {
            members.insert(name.to_owned(), value);
        }
    }

    /// From where its tokens may be used; empty is from anywhere.
    pub(crate) const fn bound_cidrs(&self) -> &BTreeSet<AddressBlock> {
        &self.bound_cidrs
    }

    /// Makes the token of somebody who has signed in, and answers it.
    ///
    /// # Errors
    /// [`VaultError::Denied`] when tokens of these rules may not be used from there.
    pub(crate) fn issue(
        &self,
        who: SignedIn,
        call: &Call,
        work: &mut Work<'_>,
        cx: &Cx<'_>,
    ) -> Result<Outcome, Stop> {
        // Both are asked: those of the role may have been narrowed since the credential was made.
        if !admits(&self.bound_cidrs, call.from) || !admits(&who.bound_cidrs, call.from) {
            return Err(VaultError::Denied.into());
        }
        let bound_cidrs = narrowed(&self.bound_cidrs, &who.bound_cidrs);
        let auth = token::issue(
            NewToken {
                policies: self.policies.clone(),
                no_default_policy: self.no_default_policy,
                display_name: who.display_name,
                entity: entity(&who.alias, call, cx)?,
                metadata: who.metadata,
                path: call.path.as_str().to_owned(),
                ttl: self.ttl,
                max_ttl: self.max_ttl,
                explicit_max_ttl: self.explicit_max_ttl,
                period: self.period,
                uses: self.uses,
                made_by: Some(MadeBy::new(call.mount.engine, &who.role)),
                certificate: who.certificate,
                bound_cidrs,
                ..NewToken::default()
            },
            work,
            cx,
        )?;
        Ok(Answer::auth(auth).into())
    }
}

/// What the roles of all auth methods have in common, and all that is read of one when a token is renewed.
#[derive(Debug, Deserialize)]
pub(crate) struct RoleTokens {
    tokens: TokenRules,
}

impl RoleTokens {
    /// How far the role lets a token of these policies live on, for somebody who calls from there.
    ///
    /// # Errors
    /// [`VaultError::Denied`] when tokens of the role may not be used from there; [`VaultError::Invalid`] when it gives other policies by now.
    pub(crate) fn renews(
        &self,
        policies: &BTreeSet<String>,
        from: Option<IpAddr>,
    ) -> Result<Stretch, VaultError> {
        let rules = &self.tokens;
        if !admits(&rules.bound_cidrs, from) {
            return Err(VaultError::Denied);
        }
        let made_now = NewToken {
            policies: rules.policies.clone(),
            no_default_policy: rules.no_default_policy,
            ..NewToken::default()
        };
        if token::granted(&made_now)? != *policies {
            return Err(VaultError::invalid("policies have changed, not renewing"));
        }
        let shorter = |one: Option<Duration>, other: Option<Duration>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Ok(Stretch {
            max_ttl: shorter(rules.max_ttl, rules.explicit_max_ttl),
            period: rules.period,
        })
    }
}

/// Somebody whose credentials were checked.
pub(crate) struct SignedIn {
    /// The entry of the role that admitted it, a [`RoleTokens`] among its members.
    pub(crate) role: EntryName,
    /// `display_name`.
    pub(crate) display_name: String,
    /// Who it is within the mount, as the credential says it.
    pub(crate) alias: String,
    /// `metadata`.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The certificate that signed in, to which the token's renewal is bound.
    pub(crate) certificate: Option<CertificateThumbprint>,
    /// Narrower bounds than the role's; empty is none.
    pub(crate) bound_cidrs: BTreeSet<AddressBlock>,
}

/// An alias in the one form in which it names somebody: without space around it, in small letters.
///
/// # Errors
/// When nothing is left, it is too long, or it holds control characters.
pub(crate) fn alias(text: &str) -> Result<String, VaultError> {
    let alias = text.trim().to_lowercase();
    if alias.is_empty() || alias.len() > ALIAS_BYTES_MAX || alias.chars().any(char::is_control) {
        return Err(VaultError::invalid("the credential names nobody"));
    }
    Ok(alias)
}

/// `entity_id`: the same for all variants of an alias, of this mount alone.
fn entity(text: &str, call: &Call, cx: &Cx<'_>) -> Result<String, VaultError> {
    let alias = alias(text)?;
    let parts = [cx.tenant.as_str(), &call.mount.uuid, &alias].map(str::as_bytes);
    Ok(keyed("vault entity", &parts, cx))
}

/// A keyed hash in hexadecimal: under which entries are kept that nobody may recognize a credential in.
pub(crate) fn keyed(domain: &'static str, parts: &[&[u8]], cx: &Cx<'_>) -> String {
    struct Hex<'b>(&'b [u8]);
    impl fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            hex::write(f, self.0)
        }
    }
    Hex(cx.mac.tag(domain, parts).as_bytes()).to_string()
}

/// Blocks of addresses.
///
/// # Errors
/// When one is none.
pub(crate) fn cidrs(body: &Body, name: &str) -> Result<Option<BTreeSet<AddressBlock>>, VaultError> {
    let Some(texts) = body.texts(name)? else {
        return Ok(None);
    };
    let blocks = texts.iter().map(|text| text.parse());
    let blocks: Result<_, _> = blocks.collect();
    blocks
        .map(Some)
        .map_err(|_| VaultError::invalid(format!("`{name}` must be blocks of addresses (CIDR)")))
}

/// The same as answers hold it.
pub(crate) fn shown(blocks: &BTreeSet<AddressBlock>) -> Json {
    blocks.iter().map(ToString::to_string).collect()
}

/// Whether somebody there may. Where nobody knows where a call comes from, what is bound to addresses may not.
pub(crate) fn admits(blocks: &BTreeSet<AddressBlock>, from: Option<IpAddr>) -> bool {
    blocks.is_empty() || from.is_some_and(|from| blocks.iter().any(|block| block.contains(from)))
}

/// Blocks that may only narrow others: each lies within one of those, where there are any. Blocks that cover it together are not joined.
///
/// # Errors
/// When one does not.
pub(crate) fn within(
    blocks: BTreeSet<AddressBlock>,
    bounds: &BTreeSet<AddressBlock>,
    name: &str,
) -> Result<BTreeSet<AddressBlock>, VaultError> {
    let inside = |block: &AddressBlock| bounds.iter().any(|bound| covers(bound, block));
    if bounds.is_empty() || blocks.iter().all(inside) {
        Ok(blocks)
    } else {
        Err(VaultError::invalid(format!(
            "`{name}` must lie within the blocks of addresses of the role"
        )))
    }
}

/// The addresses that are in both, where a set without blocks bounds nothing. Of two blocks one covers the other or they have no address in common, so that somebody
/// whom both admit is always left with a bound.
fn narrowed(
    one: &BTreeSet<AddressBlock>,
    other: &BTreeSet<AddressBlock>,
) -> BTreeSet<AddressBlock> {
    if one.is_empty() || other.is_empty() {
        return one.union(other).copied().collect();
    }
    let inside = |block: &&AddressBlock, bounds: &BTreeSet<AddressBlock>| {
        bounds.iter().any(|bound| covers(bound, block))
    };
    let of_one = one.iter().filter(|block| inside(block, other));
    let of_other = other.iter().filter(|block| inside(block, one));
    of_one.chain(of_other).copied().collect()
}

/// Whether all addresses of a block are in another.
fn covers(wide: &AddressBlock, narrow: &AddressBlock) -> bool {
    // As CIDR writes them: an address, and how many of its bits all have in common; without a number all of them.
    let parts = |block: &AddressBlock| -> Option<(IpAddr, u8)> {
        let text = block.to_string();
        match text.split_once('/') {
            None => Some((text.parse().ok()?, u8::MAX)),
            Some((address, prefix)) => Some((address.parse().ok()?, prefix.parse().ok()?)),
        }
    };
    match (parts(wide), parts(narrow)) {
        (Some((_, wide_bits)), Some((first, narrow_bits))) => {
            wide_bits <= narrow_bits && wide.contains(first)
        }
        (None, _) | (_, None) => false,
    }
}
