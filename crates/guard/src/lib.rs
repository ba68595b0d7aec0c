//! The layer a service links to check its callers.
