//! Feeds `gate_userspace::fuzz::frame`, which says what it asserts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gate_userspace::fuzz::frame(data));
