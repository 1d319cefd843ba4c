//! Carries out tasks, one kind per file.
//!
//! May import: `model`, `query`, `asl`, `kernel`. Must not: `engine`, `cli`. Invariants: the first row of
//! `WORKERS` that matches does the task; a task that is cancelled leaves no process behind; memory is bounded.
//! To add a kind of task: write a file with `matches` and `carry_out`, and list it in `WORKERS`.

pub mod action;
pub mod audited;
pub mod command;
pub mod configuration;
pub mod credential;
pub mod lambda;
pub mod mapping;
pub mod nursery;
pub mod output;
pub mod process;
pub mod secrets;
pub mod sfn;
pub mod spawn;
pub mod tokens;
pub mod unmapped;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::asl::definition::Pattern;
use crate::asl::definition::Resource;
use crate::audit::log::Audit;
use crate::identity::caller::Caller;
use crate::kernel::event::EventKind;
use crate::kernel::event::StartTask;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::secret::scrub::Scrubber;
use crate::worker::action::ActionSite;
use crate::worker::audited::Intent;
use crate::worker::credential::Credential;
use crate::worker::credential::Credentials;
use crate::worker::lambda::invoke::Lambdas;
use crate::worker::mapping::Mappings;
use crate::worker::nursery::Nursery;
use crate::worker::secrets::Hidden;
use crate::worker::sfn::StepFunctions;
use crate::worker::spawn::wire::Claim;
use crate::worker::spawn::wire::Ran;
use crate::worker::tokens::Tokens;

/// Longest output that is read with the quotas off.
const UNLIMITED_OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A task cannot run as the account that it should run as.
const IDENTITY_UNAVAILABLE: &str = "Debian.IdentityUnavailable";

/// One kind of task.
pub struct Worker {
    /// Its name, as the history's `workerName` shows it.
    pub name: &'static str,
    /// Tells whether it does this task.
    pub matches: fn(&Job) -> bool,
    /// Does it.
    pub carry_out: for<'a> fn(&'a Job, &'a Reports, &'a mut Cancel) -> Doing<'a>,
}

/// A task being done.
pub type Doing<'a> = Pin<Box<dyn Future<Output = Result<Payload, StatesError>> + Send + 'a>>;

/// All kinds; the first that matches does the task.
pub const WORKERS: &[Worker] = &[
    Worker {
        name: "command",
        matches: command::matches,
        carry_out: |job, reports, cancel| Box::pin(command::carry_out(job, reports, cancel)),
    },
    Worker {
        name: "debian",
        matches: action::carry_out::matches,
        carry_out: |job, reports, cancel| Box::pin(action::carry_out::carry_out(job, reports, cancel)),
    },
    Worker {
        name: "lambda",
        matches: lambda::invoke::matches,
        carry_out: |job, reports, cancel| Box::pin(lambda::invoke::carry_out(job, reports, cancel)),
    },
    Worker {
        name: "step-functions",
        matches: sfn::matches,
        carry_out: |job, reports, cancel| Box::pin(sfn::carry_out(job, reports, cancel)),
    },
    Worker {
        name: "unmapped",
        matches: |_| true,
        carry_out: |job, _, _| Box::pin(std::future::ready(Err(unmapped::error(job)))),
    },
];

/// One attempt of a task, with all that a worker needs to know.
pub struct Job {
    /// The attempt.
    pub task: StartTask,
    /// The ARN of its execution.
    pub execution_arn: Arc<str>,
    /// The ARN of the execution whose Map Run its execution is a child of, if it is one.
    pub parent_arn: Option<Arc<str>>,
    /// The role of its state machine; empty when it has none.
    pub role_arn: Arc<str>,
    /// The name of its state machine.
    pub state_machine: Arc<str>,
    /// The ARN of its state machine.
    pub machine_arn: Arc<str>,
    /// The SHA-256 of its definition, where it is known.
    pub definition: Option<Arc<str>>,
    /// Who started its execution, where that is known.
    pub started_by: Option<Arc<Principal>>,
    /// Its parsed resource.
    pub resource: Resource,
    /// Which quotas hold.
    pub quotas: Quotas,
    /// What all tasks share.
    pub site: Arc<Site>,
}

/// What all tasks of one run share.
pub struct Site {
    /// Which resources local commands stand for.
    pub mappings: Mappings,
    /// What actions on this machine share.
    pub actions: ActionSite,
    /// The processes of all tasks.
    pub nursery: Arc<Nursery>,
    /// Where it is recorded what is done.
    pub audit: Option<Arc<Audit>>,
    /// The region of names that are not ARNs.
    pub region: Arc<str>,
    /// The account of names that are not ARNs.
    pub account: Arc<str>,
    /// Outside workers can answer by task token: a callback task then waits for one.
    pub has_callbacks: bool,
    /// The Step Functions service, when it is here.
    pub sfn: OnceLock<Arc<dyn StepFunctions>>,
    /// The Lambda functions that no command stands for.
    pub lambdas: Lambdas,
    /// The tokens that states are granted.
    pub tokens: Option<Tokens>,
}

impl Site {
    /// Makes a site where only this machine's actions can be done.
    pub fn of_actions(actions: ActionSite) -> Self {
        Self {
            mappings: Mappings::default(),
            actions,
            nursery: Arc::default(),
            audit: None,
            region: Arc::from("us-east-1"),
            account: Arc::from("123456789012"),
            has_callbacks: false,
            sfn: OnceLock::new(),
            lambdas: Lambdas::default(),
            tokens: None,
        }
    }
}

impl Job {
    /// Returns for whom its processes are started.
    pub fn claim(&self) -> Claim {
        Claim {
            role_arn: self.role_arn.to_string(),
            assumed_role_arn: self.task.role_arn.as_deref().map(str::to_owned),
            state_machine: self.state_machine.to_string(),
            state: self.task.state_name.to_string(),
        }
    }

    /// Returns in whose name it asks for something: who started its execution, through it, with its machine's role.
    pub fn asking(&self) -> Caller {
        let unknown = || Principal::new(PrincipalKind::Process, "stepfn");
        let starter = self.started_by.as_deref().cloned().unwrap_or_else(unknown);
        Caller {
            machine_role: Some(Arc::clone(&self.role_arn)),
            ..Caller::new(starter.through(&self.execution_arn))
        }
    }

    /// Returns the largest output that may be read, in bytes.
    pub fn output_bytes_max(&self) -> usize {
        match self.quotas {
            Quotas::Aws => PAYLOAD_BYTES_MAX,
            Quotas::Off => UNLIMITED_OUTPUT_BYTES_MAX,
        }
    }

    /// Returns AWS's error of a task whose result is too large.
    pub fn output_too_large(&self) -> StatesError {
        use crate::model::history_event::TaskFamily;
        let who = match &self.resource.family {
            TaskFamily::Integration { resource_type, .. } => resource_type,
            TaskFamily::Lambda | TaskFamily::Activity => &self.resource.arn,
        };
        StatesError::new(
            "States.DataLimitExceeded",
            format!(
                "The state/task '{who}' returned a result with a size exceeding the maximum number of bytes service \
                 limit."
            ),
        )
    }
}

/// What a worker tells while it works.
#[derive(Debug)]
pub enum Message {
    /// An event for the execution.
    Event {
        /// The execution's number in the engine.
        execution: u64,
        /// What happened.
        kind: EventKind,
    },
    /// A line that the task wrote for people.
    Log {
        /// The execution's number in the engine.
        execution: u64,
        /// The state's name.
        state: Arc<str>,
        /// The line.
        line: String,
    },
    /// The job is over and nothing of it is left.
    Over {
        /// The execution's number in the engine.
        execution: u64,
        /// Which task.
        task: TaskId,
        /// How its last process ran, for logs and audits.
        ran: Option<Ran>,
    },
}

/// The way of one task's reports to the engine.
#[derive(Clone)]
pub struct Reports {
    execution: u64,
    task: TaskId,
    state: Arc<str>,
    sender: mpsc::UnboundedSender<Message>,
    claim: Claim,
    identity: Arc<Mutex<Identity>>,
    credentials: Arc<Credentials>,
    hidden: Arc<Mutex<Hidden>>,
}

/// What is known of the account of a task's processes.
#[derive(Default)]
struct Identity {
    ran: Option<Ran>,
    refusal: Option<StatesError>,
}

impl Reports {
    /// Makes a way that leads nowhere but to those who read log lines, of work that no task asked for.
    pub fn of_nobody(state: &str, sender: mpsc::UnboundedSender<Message>) -> Self {
        Self {
            execution: 0,
            task: TaskId(0),
            state: Arc::from(state),
            sender,
            claim: Claim::default(),
            identity: Arc::default(),
            credentials: Arc::default(),
            hidden: Arc::default(),
        }
    }

    /// Makes the way of one task.
    pub fn new(execution: u64, job: &Job, sender: mpsc::UnboundedSender<Message>) -> Self {
        Self {
            execution,
            task: job.task.task,
            state: Arc::clone(&job.task.state_name),
            sender,
            claim: job.claim(),
            identity: Arc::default(),
            credentials: Arc::default(),
            hidden: Arc::default(),
        }
    }

    /// Makes the same way for work in the name of another task.
    pub fn in_the_name_of(&self, claim: Claim) -> Self {
        Self {
            execution: self.execution,
            task: self.task,
            state: Arc::clone(&self.state),
            sender: self.sender.clone(),
            claim,
            identity: Arc::default(),
            credentials: Arc::default(),
            hidden: Arc::default(),
        }
    }

    /// Takes the error of a process that could not run as whom it should.
    pub fn take_refusal(&self) -> Option<StatesError> {
        self.identity().refusal.take()
    }

    /// Returns for whom the task's processes are started.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Returns what the task's processes get to know.
    pub fn credentials(&self) -> Credentials {
        self.credentials.to_vec()
    }

    /// Returns one of them by its name.
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.name == name)
    }

    /// A process ran so.
    pub fn ran(&self, ran: Ran) {
        self.identity().ran = Some(ran);
    }

    /// A process could not run as whom it should: whatever the worker makes of it, the task fails with
    /// `Debian.IdentityUnavailable`. `why` is a fragment of a sentence.
    pub fn refused(&self, why: &str) {
        let cause = process::shorten(&format!("The task cannot run as whom it should: {why}."));
        self.identity().refusal = Some(StatesError::new(IDENTITY_UNAVAILABLE, cause));
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::worker) fn hidden(&self) -> MutexGuard<'_, Hidden> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what takes the secrets of the task out of what it gives.
    pub fn scrubber(&self) -> Arc<Scrubber> {
        self.hidden().scrubber()
    }

    /// Takes the secrets of the task out of a result.
    pub fn without_secrets(&self, result: Result<Payload, StatesError>) -> Result<Payload, StatesError> {
        let scrubber = self.scrubber();
        if scrubber.is_idle() {
            return result;
        }
        let text = |text: Option<String>| text.map(|text| scrubber.text(&text).into_owned());
        match result {
            Ok(payload) => {
                let mut value = payload.value().clone();
                scrubber.value(&mut value);
                Ok(Payload::new(value))
            }
            Err(error) => Err(StatesError {
                name: text(error.name),
                cause: text(error.cause),
            }),
        }
    }

    fn event(&self, kind: EventKind) {
        // The engine hangs up only when it no longer wants to know.
        let _ = self.sender.send(Message::Event {
            execution: self.execution,
            kind,
        });
    }

    /// The work began.
    pub fn started(&self, worker: &str) {
        self.event(EventKind::TaskStarted {
            task: self.task,
            worker_name: Some(Arc::from(worker)),
        });
    }

    /// The request of a `.sync` or `.waitForTaskToken` task was accepted.
    pub fn submitted(&self, output: Payload) {
        self.event(EventKind::TaskSubmitted {
            task: self.task,
            output,
        });
    }

    /// The work goes on.
    pub fn alive(&self) {
        self.event(EventKind::TaskHeartbeat { task: self.task });
    }

    /// The task said something to people.
    pub fn log(&self, line: String) {
        let _ = self.sender.send(Message::Log {
            execution: self.execution,
            state: Arc::clone(&self.state),
            line: self.scrubber().text(&line).into_owned(),
        });
    }
}

/// Tells a worker that its answer is not wanted any more.
pub struct Cancel(oneshot::Receiver<()>);

impl Cancel {
    /// Makes a pair: dropping the sender cancels, too.
    pub fn pair() -> (oneshot::Sender<()>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// Tells whether the task was cancelled.
    pub fn is_cancelled(&mut self) -> bool {
        !matches!(self.0.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    /// Waits until the task is cancelled.
    pub async fn cancelled(&mut self) {
        if !self.0.is_terminated() {
            let _ = (&mut self.0).await;
        }
    }
}

/// Returns the name in a state machine's ARN. A child of a Map Run has its parent's.
pub fn machine_name(arn: &str) -> Arc<str> {
    let name = arn.rsplit(':').next().unwrap_or_default();
    Arc::from(name.split('/').next().unwrap_or_default())
}

/// Tells whether nothing here does the task: an activity that workers outside poll for.
pub fn leaves_to_others(job: &Job) -> bool {
    let worker = WORKERS.iter().find(|worker| (worker.matches)(job));
    worker.is_none_or(|worker| worker.name == "unmapped")
}

/// Does one job from its first report to its last; nothing begins before its intent is on the disk.
pub async fn carry_out(
    job: Job,
    intent: Intent,
    execution: u64,
    sender: mpsc::UnboundedSender<Message>,
    mut cancel: Cancel,
) {
    let task = job.task.task;
    let mut reports = Reports::new(execution, &job, sender);
    let Some(worker) = WORKERS.iter().find(|worker| (worker.matches)(&job)) else {
        return;
    };
    if job.site.actions.planned.is_some() && worker.name != "debian" {
        // `States.ALL` must not catch it: the way on would be made up.
        let sentence = format!(
            "What `{}` gives is not known before it is done. Mock the state `{}` to plan what follows.",
            job.resource.arn, job.task.state_name
        );
        let error = StatesError::new("States.Runtime", sentence);
        reports.event(EventKind::TaskFailed { task, error });
        let ran = None;
        let _ = reports.sender.send(Message::Over { execution, task, ran });
        return;
    }
    match audited::settled(intent, &mut cancel).await {
        Some(Ok(())) => {}
        refused => {
            let error = refused.and_then(Result::err);
            job.note_result(
                Some(error.as_ref().unwrap_or(&StatesError::default())),
                None,
                error.is_none(),
            );
            if let Some(error) = error {
                reports.event(EventKind::TaskFailed { task, error });
            }
            let ran = None;
            let _ = reports.sender.send(Message::Over { execution, task, ran });
            return;
        }
    }
    reports.started(worker.name);
    let waits_for_token = job.resource.pattern == Pattern::WaitForTaskToken && job.site.has_callbacks;
    let submits_itself = worker.name == "step-functions";
    if job.resource.pattern != Pattern::RequestResponse && !waits_for_token && !submits_itself {
        reports.submitted(Payload::new(serde_json::json!({})));
    }
    let result = match tokens::of(&job, worker.name, &mut cancel).await {
        Ok(mut granted) => {
            reports.credentials = Arc::new(std::mem::take(&mut granted.credentials));
            let result = (worker.carry_out)(&job, &reports, &mut cancel).await;
            granted.give_back().await;
            result
        }
        Err(error) => Err(error),
    };
    let Identity { ran, refusal } = std::mem::take(&mut *reports.identity());
    let result = reports.without_secrets(refusal.map_or(result, Err));
    job.note_result(result.as_ref().err(), ran.as_ref(), cancel.is_cancelled());
    match result {
        Ok(response) if waits_for_token => reports.submitted(response),
        Ok(output) => reports.event(EventKind::TaskSucceeded { task, output }),
        Err(error) => reports.event(EventKind::TaskFailed { task, error }),
    }
    let _ = reports.sender.send(Message::Over { execution, task, ran });
}
