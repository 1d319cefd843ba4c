//! Keeps the house in order: floors, sizes, words at the doors, a complete table of fixtures.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Lowest first. A room may name itself and the rooms before it.
const FLOORS: &[&str] = &[
    "model", "query", "asl", "diff", "graph", "kernel", "sim", "lint", "template", "suite", "explore", "store",
    "items", "identity", "secret", "audit", "worker", "engine", "api", "cli",
];

/// The rooms without clock, files, threads and chance.
const PURE: &[&str] = &[
    "model", "query", "asl", "diff", "graph", "kernel", "sim", "lint", "template",
];

const LINES_MAX: usize = 600;

/// A file this short needs no excuse any more.
const LINES_EXCUSED_MIN: usize = 550;

/// Files over `LINES_MAX`, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// What only one machine has. In pieces, so that this file does not hold them.
const MACHINE_PATHS: &[&[&str]] = &[&["/wo", "rk/"], &["/tmp", "/r-"]];

const SKIPPED: &[&str] = &["target", ".git", "corpus", "artifacts"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the repository as (path from its root, text).
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root().to_path_buf()];
    while let Some(directory) = directories.pop() {
        for path in entries(&directory) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(root()).expect("it is below the root");
                found.push((relative.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(directory).expect("directories can be listed");
    read.map(|entry| entry.expect("directories can be listed").path())
        .collect()
}

fn rust_files() -> Vec<(String, String)> {
    let mut files = files();
    files.retain(|(path, _)| path.ends_with(".rs"));
    files
}

fn nothing(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The room that `crate::room…` names, for every such path in a line.
fn rooms_named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn no_path_points_up() {
    let mut found = Vec::new();
    for (path, text) in rust_files() {
        let Some(room) = path.strip_prefix("src/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        let Some(own) = FLOORS.iter().position(|floor| *floor == room.0) else {
            found.push(format!("{path}: the room `{}` has no floor in tests/tidy.rs", room.0));
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for named in rooms_named(line) {
                match FLOORS.iter().position(|floor| *floor == named) {
                    Some(other) if other > own => {
                        found.push(format!("{path}:{}: `{}` must not know `{named}`", number + 1, room.0));
                    }
                    _ => {}
                }
            }
        }
    }
    nothing(&found);
}

#[test]
fn imports_are_one_a_line() {
    let mut found = Vec::new();
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let line = line.strip_prefix("pub ").unwrap_or(line);
            if line.starts_with("use ") && line.contains('{') {
                found.push(format!("{path}:{}: one `use` for each item, no braces", number + 1));
            }
        }
    }
    nothing(&found);
}

#[test]
fn every_room_has_a_card_at_its_door() {
    let mut found = Vec::new();
    for (path, text) in rust_files() {
        let door = path.ends_with("/mod.rs") || path.ends_with("/lib.rs");
        if door && !text.starts_with("//! ") {
            found.push(format!("{path}: begin with a `//!` card"));
        }
    }
    for room in PURE {
        let path = format!("src/{room}/mod.rs");
        let text = fs::read_to_string(root().join(&path)).expect("a room has a mod.rs");
        for attribute in [
            "#![deny(clippy::disallowed_methods, clippy::disallowed_types)]",
            "#![warn(missing_docs)]",
        ] {
            if !text.contains(attribute) {
                found.push(format!("{path}: a pure room has `{attribute}`"));
            }
        }
    }
    nothing(&found);
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let mut found = Vec::new();
    let files = rust_files();
    for (path, text) in &files {
        let lines = text.lines().count();
        let excused = LONG_FILES.iter().any(|(file, _)| file == path);
        if lines > LINES_MAX && !excused {
            found.push(format!("{path}: {lines} lines; split it (limit {LINES_MAX})"));
        }
    }
    for (file, reason) in LONG_FILES {
        let long = files
            .iter()
            .any(|(path, text)| path == file && text.lines().count() > LINES_EXCUSED_MIN);
        if !long || reason.is_empty() {
            found.push(format!("{file}: take it off LONG_FILES in tests/tidy.rs"));
        }
    }
    nothing(&found);
}

#[test]
fn only_the_fork_is_unsafe() {
    const HOME: &str = "src/worker/spawn/fork.rs";
    let mut found = Vec::new();
    for (path, text) in rust_files() {
        let lifts = ["allow", "expect"].map(|verb| format!("{verb}(unsafe{}", "_code"));
        if path != HOME && lifts.iter().any(|lift| text.contains(lift)) {
            found.push(format!("{path}: only {HOME} may have `unsafe` code"));
        }
        let blocks = text.matches("unsafe {").count();
        if path == HOME && blocks != text.matches("// SAFETY: ").count() {
            found.push(format!(
                "{path}: each `unsafe` block says why it is sound, after `// SAFETY: `"
            ));
        }
    }
    nothing(&found);
}

#[test]
fn nothing_is_tied_to_one_machine() {
    let mut found = Vec::new();
    for (path, text) in files() {
        for pieces in MACHINE_PATHS {
            let wanted = pieces.concat();
            if let Some(line) = text.lines().position(|line| line.contains(&wanted)) {
                found.push(format!("{path}:{}: holds the path `{wanted}`", line + 1));
            }
        }
    }
    nothing(&found);
}

#[test]
fn every_fixture_is_in_the_table() {
    let table = fs::read_to_string(root().join("fixtures/fixtures.toml")).expect("there is a table");
    let mut found = Vec::new();
    for directory in entries(&root().join("fixtures")) {
        if !directory.is_dir() {
            continue;
        }
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rows = table
            .split("[[run]]")
            .filter(|row| row.contains(&format!("fixture = \"{name}\"")))
            .collect::<Vec<_>>();
        if rows.is_empty() {
            found.push(format!("fixtures/{name}: no row in fixtures/fixtures.toml"));
        }
        for file in entries(&directory) {
            let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let data = file.starts_with("input") || file.starts_with("expected") || file.contains(".asl.");
            if data && !rows.iter().any(|row| row.contains(&file)) {
                found.push(format!(
                    "fixtures/{name}/{file}: no row of fixtures/fixtures.toml uses it"
                ));
            }
        }
    }
    nothing(&found);
}

#[test]
fn scripts_stop_at_the_first_error() {
    let mut found = Vec::new();
    for (path, text) in files() {
        let script = path.starts_with("scripts/") || path.starts_with(".ci/");
        // Python stops by itself.
        let is_shell = text.starts_with("#!") && !text.starts_with("#!/usr/bin/env python3");
        if script && is_shell && !text.contains("set -euo pipefail") {
            found.push(format!("{path}: wants `set -euo pipefail`"));
        }
    }
    nothing(&found);
}
