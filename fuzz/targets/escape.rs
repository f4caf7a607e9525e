#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| qmpsh_fuzz::escape(text));
