//! `apt.remove`: packages that are not there afterwards.

use crate::worker::action::apt::package;
use crate::worker::action::apt::package_action::PackageAction;
use crate::worker::action::apt::parameters;
use crate::worker::action::apt::parameters::Parameters;
use crate::worker::action::apt::transaction::Want;
use crate::worker::action::apt::transaction::Wish;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;

static FACTS: Facts = Facts {
    name: "apt.remove",
    summary: "Removes packages.",
    details: "A package that is not there, or that nobody knows, is removed already. Packages that need a removed one \
              would go with it: that is `Apt.RemovalRefused`, unless `AllowRemove` allows it. Essential packages are \
              never removed.",
    parameters: &[
        Parameter::required(
            "Packages",
            Kind::List(&package::PACKAGE),
            "Their names, or objects of `Name` and `Architecture`.",
        ),
        Parameter::optional(
            "Purge",
            Kind::Boolean,
            "Their configuration goes, too, which undoing does not bring back; `false` by default.",
        ),
        Parameter::optional(
            "AutoRemove",
            Kind::Boolean,
            "What nothing needs any more goes, too; `false` by default.",
        ),
        parameters::ALLOW_HELD,
        parameters::ALLOW_REMOVE,
        parameters::REPAIR,
        parameters::REQUIRE_UNDO,
        parameters::LOCK_TIMEOUT,
        parameters::ROOT,
    ],
    one_of: &[],
    result: parameters::RESULT,
    errors: parameters::ERRORS,
    undo: Some(parameters::UNDO),
    example: r#"{ "Packages": ["telnetd"], "Purge": true }"#,
};

/// The action.
pub const APT_REMOVE: PackageAction = PackageAction {
    facts: &FACTS,
    verb: |parameters| match parameters.purge {
        true => ("purge", Vec::new()),
        false => ("remove", Vec::new()),
    },
    wishes,
    downgrades: false,
};

fn wishes(parameters: &Parameters, native: &str) -> Vec<Wish> {
    let wish = |package: &package::Package| Wish {
        name: package.key(native),
        argument: package.key(native),
        want: Want::Absent {
            purge: parameters.purge,
        },
    };
    parameters.packages.iter().map(wish).collect()
}
