//! For tests of actions: a directory that goes away, and a bench that carries actions out as tasks are.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::asl::definition::Pattern;
use crate::asl::definition::Resource;
use crate::kernel::event::StartTask;
use crate::kernel::event::TaskProgress;
use crate::model::history_event::TaskFamily;
use crate::model::id::StateId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::Message;
use crate::worker::Reports;
use crate::worker::Site;
use crate::worker::action::ACTIONS;
use crate::worker::action::ActionSite;
use crate::worker::action::Work;
use crate::worker::action::carry_out;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::action::lock::Locks;
use crate::worker::nursery::Nursery;

/// A directory that goes away with this.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("stepfn-action-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Carries out actions as tasks of one execution, each in a state named `S`.
pub struct Bench {
    site: Arc<Site>,
    next_task: u64,
    sender: mpsc::UnboundedSender<Message>,
    /// What the tasks told.
    pub told: mpsc::UnboundedReceiver<Message>,
    /// Dropping it cancels the task at work.
    pub canceller: Option<oneshot::Sender<()>>,
}

/// The ARN of the bench's execution.
pub const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:M:E";
/// The role of its state machine.
const ROLE: &str = "arn:aws:iam::123456789012:role/R";

impl Bench {
    /// Makes a bench that keeps its checkpoints and locks in a directory.
    pub fn new(scratch: &Scratch) -> Self {
        Self::with(ActionSite {
            checkpoints: Some(Checkpoints::durable(scratch.path().join("checkpoints"))),
            locks: Locks::in_directory(scratch.path().join("locks")),
            ..ActionSite::default()
        })
    }

    /// Makes a bench where nothing is done but planned.
    pub fn planning() -> Self {
        Self::with(ActionSite::planning())
    }

    /// Makes a bench with a site.
    pub fn with(actions: ActionSite) -> Self {
        // One for all tests of a process: each ends what no task of its own started.
        static NURSERY: LazyLock<Arc<Nursery>> = LazyLock::new(Arc::default);
        let (sender, told) = mpsc::unbounded_channel();
        Self {
            site: Arc::new(Site {
                nursery: Arc::clone(&NURSERY),
                ..Site::of_actions(actions)
            }),
            next_task: 0,
            sender,
            told,
            canceller: None,
        }
    }

    /// What the actions share.
    pub fn actions(&self) -> &ActionSite {
        &self.site.actions
    }

    /// Carries out an action as a new task.
    pub async fn run(&mut self, action: &str, parameters: &Value) -> Result<Value, StatesError> {
        self.next_task += 1;
        self.issue(action, parameters).await
    }

    /// Carries it out as the same task as before: after a crash.
    pub async fn run_again(&mut self, action: &str, parameters: &Value) -> Result<Value, StatesError> {
        self.issue(action, parameters).await
    }

    /// Has the action of a checkpoint undo it, whether it is undone or not.
    pub async fn undo_again(&mut self, id: &str) -> Result<Value, StatesError> {
        let checkpoints = self.site.actions.checkpoints.as_ref().unwrap();
        let saved = checkpoints.find(id).unwrap().unwrap();
        let action = ACTIONS
            .iter()
            .find(|action| action.facts().name == saved.action)
            .unwrap();
        let reports = Reports::of_nobody("S", self.sender.clone());
        let (_sender, mut cancel) = Cancel::pair();
        let mut work = Work {
            nursery: &self.site.nursery,
            site: &self.site.actions,
            reports: &reports,
            cancel: &mut cancel,
            output_bytes_max: PAYLOAD_BYTES_MAX,
            before: None,
        };
        action.undo(&saved, &mut work).await
    }

    async fn issue(&mut self, action: &str, parameters: &Value) -> Result<Value, StatesError> {
        let arn: Arc<str> = Arc::from(format!("arn:aws:states:::debian:{action}"));
        let task = StartTask {
            task: TaskId(self.next_task),
            state: StateId(0),
            state_name: Arc::from("S"),
            resource_arn: Arc::clone(&arn),
            attempt: 1,
            item: None,
            input: Payload::new(parameters.clone()),
            timeout_seconds: None,
            heartbeat_seconds: None,
            role_arn: None,
            token: None,
            progress: TaskProgress::Scheduled,
        };
        let job = Job {
            task,
            execution_arn: Arc::from(EXECUTION),
            parent_arn: None,
            started_by: None,
            role_arn: Arc::from(ROLE),
            state_machine: Arc::from("M"),
            machine_arn: Arc::from("M"),
            definition: None,
            resource: Resource {
                arn,
                family: TaskFamily::Activity,
                pattern: Pattern::RequestResponse,
            },
            quotas: Quotas::Aws,
            site: Arc::clone(&self.site),
        };
        let reports = Reports::new(0, &job, self.sender.clone());
        let (sender, mut cancel) = Cancel::pair();
        self.canceller = Some(sender);
        let result = carry_out::carry_out(&job, &reports, &mut cancel).await;
        result.map(|payload| payload.value().clone())
    }
}
