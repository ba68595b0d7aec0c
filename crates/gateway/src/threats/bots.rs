//! What does not fit together in what a caller says of its software: names for policies, not verdicts. Whoever takes trouble can send what a browser
//! sends; these tell those who did not, and a policy weighs them beside the credential.
//!
//! Browsers of the Chromium family send `Sec-CH-UA` fields (User-Agent Client Hints) and `Sec-Fetch-*` with every request over TLS; others send no hints.

use http::{HeaderMap, header};

/// The signals of a request, in a fixed order. At most one of each.
#[must_use]
pub fn signals(headers: &HeaderMap) -> Vec<&'static str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut found = Vec::new();
    let agent = match headers.get(header::USER_AGENT).map(|value| value.to_str()) {
        None => {
            found.push("no_user_agent");
            ""
        }
        Some(Ok(agent)) if !agent.trim().is_empty() => agent,
        Some(Ok(_) | Err(_)) => {
            found.push("broken_user_agent");
            ""
        }
    };
    if TOOLS.iter().any(|tool| contains(agent, tool)) {
        found.push("tool");
    }
    let brands = text("sec-ch-ua");
    let headless = |text: &str| contains(text, "headless");
    if headless(agent) || brands.is_some_and(headless) {
        found.push("headless");
    }
    let chromium = major(agent, "Chrome/");
    let browser = chromium.is_some() || agent.contains("Firefox/") || agent.contains("Safari/");
    if browser && !headers.contains_key(header::ACCEPT_LANGUAGE) {
        found.push("no_accept_language");
    }
    match (chromium, brands) {
        (Some(version), None) if version >= HINTS_SINCE => found.push("no_client_hints"),
        (None, Some(_)) => found.push("unexpected_client_hints"),
        (Some(version), Some(brands)) if !brands.contains(&format!("v=\"{version}\"")) => {
            found.push("version_mismatch");
        }
        (Some(_), Some(_) | None) | (None, None) => {}
    }
    if chromium.is_some_and(|version| version >= HINTS_SINCE) && text("sec-fetch-site").is_none() {
        found.push("no_fetch_metadata");
    }
    if let Some(platform) = text("sec-ch-ua-platform")
        && !platform_fits(platform.trim_matches('"'), agent)
    {
        found.push("platform_mismatch");
    }
    if let Some(mobile) = text("sec-ch-ua-mobile")
        && (mobile == "?1") != agent.contains("Mobile")
    {
        found.push("mobile_mismatch");
    }
    found
}

/// The first version of Chromium that sends hints to everybody.
const HINTS_SINCE: u32 = 90;
/// What libraries and tools say of themselves.
const TOOLS: [&str; 14] = [
    "curl/",
    "wget/",
    "python-requests",
    "python-urllib",
    "aiohttp",
    "httpx",
    "go-http-client",
    "java/",
    "okhttp",
    "libwww-perl",
    "axios/",
    "node-fetch",
    "undici",
    "scrapy",
];

fn contains(text: &str, wanted: &str) -> bool {
    text.to_ascii_lowercase().contains(wanted)
}

/// The major version behind `product`.
fn major(agent: &str, product: &str) -> Option<u32> {
    let (_, behind) = agent.split_once(product)?;
    let digits: String = behind
        .chars()
        .take_while(char::is_ascii_digit)
        .take(6)
        .collect();
    digits.parse().ok()
}

fn platform_fits(platform: &str, agent: &str) -> bool {
    match platform {
        "Android" => agent.contains("Android"),
        "Chrome OS" | "Chromium OS" => agent.contains("CrOS"),
        "Linux" => agent.contains("Linux") && !agent.contains("Android"),
        "macOS" => agent.contains("Macintosh"),
        "Windows" => agent.contains("Windows"),
        // Others exist and new ones come: nothing is said of them.
        _ => true,
    }
}

#[cfg(test)]
mod tests;
