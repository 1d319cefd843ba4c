use std::fmt::Write;

use expect_test::Expect;
use expect_test::expect;

use super::*;
use crate::asl::load::Options;
use crate::asl::load::compile_kept;
use crate::lint::flow::shape::Presence;
use crate::lint::flow::shape::Rest;

fn with_flow<T>(text: &str, look: impl FnOnce(&Subject<'_>) -> T) -> T {
    let compiled = compile_kept(text, &Options::default());
    let (definition, root) = compiled.unwrap_or_else(|refused| panic!("{refused:?}\n{text}"));
    look(&Subject::new(&definition, &root, false))
}

fn show(shape: &Shape) -> String {
    match shape {
        Shape::List(item, _) => format!("[{}…]", show(item)),
        Shape::Object(object) => {
            let members = object.members.iter().map(|(name, member)| {
                let mark = match member.presence {
                    Presence::Sure => "",
                    Presence::Unclear => "?",
                    Presence::Maybe(_) => "!",
                };
                format!("{name}{mark}: {}", show(&member.shape))
            });
            let rest = match object.rest {
                Rest::Nothing => None,
                Rest::Anything => Some("…".to_owned()),
                Rest::Missing(_) => Some("…!".to_owned()),
            };
            format!("{{{}}}", members.chain(rest).collect::<Vec<_>>().join(", "))
        }
        Shape::Scalar(scalar) => match scalar {
            Scalar::Null => "null".to_owned(),
            Scalar::Number(Some(number)) => number.to_string(),
            Scalar::Number(None) => "number".to_owned(),
            Scalar::Text(Some(text)) => format!("'{text}'"),
            Scalar::Text(None) => "text".to_owned(),
            Scalar::Truth(Some(truth)) => truth.to_string(),
            Scalar::Truth(None) => "truth".to_owned(),
        },
        Shape::Tuple(items, _) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Shape::Unknown => "?".to_owned(),
    }
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    let shown = with_flow(text, |subject| {
        let mut shown = String::new();
        for (id, state, _) in subject.states() {
            let Some(facts) = subject.flow().facts(id) else {
                let _ = writeln!(shown, "{}: unreachable", state.name);
                continue;
            };
            let _ = write!(shown, "{}: {}", state.name, show(&facts.input));
            match &facts.variables {
                Variables::Known(known) if known.is_empty() => {}
                Variables::Known(known) => {
                    let members = known.iter().map(|(name, member)| (name.clone(), member.clone()));
                    let _ = write!(shown, " with {}", show(&Shape::object(members, Origin::Start)));
                }
                Variables::Unknown => shown.push_str(" with anything"),
            }
            shown.push('\n');
        }
        for read in subject.flow().reads() {
            let verdict = match &read.verdict {
                Verdict::Possible => continue,
                Verdict::Maybe(_) => "may miss",
                Verdict::Never(..) => "misses",
            };
            let name = &subject.definition.state(read.state).name;
            let _ = writeln!(shown, "{name}{} {verdict} {} ({:?})", read.place, read.text, read.need);
        }
        shown
    });
    expected.assert_eq(&shown);
}

#[test]
fn json_path_fields_make_the_input_of_the_next_state() {
    check(
        r#"{"StartAt":"A","States":{
            "A":{"Type":"Pass","Result":{"n":1,"t":"x"},"Next":"B"},
            "B":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.r","Next":"C"},
            "C":{"Type":"Pass","Parameters":{"a.$":"$.n","b.$":"$.missing","c.$":"States.Format('{}',$.t)","d.$":"$.r.deep"},"Next":"D"},
            "D":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody.$":"$"},"ResultSelector":{"id.$":"$.MessageId","no.$":"$.Payload"},"ResultPath":"$.sent.message","Next":"E"},
            "E":{"Type":"Pass","InputPath":"$.sent","OutputPath":"$.message","Next":"F"},
            "F":{"Type":"Succeed","OutputPath":"$.id"}}}"#,
        &expect![[r#"
            A: ?
            B: {n: 1, t: 'x'}
            C: {n: 1, r: ?, t: 'x'}
            D: {a: 1, b: ?, c: text, d: ?}
            E: {a: 1, b: ?, c: text, d: ?, sent: {message: {id: text, no: ?}}}
            F: {id: text, no: ?}
            C/Parameters/b.$ misses $.missing (Required)
            D/ResultSelector/no.$ misses $.Payload (Required)
        "#]],
    );
}

#[test]
fn a_catcher_replaces_the_input() {
    check(
        r#"{"StartAt":"A","States":{
            "A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.r","Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"Next":"B"},
            "B":{"Type":"Pass","Parameters":{"a.$":"$.order","b.$":"$.r","c.$":"$.Cause"},"End":true}}}"#,
        &expect![[r#"
            A: ?
            B: {Cause?: ?, Error?: ?, r!: ?, …!}
            B/Parameters/a.$ may miss $.order (Required)
            B/Parameters/b.$ may miss $.r (Required)
        "#]],
    );
}

#[test]
fn a_choice_knows_what_it_asked_for() {
    check(
        r#"{"StartAt":"A","States":{
            "A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:getItem","Parameters":{"TableName":"t","Key":{}},"ResultSelector":{"x":1},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"Next":"B"},
            "B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"C"},{"Variable":"$.Error","StringEquals":"e","Next":"D"}],"Default":"D"},
            "C":{"Type":"Pass","Parameters":{"a.$":"$.x","b.$":"$.Error"},"End":true},
            "D":{"Type":"Pass","Parameters":{"a.$":"$.x"},"End":true}}}"#,
        &expect![[r#"
            A: ?
            B: {Cause!: ?, Error!: ?, x!: 1}
            C: {Cause?: ?, Error?: ?, x: 1}
            D: {Cause?: ?, Error: ?}
            B/Choices[0]/Variable may miss $.x (Guarded)
            B/Choices[1]/Variable may miss $.Error (Required)
            D/Parameters/a.$ misses $.x (Required)
        "#]],
    );
}

#[test]
fn blocks_pass_their_outputs_on() {
    check(
        r#"{"StartAt":"P","States":{
            "P":{"Type":"Parallel","Parameters":{"k":1},"Assign":{"v.$":"$[0].a"},"Branches":[
                {"StartAt":"X","States":{"X":{"Type":"Pass","Parameters":{"a.$":"$.k","z.$":"$.none"},"Assign":{"inner":1},"End":true}}},
                {"StartAt":"Y","States":{"Y":{"Type":"Pass","Result":[1,2],"End":true}}}],"Next":"M"},
            "M":{"Type":"Map","ItemsPath":"$[1]","ItemSelector":{"i.$":"$$.Map.Item.Value","v.$":"$v","w.$":"$w"},"ItemProcessor":{"StartAt":"Z","States":{"Z":{"Type":"Pass","End":true}}},"ResultPath":"$[0].m","Next":"S"},
            "S":{"Type":"Pass","Parameters":{"i.$":"$inner"},"End":true}}}"#,
        &expect![[r#"
            P: ?
            M: [{a: 1, z: ?}, [1, 2]] with {v: 1}
            S: ? with {v: 1}
            X: {k: 1}
            Y: {k: 1}
            Z: {i: ?, v: 1, w: ?} with {v: 1}
            M/ItemSelector/w.$ misses $w (Required)
            S/Parameters/i.$ misses $inner (Required)
            X/Parameters/z.$ misses $.none (Required)
        "#]],
    );
}

#[test]
fn json_ata_reads_and_makes_objects() {
    check(
        r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{
            "A":{"Type":"Pass","Output":{"a":1,"o":{"p":"{% $states.input.x %}"}},"Assign":{"v":{"k":1}},"Next":"B"},
            "B":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f","Payload":"{% $states.input.o.q %}"},"Output":"{% $merge([$states.input, {'r': $states.result.Payload, 'bad': $states.result.body}]) %}","Assign":{"n":"{% $v.k + 1 %}","m":"{% $v.none %}"},"Catch":[{"ErrorEquals":["States.ALL"],"Output":"{% $states.errorOutput.Error %}","Next":"C"}],"Next":"C"},
            "C":{"Type":"Pass","Output":"{% $n %}","End":true}}}"#,
        &expect![[r#"
            A: ?
            B: {a: 1, o: {p: ?}} with {v: {k: 1}}
            C: {a?: ?, bad?: ?, o?: ?, r?: ?, …!} with {m!: ?, n!: ?, v: {k: 1}}
            B/Arguments/Payload misses $states.input.o.q (Required)
            B/Assign/m misses $v.none (Required)
            B/Output misses $states.result.body (Wanted)
            C/Output may miss $n (Required)
        "#]],
    );
}

#[test]
fn loops_come_to_an_end() {
    check(
        r#"{"StartAt":"A","States":{
            "A":{"Type":"Pass","Parameters":{"x.$":"$"},"Next":"B"},
            "B":{"Type":"Choice","Choices":[{"Variable":"$.x.x.x","IsPresent":true,"Next":"S"}],"Default":"A"},
            "S":{"Type":"Succeed"}}}"#,
        &expect![[r#"
            A: ? with anything
            B: ? with anything
            S: ? with anything
        "#]],
    );
}

/// Each would take hours if the time were not linear, or more stack than there is.
#[test]
fn large_definitions_come_to_an_end() {
    let chain = |n_states: usize, state: &dyn Fn(usize) -> String| {
        let states: Vec<String> = (0..n_states)
            .map(|number| format!(r#""s{number}":{}"#, state(number)))
            .collect();
        format!(
            r#"{{"StartAt":"s0","States":{{{},"s{n_states}":{{"Type":"Succeed"}}}}}}"#,
            states.join(",")
        )
    };
    let mut nested = r#"{"Type":"Pass","End":true}"#.to_owned();
    for depth in 0..100 {
        let branch = format!(r#"{{"StartAt":"x{depth}","States":{{"x{depth}":{nested}}}}}"#);
        nested = format!(r#"{{"Type":"Parallel","Branches":[{branch}],"End":true}}"#);
    }
    for text in [
        chain(10_000, &|number| {
            format!(
                r#"{{"Type":"Pass","Assign":{{"v{number}.$":"$"}},"Next":"s{}"}}"#,
                number + 1
            )
        }),
        chain(10_000, &|number| {
            format!(
                r#"{{"Type":"Pass","Result":1,"ResultPath":"$.m{number}","Next":"s{}"}}"#,
                number + 1
            )
        }),
        chain(10_000, &|number| {
            format!(
                r#"{{"Type":"Pass","Parameters":{{"x.$":"$","y.$":"$"}},"Next":"s{}"}}"#,
                number + 1
            )
        }),
        chain(5_000, &|number| {
            format!(
                r#"{{"Type":"Choice","Choices":[{{"Variable":"$.a","IsNull":true,"Next":"s{}"}},{{"Variable":"$.a","IsPresent":true,"Next":"s{}"}}],"Default":"s5000"}}"#,
                number * 7 % 5_000,
                number + 1
            )
        }),
        format!(r#"{{"StartAt":"x","States":{{"x":{nested}}}}}"#),
    ] {
        let compiled = compile_kept(&text, &Options::default());
        let (definition, root) = compiled.unwrap_or_else(|refused| panic!("{refused:?}"));
        let subject = Subject::new(&definition, &root, false);
        assert!(subject.flow().facts(definition.blocks[0].start_at).is_some());
    }
}
