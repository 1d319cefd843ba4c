//! Files that name other files, and the combinations that there are.

use std::io::Write;

use expect_test::expect;
use serde_json::Value;
use serde_json::json;

use crate::items::reader::Item;
use crate::items::spec::ReaderSpec;
use crate::items::testing::Bucket;
use crate::items::testing::show;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn an_inventory_is_the_rows_of_its_data_files() {
    let manifest = json!({
        "sourceBucket": "s", "destinationBucket": "arn:aws:s3:::b", "version": "2016-11-30",
        "creationTimestamp": "1", "fileFormat": "CSV", "fileSchema": "Bucket, Key, Size",
        "files": [{"key": "data/1.csv.gz", "size": 1, "MD5checksum": "x"}, {"key": "data/2.csv.gz", "size": 1}],
    });
    let bucket = Bucket::with(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        ("data/1.csv.gz", &gzip("\"s\",\"a%20b\",\"1\"\n\"s\",\"c\",\"2\"\n")),
        ("data/2.csv.gz", &gzip("\"s\",\"d\",\"3\"\n")),
        ("orc.json", manifest.to_string().replace("CSV", "ORC").as_bytes()),
        ("no.json", b"[]"),
    ]);
    let wanted = "{\"Bucket\":\"s\",\"Key\":\"a%20b\",\"Size\":\"1\"}\n{\"Bucket\":\"s\",\"Key\":\"c\",\"Size\":\"2\"}\n\
                  {\"Bucket\":\"s\",\"Key\":\"d\",\"Size\":\"3\"}\n";
    for config in [
        json!({"InputType": "MANIFEST"}),
        json!({"ManifestType": "S3_INVENTORY"}),
    ] {
        assert_eq!(show(bucket.open("manifest.json", config)), wanted);
    }
    let items = bucket
        .open("manifest.json", json!({"InputType": "MANIFEST", "MaxItems": 1}))
        .expect("it opens");
    let sources: Vec<String> = items
        .map(|item: Result<Item, _>| item.expect("good").source.to_string())
        .collect();
    assert_eq!(sources, ["S3://b/data/1.csv.gz"]);
    let wrong = |key: &str| show(bucket.open(key, json!({"InputType": "MANIFEST"})));
    expect![[r#"
        States.ItemReaderFailed: S3://b/orc.json is not the manifest of an S3 inventory: its fileFormat is `ORC`, only CSV can be read
        States.ItemReaderFailed: S3://b/no.json is not the manifest of an S3 inventory: invalid length 0, expected struct Inventory with 4 elements at line 1 column 2
    "#]].assert_eq(&format!("{}{}", wrong("orc.json"), wrong("no.json")));
}

#[test]
fn an_athena_manifest_names_one_file_a_row() {
    let bucket = Bucket::with(&[
        ("q-manifest.csv", b"s3://b/out/1.gz\n\"s3://b/out/2\"\n"),
        ("out/1.gz", &gzip("1,2\n")),
        ("out/2", b"3,4\n"),
        ("bad.csv", b"out/1.gz\n"),
        ("gone.csv", b"s3://other/out/1\n"),
    ]);
    let config = json!({
        "ManifestType": "ATHENA_DATA", "InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"],
    });
    assert_eq!(
        show(bucket.open("q-manifest.csv", config.clone())),
        "{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":\"3\",\"b\":\"4\"}\n"
    );
    assert_eq!(
        show(bucket.open("bad.csv", config.clone())),
        "States.ItemReaderFailed: S3://b/bad.csv holds `out/1.gz`, which is not `s3://bucket/key`\n"
    );
    let gone = show(bucket.open("gone.csv", config));
    assert!(gone.contains("The specified bucket does not exist"), "{gone}");
}

#[test]
fn contents_of_a_listing_are_one_flat_list() {
    let bucket = Bucket::with(&[
        ("p/1.json", b"[1,2]"),
        ("p/2.json.gz", &gzip("{\"a\":3}")),
        ("q", b"[4]"),
    ]);
    let config = json!({"InputType": "JSON", "Transformation": "LOAD_AND_FLATTEN"});
    assert_eq!(show(bucket.list("p/", config)), "1\n2\na: 3\n");
    let bucket = Bucket::with(&[("1", b"h\n1\n"), ("2", b"h\n2\n")]);
    let config = json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "Transformation": "LOAD_AND_FLATTEN"});
    assert_eq!(show(bucket.list("", config)), "{\"h\":\"1\"}\n{\"h\":\"2\"}\n");
}

#[test]
fn only_the_combinations_that_aws_has_are_read() {
    let parse = |resource: &str, parameters: Value, config: Value| {
        let spec = ReaderSpec::parse(&format!("arn:aws:states:::s3:{resource}"), &parameters, Some(&config));
        match spec {
            Ok(spec) => format!("{:?}\n", spec.source),
            Err(error) => format!("{}\n", error.cause.unwrap_or_default()),
        }
    };
    let file = json!({"Bucket": "b", "Key": "k"});
    let version = json!({"Bucket": "b", "Key": "k", "VersionId": "v"});
    let list = json!({"Bucket": "b", "Prefix": "p/"});
    let rows = [
        ("getObject", &file, json!({})),
        ("getObject", &file, json!({"InputType": "JSON", "ItemsPointer": "/a/0"})),
        ("getObject", &version, json!({"InputType": "JSONL"})),
        ("getObject", &version, json!({"InputType": "PARQUET"})),
        ("getObject", &file, json!({"InputType": "PARQUET"})),
        ("getObject", &file, json!({"InputType": "CSV"})),
        (
            "getObject",
            &file,
            json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN"}),
        ),
        (
            "getObject",
            &file,
            json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "CSVDelimiter": "TAB"}),
        ),
        ("getObject", &file, json!({"InputType": "JSON", "CSVDelimiter": "TAB"})),
        ("getObject", &file, json!({"InputType": "JSONL", "ItemsPointer": "/a"})),
        ("getObject", &file, json!({"InputType": "JSON", "ItemsPointer": "a"})),
        ("getObject", &file, json!({"InputType": "XML"})),
        (
            "getObject",
            &file,
            json!({"InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN"}),
        ),
        (
            "getObject",
            &file,
            json!({"InputType": "CSV", "ManifestType": "S3_INVENTORY"}),
        ),
        (
            "getObject",
            &file,
            json!({"InputType": "JSON", "ManifestType": "ATHENA_DATA"}),
        ),
        (
            "getObject",
            &file,
            json!({"InputType": "JSONL", "ManifestType": "ATHENA_DATA"}),
        ),
        ("getObject", &list, json!({"InputType": "JSON"})),
        ("getObject", &json!({"Key": "k"}), json!({"InputType": "JSON"})),
        ("listObjectsV2", &list, json!({})),
        (
            "listObjectsV2",
            &json!({"Bucket": "b"}),
            json!({"Transformation": "NONE"}),
        ),
        ("listObjectsV2", &list, json!({"InputType": "JSONL"})),
        ("listObjectsV2", &list, json!({"Transformation": "LOAD_AND_FLATTEN"})),
        (
            "listObjectsV2",
            &list,
            json!({"Transformation": "LOAD_AND_FLATTEN", "InputType": "MANIFEST"}),
        ),
        (
            "listObjectsV2",
            &list,
            json!({"Transformation": "LOAD_AND_FLATTEN", "InputType": "PARQUET"}),
        ),
        ("listObjectsV2", &list, json!({"ManifestType": "S3_INVENTORY"})),
        ("putObject", &file, json!({})),
    ];
    let shown: String = rows
        .into_iter()
        .map(|(resource, parameters, config)| parse(resource, parameters.clone(), config))
        .collect();
    expect![[r#"
        ReaderConfig has no InputType
        File { key: "k", version: None, format: Json { pointer: ["a", "0"] } }
        File { key: "k", version: Some("v"), format: JsonLines }
        Parameters.VersionId does not go with PARQUET
        File { key: "k", version: None, format: Parquet }
        CSV needs a CSVHeaderLocation
        CSVHeaderLocation `GIVEN` needs CSVHeaders, an array of texts
        File { key: "k", version: None, format: Csv(CsvOptions { delimiter: 9, headers: None }) }
        ReaderConfig.CSVDelimiter does not go with JSON
        ReaderConfig.ItemsPointer does not go with JSONL
        the ItemsPointer `a` does not begin with `/`
        `XML` is no InputType for this
        ReaderConfig.Transformation does not go with s3:getObject
        the ManifestType `S3_INVENTORY` does not go with the InputType `CSV`
        the ManifestType `ATHENA_DATA` does not go with the InputType `JSON`
        Athena { key: "k", version: None, format: JsonLines }
        Parameters has no Key
        Parameters has no Bucket
        Listing { prefix: "p/" }
        Listing { prefix: "" }
        ReaderConfig.InputType does not go with s3:listObjectsV2 without LOAD_AND_FLATTEN
        LOAD_AND_FLATTEN needs an InputType
        `MANIFEST` is no InputType for this
        Contents { prefix: "p/", format: Parquet }
        ReaderConfig.ManifestType does not go with s3:listObjectsV2
        `arn:aws:states:::s3:putObject` is no resource of an ItemReader
    "#]]
    .assert_eq(&shown);
}

#[test]
fn an_object_of_a_directory_has_one_version() {
    let bucket = Bucket::with(&[("k", b"1")]);
    for (version, wanted) in [("null", "1\n"), ("v", "The specified version does not exist.")] {
        let parameters = json!({"Bucket": "b", "Key": "k", "VersionId": version});
        let config = json!({"InputType": "JSONL"});
        let spec = ReaderSpec::parse("arn:aws:states:::s3:getObject", &parameters, Some(&config)).expect("good");
        let shown = show(crate::items::reader::open(&spec, bucket.buckets()));
        assert!(shown.contains(wanted), "{shown}");
    }
}
