//! What `openidconnect`, a client written by others in Rust, sees: discovery, the code flow with PKCE, the ID token, userinfo, refresh, introspection and
//! revocation; and what it refuses when an answer was changed on its way. Ends with a line of counts.

mod person;
mod server;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreProviderMetadata, CoreTokenResponse,
    CoreUserInfoClaims,
};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, IntrospectionUrl, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RevocationUrl, Scope, TokenIntrospectionResponse as _, TokenResponse as _,
};
use person::Person;
use server::{AUDIENCE, CALLBACK, Failure, Http, SECRET, Server};
use std::cell::Cell;
use std::process::ExitCode;
use url::Url;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Counts checks and says how each went.
#[derive(Default)]
struct Checks {
    passed: Cell<u32>,
    failed: Cell<u32>,
}

impl Checks {
    fn check<T>(&self, name: &str, body: impl FnOnce() -> Result<T, Failure>) -> Option<T> {
        match body() {
            Ok(value) => {
                self.passed.set(self.passed.get() + 1);
                println!("ok   {name}");
                Some(value)
            }
            Err(error) => {
                self.failed.set(self.failed.get() + 1);
                println!("FAIL {name}: {}", chain(error.as_ref()));
                None
            }
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

fn must(condition: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if condition {
        Ok(())
    } else {
        Err(otherwise.into().into())
    }
}

/// That it was refused, with these words in the reason.
fn refused<T, E: std::error::Error>(result: Result<T, E>, with: &str) -> Result<(), Failure> {
    match result {
        Ok(_) => Err("it was accepted".into()),
        Err(error) => {
            let said = chain(&error);
            must(said.contains(with), format!("refused with: {said}"))
        }
    }
}

/// One sign-in and what its answers are held to.
struct SignIn {
    code: AuthorizationCode,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

struct Setting<'a> {
    http: &'a Http,
    issuer: &'a str,
    client: Client,
}

impl<'a> Setting<'a> {
    fn new(
        http: &'a Http,
        issuer: &'a str,
        id: &str,
        secret: Option<&str>,
    ) -> Result<Self, Failure> {
        let send = |request| http.send(request);
        let metadata = CoreProviderMetadata::discover(&IssuerUrl::new(issuer.to_owned())?, &send)?;
        let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
        let client =
            CoreClient::from_provider_metadata(metadata, ClientId::new(id.to_owned()), secret)
                .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned())?);
        Ok(Self {
            http,
            issuer,
            client,
        })
    }

    fn send(&self) -> impl Fn(HttpRequest) -> Result<HttpResponse, ureq::Error> + use<'_> {
        |request| self.http.send(request)
    }

    fn sign_in(&self, person: &mut Person<'_>, scopes: &[&str]) -> Result<SignIn, Failure> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = self.client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        for scope in scopes {
            request = request.add_scope(Scope::new((*scope).to_owned()));
        }
        let (url, state, nonce) = request
            .set_pkce_challenge(challenge)
            .add_extra_param("resource", AUDIENCE)
            .url();
        let returned = person.approve(&url)?;
        must(
            parameter(&returned, "state").as_ref() == Some(state.secret()),
            "another state came back",
        )?;
        must(
            parameter(&returned, "iss").as_deref() == Some(self.issuer),
            "the answer does not name its issuer",
        )?;
        let code = parameter(&returned, "code").ok_or_else(|| format!("no code in {returned}"))?;
        Ok(SignIn {
            code: AuthorizationCode::new(code),
            nonce,
            verifier,
        })
    }

    fn redeem(
        &self,
        sign_in: SignIn,
        resource: &str,
    ) -> Result<(CoreTokenResponse, Nonce), Failure> {
        let tokens = self
            .client
            .exchange_code(sign_in.code)?
            .set_pkce_verifier(sign_in.verifier)
            .add_extra_param("resource", resource)
            .request(&self.send())?;
        Ok((tokens, sign_in.nonce))
    }

    fn claims(
        &self,
        tokens: &CoreTokenResponse,
        nonce: &Nonce,
    ) -> Result<CoreIdTokenClaims, Failure> {
        let id_token = tokens.id_token().ok_or("no ID token")?;
        Ok(id_token
            .claims(&self.client.id_token_verifier(), nonce)?
            .clone())
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    let found = url.query_pairs().find(|(found, _)| found == name);
    found.map(|(_, value)| value.into_owned())
}

/// The answer with one letter of its ID token's claims or signature changed.
fn changed(text: String, part: usize) -> String {
    let Ok(mut answer) = serde_json::from_str::<serde_json::Value>(&text) else {
        return text;
    };
    let Some(token) = answer["id_token"].as_str() else {
        return text;
    };
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let middle = parts[part].len() / 2;
    let letter = if parts[part].as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    parts[part].replace_range(middle..=middle, letter);
    answer["id_token"] = parts.join(".").into();
    answer.to_string()
}

fn discovery(checks: &Checks, http: &Http, issuer: &str) {
    checks.check("openidconnect refuses metadata of another issuer", || {
        let elsewhere = issuer.to_owned();
        let change = move |text: String| text.replace(&elsewhere, "https://elsewhere.example");
        let found = http.tampering("/.well-known/openid-configuration", change, || {
            let send = |request| http.send(request);
            CoreProviderMetadata::discover(&IssuerUrl::new(issuer.to_owned())?, &send)
                .map_err(Failure::from)
        });
        match found {
            Ok(_) => Err("they were accepted".into()),
            Err(error) => must(
                chain(error.as_ref()).contains("unexpected issuer"),
                chain(error.as_ref()),
            ),
        }
    });
}

fn signing_in(checks: &Checks, setting: &Setting<'_>, person: &mut Person<'_>, label: &str) {
    let scopes: &[&str] = if label == "portal" {
        &["profile", "orders:read"]
    } else {
        &["orders:read"]
    };
    let Some((tokens, nonce)) = checks.check(
        &format!("{label}: a person signs in, and the code becomes tokens"),
        || {
            let sign_in = setting.sign_in(person, scopes)?;
            setting.redeem(sign_in, AUDIENCE)
        },
    ) else {
        return;
    };
    checks.check(
        &format!("{label}: the ID token is verified, and not for another nonce"),
        || {
            let claims = setting.claims(&tokens, &nonce)?;
            must(claims.issuer().as_str() == setting.issuer, "another issuer")?;
            must(
                claims.audiences().len() == 1 && claims.audiences()[0].as_str() == label,
                "another audience",
            )?;
            must(claims.auth_time().is_some(), "no auth_time")?;
            let id_token = tokens.id_token().ok_or("no ID token")?;
            refused(
                id_token.claims(&setting.client.id_token_verifier(), &Nonce::new_random()),
                "nonce",
            )
        },
    );
    for (part, what) in [(1, "claims"), (2, "signature")] {
        checks.check(
            &format!("{label}: an ID token whose {what} were changed is refused"),
            || {
                let sign_in = setting.sign_in(person, scopes)?;
                let verdict = setting.http.tampering(
                    "/token",
                    move |text| changed(text, part),
                    || {
                        let (tokens, nonce) = setting.redeem(sign_in, AUDIENCE)?;
                        setting.claims(&tokens, &nonce)
                    },
                );
                match verdict {
                    Ok(_) => Err("it was accepted".into()),
                    Err(_) => Ok(()),
                }
            },
        );
    }
    checks.check(
        &format!("r23_{label}: a code works once, and with its own verifier alone"),
        || {
            let SignIn {
                code,
                nonce,
                verifier,
            } = setting.sign_in(person, scopes)?;
            let (_, other) = PkceCodeChallenge::new_random_sha256();
            let stolen = setting.client.exchange_code(code)?.set_pkce_verifier(other);
            refused(stolen.request(&setting.send()), "invalid_grant")?;
            let again = setting.sign_in(person, scopes)?;
            let twice = AuthorizationCode::new(again.code.secret().clone());
            let verifier_again = PkceCodeVerifier::new(again.verifier.secret().clone());
            setting.redeem(again, AUDIENCE)?;
            let late = setting
                .client
                .exchange_code(twice)?
                .set_pkce_verifier(verifier_again);
            drop((nonce, verifier));
            refused(late.request(&setting.send()), "invalid_grant")
        },
    );
}

fn user_info(checks: &Checks, setting: &Setting<'_>, person: &mut Person<'_>) {
    checks.check(
        "openidconnect: userinfo tells who signed in, and another subject is refused",
        || {
            let sign_in = setting.sign_in(person, &["profile"])?;
            let (tokens, nonce) = setting.redeem(sign_in, setting.issuer)?;
            let subject = setting.claims(&tokens, &nonce)?.subject().clone();
            let ask = || -> Result<CoreUserInfoClaims, Failure> {
                let request = setting
                    .client
                    .user_info(tokens.access_token().clone(), Some(subject.clone()))?;
                Ok(request.request(&setting.send())?)
            };
            let told = ask()?;
            let name = told
                .given_name()
                .and_then(|name| name.get(None))
                .map(|name| name.as_str());
            must(name == Some("Alice"), format!("the name is {name:?}"))?;
            let mine = subject.as_str().to_owned();
            let other = setting.http.tampering(
                "/userinfo",
                move |text| text.replace(&mine, "somebody"),
                ask,
            );
            must(other.is_err(), "another subject was accepted")
        },
    );
    checks.check(
        "int_6_userinfo refuses a token for another audience",
        || {
            let sign_in = setting.sign_in(person, &["profile"])?;
            let (tokens, _) = setting.redeem(sign_in, AUDIENCE)?;
            let request = setting
                .client
                .user_info(tokens.access_token().clone(), None)?;
            let told: Result<CoreUserInfoClaims, _> = request.request(&setting.send());
            must(told.is_err(), "it answered")
        },
    );
}

fn refreshing(checks: &Checks, setting: &Setting<'_>, person: &mut Person<'_>) {
    let introspection = setting
        .client
        .clone()
        .set_introspection_url(
            IntrospectionUrl::new(format!("{}/introspect", setting.issuer)).expect("a URL"),
        )
        .set_revocation_url(
            RevocationUrl::new(format!("{}/revoke", setting.issuer)).expect("a URL"),
        );
    let active = |tokens: &CoreTokenResponse| -> Result<bool, Failure> {
        let seen = introspection
            .introspect(tokens.access_token())
            .request(&setting.send())?;
        Ok(seen.active())
    };
    let refresh = |token: &RefreshToken| -> Result<_, Failure> {
        Ok(setting
            .client
            .exchange_refresh_token(token)?
            .request(&setting.send()))
    };
    checks.check(
        "rt_4_refresh tokens rotate, and one from before ends the family",
        || {
            let sign_in = setting.sign_in(person, &["orders:read"])?;
            let (first, _) = setting.redeem(sign_in, AUDIENCE)?;
            let oldest = first.refresh_token().ok_or("no refresh token")?;
            let second = refresh(oldest)??;
            let third = refresh(second.refresh_token().ok_or("no second one")?)??;
            let newest = third.refresh_token().ok_or("no third one")?;
            must(oldest.secret() != newest.secret(), "it did not rotate")?;
            must(
                active(&third)?,
                "the twin: before the reuse the token lives",
            )?;
            refused(refresh(oldest)?, "invalid_grant")?;
            refused(refresh(newest)?, "invalid_grant")?;
            must(!active(&third)?, "the reuse left the token alive")
        },
    );
    checks.check("int_4_introspection says inactive after revocation", || {
        let sign_in = setting.sign_in(person, &["orders:read"])?;
        let (tokens, _) = setting.redeem(sign_in, AUDIENCE)?;
        must(active(&tokens)?, "it was never active")?;
        let revoked = introspection.revoke_token(tokens.access_token().clone().into())?;
        revoked.request(&setting.send())?;
        must(!active(&tokens)?, "it is still active")
    });
}

fn run(checks: &Checks) -> Result<(), Failure> {
    let server = Server::start()?;
    let http = server.connect()?;
    let mut person = Person::new(&http, &server.issuer)?;
    discovery(checks, &http, &server.issuer);
    let portal = Setting::new(&http, &server.issuer, "portal", Some(SECRET))?;
    signing_in(checks, &portal, &mut person, "portal");
    user_info(checks, &portal, &mut person);
    refreshing(checks, &portal, &mut person);
    checks.check("r28_a wrong secret is refused", || {
        let wrong = Setting::new(&http, &server.issuer, "portal", Some("wrong"))?;
        let SignIn { code, verifier, .. } = wrong.sign_in(&mut person, &["orders:read"])?;
        let request = wrong
            .client
            .exchange_code(code)?
            .set_pkce_verifier(verifier);
        refused(request.request(&wrong.send()), "invalid_client")
    });
    let phone = Setting::new(&http, &server.issuer, "phone", None)?;
    signing_in(checks, &phone, &mut person, "phone");
    Ok(())
}

fn main() -> ExitCode {
    let checks = Checks::default();
    checks.check("openidconnect: set-up", || run(&checks));
    let (passed, failed) = (checks.passed.get(), checks.failed.get());
    println!("openidconnect: {passed} passed, {failed} failed, 0 skipped");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
