//! `[agent.login]`: exactly one of `approle`, `certificate`, `jwt` and `kubernetes`. What a workload shows stands in files or variables, never here.

use crate::config::error::Mistakes;
use crate::config::span::SecretReference;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

/// `[agent.login]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLogin {
    approle: Option<RawAppRole>,
    certificate: Option<RawCertificate>,
    jwt: Option<RawJwt>,
    kubernetes: Option<RawKubernetes>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAppRole {
    mount: Option<String>,
    role_id: String,
    secret_id: SecretReference,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCertificate {
    mount: Option<String>,
    role: Option<String>,
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJwt {
    mount: Option<String>,
    role: String,
    file: PathBuf,
}

/// The file is where Kubernetes puts it, unless it is said.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKubernetes {
    mount: Option<String>,
    role: String,
    file: Option<PathBuf>,
}

/// Where the token of a pod's service account is.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A way to sign in. Files are read anew at each sign-in; relative paths start at the configuration directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginSection {
    /// A role's id and a secret id.
    AppRole {
        /// The auth method's path below `auth/`.
        mount: String,
        /// Which role.
        role_id: String,
        /// Where the secret id is.
        secret_id: SecretReference,
    },
    /// A client certificate, such as an X.509-SVID.
    Certificate {
        /// The auth method's path below `auth/`.
        mount: String,
        /// Which trusted certificate; without it, the first that admits.
        role: Option<String>,
        /// The chain, PEM.
        certificate: PathBuf,
        /// Its key, PKCS#8 in PEM.
        key: PathBuf,
    },
    /// A token in a file: a JWT-SVID, a token of a CI system, of a service account.
    Token {
        /// The auth method's path below `auth/`.
        mount: String,
        /// Which role.
        role: String,
        /// The file.
        file: PathBuf,
    },
}

impl LoginSection {
    /// The auth method's path below `auth/`.
    #[must_use]
    pub fn mount(&self) -> &str {
        match self {
            Self::AppRole { mount, .. }
            | Self::Certificate { mount, .. }
            | Self::Token { mount, .. } => mount,
        }
    }
}

pub(super) fn check(raw: Spanned<RawLogin>, mistakes: &mut Mistakes<'_>) -> Option<LoginSection> {
    let span = raw.span();
    let raw = raw.into_inner();
    let mount = |given: Option<String>, usual: &str| given.unwrap_or_else(|| usual.to_owned());
    let approle = raw.approle.map(|raw| LoginSection::AppRole {
        mount: mount(raw.mount, "approle"),
        role_id: raw.role_id,
        secret_id: raw.secret_id,
    });
    let certificate = raw.certificate.map(|raw| LoginSection::Certificate {
        mount: mount(raw.mount, "cert"),
        role: raw.role,
        certificate: raw.certificate,
        key: raw.key,
    });
    let jwt = raw.jwt.map(|raw| LoginSection::Token {
        mount: mount(raw.mount, "jwt"),
        role: raw.role,
        file: raw.file,
    });
    let kubernetes = raw.kubernetes.map(|raw| LoginSection::Token {
        mount: mount(raw.mount, "kubernetes"),
        role: raw.role,
        file: raw.file.unwrap_or_else(|| PathBuf::from(SERVICE_ACCOUNT)),
    });
    let mut given = [approle, certificate, jwt, kubernetes]
        .into_iter()
        .flatten();
    let (Some(login), None) = (given.next(), given.next()) else {
        mistakes.at(
            &span,
            "an agent signs in in exactly one way",
            "write one of `[agent.login.approle]`, `[agent.login.certificate]`, `[agent.login.jwt]` and `[agent.login.kubernetes]`",
        );
        return None;
    };
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let segments = |mount: &str| {
        mount
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
    };
    if !login.mount().chars().all(letter) || !segments(login.mount()) {
        mistakes.at(
            &span,
            format!("`{}` is no path of an auth method", login.mount()),
            "write what stands between `auth/` and `/login`, such as `jwt`",
        );
        return None;
    }
    Some(login)
}
