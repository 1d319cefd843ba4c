//! Any text compiles or gives diagnostics; the first byte chooses how.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepfn::asl::load::Format;
use stepfn::asl::load::Options;
use stepfn::asl::load::compile;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let options = Options {
        format: if choice == b'Y' { Format::Yaml } else { Format::Json },
        open_placeholders: choice >= b'a',
        express: choice < b'A',
        ..Options::default()
    };
    if let Err(diagnostics) = compile(text, &options) {
        assert!(!diagnostics.is_empty(), "a refusal says why");
        for diagnostic in diagnostics {
            let _ = diagnostic.to_string();
        }
    }
});
