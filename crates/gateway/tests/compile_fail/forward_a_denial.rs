//! A recorded denial forwards nothing.

use countersign_gateway::{GatewayRequest, UpstreamToken, Upstreams, forward};
use countersign_policy::Denied;
use countersign_store::Recorded;

async fn pass_on(denied: Recorded<Denied<GatewayRequest>>, upstreams: &Upstreams) {
    let _ = forward(denied, upstreams, UpstreamToken::AsRouted).await;
}

fn main() {}
