//! A recorded permit for something else does not forward a request.

use countersign_gateway::{UpstreamToken, Upstreams, forward};
use countersign_oauth::Issuance;
use countersign_policy::Permitted;
use countersign_store::Recorded;

async fn pass_on(recorded: Recorded<Permitted<Issuance>>, upstreams: &Upstreams) {
    let _ = forward(recorded, upstreams, UpstreamToken::AsRouted).await;
}

fn main() {}
