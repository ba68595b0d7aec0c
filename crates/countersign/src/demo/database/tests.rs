use super::super::ledger::Written;
use super::fixtures::{Tried, code, secret};
use super::*;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _,
};

async fn failure(connection: &mut PgConnection, statement: &'static str) -> String {
    code(&connection.execute(statement).await.unwrap_err())
}

/// What the exercise relies on, of both.
async fn conform(tried: Tried) {
    tried.ledger.prepare().await.unwrap();
    assert_eq!(
        tried.sign_in("").await.unwrap_err(),
        "28P01",
        "no password yet"
    );
    tried.set_password("first, with a ' in it").await;
    let mut first = tried.sign_in("first, with a ' in it").await.unwrap();
    rows(&mut first).await;
    transactions(&mut first).await;
    let superuser = tried.superuser.as_ref().unwrap().get_username().to_owned();
    let statement = format!("ALTER ROLE \"{superuser}\" PASSWORD 'own'");
    let statement = sqlx::raw_sql(AssertSqlSafe(statement));
    assert_eq!(code(&first.execute(statement).await.unwrap_err()), "42501");

    // The vault sends a verifier. Who is signed in stays so; who comes with the old password does not come in.
    let verifier = scram(&secret("second"));
    tried.set_password(verifier.expose()).await;
    first.ping().await.unwrap();
    assert_eq!(
        tried.sign_in("first, with a ' in it").await.unwrap_err(),
        "28P01"
    );
    assert_eq!(
        tried.sign_in(verifier.expose()).await.unwrap_err(),
        "28P01",
        "a verifier is no password"
    );
    let second = tried.sign_in("second").await.unwrap();
    let written = tried.ledger.written().await.unwrap();
    assert!(written.holds("found here").is_some(), "the rows were read");
    if tried.ledger.overwrites() {
        for password in ["first, with a ' in it", "second"] {
            assert_eq!(written.holds(password), None);
        }
    }
    second.close().await.unwrap();
    first.close().await.unwrap();
    tried.ledger.remove().await.unwrap();
}

fn scram(password: &Secret<String>) -> Secret<String> {
    countersign_crypto::scram::verifier(password, &Random::system()).unwrap()
}

async fn rows(connection: &mut PgConnection) {
    let table = "CREATE TABLE things (thing BIGINT PRIMARY KEY, name TEXT, body BYTEA)";
    connection.execute(table).await.unwrap();
    for (thing, name, body) in [
        (1_i64, Some("found here"), Some(vec![0_u8, 255, 7])),
        (-2, None, None),
    ] {
        let query = sqlx::query("INSERT INTO things (thing, name, body) VALUES ($1, $2, $3)");
        let done = query.bind(thing).bind(name).bind(body);
        let done = done.execute(&mut *connection).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }
    let query = sqlx::query("SELECT name, body, thing FROM things WHERE thing < $1 ORDER BY thing");
    let found = query.bind(5_i64).fetch_all(&mut *connection).await.unwrap();
    let read = |row: &sqlx::postgres::PgRow| {
        let (name, body): (Option<String>, Option<Vec<u8>>) = (row.get(0), row.get("body"));
        (row.get::<i64, _>("thing"), name, body)
    };
    let found: Vec<_> = found.iter().map(read).collect();
    assert_eq!(
        found,
        [
            (-2, None, None),
            (1, Some("found here".to_owned()), Some(vec![0, 255, 7]))
        ]
    );
    let update = sqlx::query("UPDATE things SET name = $1 WHERE thing = $2");
    let update = update.bind("other").bind(404_i64);
    let update = update.execute(&mut *connection).await.unwrap();
    assert_eq!(update.rows_affected(), 0);
}

async fn transactions(connection: &mut PgConnection) {
    let insert = "INSERT INTO things (thing) VALUES (9)";
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute(insert).await.unwrap();
    assert_eq!(failure(&mut transaction, insert).await, "23505");
    assert_eq!(
        failure(&mut transaction, "SELECT thing FROM things").await,
        "25P02"
    );
    transaction.rollback().await.unwrap();
    let nine = "SELECT thing FROM things WHERE thing = 9";
    assert!(connection.fetch_optional(nine).await.unwrap().is_none());
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute(insert).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(connection.fetch_optional(nine).await.unwrap().is_some());
    assert_eq!(failure(connection, "SELEKT").await, "42601");
    // What failed outside a transaction leaves nothing behind.
    connection.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_postgresql_are_served() {
    conform(Tried::own()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_the_exercises_database_holds_on_postgresql() {
    if let Some(tried) = Tried::real() {
        conform(tried).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_without_tls_or_as_nobody() {
    let tried = Tried::own();
    let superuser = tried.superuser.clone().unwrap();
    let plain = superuser
        .clone()
        .ssl_mode(sqlx::postgres::PgSslMode::Disable);
    assert_eq!(code(&plain.connect().await.unwrap_err()), "28000");
    let nobody = superuser.clone().username("nobody");
    assert_eq!(code(&nobody.connect().await.unwrap_err()), "28P01");
    assert!(
        superuser.connect().await.is_ok(),
        "the twin: the same, as itself"
    );
    tried.ledger.prepare().await.unwrap();
    tried.set_password("known").await;
    let elsewhere = tried.ledger.options(&secret("known")).database(SUPERUSER);
    assert_eq!(code(&elsewhere.connect().await.unwrap_err()), "3D000");
    assert!(tried.sign_in("known").await.is_ok());
}

/// The reader of check 10: what is stored in the clear is found, in the file or in its write-ahead log, and what is not is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_in_the_clear_is_found_in_the_files() {
    let tried = Tried::own();
    tried.ledger.prepare().await.unwrap();
    tried.set_password("known").await;
    let mut connection = tried.sign_in("known").await.unwrap();
    let table = "CREATE TABLE cards (card BIGINT PRIMARY KEY, pan BYTEA, holder TEXT)";
    connection.execute(table).await.unwrap();
    let insert = sqlx::query("INSERT INTO cards (card, pan, holder) VALUES ($1, $2, $3)");
    let insert = insert.bind(1_i64).bind(b"4929 1234 5678 9012".as_slice());
    insert
        .bind("A. Holder")
        .execute(&mut connection)
        .await
        .unwrap();
    let written = tried.ledger.written().await.unwrap();
    for text in ["4929 1234 5678 9012", "a. holder"] {
        assert!(written.holds(text).is_some(), "{text}");
    }
    for text in ["4929 1234 5678 9013", "4929123456789012", "known"] {
        assert_eq!(written.holds(text), None, "{text}");
    }
    // What is deleted is gone once the log is emptied into the file.
    connection.execute("DELETE FROM cards").await.unwrap();
    connection.execute("CHECKPOINT").await.unwrap();
    let written = tried.ledger.written().await.unwrap();
    assert_eq!(written.holds("4929 1234 5678 9012"), None);
    assert!(written.size().1 > 4_096, "the files were read");
}

#[test]
fn the_reader_sees_other_cases_and_hexadecimal() {
    let directory = tempfile::tempdir().unwrap();
    for (bytes, text) in [
        (b"...ALICE...".as_slice(), "alice"),
        (b"\\x616c696365", "alice"),
        (b"\\x616C696365", "alice"),
    ] {
        std::fs::write(directory.path().join("a"), bytes).unwrap();
        let written = Written::below(directory.path()).unwrap();
        assert_eq!(written.holds(text), Some("a"));
        assert_eq!(written.holds("bob"), None);
    }
}
