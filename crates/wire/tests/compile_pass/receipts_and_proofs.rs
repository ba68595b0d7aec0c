use countersign_base::UnixTime;
use countersign_wire::HeadView;
use countersign_wire::content_digest::{ContentDigest, DigestError, DigestMatches};
use countersign_wire::http_signature::SignatureVerified;
use countersign_wire::webhook::standard::SigningSecret;
use countersign_wire::webhook::{Receipt, Source, WebhookRefusal};

fn receive(
    source: &Source,
    head: &HeadView<'_>,
    body: &[u8],
    now: UnixTime,
) -> Result<Receipt, WebhookRefusal> {
    let looked = source.look(head, now)?;
    source.verify(looked, body, now)
}

fn event(receipt: &Receipt) -> &str {
    receipt.event_id()
}

fn label(verified: &SignatureVerified) -> &str {
    &verified.signature().label
}

fn matches(digest: &ContentDigest, body: &[u8]) -> Result<DigestMatches, DigestError> {
    digest.check(body)
}

fn kind(secret: &SigningSecret) -> &'static str {
    secret.kind().as_str()
}

fn main() {}
