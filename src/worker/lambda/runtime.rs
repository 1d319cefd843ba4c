//! Which program runs a function's handler.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::worker::lambda::function::ProcessFunction;

/// The runtime for Node, which asks for work and calls the handler.
const NODE_BOOTSTRAP: &str = include_str!("node_bootstrap.mjs");

/// What runs a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Node with the runtime of this program. The name as it was given, for example `nodejs22.x`.
    Node(String),
    /// `bootstrap` in the code's directory: any program that speaks Lambda's Runtime API.
    Provided,
    /// Python with the package `awslambdaric`. The name as it was given, for example `python3.12`.
    Python(String),
}

impl std::str::FromStr for Runtime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let node = text.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x"));
        let python = text.strip_prefix("python3.");
        match text {
            "provided" | "provided.al2" | "provided.al2023" => Ok(Self::Provided),
            _ if node.is_some_and(is_number) => Ok(Self::Node(text.to_owned())),
            _ if python.is_some_and(is_number) => Ok(Self::Python(text.to_owned())),
            _ => Err(format!(
                "the runtime `{text}` cannot run here: `python3.N`, `nodejsN.x` and `provided` can"
            )),
        }
    }
}

impl Runtime {
    /// Returns the name as Lambda has it.
    pub fn name(&self) -> &str {
        match self {
            Self::Node(name) | Self::Python(name) => name,
            Self::Provided => "provided",
        }
    }

    /// Returns the program and its arguments.
    pub fn argv(&self, function: &ProcessFunction) -> Vec<OsString> {
        let program = |usual: &str| match &function.interpreter {
            Some(interpreter) => interpreter.clone().into_os_string(),
            None => usual.into(),
        };
        match self {
            Self::Node(_) => vec![
                program("node"),
                "--input-type=module".into(),
                "--eval".into(),
                NODE_BOOTSTRAP.into(),
            ],
            Self::Provided => vec![function.code.join("bootstrap").into_os_string()],
            Self::Python(name) => {
                // The version that was asked for, or else the machine's own.
                let usual = if is_program(name) { name } else { "python3" };
                vec![
                    program(usual),
                    "-m".into(),
                    "awslambdaric".into(),
                    function.handler.clone().into(),
                ]
            }
        }
    }

    /// Returns `AWS_EXECUTION_ENV`; a provided runtime has none.
    pub fn execution_environment(&self) -> Option<String> {
        match self {
            Self::Node(name) | Self::Python(name) => Some(format!("AWS_Lambda_{name}")),
            Self::Provided => None,
        }
    }

    /// Says what is missing when the process ended before it asked for work, as far as its last words tell.
    pub fn what_is_missing(&self, program: &str, last_words: &str) -> Option<String> {
        let is_python = matches!(self, Self::Python(_));
        (is_python && last_words.contains("No module named awslambdaric")).then(|| {
            format!(
                "The Python interpreter `{program}` lacks the package `awslambdaric`, which runs Lambda handlers. \
                 Install it with `{program} -m pip install awslambdaric`, or name an interpreter that has it with \
                 `interpreter`."
            )
        })
    }
}

fn is_program(name: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories)
        .map(|directory: PathBuf| directory.join(name))
        .any(|path| path.is_file())
}
