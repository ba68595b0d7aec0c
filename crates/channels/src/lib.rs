//! The channels between this installation and other systems: webhooks that go out and come in.
//!
//! Not here: the codecs (`wire`), what is durable (`store`), endpoints and their secrets (`control`), and the gateway's routes, through which webhooks come in.

pub mod webhook;
