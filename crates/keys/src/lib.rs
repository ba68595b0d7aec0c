//! The key hierarchy, signing-key rotation and the envelope format.
