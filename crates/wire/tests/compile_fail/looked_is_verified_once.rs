use countersign_base::UnixTime;
use countersign_wire::webhook::{Looked, Receipt, Source, WebhookRefusal};

fn twice(
    source: &Source,
    looked: Looked,
    now: UnixTime,
) -> (
    Result<Receipt, WebhookRefusal>,
    Result<Receipt, WebhookRefusal>,
) {
    (
        source.verify(looked, b"one", now),
        source.verify(looked, b"two", now),
    )
}

fn main() {}
