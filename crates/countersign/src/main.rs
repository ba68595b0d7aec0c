//! Countersign: how systems sign in to each other, what they may do, and the data that passes between them.

fn main() {}
