//! Runs what README.md tells a newcomer to type.

#![cfg(feature = "runtime")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

/// How the first command of the page starts the program.
const CARGO_RUN: &str = "cargo run --release --";

/// Returns the blocks of a page that are shell commands.
fn shell_blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while lines.by_ref().any(|line| line == "```sh") {
        blocks.push(
            lines
                .by_ref()
                .take_while(|line| *line != "```")
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    blocks
}

/// Copies the examples, so that runs leave nothing in the repository.
fn copy_of_fixtures(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    let copied = Command::new("cp").arg("-r").args([&from, to]).status().unwrap();
    assert!(copied.success());
}

#[test]
fn the_commands_of_the_readme_run_as_they_stand() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    copy_of_fixtures(&directory);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_stepfn"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    // One shell for all blocks, as a reader has it. The tests are running already.
    let script = shell_blocks(&page)
        .join("\n")
        .replace(CARGO_RUN, "stepfn")
        .replace("scripts/test\n", "");
    assert!(
        script.lines().filter(|line| line.starts_with("stepfn ")).count() >= 9,
        "{script}"
    );
    let output = Command::new("sh")
        .args(["-e", "-x", "-c", &script])
        .env("PATH", path)
        .current_dir(&directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("{\"rejected\":3,\"accepted\":3}\n"), "{shown}");
    assert!(directory.join("target/history.json").exists());
}

#[test]
fn the_debian_task_of_the_readme_is_planned_run_and_undone() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = page.split_once("## Debian tasks").unwrap().1;
    let example = section.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme-debian");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let motd = directory.join("motd");
    let example = example.replace("/tmp/stepfn-motd", &motd.display().to_string());
    fs::write(directory.join("motd.asl.json"), example).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepfn"));
        command
            .args(arguments)
            .args(["--checkpoints", "kept"])
            .current_dir(&directory);
        command.output().unwrap()
    };
    let planned = run(&["plan", "motd.asl.json"]);
    assert_eq!(planned.status.code(), Some(3), "{planned:?}");
    assert!(
        String::from_utf8_lossy(&planned.stdout).contains("create "),
        "{planned:?}"
    );
    let ran = run(&["run", "motd.asl.json"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("NotGreeted"), "{ran:?}");
    assert!(!motd.exists());
    let list = run(&["undo"]);
    assert!(String::from_utf8_lossy(&list.stdout).contains("undone"), "{list:?}");
}
