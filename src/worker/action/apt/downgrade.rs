//! `apt.downgrade`: packages that have exactly these versions afterwards, older ones included.

use crate::worker::action::apt::install;
use crate::worker::action::apt::package;
use crate::worker::action::apt::package_action::PackageAction;
use crate::worker::action::apt::parameters;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;

static FACTS: Facts = Facts {
    name: "apt.downgrade",
    summary: "Gives packages exactly the versions asked for, even if they are older than what is there.",
    details: "Debian does not test downgrades: a package's scripts may not be able to go back. Else as apt.install.",
    parameters: &[
        Parameter::required(
            "Packages",
            Kind::List(&package::EXACT),
            "Objects of `Name`, `Version` and `Architecture`.",
        ),
        parameters::ALLOW_HELD,
        parameters::ALLOW_REMOVE,
        parameters::RECOMMENDS,
        parameters::CONFFILES,
        parameters::REPAIR,
        parameters::REQUIRE_UNDO,
        parameters::LOCK_TIMEOUT,
        parameters::ROOT,
    ],
    one_of: &[],
    result: parameters::RESULT,
    errors: parameters::ERRORS,
    undo: Some(parameters::UNDO),
    example: r#"{ "Packages": [{ "Name": "nginx", "Version": "1.22.1-9" }] }"#,
};

/// The action.
pub const APT_DOWNGRADE: PackageAction = PackageAction {
    facts: &FACTS,
    verb: |_| ("install", Vec::new()),
    wishes: install::wishes,
    downgrades: true,
};
