//! `apt.upgrade`: what is there becomes as new as apt knows it.

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
    name: "apt.upgrade",
    summary: "Brings installed packages to the newest version that apt knows.",
    details: "Run apt.update before, or apt knows nothing new. Without `Packages` all are meant; packages on hold stay \
              as they are. A package in `Packages` that is not installed is not installed now, and is no error.",
    parameters: &[
        Parameter::optional(
            "Packages",
            Kind::List(&package::PACKAGE),
            "Only these: their names, or objects of `Name` and `Architecture`.",
        ),
        Parameter::optional(
            "Full",
            Kind::Boolean,
            "Without `Packages`: an upgrade may install new packages and, with `AllowRemove`, remove some \
             (`apt-get dist-upgrade`); `false` by default.",
        ),
        parameters::ALLOW_HELD,
        parameters::ALLOW_REMOVE,
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
    example: r#"{ "Full": true }"#,
};

/// The action.
pub const APT_UPGRADE: PackageAction = PackageAction {
    facts: &FACTS,
    verb: |parameters| match (parameters.packages.is_empty(), parameters.full) {
        (false, _) => ("install", vec!["--only-upgrade"]),
        (true, true) => ("dist-upgrade", Vec::new()),
        (true, false) => ("upgrade", Vec::new()),
    },
    wishes,
    downgrades: false,
};

fn wishes(parameters: &Parameters, native: &str) -> Vec<Wish> {
    let wish = |package: &package::Package| Wish {
        name: package.key(native),
        argument: package.key(native),
        want: Want::Newest,
    };
    parameters.packages.iter().map(wish).collect()
}
