//! A person with a browser without script: cookies, forms, and the way through the pages.

use crate::server::{Failure, Http, PASSWORD};
use openidconnect::{HttpRequest, HttpResponse};
use std::collections::BTreeMap;
use url::Url;

pub struct Person<'a> {
    http: &'a Http,
    origin: Url,
    cookies: BTreeMap<String, String>,
}

impl<'a> Person<'a> {
    pub fn new(http: &'a Http, issuer: &str) -> Result<Self, Failure> {
        Ok(Self {
            http,
            origin: Url::parse(issuer)?,
            cookies: BTreeMap::new(),
        })
    }

    /// What comes back to the client; the person signs in and allows.
    pub fn approve(&mut self, start: &Url) -> Result<Url, Failure> {
        let mut answer = self.request(start, None)?;
        for _ in 0..12 {
            if let Some(location) = answer.headers().get("location") {
                let target = self.origin.join(location.to_str()?)?;
                if target.origin() != self.origin.origin() {
                    return Ok(target);
                }
                answer = self.request(&target, None)?;
                continue;
            }
            let page = String::from_utf8(answer.body().clone())?;
            let action = self.origin.join(between(&page, "action=\"")?)?;
            let ticket = between(&page, "name=\"ticket\" value=\"")?;
            let mut form = vec![("ticket", ticket)];
            if page.contains("name=\"password\"") {
                form.extend([("username", "alice"), ("password", PASSWORD)]);
            } else {
                form.push(("answer", "allow"));
            }
            answer = self.request(&action, Some(&form))?;
        }
        Err("the pages have no end".into())
    }

    fn request(
        &mut self,
        url: &Url,
        form: Option<&[(&str, &str)]>,
    ) -> Result<HttpResponse, Failure> {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = HttpRequest::new(Vec::new());
        *request.uri_mut() = url.as_str().parse()?;
        if !cookies.is_empty() {
            request
                .headers_mut()
                .insert("cookie", cookies.join("; ").parse()?);
        }
        if let Some(form) = form {
            let body = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(form)
                .finish();
            *request.method_mut() = "POST".parse()?;
            request
                .headers_mut()
                .insert("content-type", "application/x-www-form-urlencoded".parse()?);
            *request.body_mut() = body.into_bytes();
        }
        let answer = self.http.send(request)?;
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or_default();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }
}

fn between<'p>(page: &'p str, before: &str) -> Result<&'p str, Failure> {
    let rest = page
        .split(before)
        .nth(1)
        .ok_or_else(|| format!("no `{before}` on the page: {page:.300}"))?;
    Ok(rest.split('"').next().unwrap_or_default())
}
