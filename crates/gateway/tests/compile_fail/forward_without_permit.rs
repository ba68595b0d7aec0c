//! A request that nobody decided about is not forwarded.

use countersign_gateway::{GatewayRequest, UpstreamToken, Upstreams, forward};

async fn pass_on(request: GatewayRequest, upstreams: &Upstreams) {
    let _ = forward(request, upstreams, UpstreamToken::AsRouted).await;
}

fn main() {}
