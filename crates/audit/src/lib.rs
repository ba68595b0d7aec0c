//! Events, canonical encoding, Merkle log, checkpoints, proofs, the offline verifier.
