//! Any path parses or is refused; what parses selects from, and writes into, a document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use stepfn::query::jsonpath::path::Path;

fuzz_target!(|text: &str| {
    let Ok(path) = Path::parse(text) else {
        return;
    };
    assert_eq!(path.text(), text);
    let document = json!({
        "a": {"b": [1, 2.5, "three", null, true, {"c": "d"}], "": {"x y": []}},
        "list": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}, [], [[1], [2, 3]]],
        "ü": "ö",
        "big": 1e300
    });
    let selected = path.select(&document);
    if path.is_reference() && !path.is_root() {
        assert!(path.is_definite(), "a reference path yields one value");
        if let Ok(after) = path.insert(document.clone(), json!("new")) {
            assert!(after.is_object() || after.is_array());
        }
    }
    drop(selected);
});
