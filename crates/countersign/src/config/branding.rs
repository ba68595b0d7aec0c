//! `[tenants.branding]`: how a tenant's pages look. The logo is a file beside the configuration; an address of somebody else's is never shown.

use countersign_base::Bounded;
use countersign_oauth::tenant::Branding;
use countersign_oauth::tenant::branding::{Accent, LOGO_BYTES_MAX, Logo};
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};

/// As written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrandingSection {
    /// What stands at the top of each page.
    pub name: Option<Bounded<64>>,
    /// The colour of buttons and links, as `#rrggbb`; it is made darker or lighter as far as reading needs.
    pub accent: Option<Accent>,
    /// A PNG, JPEG or WebP picture of at most 64 KiB; relative paths start at the configuration directory.
    pub logo: Option<PathBuf>,
}

impl BrandingSection {
    /// Reads the logo.
    ///
    /// # Errors
    /// When it cannot be read, or is no such picture. The message names the file.
    pub fn read(&self, dir: &Path) -> Result<Branding, String> {
        let logo = self.logo.as_ref().map(|path| read_logo(&dir.join(path)));
        Ok(Branding {
            name: self.name.clone(),
            accent: self.accent,
            logo: logo.transpose()?,
        })
    }
}

fn read_logo(path: &Path) -> Result<Logo, String> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to refuse a huge file.
    let limit = u64::try_from(LOGO_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    Logo::from_bytes(bytes).map_err(|error| format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_read_and_judged_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let section = BrandingSection {
            logo: Some("logo.png".into()),
            ..BrandingSection::default()
        };
        assert!(
            section
                .read(dir.path())
                .unwrap_err()
                .contains("cannot be read")
        );
        std::fs::write(dir.path().join("logo.png"), "<svg/>").unwrap();
        assert!(section.read(dir.path()).unwrap_err().contains("PNG"));
        std::fs::write(dir.path().join("logo.png"), b"\x89PNG\r\n\x1a\n...").unwrap();
        let logo = section.read(dir.path()).unwrap().logo.unwrap();
        assert_eq!(logo.media_type(), "image/png");
    }
}
