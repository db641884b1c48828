//! Feeds `gate_userspace::fuzz::pcap`, which says what it asserts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gate_userspace::fuzz::pcap(data));
