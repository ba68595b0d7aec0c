//! A browser without a screen, as far as a sign-in needs one: it keeps cookies, follows redirects and fills in forms (RFC 6749 §4.1).
//!
//! Not here: what a client sends over its own back channel.

use crate::Failed;
use crate::clients::escape;
use crate::form::{HtmlForm, forms};
use crate::load::{Destination, exchange};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// Cookies by name; several connections of one browser share them.
pub type Cookies = Arc<Mutex<BTreeMap<String, String>>>;

/// Who signs in.
#[derive(Debug, Clone)]
pub struct Person {
    /// What they type into the field "Username".
    pub username: String,
    /// Their password.
    pub password: String,
}

/// One connection of a browser.
pub struct Browser {
    destination: Destination,
    sender: SendRequest<Full<Bytes>>,
    cookies: Cookies,
    person: Person,
}

/// An answer, read whole.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// A member of a JSON answer.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(value.get(name)?.as_str()?.to_owned())
    }

    /// The whole body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<serde_json::Value, Failed> {
        serde_json::from_slice(&self.body).map_err(|_| self.problem())
    }

    /// The answer as a problem.
    #[must_use]
    pub fn problem(&self) -> Failed {
        format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)).into()
    }
}

impl Browser {
    /// Connects a browser that has these cookies already.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn connect(
        destination: &Destination,
        cookies: Cookies,
        person: Person,
    ) -> Result<Self, Failed> {
        Ok(Self {
            destination: destination.clone(),
            sender: destination.connect().await?,
            cookies,
            person,
        })
    }

    /// Sends a request without cookies, as a client's own program would.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(
        &mut self,
        request: http::request::Builder,
        body: String,
    ) -> Result<Answer, Failed> {
        let request = request
            .header(header::HOST, self.destination.host())
            .body(Full::new(Bytes::from(body)))?;
        let (parts, body) = exchange(&mut self.sender, request).await?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    /// Follows redirects and fills in forms until a code arrives at `redirect_uri`.
    ///
    /// # Errors
    /// When it does not arrive.
    pub async fn authorize(&mut self, path: &str, redirect_uri: &str) -> Result<String, Failed> {
        let mut answer = self.browse(Method::GET, path, String::new()).await?;
        let mut at = path.to_owned();
        for _ in 0..8 {
            if let Some(location) = location(&answer.headers) {
                if location.starts_with(redirect_uri) {
                    return parameter(location, "code")
                        .ok_or_else(|| format!("no code in {location}").into());
                }
                at = local(location);
                answer = self.browse(Method::GET, &at.clone(), String::new()).await?;
            } else {
                let page = String::from_utf8_lossy(&answer.body).into_owned();
                let (target, body) =
                    filled(&page, &at, &self.person).ok_or_else(|| answer.problem())?;
                answer = self.browse(Method::POST, &target, body).await?;
            }
        }
        Err("the sign-in does not end".into())
    }

    async fn browse(&mut self, method: Method, path: &str, body: String) -> Result<Answer, Failed> {
        let sent = cookie_header(&lock(&self.cookies));
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::COOKIE, sent);
        if method == Method::POST {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, self.destination.origin());
        }
        let answer = self.send(request, body).await?;
        keep_cookies(&mut lock(&self.cookies), &answer.headers);
        Ok(answer)
    }
}

/// What `Cookie` carries.
#[must_use]
pub fn cookie_header(cookies: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("; ")
}

/// Takes over what an answer sets; an empty value removes.
pub fn keep_cookies(cookies: &mut BTreeMap<String, String>, headers: &HeaderMap) {
    for cookie in headers.get_all(header::SET_COOKIE) {
        let pair = cookie.to_str().unwrap_or_default().split(';').next();
        let Some((name, value)) = pair.and_then(|pair| pair.split_once('=')) else {
            continue;
        };
        let (name, value) = (name.trim().to_owned(), value.trim());
        if value.is_empty() {
            cookies.remove(&name);
        } else {
            cookies.insert(name, value.to_owned());
        }
    }
}

/// Where an answer sends the browser.
#[must_use]
pub fn location(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::LOCATION)?.to_str().ok()
}

/// A parameter of the query of an absolute address.
#[must_use]
pub fn parameter(address: &str, name: &str) -> Option<String> {
    let url: Url = address.parse().ok()?;
    url.query_pairs()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Path and query of an address at the issuer.
fn local(location: &str) -> String {
    location.parse::<Url>().map_or_else(
        |_| location.to_owned(),
        |url| {
            url.query().map_or_else(
                || url.path().to_owned(),
                |query| format!("{}?{query}", url.path()),
            )
        },
    )
}

/// The sign-in or consent form of a page, filled in: where it goes and its body.
fn filled(page: &str, at: &str, person: &Person) -> Option<(String, String)> {
    let wanted = ["Sign in", "Allow"];
    let found = forms(page).into_iter().find_map(|form| {
        let button = form
            .buttons
            .iter()
            .find(|(label, ..)| wanted.contains(&label.as_str()))
            .cloned()?;
        Some((form, button))
    });
    let (
        HtmlForm {
            action, mut fields, ..
        },
        (_, name, value),
    ) = found?;
    for (name, value) in &mut fields {
        match name.as_str() {
            "username" => person.username.clone_into(value),
            "password" => person.password.clone_into(value),
            _ => {}
        }
    }
    if !name.is_empty() {
        fields.push((name, value));
    }
    let body: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    Some((
        if action.is_empty() {
            at.to_owned()
        } else {
            local(&action)
        },
        body.join("&"),
    ))
}

#[cfg(test)]
mod tests {
    use super::{cookie_header, keep_cookies, parameter};
    use http::{HeaderMap, HeaderValue, header};
    use std::collections::BTreeMap;

    #[test]
    fn cookies_are_kept_replaced_and_removed() {
        let mut cookies = BTreeMap::from([("gone".to_owned(), "1".to_owned())]);
        let mut headers = HeaderMap::new();
        for value in ["sid=a; Path=/; Secure", "gone=; Max-Age=0", "sid=b"] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(value));
        }
        keep_cookies(&mut cookies, &headers);
        assert_eq!(cookie_header(&cookies), "sid=b");
    }

    #[test]
    fn a_parameter_is_decoded() {
        let address = "https://portal.example/callback?state=s&code=a%2Fb";
        assert_eq!(parameter(address, "code").as_deref(), Some("a/b"));
        assert_eq!(parameter(address, "iss"), None);
    }
}
