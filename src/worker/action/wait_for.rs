//! `wait.for`: waits until something is so.

use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpStream;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::alive::alive;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;
use crate::worker::action::host::Host;
use crate::worker::action::http_request::exchange;
use crate::worker::action::http_request::exchange::Ask;
use crate::worker::action::http_request::exchange::Client;
use crate::worker::action::systemd::Bus;
use crate::worker::action::systemd::Manager;
use crate::worker::action::systemd::is_unit;

/// The first and the longest pause between two looks, and how it grows.
const PAUSE: (Duration, Duration, u32) = (Duration::from_millis(50), Duration::from_secs(2), 2);
/// How long one look may take.
const LOOK_TIME_MAX: Duration = Duration::from_secs(10);
const TIMEOUT_SECONDS: f64 = 300.0;
/// How much of a page is searched.
const PAGE_BYTES_MAX: usize = 1 << 20;

const INVALID_PARAMETERS: &str = "Wait.InvalidParameters";
/// It cannot be looked at.
const FAILED: &str = "Wait.Failed";
const TIMED_OUT: &str = "Wait.TimedOut";

static FACTS: Facts = Facts {
    name: "wait.for",
    summary: "Waits until a port is open, a file is there or gone, a unit is active or a page answers.",
    details: "It looks again and again, after 50 ms at first and every 2 s at last: that works for everything alike, \
              also where a file system tells nobody of its changes. While it waits, the task's heartbeat goes on.",
    parameters: &[
        Parameter::optional("Port", Kind::Integer(1, 65535), "A TCP port that takes connections."),
        Parameter::optional(
            "Host",
            Kind::Text,
            "Where `Port` is: a name or an address; this machine when it is not said.",
        ),
        Parameter::optional("Path", Kind::Path, "A file or directory."),
        Parameter::optional(
            "State",
            Kind::OneOf(&["absent", "present"]),
            "Whether `Path` is to be there; `present` when it is not said.",
        ),
        Parameter::optional(
            "Unit",
            Kind::Named("the name of a unit, such as `nginx` or `backup.timer`", is_unit),
            "A unit of systemd that is active.",
        ),
        Parameter::optional(
            "Url",
            Kind::Text,
            "A page that answers with a status code from 200 to 299.",
        ),
        Parameter::optional(
            "StatusCode",
            Kind::Integer(100, 599),
            "The status code that `Url` is to answer with.",
        ),
        Parameter::optional(
            "BodyText",
            Kind::Text,
            "A text that is to be in the first MiB of what `Url` answers.",
        ),
        Parameter::optional(
            "CaFile",
            Kind::Path,
            "Certificates (PEM) that are trusted besides the system's.",
        ),
        Parameter::optional(
            "TimeoutSeconds",
            Kind::Integer(1, 31_536_000),
            "How long it waits; 300 when it is not said.",
        ),
    ],
    one_of: &[&["Port", "Path", "Unit", "Url"]],
    result: &[
        Member {
            name: "Looks",
            doc: "How often it looked.",
        },
        Member {
            name: "WaitedSeconds",
            doc: "How long it waited.",
        },
    ],
    errors: &[
        ErrorName::lasting(
            FAILED,
            "It cannot be looked at, for example since this account may not.",
        ),
        ErrorName::lasting(INVALID_PARAMETERS, "The parameters are not as above."),
        ErrorName::passing(
            TIMED_OUT,
            "It was not so in `TimeoutSeconds`. The cause says what was so at last.",
        ),
        ErrorName::lasting("Http.InvalidParameters", "`Url` is none that can be asked."),
        ErrorName::lasting(
            "Http.CaFile",
            "`CaFile` cannot be read, or holds no certificate in PEM.",
        ),
    ],
    undo: None,
    example: r#"{ "Url": "http://localhost:8080/health", "BodyText": "ready", "TimeoutSeconds": 60 }"#,
};

/// The action.
pub struct WaitFor;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    port: Option<f64>,
    host: Option<String>,
    path: Option<PathBuf>,
    state: Option<String>,
    unit: Option<String>,
    url: Option<String>,
    status_code: Option<f64>,
    body_text: Option<String>,
    ca_file: Option<PathBuf>,
    timeout_seconds: Option<f64>,
}

/// What is waited for.
enum Condition {
    Path {
        path: PathBuf,
        is_there: bool,
    },
    Port {
        /// This machine, when it is not said.
        host: Option<String>,
        port: u16,
    },
    Unit {
        bus: Bus,
        unit: String,
    },
    Url {
        client: Client,
        ask: Box<Ask>,
        status: Option<u16>,
        text: Option<String>,
    },
}

/// What one look found.
enum Look {
    So,
    /// Not yet: what is so instead.
    NotYet(String),
}

impl Parameters {
    fn read(parameters: &Value) -> Result<Self, StatesError> {
        let parameters: Self = action::read(parameters)?;
        let given = [
            ("Host", parameters.host.is_some(), "Port", parameters.port.is_some()),
            ("State", parameters.state.is_some(), "Path", parameters.path.is_some()),
            (
                "StatusCode",
                parameters.status_code.is_some(),
                "Url",
                parameters.url.is_some(),
            ),
            (
                "BodyText",
                parameters.body_text.is_some(),
                "Url",
                parameters.url.is_some(),
            ),
            ("CaFile", parameters.ca_file.is_some(), "Url", parameters.url.is_some()),
        ];
        match given.into_iter().find(|(_, is_given, _, has)| *is_given && !has) {
            None => Ok(parameters),
            Some((name, _, needed, _)) => Err(StatesError::new(
                INVALID_PARAMETERS,
                format!("wait.for takes `{name}` only with `{needed}`."),
            )),
        }
    }

    async fn condition(&self, host: &Host) -> Result<Condition, StatesError> {
        if let Some(port) = self.port {
            return Ok(Condition::Port {
                host: self.host.clone(),
                port: port as u16,
            });
        }
        if let Some(path) = &self.path {
            return Ok(Condition::Path {
                path: path.clone(),
                is_there: self.state.as_deref() != Some("absent"),
            });
        }
        if let Some(unit) = &self.unit {
            return Ok(Condition::Unit {
                bus: host.systemd.clone(),
                unit: unit.clone(),
            });
        }
        Ok(Condition::Url {
            ask: Box::new(Ask {
                method: Method::GET,
                url: exchange::url(self.url.as_deref().unwrap_or_default(), FACTS.name)?,
                headers: HeaderMap::new(),
                body: None,
                redirects_max: if self.status_code.is_some() { 0 } else { 5 },
                body_bytes_max: PAGE_BYTES_MAX,
            }),
            client: Client::new(self.ca_file.clone()).await?,
            status: self.status_code.map(|status| status as u16),
            text: self.body_text.clone(),
        })
    }
}

impl Condition {
    fn shown(&self) -> String {
        match self {
            Self::Path { path, is_there: true } => format!("{} to be there", path.display()),
            Self::Path { path, is_there: false } => format!("{} to be gone", path.display()),
            Self::Port { host, port } => {
                let host = host.as_deref().unwrap_or("this machine");
                format!("port {port} of {host} to be open")
            }
            Self::Unit { unit, .. } => format!("the unit {unit} to be active"),
            Self::Url { ask, .. } => format!("{} to answer", exchange::shown(&ask.url)),
        }
    }

    async fn look(&self) -> Result<Look, StatesError> {
        match tokio::time::timeout(LOOK_TIME_MAX, self.look_once()).await {
            Ok(look) => look,
            Err(_) => Ok(Look::NotYet(format!(
                "it says nothing for {} seconds",
                LOOK_TIME_MAX.as_secs()
            ))),
        }
    }

    async fn look_once(&self) -> Result<Look, StatesError> {
        Ok(match self {
            Self::Path { path, is_there } => match metadata(path.clone()).await {
                Ok(_) if *is_there => Look::So,
                Ok(_) => Look::NotYet("it is there".to_owned()),
                Err(error) if is_absent(&error) => match is_there {
                    true => Look::NotYet("it is not there".to_owned()),
                    false => Look::So,
                },
                Err(error) => {
                    let sentence = format!("`{}` cannot be looked at: {error}.", path.display());
                    return Err(StatesError::new(FAILED, sentence));
                }
            },
            Self::Port { host, port } => match connect(host.as_deref(), *port).await {
                Ok(_) => Look::So,
                Err(error) => Look::NotYet(error.to_string()),
            },
            Self::Unit { bus, unit } => {
                let state = Manager::connect(bus).await?.state(unit).await?;
                match state.is_active() {
                    true => Look::So,
                    false => Look::NotYet(format!("it is {} ({})", state.active_state, state.sub_state)),
                }
            }
            Self::Url {
                client,
                ask,
                status,
                text,
            } => match client.send(Ask::clone(ask)).await {
                Err(error) => Look::NotYet(
                    error
                        .cause
                        .as_deref()
                        .unwrap_or("no answer")
                        .trim_end_matches('.')
                        .to_owned(),
                ),
                Ok(answer) => {
                    let code = answer.status.as_u16();
                    let is_status = status.map_or((200..300).contains(&code), |status| status == code);
                    let has_text = text.as_ref().is_none_or(|text| {
                        let text = text.as_bytes();
                        answer.body.windows(text.len()).any(|window| window == text)
                    });
                    match (is_status, has_text) {
                        (true, true) => Look::So,
                        (false, _) => Look::NotYet(format!("it answers with the status code {code}")),
                        (true, false) => Look::NotYet("its answer lacks the text".to_owned()),
                    }
                }
            },
        })
    }

    async fn wait(&self, seconds: f64) -> Result<Value, StatesError> {
        let begin = Instant::now();
        let limit = Duration::from_secs_f64(seconds);
        let (mut pause, longest, factor) = PAUSE;
        let mut looks: u64 = 0;
        loop {
            looks += 1;
            let left = limit.saturating_sub(begin.elapsed());
            let is = match self.look().await? {
                Look::So => return Ok(result(looks, begin.elapsed())),
                Look::NotYet(is) => is,
            };
            if left.is_zero() {
                let sentence = format!("Waited {seconds} seconds for {}: {is}.", self.shown());
                return Err(StatesError::new(TIMED_OUT, sentence));
            }
            tokio::time::sleep(pause.min(limit.saturating_sub(begin.elapsed()))).await;
            pause = (pause * factor).min(longest);
        }
    }
}

/// Connects; to this machine when no host is said, where `localhost` need not be known.
async fn connect(host: Option<&str>, port: u16) -> io::Result<TcpStream> {
    let here: [SocketAddr; 2] = [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    match host {
        Some(host) => TcpStream::connect((host, port)).await,
        None => TcpStream::connect(here.as_slice()).await,
    }
}

/// Where the file system may take its time.
async fn metadata(path: PathBuf) -> io::Result<std::fs::Metadata> {
    let looked = tokio::task::spawn_blocking(move || std::fs::metadata(path)).await;
    looked.map_err(io::Error::other).flatten()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn result(looks: u64, waited: Duration) -> Value {
    json!({ "Changed": false, "Looks": looks, "WaitedSeconds": waited.as_secs_f64() })
}

#[async_trait]
impl Action for WaitFor {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let parameters = Parameters::read(parameters)?;
        let host = &work.site.host;
        let looked = async {
            let condition = parameters.condition(host).await?;
            let look = condition.look().await?;
            Ok((condition.shown(), look))
        };
        let (shown, look) = alive(work, looked).await?;
        Ok(Plan {
            changes: match look {
                Look::So => Vec::new(),
                Look::NotYet(_) => vec![format!("wait for {shown}")],
            },
            result: result(1, Duration::ZERO),
        })
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let parameters = Parameters::read(parameters)?;
        let host = &work.site.host;
        let waited = async {
            let condition = parameters.condition(host).await?;
            condition
                .wait(parameters.timeout_seconds.unwrap_or(TIMEOUT_SECONDS))
                .await
        };
        alive(work, waited).await
    }

    async fn undo(&self, _saved: &Saved, _work: &mut Work<'_>) -> Result<Value, StatesError> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;

    use tokio::net::TcpListener;

    use super::*;
    use crate::worker::Message;
    use crate::worker::action::ActionSite;
    use crate::worker::action::http_request::testing::Server;
    use crate::worker::action::http_request::testing::response;
    use crate::worker::action::lock::Locks;
    use crate::worker::action::systemd::testing::FakeSystemd;
    use crate::worker::action::systemd::testing::STOPPED;
    use crate::worker::action::testing::Bench;
    use crate::worker::action::testing::Scratch;

    #[tokio::test]
    async fn what_is_so_is_not_waited_for() {
        let scratch = Scratch::new();
        let mut bench = Bench::new(&scratch);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server =
            Server::plain(|got| response(if got.path == "/teapot" { 418 } else { 200 }, &[], "all is ready")).await;
        let url = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);
        for parameters in [
            json!({"Port": port, "Host": "127.0.0.1"}),
            json!({"Port": port}),
            json!({"Path": scratch.path()}),
            json!({"Path": scratch.path().join("absent/x"), "State": "absent"}),
            json!({"Url": url("/"), "BodyText": "is ready"}),
            json!({"Url": url("/teapot"), "StatusCode": 418}),
        ] {
            let result = bench.run("wait.for", &parameters).await.unwrap();
            assert_eq!(
                (&result["Changed"], &result["Looks"]),
                (&json!(false), &json!(1)),
                "{parameters}"
            );
        }
        for (parameters, part) in [
            (json!({"Url": url("/teapot")}), "for http://127.0.0.1"),
            (
                json!({"Url": url("/"), "BodyText": "not so"}),
                "its answer lacks the text",
            ),
            (
                json!({"Path": scratch.path(), "State": "absent"}),
                "to be gone: it is there",
            ),
        ] {
            let mut parameters = parameters;
            parameters["TimeoutSeconds"] = json!(1);
            let error = bench.run("wait.for", &parameters).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(TIMED_OUT));
            let cause = error.cause.unwrap();
            assert!(
                cause.starts_with("Waited 1 seconds for ") && cause.contains(part),
                "{cause}"
            );
        }
    }

    #[tokio::test]
    async fn it_looks_until_it_is_so() {
        static IS_READY: AtomicBool = AtomicBool::new(false);
        let scratch = Scratch::new();
        let mut bench = Bench::new(&scratch);
        // The second look finds it.
        let server = Server::plain(|_| match IS_READY.swap(true, Ordering::SeqCst) {
            true => response(200, &[], ""),
            false => response(503, &[], ""),
        })
        .await;
        let url = format!("http://127.0.0.1:{}/", server.port);
        let result = bench.run("wait.for", &json!({ "Url": url })).await.unwrap();
        assert_eq!(result["Changed"], json!(false));
        assert!(IS_READY.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_unit_is_waited_for() {
        let scratch = Scratch::new();
        let path = scratch.path().join("systemd");
        let systemd = FakeSystemd::start(&path, &[("u.service", STOPPED)]);
        let mut bench = Bench::with(ActionSite {
            host: Host {
                systemd: Bus::Peer(path),
                ..Host::default()
            },
            locks: Locks::in_directory(scratch.path().join("locks")),
            ..ActionSite::default()
        });
        let parameters = json!({ "Unit": "u", "TimeoutSeconds": 1 });
        let error = bench.run("wait.for", &parameters).await.unwrap_err();
        assert_eq!(
            error.cause.as_deref(),
            Some("Waited 1 seconds for the unit u to be active: it is inactive (dead).")
        );
        systemd.world().units.get_mut("u.service").unwrap().active_state = "active";
        bench.run("wait.for", &parameters).await.unwrap();
    }

    #[tokio::test]
    async fn it_gives_signs_of_life() {
        let scratch = Scratch::new();
        let mut bench = Bench::new(&scratch);
        let parameters = json!({ "Path": scratch.path().join("never"), "TimeoutSeconds": 2 });
        bench.run("wait.for", &parameters).await.unwrap_err();
        let mut n_messages = 0;
        while let Ok(message) = bench.told.try_recv() {
            assert!(matches!(message, Message::Event { .. }));
            n_messages += 1;
        }
        assert!(1 <= n_messages);
    }

    #[tokio::test]
    async fn parameters_are_read_strictly() {
        let scratch = Scratch::new();
        let mut bench = Bench::new(&scratch);
        for (parameters, name) in [
            (json!({}), INVALID_PARAMETERS),
            (json!({"Port": 1, "Path": "/"}), INVALID_PARAMETERS),
            (json!({"Port": 0}), INVALID_PARAMETERS),
            (json!({"Path": "/", "Host": "h"}), INVALID_PARAMETERS),
            (json!({"Port": 1, "BodyText": "x"}), INVALID_PARAMETERS),
            (json!({"Url": "file:///etc/passwd"}), "Http.InvalidParameters"),
        ] {
            let error = bench.run("wait.for", &parameters).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(name), "{parameters}");
        }
    }

    #[tokio::test]
    async fn a_plan_looks_once() {
        let mut bench = Bench::planning();
        for path in ["/", "/absent.of.wait.for"] {
            bench.run("wait.for", &json!({ "Path": path })).await.unwrap();
        }
        let plans: Vec<_> = bench.actions().plans().into_iter().map(|plan| plan.changes).collect();
        assert_eq!(
            plans,
            [vec![], vec!["wait for /absent.of.wait.for to be there".to_owned()]]
        );
    }
}
