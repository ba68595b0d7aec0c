//! One fuzz target a parser.
