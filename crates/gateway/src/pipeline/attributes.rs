//! Looks up what policies need to know of an object, where its route says so: after credential and limits, so that strangers cause no look-ups.

use super::{Flow, Step};
use crate::answer::Denial;
use crate::planes::Planes;
use crate::request::GatewayRequest;

impl<P: Planes> Flow<'_, P> {
    /// Puts the attributes that come from elsewhere into the request; without them it ends here.
    pub(super) async fn look_up(&self, request: &mut GatewayRequest) -> Step<()> {
        let matched = request.matched();
        let generation = self.generation;
        let found = generation.sources().attributes(
            &generation.attribute_clients,
            &matched.route.resource,
            |name| matched.parameter(name).unwrap_or_default().to_owned(),
            || self.core.steady(),
        );
        let found = found.await.map_err(Denial::Attributes)?;
        request.looked_up = found;
        Ok(())
    }
}
