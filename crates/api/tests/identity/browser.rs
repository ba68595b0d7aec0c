//! A browser: cookies, forms and the way through the pages.

use super::harness::{CALLBACK, CHALLENGE, PASSWORD, Reply, Server, escape, post};
use axum::body::Body;
use http::{Request, StatusCode, header};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A jar of cookies.
#[derive(Default, Clone)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
    /// Where it is, if that matters.
    pub(crate) from: Option<IpAddr>,
}

/// A form as a page shows it.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) ticket: String,
}

impl Form {
    pub(crate) fn of(reply: &Reply) -> Self {
        let between = |before: &str| {
            let start = reply
                .text
                .split(before)
                .nth(1)
                .unwrap_or_else(|| panic!("{before} in {reply:?}"));
            start.split('"').next().unwrap().to_owned()
        };
        Self {
            action: between("action=\""),
            ticket: between("name=\"ticket\" value=\""),
        }
    }
}

impl Browser {
    pub(crate) async fn get(&mut self, server: &Server, path: &str) -> Reply {
        let request = Request::get(path)
            .header(header::COOKIE, self.header())
            .body(Body::empty())
            .unwrap();
        self.send(server, request).await
    }

    async fn send(&mut self, server: &Server, mut request: Request<Body>) -> Reply {
        if let Some(from) = self.from {
            request
                .extensions_mut()
                .insert(SocketAddr::from((from, 40_000)));
        }
        let reply = server.send(request).await;
        self.keep(&reply);
        reply
    }

    pub(crate) async fn submit(&mut self, server: &Server, form: &Form, fields: &str) -> Reply {
        let body = format!("ticket={}&{fields}", escape(&form.ticket));
        let request = post(&form.action, &[("cookie", &self.header())], &body);
        self.send(server, request).await
    }

    fn header(&self) -> String {
        let fields: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        fields.join("; ")
    }

    fn keep(&mut self, reply: &Reply) {
        for cookie in reply.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(
                cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Lax")
                    && cookie.starts_with("__Host-"),
                "{cookie}"
            );
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Through the sign-in page: what comes after it.
    pub(crate) async fn sign_in(&mut self, server: &Server, page: &Reply, name: &str) -> Reply {
        let fields = format!("username={name}&password={}", escape(PASSWORD));
        let reply = self.submit(server, &Form::of(page), &fields).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
        let resume = reply.location().to_owned();
        self.get(server, &resume).await
    }

    /// Through every page to the redirect that carries the code.
    pub(crate) async fn approve(&mut self, server: &Server, path: &str) -> Reply {
        let mut reply = self.get(server, path).await;
        if reply.text.contains("name=\"password\"") {
            reply = self.sign_in(server, &reply, "alice").await;
        }
        if reply.text.contains("value=\"allow\"") {
            reply = self.submit(server, &Form::of(&reply), "answer=allow").await;
        }
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
        reply
    }

    /// A code for the portal by a plain authorization request.
    pub(crate) async fn code(&mut self, server: &Server, extra: &str) -> String {
        let reply = self
            .approve(server, &format!("/authorize?{}", query(extra)))
            .await;
        reply
            .redirected("code")
            .unwrap_or_else(|| panic!("a code: {reply:?}"))
    }
}

/// The portal's authorization request, with parameters replaced or added; `name=` alone leaves one out.
pub(crate) fn query(extra: &str) -> String {
    let good = [
        ("client_id", "portal".to_owned()),
        ("redirect_uri", escape(CALLBACK)),
        ("response_type", "code".to_owned()),
        ("scope", "openid%20orders:read%20billing:read".to_owned()),
        ("state", "the-state".to_owned()),
        ("nonce", "the-nonce".to_owned()),
        ("code_challenge", CHALLENGE.to_owned()),
        ("code_challenge_method", "S256".to_owned()),
    ];
    let replaced = |name: &str| {
        extra
            .split('&')
            .any(|field| field.split('=').next() == Some(name))
    };
    let mut fields: Vec<String> = good
        .iter()
        .filter(|(name, _)| !replaced(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    fields.extend(
        extra
            .split('&')
            .filter(|field| !field.is_empty() && !field.ends_with('='))
            .map(str::to_owned),
    );
    fields.join("&")
}
