//! What the admin API answers to whom.
