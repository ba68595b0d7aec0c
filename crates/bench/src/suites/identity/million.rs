//! The same server with a full store: a million active grants, each with its refresh tokens, a hundred thousand clients, and grants that expire meanwhile.
//!
//! The rows are written by the store's own statements while the server is down; it starts on them as after a restart.

use super::CONNECTIONS;
use super::place::Place;
use crate::Failed;
use crate::browser::Person;
use crate::clients::{AUDIENCE, Credential, SCOPE, now};
use crate::load::Destination;
use crate::peers::free_port;
use crate::running::Running;
use crate::server::Server;
use countersign_base::{Duration as Lifetime, GrantId, SessionId, Tenant, UnixTime, UserId};
use countersign_oauth::{
    AuthenticationMethod, Binding, ClientRecord, FamilyId, GrantRecord, Particulars, RefreshFamily,
};
use countersign_store::tables::{clients, grants, refresh_families};
use countersign_store::{Store, StoreOptions, StoreUrl};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Grants that stay active as long as the suite runs.
pub(super) const ACTIVE_GRANTS: u64 = 1_000_000;
/// Registered clients.
pub(super) const CLIENTS: u64 = 100_000;
/// Grants whose time to be swept comes during the suite, evenly spread over [`EXPIRING_SECS`].
const EXPIRING_GRANTS: u64 = 100_000;
const EXPIRING_SECS: u64 = 600;
/// How long a grant stays after it expired.
const KEPT_SECS: u64 = 24 * 3600;
/// Rows that one transaction writes.
const CHUNK: u64 = 10_000;

/// The server on the full store.
struct Filled {
    server: Server,
    _home: tempfile::TempDir,
}

impl Running for Filled {
    fn pid(&self) -> Result<u32, Failed> {
        self.server.pid()
    }

    fn destination(&self) -> Result<Destination, Failed> {
        Destination::new(&self.server.addresses.identity, &self.server.roots()?)
    }

    fn subject(&self) -> String {
        "countersign".to_owned()
    }

    fn issuer(&self) -> String {
        self.server.addresses.identity.clone()
    }
}

/// Starts a server, registers the clients that will ask, fills its store while it is down, and starts it again.
pub(super) async fn start(program: &Path) -> Result<Place, Failed> {
    let home = tempfile::tempdir_in("target")?;
    let (config, data) = (home.path().join("config"), home.path().join("data"));
    std::fs::create_dir_all(&config)?;
    // The issuer is the address of the first start, so the second has to listen there too.
    std::fs::write(config.join("countersign.toml"), listeners()?)?;
    let first = Server::start(program, &data, Some(&config), &[]).await?;
    let mut credentials = BTreeMap::new();
    for number in 0..CONNECTIONS as u64 {
        let id = asking(number);
        let added = first.administer(&registration(&id), "").await?;
        let secret = added.get("client_secret").and_then(|text| text.as_str());
        let secret = Credential::Secret(secret.ok_or("no client_secret")?.to_owned());
        credentials.insert(id, secret);
    }
    first.stop().await?;
    fill(&data.join("state.db")).await?;
    let server = Server::start(program, &data, Some(&config), &[]).await?;
    let filled = Filled {
        server,
        _home: home,
    };
    Place::new(Arc::new(filled), credentials, nobody()).await
}

/// Who signs in where nobody does.
pub(super) const fn nobody() -> Person {
    Person {
        username: String::new(),
        password: String::new(),
    }
}

/// The clients that ask, spread among the others.
pub(super) fn asking(number: u64) -> String {
    format!("{}-asks", client(number * (CLIENTS / CONNECTIONS as u64)))
}

fn client(number: u64) -> String {
    format!("client-{number:06}")
}

fn registration(id: &str) -> [&str; 10] {
    [
        "client",
        "add",
        id,
        "--secret",
        "--grant",
        "client_credentials",
        "--scope",
        SCOPE,
        "--audience",
        AUDIENCE,
    ]
}

fn listeners() -> Result<String, Failed> {
    let mut text = "[listeners]\n".to_owned();
    let mut after = 0;
    for name in [
        "identity",
        "identity_mtls",
        "gateway",
        "control",
        "telemetry",
    ] {
        after = free_port(after)?;
        text.push_str(&format!("{name} = \"127.0.0.1:{after}\"\n"));
    }
    Ok(text)
}

async fn fill(path: &Path) -> Result<(), Failed> {
    let now = UnixTime(i64::try_from(now())?);
    let url = StoreUrl::Sqlite(path.to_path_buf());
    let store = Store::open(&StoreOptions::new(url), now).await?;
    let tenant = Tenant::default_tenant();
    let mut connection = store.read().await?;
    let model = clients::find(&mut connection, &tenant, &asking(0).parse()?).await?;
    drop(connection);
    let model = model.ok_or("the client is not in the store")?;
    for chunk in chunks(CLIENTS) {
        let rows = registered(&model, chunk)?;
        let tenant = tenant.clone();
        store
            .write(move |tx| {
                Box::pin(async move { clients::add_all(tx, &tenant, &rows, now).await })
            })
            .await?;
    }
    for chunk in chunks(ACTIVE_GRANTS + EXPIRING_GRANTS) {
        let (given, families) = given(&model, chunk, now)?;
        let tenant = tenant.clone();
        store
            .write(move |tx| {
                Box::pin(async move {
                    grants::add_all(tx, &tenant, &given).await?;
                    refresh_families::add_all(tx, &tenant, &families).await
                })
            })
            .await?;
    }
    store.close().await;
    Ok(())
}

fn chunks(count: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..count.div_ceil(CHUNK)).map(move |chunk| chunk * CHUNK..((chunk + 1) * CHUNK).min(count))
}

fn registered(
    model: &ClientRecord,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<ClientRecord>, Failed> {
    numbers
        .map(|number| {
            let mut record = model.clone();
            record.id = client(number).parse()?;
            Ok(record)
        })
        .collect()
}

/// Grants and their families, in the order of their keys: they are spread over all keys there are, and inserting them touches each page once.
fn given(
    model: &ClientRecord,
    numbers: std::ops::Range<u64>,
    now: UnixTime,
) -> Result<(Vec<GrantRecord>, Vec<RefreshFamily>), Failed> {
    let (mut given, mut families) = (Vec::new(), Vec::new());
    let all = ACTIVE_GRANTS + EXPIRING_GRANTS;
    for number in numbers {
        let place = (u64::MAX / all * number).wrapping_add(i64::MIN.cast_unsigned());
        let mut user = [0; 16];
        user[..8].copy_from_slice(&(number / 10).to_be_bytes());
        let expires = if number % (all / EXPIRING_GRANTS) == 0 {
            let into = number * EXPIRING_SECS / all;
            now.minus(Lifetime::from_secs(KEPT_SECS))
                .plus(Lifetime::from_secs(into))
        } else {
            now.plus(Lifetime::from_secs(8 * 3600))
        };
        let grant = GrantRecord {
            id: GrantId::from_u64(place),
            tenant: model.tenant.clone(),
            client: client(number % CLIENTS).parse()?,
            user: UserId::from_bytes(user),
            session: SessionId::from_u64(place ^ 1),
            scopes: model.scopes.clone(),
            audiences: model.audiences.iter().cloned().collect(),
            particulars: Particulars::default(),
            auth_time: now,
            created: now,
            expires,
            revoked: None,
            asserted_by: None,
        };
        families.push(family(&grant, place));
        given.push(grant);
    }
    Ok((given, families))
}

fn family(grant: &GrantRecord, number: u64) -> RefreshFamily {
    RefreshFamily {
        id: FamilyId::from_u64(number),
        tenant: grant.tenant.clone(),
        grant: grant.id,
        client: grant.client.clone(),
        user: grant.user,
        session: grant.session,
        binding: Binding::Bearer,
        generation: 0,
        scopes: grant.scopes.clone(),
        audiences: grant.audiences.clone(),
        auth_time: grant.auth_time,
        methods: [AuthenticationMethod::Password].into(),
        created: grant.created,
        expires: grant.expires,
        rotated: grant.created,
        revoked: None,
    }
}
