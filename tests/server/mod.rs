//! A server process of one test and a small HTTP client for it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test programs, each of which uses a part"
)]

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

/// A server that ends with its owner.
pub struct Server {
    pub child: Child,
    pub address: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Server {
    /// Starts `stepfn serve …` on a free port; the error is what it said when it did not serve.
    pub fn start(mut command: Command) -> Result<Self, String> {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self {
            child,
            address: String::new(),
            stderr,
        };
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if server.stderr.read_line(&mut line).unwrap() == 0 {
                return Err(said);
            }
            if let Some(address) = line.trim().strip_prefix("stepfn serves http://") {
                server.address = address.to_owned();
                return Ok(server);
            }
            said += &line;
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Waits for its end; returns the exit code and what it said.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL: nothing is put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection, made when it is needed.
pub struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            stream: None,
        }
    }

    /// Calls an operation. An error says nothing about whether it was carried out.
    pub fn call(&mut self, operation: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.send(operation, body)?;
        let answer = self.receive();
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    /// Calls an operation that must succeed.
    pub fn must(&mut self, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.call(operation, body).unwrap();
        assert_eq!(status, 200, "{operation} {body}: {answer}");
        answer
    }

    /// Calls an operation and hangs up before the answer.
    pub fn hang_up(&mut self, operation: &str, body: &Value) -> io::Result<()> {
        let sent = self.send(operation, body);
        self.stream = None;
        sent
    }

    fn send(&mut self, operation: &str, body: &Value) -> io::Result<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                self.stream.insert(BufReader::new(stream))
            }
        };
        let body = body.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: AWSStepFunctions.{operation}\r\n\
             content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let sent = stream.get_mut().write_all(request.as_bytes());
        if sent.is_err() {
            self.stream = None;
        }
        sent
    }

    fn receive(&mut self) -> io::Result<(u16, Value)> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap();
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((status, serde_json::from_slice(&body)?))
    }
}
