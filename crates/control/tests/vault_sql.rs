//! The statements of the vault's database engine on a real PostgreSQL: users are made, renewed and taken back, passwords set, whatever the names hold.
//!
//! Without `COUNTERSIGN_TEST_POSTGRES`, the URL of a superuser of a server, there is nothing to test with, and a line says so.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail them by panicking"
)]

use countersign_base::{Secret, Tenant, UnixTime};
use countersign_control::vault_sql::Databases;
use countersign_crypto::mac::MacKey;
use countersign_crypto::{Random, scram};
use countersign_vault::answer::{Effect, SqlEffect};
use countersign_vault::entry::{Entry, EntryName, Revision};
use countersign_vault::lease::HeldThing;
use countersign_vault::work::{EffectResult, Loaded, Work};
use countersign_vault::{Cx, database};
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

/// Tests of one server make roles, which all its databases share: names are drawn.
struct Server {
    url: String,
    connection: PgConnection,
    databases: Databases,
    mark: String,
}

impl Server {
    async fn open() -> Option<Self> {
        let Ok(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
            eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES names no PostgreSQL server");
            return None;
        };
        let connection = PgConnection::connect(&url).await.unwrap();
        let bytes: [u8; 6] = Random::system().bytes();
        let mark = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self {
            url,
            connection,
            databases: Databases::default(),
            mark,
        })
    }

    async fn sql(&mut self, statement: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        self.connection.execute(statement).await.unwrap();
    }

    async fn count(&mut self, query: &str) -> i64 {
        let query = sqlx::query(AssertSqlSafe(query.to_owned()));
        self.connection.fetch_one(query).await.unwrap().get(0)
    }

    async fn has_role(&mut self, name: &str) -> bool {
        let query = sqlx::query("SELECT count(*) FROM pg_roles WHERE rolname = $1").bind(name);
        let found: i64 = self.connection.fetch_one(query).await.unwrap().get(0);
        found == 1
    }

    fn effect(&self, statements: &[&str]) -> SqlEffect {
        SqlEffect {
            connection: Secret::new(self.url.clone()),
            otherwise: None,
            authorities: None,
            connections_max: 2,
            before: Vec::new(),
            statements: statements
                .iter()
                .map(|statement| Secret::new((*statement).to_owned()))
                .collect(),
        }
    }

    async fn run(&self, statements: &[&str]) -> EffectResult {
        self.databases.run(&self.effect(statements)).await
    }

    /// What the vault makes of a lease on a user.
    fn of_lease(
        &self,
        username: &str,
        role: Option<Json>,
        step: impl Fn(&HeldThing, &mut Work<'_>, &Cx<'_>) -> Effect,
    ) -> SqlEffect {
        let mut loaded = Loaded::default();
        let entry = |value: Json| {
            let value = Secret::new(value.to_string().into_bytes());
            Entry::new(Revision(1), value)
        };
        let connection = json!({
            "url": self.url, "username": "", "password": null, "pending": null, "allowed_roles": ["*"],
            "root_rotation_statements": [], "authentication": "password", "connections_max": 4, "authorities": null
        });
        loaded.entry(
            EntryName::stored("mount/m/config/c"),
            Some(entry(connection)),
        );
        loaded.entry(EntryName::stored("mount/m/role/r"), role.map(entry));
        let held = HeldThing::DatabaseRole {
            mount: "m".to_owned(),
            connection: "c".to_owned(),
            role: "r".to_owned(),
            username: username.to_owned(),
        };
        let (tenant, random) = (Tenant::default_tenant(), Random::system());
        let cx = Cx {
            tenant: &tenant,
            mac: &MacKey::new(Secret::new([7; 32])),
            random: &random,
            now: UnixTime(1_800_000_000),
        };
        let Effect::Sql(effect) = step(&held, &mut Work::new(&loaded), &cx) else {
            unreachable!("no statements");
        };
        effect
    }

    async fn take_back(&self, username: &str) -> EffectResult {
        self.take_back_by(username, None).await
    }

    async fn take_back_by(&self, username: &str, role: Option<Json>) -> EffectResult {
        let lease = EntryName::stored("lease/x");
        let effect = self.of_lease(username, role, |held, work, cx| {
            database::take_back(held, &lease, work, cx)
                .unwrap()
                .unwrap()
        });
        self.databases.run(&effect).await
    }

    /// The address with other credentials, in the database of that name.
    fn url_of(&self, username: &str, database: &str) -> String {
        let address = self.url.split_once('@').unwrap().1;
        let (host, _) = address.split_once('/').unwrap();
        format!("postgres://{username}:pA55@{host}/{database}")
    }

    /// Whether it may sign in still, as the catalogue has it; the way in is tried by the tests themselves.
    async fn is_open(&mut self, username: &str) -> bool {
        let query = sqlx::query(
            "SELECT count(*) FROM pg_authid WHERE rolname = $1
             AND (rolcanlogin OR rolpassword IS NOT NULL OR rolconnlimit <> 0 OR rolvaliduntil > now())",
        );
        let query = query.bind(username);
        let found: i64 = self.connection.fetch_one(query).await.unwrap().get(0);
        found != 0
    }

    async fn renew(&self, username: &str, until: UnixTime) -> EffectResult {
        let effect = self.of_lease(username, None, |held, work, cx| {
            database::renew(held, until, work, cx).unwrap().unwrap()
        });
        self.databases.run(&effect).await
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The same steps with plain names and with names that would end a quote: each ends with nothing left of the user, and nothing else touched.
#[tokio::test]
async fn cve_2026_39946_users_are_made_renewed_and_taken_back_whatever_names_hold() {
    let Some(mut server) = Server::open().await else {
        return;
    };
    server
        .sql("CREATE TABLE IF NOT EXISTS public.untouched (x int)")
        .await;
    for odd in [
        "plain",
        "q\"u'ote",
        "s; DROP TABLE public.untouched; --",
        "\u{fc}\u{202e}%I%s",
        "a\\b $$ $countersign$",
    ] {
        let mark = server.mark.clone();
        let (user, schema, table) = (
            format!("v-{mark}-{odd}"),
            format!("{mark} {odd}"),
            format!("t {odd}"),
        );
        let (u, s, t) = (identifier(&user), identifier(&schema), identifier(&table));
        let u8_ = identifier(&user);
        let created = server
            .run(&[
                &format!("CREATE SCHEMA {s}"),
                &format!("CREATE TABLE {s}.{t} (id serial, secret text)"),
                &format!("CREATE FUNCTION {s}.{t}(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
                &format!(
                    "CREATE ROLE {u8_} LOGIN PASSWORD 'x' VALID UNTIL '2027-01-15 08:00:00+0000'"
                ),
                &format!("GRANT USAGE ON SCHEMA {s} TO {u}"),
                &format!("GRANT SELECT (secret) ON {s}.{t} TO {u}"),
                &format!("GRANT INSERT ON {s}.{t} TO {u}"),
                &format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {u}"),
                &format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {s} TO {u}"),
                &format!("GRANT CONNECT ON DATABASE {} TO {u}", "postgres"),
            ])
            .await;
        assert_eq!(created, EffectResult::Done, "{odd}");
        assert_eq!(
            server.renew(&user, UnixTime(1_900_000_000)).await,
            EffectResult::Done
        );
        let query = sqlx::query(
            "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = $1",
        );
        let row = server
            .connection
            .fetch_one(query.bind(&user))
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), 1_900_000_000);
        assert_eq!(server.take_back(&user).await, EffectResult::Done, "{odd}");
        assert!(!server.has_role(&user).await);
        // Once more: there is nothing left to do, and that is no failure.
        assert_eq!(server.take_back(&user).await, EffectResult::Done);
        let left = server.count(&format!("SELECT count(*) FROM {s}.{t}")).await;
        assert_eq!(left, 0);
        server.sql(&format!("DROP SCHEMA {s} CASCADE")).await;
    }
    assert_eq!(
        server.count("SELECT count(*) FROM public.untouched").await,
        0
    );
}

#[tokio::test]
async fn a_user_that_owns_something_stays_and_its_sessions_end() {
    let Some(mut server) = Server::open().await else {
        return;
    };
    let user = format!("v-{}-owner", server.mark);
    let u = identifier(&user);
    server
        .sql(&format!(
            "CREATE ROLE {u} LOGIN PASSWORD 'pA55'; CREATE SCHEMA AUTHORIZATION {u}"
        ))
        .await;
    let mut session = PgConnection::connect(&server.url_of(&user, "postgres"))
        .await
        .unwrap();
    let EffectResult::Failed(reason) = server.take_back(&user).await else {
        panic!("it owns a schema");
    };
    assert!(reason.contains("SQLSTATE 2BP01"), "{reason}");
    assert!(server.has_role(&user).await);
    server.sql(&format!("DROP SCHEMA {u}")).await;
    assert_eq!(server.take_back(&user).await, EffectResult::Done);
    assert!(session.ping().await.is_err(), "the session was ended");
}

/// What a user may do by itself so that its role could not be dropped.
#[tokio::test]
async fn a_user_that_gave_default_privileges_and_itself_is_shut_and_dropped() {
    let Some(mut server) = Server::open().await else {
        return;
    };
    let (user, other) = (
        format!("v-{}-given", server.mark),
        format!("v-{}-other", server.mark),
    );
    let (u, o) = (identifier(&user), identifier(&other));
    server
        .sql(&format!(
            "CREATE ROLE {u} LOGIN PASSWORD 'pA55'; CREATE ROLE {o}"
        ))
        .await;
    let mut session = PgConnection::connect(&server.url_of(&user, "postgres"))
        .await
        .unwrap();
    for statement in [
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC".to_owned(),
        format!("ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO {o}"),
        // Who changes its own password holds the row that shutting it changes.
        format!("BEGIN; ALTER ROLE {u} PASSWORD 'pA56'"),
    ] {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        session.execute(statement).await.unwrap();
    }
    server.sql(&format!("GRANT {u} TO {o}")).await;
    assert_eq!(server.take_back(&user).await, EffectResult::Done);
    assert!(!server.has_role(&user).await);
    assert!(session.ping().await.is_err(), "the session was ended");
    server.sql(&format!("DROP ROLE {o}")).await;
}

/// What it owns is in another database, or holds data: it cannot be dropped. Its twin above can.
#[tokio::test]
async fn a_user_that_cannot_be_dropped_is_shut_all_the_same() {
    let Some(mut server) = Server::open().await else {
        return;
    };
    let (mark, database) = (server.mark.clone(), format!("d{}", server.mark));
    server.sql(&format!("CREATE DATABASE {database}")).await;
    let own = json!({
        "connection": "c", "creation": [], "revocation": ["DROP ROLE \"{{name}}\""], "rollback": [], "renew": [],
        "default_ttl": null, "max_ttl": null
    });
    for (number, (place, role)) in [
        (database.as_str(), None),
        ("postgres", None),
        ("postgres", Some(own)),
    ]
    .into_iter()
    .enumerate()
    {
        let (user, other) = (
            format!("v-{mark}-kept-{number}"),
            format!("v-{mark}-other-{number}"),
        );
        let (u, o) = (identifier(&user), identifier(&other));
        server
            .sql(&format!(
                "CREATE ROLE {u} LOGIN PASSWORD 'pA55'; CREATE ROLE {o}; GRANT {u} TO {o}"
            ))
            .await;
        let url = server.url_of(&user, place);
        let mut session = PgConnection::connect(&url).await.unwrap();
        session.execute("SELECT lo_create(0)").await.unwrap();
        assert!(server.is_open(&user).await);
        let EffectResult::Failed(reason) = server.take_back_by(&user, role.clone()).await else {
            panic!("it owns a large object");
        };
        assert!(reason.contains("SQLSTATE 2BP01"), "{reason}");
        assert!(server.has_role(&user).await && !server.is_open(&user).await);
        assert!(PgConnection::connect(&url).await.is_err());
        assert!(session.ping().await.is_err(), "the session was ended");
        let members = format!("SELECT count(*) FROM pg_auth_members WHERE roleid = '{u}'::regrole");
        assert_eq!(server.count(&members).await, 0);
        // Once what it owns is gone, the next try takes it back.
        let admin = server.url.rsplit_once('/').unwrap().0;
        let mut there = PgConnection::connect(&format!("{admin}/{place}"))
            .await
            .unwrap();
        let gone = sqlx::raw_sql(AssertSqlSafe(format!("DROP OWNED BY {u}")));
        there.execute(gone).await.unwrap();
        assert_eq!(server.take_back_by(&user, role).await, EffectResult::Done);
        assert!(!server.has_role(&user).await);
        server.sql(&format!("DROP ROLE {o}")).await;
    }
    server
        .sql(&format!("DROP DATABASE {database} WITH (FORCE)"))
        .await;
}

#[tokio::test]
async fn statements_are_one_transaction_unless_one_cannot_be() {
    let Some(mut server) = Server::open().await else {
        return;
    };
    let mark = server.mark.clone();
    let (role, database) = (format!("r{mark}"), format!("d{mark}"));
    let failed = server
        .run(&[
            &format!("CREATE ROLE {role}"),
            "SELECT 's3cret' FROM nothing",
        ])
        .await;
    assert!(matches!(&failed, EffectResult::Failed(reason) if reason.contains("SQLSTATE 42P01")));
    assert!(!server.has_role(&role).await, "nothing of it remained");
    let done = server
        .run(&[
            &format!("CREATE ROLE {role}"),
            &format!("CREATE DATABASE {database}"),
        ])
        .await;
    assert_eq!(done, EffectResult::Done);
    assert!(server.has_role(&role).await);
    server.sql(&format!("DROP DATABASE {database}")).await;
    server.sql(&format!("DROP ROLE {role}")).await;
}

#[tokio::test]
async fn failures_tell_no_part_of_a_statement() {
    let Some(server) = Server::open().await else {
        return;
    };
    for statement in [
        "CREATE ROLE x PASSWORD s3cret",
        "SELECT 's3cret'::int",
        "ALTER ROLE \"s3cret\" WITH PASSWORD 'x'",
    ] {
        let EffectResult::Failed(reason) = server.run(&[statement]).await else {
            panic!("{statement}");
        };
        assert!(reason.contains("SQLSTATE"), "{reason}");
        assert!(!reason.contains("s3cret"), "{reason}");
    }
}

#[tokio::test]
async fn the_other_address_is_tried_when_the_first_is_refused_and_only_then() {
    let Some(mut server) = Server::open().await else {
        return;
    };
    let address = server.url.split_once('@').unwrap().1.to_owned();
    let unknown = || Secret::new(format!("postgres://nobody-{}:x@{address}", server.mark));
    let name = format!("r{}", server.mark);
    let statement = format!("CREATE ROLE {name}");
    let refused = SqlEffect {
        connection: unknown(),
        ..server.effect(&[&statement])
    };
    let EffectResult::Failed(reason) = server.databases.run(&refused).await else {
        panic!("nobody of that name");
    };
    // Which of the two it is depends on whether the server asks for passwords.
    let codes = ["SQLSTATE 28000", "SQLSTATE 28P01"];
    assert!(codes.iter().any(|code| reason.contains(code)), "{reason}");
    let with_other = SqlEffect {
        connection: unknown(),
        otherwise: Some(Secret::new(server.url.clone())),
        ..server.effect(&[&statement])
    };
    assert_eq!(server.databases.run(&with_other).await, EffectResult::Done);
    // Statements that fail are not tried over the other address.
    let again = SqlEffect {
        otherwise: Some(Secret::new(server.url.clone())),
        ..server.effect(&[&statement])
    };
    assert!(matches!(
        server.databases.run(&again).await,
        EffectResult::Failed(_)
    ));
    server.sql(&format!("DROP ROLE {name}")).await;
}

#[tokio::test]
async fn a_scram_verifier_is_stored_as_it_is() {
    let Some(mut server) = Server::open().await else {
        return;
    };
    let name = format!("r{}", server.mark);
    let verifier = scram::verifier(&Secret::new("pA55".to_owned()), &Random::system()).unwrap();
    let statement = format!("CREATE ROLE {name} LOGIN PASSWORD '{}'", verifier.expose());
    assert_eq!(server.run(&[&statement]).await, EffectResult::Done);
    let query = sqlx::query("SELECT rolpassword FROM pg_authid WHERE rolname = $1").bind(&name);
    let stored: String = server.connection.fetch_one(query).await.unwrap().get(0);
    assert_eq!(&stored, verifier.expose());
    server.sql(&format!("DROP ROLE {name}")).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure() {
    let databases = Databases::default();
    let effect = SqlEffect {
        connection: Secret::new("postgres://a:b@127.0.0.1:1/x".to_owned()),
        otherwise: None,
        authorities: None,
        connections_max: 1,
        before: Vec::new(),
        statements: Vec::new(),
    };
    assert!(matches!(
        databases.run(&effect).await,
        EffectResult::Failed(_)
    ));
}
