//! Each format: a small file, a `ReaderConfig`, the items.

use std::io::Write;

use expect_test::expect;
use serde_json::Value;
use serde_json::json;

use crate::items::testing::Bucket;
use crate::items::testing::show;

/// Reads one file; rows are (name, text, config, items).
fn check(rows: &[(&str, &str, Value, &str)]) {
    for (name, text, config, wanted) in rows {
        let bucket = Bucket::with(&[("file", text.as_bytes())]);
        let shown = show(bucket.open("file", config.clone()));
        assert_eq!(shown.trim_end(), *wanted, "{name}");
    }
}

fn csv() -> Value {
    json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"})
}

fn given(names: &[&str]) -> Value {
    json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": names})
}

#[test]
fn csv_follows_the_guide() {
    let guide = "letters,n,text,object,array\nabc,123,\"commas, a \"\"quote\"\" and\na newline\",{\"\"K\"\":\"\"V\"\"},\"[1,2,3]\"\n";
    check(&[
        (
            "plain",
            "a,b\n1,2\n3,4\n",
            csv(),
            "{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":\"3\",\"b\":\"4\"}",
        ),
        ("no last line feed", "a,b\n1,2", csv(), r#"{"a":"1","b":"2"}"#),
        ("carriage returns", "a,b\r\n1,\"2\"\r\n", csv(), r#"{"a":"1","b":"2"}"#),
        ("carriage return in quotes", "a\r\n\"1\r\"\n", csv(), r#"{"a":"1\r"}"#),
        ("empty lines", "a,b\n\n1,2\r\n\r\n\n", csv(), r#"{"a":"1","b":"2"}"#),
        ("an empty quoted field is a row", "a\n\"\"\n", csv(), r#"{"a":""}"#),
        ("byte order mark", "\u{feff}a\n1\n", csv(), r#"{"a":"1"}"#),
        (
            "guide",
            guide,
            csv(),
            r#"{"letters":"abc","n":"123","text":"commas, a \"quote\" and\na newline","object":"{\"K\":\"V\"}","array":"[1,2,3]"}"#,
        ),
        (
            "backslashes",
            "path,b\nC:\\\\Program Files\\\\App.exe,6\n\\a\\,b,\"\\\"x\\\" \\y\"\n",
            csv(),
            "{\"path\":\"C:\\\\Program Files\\\\App.exe\",\"b\":\"6\"}\n{\"path\":\"a,b\",\"b\":\"\\\"x\\\" y\"}",
        ),
        (
            "a quote inside",
            "a\nx\"y\"z\n5\"",
            csv(),
            "{\"a\":\"x\\\"y\\\"z\"}\n{\"a\":\"5\\\"\"}",
        ),
        // Recorded: padding, extra fields, only delimiters, white space.
        (
            "short and long rows",
            ",,,\nNull,None,\n   ,\n1,2,3,4\n",
            given(&["H1", "H2", "H3"]),
            "{\"H1\":\"\",\"H2\":\"\",\"H3\":\"\"}\n{\"H1\":\"Null\",\"H2\":\"None\",\"H3\":\"\"}\n\
             {\"H1\":\"   \",\"H2\":\"\",\"H3\":\"\"}\n{\"H1\":\"1\",\"H2\":\"2\",\"H3\":\"3\"}",
        ),
        ("columns without a name", "a,,\n1,2,3\n", csv(), r#"{"a":"1","":"3"}"#),
        (
            "duplicate headers",
            "a,b,a\n1,2,3\n",
            csv(),
            "States.ItemReaderFailed: CSV headers cannot contain duplicates.",
        ),
        (
            "duplicate given headers",
            "1,2\n",
            given(&["a", "a"]),
            "States.ItemReaderFailed: CSV headers cannot contain duplicates.",
        ),
        ("nothing", "", csv(), ""),
        ("only a header", "a,b", csv(), ""),
        (
            "open quotes",
            "a\n\"1\n",
            csv(),
            "States.ItemReaderFailed: S3://b/file ends inside a quoted field",
        ),
    ]);
    for (name, delimiter) in [("PIPE", "|"), ("SEMICOLON", ";"), ("SPACE", " "), ("TAB", "\t")] {
        let mut config = csv();
        config["CSVDelimiter"] = json!(name);
        let text = format!("a{delimiter}b\n1\\{delimiter}{delimiter}\"2,{delimiter}\"\n");
        let wanted = json!({"a": format!("1{delimiter}"), "b": format!("2,{delimiter}")}).to_string();
        check(&[(name, &text, config, &wanted)]);
    }
}

#[test]
fn json_lines_are_items_as_they_stand() {
    let config = json!({"InputType": "JSONL"});
    check(&[
        (
            "verbatim",
            "{\"a\": 1.0}\n\n [1,2] \r\n\"x\"",
            config.clone(),
            "{\"a\": 1.0}\n[1,2]\n\"x\"",
        ),
        ("nothing", "", config.clone(), ""),
        (
            "not JSON",
            "1\n{\"a\"\n3\n",
            config,
            "1\nStates.ItemReaderFailed: S3://b/file has a line 2 that is not JSON: EOF while parsing an object at line 1 column 4",
        ),
    ]);
}

#[test]
fn json_is_an_array_or_an_object() {
    let config = json!({"InputType": "JSON"});
    let at = |pointer: &str| json!({"InputType": "JSON", "ItemsPointer": pointer});
    let text =
        r#"{"x":"}]\"", "a/b":{"~":[0, [1, {"y":2}], "s,]", true, null, -1.50e2]}, "n": 7, "o":{"k":{"z":1},"l":[]}} "#;
    let none = "States.ItemReaderFailed: Attempting to map over non-iterable node.";
    check(&[
        (
            "array",
            " [1, \"a\" ,{\"b\": [ ]}]\n",
            config.clone(),
            "1\n\"a\"\n{\"b\": [ ]}",
        ),
        ("empty array", "[ ]", config.clone(), ""),
        (
            "object",
            "{\"k\\u0041\" : 1,\"l\":{\"m\":2}}",
            config.clone(),
            "kA: 1\nl: {\"m\":2}",
        ),
        ("text", "\"abc\"", config.clone(), none),
        ("number", "12", config.clone(), none),
        (
            "pointer",
            text,
            at("/a~1b/~0"),
            "0\n[1, {\"y\":2}]\n\"s,]\"\ntrue\nnull\n-1.50e2",
        ),
        ("pointer with index", text, at("/a~1b/~0/1"), "1\n{\"y\":2}"),
        ("pointer to an object", text, at("/o"), "k: {\"z\":1}\nl: []"),
        ("pointer to a number", text, at("/n"), none),
        ("pointer to nothing", text, at("/o/q"), none),
        ("index with a zero", text, at("/a~1b/~0/01"), none),
        ("empty name", "{\"\":[1]}", at("/"), "1"),
        ("nothing behind the target matters", "{\"a\":[1],", at("/a"), "1"),
    ]);
    let wrong = |text: &str| {
        let bucket = Bucket::with(&[("file", text.as_bytes())]);
        show(bucket.open("file", config.clone()))
    };
    let shown: String = [
        "",
        "[1",
        "[1,]",
        "[1 2]",
        "[1]]",
        "{\"a\"}",
        "hello",
        "[tru]",
        "[1,{\"a\":}]",
    ]
    .into_iter()
    .map(|text| {
        format!(
            "{text} -> {}",
            wrong(text).replace("States.ItemReaderFailed: S3://b/file is ", "")
        )
    })
    .collect();
    expect![[r#"
         -> not JSON before byte 1: it ends too early
        [1 -> 1
        not JSON before byte 3: it ends too early
        [1,] -> 1
        not JSON before byte 4: a value is missing
        [1 2] -> 1
        not JSON before byte 4: `,` is missing
        [1]] -> 1
        not JSON before byte 4: there is text behind the end of the value
        {"a"} -> not JSON before byte 5: `:` is missing
        hello -> not JSON before byte 6: expected value at line 1 column 1
        [tru] -> not JSON before byte 5: EOF while parsing a value at line 1 column 3
        [1,{"a":}] -> 1
        not JSON before byte 10: expected value at line 1 column 6
    "#]]
    .assert_eq(&shown);
}

#[test]
fn the_target_of_a_pointer_begins_within_16_mb() {
    for (bytes, wanted) in [(16 * 1024 * 1024 - 20, "1\n"), (16 * 1024 * 1024, "")] {
        let text = format!("{{\"pad\":\"{}\",\"a\":[1]}}", "x".repeat(bytes));
        let bucket = Bucket::with(&[("file", text.as_bytes())]);
        let shown = show(bucket.open("file", json!({"InputType": "JSON", "ItemsPointer": "/a"})));
        match wanted {
            "" => assert!(shown.contains("within its first 16777216 bytes"), "{shown}"),
            wanted => assert_eq!(shown, wanted),
        }
    }
}

#[test]
fn gzip_and_zstd_are_unpacked_by_extension() {
    let text = b"1\n2\n3\n";
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    };
    let zstd = zstd::encode_all(&text[..], 1).expect("memory");
    // Two members, as tools that append write them.
    let members = [gzip(b"1\n2\n"), gzip(b"3\n")].concat();
    let bucket = Bucket::with(&[("a.jsonl.gz", &members), ("b.jsonl.zst", &zstd), ("c.ZSTD", &zstd)]);
    for key in ["a.jsonl.gz", "b.jsonl.zst", "c.ZSTD"] {
        assert_eq!(
            show(bucket.open(key, json!({"InputType": "JSONL"}))),
            "1\n2\n3\n",
            "{key}"
        );
    }
}

#[test]
fn max_items_and_after_count_items() {
    let bucket = Bucket::with(&[
        ("l", b"1\n2\n3\n4\n"),
        ("j", b"{\"a\":1,\"b\":2,\"c\":3,\"d\":4}"),
        ("c", b"h\n1\n2\n3\n4\n"),
        ("d/1", b"1\n2\n"),
        ("d/2", b""),
        ("d/3", b"3\n4\n"),
    ]);
    let lines = |max: Value| bucket.open("l", json!({"InputType": "JSONL", "MaxItems": max}));
    assert_eq!(show(lines(json!(2))), "1\n2\n");
    assert_eq!(show(lines(json!("2"))), "1\n2\n");
    assert_eq!(show(lines(json!(0))), "1\n2\n3\n4\n");
    assert_eq!(show(lines(json!(1_000_000_000_u64))), "1\n2\n3\n4\n");
    assert_eq!(
        show(lines(json!(-1))),
        "States.ItemReaderFailed: field MaxItems must be positive\n"
    );
    assert_eq!(
        show(lines(json!(2.0))),
        "States.ItemReaderFailed: MaxItems is `2.0`, which is not a valid integer\n"
    );
    let after = |items: Result<_, _>, n| show(items.and_then(|items: crate::items::reader::Items| items.after(n)));
    assert_eq!(after(lines(json!(3)), 2), "3\n");
    assert_eq!(after(lines(json!(3)), 9), "");
    assert_eq!(after(bucket.open("j", json!({"InputType": "JSON"})), 2), "c: 3\nd: 4\n");
    assert_eq!(after(bucket.open("c", csv()), 3), "{\"h\":\"4\"}\n");
    let flat = || {
        bucket.list(
            "d/",
            json!({"InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN"}),
        )
    };
    assert_eq!(after(flat(), 0), "1\n2\n3\n4\n");
    assert_eq!(after(flat(), 3), "4\n");
    assert_eq!(
        after(bucket.list("d/", json!({})), 2)
            .matches("\"Key\":\"d/3\"")
            .count(),
        1
    );
}

#[test]
fn a_pair_is_a_child_input_with_key_and_value() {
    let bucket = Bucket::with(&[("j", b"{\"facts\":{\"n\":1}}"), ("l", b"{\"n\":  1}")]);
    let first = |key: &str, input_type: &str| {
        let mut items = bucket.open(key, json!({"InputType": input_type})).expect("it opens");
        let item = items.next().expect("an item").expect("good");
        (item.child_input().text().to_owned(), item.source)
    };
    assert_eq!(
        first("j", "JSON"),
        (r#"{"Key":"facts","Value":{"n":1}}"#.into(), "S3://b/j".into())
    );
    assert_eq!(first("l", "JSONL"), (r#"{"n":  1}"#.into(), "S3://b/l".into()));
}

#[test]
fn parquet_rows_are_objects() {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::basic::ZstdLevel;
    use parquet::data_type::ByteArrayType;
    use parquet::data_type::Int64Type;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let schema = "message m { REQUIRED INT64 n; OPTIONAL BYTE_ARRAY s (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let gzip = Compression::GZIP(parquet::basic::GzipLevel::default());
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        gzip,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut bytes = Vec::new();
        let mut file = SerializedFileWriter::new(&mut bytes, Arc::clone(&schema), properties).expect("memory");
        for start in [0, 2] {
            let mut group = file.next_row_group().expect("memory");
            let mut column = group.next_column().expect("memory").expect("n");
            column
                .typed::<Int64Type>()
                .write_batch(&[start, start + 1], None, None)
                .expect("memory");
            column.close().expect("memory");
            let mut column = group.next_column().expect("memory").expect("s");
            let texts = ["x".into()];
            column
                .typed::<ByteArrayType>()
                .write_batch(&texts, Some(&[1, 0]), None)
                .expect("memory");
            column.close().expect("memory");
            group.close().expect("memory");
        }
        file.close().expect("memory");
        let bucket = Bucket::with(&[("f", &bytes), ("cut", &bytes[..bytes.len() / 2])]);
        let config = json!({"InputType": "PARQUET"});
        assert_eq!(
            show(bucket.open("f", config.clone())),
            "{\"n\":0,\"s\":\"x\"}\n{\"n\":1,\"s\":null}\n{\"n\":2,\"s\":\"x\"}\n{\"n\":3,\"s\":null}\n"
        );
        let cut = show(bucket.open("cut", config.clone()));
        assert!(cut.starts_with("States.ItemReaderFailed: S3://b/cut "), "{cut}");
        // Whatever a flipped byte does, it is an error or other values, never the end of the process.
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xFF;
            bucket.put("damaged", &damaged);
            show(bucket.open("damaged", config.clone()));
        }
    }
}
