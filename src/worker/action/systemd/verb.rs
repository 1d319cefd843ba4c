//! What the actions on units do: one verb each.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::alive::alive;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::systemd::Bus;
use crate::worker::action::systemd::facts;
use crate::worker::action::systemd::fault::FAILED;
use crate::worker::action::systemd::fault::MASKED;
use crate::worker::action::systemd::fault::NO_SUCH_UNIT;
use crate::worker::action::systemd::fault::NOT_ACTIVE;
use crate::worker::action::systemd::fault::NOT_INSTALLABLE;
use crate::worker::action::systemd::fault::fault;
use crate::worker::action::systemd::unit::Manager;
use crate::worker::action::systemd::unit::UnitState;
use crate::worker::action::systemd::unit::full_name;
use crate::worker::action::systemd::unit::not_as_asked;

const TIMEOUT_SECONDS: f64 = 120.0;

/// An action on a unit.
pub struct OnUnit {
    facts: &'static Facts,
    verb: Verb,
}

pub const DISABLE: OnUnit = OnUnit {
    facts: &facts::DISABLE,
    verb: Verb::Disable,
};
pub const ENABLE: OnUnit = OnUnit {
    facts: &facts::ENABLE,
    verb: Verb::Enable,
};
pub const RELOAD: OnUnit = OnUnit {
    facts: &facts::RELOAD,
    verb: Verb::Reload,
};
pub const RESTART: OnUnit = OnUnit {
    facts: &facts::RESTART,
    verb: Verb::Restart,
};
pub const START: OnUnit = OnUnit {
    facts: &facts::START,
    verb: Verb::Start,
};
pub const STATUS: OnUnit = OnUnit {
    facts: &facts::STATUS,
    verb: Verb::Status,
};
pub const STOP: OnUnit = OnUnit {
    facts: &facts::STOP,
    verb: Verb::Stop,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Disable,
    Enable,
    Reload,
    Restart,
    Start,
    Status,
    Stop,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    unit: String,
    timeout_seconds: Option<f64>,
}

impl Parameters {
    fn limit(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_seconds.unwrap_or(TIMEOUT_SECONDS))
    }
}

impl Verb {
    /// Tells what is to change of a unit, in a line; `None` if it is as asked.
    ///
    /// # Errors
    /// It cannot be so.
    fn change(self, state: &UnitState) -> Result<Option<String>, StatesError> {
        let unit = &state.unit;
        if self == Self::Status {
            return Ok(None);
        }
        let refuse = |name, sentence: &str| Err(fault(name, format!("The unit `{unit}` {sentence}.")));
        match (state.load_state.as_str(), state.unit_file_state.as_str()) {
            ("not-found", _) => return refuse(&NO_SUCH_UNIT, "is not there"),
            ("masked", _) | (_, "masked" | "masked-runtime") if !matches!(self, Self::Stop) => {
                return refuse(&MASKED, "is masked");
            }
            ("error" | "bad-setting", _) => return refuse(&NO_SUCH_UNIT, "has a file that systemd cannot read"),
            _ => {}
        }
        let kind = state.unit_file_state.as_str();
        Ok(match self {
            Self::Status => None,
            Self::Start => (!state.is_active()).then(|| format!("start {unit}")),
            Self::Stop => {
                (!matches!(state.active_state.as_str(), "inactive" | "failed")).then(|| format!("stop {unit}"))
            }
            Self::Restart => Some(format!("restart {unit}")),
            Self::Reload if state.is_active() => Some(format!("reload {unit}")),
            Self::Reload => return refuse(&NOT_ACTIVE, "does not run, so it cannot be reloaded"),
            Self::Enable if matches!(kind, "alias" | "generated" | "static" | "transient" | "") => {
                return refuse(&NOT_INSTALLABLE, &format!("cannot be enabled: its file is {kind:?}"));
            }
            Self::Enable => (!state.is_enabled()).then(|| format!("enable {unit}")),
            Self::Disable if matches!(kind, "enabled" | "enabled-runtime" | "linked" | "linked-runtime") => {
                Some(format!("disable {unit}"))
            }
            Self::Disable => None,
        })
    }

    async fn carry_out(self, manager: &Manager, unit: &str, limit: Duration) -> Result<(), StatesError> {
        match self {
            Self::Disable => manager.disable(unit).await,
            Self::Enable => manager.enable(unit).await,
            Self::Reload => manager.job("ReloadUnit", unit, limit).await,
            Self::Restart => manager.job("RestartUnit", unit, limit).await,
            Self::Start => manager.job("StartUnit", unit, limit).await,
            Self::Status => Ok(()),
            Self::Stop => manager.job("StopUnit", unit, limit).await,
        }
    }

    /// # Errors
    /// The unit is not as asked.
    fn verify(self, state: &UnitState) -> Result<(), StatesError> {
        let (is_so, wanted) = match self {
            Self::Disable => (!state.is_enabled(), "disabled"),
            Self::Enable => (state.is_enabled(), "enabled"),
            Self::Reload => (state.is_active(), "active"),
            Self::Restart | Self::Start => (state.has_started(), "active"),
            Self::Status => (true, ""),
            Self::Stop => (!state.is_active(), "inactive"),
        };
        match is_so {
            true => Ok(()),
            false => Err(not_as_asked(state, wanted)),
        }
    }
}

#[async_trait]
impl Action for OnUnit {
    fn facts(&self) -> &'static Facts {
        self.facts
    }

    fn locks(&self, parameters: &Value) -> Vec<String> {
        match self.verb {
            Verb::Status => Vec::new(),
            _ => vec![format!(
                "systemd:{}",
                full_name(parameters["Unit"].as_str().unwrap_or_default())
            )],
        }
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        let state = state(&parameters.unit, work).await?;
        Ok(Plan {
            changes: self.verb.change(&state)?.into_iter().collect(),
            result: json!(state),
        })
    }

    async fn save(&self, parameters: &Value, _directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        Ok(json!(state(&parameters.unit, work).await?))
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let Parameters { unit, .. } = action::read(parameters)?;
        let limit = action::read::<Parameters>(parameters)?.limit();
        let (verb, bus) = (self.verb, bus(work));
        let done = async {
            let manager = Manager::connect(&bus).await?;
            verb.carry_out(&manager, &unit, limit).await?;
            Ok(json!(manager.state(&unit).await?))
        };
        alive(work, done).await
    }

    async fn verify(&self, _parameters: &Value, result: &Value, _work: &mut Work<'_>) -> Result<(), StatesError> {
        self.verb.verify(&read_state(result)?)
    }

    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let before = read_state(&saved.before)?;
        let parameters: Parameters = action::read(&saved.parameters)?;
        let now = state(&parameters.unit, work).await?;
        let verb = match self.verb {
            Verb::Disable | Verb::Enable if before.is_enabled() => Verb::Enable,
            Verb::Disable | Verb::Enable => Verb::Disable,
            Verb::Restart | Verb::Start | Verb::Stop if before.is_active() => Verb::Start,
            Verb::Restart | Verb::Start | Verb::Stop => Verb::Stop,
            Verb::Reload | Verb::Status => return Ok(Value::Null),
        };
        if verb.change(&now)?.is_none() {
            return Ok(json!(now));
        }
        let bus = bus(work);
        let done = async {
            let manager = Manager::connect(&bus).await?;
            verb.carry_out(&manager, &parameters.unit, parameters.limit()).await?;
            let state = manager.state(&parameters.unit).await?;
            verb.verify(&state)?;
            Ok(json!(state))
        };
        alive(work, done).await
    }
}

fn bus(work: &Work<'_>) -> Bus {
    work.site.host.systemd.clone()
}

async fn state(unit: &str, work: &mut Work<'_>) -> Result<UnitState, StatesError> {
    let bus = bus(work);
    alive(work, async { Manager::connect(&bus).await?.state(unit).await }).await
}

fn read_state(value: &Value) -> Result<UnitState, StatesError> {
    UnitState::deserialize(value).map_err(|error| {
        let sentence = format!("What was kept of the unit cannot be read: {error}.");
        fault(&FAILED, sentence)
    })
}
