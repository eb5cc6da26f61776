//! House-keeping: `cargo xtask train | bench | ci`.

fn main() {}
