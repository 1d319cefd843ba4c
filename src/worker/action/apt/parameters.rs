//! What tasks may say about packages, and the errors that all actions on packages share.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::worker::action::apt::package::Package;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;

/// All parameters of all actions; each action's facts say which of them it takes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Parameters {
    /// Which packages.
    pub packages: Vec<Package>,
    /// Other packages may be removed.
    pub allow_remove: bool,
    /// Packages may get an older version.
    pub allow_downgrade: bool,
    /// Packages on hold may change.
    pub allow_held: bool,
    /// What packages recommend is installed, too; else as apt is configured.
    pub recommends: Option<bool>,
    /// What happens to configuration files that somebody changed.
    pub conffiles: Conffiles,
    /// Configuration and data go, too.
    pub purge: bool,
    /// What nothing needs any more goes, too.
    pub auto_remove: bool,
    /// Upgrading may install and, if allowed, remove packages.
    pub full: bool,
    /// On hold or not.
    pub hold: bool,
    /// How old lists may be, in seconds.
    pub max_age_seconds: Option<f64>,
    /// Finish what an interrupted dpkg left.
    pub repair: bool,
    /// Do nothing that could not be undone.
    pub require_undo: bool,
    /// How long to wait for locks of apt and dpkg, in seconds.
    pub lock_timeout_seconds: f64,
    /// The directory of another system.
    pub root: Option<PathBuf>,
}

/// What happens to configuration files that somebody changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conffiles {
    /// It is an error.
    Fail,
    /// They stay.
    #[default]
    Keep,
    /// The package's own replace them.
    Replace,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            packages: Vec::new(),
            allow_remove: false,
            allow_downgrade: false,
            allow_held: false,
            recommends: None,
            conffiles: Conffiles::Keep,
            purge: false,
            auto_remove: false,
            full: false,
            hold: true,
            max_age_seconds: None,
            repair: false,
            require_undo: false,
            lock_timeout_seconds: 60.0,
            root: None,
        }
    }
}

impl Parameters {
    /// Returns how long to wait for locks.
    pub fn lock_timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.lock_timeout_seconds).unwrap_or_default()
    }
}

/// `AllowRemove`.
pub const ALLOW_REMOVE: Parameter = Parameter::optional(
    "AllowRemove",
    Kind::Boolean,
    "Packages that are not named may be removed; `false` by default.",
);
/// `AllowHeld`.
pub const ALLOW_HELD: Parameter = Parameter::optional(
    "AllowHeld",
    Kind::Boolean,
    "Packages on hold may change; `false` by default.",
);
/// `Conffiles`.
pub const CONFFILES: Parameter = Parameter::optional(
    "Conffiles",
    Kind::OneOf(&["keep", "replace", "fail"]),
    "What happens to a configuration file that was changed here and in the package: it stays (`keep`, the default), the \
     package's replaces it (`replace`; dpkg keeps the old one as `.dpkg-old`), or `Apt.ConffilePrompt` (`fail`).",
);
/// `Recommends`.
pub const RECOMMENDS: Parameter = Parameter::optional(
    "Recommends",
    Kind::Boolean,
    "What packages recommend is installed, too; by default as apt is configured.",
);
/// `Repair`.
pub const REPAIR: Parameter = Parameter::optional(
    "Repair",
    Kind::Boolean,
    "If an earlier dpkg was interrupted, finishes its work first (`dpkg --configure -a`); `false` by default.",
);
/// `RequireUndo`.
pub const REQUIRE_UNDO: Parameter = Parameter::optional(
    "RequireUndo",
    Kind::Boolean,
    "Changes nothing if an old version can be kept neither from apt's archive nor by dpkg-repack; `false` by default.",
);
/// `LockTimeoutSeconds`.
pub const LOCK_TIMEOUT: Parameter = Parameter::optional(
    "LockTimeoutSeconds",
    Kind::Integer(0, 86_400),
    "How long to wait for another apt or dpkg; 60 by default.",
);
/// `Root`.
pub const ROOT: Parameter = Parameter::optional(
    "Root",
    Kind::Path,
    "The directory of another Debian system, in which apt runs by `chroot`; this machine by default.",
);

/// What each package transaction gives.
pub const RESULT: &[Member] = &[
    Member {
        name: "Installed",
        doc: "A list of `{Package, Version}`.",
    },
    Member {
        name: "Upgraded",
        doc: "A list of `{Package, From, To}`.",
    },
    Member {
        name: "Downgraded",
        doc: "A list of `{Package, From, To}`.",
    },
    Member {
        name: "Removed",
        doc: "A list of `{Package, Version}`.",
    },
    Member {
        name: "Unrequested",
        doc: "The names of packages that changed though they were neither named nor in apt's plan: what an earlier run \
              left half done, or somebody else did at the same time.",
    },
    Member {
        name: "Warning",
        doc: "What apt complained of although the machine is as asked; only then.",
    },
    Member {
        name: "Evidence",
        doc: "The entry of `/var/log/apt/history.log`, as an object; only if something ran.",
    },
];

/// Another process holds a lock.
pub const LOCK_TIMEOUT_ERROR: &str = "Apt.LockTimeout";
/// No such package.
pub const PACKAGE_NOT_FOUND: &str = "Apt.PackageNotFound";
/// No such version.
pub const VERSION_NOT_FOUND: &str = "Apt.VersionNotFound";
/// Dependencies cannot be met.
pub const DEPENDENCY_CONFLICT: &str = "Apt.DependencyConflict";
/// Something not named would be removed.
pub const REMOVAL_REFUSED: &str = "Apt.RemovalRefused";
/// A package is on hold.
pub const HELD_PACKAGE: &str = "Apt.HeldPackage";
/// A package would get an older version.
pub const DOWNGRADE_REFUSED: &str = "Apt.DowngradeRefused";
/// Something cannot be downloaded.
pub const NETWORK_FAILED: &str = "Apt.NetworkFailed";
/// dpkg was interrupted before.
pub const DPKG_INTERRUPTED: &str = "Apt.DpkgInterrupted";
/// A script of a package failed.
pub const MAINTAINER_SCRIPT_FAILED: &str = "Apt.MaintainerScriptFailed";
/// dpkg asked about a configuration file.
pub const CONFFILE_PROMPT: &str = "Apt.ConffilePrompt";
/// Not the superuser.
pub const PERMISSION_DENIED: &str = "Apt.PermissionDenied";
/// A repository or package is not signed as it must be.
pub const UNAUTHENTICATED: &str = "Apt.Unauthenticated";
/// The disk is full.
pub const NO_SPACE: &str = "Apt.NoSpace";
/// Anything else.
pub const FAILED: &str = "Apt.Failed";
/// It cannot be started.
pub const START_FAILED: &str = "Apt.StartFailed";
/// What was before is not restored.
pub const UNDO_FAILED: &str = "Apt.UndoFailed";

/// What every action on packages can fail with.
pub const ERRORS: &[ErrorName] = &[
    ErrorName::passing(
        LOCK_TIMEOUT_ERROR,
        "Another apt or dpkg holds a lock; the cause names it where apt does.",
    ),
    ErrorName::lasting(
        PACKAGE_NOT_FOUND,
        "There is no such package, or nothing to install of that name.",
    ),
    ErrorName::lasting(VERSION_NOT_FOUND, "There is no such version."),
    ErrorName::lasting(
        DEPENDENCY_CONFLICT,
        "Dependencies cannot be met; the cause has apt's account.",
    ),
    ErrorName::lasting(
        REMOVAL_REFUSED,
        "Packages that are not named would be removed; see `AllowRemove`.",
    ),
    ErrorName::lasting(HELD_PACKAGE, "A package on hold would change."),
    ErrorName::lasting(DOWNGRADE_REFUSED, "A package would get an older version."),
    ErrorName::passing(NETWORK_FAILED, "A list or a package cannot be fetched."),
    ErrorName::lasting(DPKG_INTERRUPTED, "An earlier dpkg was interrupted; see `Repair`."),
    ErrorName::lasting(
        MAINTAINER_SCRIPT_FAILED,
        "A script of a package failed; the package is half installed.",
    ),
    ErrorName::lasting(
        CONFFILE_PROMPT,
        "dpkg asked what to do with a changed configuration file; see `Conffiles`.",
    ),
    ErrorName::lasting(PERMISSION_DENIED, "Only the superuser may do it."),
    ErrorName::lasting(UNAUTHENTICATED, "A repository or package is not signed as it must be."),
    ErrorName::lasting(NO_SPACE, "The disk is full."),
    ErrorName::lasting(FAILED, "Anything else; the cause has what apt wrote."),
    ErrorName::lasting(START_FAILED, "There is no apt-get, dpkg or chroot, or no such `Root`."),
    ErrorName::lasting(
        UNDO_FAILED,
        "What was before cannot be kept or restored; the cause names the packages.",
    ),
    ErrorName::lasting("Apt.InvalidParameters", "The parameters are not as above."),
];

/// What undoing a package transaction restores.
pub const UNDO: &str = "Restores versions, marks and holds of the packages that changed, in one transaction. Old \
    versions come from the checkpoint, where they are kept beforehand (from apt's archive, or by dpkg-repack), else from \
    apt's archive. New packages go with their configuration and data. What their scripts did to other files, migrated \
    data, and configuration that was purged does not come back.";
