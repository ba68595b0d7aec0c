//! Common mistakes about clients and their tokens.

use super::{Acceptance, Example, Found, Mistake, Severity, Subject};
use crate::config::Config;
use crate::config::clients::{ClientCredential, ClientSection};
use countersign_authn::trust::SecretInBody;
use countersign_base::Duration;
use countersign_oauth::client::{BindingRule, GrantType};

/// Access tokens that live longer are worth a look.
const TOKEN_USUAL: Duration = Duration::from_secs(900);
/// And refresh tokens.
const REFRESH_USUAL: Duration = Duration::from_secs(30 * 86_400);

const BATCH: &str = "[[clients]]\nid = \"batch\"\nowner = \"payments@example.com\"\njwks = \"batch.jwks.json\"\ngrants = [\"client_credentials\"]\n";

fn each(config: &Config, found: &mut Found, key: &'static str, is: fn(&ClientSection) -> bool) {
    for client in config.clients.iter().filter(|client| is(client)) {
        found.at(subject(client), key);
    }
}

fn subject(client: &ClientSection) -> Subject {
    Subject::of("client", &client.id).in_tenant(&client.tenant)
}

/// A scope that stands for everything.
pub(super) const GLOBAL_SCOPE: Mistake = Mistake {
    id: "global-scope",
    severity: Severity::High,
    wrong: "A scope stands for everything",
    why: "Whoever gets hold of one token of this client may do all that the service can do. A scope that names what is done bounds the damage, and shows in the log what was meant.",
    mend: "split the scope by what is done: `orders.read`, `orders.write`",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: BATCH,
        wrong: "audiences = [\"https://orders.example\"]\nscopes = [\"orders.*\"]\n",
        right: "audiences = [\"https://orders.example\"]\nscopes = [\"orders.read\"]\n",
    },
    find: |config, found| {
        for client in &config.clients {
            for scope in &client.scopes {
                let name = scope.as_str();
                let ends = |end| name.ends_with(end);
                if matches!(name, "*" | "admin" | "all") || ends(":*") || ends(".*") || ends("/*") {
                    let detail = format!("the scope is `{name}`");
                    found.with(subject(client), "scopes", detail);
                }
            }
        }
    },
};

/// Access tokens of more than a quarter of an hour.
pub(super) const LONG_LIVED_TOKEN: Mistake = Mistake {
    id: "long-lived-token",
    severity: Severity::Medium,
    wrong: "Access tokens live longer than 15 minutes",
    why: "A stolen token works until it expires wherever nobody asks whether it was revoked. More than an hour is refused outright.",
    mend: "write `access_token_lifetime = \"5m\"`, and use refresh tokens for the rest",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: BATCH,
        wrong: "audiences = [\"https://orders.example\"]\naccess_token_lifetime = \"50m\"\n",
        right: "audiences = [\"https://orders.example\"]\naccess_token_lifetime = \"5m\"\n",
    },
    find: |config, found| {
        for client in &config.clients {
            if let Some(lifetime) = client.access_token_lifetime
                && lifetime.0 > TOKEN_USUAL
            {
                let detail = format!("they live {} minutes", lifetime.0.as_secs() / 60);
                found.with(subject(client), "access_token_lifetime", detail);
            }
        }
    },
};

/// Refresh tokens of more than a month.
pub(super) const LONG_LIVED_REFRESH: Mistake = Mistake {
    id: "long-lived-refresh",
    severity: Severity::Medium,
    wrong: "Refresh tokens live longer than 30 days",
    why: "A device that was lost or sold stays signed in for as long. Somebody who still uses it signs in again without noticing; somebody else cannot.",
    mend: "write `refresh_token_lifetime = \"30d\"` or less",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[clients]]\nid = \"portal\"\nowner = \"portal@example.com\"\njwks = \"portal.jwks.json\"\naudiences = [\"https://orders.example\"]\nredirect_uris = [\"https://portal.example/callback\"]\ngrants = [\"authorization_code\", \"refresh_token\"]\n",
        wrong: "refresh_token_lifetime = \"365d\"\n",
        right: "refresh_token_lifetime = \"30d\"\n",
    },
    find: |config, found| {
        for client in &config.clients {
            if let Some(lifetime) = client.refresh_token_lifetime
                && lifetime.0 > REFRESH_USUAL
            {
                let detail = format!("they live {} days", lifetime.0.as_secs() / 86_400);
                found.with(subject(client), "refresh_token_lifetime", detail);
            }
        }
    },
};

/// A client that gets no access token.
pub(super) const NO_AUDIENCE: Mistake = Mistake {
    id: "no-audience",
    severity: Severity::Medium,
    wrong: "A client with grants has no audience",
    why: "A token says for whom it is. Countersign issues none without an audience, so this client gets none; elsewhere such a token would open every service that believes the issuer.",
    mend: "name the services that it calls in `audiences`",
    acceptance: Acceptance::Never,
    example: Example {
        before: BATCH,
        wrong: "scopes = [\"orders.read\"]\n",
        right: "scopes = [\"orders.read\"]\naudiences = [\"https://orders.example\"]\n",
    },
    find: |config, found| {
        each(config, found, "grants", |client| {
            client.audiences.is_empty() && !client.grants.is_empty()
        });
    },
};

/// A client that nobody answers for.
pub(super) const NO_OWNER: Mistake = Mistake {
    id: "no-owner",
    severity: Severity::Low,
    wrong: "Nobody answers for a client",
    why: "When its key leaks, or nobody knows whether it is still used, somebody has to be asked. Clients without an owner are the ones that stay for ever.",
    mend: "write `owner = \"...\"`: a team or a mailbox that outlives a person",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[clients]]\nid = \"batch\"\njwks = \"batch.jwks.json\"\ngrants = [\"client_credentials\"]\naudiences = [\"https://orders.example\"]\n",
        wrong: "",
        right: "owner = \"payments@example.com\"\n",
    },
    find: |config, found| {
        each(config, found, "id", |client| client.owner.is_none());
    },
};

/// A tenant that takes secrets in bodies.
pub(super) const SECRET_IN_BODY: Mistake = Mistake {
    id: "secret-in-body",
    severity: Severity::Medium,
    wrong: "Clients may send their secrets in the body of requests",
    why: "Bodies end up in logs and error reports, of proxies too; header fields that hold credentials mostly do not.",
    mend: "leave `client_secret_post` out, and let clients use the header, or better a key",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[tenants]]\nname = \"demo\"\n",
        wrong: "client_secret_post = \"allowed\"\n",
        right: "",
    },
    find: |config, found| {
        let allowing = config
            .tenants
            .iter()
            .filter(|tenant| tenant.client_secret_post == SecretInBody::Allowed);
        for tenant in allowing {
            found.at(Subject::of("tenant", &tenant.name), "client_secret_post");
        }
    },
};

/// A shared secret.
pub(super) const STATIC_SECRET: Mistake = Mistake {
    id: "static-secret",
    severity: Severity::Medium,
    wrong: "A client has a static secret",
    why: "Two sides hold it, it travels with each request, and it lives until somebody changes it. A key pair stays where it was made, and a stolen request says nothing of it.",
    mend: "write `jwks`, `tls_subject`, `tls_certificates` or `workload` instead of `secret`",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[clients]]\nid = \"batch\"\nowner = \"payments@example.com\"\ngrants = [\"client_credentials\"]\naudiences = [\"https://orders.example\"]\n",
        wrong: "secret = { file = \"batch.secret\" }\n",
        right: "jwks = \"batch.jwks.json\"\n",
    },
    find: |config, found| {
        each(config, found, "secret", |client| {
            matches!(client.credential, ClientCredential::Secret(..))
        });
    },
};

/// Refresh tokens that anybody can use.
pub(super) const UNBOUND_PUBLIC_REFRESH: Mistake = Mistake {
    id: "unbound-public-refresh",
    severity: Severity::High,
    wrong: "A public client gets refresh tokens that are bound to no key",
    why: "A public client proves nothing when it refreshes, so whoever copies the token from the device is the client, until somebody notices that it was used twice.",
    mend: "write `binding = \"required\"`: the token works with the device's own key alone",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[clients]]\nid = \"phone\"\nowner = \"apps@example.com\"\ngrants = [\"authorization_code\", \"refresh_token\"]\naudiences = [\"https://orders.example\"]\nredirect_uris = [\"https://phone.example/callback\"]\n",
        wrong: "",
        right: "binding = \"required\"\n",
    },
    find: |config, found| {
        each(config, found, "grants", |client| {
            client.credential == ClientCredential::Public
                && client.grants.contains(&GrantType::RefreshToken)
                && client.binding == BindingRule::Optional
        });
    },
};
