//! What the record of a sign-in's decision says beside the decision.

use super::{About, Recordable};
use countersign_audit::{Code, Text};
use countersign_oauth::authentication::SignInAttempt;

impl Recordable for SignInAttempt {
    fn about(&self) -> About {
        let resource = match self.client() {
            Some(_) => "Client",
            None => "Account",
        };
        About {
            client: self.client().cloned(),
            user: Some(self.user()),
            action: Text::of("sign_in"),
            resource: Text::of(resource),
            ..About::new(self.tenant().clone(), Code::of("sign_in"))
        }
    }
}
