#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| supd_fuzz::laws::recovery(1, input));
