//! Answers that replace tasks: mocks of a file, scripts of a test.

use std::sync::Arc;
use std::sync::Mutex;

use crate::kernel::event::StartTask;
use crate::model::execution_record::ExecutionFacts;
use crate::sim::driver::Report;
use crate::sim::driver::Tasks;
use crate::sim::mock_config::MockConfig;
use crate::sim::mock_config::MockTasks;

/// The answers of one execution.
pub trait Answers: Send {
    /// Returns the reports of one attempt, or `None` for a task that is done for real.
    fn answer(&mut self, task: &StartTask) -> Option<Vec<Report>>;
}

/// The answers of an execution and of its children: invocations are counted over all of them.
pub type SharedAnswers = Arc<Mutex<Box<dyn Answers>>>;

/// Finds the answers of an execution that begins; `None` when all its tasks are done for real.
pub type Answering = Arc<dyn Fn(&ExecutionFacts) -> Option<Box<dyn Answers>> + Send + Sync>;

/// Finds the answers in a mock file, by the test case of `stateMachineArn#TestCase`.
pub fn of_mock_file(config: MockConfig) -> Answering {
    Arc::new(move |facts| {
        let case = facts.mock_case.as_deref()?;
        let machine = facts.machine_arn.rsplit(':').next()?;
        let machine = machine.split('/').next()?;
        let tasks = config.test_case(Some(machine), case).ok()?;
        Some(Box::new(tasks) as Box<dyn Answers>)
    })
}

impl Answers for MockTasks {
    fn answer(&mut self, task: &StartTask) -> Option<Vec<Report>> {
        self.mocks(&task.state_name).then(|| Tasks::answer(self, task))
    }
}
