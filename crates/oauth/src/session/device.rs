//! What a person signed in with, as they would say it: "Firefox on Linux".
//!
//! Read from `User-Agent` (RFC 9110 §10.1.5), which anybody may write: it is shown to the person and decides nothing. Versions and models are not kept: they
//! would tell people apart and help nobody recognise their own device.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of `User-Agent` that are looked at.
const LOOKED_AT: usize = 512;

/// A browser on an operating system, by names from two closed lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    browser: Browser,
    system: System,
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum $name {
            $($variant,)+
        }

        impl $name {
            const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

names! {
    /// The browsers that people know.
    Browser {
        Chrome = "Chrome";
        Edge = "Edge";
        Firefox = "Firefox";
        Opera = "Opera";
        Other = "A browser";
        Safari = "Safari";
        Samsung = "Samsung Internet";
    }
}

names! {
    /// The systems that people know.
    System {
        Android = "Android";
        ChromeOs = "ChromeOS";
        Ios = "iPhone or iPad";
        Linux = "Linux";
        MacOs = "macOS";
        Other = "an unknown system";
        Windows = "Windows";
    }
}

/// Browsers name those that they want to be taken for, too, so the order matters.
const BROWSERS: &[(&str, Browser)] = &[
    ("SamsungBrowser/", Browser::Samsung),
    ("OPR/", Browser::Opera),
    ("Edg/", Browser::Edge),
    ("EdgA/", Browser::Edge),
    ("EdgiOS/", Browser::Edge),
    ("Firefox/", Browser::Firefox),
    ("FxiOS/", Browser::Firefox),
    ("CriOS/", Browser::Chrome),
    ("Chrome/", Browser::Chrome),
    ("Safari/", Browser::Safari),
];

const SYSTEMS: &[(&str, System)] = &[
    ("iPhone", System::Ios),
    ("iPad", System::Ios),
    ("Android", System::Android),
    ("CrOS", System::ChromeOs),
    ("Windows", System::Windows),
    ("Macintosh", System::MacOs),
    ("Linux", System::Linux),
];

impl Device {
    /// The device of this `User-Agent`.
    #[must_use]
    pub fn of_user_agent(text: &str) -> Self {
        let text = text.get(..LOOKED_AT).unwrap_or(text);
        let browser = BROWSERS.iter().find(|(mark, _)| text.contains(mark));
        let system = SYSTEMS.iter().find(|(mark, _)| text.contains(mark));
        Self {
            browser: browser.map_or(Browser::Other, |(_, browser)| *browser),
            system: system.map_or(System::Other, |(_, system)| *system),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.browser.as_str(), self.system.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Device;

    #[test]
    fn people_recognise_what_they_signed_in_with() {
        for (text, device) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone or iPad",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8", "A browser on an unknown system"),
            ("", "A browser on an unknown system"),
            (
                "<script>alert(1)</script>",
                "A browser on an unknown system",
            ),
        ] {
            assert_eq!(Device::of_user_agent(text).to_string(), device, "{text}");
        }
        let long = format!("a{}Firefox/1", "ü".repeat(600));
        assert_eq!(
            Device::of_user_agent(&long).to_string(),
            "Firefox on an unknown system",
            "a cut inside a letter is no cut"
        );
    }
}
