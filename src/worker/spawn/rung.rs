//! How the processes of a task are held together: the best way that the machine offers.

use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::worker::spawn::cgroup::Tree;
use crate::worker::spawn::fork;
use crate::worker::spawn::fork::Forked;
use crate::worker::spawn::fork::Fresh;
use crate::worker::spawn::namespace;
use crate::worker::spawn::unit::Units;

/// A way to hold a task's processes, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// A transient unit of systemd.
    Unit,
    /// A control group (version 2).
    Cgroup,
    /// A PID namespace.
    Namespace,
    /// Session, mark, and orphans handed to the subreaper.
    Sweep,
    /// The same without root: only as the own user.
    Unprivileged,
}

impl Rung {
    /// All, in their order.
    pub const ALL: [Self; 5] = [
        Self::Unit,
        Self::Cgroup,
        Self::Namespace,
        Self::Sweep,
        Self::Unprivileged,
    ];

    /// Returns its number on the ladder, from 1.
    pub fn number(self) -> u8 {
        match self {
            Self::Unit => 1,
            Self::Cgroup => 2,
            Self::Namespace => 3,
            Self::Sweep => 4,
            Self::Unprivileged => 5,
        }
    }

    /// Says what it is.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Unit => "a systemd unit for each task",
            Self::Cgroup => "a control group for each task",
            Self::Namespace => "a PID namespace for each task",
            Self::Sweep => "sessions, marks and a sweep, as root",
            Self::Unprivileged => "sessions, marks and a sweep, as this user only",
        }
    }
}

/// Whether the machine offers a rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Which.
    pub rung: Rung,
    /// What is missing: a fragment of a sentence.
    pub lacks: Option<String>,
}

/// Which rung the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// The best that changes nothing for the tasks.
    #[default]
    Auto,
    /// Control groups.
    Cgroup,
    /// PID namespaces.
    Namespace,
    /// Session, mark and sweep.
    Sweep,
    /// Units of systemd.
    Unit,
}

impl Isolation {
    /// All, with their names.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("cgroup", Self::Cgroup),
        ("namespace", Self::Namespace),
        ("sweep", Self::Sweep),
        ("unit", Self::Unit),
    ];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        let row = Self::NAMES.iter().find(|(_, isolation)| *isolation == self);
        row.map_or("auto", |(name, _)| name)
    }
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let row = Self::NAMES.iter().find(|(name, _)| *name == text);
        row.map(|(_, isolation)| *isolation)
            .ok_or_else(|| "it is `auto`, `cgroup`, `namespace`, `sweep` or `unit`".to_owned())
    }
}

/// What holds tasks.
#[derive(Debug)]
pub enum Holder {
    /// Control groups.
    Groups(Tree),
    /// PID namespaces; without root they need user namespaces.
    Namespaces(Fresh),
    /// Nothing but the sweep.
    Sweep,
    /// Units of systemd.
    Units(Units),
}

/// What was found at the start.
#[derive(Debug)]
pub struct Found {
    /// The rung.
    pub rung: Rung,
    /// What holds its tasks.
    pub holder: Holder,
    /// All rungs.
    pub offers: Vec<Offer>,
    /// How many directories and units of dead engines were removed.
    pub n_leftovers: usize,
}

/// Picks the rung.
///
/// # Errors
/// The wanted one is not there: a sentence.
pub fn pick(isolation: Isolation, is_root: bool) -> Result<Found, String> {
    let (tree, n_groups) = match Tree::make() {
        Ok((mut tree, n_leftovers)) => (probe_group(&mut tree).map(|()| tree), n_leftovers),
        Err(lacks) => (Err(lacks), 0),
    };
    let (units, n_units) = match Units::make(is_root) {
        Ok((units, n_leftovers)) => (Ok(units), n_leftovers),
        Err(lacks) => (Err(lacks), 0),
    };
    let fresh = Fresh {
        processes: true,
        users: !is_root,
        mounts: false,
    };
    let namespaces = namespace::probe(fresh);
    let lacks_of = |rung: Rung| match rung {
        Rung::Unit => units.as_ref().err().cloned(),
        Rung::Cgroup => tree.as_ref().err().cloned(),
        Rung::Namespace => namespaces.as_ref().err().cloned(),
        Rung::Sweep => (!is_root).then(|| "it is not root".to_owned()),
        Rung::Unprivileged => is_root.then(|| "it is root".to_owned()),
    };
    let offer = |rung| Offer {
        rung,
        lacks: lacks_of(rung),
    };
    let offers = Rung::ALL.map(offer).to_vec();
    let sweep = if is_root { Rung::Sweep } else { Rung::Unprivileged };
    let (rung, holder) = match (isolation, units, tree, namespaces) {
        (Isolation::Unit, Err(lacks), ..)
        | (Isolation::Cgroup, _, Err(lacks), _)
        | (Isolation::Namespace, _, _, Err(lacks)) => {
            return Err(format!(
                "The isolation `{}` cannot be had: {lacks}.",
                isolation.as_str()
            ));
        }
        (Isolation::Unit, Ok(units), ..) => (Rung::Unit, Holder::Units(units)),
        // A unit holds no better than a group, and systemd makes one after another: it is for who asks for it.
        (Isolation::Auto | Isolation::Cgroup, _, Ok(tree), _) => (Rung::Cgroup, Holder::Groups(tree)),
        (Isolation::Auto, Ok(units), Err(_), _) => (Rung::Unit, Holder::Units(units)),
        // In a user namespace the files of others look like nobody's, so without root it is for who asks for it.
        (Isolation::Auto, _, Err(_), Ok(())) if is_root => (Rung::Namespace, Holder::Namespaces(fresh)),
        (Isolation::Namespace, _, _, Ok(())) => (Rung::Namespace, Holder::Namespaces(fresh)),
        (Isolation::Auto | Isolation::Sweep, ..) => (sweep, Holder::Sweep),
    };
    Ok(Found {
        rung,
        holder,
        offers,
        n_leftovers: n_groups + n_units,
    })
}

/// Tries a group: that its directory can be made does not say that a process may be put into it.
fn probe_group(tree: &mut Tree) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("a process cannot be put into a group: {error}");
    let group = tree.group().map_err(failed)?;
    let pid = match fork::fork(Some(std::os::fd::AsFd::as_fd(&group)), Fresh::default()) {
        Ok(Forked::Child(joined)) => fork::exit(i32::from(joined.is_err())),
        Ok(Forked::Parent(pid)) => pid,
        Err(error) => {
            group.remove();
            return Err(failed(error));
        }
    };
    let ended = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    group.remove();
    match ended {
        Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
        _ => Err("a process in a group did not end as it should".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_isolations_are_read_back() {
        for (name, isolation) in Isolation::NAMES {
            assert_eq!(name.parse(), Ok(isolation));
            assert_eq!(isolation.as_str(), name);
        }
        assert!("systemd".parse::<Isolation>().is_err());
    }

    #[test]
    fn the_ladder_counts_from_one() {
        assert_eq!(Rung::ALL.map(Rung::number), [1, 2, 3, 4, 5]);
    }
}
