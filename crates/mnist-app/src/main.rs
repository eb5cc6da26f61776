//! The command line of Asterism.

fn main() {}
