//! One unit, one transaction: how PostgreSQL runs what SQLite runs in a shared one.

use super::Transaction;
use super::unit::{Unit, run_guarded};
use crate::StoreError;
use crate::parsed::ParsedClients;
use sqlx::PgPool;
use std::sync::Arc;

/// How often a unit is begun before its transient failure is reported.
const ATTEMPTS_MAX: u32 = 4;

/// Runs the unit and commits. A unit whose judge has not been asked yet is begun again after a deadlock or a lock that took too long.
pub(crate) async fn run_postgres<U: Unit>(
    pool: &PgPool,
    parsed: &Arc<ParsedClients>,
    mut unit: U,
) -> Result<U::Output, StoreError> {
    let mut attempt = 1;
    loop {
        let mut tx = Transaction::postgres(pool.begin().await?, Arc::clone(parsed));
        match run_guarded(&mut unit, &mut tx).await {
            Ok(output) => {
                tx.write_events().await?;
                tx.commit_postgres()
                    .await
                    .map_err(|error| StoreError::NotCommitted(error.to_string()))?;
                return Ok(output);
            }
            // Dropping the transaction rolls it back.
            Err(error)
                if error.is_transient() && unit.may_run_again() && attempt < ATTEMPTS_MAX =>
            {
                attempt += 1
            }
            Err(error) => return Err(error),
        }
    }
}
