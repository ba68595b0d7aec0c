//! A tenant's name, colour and logo on its pages: served by this program alone, because the content security policy allows no other address.

use axum::response::Response;
use countersign_crypto::digest::sha256_base64url;
use countersign_oauth::TenantRecord;
use countersign_oauth::metadata::tenant_path;
use http::HeaderValue;
use http::header;
use std::any::Any;

/// Where a tenant's colours are, below its path.
pub(crate) const STYLE: &str = "/assets/brand.css";
/// Where its logo is.
pub(crate) const LOGO: &str = "/assets/logo";

/// What the frame of each page shows.
pub(crate) struct Brand {
    pub(crate) name: String,
    pub(crate) style: Option<String>,
    pub(crate) logo: Option<String>,
}

/// How templates find it, whatever page they are of.
impl askama::Values for Brand {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn Any> {
        (key == "brand").then_some(self as &dyn Any)
    }
}

impl Brand {
    /// The look of a tenant, or the product's own.
    pub(crate) fn of(tenant: Option<&TenantRecord>) -> Self {
        let branding = tenant.map(|tenant| &tenant.branding);
        let name = branding.and_then(|branding| branding.name.as_ref());
        // The address changes with what is behind it, so that browsers may keep it.
        let versioned = |path: &str, content: &[u8]| {
            let below = tenant.map_or_else(String::new, |tenant| tenant_path(&tenant.name));
            let digest = sha256_base64url(content);
            let version = digest.get(..12).unwrap_or_default();
            format!("{below}{path}?v={version}")
        };
        Self {
            name: name.map_or_else(|| "Countersign".to_owned(), ToString::to_string),
            style: tenant
                .and_then(colours)
                .map(|style| versioned(STYLE, style.as_bytes())),
            logo: branding
                .and_then(|branding| branding.logo.as_ref())
                .map(|logo| versioned(LOGO, logo.bytes())),
        }
    }
}

/// The style sheet with a tenant's colours, if it has some.
pub(crate) fn colours(tenant: &TenantRecord) -> Option<String> {
    let accent = tenant.branding.accent?;
    let (light, dark) = (accent.on_light(), accent.on_dark());
    let rule = |placed: &countersign_oauth::tenant::branding::Placed| {
        format!(
            ":root {{ --accent: {}; --accent-ink: {}; }}",
            placed.accent, placed.ink
        )
    };
    Some(format!(
        "{}\n@media (prefers-color-scheme: dark) {{ {} }}\n",
        rule(&light),
        rule(&dark)
    ))
}

/// An answer that browsers may keep: its address names its content.
pub(crate) fn asset(media_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=86400"),
    );
    response
}
