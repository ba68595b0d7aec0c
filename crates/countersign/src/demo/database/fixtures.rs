//! The exercise's own database, and the real one, for tests that ask the same of both.

use super::super::ledger::Ledger;
use super::{Database, SUPERUSER};
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_crypto::x509::{CertificateAuthority, CertificateRequest, CertificateUsage};
use countersign_net::{ClientCertificates, Drain, DrainTrigger, ServerTls, TlsIdentity};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};

/// A server of the exercise's own, or the real one, which have to behave alike.
pub(in crate::demo) struct Tried {
    pub(in crate::demo) ledger: Ledger,
    pub(in crate::demo) superuser: Option<PgConnectOptions>,
    _running: Option<(DrainTrigger, tempfile::TempDir)>,
}

impl Tried {
    pub(in crate::demo) fn own() -> Self {
        let random = Random::system();
        // TLS reads the machine's clock.
        let now = crate::run::system_clock().now();
        let authority = CertificateAuthority::generate("test", &random, now).unwrap();
        let request = CertificateRequest {
            dns: vec!["localhost".to_owned()],
            ips: Vec::new(),
            uris: Vec::new(),
            usage: CertificateUsage::Server,
            lifetime: countersign_base::Duration::from_secs(3_600),
        };
        let issued = authority.issue(&request, now);
        let identity = TlsIdentity::from_issued(&issued.unwrap()).unwrap();
        let tls = ServerTls::new(&identity, ClientCertificates::None).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (trigger, drain) = Drain::new();
        let server = Database::start(directory.path(), tls, &random, &drain).unwrap();
        let pem = authority.certificate_pem().to_owned();
        let superuser = PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .port(server.port())
            .username(SUPERUSER)
            .password(server.password().expose())
            .database(SUPERUSER)
            .ssl_mode(sqlx::postgres::PgSslMode::VerifyFull)
            .ssl_root_cert_from_pem(pem.clone().into_bytes());
        Tried {
            ledger: Ledger::own(server, &pem),
            superuser: Some(superuser),
            _running: Some((trigger, directory)),
        }
    }

    pub(in crate::demo) fn real() -> Option<Self> {
        let Ok(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES_PASSWORDS") else {
            eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES_PASSWORDS names no PostgreSQL server");
            return None;
        };
        Some(Tried {
            ledger: Ledger::postgres(&url.parse().unwrap(), &Random::system()).unwrap(),
            superuser: Some(url.parse().unwrap()),
            _running: None,
        })
    }

    pub(in crate::demo) async fn superuser(&self) -> PgConnection {
        self.superuser.as_ref().unwrap().connect().await.unwrap()
    }

    pub(in crate::demo) async fn set_password(&self, password: &str) {
        let statement = format!(
            "ALTER ROLE \"{}\" WITH PASSWORD '{}'",
            self.ledger.role(),
            password.replace('\'', "''")
        );
        let mut superuser = self.superuser().await;
        // As the vault does it.
        let mut transaction = superuser.begin().await.unwrap();
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        transaction.execute(statement).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(in crate::demo) async fn sign_in(&self, password: &str) -> Result<PgConnection, String> {
        let options = self.ledger.options(&secret(password));
        options.connect().await.map_err(|error| code(&error))
    }
}

pub(in crate::demo) fn code(error: &sqlx::Error) -> String {
    let error = error.as_database_error().expect("the server's own answer");
    error.code().unwrap().into_owned()
}

pub(in crate::demo) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}
