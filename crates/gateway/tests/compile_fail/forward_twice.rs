//! A permit is used up by forwarding.

use countersign_gateway::{GatewayRequest, UpstreamToken, Upstreams, forward};
use countersign_policy::Permitted;
use countersign_store::Recorded;

async fn pass_on(recorded: Recorded<Permitted<GatewayRequest>>, upstreams: &Upstreams) {
    let _ = forward(recorded, upstreams, UpstreamToken::AsRouted).await;
    let _ = forward(recorded, upstreams, UpstreamToken::AsRouted).await;
}

fn main() {}
