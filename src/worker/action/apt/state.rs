//! Which packages a system has: as dpkg tells it, with apt's marks.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;
use crate::worker::action::apt::classify;
use crate::worker::action::apt::command::Answer;
use crate::worker::action::apt::command::System;
use crate::worker::action::apt::version;

/// The packages of a system. Each has the name that apt prints: with an architecture only if that is not the machine's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// The machine's architecture.
    pub native: String,
    /// All packages that are there in part at least.
    pub packages: BTreeMap<String, Present>,
    /// Those that somebody asked for.
    pub manual: BTreeSet<String>,
}

/// A package that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Present {
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its status as `dpkg -l` shows it: `ii`, `hi`, `rc`, `iF`.
    pub status: String,
}

impl Present {
    /// Tells whether it is installed and configured.
    pub fn is_installed(&self) -> bool {
        self.status.as_bytes().get(1) == Some(&b'i')
    }

    /// Tells whether only its configuration is left.
    pub fn is_configuration(&self) -> bool {
        self.status.as_bytes().get(1) == Some(&b'c')
    }

    /// Tells whether it is on hold.
    pub fn is_held(&self) -> bool {
        self.status.starts_with('h')
    }

    /// Tells whether dpkg has work left with it.
    pub fn is_half_done(&self) -> bool {
        !self.is_installed() && !self.is_configuration()
    }
}

impl State {
    /// Reads the state of a system.
    ///
    /// # Errors
    /// dpkg or apt do not answer.
    pub async fn read(system: &System, work: &mut Work<'_>) -> Result<Self, StatesError> {
        let format = "${Package}\t${Architecture}\t${Version}\t${db:Status-Abbrev}\n";
        let native = answer(system, &["dpkg", "--print-architecture"], work).await?;
        let packages = answer(system, &["dpkg-query", "--show", "--showformat", format], work).await?;
        let manual = answer(system, &["apt-mark", "showmanual"], work).await?;
        Ok(Self::parse(native.stdout.trim(), &packages.stdout, &manual.stdout))
    }

    fn parse(native: &str, packages: &str, manual: &str) -> Self {
        let mut state = Self {
            native: native.to_owned(),
            manual: manual.lines().map(str::to_owned).collect(),
            ..Self::default()
        };
        for line in packages.lines() {
            let mut fields = line.split('\t');
            let (Some(name), Some(architecture), Some(version), Some(status)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            // Not installed: known by name only.
            if status.as_bytes().get(1) == Some(&b'n') {
                continue;
            }
            let key = match architecture == native || architecture == "all" {
                true => name.to_owned(),
                false => format!("{name}:{architecture}"),
            };
            let present = Present {
                version: version.to_owned(),
                architecture: architecture.to_owned(),
                status: status.trim().to_owned(),
            };
            state.packages.insert(key, present);
        }
        state
    }

    /// Returns a package that is installed and configured.
    pub fn installed(&self, name: &str) -> Option<&Present> {
        self.packages.get(name).filter(|present| present.is_installed())
    }

    /// Returns those that dpkg has work left with.
    pub fn half_done(&self) -> impl Iterator<Item = &str> {
        let half_done = self.packages.iter().filter(|(_, present)| present.is_half_done());
        half_done.map(|(name, _)| name.as_str())
    }
}

async fn answer(system: &System, arguments: &[&str], work: &mut Work<'_>) -> Result<Answer, StatesError> {
    let answer = system.ask(arguments, work).await?;
    match answer.code {
        Some(0) => Ok(answer),
        _ => Err(classify::error(arguments[0], &answer)),
    }
}

/// What changed between two states.
#[derive(Debug, Default)]
pub struct Changes {
    installed: Vec<(String, String)>,
    upgraded: Vec<(String, String, String)>,
    downgraded: Vec<(String, String, String)>,
    removed: Vec<(String, String)>,
    /// All packages that changed in any way, their marks included.
    pub all: BTreeSet<String>,
}

impl Changes {
    /// Compares two states.
    pub fn between(before: &State, after: &State) -> Self {
        let mut changes = Self::default();
        let names = before.packages.keys().chain(after.packages.keys());
        for name in names.collect::<BTreeSet<_>>() {
            let (old, new) = (before.packages.get(name), after.packages.get(name));
            let is_same_mark = before.manual.contains(name) == after.manual.contains(name);
            if old == new && is_same_mark {
                continue;
            }
            changes.all.insert(name.clone());
            let there =
                |present: Option<&Present>| present.filter(|it| !it.is_configuration()).map(|it| it.version.clone());
            let name = name.clone();
            match (there(old), there(new)) {
                (None, Some(new)) => changes.installed.push((name, new)),
                (Some(old), None) => changes.removed.push((name, old)),
                (Some(old), Some(new)) => match version::compare(&old, &new) {
                    Ordering::Less => changes.upgraded.push((name, old, new)),
                    Ordering::Equal => {}
                    Ordering::Greater => changes.downgraded.push((name, old, new)),
                },
                (None, None) => {}
            }
        }
        changes
    }

    /// Returns the members of a result; `planned` are the packages that were to change.
    pub fn result(&self, planned: &BTreeSet<String>) -> Value {
        let one = |list: &[(String, String)]| -> Vec<Value> {
            let each = list.iter();
            each.map(|(name, version)| json!({ "Package": name, "Version": version }))
                .collect()
        };
        let two = |list: &[(String, String, String)]| -> Vec<Value> {
            let each = list.iter();
            each.map(|(name, from, to)| json!({ "Package": name, "From": from, "To": to }))
                .collect()
        };
        json!({
            "Changed": !self.all.is_empty(),
            "Installed": one(&self.installed),
            "Upgraded": two(&self.upgraded),
            "Downgraded": two(&self.downgraded),
            "Removed": one(&self.removed),
            "Unrequested": self.all.difference(planned).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_and_compared() {
        let before = State::parse(
            "amd64",
            "a\tamd64\t1\tii \nb\tall\t2\thi \nc\ti386\t1\trc \nd\tamd64\t\tun \ne\tamd64\t1\tiF \ng\tall\t1\tii \n",
            "a\n",
        );
        let after = State::parse(
            "amd64",
            "a\tamd64\t1\tii \nb\tall\t1\thi \nc\ti386\t1\tii \ne\tamd64\t1\tii \nf\tall\t1:0\tii \n",
            "f\n",
        );
        assert!(before.packages["b"].is_held() && before.packages["c:i386"].is_configuration());
        assert_eq!(before.half_done().collect::<Vec<_>>(), ["e"]);
        let planned = ["a", "b", "f", "c:i386", "g"].map(str::to_owned).into();
        expect_test::expect![[
            r#"{"Changed":true,"Installed":[{"Package":"c:i386","Version":"1"},{"Package":"f","Version":"1:0"}],"Upgraded":[],"Downgraded":[{"Package":"b","From":"2","To":"1"}],"Removed":[{"Package":"g","Version":"1"}],"Unrequested":["e"]}"#
        ]]
        .assert_eq(&Changes::between(&before, &after).result(&planned).to_string());
        assert!(Changes::between(&after, &after).all.is_empty());
    }
}
