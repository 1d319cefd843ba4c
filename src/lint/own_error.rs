//! The errors of this machine's own actions.

use crate::lint::wording;

/// What any action can fail with.
pub const OF_ALL: &[&str] = &[
    "Debian.ActionNotAllowed",
    "Debian.CheckpointFailed",
    "Debian.IdentityUnavailable",
    "Debian.LockFailed",
];

/// The errors by the first word of the actions that fail with them.
///
/// Source: the actions' own facts, which this room must not know; a test of the command line, which knows both,
/// compares them.
pub const BY_FAMILY: &[(&str, &[&str])] = &[
    (
        "apt",
        &[
            "Apt.ConffilePrompt",
            "Apt.DependencyConflict",
            "Apt.DowngradeRefused",
            "Apt.DpkgInterrupted",
            "Apt.Failed",
            "Apt.HeldPackage",
            "Apt.InvalidParameters",
            "Apt.LockTimeout",
            "Apt.MaintainerScriptFailed",
            "Apt.NetworkFailed",
            "Apt.NoSpace",
            "Apt.PackageNotFound",
            "Apt.PermissionDenied",
            "Apt.RemovalRefused",
            "Apt.StartFailed",
            "Apt.Unauthenticated",
            "Apt.UndoFailed",
            "Apt.VersionNotFound",
        ],
    ),
    (
        "file",
        &[
            "File.AmbiguousMatch",
            "File.AnchorNotFound",
            "File.ChangedMeanwhile",
            "File.Failed",
            "File.InvalidParameters",
            "File.IsDirectory",
            "File.IsSymlink",
            "File.NoSpace",
            "File.NotADirectory",
            "File.NotFound",
            "File.NotRegular",
            "File.PermissionDenied",
            "File.ReadOnly",
            "File.TemplateFailed",
            "File.TooLarge",
            "File.UnknownOwner",
        ],
    ),
    (
        "group",
        &[
            "Group.Conflict",
            "Group.Failed",
            "Group.InUse",
            "Group.InvalidParameters",
            "Group.PermissionDenied",
            "Group.Protected",
        ],
    ),
    (
        "http",
        &[
            "Http.CaFile",
            "Http.InvalidParameters",
            "Http.RedirectRefused",
            "Http.Socket",
            "Http.StatusCode.NNN",
            "Http.TimedOut",
            "Http.Tls",
            "States.DataLimitExceeded",
        ],
    ),
    (
        "reboot",
        &[
            "Reboot.Failed",
            "Reboot.InvalidParameters",
            "Reboot.NotDurable",
            "Reboot.TimedOut",
        ],
    ),
    (
        "shell",
        &[
            "Shell.InvalidParameters",
            "Shell.Killed",
            "Shell.NonZeroExit",
            "Shell.StartFailed",
        ],
    ),
    (
        "systemd",
        &[
            "Systemd.Failed",
            "Systemd.InvalidParameters",
            "Systemd.JobFailed",
            "Systemd.Masked",
            "Systemd.NoSuchUnit",
            "Systemd.NotActive",
            "Systemd.NotAvailable",
            "Systemd.NotInstallable",
            "Systemd.PermissionDenied",
            "Systemd.TimedOut",
        ],
    ),
    (
        "undo",
        &["Undo.CheckpointNotFound", "Undo.Failed", "Undo.InvalidParameters"],
    ),
    (
        "user",
        &[
            "User.Conflict",
            "User.Failed",
            "User.InUse",
            "User.InvalidParameters",
            "User.PermissionDenied",
            "User.Protected",
            "User.UnknownGroup",
        ],
    ),
    (
        "wait",
        &[
            "Http.CaFile",
            "Http.InvalidParameters",
            "Wait.Failed",
            "Wait.InvalidParameters",
            "Wait.TimedOut",
        ],
    ),
];
/// Errors whose name ends in a number.
const NUMBERED: &str = "Http.StatusCode.";

/// Says of a name in `ErrorEquals` that no error of an action, given with hyphens, has it: the nearest one that there
/// is, if any. `None`: the name is right, or anybody's.
pub(crate) fn wrong(action: &str, name: &str) -> Option<Option<&'static str>> {
    let family = action.split('-').next()?;
    let (_, own) = BY_FAMILY.iter().find(|(known, _)| *known == family)?;
    let is_status = name
        .strip_prefix(NUMBERED)
        .is_some_and(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()));
    if own.contains(&name) || OF_ALL.contains(&name) || is_status && family == "http" {
        return None;
    }
    let (begin, _) = name.split_once('.')?;
    let all = BY_FAMILY.iter().flat_map(|(_, names)| *names).chain(OF_ALL);
    let is_ours = all
        .clone()
        .any(|known| known.split_once('.').is_some_and(|(known, _)| known == begin));
    let nearest = wording::nearest(name, own.iter().chain(OF_ALL).copied());
    // A parameter may give any name to an exit code, and `undo` passes on what other actions say.
    let is_free = matches!(family, "shell" | "undo") && nearest.is_none();
    (begin != "States" && !is_free && (is_ours || nearest.is_some())).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_the_action() {
        for (action, name, expected) in [
            ("apt-install", "Apt.LockTimeout", None),
            ("apt-install", "Apt.LockTimedOut", Some(Some("Apt.LockTimeout"))),
            ("apt-install", "Apt.Broken", Some(None)),
            ("apt-install", "Apt.LockTimout", Some(Some("Apt.LockTimeout"))),
            ("apt-install", "apt.LockTimeout", Some(Some("Apt.LockTimeout"))),
            ("apt-install", "Debian.LockFailed", None),
            ("apt-install", "Debian.LockFail", Some(Some("Debian.LockFailed"))),
            ("apt-install", "File.NotFound", Some(None)),
            ("apt-install", "Mine.LockTimeout", None),
            ("apt-install", "States.Timeout", None),
            ("http-request", "Http.StatusCode.503", None),
            ("http-request", "Http.StatusCode.5xx", Some(None)),
            ("shell-run", "App.TryLater", None),
            ("shell-run", "Shell.NonZeroExitCode", None),
            ("shell-run", "Shell.NonZeroExits", Some(Some("Shell.NonZeroExit"))),
            ("of-others", "Apt.Nothing", None),
        ] {
            assert_eq!(wrong(action, name), expected, "{action} {name}");
        }
    }
}
