//! Mends what can be mended mechanically, and leaves every other byte as it is.

use std::collections::BTreeMap;

use similar::TextDiff;

use crate::cli::validate::check::Subject;
use crate::cli::validate::policy::Policy;
use crate::cli::validate::policy::Told;
use crate::lint::finding::Fix;

/// How often a text is looked at again: a change may uncover, or have been in the way of, another.
const ROUNDS_MAX: usize = 10;

/// A text that was mended.
#[derive(Debug)]
pub(crate) struct Mended {
    before: String,
    pub(crate) after: String,
    /// How many findings, by rule.
    pub(crate) by_rule: BTreeMap<&'static str, usize>,
}

impl Mended {
    /// Returns the difference in the unified form.
    pub(crate) fn difference(&self, path: &str) -> String {
        let difference = TextDiff::from_lines(&self.before, &self.after);
        let mut difference = difference.unified_diff();
        difference
            .header(&format!("a/{path}"), &format!("b/{path}"))
            .to_string()
    }
}

/// Mends a file; `definitions` finds in a text of it what it holds. What is not told is not mended. None when there is
/// nothing to mend.
pub(crate) fn mend(before: &str, policy: &Policy, definitions: impl Fn(&str) -> Vec<Subject>) -> Option<Mended> {
    let judge = |text: &str| -> Vec<Told> {
        let judged = definitions(text)
            .into_iter()
            .map(|subject| policy.judge(subject.check()));
        judged.flat_map(|judged| judged.told).collect()
    };
    let mut text = before.to_owned();
    let mut by_rule = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let told = judge(&text);
        let fixes: Vec<(&'static str, &Fix)> = told
            .iter()
            .filter_map(|told| Some((told.finding.rule, told.finding.fix.as_ref()?)))
            .collect();
        let (changed, applied) = apply(&text, &fixes);
        if changed == text {
            break;
        }
        let n_refusals = |told: &[Told]| told.iter().filter(|told| told.is_refusal()).count();
        if n_refusals(&told) < n_refusals(&judge(&changed)) {
            // It must not break what works; the finding stays, and people mend it.
            break;
        }
        text = changed;
        for rule in applied {
            *by_rule.entry(rule).or_default() += 1;
        }
    }
    (text != before).then(|| Mended {
        before: before.to_owned(),
        after: text,
        by_rule,
    })
}

/// Applies fixes, each as a whole or not at all; one that touches what an earlier one changes waits. Returns the text and
/// the rules whose fixes were applied.
fn apply(text: &str, fixes: &[(&'static str, &Fix)]) -> (String, Vec<&'static str>) {
    // By start: where an edit ends, and what comes there.
    let mut edits: BTreeMap<usize, (usize, &str)> = BTreeMap::new();
    let mut applied = Vec::new();
    for (rule, fix) in fixes {
        let mut with = edits.clone();
        let fits = fix.edits.iter().all(|(span, new)| {
            let (start, end) = (span.start as usize, span.end as usize);
            // Two that only touch could both insert at one place, in an order that nobody chose.
            let before = with.range(..=end).next_back();
            let is_free = before.is_none_or(|(_, (before_end, _))| *before_end < start);
            let fits = is_free && text.get(start..end).is_some();
            with.insert(start, (end, new.as_str()));
            fits
        });
        if fits {
            edits = with;
            applied.push(*rule);
        }
    }
    let mut changed = String::with_capacity(text.len());
    let mut at = 0;
    for (start, (end, new)) in edits {
        changed += &text[at..start];
        changed += new;
        at = end;
    }
    (changed + &text[at..], applied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::span::Span;
    use crate::template::find::File;
    use crate::template::find::Files;
    use crate::template::find::Reason;
    use crate::template::find::find;

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&self, _path: &str) -> Result<File, String> {
            Err("there is no such file".to_owned())
        }
    }

    /// Mends a file and returns its lines that changed, and how many findings are out of reach in it.
    fn mended(path: &str, text: &str) -> (Vec<String>, usize) {
        let policy = Policy {
            all: true,
            ..Policy::default()
        };
        let definitions = |text: &str| {
            let found = find(path, text, Reason::Named, &NoFiles).definitions.into_iter();
            found.map(|found| Subject::of(found, false)).collect::<Vec<_>>()
        };
        let after = mend(text, &policy, definitions).map_or(text.to_owned(), |mended| mended.after);
        let changed = after.lines().zip(text.lines()).filter(|(new, old)| new != old);
        let n_out_of_reach = definitions(&after)
            .into_iter()
            .map(|subject| subject.check().n_out_of_reach);
        (
            changed.map(|(new, _)| new.trim().to_owned()).collect(),
            n_out_of_reach.sum(),
        )
    }

    fn fix(edits: &[(u32, u32, &str)]) -> Fix {
        let edits = edits.iter().map(|(start, end, text)| {
            let span = Span {
                line: 1,
                column: 1,
                start: *start,
                end: *end,
            };
            (span, (*text).to_owned())
        });
        Fix { edits: edits.collect() }
    }

    #[test]
    fn a_fix_is_applied_as_a_whole_or_not_at_all() {
        let text = "0123456789é";
        let rows: &[(&[Fix], &str, &[&str])] = &[
            (&[], text, &[]),
            (&[fix(&[(8, 9, ""), (1, 3, "ab")])], "0ab345679é", &["a"]),
            (
                &[fix(&[(1, 3, "x")]), fix(&[(5, 6, "y"), (2, 4, "z")])],
                "0x3456789é",
                &["a"],
            ),
            (&[fix(&[(1, 3, "x")]), fix(&[(3, 3, "y")])], "0x3456789é", &["a"]),
            (&[fix(&[(3, 5, "x")]), fix(&[(1, 3, "y")])], "012x56789é", &["a"]),
            (&[fix(&[(4, 4, "x")]), fix(&[(4, 4, "x")])], "0123x456789é", &["a"]),
            (&[fix(&[(3, 5, "x")]), fix(&[(1, 2, "y")])], "0y2x56789é", &["a", "b"]),
            (&[fix(&[(10, 11, "")]), fix(&[(99, 100, "")])], text, &[]),
        ];
        for (fixes, expected, expected_rules) in rows {
            let fixes: Vec<(&'static str, &Fix)> = ["a", "b"].into_iter().zip(*fixes).collect();
            let (changed, applied) = apply(text, &fixes);
            assert_eq!((changed.as_str(), applied.as_slice()), (*expected, *expected_rules));
        }
    }

    #[test]
    fn a_definition_inside_a_template_is_mended_where_its_letters_stand() {
        const YAML: &str = "Resources:
  M:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition:
        StartAt: M
        States:
          M:
            Type: Map
            Iterator:
              StartAt: A
              States:
                A:
                  Type: Task
                  Resource: !Sub arn:${AWS::Partition}:states:::sqs:sendMessage
                  Parameters: {QueueUrl: q, 'MessageBody': m}
                  Retry: [{ErrorEquals: [\"States.Timedout\"]}]
                  End: true
            End: true
";
        const ESCAPED: &str = r#"{"Resources": {"M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString":
"{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"arn:aws:states:::sqs:sendMessage\",\"Parameters\":{\"QueueUrl\":\"q\",\"MessageBody\":\"m\"},\"Retry\":[{\"ErrorEquals\":[\"States.Timedout\"]}],\"End\":true}}}"
}}}}"#;
        const SUB: &str = "Resources:
  M:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: !Sub |
        {\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Task\", \"Resource\": \"${Queue.Arn}\", \"Retry\": [
          {\"ErrorEquals\": [\"States.Timedout\"]},
          {\"ErrorEquals\": [\"States.Time\\u004fut\"]}
        ], \"End\": true}}}
";
        const SERVERLESS: &str = "service: s
stepFunctions:
  stateMachines:
    m:
      definition:
        StartAt: M
        States:
          M: {Type: Map, Iterator: {StartAt: A, States: {A: {Type: Pass, End: true}}}, End: true}
";
        for (path, text, expected, n_out_of_reach) in [
            (
                "template.yaml",
                YAML,
                &["ItemProcessor:", "Retry: [{ErrorEquals: [\"States.Timeout\"]}]"][..],
                0,
            ),
            (
                "template.json",
                ESCAPED,
                &[
                    r#""{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"arn:aws:states:::sqs:sendMessage\",\"Parameters\":{\"QueueUrl\":\"q\",\"MessageBody\":\"m\"},\"Retry\":[{\"ErrorEquals\":[\"States.Timeout\"]}],\"End\":true}}}""#,
                ],
                0,
            ),
            // What is written with escapes stays as it is.
            ("template.yaml", SUB, &["{\"ErrorEquals\": [\"States.Timeout\"]},"], 0),
            (
                "serverless.yml",
                SERVERLESS,
                &["M: {Type: Map, ItemProcessor: {StartAt: A, States: {A: {Type: Pass, End: true}}}, End: true}"],
                0,
            ),
            // To take the comment away needs more than letters.
            (
                "serverless.yml",
                &SERVERLESS.replace("Type: Map,", "Type: Map, Comment: 'lint-ignore: time/no-timeout',"),
                &[
                    "M: {Type: Map, Comment: 'lint-ignore: time/no-timeout', ItemProcessor: {StartAt: A, States: {A: {Type: Pass, \
                     End: true}}}, End: true}",
                ],
                1,
            ),
        ] {
            assert_eq!(
                mended(path, text),
                (expected.iter().map(|line| (*line).to_owned()).collect(), n_out_of_reach),
                "{text}"
            );
        }
    }
}
