//! The facts of the actions on units.

use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;
use crate::worker::action::systemd::fault;
use crate::worker::action::systemd::unit::is_unit;

const UNIT: Parameter = Parameter::required(
    "Unit",
    Kind::Named("the name of a unit, such as `nginx` or `backup.timer`", is_unit),
    "The unit; a service when it has no suffix.",
);
const TIMEOUT: Parameter = Parameter::optional(
    "TimeoutSeconds",
    Kind::Integer(1, 86_400),
    "How long to wait for the state; 120 when it is not said.",
);
const RESULT: &[Member] = &[
    Member {
        name: "Unit",
        doc: "The full name.",
    },
    Member {
        name: "LoadState",
        doc: "Such as `loaded`, or `not-found`.",
    },
    Member {
        name: "ActiveState",
        doc: "Such as `active`, `inactive` or `failed`.",
    },
    Member {
        name: "SubState",
        doc: "Such as `running`.",
    },
    Member {
        name: "UnitFileState",
        doc: "Such as `enabled`, `disabled` or `static`.",
    },
    Member {
        name: "Type",
        doc: "Of a service, such as `simple` or `oneshot`; empty for other units.",
    },
];
const JOB_ERRORS: &[ErrorName] = &[
    fault::FAILED,
    fault::INVALID_PARAMETERS,
    fault::JOB_FAILED,
    fault::MASKED,
    fault::NO_SUCH_UNIT,
    fault::NOT_AVAILABLE,
    fault::PERMISSION_DENIED,
    fault::TIMED_OUT,
];
const FILE_ERRORS: &[ErrorName] = &[
    fault::FAILED,
    fault::INVALID_PARAMETERS,
    fault::MASKED,
    fault::NO_SUCH_UNIT,
    fault::NOT_AVAILABLE,
    fault::NOT_INSTALLABLE,
    fault::PERMISSION_DENIED,
];
const UNDO_ACTIVE: &str = "Starts the unit again if it ran, or stops it if it did not.";
const UNDO_ENABLED: &str = "Enables or disables the unit as it was.";

pub(super) static DISABLE: Facts = Facts {
    name: "systemd.disable",
    summary: "Has a unit not started at boot.",
    details: "A unit that runs goes on.",
    parameters: &[UNIT],
    one_of: &[],
    result: RESULT,
    errors: FILE_ERRORS,
    undo: Some(UNDO_ENABLED),
    example: r#"{ "Unit": "app" }"#,
};

pub(super) static ENABLE: Facts = Facts {
    name: "systemd.enable",
    summary: "Has a unit started at boot.",
    details: "It is not started now: that is `systemd.start`.",
    parameters: &[UNIT],
    one_of: &[],
    result: RESULT,
    errors: FILE_ERRORS,
    undo: Some(UNDO_ENABLED),
    example: r#"{ "Unit": "app" }"#,
};

pub(super) static RELOAD: Facts = Facts {
    name: "systemd.reload",
    summary: "Has a unit that runs read its configuration again.",
    details: "It always counts as a change, since nobody knows whether the unit has read all of it.",
    parameters: &[UNIT, TIMEOUT],
    one_of: &[],
    result: RESULT,
    errors: &[
        fault::FAILED,
        fault::INVALID_PARAMETERS,
        fault::JOB_FAILED,
        fault::MASKED,
        fault::NO_SUCH_UNIT,
        fault::NOT_ACTIVE,
        fault::NOT_AVAILABLE,
        fault::PERMISSION_DENIED,
        fault::TIMED_OUT,
    ],
    undo: None,
    example: r#"{ "Unit": "nginx" }"#,
};

pub(super) static RESTART: Facts = Facts {
    name: "systemd.restart",
    summary: "Stops a unit and starts it again, and waits until it runs.",
    details: "One that does not run is started. It always counts as a change. After a crash it may be done again.",
    parameters: &[UNIT, TIMEOUT],
    one_of: &[],
    result: RESULT,
    errors: JOB_ERRORS,
    undo: Some("Stops the unit if it did not run before."),
    example: r#"{ "Unit": "nginx", "TimeoutSeconds": 60 }"#,
};

pub(super) static START: Facts = Facts {
    name: "systemd.start",
    summary: "Starts a unit, and waits until it runs.",
    details: "A service of the kind `oneshot` is waited for until it has ended well.",
    parameters: &[UNIT, TIMEOUT],
    one_of: &[],
    result: RESULT,
    errors: JOB_ERRORS,
    undo: Some(UNDO_ACTIVE),
    example: r#"{ "Unit": "app.service" }"#,
};

pub(super) static STATUS: Facts = Facts {
    name: "systemd.status",
    summary: "Tells how a unit is.",
    details: "A unit that is not there is no error: its `LoadState` is `not-found`.",
    parameters: &[UNIT],
    one_of: &[],
    result: RESULT,
    errors: &[
        fault::FAILED,
        fault::INVALID_PARAMETERS,
        fault::NOT_AVAILABLE,
        fault::PERMISSION_DENIED,
    ],
    undo: None,
    example: r#"{ "Unit": "backup.timer" }"#,
};

pub(super) static STOP: Facts = Facts {
    name: "systemd.stop",
    summary: "Stops a unit, and waits until it has ended.",
    details: "A unit that does not run is as asked.",
    parameters: &[UNIT, TIMEOUT],
    one_of: &[],
    result: RESULT,
    errors: JOB_ERRORS,
    undo: Some(UNDO_ACTIVE),
    example: r#"{ "Unit": "app.service" }"#,
};
