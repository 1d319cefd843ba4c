//! Units and what systemd does with them.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use serde::Deserialize;
use serde::Serialize;
use zbus::Connection;
use zbus::OwnedObjectPath;
use zbus::Proxy;
use zbus::proxy::CacheProperties;

use crate::model::states_error::StatesError;
use crate::worker::action::systemd::Bus;
use crate::worker::action::systemd::fault::FAILED;
use crate::worker::action::systemd::fault::JOB_FAILED;
use crate::worker::action::systemd::fault::NOT_AVAILABLE;
use crate::worker::action::systemd::fault::NOT_INSTALLABLE;
use crate::worker::action::systemd::fault::TIMED_OUT;
use crate::worker::action::systemd::fault::fault;
use crate::worker::action::systemd::fault::of_bus;

const DESTINATION: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// What systemd itself takes.
const NAME_BYTES_MAX: usize = 255;
const SUFFIXES: &[&str] = &[
    ".automount",
    ".device",
    ".mount",
    ".path",
    ".scope",
    ".service",
    ".slice",
    ".socket",
    ".swap",
    ".target",
    ".timer",
];

/// Tells whether a text can name a unit: systemd's own characters, no path, no option.
pub(in crate::worker::action) fn is_unit(text: &str) -> bool {
    let is_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '\\' | '@' | '-');
    // `-.mount` and `-.slice` are the only units that begin so.
    let begins = !text.starts_with(['-', '.', '@']) || matches!(text, "-.mount" | "-.slice");
    !text.is_empty() && full_name(text).len() <= NAME_BYTES_MAX && begins && text.chars().all(is_ours)
}

/// The name with its suffix: a service when none is said.
pub(super) fn full_name(text: &str) -> String {
    match SUFFIXES.iter().any(|suffix| text.ends_with(suffix)) {
        true => text.to_owned(),
        false => format!("{text}.service"),
    }
}

/// How a unit is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::worker::action) struct UnitState {
    pub(in crate::worker::action) unit: String,
    pub(in crate::worker::action) load_state: String,
    pub(in crate::worker::action) active_state: String,
    pub(in crate::worker::action) sub_state: String,
    pub(in crate::worker::action) unit_file_state: String,
    /// Of a service, such as `simple` or `oneshot`; empty for other units and for one that is not there.
    pub(in crate::worker::action) r#type: String,
}

impl UnitState {
    pub(in crate::worker::action) fn is_active(&self) -> bool {
        matches!(self.active_state.as_str(), "active" | "reloading")
    }

    /// Tells whether it has been started well: a service of the kind `oneshot` has ended then.
    pub(super) fn has_started(&self) -> bool {
        self.is_active() || (self.active_state == "inactive" && self.r#type == "oneshot")
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.unit_file_state == "enabled"
    }
}

/// systemd.
pub(in crate::worker::action) struct Manager {
    connection: Connection,
}

impl Manager {
    pub(in crate::worker::action) async fn connect(bus: &Bus) -> Result<Self, StatesError> {
        let connection = bus.connect().await?;
        Ok(Self { connection })
    }

    async fn proxy<'a>(&self, path: &'a str, interface: &'a str) -> zbus::Result<Proxy<'a>> {
        zbus::proxy::Builder::<Proxy<'_>>::new(&self.connection)
            .destination(DESTINATION)
            .path(path)
            .interface(interface)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }

    /// Looks how a unit is; `LoadState` is `not-found` when there is none.
    pub(in crate::worker::action) async fn state(&self, unit: &str) -> Result<UnitState, StatesError> {
        let unit = full_name(unit);
        let looked = async {
            let manager = self.proxy(MANAGER_PATH, MANAGER).await?;
            let path: OwnedObjectPath = manager.call("LoadUnit", &(unit.as_str(),)).await?;
            let proxy = self.proxy(path.as_str(), UNIT).await?;
            let load_state: String = proxy.get_property("LoadState").await?;
            let r#type = match unit.ends_with(".service") && load_state == "loaded" {
                true => self.proxy(path.as_str(), SERVICE).await?.get_property("Type").await?,
                false => String::new(),
            };
            Ok(UnitState {
                load_state,
                r#type,
                active_state: proxy.get_property("ActiveState").await?,
                sub_state: proxy.get_property("SubState").await?,
                unit_file_state: proxy.get_property("UnitFileState").await?,
                unit: unit.clone(),
            })
        };
        looked.await.map_err(|error| of_bus(&error, &unit))
    }

    /// Has systemd do a job, such as `StartUnit`, and waits until it is done.
    pub(super) async fn job(&self, method: &str, unit: &str, limit: Duration) -> Result<(), StatesError> {
        let unit = full_name(unit);
        let result = tokio::time::timeout(limit, self.job_result(method, &unit)).await;
        let result = result.map_err(|_| {
            let sentence = format!("{method} of `{unit}` is not done after {} seconds.", limit.as_secs());
            fault(&TIMED_OUT, sentence)
        })?;
        match result.map_err(|error| of_bus(&error, &unit))?.as_deref() {
            Some("done") => Ok(()),
            Some(result) => {
                let state = self.state(&unit).await?;
                Err(fault(
                    &JOB_FAILED,
                    format!(
                        "{method} of `{unit}` ended with `{result}`; the unit is {} ({}).",
                        state.active_state, state.sub_state
                    ),
                ))
            }
            None => Err(fault(
                &NOT_AVAILABLE,
                "The connection to systemd broke off during a job.",
            )),
        }
    }

    async fn job_result(&self, method: &str, unit: &str) -> zbus::Result<Option<String>> {
        let manager = self.proxy(MANAGER_PATH, MANAGER).await?;
        // Before the job is there, so that its end cannot be missed.
        let mut removed = manager.receive_signal("JobRemoved").await?;
        manager.call::<_, _, ()>("Subscribe", &()).await?;
        let job: OwnedObjectPath = manager.call(method, &(unit, "replace")).await?;
        while let Some(message) = poll_fn(|cx| Pin::new(&mut removed).poll_next(cx)).await {
            let body = message.body();
            let (_, path, _, result): (u32, OwnedObjectPath, String, String) = body.deserialize()?;
            if path == job {
                return Ok(Some(result));
            }
        }
        Ok(None)
    }

    /// Has a unit started at boot.
    pub(super) async fn enable(&self, unit: &str) -> Result<(), StatesError> {
        let unit = full_name(unit);
        let enabled = async {
            let manager = self.proxy(MANAGER_PATH, MANAGER).await?;
            let (has_install, _): (bool, Vec<(String, String, String)>) = manager
                .call("EnableUnitFiles", &(vec![unit.as_str()], false, false))
                .await?;
            manager.call::<_, _, ()>("Reload", &()).await?;
            Ok(has_install)
        };
        match enabled.await.map_err(|error| of_bus(&error, &unit))? {
            true => Ok(()),
            false => Err(fault(
                &NOT_INSTALLABLE,
                format!("The file of `{unit}` has no section [Install], so it cannot be enabled."),
            )),
        }
    }

    /// Has a unit not started at boot.
    pub(super) async fn disable(&self, unit: &str) -> Result<(), StatesError> {
        let unit = full_name(unit);
        let disabled = async {
            let manager = self.proxy(MANAGER_PATH, MANAGER).await?;
            let _: Vec<(String, String, String)> =
                manager.call("DisableUnitFiles", &(vec![unit.as_str()], false)).await?;
            manager.call::<_, _, ()>("Reload", &()).await
        };
        disabled.await.map_err(|error| of_bus(&error, &unit))
    }
}

/// A unit that is neither as it was nor as asked.
pub(super) fn not_as_asked(state: &UnitState, wanted: &str) -> StatesError {
    let UnitState {
        unit,
        active_state,
        sub_state,
        unit_file_state,
        ..
    } = state;
    let name = if wanted.contains("abled") { &FAILED } else { &JOB_FAILED };
    fault(
        name,
        format!("`{unit}` is to be {wanted}, but is {active_state} ({sub_state}), its file {unit_file_state:?}."),
    )
}
