//! Any text is a configuration or tells what is wrong with it.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use stepfn::worker::configuration::Configuration;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = Configuration::parse(text, Path::new("/")) {
        assert!(!error.to_string().is_empty(), "a refusal says why");
    }
});
