//! A client of a running server: AWS JSON over HTTP/1.1, by TCP or by a Unix socket.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::error::printable;

/// Where the server is.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// The server, by http:// or unix://
    #[arg(
        long,
        value_name = "URL",
        env = "AWS_ENDPOINT_URL",
        default_value = "http://127.0.0.1:8083"
    )]
    endpoint: String,
    /// The server's Unix socket, instead of --endpoint
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Server {
    /// Carries out an operation of the API.
    pub(crate) fn call(&self, operation: &str, request: &Value) -> Result<Value, CliError> {
        let body = request.to_string();
        let (mut stream, host) = self.connect()?;
        let broken = |error: std::io::Error| CliError::internal(format!("the server does not answer: {error}"));
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.0\r\n\
             x-amz-target: AWSStepFunctions.{operation}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).map_err(broken)?;
        stream.write_all(body.as_bytes()).map_err(broken)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(broken)?;
        read(&String::from_utf8_lossy(&answer))
    }

    /// Returns all pages of a list.
    pub(crate) fn list(&self, operation: &str, mut request: Value, member: &str) -> Result<Vec<Value>, CliError> {
        let mut all = Vec::new();
        loop {
            let mut page = self.call(operation, &request)?;
            if let Some(Value::Array(items)) = page.get_mut(member).map(Value::take) {
                all.extend(items);
            }
            match page.get_mut("nextToken").map(Value::take) {
                Some(token) if token.is_string() => request["nextToken"] = token,
                _ => return Ok(all),
            }
        }
    }

    /// Finds a state machine by its ARN or its name.
    pub(crate) fn machine(&self, name: &str) -> Result<Value, CliError> {
        if name.starts_with("arn:") {
            // What the server shows of a version or an alias is the machine's.
            let plain = name.split('#').next().unwrap_or_default();
            let unqualified: Vec<&str> = plain.splitn(8, ':').take(7).collect();
            return self.call(
                "DescribeStateMachine",
                &json!({ "stateMachineArn": unqualified.join(":") }),
            );
        }
        let machines = self.list("ListStateMachines", json!({}), "stateMachines")?;
        let found = machines.into_iter().find(|machine| text(machine, "name") == name);
        found.ok_or_else(|| {
            CliError::usage(format!("there is no state machine `{name}`")).hint("`stepfn ps` shows what there is")
        })
    }

    /// Finds an execution by its ARN, by `MACHINE:NAME`, or by a name that only one machine has.
    pub(crate) fn execution(&self, name: &str) -> Result<Value, CliError> {
        if name.starts_with("arn:") {
            return self.call("DescribeExecution", &json!({ "executionArn": name }));
        }
        let (machine, name) = match name.split_once(':') {
            Some((machine, name)) => (Some(machine), name),
            None => (None, name),
        };
        let mut found = Vec::new();
        for candidate in self.list("ListStateMachines", json!({}), "stateMachines")? {
            if text(&candidate, "type") != "STANDARD" || machine.is_some_and(|name| text(&candidate, "name") != name) {
                continue;
            }
            let arn = text(&candidate, "stateMachineArn").replacen(":stateMachine:", ":execution:", 1);
            // Most machines have no execution of that name.
            if let Ok(execution) = self.call("DescribeExecution", &json!({ "executionArn": format!("{arn}:{name}") })) {
                found.push(execution);
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(execution), true) => Ok(execution),
            (Some(_), false) => Err(
                CliError::usage(format!("several state machines have an execution `{name}`"))
                    .hint("name it as MACHINE:NAME, or by its ARN"),
            ),
            (None, _) => Err(CliError::usage(format!("there is no execution `{name}`"))
                .hint("EXPRESS executions can be seen only in the log of their machine")),
        }
    }

    fn connect(&self) -> Result<(Box<dyn Stream>, String), CliError> {
        let fails = |place: &str, error: std::io::Error| {
            CliError::usage(format!("there is no server at `{place}`: {error}"))
                .hint("start one with `stepfn serve`, or name it with --endpoint or --socket")
        };
        let named = self.endpoint.strip_prefix("unix://").map(Path::new);
        if let Some(path) = self.socket.as_deref().or(named) {
            let stream = UnixStream::connect(path).map_err(|error| fails(&path.display().to_string(), error))?;
            return Ok((Box::new(stream), "localhost".to_owned()));
        }
        let rest = self.endpoint.strip_prefix("http://").ok_or_else(|| {
            CliError::usage(format!("`{}` is not an address of a server here", self.endpoint))
                .hint("it looks like http://127.0.0.1:8083 or unix:///run/stepfn/stepfn.sock")
        })?;
        let host = rest.split('/').next().unwrap_or_default();
        let place = match host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
            _ => format!("{host}:80"),
        };
        let stream = TcpStream::connect(&place).map_err(|error| fails(&self.endpoint, error))?;
        Ok((Box::new(stream), host.to_owned()))
    }
}

/// Returns a text member, or nothing.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn read(answer: &str) -> Result<Value, CliError> {
    let strange = || CliError::internal("the server's answer is not that of Step Functions");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(strange)?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    let body: Value = serde_json::from_str(body).map_err(|_| strange())?;
    if status == "200" {
        return Ok(body);
    }
    let name = text(&body, "__type").rsplit('#').next().unwrap_or_default();
    let message = printable(text(&body, "message"));
    Err(match status.starts_with('4') {
        true => CliError::usage(format!("{name}: {message}")),
        false => CliError::internal(format!("{name}: {message}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_the_words_of_the_service() {
        let answer = |status: &str, body: &str| read(&format!("HTTP/1.1 {status}\r\nx: y\r\n\r\n{body}"));
        assert_eq!(answer("200 OK", "{}").unwrap(), json!({}));
        let told = |answer: Result<Value, CliError>| format!("{:?}", answer.unwrap_err());
        let refused = answer("400 Bad Request", r#"{"__type":"a.b#InvalidArn","message":"no\u001b"}"#);
        assert!(told(refused).contains("InvalidArn: no\u{fffd}"));
        assert!(told(answer("200 OK", "<html>")).contains("is not that of Step Functions"));
        assert!(told(read("junk")).contains("is not that of Step Functions"));
    }
}
