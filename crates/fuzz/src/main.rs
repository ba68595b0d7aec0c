//! One fuzz target a parser.

fn main() {}
