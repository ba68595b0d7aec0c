//! Lists of addresses, and rules about addresses and places: who may call a route from where.
//!
//! An IPv4 address that arrives as an IPv6 one (`::ffff:192.0.2.1`) is the IPv4 address, in lists and in requests. What is on a list of denied addresses is refused
//! whatever allows it; where something is allowed, everything else is refused.

use super::geography::Place;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// Networks of one list.
pub const NETWORKS_MAX: usize = 1_000_000;
/// Bits in front of an IPv4 address that is written as an IPv6 one (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cidr {
    /// From the first to the last address.
    V4(u32, u32),
    /// From the first to the last address.
    V6(u128, u128),
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Bits behind the prefix are set: it is not clear what was meant.
    #[error("its address has bits beyond its prefix")]
    HostBits,
    /// No address, or a prefix that is too long.
    #[error("it is not an address with a prefix")]
    Syntax,
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => {
                let plain = (1..=3).contains(&prefix.len())
                    && prefix.bytes().all(|byte| byte.is_ascii_digit());
                let prefix = plain.then(|| prefix.parse::<u8>().ok()).flatten();
                (address, Some(prefix.ok_or(CidrError::Syntax)?))
            }
            None => (text, None),
        };
        match address.parse().map_err(|_| CidrError::Syntax)? {
            IpAddr::V4(address) => v4(address, prefix.unwrap_or(32)),
            IpAddr::V6(address) => match (address.to_ipv4_mapped(), prefix.unwrap_or(128)) {
                (Some(mapped), prefix @ MAPPED_BITS..) => v4(mapped, prefix - MAPPED_BITS),
                (_, prefix) => v6(address, prefix),
            },
        }
    }
}

fn v4(address: Ipv4Addr, prefix: u8) -> Result<Cidr, CidrError> {
    let free = 32_u8.checked_sub(prefix).ok_or(CidrError::Syntax)?;
    let rest = u32::MAX
        .checked_shl(u32::from(free))
        .map_or(u32::MAX, |mask| !mask);
    let first = address.to_bits();
    if first & rest == 0 {
        Ok(Cidr::V4(first, first | rest))
    } else {
        Err(CidrError::HostBits)
    }
}

fn v6(address: Ipv6Addr, prefix: u8) -> Result<Cidr, CidrError> {
    let free = 128_u8.checked_sub(prefix).ok_or(CidrError::Syntax)?;
    let rest = u128::MAX
        .checked_shl(u32::from(free))
        .map_or(u128::MAX, |mask| !mask);
    let first = address.to_bits();
    if first & rest == 0 {
        Ok(Cidr::V6(first, first | rest))
    } else {
        Err(CidrError::HostBits)
    }
}

/// A list of networks, in order and without overlaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl FromIterator<Cidr> for AddressList {
    fn from_iter<I: IntoIterator<Item = Cidr>>(networks: I) -> Self {
        let mut list = Self::default();
        for network in networks {
            match network {
                Cidr::V4(first, last) => list.v4.push((first, last)),
                Cidr::V6(first, last) => list.v6.push((first, last)),
            }
        }
        list.v4 = merged(list.v4);
        list.v6 = merged(list.v6);
        list
    }
}

fn merged<N: Ord + Copy>(mut ranges: Vec<(N, N)>) -> Vec<(N, N)> {
    ranges.sort_unstable();
    let mut merged: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            Some(_) | None => merged.push((first, last)),
        }
    }
    merged
}

impl AddressList {
    /// Whether an address is on it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => among(&self.v4, address.to_bits()),
            IpAddr::V6(address) => among(&self.v6, address.to_bits()),
        }
    }

    /// Whether nothing is on it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

fn among<N: Ord + Copy>(ranges: &[(N, N)], number: N) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= number);
    let before = behind.checked_sub(1).and_then(|at| ranges.get(at));
    before.is_some_and(|(_, last)| number <= *last)
}

/// Who may call from where.
#[derive(Debug, Clone, Default)]
pub struct NetworkRules {
    /// Each group is a gate of its own: an address must be on a list of each.
    pub allow: Vec<Vec<Arc<AddressList>>>,
    /// Who is on one of these may not.
    pub deny: Vec<Arc<AddressList>>,
    /// About countries; all of them must hold.
    pub countries: Vec<CountryRules>,
    /// Networks of one operator that may not.
    pub asns_denied: BTreeSet<u32>,
}

/// About countries: ISO 3166-1 codes in upper case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryRules {
    /// From these alone, if there are any.
    pub allow: BTreeSet<String>,
    /// Not from these.
    pub deny: BTreeSet<String>,
    /// What becomes of addresses that the file does not know.
    pub unknown: Unknown,
}

/// What becomes of addresses without a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They may.
    Allowed,
    /// They may not.
    Refused,
}

/// Why an address may not call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkRefusal {
    /// Its operator's network.
    Asn,
    /// Its country.
    Country,
    /// It is on a list of denied addresses.
    Denied,
    /// It is on no list of allowed ones.
    NotAllowed,
    /// Its country is not known.
    UnknownCountry,
}

impl NetworkRefusal {
    /// As records name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Asn => "network_asn",
            Self::Country => "network_country",
            Self::Denied => "network_denied",
            Self::NotAllowed => "network_not_allowed",
            Self::UnknownCountry => "network_country_unknown",
        }
    }
}

impl NetworkRules {
    /// Whether a request from `address` may go on.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, address: IpAddr, place: Option<&Place>) -> Result<(), NetworkRefusal> {
        let on = |list: &Arc<AddressList>| list.contains(address);
        if self.deny.iter().any(on) {
            return Err(NetworkRefusal::Denied);
        }
        if self.allow.iter().any(|gate| !gate.iter().any(on)) {
            return Err(NetworkRefusal::NotAllowed);
        }
        if let Some(asn) = place.and_then(|place| place.asn)
            && self.asns_denied.contains(&asn)
        {
            return Err(NetworkRefusal::Asn);
        }
        self.countries
            .iter()
            .try_for_each(|rules| rules.admit(place))
    }

    /// Whether it must be known where an address is.
    #[must_use]
    pub fn needs_place(&self) -> bool {
        !self.countries.is_empty() || !self.asns_denied.is_empty()
    }
}

impl CountryRules {
    fn admit(&self, place: Option<&Place>) -> Result<(), NetworkRefusal> {
        let Some(country) = place.and_then(|place| place.country.as_ref()) else {
            return match self.unknown {
                Unknown::Allowed => Ok(()),
                Unknown::Refused => Err(NetworkRefusal::UnknownCountry),
            };
        };
        let allowed = self.allow.is_empty() || self.allow.contains(country.as_str());
        if allowed && !self.deny.contains(country.as_str()) {
            Ok(())
        } else {
            Err(NetworkRefusal::Country)
        }
    }
}

#[cfg(test)]
mod tests;
