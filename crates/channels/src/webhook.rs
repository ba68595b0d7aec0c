//! Webhooks: the dispatcher empties the outbox towards endpoints, the receiver takes in what providers send.

pub mod dispatcher;
pub mod receiver;
