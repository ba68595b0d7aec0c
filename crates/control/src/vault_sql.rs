//! The statements of the vault's database engine, carried out on PostgreSQL.
//!
//! Each list of statements gets a connection of its own, which is closed after it: passwords change, and a pool would keep connections of those that were. How many
//! there are at once to one database is bounded. The list is one transaction, unless a statement cannot run in one (SQLSTATE 25001); then all run again by
//! themselves, since nothing of the first attempt remained. What an effect has to have done before is a transaction of its own, and stays done when the list fails.
//!
//! Every wait has an end, here and at the server, so that a list that was given up does not happen later on. What is said of a failure is the SQLSTATE and the
//! server's message without what it quotes of a statement: statements hold passwords, and are never logged.
//!
//! Not here: which addresses may be reached. Databases stand inside, and who may name one is decided before.

use countersign_base::{Duration, Secret};
use countersign_vault::answer::SqlEffect;
use countersign_vault::work::EffectResult;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

/// How long one waits for a free place, for a connection, and for each attempt at the statements.
const WAIT: Duration = Duration::from_secs(10);
/// The same for the server: a list of statements is given up there before it is here.
const SETTINGS: [(&str, &str); 4] = [
    ("statement_timeout", "8000"),
    ("lock_timeout", "8000"),
    ("idle_in_transaction_session_timeout", "10000"),
    ("search_path", "\"$user\", public"),
];
/// Bytes of a message that are kept.
const MESSAGE_CHARACTERS_MAX: usize = 300;

/// A statement cannot run inside a transaction.
const ACTIVE_TRANSACTION: &str = "25001";
/// The server does not know the user, or refuses the password.
const REFUSED: [&str; 2] = ["28000", "28P01"];

/// Databases that were reached, and how many connections each has.
#[derive(Default)]
pub struct Databases(Mutex<BTreeMap<Place, Arc<Semaphore>>>);

/// A database as connections are counted: address, database, user, and the limit, so that a limit that is changed counts from then on.
type Place = (String, String, u16);

impl Databases {
    /// Carries out statements. The result is written to the log when they failed.
    pub async fn run(&self, effect: &SqlEffect) -> EffectResult {
        match self.attempt(effect).await {
            Ok(()) => EffectResult::Done,
            Err(failure) => {
                let text = failure.text();
                tracing::warn!(reason = %text, "statements of the vault failed");
                EffectResult::Failed(text)
            }
        }
    }

    async fn attempt(&self, effect: &SqlEffect) -> Result<(), Failure> {
        let first = options(&effect.connection, effect.authorities.as_deref())?;
        let places = self.places(&first, effect.connections_max);
        let _place = timeout(WAIT, places.acquire())
            .await
            .map_err(|_| Failure::Waited("for a free connection"))?
            .map_err(|_| Failure::Address)?;
        let mut connection = match (connect(&first).await, &effect.otherwise) {
            (Err(Failure::Database(error)), Some(other)) if is(&error, &REFUSED) => {
                connect(&options(other, effect.authorities.as_deref())?).await?
            }
            (connected, _) => connected?,
        };
        if !effect.before.is_empty() {
            carried_out(&mut connection, &effect.before).await?;
        }
        carried_out(&mut connection, &effect.statements).await?;
        // What is done is done; how the connection ends says nothing about it.
        drop(timeout(WAIT, connection.close()).await);
        Ok(())
    }

    fn places(&self, options: &PgConnectOptions, limit: u16) -> Arc<Semaphore> {
        let address = format!("{}:{}", options.get_host(), options.get_port());
        let database = options.get_database().unwrap_or_default().to_owned();
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who is waiting or under way holds a copy; the others are counted anew when they are needed again.
        places.retain(|_, place| Arc::strong_count(place) > 1);
        let place = places
            .entry((address, database, limit))
            .or_insert_with(|| Arc::new(Semaphore::new(usize::from(limit.max(1)))));
        Arc::clone(place)
    }
}

/// Why statements failed, or may have.
enum Failure {
    Address,
    Database(sqlx::Error),
    Waited(&'static str),
}

impl Failure {
    fn text(&self) -> String {
        match self {
            Self::Address => "the address is none of a PostgreSQL server".to_owned(),
            Self::Waited(what) => format!("waited {} seconds {what}", WAIT.as_secs()),
            Self::Database(sqlx::Error::Database(error)) => {
                let code = error.code().unwrap_or_default();
                format!("SQLSTATE {code}: {}", without_quoted(error.message()))
            }
            Self::Database(sqlx::Error::Io(error)) => format!("no connection: {}", error.kind()),
            Self::Database(sqlx::Error::Tls(error)) => format!("no TLS: {error}"),
            Self::Database(_) => "the connection failed".to_owned(),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

fn is(error: &sqlx::Error, codes: &[&str]) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| codes.contains(&code.as_ref()))
}

/// A message of the server's without what stands between quotes: that may be a part of a statement.
fn without_quoted(message: &str) -> String {
    let parts = message.split('"').enumerate();
    let kept = parts.map(|(place, part)| if place % 2 == 0 { part } else { "\"...\"" });
    kept.collect::<String>()
        .chars()
        .take(MESSAGE_CHARACTERS_MAX)
        .collect()
}

/// Where a URL leads. Name and password are those of the URL or empty: never this process's own, which sqlx would take from its environment or a file.
fn options(url: &Secret<String>, authorities: Option<&str>) -> Result<PgConnectOptions, Failure> {
    let url: Url = url.expose().parse().map_err(|_| Failure::Address)?;
    if !matches!(url.scheme(), "postgres" | "postgresql") || url.host_str().is_none() {
        return Err(Failure::Address);
    }
    let decoded = |text: &str| decoded(text).ok_or(Failure::Address);
    let options = PgConnectOptions::from_url(&url)
        .map_err(|_| Failure::Address)?
        .username(&decoded(url.username())?)
        .password(&decoded(url.password().unwrap_or_default())?)
        .options(SETTINGS)
        .disable_statement_logging();
    Ok(match authorities {
        Some(pem) => options.ssl_root_cert_from_pem(pem.as_bytes().to_vec()),
        None => options,
    })
}

/// Percent-decoding of a part of a URL that was parsed.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Failure> {
    timeout(WAIT, options.connect())
        .await
        .map_err(|_| Failure::Waited("for a connection"))?
        .map_err(Failure::from)
}

/// Statements in one transaction, or by themselves when one cannot run in any.
async fn carried_out(
    connection: &mut PgConnection,
    statements: &[Secret<String>],
) -> Result<(), Failure> {
    let mut done = timeout(WAIT, together(connection, statements)).await;
    if let Ok(Err(Failure::Database(error))) = &done
        && is(error, &[ACTIVE_TRANSACTION])
    {
        done = timeout(WAIT, one_by_one(connection, statements)).await;
    }
    done.map_err(|_| Failure::Waited("for the statements"))?
}

/// All or none.
async fn together(
    connection: &mut PgConnection,
    statements: &[Secret<String>],
) -> Result<(), Failure> {
    let mut transaction = connection.begin().await?;
    for statement in statements {
        execute(&mut transaction, statement).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn one_by_one(
    connection: &mut PgConnection,
    statements: &[Secret<String>],
) -> Result<(), Failure> {
    for statement in statements {
        execute(connection, statement).await?;
    }
    Ok(())
}

/// The vault wrote the statement: every value in it stands in quotes of its own (`countersign_vault::database`).
async fn execute(connection: &mut PgConnection, statement: &Secret<String>) -> Result<(), Failure> {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.expose().clone()));
    connection.execute(statement).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_quotes_is_left_out() {
        for (message, kept) in [
            (
                "syntax error at or near \"s3cret\"",
                "syntax error at or near \"...\"",
            ),
            (
                "role \"a\" owns \"b\" things",
                "role \"...\" owns \"...\" things",
            ),
            ("open \"s3cret", "open \"...\""),
            ("plain", "plain"),
        ] {
            assert_eq!(without_quoted(message), kept);
        }
    }

    #[test]
    fn names_and_passwords_are_those_of_the_url_alone() {
        let read = |url: &str| options(&Secret::new(url.to_owned()), None);
        let Ok(found) = read("postgres://a%3Ab:p%40ss@db.example:6000/app?sslmode=require") else {
            panic!("a URL");
        };
        assert_eq!((found.get_host(), found.get_port()), ("db.example", 6000));
        assert_eq!(
            (found.get_username(), found.get_database()),
            ("a:b", Some("app"))
        );
        for url in [
            "mysql://a:b@db/app",
            "http://db/app",
            "postgres:app",
            "",
            "postgres://a%zz@db/x",
        ] {
            assert!(read(url).is_err(), "{url}");
        }
    }
}
