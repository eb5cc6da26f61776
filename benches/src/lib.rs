//! Benchmarks of Asterism; see `benches/`.
