//! How a tenant's pages look: its name, one colour and a logo. Everything is served from here; nothing is fetched from anywhere else.
//!
//! The colour is a wish: [`Accent::on_light`] and [`Accent::on_dark`] move it until text in it reads well (WCAG 2.2 §1.4.3, contrast 4.5 to 1).
//!
//! Not here: SVG, which is a program; fonts and further style.

use countersign_base::{Bounded, ParseError};
use countersign_crypto::base64url;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bytes of a logo.
pub const LOGO_BYTES_MAX: usize = 64 * 1024;

/// The background that accents stand on in light pages.
const LIGHT: Rgb = Rgb([0xff, 0xff, 0xff]);
/// The background that accents stand on in dark pages.
const DARK: Rgb = Rgb([0x1a, 0x21, 0x2b]);
/// Text on an accent is this dark or [`LIGHT`], whichever reads better.
const INK: Rgb = Rgb([0x0b, 0x12, 0x1b]);
/// What text needs against its background.
const CONTRAST_MIN: f64 = 4.5;

/// The look of a tenant's pages. What is left out is the product's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branding {
    /// What stands at the top of each page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Bounded<64>>,
    /// The colour of buttons and links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent: Option<Accent>,
    /// The picture beside the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<Logo>,
}

/// A colour as `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Accent(Rgb);

/// An accent where it stands, and the colour of text on it; both as `#rrggbb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The accent.
    pub accent: String,
    /// Text on it.
    pub ink: String,
}

impl Accent {
    /// As it stands on light pages: darkened as far as text in it needs.
    #[must_use]
    pub fn on_light(self) -> Placed {
        self.0.until_readable(LIGHT, INK)
    }

    /// As it stands on dark pages: lightened as far as text in it needs.
    #[must_use]
    pub fn on_dark(self) -> Placed {
        self.0.until_readable(DARK, LIGHT)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rgb([u8; 3]);

impl Rgb {
    /// Moves towards `towards` in steps of a twentieth until it is told from `background`.
    fn until_readable(self, background: Self, towards: Self) -> Placed {
        let accent = (0..=20)
            .map(|step| self.mixed(towards, step))
            .find(|colour| colour.contrast(background) >= CONTRAST_MIN)
            .unwrap_or(towards);
        let ink = if accent.contrast(LIGHT) >= accent.contrast(INK) {
            LIGHT
        } else {
            INK
        };
        Placed {
            accent: accent.to_string(),
            ink: ink.to_string(),
        }
    }

    fn mixed(self, other: Self, twentieths: u16) -> Self {
        let Self([red, green, blue]) = self;
        let Self([to_red, to_green, to_blue]) = other;
        let mix = |from: u8, to: u8| {
            let sum = u16::from(from) * (20 - twentieths) + u16::from(to) * twentieths;
            u8::try_from(sum / 20).unwrap_or(u8::MAX)
        };
        Self([mix(red, to_red), mix(green, to_green), mix(blue, to_blue)])
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let Self([red, green, blue]) = self;
        let linear = |channel: u8| {
            let part = f64::from(channel) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Accent {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::expected("a colour as `#rrggbb`");
        let digits = text
            .strip_prefix('#')
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .ok_or_else(error)?;
        let number = u32::from_str_radix(digits, 16).map_err(|_| error())?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self(Rgb([red, green, blue])))
    }
}

impl TryFrom<String> for Accent {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Accent> for String {
    fn from(accent: Accent) -> Self {
        accent.0.to_string()
    }
}

/// A picture: PNG, JPEG or WebP, told by its first bytes and never by its name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Logo {
    media_type: LogoType,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogoType {
    Jpeg,
    Png,
    WebP,
}

impl Logo {
    /// Takes the bytes of a picture.
    ///
    /// # Errors
    /// When they are more than [`LOGO_BYTES_MAX`], or none of the three kinds.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ParseError> {
        let expected = || ParseError::expected("a PNG, JPEG or WebP picture of at most 64 KiB");
        if bytes.len() > LOGO_BYTES_MAX {
            return Err(expected());
        }
        let media_type = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            LogoType::Png
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            LogoType::Jpeg
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            LogoType::WebP
        } else {
            return Err(expected());
        };
        Ok(Self { media_type, bytes })
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        match self.media_type {
            LogoType::Jpeg => "image/jpeg",
            LogoType::Png => "image/png",
            LogoType::WebP => "image/webp",
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({}, {} bytes)", self.media_type(), self.bytes.len())
    }
}

impl TryFrom<String> for Logo {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        let bytes = base64url::decode(&text)
            .map_err(|_| ParseError::expected("a picture in base64url without padding"))?;
        Self::from_bytes(bytes)
    }
}

impl From<Logo> for String {
    fn from(logo: Logo) -> Self {
        base64url::encode(&logo.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Rgb {
        text.parse::<Accent>().unwrap().0
    }

    #[test]
    fn whatever_colour_is_asked_for_text_reads_on_both_grounds() {
        for text in [
            "#000000", "#ffffff", "#ffff00", "#0b5bd3", "#ff0000", "#808080", "#00ff88", "#1a212b",
        ] {
            let accent: Accent = text.parse().unwrap();
            for (placed, ground) in [(accent.on_light(), LIGHT), (accent.on_dark(), DARK)] {
                let (colour, ink) = (parsed(&placed.accent), parsed(&placed.ink));
                assert!(colour.contrast(ground) >= CONTRAST_MIN, "{text} {placed:?}");
                assert!(colour.contrast(ink) >= CONTRAST_MIN, "{text} {placed:?}");
            }
        }
        let blue: Accent = "#0b5bd3".parse().unwrap();
        assert_eq!(blue.on_light().accent, "#0b5bd3", "a good colour stays");
    }

    #[test]
    fn colours_have_one_form() {
        for text in [
            "", "red", "#fff", "#12345g", "#1234567", "url(x)", "#+12345",
        ] {
            assert!(text.parse::<Accent>().is_err(), "{text}");
        }
        let json = serde_json::to_string(&"#0B5bd3".parse::<Accent>().unwrap()).unwrap();
        assert_eq!(json, "\"#0b5bd3\"");
    }

    #[test]
    fn a_logo_is_a_picture_of_bounded_size() {
        let png = b"\x89PNG\r\n\x1a\nrest".to_vec();
        let logo = Logo::from_bytes(png.clone()).unwrap();
        assert_eq!((logo.media_type(), logo.bytes()), ("image/png", &*png));
        let json = serde_json::to_string(&logo).unwrap();
        assert_eq!(serde_json::from_str::<Logo>(&json).unwrap(), logo);
        for bytes in [
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            b"GIF89a".to_vec(),
            Vec::new(),
            [png, vec![0; LOGO_BYTES_MAX]].concat(),
        ] {
            assert!(Logo::from_bytes(bytes).is_err());
        }
    }
}
