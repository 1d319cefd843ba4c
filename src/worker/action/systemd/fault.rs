//! The error names of systemd's actions, and which of them an error of D-Bus is.

use zbus::DBusError;

use crate::model::states_error::StatesError;
use crate::worker::action::facts::ErrorName;

pub(super) const FAILED: ErrorName = ErrorName::passing(
    "Systemd.Failed",
    "systemd refused for another reason; the cause says which.",
);
pub(super) const INVALID_PARAMETERS: ErrorName =
    ErrorName::lasting("Systemd.InvalidParameters", "The parameters are not as above.");
pub(super) const JOB_FAILED: ErrorName = ErrorName::passing(
    "Systemd.JobFailed",
    "The unit did not reach the state: its job failed, or it ended at once. The cause tells its state.",
);
pub(super) const MASKED: ErrorName = ErrorName::lasting("Systemd.Masked", "The unit is masked.");
pub(super) const NOT_AVAILABLE: ErrorName = ErrorName::lasting(
    "Systemd.NotAvailable",
    "systemd does not run here, or cannot be reached.",
);
pub(super) const NOT_ACTIVE: ErrorName =
    ErrorName::lasting("Systemd.NotActive", "The unit is to be reloaded, but does not run.");
pub(super) const NOT_INSTALLABLE: ErrorName = ErrorName::lasting(
    "Systemd.NotInstallable",
    "The unit cannot be enabled or disabled, such as one that is static or generated.",
);
pub(super) const NO_SUCH_UNIT: ErrorName = ErrorName::lasting(
    "Systemd.NoSuchUnit",
    "There is no such unit, or its file cannot be read.",
);
pub(super) const PERMISSION_DENIED: ErrorName = ErrorName::lasting(
    "Systemd.PermissionDenied",
    "The account of this process may not do that.",
);
pub(super) const TIMED_OUT: ErrorName = ErrorName::passing(
    "Systemd.TimedOut",
    "The unit did not reach the state in `TimeoutSeconds`. systemd goes on with the job.",
);

pub(super) fn fault(name: &ErrorName, cause: impl Into<String>) -> StatesError {
    StatesError::new(name.name, cause.into())
}

/// Makes the error of a call that D-Bus or systemd refused.
pub(super) fn of_bus(error: &zbus::Error, unit: &str) -> StatesError {
    let (name, text) = match error {
        zbus::Error::MethodError(name, text, _) => (name.to_string(), text.clone().unwrap_or_default()),
        zbus::Error::FDO(error) => (
            error.name().to_string(),
            error.description().unwrap_or_default().to_owned(),
        ),
        other => {
            let sentence = format!("systemd cannot be reached over D-Bus: {other}.");
            return fault(&NOT_AVAILABLE, sentence);
        }
    };
    let known = match name.as_str() {
        "org.freedesktop.systemd1.NoSuchUnit"
        | "org.freedesktop.systemd1.LoadFailed"
        | "org.freedesktop.systemd1.BadUnitSetting"
        | "org.freedesktop.DBus.Error.FileNotFound" => &NO_SUCH_UNIT,
        "org.freedesktop.systemd1.UnitMasked" => &MASKED,
        "org.freedesktop.DBus.Error.AccessDenied"
        | "org.freedesktop.DBus.Error.AuthFailed"
        | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => &PERMISSION_DENIED,
        "org.freedesktop.DBus.Error.NameHasNoOwner"
        | "org.freedesktop.DBus.Error.NoReply"
        | "org.freedesktop.DBus.Error.ServiceUnknown" => &NOT_AVAILABLE,
        _ => &FAILED,
    };
    let text = text.trim_end_matches('.');
    fault(known, format!("systemd refused `{unit}`: {text} ({name})."))
}
