//! `webhook`: receivers of webhooks, event types, publishing, and what became of what was published.

use super::Target;
use clap::{Args, Subcommand, ValueEnum};
use countersign_base::{
    Bounded, EndpointId, EventPattern, EventTypeName, MessageId, PartnerName, ReceiverUrl,
};
use countersign_store::webhooks::WebhookDeliveryId;
use std::path::PathBuf;

/// `webhook`, but for listening
#[derive(Debug, Subcommand)]
pub enum WebhookAdminVerb {
    /// Show deliveries to an endpoint, the newest first, or those of a message with its payload masked
    #[command(
        after_help = "Examples:\n  countersign webhook deliveries --endpoint 5d0c…\n  countersign webhook deliveries --endpoint 5d0c… --dead\n  countersign webhook deliveries --message 91ab… --json"
    )]
    Deliveries(WebhookDeliveries),
    /// Administer receivers of webhooks
    #[command(subcommand)]
    Endpoint(WebhookEndpointVerb),
    /// Administer event types
    #[command(subcommand)]
    EventType(WebhookEventTypeVerb),
    /// Show a message and its deliveries, but not what it says
    #[command(after_help = "Example:\n  countersign webhook message 91ab… --json")]
    Message {
        /// The message: the 32 digits that `webhook messages` and `webhook send` show.
        message: MessageId,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Show what was published and what came in, the newest first, but not what it says
    #[command(
        after_help = "Examples:\n  countersign webhook messages --event-type invoice.paid\n  countersign webhook messages --since 1800000000 --until 1800003600 --json\n  countersign webhook messages --after 1800003599:91ab…"
    )]
    Messages(WebhookMessages),
    /// Let deliveries to an endpoint that were given up be tried again
    #[command(
        after_help = "Examples:\n  countersign webhook replay 5d0c… --since 1800000000\n  countersign webhook replay 5d0c… --since 1800000000 --until 1800003600 --all"
    )]
    Replay(WebhookReplay),
    /// Let one delivery that ended be tried again
    #[command(after_help = "Example:\n  countersign webhook resend 91ab…5d0c…")]
    Resend {
        /// The delivery: the 64 digits that `webhook deliveries` shows.
        delivery: WebhookDeliveryId,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Publish a message
    #[command(
        after_help = "Examples:\n  countersign webhook send invoice.paid --partner acme --payload invoice.json\n  echo '{\"invoice_id\":\"in_1\"}' | countersign webhook send invoice.paid --everyone --payload - --idempotency-key in_1-paid"
    )]
    Send(WebhookSend),
}

/// `webhook endpoint`
#[derive(Debug, Subcommand)]
pub enum WebhookEndpointVerb {
    /// Add a receiver; what its webhooks are verified with is shown once
    #[command(
        after_help = "Examples:\n  countersign webhook endpoint add --partner acme --url https://hooks.acme.example/in --event 'invoice.*'\n  countersign webhook endpoint add --url https://audit.example/in --event '*' --signing v1a --payload thin --order strict"
    )]
    Add(Box<WebhookEndpointAdd>),
    /// Change what you name of a receiver, and nothing else
    #[command(
        after_help = "Examples:\n  countersign webhook endpoint change 5d0c… --url https://hooks.acme.example/new\n  countersign webhook endpoint change 5d0c… --event 'invoice.*' --event order.made --concurrency 4\n  countersign webhook endpoint change 5d0c… --without rate --without client-certificate\n\nHow webhooks are signed does not change: add another receiver, and remove this one."
    )]
    Change(Box<WebhookEndpointChange>),
    /// Send nothing to a receiver any more; what waits for it waits on
    #[command(after_help = "Example:\n  countersign webhook endpoint disable 5d0c…")]
    Disable(WebhookEndpointOf),
    /// Send to a receiver again
    #[command(after_help = "Example:\n  countersign webhook endpoint enable 5d0c…")]
    Enable(WebhookEndpointOf),
    /// Show receivers, all or those of a partner
    #[command(after_help = "Example:\n  countersign webhook endpoint list --partner acme --json")]
    List {
        /// Whose.
        #[arg(long)]
        partner: Option<PartnerName>,
        /// The last of the page before.
        #[arg(long)]
        after: Option<EndpointId>,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Remove a receiver; what waits for it is never sent
    #[command(after_help = "Example:\n  countersign webhook endpoint remove 5d0c…")]
    Remove(WebhookEndpointOf),
    /// Make a new secret; those before it sign beside it for a while
    #[command(
        after_help = "Example:\n  countersign webhook endpoint rotate-secret 5d0c… --overlap-hours 48"
    )]
    RotateSecret {
        /// The receiver.
        endpoint: EndpointId,
        /// Hours for which the secrets before it sign too, 24 unless you say otherwise.
        #[arg(long, value_parser = clap::value_parser!(u64).range(0..=168))]
        overlap_hours: Option<u64>,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Show a receiver: what it is, what it wants, and which secrets it has
    #[command(after_help = "Example:\n  countersign webhook endpoint show 5d0c… --json")]
    Show(WebhookEndpointOf),
}

/// A receiver.
#[derive(Debug, Args)]
pub struct WebhookEndpointOf {
    /// The receiver: the 32 digits that `webhook endpoint list` shows.
    pub endpoint: EndpointId,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

/// `--signing`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WebhookSigningName {
    /// HTTP Message Signatures (RFC 9421).
    HttpSignature,
    /// Standard Webhooks with HMAC-SHA256.
    V1,
    /// Standard Webhooks with Ed25519.
    V1a,
}

/// `--payload`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WebhookPayloadName {
    /// What was published.
    Full,
    /// Ids alone.
    Thin,
}

/// `--order`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WebhookOrderName {
    /// As they come.
    Any,
    /// Those of one order key one after another.
    PerKey,
    /// All one after another.
    Strict,
}

/// `webhook endpoint add`
#[derive(Debug, Args)]
pub struct WebhookEndpointAdd {
    /// Whose it is; without it, it is your own.
    #[arg(long)]
    pub partner: Option<PartnerName>,
    /// Its address.
    #[arg(long)]
    pub url: ReceiverUrl,
    /// What it wants: an event type, a prefix as `invoice.*`, or `*`; repeat for more.
    #[arg(long = "event", required = true)]
    pub events: Vec<EventPattern>,
    /// For people.
    #[arg(long, value_parser = text::<256>)]
    pub description: Option<Bounded<256>>,
    /// How its webhooks are signed.
    #[arg(long, value_enum, default_value = "v1")]
    pub signing: WebhookSigningName,
    /// What its webhooks say.
    #[arg(long, value_enum, default_value = "full")]
    pub payload: WebhookPayloadName,
    /// In which order they arrive.
    #[arg(long, value_enum, default_value = "any")]
    pub order: WebhookOrderName,
    /// Attempts a second, if they are limited.
    #[arg(long)]
    pub rate: Option<u32>,
    /// Attempts at a time, 10 unless you say otherwise.
    #[arg(long)]
    pub concurrency: Option<u16>,
    /// The schedule of retries, by its name: `standard` unless you say otherwise, `quick`, `service` or `once`.
    #[arg(long, value_parser = text::<32>)]
    pub retries: Option<Bounded<32>>,
    /// A file with the public key (JWK, `use` `enc`) that payloads are encrypted to.
    #[arg(long)]
    pub encryption_key: Option<PathBuf>,
    /// A file with the certificates (PEM) that the receiver's descends from, instead of the public ones.
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// Show this installation's certificate to the receiver.
    #[arg(long)]
    pub client_certificate: bool,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

/// `--without`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WebhookEndpointPart {
    /// The certificates of its own: the public ones are trusted again.
    Ca,
    /// Our certificate is shown no more.
    ClientCertificate,
    /// The description.
    Description,
    /// The key: payloads are encrypted no more.
    EncryptionKey,
    /// The limit of attempts a second.
    Rate,
}

/// `webhook endpoint change`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub struct WebhookEndpointChange {
    /// The receiver: the 32 digits that `webhook endpoint list` shows.
    pub endpoint: EndpointId,
    /// Its address.
    #[arg(long, group = "change")]
    pub url: Option<ReceiverUrl>,
    /// What it wants instead: an event type, a prefix as `invoice.*`, or `*`; repeat for more.
    #[arg(long = "event", group = "change")]
    pub events: Vec<EventPattern>,
    /// For people.
    #[arg(long, value_parser = text::<256>, group = "change")]
    pub description: Option<Bounded<256>>,
    /// What its webhooks say.
    #[arg(long, value_enum, group = "change")]
    pub payload: Option<WebhookPayloadName>,
    /// In which order they arrive.
    #[arg(long, value_enum, group = "change")]
    pub order: Option<WebhookOrderName>,
    /// Attempts a second.
    #[arg(long, group = "change")]
    pub rate: Option<u32>,
    /// Attempts at a time.
    #[arg(long, group = "change")]
    pub concurrency: Option<u16>,
    /// The schedule of retries, by its name: `standard`, `quick`, `service` or `once`.
    #[arg(long, value_parser = text::<32>, group = "change")]
    pub retries: Option<Bounded<32>>,
    /// A file with the public key (JWK, `use` `enc`) that payloads are encrypted to.
    #[arg(long, group = "change")]
    pub encryption_key: Option<PathBuf>,
    /// A file with the certificates (PEM) that the receiver's descends from, instead of the public ones.
    #[arg(long, group = "change")]
    pub ca: Option<PathBuf>,
    /// Show this installation's certificate to the receiver.
    #[arg(long, group = "change")]
    pub client_certificate: bool,
    /// What it has no more; repeat for more.
    #[arg(long, value_enum, group = "change")]
    pub without: Vec<WebhookEndpointPart>,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

/// `webhook messages`
#[derive(Debug, Args)]
pub struct WebhookMessages {
    /// Those of this event type; of what came in, that is the name of its source.
    #[arg(long, value_name = "NAME")]
    pub event_type: Option<EventTypeName>,
    /// What was accepted from then on (Unix time).
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub since: Option<i64>,
    /// And before then (Unix time).
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub until: Option<i64>,
    /// Where the page before ended, as it said: a time, a colon, and a message.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub after: Option<(i64, MessageId)>,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

/// `webhook event-type`
#[derive(Debug, Subcommand)]
pub enum WebhookEventTypeVerb {
    /// Add a version of an event type
    #[command(
        after_help = "Example:\n  countersign webhook event-type add invoice.paid --description \"An invoice was paid\" --schema invoice.paid.json"
    )]
    Add {
        /// Its name, as `invoice.paid`.
        name: EventTypeName,
        /// Which version; without it, the one after the newest.
        #[arg(
            id = "type_version",
            long = "type-version",
            value_parser = clap::value_parser!(u32).range(1..)
        )]
        version: Option<u32>,
        /// For people.
        #[arg(long, value_parser = text::<1024>)]
        description: Bounded<1024>,
        /// A file with the JSON schema that payloads fit.
        #[arg(long)]
        schema: Option<PathBuf>,
        /// A file with a payload as an example.
        #[arg(long)]
        example: Option<PathBuf>,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Show the versions of event types
    #[command(after_help = "Example:\n  countersign webhook event-type list --json")]
    List {
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Publish nothing of an event type any more; what was published goes on
    #[command(
        after_help = "Examples:\n  countersign webhook event-type retire invoice.paid --type-version 1\n  countersign webhook event-type retire invoice.drafted"
    )]
    Retire {
        /// Its name.
        name: EventTypeName,
        /// Which version; without it, all that there are.
        #[arg(
            id = "type_version",
            long = "type-version",
            value_parser = clap::value_parser!(u32).range(1..)
        )]
        version: Option<u32>,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
}

/// `webhook send`
#[derive(Debug, Args)]
pub struct WebhookSend {
    /// The event type.
    pub event_type: EventTypeName,
    /// Which version of it; without it, the newest.
    #[arg(id = "type_version", long = "type-version")]
    pub version: Option<u32>,
    /// To this partner's endpoints, and your own.
    #[arg(
        long,
        required_unless_present = "everyone",
        conflicts_with = "everyone"
    )]
    pub partner: Option<PartnerName>,
    /// To every endpoint, whoever's it is.
    #[arg(long)]
    pub everyone: bool,
    /// A file with the payload, a JSON object; `-` for standard input.
    #[arg(long)]
    pub payload: PathBuf,
    /// What endpoints with an order keep in order.
    #[arg(long, value_parser = text::<128>)]
    pub order_key: Option<Bounded<128>>,
    /// The same key with the same message is the same message: nothing is sent twice.
    #[arg(long, value_parser = text::<255>)]
    pub idempotency_key: Option<Bounded<255>>,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

/// `webhook deliveries`
#[derive(Debug, Args)]
pub struct WebhookDeliveries {
    /// Those to this endpoint.
    #[arg(long, required_unless_present = "message", conflicts_with = "message")]
    pub endpoint: Option<EndpointId>,
    /// Those of this message.
    #[arg(long)]
    pub message: Option<MessageId>,
    /// Those that were given up.
    #[arg(long, requires = "endpoint")]
    pub dead: bool,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

/// `webhook replay`
#[derive(Debug, Args)]
pub struct WebhookReplay {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What was accepted from then on (Unix time).
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub since: i64,
    /// And before then (Unix time); without it, until now.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub until: Option<i64>,
    /// Those that were delivered too.
    #[arg(long)]
    pub all: bool,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

fn text<const N: usize>(text: &str) -> Result<Bounded<N>, String> {
    Bounded::parse(text).map_err(|error| error.to_string())
}

/// Where a page of messages ended.
fn place(text: &str) -> Result<(i64, MessageId), String> {
    let expected = || "expected a time, a colon, and a message".to_owned();
    let (time, message) = text.split_once(':').ok_or_else(expected)?;
    let time = time.parse().map_err(|_| expected())?;
    Ok((time, message.parse().map_err(|_| expected())?))
}
