//! What apt would do: the answer of `apt-get --simulate`, line by line.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::worker::action::apt::version;

/// What apt would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// By package: the version that is there, and the one that would be.
    pub installs: BTreeMap<String, (Option<String>, String)>,
    /// By package: the version that would go.
    pub removes: BTreeMap<String, String>,
    /// Packages that would be configured.
    pub configures: BTreeSet<String>,
}

impl Simulation {
    /// Reads `apt-get --simulate`'s stdout.
    ///
    /// Lines of `Inst hello [1.0] (2.0 Debian:12/stable [amd64])`, `Remv hello [1.0]`, `Purg hello [1.0]`,
    /// `Conf hello (2.0 …)` count.
    pub fn parse(stdout: &str) -> Self {
        let mut simulation = Self::default();
        for line in stdout.lines() {
            let mut words = line.split(' ');
            let (Some(verb), Some(package)) = (words.next(), words.next()) else {
                continue;
            };
            let package = package.to_owned();
            let mut old = None;
            let mut new = None;
            for word in words {
                if let (Some(version), None, None) = (word.strip_prefix('['), &old, &new) {
                    old = Some(version.trim_end_matches(']').to_owned());
                } else if let (Some(version), None) = (word.strip_prefix('('), &new) {
                    new = Some(version.trim_end_matches(')').to_owned());
                }
            }
            match (verb, old, new) {
                ("Inst", old, Some(new)) => drop(simulation.installs.insert(package, (old, new))),
                ("Remv" | "Purg", old, _) => drop(simulation.removes.insert(package, old.unwrap_or_default())),
                ("Conf", ..) => drop(simulation.configures.insert(package)),
                _ => {}
            }
        }
        simulation
    }

    /// Tells whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.installs.is_empty() && self.removes.is_empty() && self.configures.is_empty()
    }

    /// Returns all packages that would change.
    pub fn packages(&self) -> BTreeSet<String> {
        let names = self.installs.keys().chain(self.removes.keys());
        names.chain(&self.configures).cloned().collect()
    }

    /// Returns the packages whose version would be gone, with that version.
    pub fn replaced(&self) -> BTreeMap<String, String> {
        let old = self
            .installs
            .iter()
            .filter_map(|(name, (old, _))| Some((name, old.as_ref()?)));
        old.chain(&self.removes)
            .map(|(name, old)| (name.clone(), old.clone()))
            .collect()
    }

    /// Says what would change, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, (old, new)) in &self.installs {
            lines.push(match old {
                None => format!("install {name} {new}"),
                Some(old) => match version::compare(old, new) {
                    std::cmp::Ordering::Less => format!("upgrade {name} from {old} to {new}"),
                    std::cmp::Ordering::Equal => format!("install {name} {new} again"),
                    std::cmp::Ordering::Greater => format!("downgrade {name} from {old} to {new}"),
                },
            });
        }
        lines.extend(self.removes.iter().map(|(name, old)| format!("remove {name} {old}")));
        let rest = self.configures.iter().filter(|name| !self.installs.contains_key(*name));
        lines.extend(rest.map(|name| format!("configure {name}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_read() {
        let simulation = Simulation::parse(
            "Reading package lists...\nThe following packages will be upgraded:\n  hello\n\
             Remv old [1.0-1]\nPurg older [1:2]\nInst hello [2.10-2] (2.10-3 Debian:12.11/stable [amd64]) [gone ]\n\
             Inst libx:i386 (1 local [i386])\nInst down [2] (1 x [all])\nConf hello (2.10-3 Debian [amd64])\n\
             Conf half (1 x [all])\n",
        );
        expect_test::expect![[r#"
            downgrade down from 2 to 1
            upgrade hello from 2.10-2 to 2.10-3
            install libx:i386 1
            remove old 1.0-1
            remove older 1:2
            configure half"#]]
        .assert_eq(&simulation.lines().join("\n"));
        assert!(Simulation::parse("0 upgraded, 0 newly installed.\n").is_empty());
        assert_eq!(simulation.replaced().len(), 4);
        assert_eq!(simulation.packages().len(), 6);
    }
}
