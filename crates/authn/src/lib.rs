//! From credentials to a subject or an authenticated client.
