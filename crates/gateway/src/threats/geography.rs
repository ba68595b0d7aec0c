//! Where addresses are, from files that the operator brings (MaxMind DB format 2.0: GeoLite2, GeoIP2, DB-IP and others). No file comes with Countersign.
//!
//! Files are read into memory as a whole and again with every reload of the configuration. What a file does not know, or cannot say because it is damaged, is an
//! unknown country: a case of its own, never some country.

use maxminddb::{Reader, path};
use std::net::IpAddr;
use std::path::Path;

/// Bytes of one file.
pub const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeographyError {
    /// It is no MaxMind DB.
    #[error("it is no MaxMind DB file")]
    Format,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(std::io::ErrorKind),
    /// It is too large.
    #[error("it is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
}

/// Where an address is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// An ISO 3166-1 code.
    pub country: Option<String>,
    /// The number of the network that announces the address.
    pub asn: Option<u32>,
}

impl Place {
    /// The country as policies see it.
    #[must_use]
    pub fn country_or_unknown(&self) -> &str {
        self.country.as_deref().unwrap_or("unknown")
    }
}

/// The files.
#[derive(Default)]
pub struct Geography {
    countries: Option<Reader<Vec<u8>>>,
    networks: Option<Reader<Vec<u8>>>,
}

impl Geography {
    /// With these files: one with countries, one with numbers of networks.
    ///
    /// # Errors
    /// When one cannot be used, with its position.
    pub fn read(countries: Option<&Path>, networks: Option<&Path>) -> Result<Self, GeographyError> {
        let database = |file: Option<&Path>| file.map(opened).transpose();
        Ok(Self {
            countries: database(countries)?,
            networks: database(networks)?,
        })
    }

    /// Where an address is.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let country = self.countries.as_ref().and_then(|reader| {
            let found = reader.lookup(address).ok()?;
            let code: Option<String> = found.decode_path(&path!["country", "iso_code"]).ok()?;
            code.filter(|code| {
                code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
            })
        });
        let asn = self.networks.as_ref().and_then(|reader| {
            let found = reader.lookup(address).ok()?;
            found
                .decode_path(&path!["autonomous_system_number"])
                .ok()
                .flatten()
        });
        Place { country, asn }
    }
}

fn opened(file: &Path) -> Result<Reader<Vec<u8>>, GeographyError> {
    let failed = |error: std::io::Error| GeographyError::Read(error.kind());
    if std::fs::metadata(file).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(GeographyError::TooLarge);
    }
    let bytes = std::fs::read(file).map_err(failed)?;
    Reader::from_source(bytes).map_err(|_| GeographyError::Format)
}

#[cfg(test)]
mod tests;
