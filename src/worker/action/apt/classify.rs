//! Which error apt means: nearly all have exit code 100, so its texts decide.

use std::sync::LazyLock;

use regex::RegexSet;

use crate::model::states_error::StatesError;
use crate::worker::action::apt::command::Answer;
use crate::worker::action::apt::parameters::CONFFILE_PROMPT;
use crate::worker::action::apt::parameters::DEPENDENCY_CONFLICT;
use crate::worker::action::apt::parameters::DOWNGRADE_REFUSED;
use crate::worker::action::apt::parameters::DPKG_INTERRUPTED;
use crate::worker::action::apt::parameters::FAILED;
use crate::worker::action::apt::parameters::HELD_PACKAGE;
use crate::worker::action::apt::parameters::LOCK_TIMEOUT_ERROR;
use crate::worker::action::apt::parameters::MAINTAINER_SCRIPT_FAILED;
use crate::worker::action::apt::parameters::NETWORK_FAILED;
use crate::worker::action::apt::parameters::NO_SPACE;
use crate::worker::action::apt::parameters::PACKAGE_NOT_FOUND;
use crate::worker::action::apt::parameters::PERMISSION_DENIED;
use crate::worker::action::apt::parameters::REMOVAL_REFUSED;
use crate::worker::action::apt::parameters::START_FAILED;
use crate::worker::action::apt::parameters::UNAUTHENTICATED;
use crate::worker::action::apt::parameters::VERSION_NOT_FOUND;
use crate::worker::process;

/// Lines of apt's answer that go into a cause.
const LINES_MAX: usize = 40;

/// What apt and dpkg write (2.6.1 and 1.21, `LC_ALL=C`), and what it means. The first row that is found counts: a
/// lock that may not be opened is a matter of permission, a full disk also breaks a script.
const TABLE: &[(&str, &str)] = &[
    (
        r"(?i)are you root\?|requires superuser privilege|(?m:^E: .*\(13: Permission denied\))",
        PERMISSION_DENIED,
    ),
    (r"dpkg was interrupted, you must manually run", DPKG_INTERRUPTED),
    (
        r"Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock directory|Unable to lock the (administration|download) directory|dpkg (frontend|database) lock was locked by|dpkg frontend lock is locked by|dpkg status database is locked by",
        LOCK_TIMEOUT_ERROR,
    ),
    (r"No space left on device|You don't have enough free space", NO_SPACE),
    (
        r"is not signed|couldn't be verified|could not be authenticated|cannot be authenticated",
        UNAUTHENTICATED,
    ),
    (r"Version '.*' for '.*' was not found", VERSION_NOT_FOUND),
    (
        r"Unable to locate package|has no installation candidate|Couldn't find any package by",
        PACKAGE_NOT_FOUND,
    ),
    (r"Held packages were changed and -y was used", HELD_PACKAGE),
    (r"Packages were downgraded and -y was used", DOWNGRADE_REFUSED),
    (
        r"Packages need to be removed but remove is disabled|Essential packages were removed and -y was used",
        REMOVAL_REFUSED,
    ),
    (
        r"unmet dependencies|Unmet dependencies|held broken packages|Unable to correct problems",
        DEPENDENCY_CONFLICT,
    ),
    (r"end of file on stdin at conffile prompt", CONFFILE_PROMPT),
    (
        r"(pre|post)-(installation|removal) script subprocess (returned error|was killed|was interrupted|dumped core)|error processing package .* script",
        MAINTAINER_SCRIPT_FAILED,
    ),
    (
        r"Failed to fetch|Unable to fetch some archives|Some index files failed to download|Could not resolve|does not have a Release file|Unable to connect",
        NETWORK_FAILED,
    ),
];

/// Returns the error of a program that ended badly.
pub fn error(program: &str, answer: &Answer) -> StatesError {
    let text = format!("{}\n{}", answer.stdout, answer.stderr);
    let ended = match answer.code {
        Some(code) => format!("`{program}` ended with exit code {code}"),
        None => format!("A signal ended `{program}`"),
    };
    StatesError::new(name(&text), process::shorten(&format!("{ended}: {}", account(&text))))
}

/// Returns the error that a text means.
pub fn name(text: &str) -> &'static str {
    static SET: LazyLock<RegexSet> = LazyLock::new(|| {
        RegexSet::new(TABLE.iter().map(|(pattern, _)| pattern)).expect("the table's patterns are in order")
    });
    let first = SET.matches(text).iter().next();
    first.map_or(FAILED, |row| TABLE[row].1)
}

/// Returns the error of `chroot` itself.
pub fn chroot(stderr: &str) -> StatesError {
    let name = match stderr.contains("Operation not permitted") {
        true => PERMISSION_DENIED,
        false => START_FAILED,
    };
    StatesError::new(name, process::shorten(stderr.trim()))
}

/// Returns the lines that tell what is wrong, without the record of what went well.
fn account(text: &str) -> String {
    let tells = |line: &&str| {
        ["E: ", "W: ", "dpkg: ", "pmerror:", " "]
            .iter()
            .any(|start| line.starts_with(start))
            || line.contains("unmet dependencies")
            || line.contains("script subprocess")
            || line.contains("The following")
    };
    let mut lines: Vec<&str> = text.lines().filter(tells).map(str::trim_end).collect();
    if lines.is_empty() {
        lines = text.lines().filter(|line| !line.trim().is_empty()).collect();
    }
    let skip = lines.len().saturating_sub(LINES_MAX);
    match lines[skip..].join("\n") {
        text if text.is_empty() => "it wrote nothing.".to_owned(),
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_found() {
        for (text, expected) in [
            (
                "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 42 (apt-get)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
                LOCK_TIMEOUT_ERROR,
            ),
            ("E: Unable to lock directory /var/lib/apt/lists/", LOCK_TIMEOUT_ERROR),
            ("E: Unable to locate package nosuch", PACKAGE_NOT_FOUND),
            ("E: Package 'awk' has no installation candidate", PACKAGE_NOT_FOUND),
            ("E: Version '9' for 'hello' was not found", VERSION_NOT_FOUND),
            (
                "The following packages have unmet dependencies:\n a : Depends: b but it is not installable\nE: Unable to correct problems, you have held broken packages.",
                DEPENDENCY_CONFLICT,
            ),
            (
                "E: Packages need to be removed but remove is disabled.",
                REMOVAL_REFUSED,
            ),
            (
                "E: Held packages were changed and -y was used without --allow-change-held-packages.",
                HELD_PACKAGE,
            ),
            (
                "E: Packages were downgraded and -y was used without --allow-downgrades.",
                DOWNGRADE_REFUSED,
            ),
            ("E: Failed to fetch http://x/ Could not connect", NETWORK_FAILED),
            (
                "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.",
                DPKG_INTERRUPTED,
            ),
            (
                "dpkg: error processing package x (--configure):\n installed x package post-installation script subprocess returned error exit status 1",
                MAINTAINER_SCRIPT_FAILED,
            ),
            (
                "dpkg: error processing package x (--configure):\n end of file on stdin at conffile prompt",
                CONFFILE_PROMPT,
            ),
            (
                "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?",
                PERMISSION_DENIED,
            ),
            ("E: The repository 'file:/r ./ Release' is not signed.", UNAUTHENTICATED),
            ("dpkg: error: cannot write: No space left on device", NO_SPACE),
            ("something else", FAILED),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }

    #[test]
    fn a_cause_tells_what_is_wrong_and_nothing_else() {
        let answer = Answer {
            code: Some(100),
            stdout: "Reading package lists...\nThe following packages have unmet dependencies:\n a : Depends: b\n"
                .to_owned(),
            stderr: "E: Unable to correct problems, you have held broken packages.\n".to_owned(),
        };
        expect_test::expect![[r#"
            `apt-get` ended with exit code 100: The following packages have unmet dependencies:
             a : Depends: b
            E: Unable to correct problems, you have held broken packages."#]]
        .assert_eq(error("apt-get", &answer).cause.as_deref().unwrap_or_default());
    }
}
