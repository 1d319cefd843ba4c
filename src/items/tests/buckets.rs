//! Directories as buckets: what is an object, in which order, and that no key leads out.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use serde_json::Value;
use serde_json::json;

use crate::items::bucket::Buckets;
use crate::items::listing::Walk;
use crate::items::testing::Bucket;
use crate::items::testing::show;

fn keys(bucket: &Bucket, prefix: &str) -> Vec<String> {
    let listing = bucket.buckets().list("b", prefix).expect("it lists");
    listing.map(|object| object.expect("good").key).collect()
}

/// Hides the ids of a request.
fn sentence(error: &str) -> String {
    let (before, after) = error.split_once("Request ID: ").expect("a request");
    let (request, extended) = after.split_once(", Extended Request ID: ").expect("an extended id");
    assert_eq!(request.len(), 16);
    assert!(extended.trim_end().len() == 77 && extended.trim_end().ends_with(')'));
    before.to_owned()
}

#[test]
fn keys_are_listed_in_byte_order_of_the_whole_key() {
    let names = ["a/b", "a-b", "a0", "a/b/c", "a.txt", "B", "é", "a/b-c", "z/y/x", "a b"];
    let mut names: Vec<&str> = names.into_iter().filter(|name| *name != "a/b").collect();
    let bucket = Bucket::new();
    names.iter().for_each(|name| bucket.put(name, b""));
    fs::create_dir(bucket.path().join("empty")).expect("a directory");
    names.sort_unstable();
    assert_eq!(keys(&bucket, ""), names);
    for prefix in [
        "a", "a/", "a/b", "a/b/", "z/y/x", "z/y/x/", "q", "/", "..", "../", "a//", "é",
    ] {
        let wanted: Vec<&str> = names.iter().copied().filter(|name| name.starts_with(prefix)).collect();
        assert_eq!(keys(&bucket, prefix), wanted, "{prefix}");
    }
    // Small pages change nothing.
    for page in 1..4 {
        let directory = fs::File::open(bucket.path()).expect("a directory").into();
        let walk = Walk::new("b", directory, "", "").with_page(page);
        let found: Vec<String> = walk.map(|object| object.expect("good").key).collect();
        assert_eq!(found, names, "{page}");
    }
}

#[test]
fn missing_things_have_the_sentences_of_s3() {
    let bucket = Bucket::with(&[("d/file", b"1")]);
    let config = json!({"InputType": "JSONL"});
    let cause = |key: &str| sentence(&show(bucket.open(key, config.clone())));
    let no_key = "States.ItemReaderFailed: The specified key does not exist. (Service: S3, Status Code: 404, ";
    for key in [
        "q",
        "d",
        "d/",
        "d/file/x",
        "d//file",
        "/d/file",
        "./d/file",
        "../b/d/file",
        "d/../d/file",
        "\0",
    ] {
        assert_eq!(cause(key), no_key, "{key}");
    }
    assert_eq!(cause(&"x".repeat(300)), no_key);
    let elsewhere = |buckets: &dyn Buckets| buckets.list("other", "").err().expect("there is none").to_string();
    assert_eq!(
        sentence(&elsewhere(&*bucket.buckets())),
        "The specified bucket does not exist (Service: S3, Status Code: 404, "
    );
}

#[test]
fn no_link_leads_out_of_a_bucket() {
    let bucket = Bucket::with(&[("in", b"1"), ("d/x", b"2")]);
    fs::write(bucket.around().join("secret"), "3").expect("a file");
    let links = [
        ("out", "../secret"),
        ("up", ".."),
        ("root", "/"),
        ("within", "in"),
        ("loop", "."),
        ("d/up", "../.."),
    ];
    for (name, target) in links {
        symlink(target, bucket.path().join(name)).expect("a link");
    }
    let buckets = bucket.buckets();
    assert_eq!(keys(&bucket, ""), ["d/x", "in"]);
    assert_eq!(keys(&bucket, "up/"), Vec::<String>::new());
    for key in [
        "out",
        "up/secret",
        "root/etc/passwd",
        "within",
        "loop/in",
        "d/up/secret",
    ] {
        assert!(buckets.open("b", key).is_err(), "{key}");
    }
    for key in [
        "up/new",
        "d/up/new",
        "../new",
        "/new",
        "a//b",
        "a/",
        "",
        "a/../../new",
        ".stepfn-part-1",
    ] {
        let error = buckets.create("b", key).err().unwrap_or_else(|| panic!("{key}"));
        assert!(
            error.to_string().contains("cannot be a file of a bucket"),
            "{key}: {error}"
        );
    }
    // A link in the place of an object is replaced, not written through.
    let mut object = buckets.create("b", "out").expect("it begins");
    object.write_all(b"new").expect("it is written");
    object.finish().expect("it ends");
    assert_eq!(fs::read_to_string(bucket.around().join("secret")).expect("a file"), "3");
    assert_eq!(bucket.get("out"), "new");
}

#[test]
fn an_object_is_there_when_it_is_whole() {
    let bucket = Bucket::with(&[("d/a", b"old")]);
    let buckets = bucket.buckets();
    let mut object = buckets.create("b", "d/a").expect("it begins");
    object.write_all(b"new").expect("it is written");
    object.flush().expect("it is written");
    assert_eq!(bucket.get("d/a"), "old");
    assert_eq!(keys(&bucket, ""), ["d/a"]);
    drop(object);
    let n_files = || fs::read_dir(bucket.path().join("d")).expect("a directory").count();
    assert_eq!(n_files(), 1);
    let mut object = buckets.create("b", "d/a").expect("it begins");
    object.write_all(b"new").expect("it is written");
    object.finish().expect("it ends");
    assert_eq!((bucket.get("d/a").as_str(), n_files()), ("new", 1));
}

#[test]
fn a_listing_has_the_items_of_aws() {
    let bucket = Bucket::with(&[("p/a.txt", b"{}"), ("q", b"")]);
    let file = fs::File::options()
        .write(true)
        .open(bucket.path().join("p/a.txt"))
        .expect("a file");
    let modified = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_789_180_622_900);
    file.set_modified(modified).expect("a time");
    let parsed = |text: String| serde_json::from_str::<Value>(&text).expect("JSON");
    let shown = show(bucket.list("p/", json!({})));
    assert_eq!(
        shown,
        "{\"Etag\":\"\\\"99914b932bd37a50b983c5e7c90ae93b\\\"\",\"Key\":\"p/a.txt\",\"LastModified\":1.789180622E9,\
         \"Size\":2,\"StorageClass\":\"STANDARD\"}\n"
    );
    assert_eq!(parsed(shown)["LastModified"], json!(1_789_180_622.0));
    let mut items = bucket.list("", json!({"Transformation": "NONE"})).expect("it lists");
    assert_eq!(&*items.next().expect("an item").expect("good").source, "S3://b");
}
