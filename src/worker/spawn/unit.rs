//! Rung 1: one transient scope of systemd for each task.
//!
//! A scope and no service, because the variables of a service are properties that every user of the machine can read
//! over D-Bus, and because a scope's process is a child of this one: its account is taken and verified here, and its
//! status comes from the kernel. systemd makes the control group, shows it (`systemd-cgls`), and ends what is in it
//! when the unit of this process is gone.

use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use rustix::pipe::PipeFlags;
use tokio::runtime::Runtime;
use zbus::Connection;
use zbus::OwnedObjectPath;
use zbus::Variant;
use zbus::connection::Builder;

use crate::worker::spawn::cgroup;
use crate::worker::spawn::cgroup::Group;
use crate::worker::spawn::fork;
use crate::worker::spawn::fork::Forked;
use crate::worker::spawn::fork::Fresh;
use crate::worker::spawn::kin;
use crate::worker::spawn::server::GRACE;

const DESTINATION: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// Where all tasks are in systemd's tree.
const SLICE: &str = "stepfn.slice";
/// How long systemd may take for one task. Meanwhile nothing else is done here.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks whether systemd has done it, at first.
const PAUSE: Duration = Duration::from_micros(200);
/// From this pause on systemd is asked whether it still means to.
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// A description may be as long as a line.
const DESCRIPTION_CHARS_MAX: usize = 200;

/// The scopes of one `spawnd`.
#[derive(Debug)]
pub struct Units {
    runtime: Runtime,
    /// The way to systemd. No signal is asked for: nobody would read them between two calls.
    connection: Option<Connection>,
    /// How the names begin.
    prefix: String,
    next: u64,
    /// The unit that this process is in: its scopes end with it, and not before it.
    own: Option<String>,
}

impl Units {
    /// Goes to systemd, tries a scope, and ends what dead ones left; tells how many scopes that were.
    ///
    /// # Errors
    /// What is missing: a fragment of a sentence.
    pub fn make(is_root: bool) -> Result<(Self, usize), String> {
        if !Path::new("/run/systemd/system").is_dir() {
            return Err("systemd does not run here".to_owned());
        }
        if !is_root {
            return Err("it is not root".to_owned());
        }
        // In a container that borrows the bus of its host a process id would mean another process there.
        match std::fs::read_to_string("/proc/1/comm") {
            Ok(name) if name.trim() == "systemd" => {}
            _ => return Err("systemd is not the first process here".to_owned()),
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("systemd cannot be waited for: {error}"))?;
        let pid = own();
        let start = kin::process(pid).map_or(0, |process| process.start);
        let mut units = Self {
            runtime,
            connection: None,
            prefix: cgroup::prefix(pid, start),
            next: 0,
            own: None,
        };
        let own = units.ask(|connection| Box::pin(own_unit(connection)))?;
        units.own = own.filter(|name| name.ends_with(".service") || (name.ends_with(".scope") && name != "init.scope"));
        let n_leftovers = units.probe()?;
        Ok((units, n_leftovers))
    }

    /// Has systemd put a process into a scope of its own.
    ///
    /// # Errors
    /// It does not: a fragment of a sentence.
    pub fn place(&mut self, pid: i32, description: &str) -> Result<Group, String> {
        self.next += 1;
        let name = format!("{}-{}.scope", self.prefix, self.next);
        let description: String = description.chars().take(DESCRIPTION_CHARS_MAX).collect();
        let own = self.own.clone();
        self.ask(|connection| {
            let (name, description, own) = (name.clone(), description.clone(), own.clone());
            Box::pin(async move { start(connection, &name, pid, &description, own.as_deref()).await })
        })?;
        Group::of_scope(pid, &name)
    }

    /// Asks systemd, on a new connection if there is none, or the last one has ended without an answer.
    fn ask<T>(&mut self, question: impl for<'a> Fn(&'a Connection) -> Asked<'a, T>) -> Result<T, String> {
        for is_last in [self.connection.is_none(), true] {
            let connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.runtime.block_on(in_time(connect()))?,
            };
            match self.runtime.block_on(in_time(question(&connection))) {
                Err(_) if !is_last => {}
                answer => {
                    self.connection = answer.is_ok().then_some(connection);
                    return answer;
                }
            }
        }
        Err("systemd does not answer".to_owned())
    }

    /// Tries a scope: that systemd answers does not say that it can hold a process of ours.
    fn probe(&mut self) -> Result<usize, String> {
        let failed = |error: std::io::Error| format!("a process cannot be made for a unit: {error}");
        let gate = Gate::new().map_err(failed)?;
        let pid = match fork::fork(None, Fresh::default()) {
            Ok(Forked::Child(_)) => fork::exit(i32::from(!gate.wait())),
            Ok(Forked::Parent(pid)) => pid,
            Err(error) => return Err(failed(error)),
        };
        let placed = self.place(
            pid.as_raw_nonzero().get(),
            "stepfn looks whether systemd can hold its tasks",
        );
        let placed = placed.and_then(|group| gate.open().map(|()| group).map_err(failed));
        let ended = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        let group = placed?;
        match ended {
            Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(group.end_dead_scopes()),
            _ => Err("a process in a unit did not end as it should".to_owned()),
        }
    }
}

/// What holds a new process until it is in its scope.
#[derive(Debug)]
pub struct Gate {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Gate {
    /// Makes one, closed.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> std::io::Result<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self { reader, writer })
    }

    /// Lets the process go.
    ///
    /// # Errors
    /// The system's.
    pub fn open(self) -> std::io::Result<()> {
        rustix::io::write(self.writer.as_fd(), b"1")?;
        Ok(())
    }

    /// Waits in the process; false if it must not go on.
    pub fn wait(self) -> bool {
        let Self { reader, writer } = self;
        // The end must be seen when the other process gives up or dies.
        drop(writer);
        let mut byte = [0];
        loop {
            match rustix::io::read(&reader, &mut byte) {
                Err(rustix::io::Errno::INTR) => {}
                read => return read.is_ok_and(|length| length == 1),
            }
        }
    }
}

type Asked<'a, T> = Pin<Box<dyn Future<Output = zbus::Result<T>> + 'a>>;

async fn in_time<T>(asked: impl Future<Output = zbus::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(TIME_MAX, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("systemd refuses it: {error}")),
        Err(_) => Err(format!("systemd did not do it in {} seconds", TIME_MAX.as_secs())),
    }
}

/// systemd's own socket for root is no way: the sender that it names there is none that the library takes.
async fn connect() -> zbus::Result<Connection> {
    Builder::system().build().await
}

async fn call<B>(connection: &Connection, method: &str, body: &B) -> zbus::Result<zbus::Message>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    connection
        .call_method(Some(DESTINATION), MANAGER_PATH, Some(MANAGER), method, body)
        .await
}

/// Returns the unit that this process is in, if systemd has put it into one.
async fn own_unit(connection: &Connection) -> zbus::Result<Option<String>> {
    let found = call(connection, "GetUnitByPID", &(std::process::id(),)).await;
    let path: OwnedObjectPath = match found {
        Ok(reply) => reply.body().deserialize()?,
        Err(zbus::Error::MethodError(..)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let reply = connection
        .call_method(Some(DESTINATION), &path, Some(PROPERTIES), "Get", &(UNIT, "Id"))
        .await?;
    let id: zbus::OwnedVariant = reply.body().deserialize()?;
    Ok(Some(String::try_from(id)?))
}

/// Starts a scope and waits until the process is in it.
async fn start(
    connection: &Connection,
    name: &str,
    pid: i32,
    description: &str,
    own: Option<&str>,
) -> zbus::Result<()> {
    let grace = u64::try_from(GRACE.as_micros()).unwrap_or(u64::MAX);
    let mut properties = vec![
        ("Description", Variant::from(description)),
        ("Slice", Variant::from(SLICE)),
        ("PIDs", Variant::from(vec![pid.cast_unsigned()])),
        // Nothing of it stays when it has ended, however it did.
        ("CollectMode", Variant::from("inactive-or-failed")),
        // For when systemd ends it: with the unit below, or for whoever asks `systemctl stop`.
        ("TimeoutStopUSec", Variant::from(grace)),
    ];
    if let Some(own) = own {
        properties.push(("BindsTo", Variant::from(vec![own])));
        // What is before another unit is stopped after it: first the engine, so that it does not take the end of a task
        // for the task's own.
        properties.push(("Before", Variant::from(vec![own])));
    }
    let auxiliary: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
    call(connection, "StartTransientUnit", &(name, "fail", properties, auxiliary)).await?;
    // The answer only says that there is a job.
    let mut pause = PAUSE;
    while !cgroup::is_in(pid, name) {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        if pause == PAUSE_MAX {
            // It is forgotten when the job has failed.
            call(connection, "GetUnit", &(name,)).await?;
        }
    }
    Ok(())
}

fn own() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
