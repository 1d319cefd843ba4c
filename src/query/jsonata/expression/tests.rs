use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::entropy::Entropy;
use crate::query::env::Context;
use crate::query::env::Variables;

struct Assigned(BTreeMap<&'static str, Payload>);

impl Variables for Assigned {
    fn get(&self, name: &str) -> Option<Payload> {
        self.0.get(name).cloned()
    }
}

const INPUT: &str = r#"{"n": 41, "f": 1.5, "s": "text", "t": true, "z": null, "one": [1], "none": [],
    "big": 9007199254740993, "doc": {"big": 9007199254740993}, "o": {"p": {"q": "deep"}},
    "xs": [{"k": "a", "v": 1}, {"k": "b", "v": 2}]}"#;

fn with_env<R>(ask: impl FnOnce(&Env<'_>) -> R) -> R {
    let make = |_| Payload::new(json!({"State": {"Name": "S", "EnteredTime": "2026-09-01T00:00:01.250Z"}}));
    let variables = Assigned(BTreeMap::from([
        (
            "x",
            Payload::new(json!({"a": [1, 2, 3], "b": {"c": 12_345_678_901_234_567_890_u64}})),
        ),
        ("total", Payload::new(json!(7))),
        ("sum", Payload::new(json!("hidden"))),
    ]));
    ask(&Env {
        input: Payload::parse(INPUT).expect("JSON"),
        result: Some(Payload::new(json!({"r": 1}))),
        error_output: None,
        variables: &variables,
        context: &Context::new(&make),
        entropy: &RefCell::new(Entropy::new(1)),
    })
}

fn parse(text: &str, scope: FieldScope) -> Result<Expression, String> {
    Expression::parse(&format!("{{% {text} %}}"), scope).map_err(|errors| {
        let errors: Vec<String> = errors
            .iter()
            .map(|error| format!("{}: {}", error.code, error.message))
            .collect();
        errors.join("\n")
    })
}

fn evaluate(text: &str) -> Result<Value, String> {
    let expression = parse(text, FieldScope::Result)?;
    match with_env(|env| expression.evaluate(env, "Output/v")) {
        Ok(value) => Ok(value),
        Err(QueryError::Evaluation { cause, location }) => {
            assert_eq!(location.as_deref(), Some("Output/v"), "{text}");
            let start = format!(
                "The JSONata expression '{}' specified for the field 'Output/v' ",
                expression.text()
            );
            Err(cause.strip_prefix(&start).expect("AWS's sentence").to_owned())
        }
        Err(other) => Err(format!("{other:?}")),
    }
}

/// An array inside an array constructor is flattened, unless it is a constructor's own.
const ARRAYS: &str = r#"{"a":9007199254740993,"b":[1,2,3,[[1]],2,"c"],"d":{}}"#;
const MEMORY: &str = "threw an error during evaluation: Expression evaluation memory limit exceeded: \
                      Check for excessive memory usage";
const DEPTH: &str = "threw an error during evaluation: Stack overflow error: Check for non-terminating recursive \
                     function.  Consider rewriting as tail-recursive.";
const TIME: &str = "threw an error during evaluation: Expression evaluation timeout: Check for infinite loop";
const TWICE: &str = "threw an error during evaluation. D1009: Multiple key definitions evaluate to same key: \"a\"";
const NO_TEXT: &str =
    "threw an error during evaluation. D3001: Attempting to invoke string function on Infinity or NaN";
const NON_FUNCTION: &str = "threw an error during evaluation. T1006: Attempted to invoke a non-function";

#[test]
fn expressions_give_values() {
    let table = [
        // Plain courses, payloads as they are.
        ("$states.input.n + 1", "42"),
        ("$states.input.n / 2", "20.5"),
        (
            "$states.input.n < 50 and $states.input.s = 'text' ? 'yes' : 'no'",
            r#""yes""#,
        ),
        ("'a' & $states.input.n & $states.input.s", r#""a41text""#),
        ("$states.input.one", "[1]"),
        ("$states.input.none", "[]"),
        ("$states.input.z", "null"),
        ("$states.input.big", "9007199254740993"),
        ("{'d': $states.input.doc}", r#"{"d":{"big":9007199254740993}}"#),
        ("$states.input.o.p.q", r#""deep""#),
        ("$states.result.r", "1"),
        ("$states.context.State.Name", r#""S""#),
        (
            "{'a': $states.input.big, 'b': [$x.a, [[$states.input.one]], ([2]), 'c'], 'd': {}}",
            ARRAYS,
        ),
        ("$x.a", "[1,2,3]"),
        ("$x.b.c", "12345678901234567890"),
        ("$total - 1", "6"),
        ("1.0", "1"),
        ("1e20", "1e+20"),
        // The engine.
        (
            "{'a': 1, 'n': $states.input.nope, 'b': [$states.input.nope, 2]}",
            r#"{"a":1,"b":[2]}"#,
        ),
        ("$x.a[0]", "1"),
        ("$states.input.xs[k = 'a'].v", "1"),
        ("$states.input.xs.v", "[1,2]"),
        ("$states.input.xs[$.v > 1].k", r#""b""#),
        ("$map($states.input.xs, function($v) { $v.k & '!' })", r#"["a!","b!"]"#),
        (
            "($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; $f(10))",
            "3628800",
        ),
        ("$sum", r#""hidden""#),
        ("$average([1, 2]) & $sum", r#""1.5hidden""#),
        ("$exists($states.input.z)", "true"),
        ("$lookup($states.input, 'n')", "41"),
        ("$states.input.xs[k = 'a'].v[]", "[1]"),
        ("$toMillis('10:00', '[H01]:[m01]')", "1788256800000"),
        ("'string'", r#""string""#),
        // What AWS adds, as recorded.
        ("$range(0,9,3)", "[0,3,6,9]"),
        ("$range(0,10,3)", "[0,3,6,9]"),
        ("$range(1,9,2)", "[1,3,5,7,9]"),
        ("$range(1,9,9)", "1"),
        ("$range(0,6,2)", "[0,2,4,6]"),
        ("$range(-1.7,2,1)", "[-1,0,1,2]"),
        ("$range(5,1,-2)", "[5,3,1]"),
        ("$count($range(5,1,1))", "0"),
        ("$count($range(1,200000,1))", "200000"),
        ("$partition([0],1)", "[[0]]"),
        ("$partition([0,1,2,3],3)", "[[0,1,2],[3]]"),
        ("$partition([0,1],9)", "[[0,1]]"),
        (
            "$hash('input','SHA-1')",
            r#""140f86aae51ab9e1cda9b4254fe98a74eb54c1a1""#,
        ),
        ("$hash('','MD5')", r#""d41d8cd98f00b204e9800998ecf8427e""#),
        ("$random(42)", "0.7275636800328681"),
        ("$random() < 1", "true"),
        ("$uuid() = $uuid()", "false"),
        ("$length($uuid())", "36"),
        ("$parse('-0')", "0"),
        (r#"$parse('{"a": [1, null]}')"#, r#"{"a":[1,null]}"#),
        ("$base64decode('aGk=')", r#""hi""#),
        ("$now()", r#""2026-09-01T00:00:01.250Z""#),
        ("$millis()", "1788220801250"),
        // Numbers that are not finite.
        ("1/0", r#""Infinity""#),
        ("-1/0", r#""-Infinity""#),
        ("0/0", r#""NaN""#),
        ("1e308*10", r#""Infinity""#),
        ("[1/0]", r#"["Infinity"]"#),
        ("{'k': 1/0, 'n': null, 'f': $count}", r#"{"k":"Infinity","n":null}"#),
        ("[2 * (3 - 1) / 0, null, 2 % 0]", r#"["Infinity",null,"NaN"]"#),
        ("['\u{e9}\u{e9}', 1/0]", "[\"\u{e9}\u{e9}\",\"Infinity\"]"),
        ("$parseInteger('x', '0')", r#""NaN""#),
        // What stands behind a guard behaves as without.
        ("$distinct($states.input.xs[0].k)", r#""a""#),
        ("$distinct([1, 1])", "[1]"),
        ("[1, 1] ~> $distinct()", "[1]"),
        ("$map([[1, 1], [2, 3]], $distinct)", "[[1],[2,3]]"),
        ("$replace('abab', 'b', 'x', 1)", r#""axab""#),
        (
            "$replace('abab', /b/, function($m) { $uppercase($m.match) })",
            r#""aBaB""#,
        ),
        ("$states.input.s.$replace('t', 'x')", r#""xexx""#),
        ("'abab' ~> $replace('b', 'x')", r#""axax""#),
        // Limits, from below.
        ("[1..873782] ~> $count()", "873782"),
        ("$length($pad('a', 262145))", "262145"),
        ("$pad('abc', -5, '#-')", r##""#-abc""##),
        (
            "($g := function($s, $n) { $n = 0 ? $s : $g($s & $s, $n - 1) }; $length($g('a', 22)))",
            "4194304",
        ),
    ];
    for (text, wanted) in table {
        let value = evaluate(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value.to_string(), wanted, "{text}");
        let expression = parse(text, FieldScope::Result).expect("an expression");
        // Only what passes a payload on keeps integers that a float cannot hold.
        let is_big = ["9007199254740993", "12345678901234567890"]
            .iter()
            .any(|big| wanted.contains(big));
        if expression.0.quick.is_some() && !is_big {
            match with_env(|env| expression.0.lens.evaluate(env)) {
                Ok(Outcome::Value(value)) => assert_eq!(value.to_string(), wanted, "{text} by the engine"),
                _ => panic!("{text}: the engine gives no value"),
            }
        }
    }
}

#[test]
fn failures_are_worded_as_aws_words_them() {
    let table = [
        ("$doesNotExist", "returned nothing (undefined)."),
        ("$states.input.nope", "returned nothing (undefined)."),
        ("$states.input.nope.deeper", "returned nothing (undefined)."),
        ("$uppercase()", "returned nothing (undefined)."),
        ("$string()", "returned nothing (undefined)."),
        ("*", "returned nothing (undefined)."),
        ("**", "returned nothing (undefined)."),
        ("$fn := function($x){$x}", "returned an unsupported result type."),
        ("$count", "returned an unsupported result type."),
        ("$eval('1+1')", NON_FUNCTION),
        ("$randomSeeded($states.input.n)", NON_FUNCTION),
        ("$sum([1])", NON_FUNCTION),
        (
            "$states.input.s + 1",
            "threw an error during evaluation. T2001: The left side of the \"+\" operator must evaluate to a number",
        ),
        (
            "$formatNumber(1,'x')",
            "threw an error during evaluation. D3086: The sub-picture must not contain a passive character that \
             is preceded by an active character and that is followed by another active character",
        ),
        (
            "1/0 + 1",
            "threw an error during evaluation. D1001: Number out of range: null",
        ),
        ("$string(1/0)", NO_TEXT),
        ("'a' & 1/0", NO_TEXT),
        (
            "$string({'inf': 1/0})",
            "threw an error during evaluation. D1001: Number out of range: null",
        ),
        // Numbers in sentences are JavaScript's.
        (
            "$sqrt(-2)",
            "threw an error during evaluation. D3060: The sqrt function cannot be applied to a negative number: -2",
        ),
        (
            "$power(-2, 1/3)",
            "threw an error during evaluation. D3061: The power function has resulted in a value that cannot be \
             represented as a JSON number: base=-2, exponent=0.3333333333333333",
        ),
        (
            "[1..99999999]",
            "threw an error during evaluation. D2014: The size of the sequence allocated by the range operator (..) \
             must not exceed 1e6.  Attempted to allocate 99999999.",
        ),
        // jsonata-js names the operator for whatever fails on the right of `and` and `or`.
        (
            "$states.input.t and ('a' + 1)",
            "threw an error during evaluation. T2001: The left side of the \"and\" operator must evaluate to a number",
        ),
        (
            "($x := false; $x or (1 = 1 and $trim(1)))",
            "threw an error during evaluation. T0410: Argument 1 of function \"or\" does not match function signature",
        ),
        (
            "$distinct(1, 2)",
            "threw an error during evaluation. T0410: Argument 2 of function \"distinct\" does not match function \
             signature",
        ),
        // There is no context to take the place of a missing argument.
        ("$fromMillis('x')", "returned nothing (undefined)."),
        ("$replace('a', 'b', 2)", "returned nothing (undefined)."),
        ("$sift($string)", "returned nothing (undefined)."),
        ("{'a': 1, 'a': 2}", TWICE),
        ("[1..873783] ~> $count()", MEMORY),
        ("$distinct([1..800000])", TIME),
        ("$distinct([1..40000].{'a': $})", TIME),
        ("$replace($pad('a', 200000, 'a'), 'a', $pad('b', 200000, 'b'))", MEMORY),
        ("$map([1..100], function($v) { $range(0, 400000, 1) })", MEMORY),
        ("$map([1..100], function($v) { $partition([1..100000], 1) })", MEMORY),
        ("$range(1,500000,1)", MEMORY),
        ("$range(0,1e300,1)", MEMORY),
        ("$pad('a', 262146)", MEMORY),
        (
            "($g := function($s, $n) { $n = 0 ? $s : $g($s & $s, $n - 1) }; $g('a', 23))",
            MEMORY,
        ),
        ("($d := function($s) { $d($s & $s) }; $d('ab'))", MEMORY),
        ("($f := function() { 1 + $f() }; $f())", DEPTH),
        ("($f := function() { $f() }; $f())", TIME),
    ];
    for (text, wanted) in table {
        assert_eq!(evaluate(text), Err(wanted.to_owned()), "{text}");
    }
    for text in [
        "$range(1,5,0)",
        "$partition([0,1],-1)",
        "$partition([0,1],0)",
        "$hash('a','nope')",
        "$parse('{a:1}')",
    ] {
        let error = evaluate(text).expect_err(text);
        assert!(
            error.starts_with("threw an error during evaluation: "),
            "{text}: {error}"
        );
    }
    let error = evaluate("$base64decode('!!!')").expect_err("no base64");
    assert!(
        error.starts_with("threw an internal error during evaluation. "),
        "{error}"
    );
    assert!(evaluate("[1..1e9]").is_err());
}

#[test]
fn creation_refuses_what_aws_refuses() {
    let not_at_top = |names: &[&str]| {
        let lines: Vec<String> = names
            .iter()
            .map(|name| {
                format!("UNSUPPORTED_JSONATA_EXPRESSION: Reference to '{name}' at the top level is not supported.")
            })
            .collect();
        lines.join("\n")
    };
    let refused = [
        ("phone", not_at_top(&["phone"])),
        ("aaa + bbb", not_at_top(&["aaa", "bbb"])),
        ("aaa + aaa", not_at_top(&["aaa"])),
        ("$", not_at_top(&["$"])),
        ("$.a", not_at_top(&["$"])),
        ("phone[0].n", not_at_top(&["phone"])),
        ("(phone).x", not_at_top(&["phone"])),
        ("[phone].x", not_at_top(&["phone"])),
        ("-phone", not_at_top(&["phone"])),
        ("[a..b]", not_at_top(&["a", "b"])),
        ("1 in phone", not_at_top(&["phone"])),
        ("phone ~> $count", not_at_top(&["phone"])),
        ("a ? b : c", not_at_top(&["a", "b", "c"])),
        ("$f(phone)", not_at_top(&["phone"])),
        ("phone(1)", not_at_top(&["phone"])),
        ("{phone: 1}", not_at_top(&["phone"])),
        ("{'k': phone}", not_at_top(&["phone"])),
        ("($x := phone; $x)", not_at_top(&["phone"])),
        ("$map($states.input.a, function($y){ phone })", not_at_top(&["phone"])),
        ("function($y){ $f(phone) }", not_at_top(&["phone"])),
        (
            "$$.phone",
            "UNSUPPORTED_JSONATA_EXPRESSION: Reference to '$$' is not supported.".to_owned(),
        ),
        (
            "$states.errorOutput.Cause",
            "UNSUPPORTED_JSONATA_EXPRESSION: Field '$states.errorOutput' does not exist.".to_owned(),
        ),
    ];
    for (text, wanted) in refused {
        assert_eq!(parse(text, FieldScope::Result).map(|_| ()), Err(wanted), "{text}");
    }
    let wanted = "UNSUPPORTED_JSONATA_EXPRESSION: Field '$states.result' does not exist.".to_owned();
    for scope in [FieldScope::Input, FieldScope::ErrorOutput] {
        assert_eq!(parse("$states.result.x", scope).map(|_| ()), Err(wanted.clone()));
    }
    let unparsable = [
        ("a[1,2)", r#"Expected "]", got ",""#),
        (
            r#""unterminated"#,
            "String literal must be terminated by a matching quote",
        ),
        ("1 +", "Unexpected end of expression"),
        // JSONata 2.1 brought these.
        ("$x ?? 1", r#"The symbol "?" cannot be used as a unary operator"#),
        ("$x ?: 1", r#"The symbol ":" cannot be used as a unary operator"#),
        (
            "$f($x ?: 1) ?? phone",
            r#"The symbol ":" cannot be used as a unary operator"#,
        ),
        (
            "$x.7",
            "The literal value 7 cannot be used as a step within a path expression",
        ),
        ("$x :=", "Unexpected end of expression"),
        ("", "Unexpected end of expression"),
        (r#"{"a":}"#, r#"The symbol "}" cannot be used as a unary operator"#),
        ("phone %.other", r#"The symbol "." cannot be used as a unary operator"#),
        (r#"$match("a", /abc"#, "No terminating / in regular expression"),
    ];
    for (text, wanted) in unparsable {
        let wanted = format!("INVALID_JSONATA_EXPRESSION: {wanted}");
        assert_eq!(parse(text, FieldScope::Result).map(|_| ()), Err(wanted), "{text}");
    }
    let accepted = [
        "$states.input.a.b",
        "$states.input.a[b = 1]",
        "$states.input.a[$ > 1]",
        "$states.input.a^(b)",
        "$states.input.a{b: c}",
        "$states.input ~> |a|{'b': c}|",
        "**.phone",
        "{'k':1}.phone",
        "'phone'",
        "$phone",
        "$states",
        "$states.error",
    ];
    for text in accepted {
        assert_eq!(parse(text, FieldScope::Input).map(|_| ()), Ok(()), "{text}");
    }
    assert!(parse("$states.errorOutput.Cause", FieldScope::ErrorOutput).is_ok());
}

#[test]
fn offsets_count_from_the_start_of_the_text() {
    let errors = Expression::parse("{%  1 + phone %}", FieldScope::Input).expect_err("phone");
    assert_eq!(errors[0].offset, Some(8));
}

#[test]
fn variables_are_those_of_the_workflow() {
    let table: [(&str, &[&str]); 9] = [
        ("$b + $a.x + $b", &["b", "a"]),
        ("$states.input.a + $x.y & $uuid()", &["x"]),
        ("($y := 1; $y + $z)", &["z"]),
        ("($y := $y + 1; $y)", &["y"]),
        (
            "$map($items, function($i, $n) { $i * $factor + $n })",
            &["items", "factor"],
        ),
        ("($f := function($n) { $n = 0 ? $seed : $f($n - 1) }; $f(3))", &["seed"]),
        ("($f := function() { $g() }; $g := function() { 1 }; $f())", &[]),
        ("$map($xs, $string) ~> $join", &["xs"]),
        ("$count + 1", &["count"]),
    ];
    for (text, wanted) in table {
        let expression = parse(text, FieldScope::Input).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expression.variables(), wanted, "{text}");
    }
}

#[test]
fn chance_is_drawn_once_and_repeats() {
    let draw = |text: &str| {
        let expression = parse(text, FieldScope::Input).expect("an expression");
        with_env(|env| {
            let value = expression.evaluate(env, "Output").expect("a value");
            (value, env.entropy.borrow().clone())
        })
    };
    for text in ["$uuid()", "$random()", "$shuffle([1..50])", "[$uuid(), 1/0]"] {
        assert_eq!(draw(text), draw(text), "{text}");
        assert_ne!(draw(text).1, Entropy::new(1), "{text}");
    }
    assert_eq!(draw("[$uuid(), 1/0]").0[0], draw("$uuid()").0);
    assert_eq!(draw("$states.input.xs").1, Entropy::new(1));
}

#[test]
fn whole_payloads_are_shared() {
    with_env(|env| {
        let expression = parse("$states.input", FieldScope::Input).expect("an expression");
        let payload = expression.evaluate_payload(env, "Output").expect("the input");
        assert!(payload.is_same(&env.input));
        let expression = parse("$states.input.n", FieldScope::Input).expect("an expression");
        let payload = expression.evaluate_payload(env, "Output").expect("a member");
        assert_eq!(payload.text(), "41");
    });
}

#[test]
fn unexpected_types_are_named() {
    let expression = parse("'string'", FieldScope::Input).expect("an expression");
    let error = unexpected_type(&expression, "Items", "array", &json!("string"));
    assert_eq!(
        error.to_string(),
        "The JSONata expression ''string'' specified for the field 'Items' returned an unexpected result type. \
         Expected 'array', but was 'string' for value: \"string\""
    );
}

#[test]
fn depth_counts_levels_of_the_text() {
    let nest = |open: &str, core: &str, close: &str, levels: usize| open.repeat(levels) + core + &close.repeat(levels);
    for (open, core, close) in [("(", "1", ")"), ("[", "1", "]"), ("{'a':", "1", "}"), ("1+", "1", "")] {
        assert!(evaluate(&nest(open, core, close, 95)).is_ok(), "{open}");
        assert_eq!(evaluate(&nest(open, core, close, 105)), Err(DEPTH.to_owned()), "{open}");
    }
    let chain = nest("1+", "1", "", 199);
    assert_eq!(evaluate(&chain), Err(DEPTH.to_owned()));
}

#[test]
fn no_text_breaks_the_compiler() {
    let opening = [
        "(",
        "[",
        "{",
        "{'a':",
        "-",
        "1+",
        "a.",
        "a[",
        "$f(",
        "function($x){",
        "|",
        "a?",
        "a:=",
        "$a:=",
        "^(",
        "%.",
        "**.",
        "`",
        "\"",
        "/",
        "/*",
        "~>",
        "a@$b.",
        "$x#$i",
        "..",
        "\u{1F600}",
        "$\u{0}",
    ];
    for part in opening {
        for levels in [1, 2, 3, 90, 300, 999, 1001, 20_000, 100_000] {
            for text in [
                part.repeat(levels),
                part.repeat(levels) + "1",
                "$states.input.".to_owned() + &part.repeat(levels),
            ] {
                if let Ok(expression) = parse(&text, FieldScope::Input) {
                    with_env(|env| expression.evaluate(env, "Output").is_ok());
                }
            }
        }
    }
    for text in ["", "{%", "%}", "{%%}", "{% %", "{%\u{1F600}%}", "{% 1 /* %}"] {
        let _ = Expression::parse(text, FieldScope::Input);
    }
}
