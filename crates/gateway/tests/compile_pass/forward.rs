//! The twin of what does not forward: a recorded permit, looked at and used once.

use countersign_gateway::{GatewayRequest, UpstreamToken, Upstreams, forward};
use countersign_policy::Permitted;
use countersign_store::Recorded;

async fn pass_on(recorded: Recorded<Permitted<GatewayRequest>>, upstreams: &Upstreams) {
    let _ = recorded.decision().target().id();
    let _ = forward(recorded, upstreams, UpstreamToken::AsRouted).await;
}

fn main() {}
