//! As much of a browser as the sign-in and consent pages need: cookies, redirects, forms. Nothing else, no script.

use super::http::{Client, Failure, Response};
use http::{HeaderMap, HeaderValue, Method, header};
use std::collections::BTreeMap;
use url::Url;

/// A browser with its cookies.
pub(super) struct Browser<'a> {
    client: &'a Client,
    cookies: BTreeMap<String, String>,
}

/// A page and where it was found.
pub(super) struct Page {
    pub(super) url: Url,
    pub(super) text: String,
}

/// Where following links and redirects ended.
pub(super) enum Arrived {
    /// At the address that was waited for.
    At(Url),
    /// On a page.
    On(Page),
}

/// Redirects that are followed before something is wrong.
const REDIRECTS_MAX: usize = 10;

impl<'a> Browser<'a> {
    pub(super) const fn new(client: &'a Client) -> Self {
        Self {
            client,
            cookies: BTreeMap::new(),
        }
    }

    /// Opens `url` and follows redirects until a page, or an address that begins with `destination`.
    pub(super) async fn open(&mut self, url: Url, destination: &str) -> Result<Arrived, Failure> {
        let response = self.request(Method::GET, &url, None).await?;
        self.follow(url, response, destination).await
    }

    /// Fills the only form of `page` in and presses the button that says `button`.
    pub(super) async fn submit(
        &mut self,
        page: &Page,
        filled: &[(&str, &str)],
        button: &str,
        destination: &str,
    ) -> Result<Arrived, Failure> {
        let form = Form::find(&page.text, button)
            .ok_or_else(|| Failure::new(format!("no form with a button `{button}`")))?;
        let target = page
            .url
            .join(&form.action)
            .map_err(|_| Failure::new("the form's action is not a URL"))?;
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &form.fields {
            let value = filled
                .iter()
                .find(|(field, _)| field == name)
                .map_or(value.as_str(), |(_, value)| value);
            body.append_pair(name, value);
        }
        for (field, _) in filled {
            if !form.fields.iter().any(|(name, _)| name == field) {
                return Err(Failure::new(format!("the form has no field `{field}`")));
            }
        }
        let origin = target.origin().ascii_serialization();
        let response = self
            .request(Method::POST, &target, Some((body.finish(), origin)))
            .await?;
        self.follow(target, response, destination).await
    }

    async fn follow(
        &mut self,
        mut url: Url,
        mut response: Response,
        destination: &str,
    ) -> Result<Arrived, Failure> {
        for _ in 0..REDIRECTS_MAX {
            let Some(location) = response.location() else {
                return Ok(Arrived::On(Page {
                    url,
                    text: response.text(),
                }));
            };
            url = url
                .join(&location)
                .map_err(|_| Failure::new("a redirect to what is not a URL"))?;
            if url.as_str().starts_with(destination) {
                return Ok(Arrived::At(url));
            }
            response = self.request(Method::GET, &url, None).await?;
        }
        Err(Failure::new("too many redirects"))
    }

    async fn request(
        &mut self,
        method: Method,
        url: &Url,
        form: Option<(String, String)>,
    ) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
        headers.insert("sec-fetch-dest", HeaderValue::from_static("document"));
        headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
        headers.insert(
            "sec-fetch-site",
            HeaderValue::from_static(if form.is_some() {
                "same-origin"
            } else {
                "none"
            }),
        );
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            headers.insert(header::COOKIE, super::http::value(&cookies.join("; "))?);
        }
        let body = match form {
            Some((body, origin)) => {
                headers.insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/x-www-form-urlencoded"),
                );
                headers.insert(header::ORIGIN, super::http::value(&origin)?);
                body
            }
            None => String::new(),
        };
        let response = self.client.send(method, url, headers, body).await?;
        self.keep_cookies(&response);
        Ok(response)
    }

    fn keep_cookies(&mut self, response: &Response) {
        for cookie in response.headers.get_all(header::SET_COOKIE) {
            let Ok(cookie) = cookie.to_str() else {
                continue;
            };
            let pair = cookie.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            if value.is_empty() || cookie.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.remove(name.trim());
            } else {
                self.cookies
                    .insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
}

/// A form with the button that was asked for.
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    fn find(html: &str, button: &str) -> Option<Self> {
        html.split("<form").skip(1).find_map(|part| {
            let form = part.split("</form>").next()?;
            let (attributes, content) = form.split_once('>')?;
            let mut fields = Vec::new();
            for input in content.split("<input").skip(1) {
                let tag = input.split('>').next()?;
                if let Some(name) = attribute(tag, "name") {
                    fields.push((name, attribute(tag, "value").unwrap_or_default()));
                }
            }
            let pressed = content.split("<button").skip(1).find_map(|part| {
                let (tag, rest) = part.split_once('>')?;
                let label = rest.split("</button>").next()?.trim();
                (label == button).then(|| tag.to_owned())
            })?;
            if let Some(name) = attribute(&pressed, "name") {
                fields.push((name, attribute(&pressed, "value").unwrap_or_default()));
            }
            Some(Self {
                action: attribute(attributes, "action").unwrap_or_default(),
                fields,
            })
        })
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let marker = format!("{name}=\"");
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once(&marker)?;
        if before.is_empty() || before.ends_with(|c: char| c.is_ascii_whitespace()) {
            return after.split('"').next().map(unescape);
        }
        rest = after;
    }
}

fn unescape(text: &str) -> String {
    text.replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&lt;", "<")
        .replace("&#60;", "<")
        .replace("&gt;", ">")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_found_by_its_button() {
        let html = r#"<form method="post" action="/a"><input name="x" value="1&amp;2"><button>Deny</button></form>
            <form action="/b" method="post"><input type="hidden" name="csrf" value="t">
            <input id="u" name="username" autocomplete="username"><button name="do" value="allow" class="b"> Allow </button></form>"#;
        let form = Form::find(html, "Allow").unwrap();
        assert_eq!(form.action, "/b");
        let fields: Vec<(&str, &str)> = form
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(fields, [("csrf", "t"), ("username", ""), ("do", "allow")]);
        assert_eq!(
            Form::find(html, "Deny").unwrap().fields,
            [("x".to_owned(), "1&2".to_owned())]
        );
        assert!(Form::find(html, "Other").is_none());
    }
}
