//! Every statement of the catalogue is one that the engine understands.

use crate::behaviours;
use crate::fixture::Fixture;
use countersign_store::catalogue::statements;

behaviours! { every_statement_prepares }

async fn every_statement_prepares(fixture: Fixture) {
    for statement in statements() {
        let prepared = fixture.store.prepare(statement).await;
        assert!(
            prepared.is_ok(),
            "{}.{}: {:?}",
            statement.table,
            statement.name,
            prepared.err()
        );
    }
}
