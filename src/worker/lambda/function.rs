//! Which functions are here: the table `lambda` of a mapping file.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::worker::lambda::endpoint::LambdaEndpoint;
use crate::worker::lambda::runtime::Runtime;

/// Longest time limit of a function, as in Lambda.
const TIMEOUT_SECONDS_MAX: u64 = 900;
/// How long Lambda lets a process prepare itself.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(10);
/// Most processes of one function.
const CONCURRENCY_MAX: usize = 100;
/// Variables that a function is told and cannot choose, as in Lambda.
const RESERVED: &[&str] = &[
    "_HANDLER",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    crate::worker::spawn::kin::MARK,
];

/// All functions by the name or ARN that the table gives them: `[lambda."NAME"]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Functions {
    table: BTreeMap<String, Function>,
}

/// Where a function is.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Entry")]
pub enum Function {
    /// A handler on this machine.
    Process(ProcessFunction),
    /// Behind an HTTP endpoint that speaks Lambda's `Invoke` operation.
    Endpoint(LambdaEndpoint),
}

/// A handler on this machine.
#[derive(Clone, Debug)]
pub struct ProcessFunction {
    /// What runs it.
    pub runtime: Runtime,
    /// Where the handler is, as Lambda writes it: `file.function`.
    pub handler: String,
    /// The directory of the code: the task root.
    pub code: PathBuf,
    /// The program of the runtime, when it is not the usual one.
    pub interpreter: Option<PathBuf>,
    /// The time limit of one invocation.
    pub timeout: Duration,
    /// What the function is told about its memory, in MB. Nothing enforces it.
    pub memory: u32,
    /// Variables besides those of Lambda.
    pub environment: BTreeMap<String, String>,
    /// How many invocations run at the same time; further ones wait.
    pub concurrency: usize,
    /// How long a process that does nothing is kept.
    pub idle: Duration,
    /// How long a process may take to ask for work, besides the time limit.
    pub begin_time_max: Duration,
}

/// The keys of one function.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    endpoint: Option<String>,
    runtime: Option<String>,
    handler: Option<String>,
    code: Option<PathBuf>,
    interpreter: Option<PathBuf>,
    timeout: Option<u64>,
    memory: Option<u32>,
    environment: Option<BTreeMap<String, String>>,
    concurrency: Option<usize>,
    idle: Option<u64>,
}

impl TryFrom<Entry> for Function {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        if let Some(endpoint) = &entry.endpoint {
            if entry.is_process() {
                return Err("a function has either `endpoint` or `runtime` with its keys, not both".to_owned());
            }
            let endpoint = endpoint
                .parse()
                .map_err(|why| format!("`endpoint` cannot be used: {why}"))?;
            return Ok(Self::Endpoint(endpoint));
        }
        let runtime = entry.runtime.ok_or("a function needs `runtime` or `endpoint`")?;
        let runtime: Runtime = runtime.parse()?;
        let handler = match entry.handler {
            Some(handler) if handler.contains('\0') => return Err("`handler` holds a NUL character".to_owned()),
            Some(handler) => handler,
            None if runtime == Runtime::Provided => String::new(),
            None => return Err("a function needs `handler`, for example \"app.handler\"".to_owned()),
        };
        if runtime != Runtime::Provided && !handler.contains('.') {
            return Err(format!("the handler `{handler}` is not `FILE.FUNCTION`"));
        }
        if runtime == Runtime::Provided && entry.interpreter.is_some() {
            return Err("`interpreter` has no meaning here: the program is `bootstrap` in `code`".to_owned());
        }
        let timeout = entry.timeout.unwrap_or(3);
        if !(1..=TIMEOUT_SECONDS_MAX).contains(&timeout) {
            return Err(format!(
                "`timeout` is {timeout}, but it is 1 to {TIMEOUT_SECONDS_MAX} seconds"
            ));
        }
        let memory = entry.memory.unwrap_or(128);
        if !(128..=10_240).contains(&memory) {
            return Err(format!("`memory` is {memory}, but it is 128 to 10240 MB"));
        }
        let concurrency = entry.concurrency.unwrap_or(8);
        if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
            return Err(format!(
                "`concurrency` is {concurrency}, but it is 1 to {CONCURRENCY_MAX}"
            ));
        }
        let environment = entry.environment.unwrap_or_default();
        for (name, value) in &environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(format!(
                    "the variable {name:?} of `environment` is none that a process can have"
                ));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(format!(
                    "the variable `{name}` is Lambda's own: `environment` cannot set it"
                ));
            }
        }
        Ok(Self::Process(ProcessFunction {
            runtime,
            handler,
            code: entry.code.unwrap_or_default(),
            interpreter: entry.interpreter,
            timeout: Duration::from_secs(timeout),
            memory,
            environment,
            concurrency,
            idle: Duration::from_secs(entry.idle.unwrap_or(300)),
            begin_time_max: BEGIN_TIME_MAX,
        }))
    }
}

impl Entry {
    fn is_process(&self) -> bool {
        self.runtime.is_some()
            || self.handler.is_some()
            || self.code.is_some()
            || self.interpreter.is_some()
            || self.timeout.is_some()
            || self.memory.is_some()
            || self.environment.is_some()
            || self.concurrency.is_some()
            || self.idle.is_some()
    }
}

impl Functions {
    /// Makes the paths absolute: they are relative to `directory`, where the file stands.
    pub fn in_directory(mut self, directory: &Path) -> Self {
        // A file that was named without a directory stands in the current one.
        let directory = std::path::absolute(Path::new(".").join(directory)).unwrap_or_else(|_| directory.to_owned());
        for function in self.table.values_mut() {
            if let Function::Process(process) = function {
                // Without `.` and a last `/`: functions see it, and error payloads show it.
                process.code = directory.join(&process.code).components().collect();
                // A program without a directory is looked for in PATH.
                process.interpreter = process
                    .interpreter
                    .take()
                    .map(|program| match program.components().count() {
                        1 => program,
                        _ => directory.join(program),
                    });
            }
        }
        self
    }

    /// Adds others; a key that is here already stays as it is.
    pub fn extend(&mut self, others: Self) {
        for (key, function) in others.table {
            self.table.entry(key).or_insert(function);
        }
    }

    /// Returns all keys, and says where each function is.
    pub fn describe(&self) -> impl Iterator<Item = (&str, String)> {
        self.table.iter().map(|(key, function)| {
            let place = match function {
                Function::Process(process) => format!("{} in {}", process.runtime.name(), process.code.display()),
                Function::Endpoint(endpoint) => endpoint.to_string(),
            };
            (key.as_str(), place)
        })
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns the function with its key: the table's key may be the ARN or the name, with or without the qualifier.
    /// The one that says more counts.
    pub fn find(&self, name: &FunctionName) -> Option<(&str, &Function)> {
        let found = |key: &str| self.table.get_key_value(key).map(|(key, found)| (key.as_str(), found));
        let qualified = |text: &str| format!("{text}:{}", name.qualifier.as_deref().unwrap_or_default());
        found(&qualified(&name.arn))
            .or_else(|| found(&qualified(&name.name)))
            .or_else(|| found(&name.arn))
            .or_else(|| found(&name.name))
    }
}

/// What a task calls a function, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionName {
    /// Its ARN without a qualifier.
    pub arn: String,
    /// Its name alone.
    pub name: String,
    /// The version or alias.
    pub qualifier: Option<String>,
}

impl FunctionName {
    /// Takes an ARN, a part of one (`ACCOUNT:function:NAME`) or a name apart, each with or without a qualifier.
    pub fn parse(text: &str, region: &str, account: &str) -> Self {
        let (head, rest) = match text.rsplit_once("function:") {
            Some((head, rest)) => (head, rest),
            None => ("", text),
        };
        let (name, qualifier) = match rest.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier.to_owned())),
            None => (rest, None),
        };
        let head = match head.trim_end_matches(':') {
            "" => format!("arn:aws:lambda:{region}:{account}"),
            account if !account.contains(':') => format!("arn:aws:lambda:{region}:{account}"),
            arn => arn.to_owned(),
        };
        Self {
            arn: format!("{head}:function:{name}"),
            name: name.to_owned(),
            qualifier,
        }
    }

    /// Returns the version that is executed: an alias cannot be told from the version it points to.
    pub fn executed_version(&self) -> &str {
        match self.qualifier.as_deref() {
            Some(version) if !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) => version,
            _ => "$LATEST",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Functions, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn functions_have_many_names() {
        let arn = "arn:aws:lambda:eu-west-1:210987654321:function:F";
        let here = "arn:aws:lambda:us-east-1:123456789012:function:F";
        for (text, expected, qualifier) in [
            ("F", here, None),
            ("F:1", here, Some("1")),
            ("123456789012:function:F", here, None),
            ("function:F:live", here, Some("live")),
            (arn, arn, None),
            (&format!("{arn}:live"), arn, Some("live")),
        ] {
            let name = FunctionName::parse(text, "us-east-1", "123456789012");
            let expected = FunctionName {
                arn: expected.to_owned(),
                name: "F".to_owned(),
                qualifier: qualifier.map(str::to_owned),
            };
            assert_eq!(name, expected, "{text}");
        }
    }

    #[test]
    fn the_key_that_says_more_counts() {
        let here = "arn:aws:lambda:us-east-1:123456789012:function:F";
        let text = format!(
            "[F]\nendpoint='http://a'\n['F:2']\nendpoint='http://b'\n['{here}']\nendpoint='http://c'\n\
             [G]\nendpoint='http://d'\n['{here}:live']\nendpoint='http://e'\n"
        );
        let functions = table(&text).unwrap();
        let found = |name: &str| {
            let name = FunctionName::parse(name, "us-east-1", "123456789012");
            functions.find(&name).map(|(key, _)| key.to_owned())
        };
        assert_eq!(found("F").as_deref(), Some(here));
        assert_eq!(found("F:1").as_deref(), Some(here));
        assert_eq!(found("F:2").as_deref(), Some("F:2"));
        assert_eq!(found("F:live"), Some(format!("{here}:live")));
        assert_eq!(
            found("arn:aws:lambda:eu-west-1:123456789012:function:G:1").as_deref(),
            Some("G")
        );
        assert_eq!(found("H"), None);
    }

    #[test]
    fn wrong_tables_say_what_is_wrong_and_where() {
        for (entry, expected) in [
            ("x = 1", "unknown field `x`"),
            ("timeout = 3", "a function needs `runtime` or `endpoint`"),
            ("runtime = 'java21'\nhandler = 'a.b'", "`java21` cannot run here"),
            ("runtime = 'python3.12'", "a function needs `handler`"),
            ("runtime = 'python3.12'\nhandler = 'app'", "is not `FILE.FUNCTION`"),
            (
                "runtime = 'python3.12'\nhandler = 'a.b'\ntimeout = 0",
                "1 to 900 seconds",
            ),
            (
                "runtime = 'python3.12'\nhandler = 'a.b'\ntimeout = 901",
                "1 to 900 seconds",
            ),
            (
                "runtime = 'python3.12'\nhandler = 'a.b'\nmemory = 64",
                "128 to 10240 MB",
            ),
            ("runtime = 'python3.12'\nhandler = 'a.b'\nconcurrency = 0", "1 to 100"),
            (
                "runtime = 'python3.12'\nhandler = 'a.b'\nenvironment = { _HANDLER = 'x' }",
                "Lambda's own",
            ),
            (
                "runtime = 'python3.12'\nhandler = 'a.b'\nenvironment = { 'A=' = 'x' }",
                "none that a process can have",
            ),
            (
                "runtime = 'provided'\ninterpreter = 'x'",
                "`interpreter` has no meaning",
            ),
            ("endpoint = 'https://h'", "only http:// endpoints"),
            ("endpoint = 'http://h'\nruntime = 'provided'", "not both"),
        ] {
            let message = table(&format!("[F]\nruntime = 'provided'\n[G]\n{entry}\n")).unwrap_err();
            assert!(message.contains(expected), "{entry}: {message}");
            assert!(message.contains("at line "), "{entry}: {message}");
        }
    }
}
