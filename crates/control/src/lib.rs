//! What runs the fabric: key ring, minting, snapshots, background jobs.

pub mod metrics;
pub mod passwords;
pub mod telemetry;
