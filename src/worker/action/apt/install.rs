//! `apt.install`: packages that are there afterwards.

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
    name: "apt.install",
    summary: "Installs packages.",
    details: "A package that is there already, in the version asked for if one is, stays as it is. What counts is the \
              state of dpkg afterwards: if the packages are installed, another package's trouble is a `Warning`. apt \
              simulates first, and again right before. A task that is cancelled or out of time ends at once while apt \
              downloads; once dpkg works it lets dpkg finish first. Services that a package starts without systemd end \
              with the task.",
    parameters: &[
        Parameter::required(
            "Packages",
            Kind::List(&package::VERSIONED),
            "Their names, or objects of `Name`, `Version` and `Architecture`.",
        ),
        Parameter::optional(
            "AllowDowngrade",
            Kind::Boolean,
            "A `Version` may be older than what is there; `false` by default.",
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
    example: r#"{ "Packages": ["nginx", { "Name": "redis-server", "Version": "5:7.0.15-1~deb12u1" }] }"#,
};

/// The action.
pub const APT_INSTALL: PackageAction = PackageAction {
    facts: &FACTS,
    verb: |_| ("install", Vec::new()),
    wishes,
    downgrades: false,
};

/// Returns the wish to have each package, in its version if it has one.
pub fn wishes(parameters: &Parameters, native: &str) -> Vec<Wish> {
    let wish = |package: &package::Package| Wish {
        name: package.key(native),
        argument: package.argument(native),
        want: Want::Installed {
            version: package.version.clone(),
        },
    };
    parameters.packages.iter().map(wish).collect()
}
