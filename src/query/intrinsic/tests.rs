use std::cell::RefCell;

use serde_json::Value;
use serde_json::json;

use crate::model::entropy::Entropy;
use crate::model::payload::Payload;
use crate::query::env::Context;
use crate::query::env::Env;
use crate::query::env::NoVariables;
use crate::query::error::QueryError;
use crate::query::intrinsic::FUNCTIONS;
use crate::query::intrinsic::call::Call;

fn call(text: &str, input: Value) -> Result<Value, QueryError> {
    let make = |_| Payload::new(json!({"StateMachine": {"Id": "arn", "Name": "a-b"}}));
    let env = Env {
        input: input.into(),
        result: None,
        error_output: None,
        variables: &NoVariables,
        context: &Context::new(&make),
        entropy: &RefCell::new(Entropy::new(1)),
    };
    let call = Call::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    assert_eq!(call.text(), text);
    call.evaluate(&env)
}

#[test]
fn functions_give_their_values() {
    let input = json!({
        "l": [1, 2, 2, 3], "o": {"Arg1": 1, "Arg2": []}, "s": "x", "t": "{}-{}", "n": null, "half": 1.5,
        "deep": [[1, 2, 3], 2, {"a": 1, "b": 2}], "json": "{\"a\": [1]}", "e": [], "swapped": {"b": 2, "a": 1},
    });
    for (text, expected) in [
        ("States.Array()", json!([])),
        (
            "States.Array($.s, 1, null, true, 'it\\'s', -1.5)",
            json!(["x", 1, null, true, "it's", -1.5]),
        ),
        ("States.ArrayPartition($.l, 3)", json!([[1, 2, 2], [3]])),
        ("States.ArrayPartition($.l, 1.5)", json!([[1, 2], [2, 3]])),
        ("States.ArrayPartition($.e, 1)", json!([])),
        ("States.ArrayContains($.deep, $.l)", json!(false)),
        ("States.ArrayContains($.deep, $.deep[0])", json!(true)),
        ("States.ArrayContains($.deep, $.swapped)", json!(true)),
        ("States.ArrayContains($.e, $.e)", json!(false)),
        ("States.ArrayRange(0, 10, 3)", json!([0, 3, 6, 9])),
        ("States.ArrayRange(1, 9, 9)", json!([1])),
        ("States.ArrayRange(1, 9, 2)", json!([1, 3, 5, 7, 9])),
        ("States.ArrayRange(5, 1, -2)", json!([5, 3, 1])),
        ("States.ArrayRange(5, 1, 1)", json!([])),
        ("States.ArrayRange(1, 1, -1)", json!([1])),
        ("States.ArrayLength(States.ArrayRange(1, 1000, 1))", json!(1000)),
        ("States.ArrayGetItem($.l, 3)", json!(3)),
        ("States.ArrayGetItem($.l, 0.6)", json!(2)),
        ("States.ArrayLength($.l)", json!(4)),
        ("States.ArrayUnique($.l)", json!([1, 2, 3])),
        (
            "States.ArrayUnique(States.Array($.swapped, $.deep[2], 'b', '1', 1, 'b'))",
            json!([{"b": 2, "a": 1}, "b", "1", 1]),
        ),
        ("States.Base64Encode('Data to encode')", json!("RGF0YSB0byBlbmNvZGU=")),
        ("States.Base64Decode('RGF0YSB0byBlbmNvZGU=')", json!("Data to encode")),
        ("States.Base64Decode('RGF0YSB0byBlbmNvZGU')", json!("Data to encode")),
        ("States.Base64Decode('')", json!("")),
        ("States.Base64Decode('QR==')", json!("A")),
        ("States.Base64Decode('QUI')", json!("AB")),
        (
            "States.Hash('input data', 'MD5')",
            json!("812f45842bc6d66ee14572ce20db8e86"),
        ),
        (
            "States.Hash('input data', 'SHA-1')",
            json!("aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ),
        (
            "States.Hash('input data', 'SHA-256')",
            json!("b4a697a057313163aee33cd8d40c66e9f0f177e00cac2de32475ffff6169c3e3"),
        ),
        (
            "States.JsonMerge($.o, $.swapped, false)",
            json!({"Arg1": 1, "Arg2": [], "b": 2, "a": 1}),
        ),
        ("States.JsonMerge($.o, $.o, false)", json!({"Arg1": 1, "Arg2": []})),
        ("States.StringToJson($.json)", json!({"a": [1]})),
        ("States.StringToJson('\\{\"a\":1\\}')", json!({"a": 1})),
        ("States.StringToJson('')", json!(null)),
        ("States.StringToJson(' ')", json!(null)),
        ("States.StringToJson('null')", json!(null)),
        ("States.StringToJson('-0')", json!(0)),
        ("States.JsonToString($.o)", json!("{\"Arg1\":1,\"Arg2\":[]}")),
        ("States.JsonToString('x')", json!("\"x\"")),
        ("States.MathAdd(1.5, 1.51)", json!(4)),
        ("States.MathAdd(-1.5, -1.51)", json!(-3)),
        ("States.MathAdd(-1.49, -1.5)", json!(-2)),
        ("States.MathAdd(0.5, 0)", json!(1)),
        ("States.MathAdd(-0.5, 0)", json!(0)),
        ("States.MathAdd(-9,3)", json!(-6)),
        ("States.MathAdd(2147483646, 1)", json!(2147483647)),
        ("States.MathRandom(3, 4)", json!(3)),
        ("States.MathRandom(2.5, 4.4)", json!(3)),
        ("States.MathRandom(0, 10, 42)", json!(0)),
        ("States.StringSplit(',,,,', ',')", json!([])),
        ("States.StringSplit(', , ,', ',')", json!([" ", " "])),
        (
            "States.StringSplit('This.is+a,test=string', '.+,=')",
            json!(["This", "is", "a", "test", "string"]),
        ),
        ("States.StringSplit('Hello\nWorld', '\n')", json!(["Hello", "World"])),
        ("States.Format('plain')", json!("plain")),
        (
            "States.Format('{} and {}', $.o, $.n)",
            json!("{Arg1=1, Arg2=[]} and null"),
        ),
        ("States.Format('\\{\\}{}\\\\\\'{}', 1.1, true)", json!("{}1.1\\'true")),
        ("States.Format($.t, 1, 'ü')", json!("1-ü")),
        ("States.Format('{{}}', 1)", json!("{1}")),
        (
            "States.Format('snd={}.', $$.StateMachine)",
            json!("snd={Id=arn, Name=a-b}."),
        ),
        (
            "States.ArrayGetItem(States.StringSplit($$.StateMachine.Name, '-'), States.MathAdd(States.ArrayLength(States.StringSplit($$.StateMachine.Name, '-')), -1))",
            json!("b"),
        ),
        ("States.ArrayLength($.deep[?(@ == 2 || @.a in [1, 2])])", json!(2)),
        ("States.MathAdd($['l'][1], $.l.length())", json!(6)),
        ("  States.MathAdd ( 1 , 2 ) ", json!(3)),
    ] {
        assert_eq!(call(text, input.clone()), Ok(expected), "{text}");
    }
}

#[test]
fn a_uuid_is_a_uuid() {
    let uuid = call("States.UUID()", json!({})).unwrap();
    let uuid = uuid::Uuid::parse_str(uuid.as_str().unwrap()).unwrap();
    assert_eq!(uuid.get_version_num(), 4);
}

#[test]
fn wrong_arguments_are_told() {
    let input = json!({"value": 1, "l": [1], "long": "x".repeat(10_001), "bad": "{"});
    for (text, function) in [
        ("States.ArrayLength($.value)", "States.ArrayLength"),
        ("States.MathAdd(1, States.ArrayLength($.value))", "States.ArrayLength"),
        ("States.ArrayPartition($.l, 0)", "States.ArrayPartition"),
        ("States.ArrayRange(1, 1001, 1)", "States.ArrayRange"),
        ("States.ArrayRange(1, 2147483647, 0)", "States.ArrayRange"),
        ("States.ArrayRange(0, 1000, 1)", "States.ArrayRange"),
        ("States.ArrayRange(-2147483648, 2147483647, 1)", "States.ArrayRange"),
        ("States.ArrayGetItem($.l, 1)", "States.ArrayGetItem"),
        ("States.ArrayGetItem($.l, -1)", "States.ArrayGetItem"),
        ("States.Base64Encode($.long)", "States.Base64Encode"),
        ("States.Base64Decode('%')", "States.Base64Decode"),
        ("States.Base64Decode('QQ=')", "States.Base64Decode"),
        ("States.Base64Decode('QQ==QQ==')", "States.Base64Decode"),
        ("States.Base64Decode('-_8=')", "States.Base64Decode"),
        ("States.StringToJson('\u{a0}')", "States.StringToJson"),
        ("States.StringToJson('1 2')", "States.StringToJson"),
        ("States.Base64Decode($.long)", "States.Base64Decode"),
        ("States.Hash($.long, 'MD5')", "States.Hash"),
        ("States.Hash('x', 'md5')", "States.Hash"),
        ("States.JsonMerge($, $, true)", "States.JsonMerge"),
        ("States.JsonMerge($, $.l, false)", "States.JsonMerge"),
        ("States.StringToJson($.bad)", "States.StringToJson"),
        ("States.StringToJson($.value)", "States.StringToJson"),
        ("States.MathAdd(2147483647, 1)", "States.MathAdd"),
        ("States.MathAdd(1e300, 1)", "States.MathAdd"),
        ("States.MathAdd('1', 1)", "States.MathAdd"),
        ("States.MathRandom(2, 2)", "States.MathRandom"),
        ("States.Format('{}')", "States.Format"),
        ("States.Format('', 1)", "States.Format"),
        ("States.Format(1, 1)", "States.Format"),
    ] {
        let error = call(text, input.clone()).unwrap_err();
        let expected = format!(
            "There was an error while evaluating the intrinsic function: {text}. Invalid arguments in {function}"
        );
        assert_eq!(error, QueryError::Runtime(expected));
    }
}

#[test]
fn missing_arguments_are_told() {
    for (text, tail) in [
        (
            "States.Format('{}', $.nope)",
            r#"The JsonPath argument for the field '$.nope' could not be found in the input '{"other":1}'"#,
        ),
        (
            "States.Array(States.Format('{}', $.nope.x))",
            r#"The JsonPath argument for the field '$.nope.x' could not be found in the input '{"other":1}'"#,
        ),
        (
            "States.Format('{}', $$.Nope.Deep)",
            r#"The JsonPath argument for the field '$.Nope.Deep' could not be found in the input '{"other":1}'"#,
        ),
        (
            "States.Format('{}', $.other[0])",
            "Filter: [0] can only be applied to arrays. Current context is: 1",
        ),
        ("States.Array($v.x)", "The variable '$v' has not been assigned a value"),
    ] {
        let error = call(text, json!({"other": 1})).unwrap_err();
        let expected = format!("The function '{text}' had the following error: {tail}");
        assert_eq!(error, QueryError::Runtime(expected));
    }
    let error = call("States.Array($[1])", json!([1])).unwrap_err().to_string();
    assert!(
        error.ends_with("for the field '$[1]' could not be found in the input '[1]'"),
        "{error}"
    );
}

#[test]
fn nonsense_is_refused() {
    let nested = |depth: usize| format!("{}1{}", "States.Array(".repeat(depth), ")".repeat(depth));
    assert!(Call::parse(&nested(10)).is_ok());
    let (deep, open) = (nested(11), "States.Array(".repeat(100_000));
    for text in [
        "",
        "States",
        "States.",
        "States.Nope()",
        "states.UUID()",
        "States.UUID",
        "States.UUID(",
        "States.UUID()x",
        "States.UUID(1)",
        "States.Array(,)",
        "States.Array(1,)",
        "States.Array(1 2)",
        "States.Array(nope)",
        "States.Array('a)",
        "States.Array(\"a\")",
        "States.Array($.)",
        "States.Array($.a[)",
        "States.Array(--1)",
        "States.Array(01)",
        "States.Array([1])",
        "States.Format('\\n')",
        "States.Format('a\\')",
        "States.Format('He said, \\\"Hello, {}!\\\"', 'x')",
        "States.MathAdd(1)",
        "States.Array('a' 'b')",
        &deep,
        &open,
    ] {
        let Err(error) = Call::parse(text) else {
            panic!("{text} was accepted");
        };
        assert!(error.offset.is_some_and(|offset| offset <= text.len()), "{text}");
    }
}

#[test]
fn functions_are_named_once_and_sorted() {
    let names: Vec<_> = FUNCTIONS.iter().map(|function| function.name()).collect();
    assert!(names.is_sorted_by_key(|name| name.to_ascii_lowercase()));
    for name in names {
        let arguments = ["", "1", "1,1", "1,1,1"];
        let call = arguments
            .iter()
            .find_map(|text| Call::parse(&format!("{name}({text})")).ok());
        assert_eq!(call.unwrap().function(), name);
    }
}
