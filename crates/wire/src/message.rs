//! Messages between partners across intermediaries: signed (JWS), encrypted (JWE), or signed and then encrypted.
