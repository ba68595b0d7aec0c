//! The permit of one request does not forward another: the request comes out of its own permit, and no other can be put in.

use countersign_gateway::{GatewayRequest, UpstreamToken, Upstreams, forward};
use countersign_policy::Permitted;
use countersign_store::Recorded;

async fn pass_on(recorded: Recorded<Permitted<GatewayRequest>>, other: GatewayRequest, upstreams: &Upstreams) {
    *recorded.decision().target() = other;
    let _ = forward(recorded, upstreams, UpstreamToken::AsRouted).await;
}

fn main() {}
