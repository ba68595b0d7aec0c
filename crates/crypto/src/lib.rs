//! JOSE, X.509, AEAD, key derivation, password hashing, signing keys by purpose.
