//! A partner's message at a route that asks for one: opened before anything looks at the body, spent before it goes on, receipted and answered with a message.

use super::{Ended, Flow, Holder, Step};
use crate::answer::{Denial, GatewayBody};
use crate::forward_auth::ForwardError;
use crate::messages::{
    Answered, MEDIA_TYPE, MessageDenial, MessageRules, NotSpent, Opened, RECEIPT, SIGNATURE, Taken,
    describe,
};
use crate::planes::Planes;
use crate::projection;
use crate::request::GatewayRequest;
use bytes::Bytes;
use countersign_audit::event::{MessageReceived, MessageSent, Verdict};
use countersign_audit::{Code, Digest, Text};
use countersign_policy::Permitted;
use countersign_store::Recorded;
use countersign_wire::message::{
    CONTENT_BYTES_MAX, Made, MediaType, Message, MessageRefusal, Occasion, issue_receipt,
};
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode, response};
use http_body_util::{BodyExt as _, Limited};
use std::sync::Arc;

/// What is left of a message that was spent.
struct Spent {
    /// Where receipts are given.
    receipt: Option<HeaderValue>,
    /// Of the answer to it.
    occasion: Occasion,
}

impl<P: Planes> Flow<'_, P> {
    /// Verifies the message and puts its content in the place of the body. Whoever decides sees the content; it goes nowhere before it was spent.
    pub(super) async fn open_message(
        &self,
        request: &mut GatewayRequest,
        rules: &MessageRules,
    ) -> Step<()> {
        match rules.answered {
            Answered::Plain => {}
            // A message holds all of an answer as it is, not a part or a coding of it.
            Answered::Detached(_) | Answered::Sealed(_) | Answered::Signed(_) => {
                projection::ask_for_all(&mut request.headers);
            }
        }
        let is_message = !matches!(rules.taken, Taken::Plain);
        // Nor is the answer of a request that a proxy holds one that could be made a message here.
        if self.holder == Holder::Proxy {
            return Err(Denial::Forwarded(ForwardError::Body).into());
        }
        // Before the body is read, and before an upstream does what could then not be answered.
        let seals = matches!(rules.answered, Answered::Sealed(_));
        if !is_message && !seals {
            return Ok(());
        }
        let keys = rules.keys.current().await;
        let keys = keys.filter(|keys| !seals || keys.receiver().is_some());
        let keys = keys.ok_or(Denial::Message(MessageDenial::KeysAway))?;
        if !is_message {
            return Ok(());
        }
        let body = request.read_body().await;
        let body = body.map_err(|error| Denial::Content(error.into()))?;
        let mut opened = rules.open(&keys, &request.headers, &body, self.now);
        let unknown = MessageDenial::Refused(MessageRefusal::KeyUnknown);
        if opened.as_ref().err() == Some(&unknown)
            && let Some(newer) = rules.keys.newer(&keys).await
        {
            opened = rules.open(&newer, &request.headers, &body, self.now);
        }
        if let Some(unspent) = opened.map_err(Denial::Message)? {
            let message = unspent.danger_unspent();
            let content = Bytes::copy_from_slice(message.content());
            describe(&mut request.headers, &message.content_type, &content);
            request.holds(content);
            request.message = Some(Box::new(Opened::new(unspent)));
        }
        Ok(())
    }

    /// Spends the message, passes its content on, and answers with a message.
    pub(super) async fn pass_on_message(
        &mut self,
        recorded: Recorded<Permitted<GatewayRequest>>,
        rules: &Arc<MessageRules>,
    ) -> Step<Response<GatewayBody>> {
        let Spent { receipt, occasion } = match self.spend_message(&recorded, rules).await {
            Ok(spent) => spent,
            Err(denial) => {
                let tail = self.tail(&recorded);
                return Err(self.failed(tail, denial));
            }
        };
        let decision = recorded.receipt();
        let mut response = self.pass_on(recorded).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let answered = self.answer_message(response, rules, occasion).await;
            response = answered.map_err(|denial| {
                Box::new(Ended {
                    denial,
                    recorded: Some(decision),
                })
            })?;
        }
        if let Some(receipt) = receipt {
            response.headers_mut().insert(RECEIPT, receipt);
        }
        Ok(response)
    }

    /// Marks the message as used, and gives the receipt of it, where receipts are given. Both stand in the log before it goes on.
    async fn spend_message(
        &self,
        recorded: &Recorded<Permitted<GatewayRequest>>,
        rules: &MessageRules,
    ) -> Result<Spent, Denial> {
        let request = recorded.decision().target();
        let Some(opened) = &request.message else {
            return Ok(Spent {
                receipt: None,
                occasion: Occasion::AnswerToPlain,
            });
        };
        let planes = self.core.planes();
        let unavailable = Denial::Message(MessageDenial::NotSpent(NotSpent::Unavailable));
        let Some(unspent) = opened.take() else {
            return Err(unavailable);
        };
        let route = &request.matched().route;
        let known = unspent.danger_unspent();
        let mut event = received(rules, route.id.as_str(), known);
        let message = match planes.spend_message(&route.tenant, unspent).await {
            Ok(message) => message,
            Err(reason) => {
                let denial = MessageDenial::NotSpent(reason);
                event.decision = Verdict::Denied;
                event.reason = Some(Code::of(denial.code()));
                let recorder = planes.recorder();
                let (id, durability) = (Some(self.id), route.durability);
                let noted = recorder.event(&route.tenant, id, event, durability).await;
                noted.map_err(|_| Denial::Record)?;
                return Err(Denial::Message(denial));
            }
        };
        let receipt = match &rules.receipts {
            None => None,
            Some(key) => {
                let receipt = issue_receipt(key, &message, planes.random(), self.now);
                let receipt = receipt.map_err(|_| Denial::Message(MessageDenial::Answer))?;
                event.receipt_sha256 = Some(Digest::of(receipt.as_bytes()));
                HeaderValue::try_from(receipt).ok()
            }
        };
        let recorder = planes.recorder();
        let (id, durability) = (Some(self.id), route.durability);
        let noted = recorder.event(&route.tenant, id, event, durability).await;
        noted.map_err(|_| Denial::Record)?;
        opened.is_now_spent(&rules.partner, &message);
        Ok(Spent {
            receipt,
            occasion: Occasion::AnswerTo(message.id.clone()),
        })
    }

    /// The upstream's answer as a message to the partner. One without a body has nothing to sign.
    async fn answer_message(
        &self,
        response: Response<GatewayBody>,
        rules: &MessageRules,
        occasion: Occasion,
    ) -> Result<Response<GatewayBody>, Denial> {
        if matches!(rules.answered, Answered::Plain) {
            return Ok(response);
        }
        const NOT_MADE: Denial = Denial::Message(MessageDenial::Answer);
        let (mut head, body) = response.into_parts();
        if head.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(NOT_MADE);
        }
        let whole = Limited::new(body, CONTENT_BYTES_MAX).collect().await;
        let content = whole.map_err(|_| NOT_MADE)?.to_bytes();
        if content.is_empty() {
            return Ok(Response::from_parts(head, GatewayBody::whole(content)));
        }
        let media_type = media_type(&head).ok_or(NOT_MADE)?;
        let random = self.core.planes().random();
        let keys = match rules.answered {
            Answered::Sealed(_) => rules.keys.current().await,
            Answered::Detached(_) | Answered::Plain | Answered::Signed(_) => None,
        };
        let answer = (media_type, content.as_ref());
        let made = rules.answer(occasion, keys.as_deref(), answer, random, self.now);
        let Some(made) = made.map_err(|_| NOT_MADE)? else {
            return Ok(Response::from_parts(head, GatewayBody::whole(content)));
        };
        self.note_sent(rules, &made).await?;
        projection::forget_bytes(&mut head.headers);
        let body = if matches!(rules.answered, Answered::Detached(_)) {
            let signature = HeaderValue::try_from(made.text).map_err(|_| NOT_MADE)?;
            head.headers.insert(SIGNATURE, signature);
            content
        } else {
            let value = HeaderValue::from_static(MEDIA_TYPE);
            head.headers.insert(header::CONTENT_TYPE, value);
            Bytes::from(made.text)
        };
        let length: (HeaderName, _) = (header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        head.headers.insert(length.0, length.1);
        Ok(Response::from_parts(head, GatewayBody::whole(body)))
    }

    async fn note_sent(&self, rules: &MessageRules, made: &Made) -> Result<(), Denial> {
        let Some(route) = &self.route else {
            return Err(Denial::Record);
        };
        let key = match &rules.answered {
            Answered::Plain => return Ok(()),
            Answered::Detached(key) | Answered::Sealed(key) | Answered::Signed(key) => key,
        };
        let event = MessageSent {
            content_sha256: Digest::from_bytes(made.sent.digests.content),
            form: Code::of(rules.answer_form()),
            key: Text::of(key.kid().as_str()),
            message: Text::of(made.sent.id.as_str()),
            message_sha256: Digest::from_bytes(made.sent.digests.message),
            partner: Text::of(rules.partner.as_str()),
            route: Text::of(route.id.as_str()),
        };
        let recorder = self.core.planes().recorder();
        let (id, durability) = (Some(self.id), route.durability);
        let noted = recorder.event(&route.tenant, id, event, durability).await;
        noted.map(drop).map_err(|_| Denial::Record)
    }
}

/// The media type of an answer. One that names none holds bytes.
fn media_type(head: &response::Parts) -> Option<MediaType> {
    let Some(value) = head.headers.get(header::CONTENT_TYPE) else {
        return "application/octet-stream".parse().ok();
    };
    value.to_str().ok()?.parse().ok()
}

fn received(rules: &MessageRules, route: &str, message: &Message) -> MessageReceived {
    MessageReceived {
        content_sha256: Some(Digest::from_bytes(message.digests.content)),
        decision: Verdict::Allowed,
        form: Code::of(rules.form()),
        key: Some(Text::of(message.kid.as_str())),
        message: Some(Text::of(message.id.as_str())),
        message_sha256: Some(Digest::from_bytes(message.digests.message)),
        partner: Text::of(rules.partner.as_str()),
        reason: None,
        receipt_sha256: None,
        route: Text::of(route),
    }
}
