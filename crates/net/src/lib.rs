//! Listeners, TLS, the HTTP client, limits, drain.
