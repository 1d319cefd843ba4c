//! `stepfn validate` as continuous integration uses it.

mod scratch;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use stepfn::lint::catalog;

use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;

/// A machine with two warnings, and a comment that suppresses nothing.
const LOOKS_WRONG: &str = r#"{
  "Comment": "Asks. lint-ignore: NO_PATH it was one",
  "StartAt": "A",
  "States": {
    "A": { "Type": "Pass", "Parameters": { "a": "$.a" }, "Next": "B" },
    "B": { "Type": "Pass", "Parameters": { "b": "$.b" }, "End": true }
  }
}
"#;

const REFUSED: &str = r#"{ "StartAt": "A" }"#;

fn scratch(test: &str) -> Scratch {
    let scratch = Scratch::new(test);
    scratch.write("a.json", LOOKS_WRONG);
    scratch.write("bad.json", REFUSED);
    scratch
}

#[test]
fn levels_decide_what_fails() {
    let scratch = scratch("validate-levels");
    for (arguments, code, part) in [
        (
            &["a.json"] as &[&str],
            0,
            "1 definition: 2 warnings; not shown: 1 of information",
        ),
        (&["a.json", "--all"], 0, "1 definition: 2 warnings, 1 of information."),
        (&["a.json", "--deny", "NO_DOLLAR"], 1, "1 definition: 2 errors;"),
        (&["a.json", "--deny", "NO_*"], 1, "error[NO_DOLLAR]"),
        (
            &["a.json", "--deny", "warnings"],
            1,
            "2 errors; not shown: 1 of information",
        ),
        (&["a.json", "--deny", "all"], 1, "3 errors."),
        (
            &["a.json", "--deny", "all", "--allow", "NO_DOLLAR,lint/*"],
            0,
            "no findings; not shown: 3 allowed.",
        ),
        (&["a.json", "--warn", "lint/unused-ignore"], 0, "3 warnings."),
        (
            &["a.json", "bad.json", "--allow", "all"],
            1,
            "2 definitions: 1 error; 1 is invalid; not shown: 3 allowed.",
        ),
        (&["a.json", "none.json"], 2, "2 warnings; 1 file could not be read;"),
        (&["a.json", "--summary"], 0, "     2  NO_DOLLAR\n"),
        (&["a.json", "--deny", "NO_DOLAR"], 2, "the nearest is `NO_DOLLAR`"),
        (
            &["a.json", "--allow", "MISSING_END_STATE"],
            2,
            "is refused at any level",
        ),
        (&["a.json", "--update-baseline"], 2, "--baseline"),
        (&["a.json", "--baseline", "none"], 2, "failed to read `none`"),
        (
            &["a.json", "--baseline", "a.json"],
            2,
            "failed to read the baseline `a.json`",
        ),
        (&["a.json", "--dry-run"], 2, "--fix"),
        (
            &["a.json", "--fix", "--dry-run", "--format", "json"],
            2,
            "leave `--format` out",
        ),
        (
            &["a.json", "--format", "json", "--output", "none/x"],
            2,
            "failed to write `none/x`",
        ),
    ] {
        let mut all = vec!["validate"];
        all.extend(arguments);
        let output = scratch.run(&all);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {output:?}");
        assert!(stderr(&output).contains(part), "{arguments:?} {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let output = scratch.run(&["validate", "a.json", "--quiet", "--deny", "all"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
}

#[test]
fn the_configuration_sets_levels_for_all_and_for_some_files() {
    let scratch = scratch("validate-configuration");
    fs::create_dir(scratch.0.join("old")).unwrap();
    scratch.write("old/a.json", LOOKS_WRONG);
    let check = |arguments: &[&str], expected: &str| {
        let mut all = vec!["validate", "--summary"];
        all.extend(arguments);
        let output = scratch.run(&all);
        assert!(stderr(&output).contains(expected), "{arguments:?}\n{}", stderr(&output));
    };
    scratch.write(
        "stepfn.toml",
        "[lint]\ndeny = ['warnings']\nallow = ['lint/*']\n[[lint.file]]\npath = 'old/*'\nwarn = ['all']\n",
    );
    check(&["a.json"], "1 definition: 2 errors; not shown: 1 allowed.");
    check(&["./old/a.json"], "1 definition: 3 warnings.");
    check(
        &["old/a.json", "--allow", "NO_DOLLAR"],
        "1 definition: 1 warning; not shown: 2 allowed.",
    );
    scratch.write("stepfn.toml", "[lint]\ndeny = ['time/no-timeot']\n");
    check(
        &["a.json"],
        "`[lint]` cannot be obeyed: there is no rule or code `time/no-timeot`; the nearest is",
    );
}

#[test]
fn a_baseline_hides_what_is_known() {
    let scratch = scratch("validate-baseline");
    scratch.write("b.json", LOOKS_WRONG);
    let run = |arguments: &[&str]| {
        let mut all = vec!["validate", "--baseline", "known.json", "--deny", "warnings"];
        all.extend(arguments);
        let output = scratch.run(&all);
        (output.status.code().unwrap(), stderr(&output))
    };
    // What AWS refuses is never known.
    let (code, told) = run(&["--update-baseline", "a.json", "b.json", "bad.json"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("error[SCHEMA_VALIDATION_FAILED]"), "{told}");
    assert!(
        told.contains("4 findings of these files in the baseline now."),
        "{told}"
    );
    assert_eq!(run(&["a.json", "b.json"]).0, 0);

    // Lines may move, and the same finding may not come twice.
    scratch.write("a.json", &LOOKS_WRONG.replacen('\n', "\n\n", 2));
    assert_eq!(run(&["./a.json"]).0, 0);
    let more = "\"B\": { \"Type\": \"Pass\", \"Parameters\": { \"x\": { \"b\": \"$.b\" } },";
    scratch.write(
        "a.json",
        &LOOKS_WRONG.replace("\"B\": { \"Type\": \"Pass\",", more).replacen(
            "\"Parameters\": { \"b\": \"$.b\" }, ",
            "",
            1,
        ),
    );
    let (code, told) = run(&["a.json"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("at /States/B/Parameters/x/b"), "{told}");
    assert!(
        told.contains("note: the baseline lists what is gone: a.json: NO_DOLLAR"),
        "{told}"
    );

    // Files that were not looked at stay; those that are gone go.
    assert_eq!(run(&["a.json", "--update-baseline"]).0, 0);
    let paths = || {
        let known: Value = serde_json::from_str(&fs::read_to_string(scratch.0.join("known.json")).unwrap()).unwrap();
        let findings = known["findings"].as_array().unwrap().clone();
        findings
            .iter()
            .map(|row| row["path"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(), ["a.json", "a.json", "b.json", "b.json"]);
    fs::remove_file(scratch.0.join("b.json")).unwrap();
    assert_eq!(run(&["a.json", "--update-baseline"]).0, 0);
    assert_eq!(paths(), ["a.json", "a.json"]);
}

#[test]
fn a_fix_changes_its_bytes_alone() {
    let scratch = scratch("validate-fix");
    let text = LOOKS_WRONG.replace('\n', "\r\n") + " ";
    scratch.write("a.json", &text);
    let path = scratch.0.join("a.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("a.json", scratch.0.join("link.json")).unwrap();

    // What is not shown is not mended.
    let output = scratch.run(&["validate", "--fix", "link.json"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "{output:?}");

    let output = scratch.run(&["validate", "--fix", "--dry-run", "--all", "link.json"]);
    let difference = String::from_utf8(output.stdout.clone()).unwrap();
    for part in [
        "--- a/link.json\n+++ b/link.json\n@@",
        "\n-  \"Comment\": \"Asks. lint-ignore: NO_PATH it was one\",",
        "\n+  \"Comment\": \"Asks.\",",
    ] {
        assert!(difference.contains(part), "{part}\n{difference}");
    }
    assert!(
        stderr(&output).contains("1 finding can be mended in 1 file."),
        "{output:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    let output = scratch.run(&["validate", "--fix", "--all", "link.json"]);
    assert!(
        stderr(&output).contains("mended link.json: lint/unused-ignore\n"),
        "{output:?}"
    );
    assert!(stderr(&output).contains("1 finding mended in 1 file."), "{output:?}");
    assert!(stderr(&output).contains("1 definition: 2 warnings.\n"), "{output:?}");
    let expected = text.replace(" lint-ignore: NO_PATH it was one", "");
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(scratch.0.join("link.json").is_symlink());
    let mut names: Vec<_> = fs::read_dir(&scratch.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a.json", "bad.json", "link.json"]);
}

#[test]
fn programs_and_people_are_told_apart() {
    let scratch = scratch("validate-output");
    let output = scratch.run(&["validate", "a.json", "bad.json", "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["warnings"], 2);
    assert_eq!(
        stderr(&output),
        "2 definitions: 1 error, 2 warnings; 1 is invalid; not shown: 1 of information (--all shows them).\n"
    );

    let output = scratch.run(&[
        "validate",
        "a.json",
        "none.json",
        "--format",
        "sarif",
        "--output",
        "out.sarif",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(stderr(&output).contains("warning[NO_DOLLAR]"), "{output:?}");
    let report: Value = serde_json::from_str(&fs::read_to_string(scratch.0.join("out.sarif")).unwrap()).unwrap();
    assert_eq!(report["runs"][0]["results"].as_array().unwrap().len(), 2);
    assert_eq!(report["runs"][0]["invocations"][0]["executionSuccessful"], false);
}

#[test]
fn many_files_are_told_in_the_order_of_the_arguments() {
    let scratch = scratch("validate-many");
    let names: Vec<String> = (0..300).map(|number| format!("{}.json", (number * 7) % 300)).collect();
    for (number, name) in names.iter().enumerate() {
        // The work is not even.
        let text = match number % 50 {
            0 => LOOKS_WRONG.replace("\"$.a\"", &format!("[{}1]", "\"$.a\",".repeat(500))),
            _ => LOOKS_WRONG.to_owned(),
        };
        scratch.write(name, &text);
    }
    let mut arguments = vec!["validate", "--format", "json", "--quiet"];
    arguments.extend(names.iter().map(String::as_str));
    let report = stdout(&scratch.run(&arguments));
    let told = report["definitions"].as_array().unwrap().iter();
    let told: Vec<&str> = told.map(|definition| definition["path"].as_str().unwrap()).collect();
    assert_eq!(told, names);
}

#[test]
fn a_rule_is_explained() {
    let scratch = scratch("validate-explain");
    for (arguments, code, part) in [
        (&["explain"] as &[&str], 0, "MISSING_TRANSITION_TARGET"),
        (
            &["explain", "MISSING_TRANSITION_TARGET"],
            0,
            "each state must be reached from",
        ),
        (&["explain", "time/no-timeout"], 0, "This does not:"),
        (
            &["explain", "time/no-timeot"],
            2,
            "hint: the nearest is `time/no-timeout`",
        ),
        (&["explain", "#"], 2, "hint: `stepfn explain` lists them"),
    ] {
        let output = scratch.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let text = String::from_utf8(output.stdout.clone()).unwrap() + &stderr(&output);
        assert!(text.contains(part), "{arguments:?}\n{text}");
    }
}

/// Words of the language that look like codes.
const NO_CODES: &[&str] = &["ATHENA_DATA", "FIRST_ROW", "LOAD_AND_FLATTEN"];

#[test]
fn every_code_can_be_explained() {
    let literal = regex::Regex::new("\"([A-Z]+(?:_[A-Z]+)+)\"").unwrap();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/asl")];
    let mut n_codes = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            for code in literal.captures_iter(&fs::read_to_string(&path).unwrap()) {
                n_codes += 1;
                let is_known = catalog::named(&code[1]).is_some() || NO_CODES.contains(&&code[1]);
                assert!(
                    is_known,
                    "{} of {} is not in src/lint/catalog.rs",
                    &code[1],
                    path.display()
                );
            }
        }
    }
    assert!(10 < n_codes);
}
