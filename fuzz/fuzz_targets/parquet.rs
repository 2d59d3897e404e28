#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| psiren_fuzz::targets::parquet::judge(bytes));
