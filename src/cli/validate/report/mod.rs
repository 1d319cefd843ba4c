//! What `stepfn validate` tells: one file per form.
//!
//! A report is made piece by piece while the definitions are checked, so that many cost no more memory than one.
//! To add a form: a file with a type that is a `Report`, and a row in `Format` and `of`.

mod github;
mod gitlab;
mod human;
mod json;
mod junit;
mod sarif;

use crate::cli::validate::policy::Judged;
use crate::cli::validate::totals::Totals;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;

pub(crate) use human::Human;

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: each finding with its line
    Human,
    /// One JSON document, described in docs/validate.md
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations, as GitHub Actions reads them from the log
    Github,
    /// JUnit's XML: a suite for each definition
    Junit,
    /// GitLab's code quality
    Gitlab,
}

/// How findings are written down.
pub(crate) trait Report: Sync {
    /// What stands before the first piece.
    fn begin(&self) -> String;
    /// The pieces of one definition.
    fn definition(&self, judged: &Judged) -> Vec<String>;
    /// The pieces of a file that cannot be read.
    fn unreadable(&self, path: &str, message: &str) -> Vec<String>;
    /// What stands between two pieces.
    fn between(&self) -> &'static str;
    /// What stands behind the last piece.
    fn end(&self, totals: &Totals) -> String;
}

/// Returns the report of a form.
pub(crate) fn of(format: Format) -> Box<dyn Report> {
    match format {
        Format::Human => Box::new(Human { is_plain: true }),
        Format::Json => Box::new(json::Json),
        Format::Sarif => Box::new(sarif::Sarif),
        Format::Github => Box::new(github::Github),
        Format::Junit => Box::new(junit::Junit),
        Format::Gitlab => Box::new(gitlab::Gitlab),
    }
}

pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Information => "information",
        Severity::Warning => "warning",
    }
}

pub(crate) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Heuristic => "heuristic",
        Confidence::Path => "path",
        Confidence::Static => "static",
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use expect_test::Expect;
    use expect_test::expect;

    use super::*;
    use crate::cli::validate::policy::Policy;
    use crate::cli::validate::policy::tests::DEFINITION;
    use crate::cli::validate::policy::tests::checked;

    /// A report of a definition with a warning, one that AWS refuses, and a file that cannot be read.
    pub(super) fn whole(format: Format, paths: [&str; 2]) -> String {
        let report = of(format);
        let policy = Policy::default();
        let mut totals = Totals::default();
        let mut text = report.begin();
        let mut pieces = Vec::new();
        for (path, definition) in paths.into_iter().zip([DEFINITION, "{\n\"StartAt\": \"A\", \"X\": 1}"]) {
            let judged = policy.judge(checked(path, definition));
            totals.add(&judged);
            pieces.extend(report.definition(&judged));
        }
        totals
            .unreadable
            .push(("c.json".to_owned(), "failed to read `c.json`: \u{1}".to_owned()));
        pieces.extend(report.unreadable("c.json", "failed to read `c.json`: \u{1}"));
        text += &pieces.join(report.between());
        text + &report.end(&totals)
    }

    #[track_caller]
    fn check(format: Format, expected: &Expect) {
        expected.assert_eq(&whole(format, ["a, b:c%.json", "d/<&>.json"]));
    }

    #[test]
    fn people_see_the_line() {
        check(
            Format::Human,
            &expect![[r#"
                warning[NO_DOLLAR]: The value of the field 'é' looks like a path or an intrinsic function call, but the name does not end in '.$' at /States/A/Parameters/é
                 --> a, b:c%.json:5:49
                  |
                5 |     "A": { "Type": "Pass", "Parameters": { "é": "$.a" }, "Next": "B" },
                  |                                                 ^^^^^

                error[SCHEMA_VALIDATION_FAILED]: These fields are required: [States] at /
                 --> d/<&>.json:1:1
                  |
                1 | {
                  | ^

                error[SCHEMA_VALIDATION_FAILED]: Field 'X' is not supported at /
                 --> d/<&>.json:2:17
                  |
                2 | "StartAt": "A", "X": 1}
                  |                 ^^^

                error: failed to read `c.json`: �

                2 definitions: 2 errors, 1 warning; 1 is invalid; 1 file could not be read; not shown: 1 of information (--all shows them), 1 ignored by comments.
            "#]],
        );
    }

    #[test]
    fn github_reads_escaped_commands() {
        check(
            Format::Github,
            &expect![[r#"
                ::warning file=a%2C b%3Ac%25.json,line=5,endLine=5,col=49,endColumn=54,title=NO_DOLLAR::The value of the field 'é' looks like a path or an intrinsic function call, but the name does not end in '.$' at /States/A/Parameters/é
                ::error file=d/<&>.json,line=1,endLine=2,title=SCHEMA_VALIDATION_FAILED::These fields are required: [States] at /
                ::error file=d/<&>.json,line=2,endLine=2,col=17,endColumn=20,title=SCHEMA_VALIDATION_FAILED::Field 'X' is not supported at /
                ::error file=c.json::failed to read `c.json`: �
            "#]],
        );
    }

    #[test]
    fn gitlab_reads_a_list() {
        check(
            Format::Gitlab,
            &expect![[r#"
            [
            {"description":"The value of the field 'é' looks like a path or an intrinsic function call, but the name does not end in '.$' at /States/A/Parameters/é","check_name":"NO_DOLLAR","fingerprint":"968d45d49cd2d49cd70a5dcb7bc2bb15","severity":"minor","location":{"path":"a, b:c%.json","lines":{"begin":5,"end":5}}},
            {"description":"These fields are required: [States] at /","check_name":"SCHEMA_VALIDATION_FAILED","fingerprint":"54e0d1859937cbf5ab75528ee136ab39","severity":"blocker","location":{"path":"d/<&>.json","lines":{"begin":1,"end":2}}},
            {"description":"Field 'X' is not supported at /","check_name":"SCHEMA_VALIDATION_FAILED","fingerprint":"39ef40c70a1d06ee8e82fe187dde120b","severity":"blocker","location":{"path":"d/<&>.json","lines":{"begin":2,"end":2}}},
            {"description":"failed to read `c.json`: \u0001","check_name":"unreadable","fingerprint":"unreadable c.json","severity":"blocker","location":{"path":"c.json","lines":{"begin":1}}}
            ]
        "#]],
        );
    }

    #[test]
    fn programs_read_one_document() {
        check(
            Format::Json,
            &expect![[r#"
            {"version":1,"definitions":[
            {"path":"a, b:c%.json","machine":null,"valid":true,"findings":[{"rule":"NO_DOLLAR","severity":"warning","denied":false,"confidence":"static","message":"The value of the field 'é' looks like a path or an intrinsic function call, but the name does not end in '.$'","hint":null,"location":"/States/A/Parameters/é","region":{"startLine":5,"startColumn":49,"endLine":5,"endColumn":54},"range":[120,125],"fix":null,"fingerprint":"968d45d49cd2d49cd70a5dcb7bc2bb15"}],"suppressed":[{"rule":"NO_DOLLAR","severity":"warning","denied":false,"confidence":"static","message":"The value of the field 'a' looks like a path or an intrinsic function call, but the name does not end in '.$'","hint":null,"location":"/States/B/Parameters/a","region":{"startLine":6,"startColumn":101,"endLine":6,"endColumn":106},"range":[244,249],"fix":null,"fingerprint":"02e2171e603eb6b05440f8585cd38659","suppressedBy":"comment","reason":"<it> is a text"}],"hidden":1},
            {"path":"d/<&>.json","machine":null,"valid":false,"findings":[{"rule":"SCHEMA_VALIDATION_FAILED","severity":"error","denied":false,"confidence":"static","message":"These fields are required: [States]","hint":null,"location":"/","region":{"startLine":1,"startColumn":1,"endLine":2,"endColumn":24},"range":[0,25],"fix":null,"fingerprint":"54e0d1859937cbf5ab75528ee136ab39"},{"rule":"SCHEMA_VALIDATION_FAILED","severity":"error","denied":false,"confidence":"static","message":"Field 'X' is not supported","hint":null,"location":"/","region":{"startLine":2,"startColumn":17,"endLine":2,"endColumn":20},"range":[18,21],"fix":null,"fingerprint":"39ef40c70a1d06ee8e82fe187dde120b"}],"suppressed":[],"hidden":0},
            {"path":"c.json","unreadable":"failed to read `c.json`: \u0001"}
            ],"summary":{"definitions":2,"invalid":1,"errors":2,"warnings":1,"information":0,"hidden":1,"suppressed":{"baseline":0,"comment":1,"level":0},"unreadable":1}}
        "#]],
        );
    }

    #[test]
    fn junit_has_a_suite_for_each_definition() {
        check(
            Format::Junit,
            &expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="stepfn validate">
              <testsuite name="a, b:c%.json" tests="1" failures="0" errors="0" skipped="0" time="0">
                <testcase name="NO_DOLLAR /States/A/Parameters/é" classname="a, b:c%.json" file="a, b:c%.json" line="5" time="0">
                  <system-out>warning: a, b:c%.json:5: The value of the field 'é' looks like a path or an intrinsic function call, but the name does not end in '.$' at /States/A/Parameters/é.</system-out>
                </testcase>
              </testsuite>
              <testsuite name="d/&lt;&amp;&gt;.json" tests="2" failures="2" errors="0" skipped="0" time="0">
                <testcase name="SCHEMA_VALIDATION_FAILED /" classname="d/&lt;&amp;&gt;.json" file="d/&lt;&amp;&gt;.json" line="1" time="0">
                  <failure type="SCHEMA_VALIDATION_FAILED" message="These fields are required: [States]">d/&lt;&amp;&gt;.json:1: These fields are required: [States] at /.</failure>
                </testcase>
                <testcase name="SCHEMA_VALIDATION_FAILED /" classname="d/&lt;&amp;&gt;.json" file="d/&lt;&amp;&gt;.json" line="2" time="0">
                  <failure type="SCHEMA_VALIDATION_FAILED" message="Field 'X' is not supported">d/&lt;&amp;&gt;.json:2: Field 'X' is not supported at /.</failure>
                </testcase>
              </testsuite>
              <testsuite name="c.json" tests="1" failures="0" errors="1" skipped="0" time="0">
                <testcase name="read" classname="c.json" file="c.json" line="1" time="0">
                  <error type="unreadable" message="failed to read `c.json`: �"/>
                </testcase>
              </testsuite>
            </testsuites>
        "#]],
        );
    }

    #[test]
    fn a_definition_of_a_template_is_named() {
        let mut checked = checked("template.yaml", "{}");
        checked.name = Some("Resources/Order".to_owned());
        let judged = Policy::default().judge(checked);
        for format in Format::value_variants() {
            let text = of(*format).definition(&judged).concat();
            assert!(text.contains("Resources/Order"), "{format:?} {text}");
        }
    }
}
