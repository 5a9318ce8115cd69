#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| droves_wire::android::fcm::target(bytes));
