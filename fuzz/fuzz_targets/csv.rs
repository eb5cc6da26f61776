#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mnist_app::fuzzing::csv(bytes));
