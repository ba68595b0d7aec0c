//! A permit that is not recorded forwards nothing.

use countersign_gateway::{GatewayRequest, UpstreamToken, Upstreams, forward};
use countersign_policy::Permitted;

async fn pass_on(permitted: Permitted<GatewayRequest>, upstreams: &Upstreams) {
    let _ = forward(permitted, upstreams, UpstreamToken::AsRouted).await;
}

fn main() {}
