//! What a reader can read at all: the columns of CSV are texts, a listing tells of objects.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::asl::definition::ItemReader;

/// Makes items that a reader could give out of those that are wanted.
pub(super) fn readable(reader: &ItemReader, wanted: Vec<Value>) -> Vec<Value> {
    let config = reader.config.value();
    let text = |name: &str| config.get(name).and_then(Value::as_str);
    let is_listing =
        reader.resource.ends_with(":s3:listObjectsV2") && text("Transformation") != Some("LOAD_AND_FLATTEN");
    let is_inventory = text("ManifestType") == Some("S3_INVENTORY") || text("InputType") == Some("MANIFEST");
    let headers = config.get("CSVHeaders").and_then(Value::as_array);
    let items = wanted
        .into_iter()
        .enumerate()
        .map(|(index, item)| match text("InputType") {
            _ if is_listing => object_of_a_listing(index, item),
            _ if is_inventory => row(item, None),
            Some("CSV") => row(item, headers),
            Some("PARQUET") if !item.is_object() => json!({ "column": item }),
            _ => item,
        });
    items.collect()
}

/// A row of a CSV file: an object of texts. Where the headers are given, with just these columns.
fn row(item: Value, headers: Option<&Vec<Value>>) -> Value {
    let mut columns = match item {
        Value::Object(columns) => columns,
        _ => Map::new(),
    };
    for value in columns.values_mut() {
        let text = match &*value {
            Value::String(_) => continue,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        *value = Value::from(text);
    }
    if let Some(headers) = headers {
        let mut given = std::mem::take(&mut columns);
        for name in headers.iter().filter_map(Value::as_str) {
            let value = given.shift_remove(name).unwrap_or_else(|| Value::from("text"));
            columns.insert(name.to_owned(), value);
        }
    }
    Value::Object(columns)
}

/// What `s3:ListObjectsV2` tells of an object.
fn object_of_a_listing(index: usize, item: Value) -> Value {
    let mut object = json!({
        "Etag": "\"d41d8cd98f00b204e9800998ecf8427e\"",
        "Key": format!("folder/object-{index}.txt"),
        "LastModified": 1_767_225_600.0,
        "Size": 1,
        "StorageClass": "STANDARD",
    });
    for (name, value) in item.as_object().into_iter().flatten() {
        let is_like_it = |known: &Value| {
            (known.is_string() && value.is_string()) || (known.is_number() && value.as_i64().is_some_and(|n| 0 <= n))
        };
        if let Some(known) = object.get_mut(name).filter(|known| is_like_it(known)) {
            *known = value.clone();
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::payload::Payload;

    #[test]
    fn items_are_as_their_reader_reads_them() {
        let list = |value: Value| value.as_array().cloned().unwrap();
        let wanted = json!([{ "a": 1, "b": null, "Key": "k", "Size": 7, "Etag": 1 }, "text"]);
        for (resource, config, expected) in [
            ("s3:getObject", json!({ "InputType": "JSON" }), wanted.clone()),
            (
                "s3:getObject",
                json!({ "InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW" }),
                json!([{ "a": "1", "b": "", "Key": "k", "Size": "7", "Etag": "1" }, {}]),
            ),
            (
                "s3:getObject",
                json!({ "InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "c"] }),
                json!([{ "a": "1", "c": "text" }, { "a": "text", "c": "text" }]),
            ),
        ] {
            let reader = ItemReader {
                resource: Arc::from(format!("arn:aws:states:::{resource}")),
                parameters: None,
                config: Payload::new(config),
                max_items: None,
            };
            assert_eq!(readable(&reader, list(wanted.clone())), list(expected));
        }
        let listing = ItemReader {
            resource: Arc::from("arn:aws:states:::s3:listObjectsV2"),
            parameters: None,
            config: Payload::new(json!({})),
            max_items: None,
        };
        let read = readable(&listing, list(wanted));
        assert_eq!(read[0]["Key"], "k");
        assert_eq!(read[0]["Size"], 7);
        assert!(read[0].get("a").is_none() && read[0]["Etag"].is_string());
        assert_eq!(read[1]["Key"], "folder/object-1.txt");
    }
}
