//! Random values, written by somebody else, are read as they were. A failing seed is printed.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::items::testing::Bucket;
use crate::model::entropy::Entropy;

/// Draws small numbers.
struct Draw(Entropy);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    fn text(&mut self) -> String {
        const PARTS: [&str; 14] = [
            "",
            "a",
            "Z",
            " ",
            ",",
            "\"",
            "\n",
            "\r\n",
            "é",
            "\u{1F600}",
            "{",
            "]",
            "0",
            "\t",
        ];
        (0..self.below(6)).map(|_| PARTS[self.below(14) as usize]).collect()
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(1 << 40) as i64 - (1 << 39)),
            3 => json!(self.below(1 << 20) as f64 / 64.0),
            4 => json!(self.text() + "\\"),
            5 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => Value::Object(
                (0..self.below(4))
                    .map(|_| (self.text(), self.value(depth - 1)))
                    .collect(),
            ),
        }
    }
}

/// Runs a test with many seeds; `STEPFN_SEED` chooses one.
fn seeds(test: fn(&mut Draw)) {
    let chosen = std::env::var("STEPFN_SEED")
        .ok()
        .and_then(|seed| seed.parse::<u64>().ok());
    for seed in chosen.map_or(0..200, |seed| seed..seed + 1) {
        let run = || test(&mut Draw(Entropy::new(seed)));
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("STEPFN_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn read(bytes: &[u8], config: Value) -> Vec<(Option<String>, Value)> {
    let bucket = Bucket::with(&[("f", bytes)]);
    let items = bucket.open("f", config).expect("it opens");
    items
        .map(|item| item.expect("good"))
        .map(|item| (item.key, item.value.value().clone()))
        .collect()
}

#[test]
fn json_and_json_lines() {
    seeds(|draw| {
        let values: Vec<Value> = (0..draw.below(8)).map(|_| draw.value(4)).collect();
        let wanted: Vec<_> = values.iter().map(|value| (None, value.clone())).collect();
        let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
        assert_eq!(read(lines.as_bytes(), json!({"InputType": "JSONL"})), wanted);
        let array = Value::Array(values);
        for text in [array.to_string(), serde_json::to_string_pretty(&array).expect("JSON")] {
            assert_eq!(read(text.as_bytes(), json!({"InputType": "JSON"})), wanted);
        }
        let object: Map<String, Value> = (0..draw.below(8)).map(|_| (draw.text(), draw.value(3))).collect();
        let wanted: Vec<_> = object
            .iter()
            .map(|(key, value)| (Some(key.clone()), value.clone()))
            .collect();
        let text = serde_json::to_string_pretty(&object).expect("JSON");
        assert_eq!(read(text.as_bytes(), json!({"InputType": "JSON"})), wanted);
        let inside = format!("{{\"x\":{array},\"y\":[0,{text}]}}");
        assert_eq!(
            read(inside.as_bytes(), json!({"InputType": "JSON", "ItemsPointer": "/y/1"})),
            wanted
        );
    });
}

#[test]
fn csv() {
    seeds(|draw| {
        let n_columns = 1 + draw.below(4);
        let names: Vec<String> = (0..n_columns).map(|n| format!("{}{n}", draw.text())).collect();
        let rows: Vec<Vec<String>> = (0..draw.below(8))
            .map(|_| (0..n_columns).map(|_| draw.text()).collect())
            .collect();
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(&names).expect("memory");
        rows.iter().for_each(|row| writer.write_record(row).expect("memory"));
        let text = writer.into_inner().expect("memory");
        let wanted: Vec<_> = rows
            .into_iter()
            .map(|row| {
                let pairs = names.iter().cloned().zip(row.into_iter().map(Value::from));
                (None, Value::Object(pairs.collect()))
            })
            .collect();
        assert_eq!(
            read(&text, json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"})),
            wanted
        );
    });
}
