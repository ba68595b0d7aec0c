//! Where somebody wants to be connected to, in one canonical form: a name in lower case or an address, and a port.
//!
//! What two readers could take for different hosts is refused, not repaired: addresses in decimal, octal, hexadecimal or shortened, IPv4 addresses inside of
//! IPv6 ones, a dot at the end, escapes, user names, zone ids, letters that are not ASCII (an internationalized name is written in its `xn--` form). At the end the
//! URL standard's parser has to read the same host, so that no library behind us reads another.
//!
//! RFC 3986 §3.2, RFC 9110 §9.3.6 (the target of `CONNECT`), RFC 1123 §2.1. Not here: whether the host may be reached.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Bytes of a name (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// Bytes of one label of a name.
const LABEL_BYTES_MAX: usize = 63;

/// Why a text names no destination, or could name two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// An IPv4 address in decimal, octal, hexadecimal, shortened, or inside of an IPv6 address.
    #[error("destination_address_spelling")]
    AddressSpelling,
    /// A character that no host has.
    #[error("destination_character")]
    Character,
    /// The URL standard reads another host.
    #[error("destination_disagreement")]
    Disagreement,
    /// A percent sign.
    #[error("destination_escape")]
    Escape,
    /// A label that is empty, too long, or begins or ends with a dash.
    #[error("destination_label")]
    Label,
    /// Bytes that are not ASCII.
    #[error("destination_not_ascii")]
    NotAscii,
    /// No port where one is needed, or one that is not a plain number from 1 to 65535.
    #[error("destination_port")]
    Port,
    /// A dot at the end.
    #[error("destination_trailing_dot")]
    TrailingDot,
    /// A user name or password.
    #[error("destination_user_info")]
    UserInfo,
    /// The zone of a link-local address.
    #[error("destination_zone")]
    Zone,
}

impl DestinationError {
    /// As records name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AddressSpelling => "destination_address_spelling",
            Self::Character => "destination_character",
            Self::Disagreement => "destination_disagreement",
            Self::Escape => "destination_escape",
            Self::Label => "destination_label",
            Self::NotAscii => "destination_not_ascii",
            Self::Port => "destination_port",
            Self::TrailingDot => "destination_trailing_dot",
            Self::UserInfo => "destination_user_info",
            Self::Zone => "destination_zone",
        }
    }
}

/// A host in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationHost {
    /// An address.
    Address(IpAddr),
    /// A name in lower case, without a dot at its end.
    Name(Box<str>),
}

impl DestinationHost {
    /// Whether it is a name below `suffix`, which begins with a dot.
    #[must_use]
    pub fn is_below(&self, suffix: &str) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Name(name) => name.len() > suffix.len() && name.ends_with(suffix),
        }
    }
}

impl FromStr for DestinationHost {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let bracketed = text.strip_prefix('[');
        for byte in text.bytes() {
            match byte {
                0x80.. => return Err(DestinationError::NotAscii),
                b'@' => return Err(DestinationError::UserInfo),
                b'%' if bracketed.is_some() => return Err(DestinationError::Zone),
                b'%' => return Err(DestinationError::Escape),
                _ => {}
            }
        }
        let host = match bracketed {
            Some(rest) => address_v6(rest)?,
            None => name_or_v4(text)?,
        };
        // The last word: whoever reads this host as a URL's reads the same.
        let read = url::Host::parse(&host.to_string()).ok();
        let same = match (&read, &host) {
            (Some(url::Host::Domain(read)), Self::Name(name)) => **read == **name,
            (Some(url::Host::Ipv4(read)), Self::Address(IpAddr::V4(address))) => read == address,
            (Some(url::Host::Ipv6(read)), Self::Address(IpAddr::V6(address))) => read == address,
            _ => false,
        };
        same.then_some(host).ok_or(DestinationError::Disagreement)
    }
}

impl fmt::Display for DestinationHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn address_v6(after_bracket: &str) -> Result<DestinationHost, DestinationError> {
    let inner = after_bracket
        .strip_suffix(']')
        .ok_or(DestinationError::Character)?;
    let address: Ipv6Addr = inner.parse().map_err(|_| DestinationError::Character)?;
    // Mapped and compatible: the same host has a plainer name.
    let embeds = address.to_ipv4_mapped().is_some()
        || (address.to_bits() >> 32 == 0 && address.to_bits() > 1)
        || inner.contains('.');
    if embeds {
        return Err(DestinationError::AddressSpelling);
    }
    Ok(DestinationHost::Address(address.into()))
}

fn name_or_v4(text: &str) -> Result<DestinationHost, DestinationError> {
    if text.len() > 1 && text.ends_with('.') {
        return Err(DestinationError::TrailingDot);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(DestinationError::Label);
    }
    let name = text.to_ascii_lowercase();
    let mut last = "";
    for label in name.split('.') {
        if !label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return Err(DestinationError::Character);
        }
        let whole = (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !whole {
            return Err(DestinationError::Label);
        }
        last = label;
    }
    // Whoever reads numbers where names stand reads this as an address: then it is one in its plain form, or nothing.
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if numeric {
        let address: Ipv4Addr = name
            .parse()
            .map_err(|_| DestinationError::AddressSpelling)?;
        return Ok(DestinationHost::Address(address.into()));
    }
    Ok(DestinationHost::Name(name.into_boxed_str()))
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    host: DestinationHost,
    port: u16,
}

impl Destination {
    /// These two.
    ///
    /// # Errors
    /// For port 0, at which nobody listens.
    pub fn new(host: DestinationHost, port: u16) -> Result<Self, DestinationError> {
        if port == 0 {
            return Err(DestinationError::Port);
        }
        Ok(Self { host, port })
    }

    /// `host:port`, as `CONNECT` has it.
    ///
    /// # Errors
    /// See [`DestinationError`].
    pub fn parse(authority: &str) -> Result<Self, DestinationError> {
        let (host, port) = split(authority)?;
        let port = port.ok_or(DestinationError::Port)?;
        Self::new(host.parse()?, port_of(port)?)
    }

    /// The authority of a URL whose scheme has this port.
    ///
    /// # Errors
    /// See [`DestinationError`].
    pub fn parse_or(authority: &str, default_port: u16) -> Result<Self, DestinationError> {
        let (host, port) = split(authority)?;
        Self::new(host.parse()?, port.map_or(Ok(default_port), port_of)?)
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &DestinationHost {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// As the field `Host` of a request names it: the scheme's own port is left out.
    #[must_use]
    pub fn authority(&self, default_port: u16) -> String {
        if self.port == default_port {
            self.host.to_string()
        } else {
            self.to_string()
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The host and, behind the last colon that is not inside brackets, the port. A user name is refused before anything is taken apart.
fn split(authority: &str) -> Result<(&str, Option<&str>), DestinationError> {
    if authority.contains('@') {
        return Err(DestinationError::UserInfo);
    }
    Ok(match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    })
}

fn port_of(text: &str) -> Result<u16, DestinationError> {
    let plain = (1..=5).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0');
    if !plain {
        return Err(DestinationError::Port);
    }
    text.parse().map_err(|_| DestinationError::Port)
}

#[cfg(test)]
mod tests;
