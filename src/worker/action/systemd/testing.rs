//! For tests: a systemd that only pretends to run its units, at a socket of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use tokio::net::UnixListener;
use zbus::Connection;
use zbus::Guid;
use zbus::ObjectPath;
use zbus::OwnedObjectPath;
use zbus::connection::Builder;
use zbus::fdo;
use zbus::interface;

const MANAGER_PATH: &str = "/org/freedesktop/systemd1";

#[derive(Clone, Debug)]
pub(in crate::worker::action) struct FakeUnit {
    pub(in crate::worker::action) load_state: &'static str,
    pub(in crate::worker::action) active_state: &'static str,
    pub(in crate::worker::action) file_state: &'static str,
    /// How its jobs end; `never` for those that do not.
    pub(in crate::worker::action) job_result: &'static str,
    /// What it is when a job to start it is done.
    pub(in crate::worker::action) started: &'static str,
    pub(in crate::worker::action) service_type: &'static str,
}

pub(in crate::worker::action) const STOPPED: FakeUnit = FakeUnit {
    load_state: "loaded",
    active_state: "inactive",
    file_state: "disabled",
    job_result: "done",
    started: "active",
    service_type: "simple",
};

#[derive(Debug, Default)]
pub(in crate::worker::action) struct World {
    pub(in crate::worker::action) units: BTreeMap<String, FakeUnit>,
    /// The calls that change something.
    pub(in crate::worker::action) calls: Vec<String>,
    n_jobs: u32,
}

#[derive(Clone, Debug, Default)]
pub(in crate::worker::action) struct FakeSystemd(Arc<Mutex<World>>);

impl FakeSystemd {
    /// Listens at a path until the runtime ends.
    pub(in crate::worker::action) fn start(path: &Path, units: &[(&str, FakeUnit)]) -> Self {
        let this = Self::default();
        this.world().units = units
            .iter()
            .map(|(name, unit)| ((*name).to_owned(), unit.clone()))
            .collect();
        let listener = UnixListener::bind(path).unwrap();
        let systemd = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let systemd = systemd.clone();
                tokio::spawn(async move {
                    let builder = Builder::unix_stream(stream.into_std().unwrap())
                        .p2p()
                        .server(Guid::generate());
                    let mut builder = builder.serve_at(MANAGER_PATH, ManagerObject(systemd.clone()));
                    let names: Vec<String> = systemd.world().units.keys().cloned().collect();
                    for name in names.into_iter().chain(["absent.service".to_owned()]) {
                        let path = unit_path(&name);
                        builder = builder
                            .serve_at(path.clone(), UnitObject(systemd.clone(), name.clone()))
                            .serve_at(path, ServiceObject(systemd.clone(), name));
                    }
                    let connection = builder.build().await.unwrap();
                    // Kept until the other side is gone.
                    connection.closed().await;
                });
            }
        });
        this
    }

    pub(in crate::worker::action) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    async fn job(&self, connection: &Connection, method: &str, name: &str) -> fdo::Result<OwnedObjectPath> {
        let (path, result, id) = {
            let mut world = self.world();
            world.calls.push(format!("{method} {name}"));
            world.n_jobs += 1;
            let id = world.n_jobs;
            let unit = world
                .units
                .get_mut(name)
                .ok_or_else(|| fdo::Error::FileNotFound("no unit".to_owned()))?;
            if unit.job_result == "done" {
                unit.active_state = match method {
                    "StopUnit" => "inactive",
                    _ => unit.started,
                };
            } else if unit.job_result == "failed" {
                unit.active_state = "failed";
            }
            let path = OwnedObjectPath::try_from(format!("{MANAGER_PATH}/job/{id}")).unwrap();
            (path, unit.job_result, id)
        };
        if result != "never" {
            // Others end, too, and this one before the call has its answer: both happen.
            let other = ObjectPath::try_from("/org/freedesktop/systemd1/job/0").unwrap();
            for (id, path, unit, result) in [
                (0, other, "other.service", "failed"),
                (id, path.as_ref().to_owned(), name, result),
            ] {
                connection
                    .emit_signal(
                        None::<()>,
                        MANAGER_PATH,
                        "org.freedesktop.systemd1.Manager",
                        "JobRemoved",
                        &(id, path, unit, result),
                    )
                    .await
                    .map_err(|error| fdo::Error::Failed(error.to_string()))?;
            }
        }
        Ok(path)
    }
}

fn unit_path(name: &str) -> String {
    let escaped = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("{MANAGER_PATH}/unit/{escaped}")
}

/// What enabling changes: `symlink` or `unlink`, the link, its target.
type Link = (String, String, String);

struct ManagerObject(FakeSystemd);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl ManagerObject {
    fn subscribe(&self) {}

    fn reload(&self) {}

    fn load_unit(&self, name: String) -> fdo::Result<OwnedObjectPath> {
        let name = match self.0.world().units.contains_key(&name) {
            true => name,
            false => "absent.service".to_owned(),
        };
        OwnedObjectPath::try_from(unit_path(&name)).map_err(|error| fdo::Error::Failed(error.to_string()))
    }

    async fn start_unit(
        &self,
        name: String,
        _mode: String,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<OwnedObjectPath> {
        self.0.job(connection, "StartUnit", &name).await
    }

    async fn stop_unit(
        &self,
        name: String,
        _mode: String,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<OwnedObjectPath> {
        self.0.job(connection, "StopUnit", &name).await
    }

    async fn restart_unit(
        &self,
        name: String,
        _mode: String,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<OwnedObjectPath> {
        self.0.job(connection, "RestartUnit", &name).await
    }

    async fn reload_unit(
        &self,
        name: String,
        _mode: String,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<OwnedObjectPath> {
        self.0.job(connection, "ReloadUnit", &name).await
    }

    fn enable_unit_files(&self, names: Vec<String>, _runtime: bool, _force: bool) -> fdo::Result<(bool, Vec<Link>)> {
        self.set_file_state("EnableUnitFiles", &names, "enabled")?;
        Ok((true, Vec::new()))
    }

    fn disable_unit_files(&self, names: Vec<String>, _runtime: bool) -> fdo::Result<Vec<Link>> {
        self.set_file_state("DisableUnitFiles", &names, "disabled")?;
        Ok(Vec::new())
    }
}

impl ManagerObject {
    fn set_file_state(&self, method: &str, names: &[String], state: &'static str) -> fdo::Result<()> {
        let mut world = self.0.world();
        world.calls.push(format!("{method} {}", names.join(" ")));
        for name in names {
            if name == "forbidden.service" {
                return Err(fdo::Error::AccessDenied("Permission denied".to_owned()));
            }
            if let Some(unit) = world.units.get_mut(name) {
                unit.file_state = state;
            }
        }
        Ok(())
    }
}

struct UnitObject(FakeSystemd, String);

impl UnitObject {
    fn field(&self, of: fn(&FakeUnit) -> &'static str, absent: &str) -> String {
        self.0.world().units.get(&self.1).map_or(absent, of).to_owned()
    }
}

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl UnitObject {
    #[zbus(property)]
    fn load_state(&self) -> String {
        self.field(|unit| unit.load_state, "not-found")
    }

    #[zbus(property)]
    fn active_state(&self) -> String {
        self.field(|unit| unit.active_state, "inactive")
    }

    #[zbus(property)]
    fn sub_state(&self) -> String {
        self.field(
            |unit| {
                if unit.active_state == "active" {
                    "running"
                } else {
                    "dead"
                }
            },
            "dead",
        )
    }

    #[zbus(property)]
    fn unit_file_state(&self) -> String {
        self.field(|unit| unit.file_state, "")
    }
}

struct ServiceObject(FakeSystemd, String);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl ServiceObject {
    #[zbus(property, name = "Type")]
    fn service_type(&self) -> String {
        self.0
            .world()
            .units
            .get(&self.1)
            .map_or("", |unit| unit.service_type)
            .to_owned()
    }
}
