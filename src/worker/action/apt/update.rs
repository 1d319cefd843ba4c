//! `apt.update`: the lists of what repositories have.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use async_trait::async_trait;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::apt::command;
use crate::worker::action::apt::command::System;
use crate::worker::action::apt::parameters;
use crate::worker::action::apt::parameters::Parameters;
use crate::worker::action::apt::perform;
use crate::worker::action::apt::transaction::must;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;

/// Where apt keeps the lists.
const LISTS: &str = "/var/lib/apt/lists";
/// The file whose time tells when the lists were fetched: lists themselves bear the repository's time.
const STAMP: &str = "/var/lib/apt/periodic/update-success-stamp";
/// Lets apt touch that file, as Debian's own configuration does where it is installed.
const STAMPING: &str = "APT::Update::Post-Invoke-Success::=mkdir -p /var/lib/apt/periodic && touch \
                        /var/lib/apt/periodic/update-success-stamp";

static FACTS: Facts = Facts {
    name: "apt.update",
    summary: "Fetches the lists of what the repositories have.",
    details: "A list that cannot be fetched is an error, where apt-get itself warns only. `Changed` tells whether any \
              list is another one now.",
    parameters: &[
        Parameter::optional(
            "MaxAgeSeconds",
            Kind::Integer(0, 31_536_000),
            "Nothing is fetched if the lists are not older; by default they always are.",
        ),
        parameters::LOCK_TIMEOUT,
        parameters::ROOT,
    ],
    one_of: &[],
    result: &[Member {
        name: "Updated",
        doc: "Tells whether apt asked the repositories.",
    }],
    errors: parameters::ERRORS,
    undo: None,
    example: r#"{ "MaxAgeSeconds": 3600 }"#,
};

/// The action.
pub struct AptUpdate;

fn read(parameters: &Value) -> Result<(System, Parameters), StatesError> {
    let parameters: Parameters = action::read(parameters)?;
    let system = System {
        root: parameters.root.clone(),
    };
    Ok((system, parameters))
}

/// Returns the lists that are there: size and time by path.
fn lists(system: &System) -> BTreeMap<PathBuf, (u64, Option<SystemTime>)> {
    let entries = std::fs::read_dir(system.path(LISTS)).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        // A list of a `file:` repository is a link, which means a file of the system.
        let path = match std::fs::read_link(entry.path()) {
            Ok(target) => system.path(target.to_str()?),
            Err(_) => entry.path(),
        };
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        (entry.file_name() != "lock").then(|| (entry.path(), (metadata.len(), metadata.modified().ok())))
    });
    files.collect()
}

/// Tells whether apt fetched the lists not longer ago than this.
fn are_fresh(system: &System, age_max: Duration) -> bool {
    let stamp = std::fs::metadata(system.path(STAMP)).and_then(|metadata| metadata.modified());
    let age = stamp.ok().and_then(|stamp| stamp.elapsed().ok());
    !lists(system).is_empty() && age.is_some_and(|age| age <= age_max)
}

#[async_trait]
impl Action for AptUpdate {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn locks(&self, parameters: &Value) -> Vec<String> {
        command::locks(parameters)
    }

    async fn plan(&self, parameters: &Value, _work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let (system, parameters) = read(parameters)?;
        let age_max = parameters
            .max_age_seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Plan {
            changes: match age_max {
                Some(age_max) if are_fresh(&system, age_max) => Vec::new(),
                _ => vec!["fetch the lists of the repositories".to_owned()],
            },
            result: json!({ "Updated": false }),
        })
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let (system, parameters) = read(parameters)?;
        let before = lists(&system);
        // apt-get itself ends with 0 when the network is down.
        let arguments = ["-q", "-o", "APT::Update::Error-Mode=any", "-o", STAMPING, "update"].map(str::to_owned);
        must(
            "apt-get update",
            perform::apt_get(&system, &arguments, parameters.lock_timeout(), work).await?,
        )?;
        Ok(json!({ "Changed": lists(&system) != before, "Updated": true }))
    }

    async fn undo(&self, _saved: &Saved, _work: &mut Work<'_>) -> Result<Value, StatesError> {
        Ok(Value::Null)
    }
}
