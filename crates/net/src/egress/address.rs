//! Which addresses belong to the public internet, and what the others are.
//!
//! After the IANA special-purpose registries (RFC 6890) and the addresses at which clouds hand out credentials. Not here: which of the others may be reached
//! after all; see [`super::EgressPolicy`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What an address is that is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Special {
    /// `100.64.0.0/10`, shared by providers and their customers (RFC 6598).
    CarrierGrade,
    /// For examples in texts (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// This host itself.
    Loopback,
    /// This link alone, with most metadata services.
    LinkLocal,
    /// A service that tells a machine its own credentials.
    Metadata,
    /// Many hosts at once.
    Multicast,
    /// Networks of one's own.
    Private,
    /// Set apart, or not allocated: benchmarks, relays, translations, protocol assignments.
    Reserved,
    /// No address; on many systems this host itself.
    Unspecified,
}

impl Special {
    /// As records name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CarrierGrade => "address_carrier_grade",
            Self::Documentation => "address_documentation",
            Self::Loopback => "address_loopback",
            Self::LinkLocal => "address_link_local",
            Self::Metadata => "address_metadata",
            Self::Multicast => "address_multicast",
            Self::Private => "address_private",
            Self::Reserved => "address_reserved",
            Self::Unspecified => "address_unspecified",
        }
    }
}

/// Where clouds answer questions about a machine's own credentials. Some of them lie in public networks.
const METADATA_V4: [Ipv4Addr; 6] = [
    // Amazon, Azure, Google, DigitalOcean, OpenStack and most others; beside it Amazon's tasks, and Amazon's time and names.
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    // Alibaba, Oracle, Azure's wire server.
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
const METADATA_V6: [Ipv6Addr; 3] = [
    // Amazon, Amazon's pods, Google.
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];

/// Whether an address belongs to the public internet: everything that the IANA special-purpose registries do not set apart, and no metadata service.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    special(address).is_none()
}

/// What an address is, if it is not public. An IPv6 address that stands for an IPv4 address is what that one is.
#[must_use]
pub fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    if METADATA_V4.contains(&address) {
        return Some(Special::Metadata);
    }
    let [a, b, c, _] = address.octets();
    if address.is_unspecified() {
        Some(Special::Unspecified)
    } else if address.is_loopback() {
        Some(Special::Loopback)
    } else if address.is_private() {
        Some(Special::Private)
    } else if address.is_link_local() {
        Some(Special::LinkLocal)
    } else if address.is_multicast() {
        Some(Special::Multicast)
    } else if address.is_documentation() {
        Some(Special::Documentation)
    } else if a == 100 && (64..128).contains(&b) {
        Some(Special::CarrierGrade)
    } else {
        // `0.0.0.0/8`, `240.0.0.0/4` with broadcast, protocol assignments, 6to4 relays, benchmarks.
        let reserved = a == 0
            || a >= 240
            || (a == 192 && b == 0 && c == 0)
            || (a == 192 && b == 88 && c == 99)
            || (a == 198 && (b == 18 || b == 19));
        reserved.then_some(Special::Reserved)
    }
}

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    if METADATA_V6.contains(&address) {
        return Some(Special::Metadata);
    }
    if let Some(v4) = embedded_v4(address) {
        return special_v4(v4);
    }
    let [first, second, ..] = address.segments();
    if address.is_unspecified() {
        Some(Special::Unspecified)
    } else if address.is_loopback() {
        Some(Special::Loopback)
    } else if address.is_multicast() {
        Some(Special::Multicast)
    } else if first & 0xfe00 == 0xfc00 {
        Some(Special::Private)
    } else if first & 0xffc0 == 0xfe80 {
        Some(Special::LinkLocal)
    } else if (first == 0x2001 && second == 0x0db8) || first == 0x3fff {
        Some(Special::Documentation)
    } else {
        // 2000::/3 is all that is allocated as global unicast; within it, Teredo, ORCHID and benchmarks are not.
        let global = first & 0xe000 == 0x2000 && !(first == 0x2001 && second < 0x0200);
        (!global).then_some(Special::Reserved)
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (`::ffff:0:0/96`), NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`). What else
/// embeds one (compatible, translated, Teredo, NAT64 of one's own `64:ff9b:1::/48`) lies outside global unicast or in a block set apart.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// A network of addresses, as `10.1.0.0/16` or one address alone; nothing stands behind its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    base: IpAddr,
    length: u8,
}

/// Why a text is no [`Prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a network such as `10.1.0.0/16` or `fd12::/64`, with zeros behind its prefix")]
pub struct PrefixError;

impl Prefix {
    /// Whether `address` lies in it. An IPv6 address that is a mapped IPv4 address is taken as that.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                masked(base.to_bits().into(), 32, self.length)
                    == masked(address.to_bits().into(), 32, self.length)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                masked(base.to_bits(), 128, self.length)
                    == masked(address.to_bits(), 128, self.length)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether it is one address alone.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        match self.base {
            IpAddr::V4(_) => self.length == 32,
            IpAddr::V6(_) => self.length == 128,
        }
    }
}

/// The first `length` of `width` bits.
fn masked(bits: u128, width: u8, length: u8) -> u128 {
    let behind = u32::from(width.saturating_sub(length));
    bits.checked_shr(behind).unwrap_or(0)
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (base, length) = match text.split_once('/') {
            Some((base, length)) => (base, Some(length)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| PrefixError)?;
        let (bits, width) = match base {
            IpAddr::V4(base) => (u128::from(base.to_bits()), 32_u8),
            IpAddr::V6(base) => (base.to_bits(), 128),
        };
        let length = match length {
            Some(digits) if digits == "0" || !digits.starts_with(['0', '+']) => {
                digits.parse().map_err(|_| PrefixError)?
            }
            Some(_) => return Err(PrefixError),
            None => width,
        };
        let behind = u32::from(width.checked_sub(length).ok_or(PrefixError)?);
        // A network whose text says more than its prefix was meant otherwise.
        let whole = masked(bits, width, length).checked_shl(behind).unwrap_or(0);
        if whole != bits || base.to_canonical() != base {
            return Err(PrefixError);
        }
        Ok(Self { base, length })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}
