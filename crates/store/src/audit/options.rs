//! What an audit log can be told, and its limits.

use countersign_base::Duration;
use countersign_crypto::random::Random;

/// Settings of one log. Every one has a default that suits a single node.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// Bytes of records that may wait for one sync; past it an append is refused.
    pub queue_bytes_max: usize,
    /// The share of the queue that is kept for records of [`countersign_audit::Class::Control`].
    pub queue_bytes_reserved: usize,
    /// Bytes of journal that may wait to be sequenced; past it an append is refused.
    pub journal_bytes_max: u64,
    /// The share of the journal that is kept for records of [`countersign_audit::Class::Control`].
    pub journal_bytes_reserved: u64,
    /// Bytes after which a new journal segment is begun.
    pub segment_bytes: u64,
    /// How long records that nobody waits for may wait for company before they are synced.
    pub queued_delay: Duration,
    /// Records at which a checkpoint is published at once.
    pub checkpoint_records: u64,
    /// The longest time between a record and the checkpoint that covers it.
    pub checkpoint_delay: Duration,
    /// The shortest time between two checkpoints, so that a flood does not turn into one sync a record.
    pub checkpoint_interval_min: Duration,
    /// Refusals a second of one source that are recorded one by one.
    pub refusals_per_second: u32,
    /// Whether the whole log is verified in the background once it is open.
    pub walk_at_start: WalkAtStart,
    /// Randomness for the records that the log writes itself.
    pub random: Random,
}

/// Whether the whole log is verified in the background once it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkAtStart {
    /// Only the right edge and the tail are checked.
    No,
    /// Everything is, off the request path; what is found is told in the program's own log and by [`super::AuditLog::walked`].
    Yes,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            queue_bytes_max: 8 * 1024 * 1024,
            queue_bytes_reserved: 1024 * 1024,
            journal_bytes_max: 1024 * 1024 * 1024,
            journal_bytes_reserved: 64 * 1024 * 1024,
            segment_bytes: 32 * 1024 * 1024,
            queued_delay: Duration::from_millis(20),
            checkpoint_records: 256,
            checkpoint_delay: Duration::from_secs(1),
            checkpoint_interval_min: Duration::from_millis(200),
            refusals_per_second: 20,
            walk_at_start: WalkAtStart::Yes,
            random: Random::system(),
        }
    }
}
