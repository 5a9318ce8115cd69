#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| droves_emulators::google::body_target(bytes));
