#![no_main]

mod header;

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    header::mutate(data, size, most, seed)
});
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mnist_app::fuzzing::checkpoint(bytes));
