//! What the record of a vault's call says.

use super::{About, Recordable};
use countersign_audit::{Code, Text};
use countersign_vault::Asked;
use countersign_vault::call::Guarded;

impl Recordable for Asked {
    fn about(&self) -> About {
        let call = self.call();
        let subject = call.caller.subject();
        let anonymous_from = match self.guarded() {
            Guarded::Public => call.from,
            Guarded::Sudo | Guarded::Token => None,
        };
        About {
            request: Some(call.request),
            client: subject.map(|subject| subject.client().clone()),
            user: subject.and_then(|subject| subject.user()),
            grant: subject.and_then(|subject| subject.grant()),
            action: Text::of(call.operation.action()),
            // The mount and not the path: what people call their secrets may be personal. The whole question is sealed beside the log.
            resource: Text::of(&format!("VaultPath {}", call.at)),
            detail: call.caller.accessor().map(Text::of),
            anonymous_from,
            ..About::new(self.tenant().clone(), Code::of("vault"))
        }
    }
}
