//! Our own server for the suite, configured as somebody would who runs it: routes with audience, scope and policies, records queued.

use super::callers::{Mix, Presented};
use super::policies::{Policies, REGION};
use super::{CONNECTIONS, World};
use crate::Failed;
use crate::clients::{AUDIENCE, Credential, SCOPE, TokenClient, client_credentials};
use crate::load::{Destination, exchange};
use crate::peers::{Trusted, rule_set};
use crate::running::Running;
use crate::suites::setting::{Setting, fetch};
use bytes::Bytes;
use countersign_crypto::base64url;
use countersign_crypto::random::Random;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use std::sync::Arc;

/// Clients that the tokens of a mix are of.
const CALLERS: usize = 40;
/// Tokens of each connection's key. A key of its own, because used proofs are remembered up to a number for each key.
const BOUND: usize = 6;
/// An audience that no gateway here takes.
const OTHER_AUDIENCE: &str = "https://billing.example";
/// Who asks the decision point.
const ASKER: &str = "asker";
const ASKER_SCOPE: &str = "access.evaluate";
const ASKER_AUDIENCE: &str = "urn:countersign:access";

/// What differs between the cases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    /// What tokens are signed with.
    pub(super) algorithm: &'static str,
    /// Whether verified tokens are remembered.
    pub(super) verdicts: Verdicts,
    /// Policies beside the built-in ones. Without any, a route's scope is enough.
    pub(super) policies: Option<Policies>,
    /// Routes beside the one that is asked for.
    pub(super) more_routes: usize,
    /// Whether a firewall with the Core Rule Set looks at requests on the open route.
    pub(super) firewall: Firewall,
    /// Connections from one address, if more than usual.
    pub(super) connections_per_peer: Option<u32>,
    /// What results call it, if there is another of the same case.
    pub(super) variant: &'static str,
}

/// Whether verified tokens are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdicts {
    /// As many as without a setting.
    Kept,
    /// None.
    NotKept,
}

/// Whether there is a firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Firewall {
    /// None.
    Absent,
    /// In blocking mode, with the rules of the peer's package.
    Blocking,
}

impl Setup {
    /// What most cases have.
    pub(super) const USUAL: Self = Self {
        algorithm: "ES256",
        verdicts: Verdicts::Kept,
        policies: Some(Policies::FEW),
        more_routes: 0,
        firewall: Firewall::Absent,
        connections_per_peer: None,
        variant: "countersign",
    };

    fn files(
        self,
        world: &World<'_>,
        random: &Random,
    ) -> Result<Vec<(&'static str, String)>, Failed> {
        let secret = || random.token().expose().clone();
        let mut files = vec![
            ("countersign.toml", self.configuration(world)?),
            ("callers.secret", secret()),
            ("alice.password", secret()),
        ];
        if let Some(policies) = self.policies {
            files.push(("policies/orders.cedar", policies.cedar()));
            files.push(("schemas/orders.cedarschema", policies.schema()));
        }
        Ok(files)
    }

    fn configuration(self, world: &World<'_>) -> Result<String, Failed> {
        let (algorithm, upstream) = (self.algorithm, world.upstream.address);
        let mut text = format!("[keys]\nalgorithms = [\"{algorithm}\"]\n\n");
        if let Some(connections) = self.connections_per_peer {
            text.push_str(&format!(
                "[listeners]\nconnections_per_peer = {connections}\n\n"
            ));
        }
        if self.verdicts == Verdicts::NotKept {
            text.push_str("[gateway]\nverified_tokens = 0\n\n");
        }
        if self.policies.is_some() {
            text.push_str("[policies]\ndirectory = \"policies\"\nschemas = \"schemas\"\n\n");
            text.push_str("[[users]]\nname = \"alice\"\npassword = { file = \"alice.password\" }\nroles = [\"customer\"]\n");
            text.push_str(&format!("attributes = {{ region = \"{REGION}\" }}\n\n"));
        }
        for number in 0..CALLERS {
            text.push_str(&client(&caller(number), SCOPE, AUDIENCE));
        }
        text.push_str(&client("other", SCOPE, OTHER_AUDIENCE));
        text.push_str(&client(ASKER, ASKER_SCOPE, ASKER_AUDIENCE));
        text.push_str(&format!(
            "[[upstreams]]\nname = \"orders\"\nurl = \"http://{upstream}\"\nplain_http_because = \"all gateways of the benchmark reach it so\"\n\n"
        ));
        if self.firewall == Firewall::Blocking {
            let [setup, rules] = rule_set(&world.subjects.peers)?;
            text.push_str(&format!(
                "[[waf]]\nname = \"crs\"\nrules = [{setup:?}, {rules:?}]\nmode = \"block\"\n\n"
            ));
        }
        text.push_str(&self.routes());
        Ok(text)
    }

    fn routes(self) -> String {
        let action = match self.policies {
            Some(policies) => format!(
                "resource = {{ type = \"Order\", id = \"order\", attributes = [\"region\"] }}\nactions.GET = {{ action = \"{}\", scopes = [\"{SCOPE}\"] }}\n\n",
                policies.action
            ),
            None => {
                format!("actions.GET = {{ action = \"request\", scopes = [\"{SCOPE}\"] }}\n\n")
            }
        };
        let route = |name: &str, path: &str| {
            format!(
                "[[routes]]\nname = \"{name}\"\npath = \"{path}\"\nupstream = \"orders\"\naudience = \"{AUDIENCE}\"\nproof = \"any\"\nrecord = \"queued\"\n"
            )
        };
        let mut text = route("orders", "/regions/{region}/orders/{order}") + &action;
        text.push_str(&route("plain", "/plain/orders/{order}"));
        if self.firewall == Firewall::Blocking {
            text.push_str("waf = \"crs\"\n");
        }
        text.push_str("anonymous = \"allowed\"\nactions.GET = { action = \"request\" }\nactions.POST = { action = \"request\" }\n\n");
        for number in 0..self.more_routes {
            let path = format!("/services/{number}/regions/{{region}}/orders/{{order}}");
            text.push_str(&route(&format!("service-{number}"), &path));
            text.push_str(&action);
        }
        text
    }
}

fn client(id: &str, scope: &str, audience: &str) -> String {
    format!(
        "[[clients]]\nid = \"{id}\"\nsecret = {{ file = \"callers.secret\" }}\ngrants = [\"client_credentials\"]\nscopes = [\"{scope}\"]\naudiences = [\"{audience}\"]\naccess_token_lifetime = \"1h\"\n\n"
    )
}

fn caller(number: usize) -> String {
    format!("caller-{number}")
}

/// A running server of ours with its clients.
pub(super) struct Ours {
    setting: Setting,
    secret: String,
    setup: Setup,
}

impl Ours {
    /// Starts it.
    pub(super) async fn start(world: &World<'_>, setup: Setup) -> Result<Arc<Self>, Failed> {
        let files = setup.files(world, &Random::system())?;
        let secret = files
            .iter()
            .find(|(name, _)| *name == "callers.secret")
            .map(|(_, secret)| secret.clone())
            .ok_or("no secret")?;
        let setting = Setting::configured(&world.subjects.server, &files).await?;
        Ok(Arc::new(Self {
            setting,
            secret,
            setup,
        }))
    }

    fn client(&self, id: &str) -> TokenClient {
        let credential = Credential::Secret(self.secret.clone());
        self.setting.client(id, credential)
    }

    /// Tokens of all callers in turn.
    pub(super) async fn tokens(&self, world: &World<'_>) -> Result<Arc<Vec<String>>, Failed> {
        let count = usize::try_from(world.effort.tokens)? + world.fresh()?;
        let share = count.div_ceil(CALLERS);
        let mut of_each = Vec::new();
        for number in 0..CALLERS {
            let client = self.client(&caller(number));
            of_each.push(self.setting.tokens(&client, share).await?.into_iter());
        }
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..share {
            tokens.extend(of_each.iter_mut().filter_map(Iterator::next));
        }
        Ok(Arc::new(tokens))
    }

    /// What each connection presents where tokens are bound: a key of its own.
    pub(super) async fn bound(&self) -> Result<Vec<Presented>, Failed> {
        let mut presented = Vec::new();
        for number in 0..CONNECTIONS {
            let holder = Setting::bound(&self.client(&caller(number % CALLERS)))?;
            let tokens = fetch(self.setting.identity()?, holder.clone(), BOUND).await?;
            let prover = holder.proof.ok_or("no key")?;
            presented.push(Presented::Bound(
                Arc::new(tokens),
                prover,
                self.setting.random.clone(),
            ));
        }
        Ok(presented)
    }

    /// One token of a client for an audience.
    async fn token(&self, id: &str, scope: &str, audience: &str) -> Result<String, Failed> {
        let destination = self.setting.identity()?;
        let form = client_credentials(scope, audience);
        let mut request = self.client(id).post("/token", form)?;
        let host = destination.host().parse()?;
        request.headers_mut().insert(header::HOST, host);
        let (parts, body) = exchange(&mut destination.connect().await?, request).await?;
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        let token = answer.get("access_token").and_then(|token| token.as_str());
        let token = token.filter(|_| parts.status == StatusCode::OK);
        let said = || format!("{}: {}", parts.status, String::from_utf8_lossy(&body));
        Ok(token.ok_or_else(said)?.to_owned())
    }

    /// A token to ask the decision point with.
    pub(super) async fn asking(&self) -> Result<String, Failed> {
        self.token(ASKER, ASKER_SCOPE, ASKER_AUDIENCE).await
    }

    /// A good token, and such as no gateway may take.
    pub(super) async fn samples(&self) -> Result<Samples, Failed> {
        let good = self.token(&caller(0), SCOPE, AUDIENCE).await?;
        let other_audience = self.token("other", SCOPE, OTHER_AUDIENCE).await?;
        // Every claim is as it has to be; the signature is that of another token of the same key.
        let (signed, _) = good.rsplit_once('.').ok_or("not a token")?;
        let (_, another) = other_audience.rsplit_once('.').ok_or("not a token")?;
        let forged = format!("{signed}.{another}");
        Ok(Samples {
            refused: vec![other_audience, forged],
            good,
        })
    }

    /// How other gateways are told whom to trust.
    pub(super) async fn trusted(&self, samples: &Samples) -> Result<Trusted, Failed> {
        let destination = self.setting.identity()?;
        let request = Request::builder()
            .uri("/.well-known/jwks.json")
            .header(header::HOST, destination.host())
            .body(Full::<Bytes>::default())?;
        let (_, body) = exchange(&mut destination.connect().await?, request).await?;
        Ok(Trusted {
            issuer: self.setting.server.addresses.identity.clone(),
            audience: AUDIENCE.to_owned(),
            algorithm: self.setup.algorithm,
            kid: samples.kid()?,
            jwks: serde_json::from_slice(&body)?,
        })
    }

    /// The gateway's origin.
    pub(super) fn origin(&self) -> &str {
        &self.setting.server.addresses.gateway
    }
}

/// Tokens to see with that a gateway checks them.
pub(super) struct Samples {
    good: String,
    refused: Vec<String>,
}

impl Samples {
    /// The key of the good token.
    fn kid(&self) -> Result<String, Failed> {
        let (header, _) = self.good.split_once('.').ok_or("not a token")?;
        let header: serde_json::Value = serde_json::from_slice(&base64url::decode(header)?)?;
        let kid = header.get("kid").and_then(|kid| kid.as_str());
        Ok(kid.ok_or("no `kid`")?.to_owned())
    }

    /// What is measured is a check: a good token is let through, and none, one for another audience and a forged one are not.
    pub(super) async fn try_on(&self, running: &dyn Running, path: &str) -> Result<(), Failed> {
        let destination = running.destination()?;
        let mut tokens = vec![(Some(&self.good), true), (None, false)];
        tokens.extend(self.refused.iter().map(|token| (Some(token), false)));
        for (token, is_good) in tokens {
            let mut request = Request::builder()
                .uri(path)
                .header(header::HOST, destination.host());
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let request = request.body(Full::<Bytes>::default())?;
            let (parts, _) = exchange(&mut destination.connect().await?, request).await?;
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&parts.status);
            if (is_good && parts.status != StatusCode::OK) || (!is_good && !refused) {
                let kind = if is_good { "a good" } else { "a bad" };
                return Err(format!("it answers {kind} token with {}", parts.status).into());
            }
        }
        Ok(())
    }
}

/// A mix of the tokens for one server.
pub(super) fn mixed(world: &World<'_>, tokens: &Arc<Vec<String>>) -> Result<Presented, Failed> {
    Ok(Presented::Bearer(Mix::new(tokens, world.effort.tokens)?))
}

/// The gateway's listener.
pub(super) struct Gateway(pub(super) Arc<Ours>);

/// The control listener.
pub(super) struct Control(pub(super) Arc<Ours>);

impl Running for Gateway {
    fn pid(&self) -> Result<u32, Failed> {
        self.0.setting.server.pid()
    }

    fn destination(&self) -> Result<Destination, Failed> {
        self.0.setting.gateway()
    }

    fn subject(&self) -> String {
        self.0.setup.variant.to_owned()
    }

    fn issuer(&self) -> String {
        self.0.setting.server.addresses.identity.clone()
    }
}

impl Running for Control {
    fn pid(&self) -> Result<u32, Failed> {
        self.0.setting.server.pid()
    }

    fn destination(&self) -> Result<Destination, Failed> {
        self.0.setting.control()
    }

    fn subject(&self) -> String {
        self.0.setup.variant.to_owned()
    }

    fn issuer(&self) -> String {
        self.0.setting.server.addresses.identity.clone()
    }
}
