//! The definitions for GitHub, GitLab and pre-commit do what they say: their scripts are run as those would.

mod scratch;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use stepfn::asl::load::Format;
use stepfn::asl::load::Tree;

use crate::scratch::Scratch;

fn yaml(name: &str) -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let tree = Tree::read(&text, Format::Yaml).unwrap_or_else(|error| panic!("{name}: {error}"));
    tree.value()
}

/// A directory with a definition that gives a warning, one that AWS refuses, and a test.
fn repository(test: &str) -> Scratch {
    let scratch = Scratch::new(test);
    let asl = scratch.0.join("machines/a b");
    fs::create_dir_all(&asl).unwrap();
    let machine = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"a":"$.a"},"End":true}}}"#;
    fs::write(asl.join("good.asl.json"), machine).unwrap();
    fs::write(
        asl.join("good.test.yaml"),
        "tests:\n  - name: runs\n    expect: { output: { a: $.a } }\n",
    )
    .unwrap();
    fs::write(asl.join("bad.asl.json"), r#"{"StartAt":"A"}"#).unwrap();
    scratch
}

fn bash(scratch: &Scratch, script: &str, environment: &[(&str, &str)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_stepfn"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":/usr/bin:/bin");
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .current_dir(&scratch.0)
        .env_clear()
        .env("PATH", path);
    command.envs(environment.iter().copied());
    command.output().unwrap()
}

fn report(scratch: &Scratch, name: &str) -> String {
    fs::read_to_string(scratch.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_github_action_reports_and_fails() {
    let action = yaml("action.yml");
    let inputs = action["inputs"].as_object().unwrap();
    for (name, input) in inputs {
        assert!(input["description"].is_string(), "{name}");
    }
    assert_eq!(action["runs"]["using"], "composite");
    let steps = action["runs"]["steps"].as_array().unwrap();
    // Each variable of a step is an input or something that GitHub knows; no script has an expression in it.
    for step in steps {
        assert_eq!(step["shell"], "bash");
        assert!(!step["run"].as_str().unwrap().contains("${{"), "{step}");
        for (_, value) in step["env"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            let name = value.trim_start_matches("${{ ").trim_end_matches(" }}");
            let is_known = name
                .strip_prefix("inputs.")
                .is_some_and(|name| inputs.contains_key(name));
            assert!(is_known || name == "github.action_path", "{value}");
        }
    }
    let script = |name: &str| {
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        step["run"].as_str().unwrap().to_owned()
    };

    let scratch = repository("ci-github");
    let validate = |paths: &str, arguments: &str| {
        let environment = [
            ("PATHS", paths),
            ("ARGUMENTS", arguments),
            ("SARIF", "out.sarif"),
            ("PROGRAM", ""),
        ];
        let output = bash(&scratch, &script("Validate"), &environment);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, log) = validate("machines/**/*.asl.json", "");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("::error file=machines/a b/bad.asl.json,line=1,"), "{log}");
    assert!(
        log.contains("::warning file=machines/a b/good.asl.json,line=1,"),
        "{log}"
    );
    let sarif: Value = serde_json::from_str(&report(&scratch, "out.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 2);
    assert_eq!(validate("machines/*/good.*.json", "").0, Some(0));
    assert_eq!(
        validate("machines/*/good.*.json", "--type STANDARD\n--deny warnings").0,
        Some(1)
    );
    // A pattern that finds nothing must not pass.
    assert_eq!(validate("none/*.json", "").0, Some(2));

    let environment = [("TESTS", "machines"), ("JUNIT", "out.xml"), ("PROGRAM", "")];
    let output = bash(&scratch, &script("Test"), &environment);
    assert!(output.status.success(), "{output:?}");
    assert!(report(&scratch, "out.xml").contains("<testcase name=\"runs\""));
}

#[test]
fn the_gitlab_template_reports_and_fails() {
    let template = yaml("ci/gitlab.yml");
    let script = |job: &str| template[job]["script"][0].as_str().unwrap().to_owned();
    let scratch = repository("ci-gitlab");
    let paths = template["variables"]["STEPFN_PATHS"].as_str().unwrap();
    let environment = [
        ("STEPFN_PATHS", paths),
        ("STEPFN_ARGUMENTS", ""),
        ("STEPFN_TESTS", "machines"),
    ];
    let output = bash(&scratch, &script("stepfn-validate"), &environment);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let name = template["stepfn-validate"]["artifacts"]["reports"]["codequality"]
        .as_str()
        .unwrap();
    let issues: Value = serde_json::from_str(&report(&scratch, name)).unwrap();
    let severities = issues
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| issue["severity"].as_str().unwrap());
    assert_eq!(severities.collect::<Vec<_>>(), ["blocker", "minor"]);

    let output = bash(&scratch, &script("stepfn-test"), &environment);
    assert!(output.status.success(), "{output:?}");
    let name = template["stepfn-test"]["artifacts"]["reports"]["junit"]
        .as_str()
        .unwrap();
    assert!(report(&scratch, name).contains("<testcase name=\"runs\""));
}

#[test]
fn the_hooks_name_what_they_run() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let hooks = hooks.as_array().unwrap();
    assert_eq!(hooks.len(), 2);
    for hook in hooks {
        for field in ["id", "name", "description", "entry", "language", "files"] {
            assert!(hook[field].is_string(), "{field} of {hook}");
        }
        let files = regex::Regex::new(hook["files"].as_str().unwrap()).unwrap();
        for (name, expected) in [
            ("a/b.asl.json", true),
            ("b.asl.yml", true),
            ("b.json", false),
            ("b.asl.jsonl", false),
        ] {
            assert_eq!(files.is_match(name), expected, "{name}");
        }
    }
}
