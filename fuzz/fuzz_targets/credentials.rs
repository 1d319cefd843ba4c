//! Whatever stands in `Authorization` is a signature, a token, or refused in a sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepfn::identity::oidc;
use stepfn::identity::sigv4;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for checked in [sigv4::check_header(text), oidc::check_token(text)] {
        if let Err(refusal) = checked {
            assert!(refusal.message.ends_with('.'), "{refusal}");
            assert!((400..500).contains(&refusal.status), "{refusal}");
        }
    }
});
