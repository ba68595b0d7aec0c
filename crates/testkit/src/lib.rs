//! Fakes and fixtures for the tests.
