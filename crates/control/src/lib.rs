//! What runs the fabric: key ring, minting, snapshots, background jobs.
