use std::os::unix::fs::symlink;

use expect_test::Expect;
use expect_test::expect;

use super::*;

const DEFINITION: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#;

/// A directory of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let name = format!("stepfn-discover-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Shows what the arguments, which are relative to the directory, lead to.
    #[track_caller]
    fn check(&self, arguments: &[&str], expected: Expect) {
        let arguments: Vec<PathBuf> = arguments.iter().map(|argument| self.0.join(argument)).collect();
        let mut discovery = Discovery::new(&arguments);
        let mut out = String::new();
        for failure in &discovery.failures {
            out += &format!("{failure:?}\n");
        }
        for candidate in std::mem::take(&mut discovery.first) {
            match discovery.look(&candidate) {
                Ok(Looked::Later) => discovery.later.push(candidate),
                looked => out += &described(looked),
            }
        }
        for candidate in &discovery.later {
            out += &described(discovery.look_later(candidate));
        }
        expected.assert_eq(
            &out.replace(&format!("{}/", self.0.display()), "")
                .replace(&*self.0.to_string_lossy(), "."),
        );
    }
}

fn described(looked: Result<Looked, CliError>) -> String {
    match looked {
        Ok(Looked::Found(search)) => {
            let definitions = search.definitions.iter();
            let definitions = definitions.map(|found| format!("{} in {}\n", found.name, found.origin.path));
            let notices = search.notices.iter().map(|notice| &notice.diagnostic);
            let notices = notices.map(|finding| format!("{}: {}\n", finding.code, finding.message));
            definitions.chain(notices).collect()
        }
        Ok(Looked::Later | Looked::Nothing) => String::new(),
        Err(error) => format!("{error:?}\n"),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn directories_are_searched_and_other_files_passed_over() {
    let scratch = Scratch::new("search");
    scratch.write("b/order.asl.json", DEFINITION);
    scratch.write("b/named.asl.json", DEFINITION);
    scratch.write("b/plain.json", DEFINITION);
    scratch.write("b/also.json", DEFINITION);
    scratch.write("b/x.asl.yml.tftpl", "StartAt: ${a}\nStates: {}\n");
    scratch.write("b/broken.asl.json", "{");
    scratch.write("b/package.json", "{\"StartAt\": 1}");
    scratch.write("b/notes.txt", DEFINITION);
    scratch.write("b/latin.json", b"{\"a\": \"\xe9\"}");
    scratch.write("b/latin.yaml", b"a: \xe9\nType: AWS::Serverless::StateMachine\n");
    for skipped in [".git", "node_modules", "target", ".hidden"] {
        scratch.write(&format!("{skipped}/a.asl.json"), DEFINITION);
    }
    scratch.write(
        "template.yaml",
        "Resources:\n  M: {Type: 'AWS::Serverless::StateMachine', Properties: {DefinitionUri: ./b/named.asl.json}}\n  N: {Type: 'AWS::Serverless::StateMachine', Properties: {DefinitionUri: b/plain.json}}\n  D: {Type: 'AWS::Serverless::StateMachine', Properties: {DefinitionUri: b}}\n",
    );
    scratch.check(&[""], expect![[r#"
        M in b/named.asl.json
        N in b/plain.json
        UNREADABLE_DEFINITION: The definition of 'D' can not be read from 'b': it is not a regular file
        CliError { code: 2, message: "failed to read `b/latin.yaml`: it is not UTF-8 at line 1, column 4", hints: ["Save the file as UTF-8."] }
        broken in b/broken.asl.json
        order in b/order.asl.json
        x in b/x.asl.yml.tftpl
        also in b/also.json
    "#]]);
    scratch.check(&["b/named.asl.json", "b", "b/../b/named.asl.json"], expect![[r#"
        named in b/named.asl.json
        CliError { code: 2, message: "failed to read `b/latin.yaml`: it is not UTF-8 at line 1, column 4", hints: ["Save the file as UTF-8."] }
        broken in b/broken.asl.json
        order in b/order.asl.json
        x in b/x.asl.yml.tftpl
        also in b/also.json
        plain in b/plain.json
    "#]]);
}

#[test]
fn patterns_match() {
    let scratch = Scratch::new("patterns");
    scratch.write("a.asl.json", DEFINITION);
    scratch.write("x/b.asl.json", DEFINITION);
    scratch.write("x/y/c.json", DEFINITION);
    scratch.write("x/y/d.json", "{}");
    scratch.write("x/[e].json", DEFINITION);
    scratch.check(
        &["*.json"],
        expect![[r#"
        a in a.asl.json
    "#]],
    );
    scratch.check(
        &["**/*.json"],
        expect![[r#"
        a in a.asl.json
        b in x/b.asl.json
        [e] in x/[e].json
        c in x/y/c.json
    "#]],
    );
    scratch.check(
        &["x/{b,q}.asl.json", "x/?/*"],
        expect![[r#"
        b in x/b.asl.json
        c in x/y/c.json
    "#]],
    );
    scratch.check(
        &["x/[e].json"],
        expect![[r#"
        [e] in x/[e].json
    "#]],
    );
    scratch.check(&["*.yaml", "x/[", "none.json", "none/*.json"], expect![[r#"
        CliError { code: 2, message: "no file matches `*.yaml`", hints: ["`*` stays within a directory, `**` goes through all; hidden directories are not searched."] }
        CliError { code: 2, message: "`x/[` is neither a file nor a pattern: unclosed character class; missing ']'", hints: [] }
        CliError { code: 2, message: "failed to read `none`: No such file or directory (os error 2)", hints: [] }
        CliError { code: 2, message: "failed to read `none.json`: No such file or directory (os error 2)", hints: [] }
    "#]]);
}

#[test]
fn links_and_odd_files_end() {
    let scratch = Scratch::new("links");
    scratch.write("x/a.asl.json", DEFINITION);
    symlink("..", scratch.0.join("x/up")).unwrap();
    symlink("a.asl.json", scratch.0.join("x/b.asl.json")).unwrap();
    symlink("self.json", scratch.0.join("x/self.json")).unwrap();
    symlink("gone", scratch.0.join("x/gone.asl.json")).unwrap();
    symlink("/dev/zero", scratch.0.join("x/zero.json")).unwrap();
    scratch.write(
        "t.yaml",
        "Resources:\n  M: {Type: 'AWS::Serverless::StateMachine', Properties: {DefinitionUri: /dev/zero}}\n",
    );
    scratch.check(&["", "x", "x/up"], expect![[r#"
        CliError { code: 2, message: "failed to read `x/gone.asl.json`: No such file or directory (os error 2)", hints: [] }
        CliError { code: 2, message: "failed to read `x/self.json`: Too many levels of symbolic links (os error 40)", hints: [] }
        UNREADABLE_DEFINITION: The definition of 'M' can not be read from '/dev/zero': it is not a regular file
        a in x/a.asl.json
    "#]]);
    scratch.check(&["x/self.json"], expect![[r#"
        CliError { code: 2, message: "failed to read `x/self.json`: Too many levels of symbolic links (os error 40)", hints: [] }
    "#]]);
}

#[test]
fn deep_directories_are_told_of() {
    let scratch = Scratch::new("deep");
    scratch.write(&format!("{}a.asl.json", "d/".repeat(60)), DEFINITION);
    scratch.check(&[""], expect![[r#"
        a in d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/a.asl.json
    "#]]);
    scratch.write(&format!("{}a.asl.json", "e/".repeat(70)), DEFINITION);
    scratch.check(&["e"], expect![[r#"
        CliError { code: 2, message: "`e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e/e` lies more than 64 directories deep", hints: ["Name the directories below it as well."] }
    "#]]);
}

#[test]
fn too_long_files_are_refused_only_if_they_are_meant() {
    let scratch = Scratch::new("long");
    let long = " ".repeat(FILE_BYTES_MAX as usize + 1);
    scratch.write("data.json", &long);
    scratch.check(&[""], expect![[r#""#]]);
    scratch.check(
        &["data.json"],
        expect![[r#"
        CliError { code: 2, message: "`data.json` has more than 64 MiB", hints: [] }
    "#]],
    );
    scratch.write("data.json", format!("{{\"StartAt\": \"States\"{long}"));
    scratch.check(
        &[""],
        expect![[r#"
        CliError { code: 2, message: "`data.json` has more than 64 MiB", hints: [] }
    "#]],
    );
}
