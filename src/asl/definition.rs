//! The compiled definition: what a state machine says, with nothing left to parse.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::history_event::StateType;
use crate::model::history_event::TaskFamily;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::span::Span;
use crate::model::timestamp::Timestamp;
use crate::query::intrinsic::call::Call;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonpath::path::Path;
use crate::query::template::Template;

/// A compiled state machine definition.
#[derive(Debug)]
pub struct Definition {
    /// The machine's `Comment`.
    pub comment: Option<String>,
    /// The machine's `TimeoutSeconds`.
    pub timeout_seconds: Option<u64>,
    /// All blocks; 0 is the machine itself.
    pub blocks: Vec<Block>,
    /// All states of all blocks.
    pub states: Vec<State>,
    /// The names of the variables that each state reads, for those that read any.
    pub variable_reads: BTreeMap<StateId, BTreeSet<String>>,
}

impl Definition {
    /// Returns a state.
    pub fn state(&self, id: StateId) -> &State {
        &self.states[id.index()]
    }

    /// Returns a block.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.index()]
    }
}

/// One `StartAt` + `States` object.
#[derive(Debug)]
pub struct Block {
    /// The first state.
    pub start_at: StateId,
    /// The Parallel or Map that holds the block; `None` for the machine.
    pub parent: Option<StateId>,
}

/// A state's query language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum QueryLanguage {
    JsonPath,
    JsonAta,
}

/// One state.
#[derive(Debug)]
pub struct State {
    /// Its key in `States`.
    pub name: Arc<str>,
    /// The block it belongs to.
    pub block: BlockId,
    /// Where its object stands in the text.
    pub span: Span,
    /// The language of its own fields.
    pub language: QueryLanguage,
    /// `InputPath`.
    pub input_path: PathField,
    /// `OutputPath`.
    pub output_path: PathField,
    /// `Parameters` (JSONPath; not of Map, see `Map::item_selector`) or `Arguments` (JSONata).
    pub parameters: Option<Template>,
    /// `ResultSelector`.
    pub result_selector: Option<Template>,
    /// `ResultPath`.
    pub result_path: ResultPath,
    /// `Output` (JSONata).
    pub output: Option<Template>,
    /// `Assign`. The template evaluates to an object: name to value.
    pub assign: Option<Template>,
    /// `Next` or `End`. `End` also for Succeed and Fail; meaningless for Choice.
    pub transition: Transition,
    /// `Retry`, in order.
    pub retriers: Vec<Retrier>,
    /// `Catch`, in order.
    pub catchers: Vec<Catcher>,
    /// What the type adds.
    pub kind: StateKind,
}

impl State {
    /// Returns the type.
    pub fn state_type(&self) -> StateType {
        match &self.kind {
            StateKind::Choice(_) => StateType::Choice,
            StateKind::Fail(_) => StateType::Fail,
            StateKind::Map(_) => StateType::Map,
            StateKind::Parallel(_) => StateType::Parallel,
            StateKind::Pass(_) => StateType::Pass,
            StateKind::Succeed => StateType::Succeed,
            StateKind::Task(_) => StateType::Task,
            StateKind::Wait(_) => StateType::Wait,
        }
    }
}

/// `InputPath` or `OutputPath`.
#[derive(Clone, Debug)]
pub enum PathField {
    /// Absent or `$`: the value as it is.
    Whole,
    /// `null`: an empty object.
    Empty,
    /// A path other than `$`.
    Path(Path),
}

/// `ResultPath`.
#[derive(Clone, Debug)]
pub enum ResultPath {
    /// Absent or `$`: the result replaces the input.
    Replace,
    /// `null`: the result is dropped.
    Discard,
    /// Any other reference path.
    At(Path),
}

/// Where a state leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// `Next`.
    Next(StateId),
    /// `End: true`.
    End,
}

/// What each type adds to the common fields.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum StateKind {
    Choice(Choice),
    Fail(Fail),
    Map(Box<Map>),
    /// One block per branch.
    Parallel(Vec<BlockId>),
    /// `Result`; `null` counts as absent (recorded).
    Pass(Option<Payload>),
    Succeed,
    Task(Box<Task>),
    Wait(Wait),
}

/// A number that may be computed.
#[derive(Clone, Debug)]
pub enum NumberField {
    /// Written in the definition.
    Literal(f64),
    /// `…Path`.
    Path(Path),
    /// `{% … %}`.
    Expression(Expression),
}

/// A text that may be computed (`Error`, `Cause`, `RoleArn`).
#[derive(Clone, Debug)]
pub enum TextField {
    /// Written in the definition.
    Literal(Arc<str>),
    /// `…Path` or `RoleArn.$` with a path.
    Path(Path),
    /// `…Path` or `RoleArn.$` with an intrinsic call.
    Call(Call),
    /// `{% … %}`.
    Expression(Expression),
}

/// A Task state.
#[derive(Debug)]
pub struct Task {
    /// `Resource`.
    pub resource: Resource,
    /// `TimeoutSeconds` or `TimeoutSecondsPath`.
    pub timeout_seconds: Option<NumberField>,
    /// `HeartbeatSeconds` or `HeartbeatSecondsPath`.
    pub heartbeat_seconds: Option<NumberField>,
    /// `Credentials.RoleArn`.
    pub credentials: Option<TextField>,
}

/// A Task's `Resource`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// As written.
    pub arn: Arc<str>,
    /// Which events it writes; for an integration also its service and action.
    pub family: TaskFamily,
    /// How the task ends.
    pub pattern: Pattern,
}

/// A service integration pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Pattern {
    /// The response is the result.
    RequestResponse,
    /// `.sync`.
    Sync,
    /// `.sync:2`.
    Sync2,
    /// `.waitForTaskToken`.
    WaitForTaskToken,
}

/// A Choice state.
#[derive(Debug)]
pub struct Choice {
    /// `Choices`, in order.
    pub rules: Vec<ChoiceRule>,
    /// `Default`.
    pub default: Option<StateId>,
}

/// One top-level Choice rule.
#[derive(Debug)]
pub struct ChoiceRule {
    /// When it matches.
    pub condition: Condition,
    /// `Next`.
    pub next: StateId,
    /// `Assign`.
    pub assign: Option<Template>,
    /// `Output` (JSONata).
    pub output: Option<Template>,
}

/// When a Choice rule matches.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum Condition {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Compare {
        variable: Path,
        comparison: Comparison,
    },
    /// `Condition: "{% … %}"`.
    Expression(Expression),
    /// `Condition: true`.
    Literal(bool),
}

/// The right side of a comparison.
#[derive(Clone, Debug)]
pub enum Operand<T> {
    /// Written in the definition.
    Literal(T),
    /// `…Path`.
    Path(Path),
}

/// How two ordered values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum Order {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

/// One of the 39 comparison operators.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum Comparison {
    String(Order, Operand<Arc<str>>),
    Numeric(Order, Operand<f64>),
    Timestamp(Order, Operand<Timestamp>),
    BooleanEquals(Operand<bool>),
    StringMatches(StringPattern),
    IsNull(bool),
    IsPresent(bool),
    IsNumeric(bool),
    IsString(bool),
    IsBoolean(bool),
    IsTimestamp(bool),
}

/// A `StringMatches` pattern: the literal pieces between the `*`s, escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringPattern(pub Vec<String>);

/// A Wait state.
#[derive(Debug)]
pub enum Wait {
    /// `Seconds`, `SecondsPath`.
    Seconds(NumberField),
    /// `Timestamp` with a literal.
    Until(Timestamp),
    /// `TimestampPath`.
    TimestampPath(Path),
    /// `Timestamp` with an expression.
    TimestampExpression(Expression),
}

/// A Fail state.
#[derive(Debug)]
pub struct Fail {
    /// `Error` or `ErrorPath`.
    pub error: Option<TextField>,
    /// `Cause` or `CausePath`.
    pub cause: Option<TextField>,
}

/// A Map state.
#[derive(Debug)]
pub struct Map {
    /// The block of `ItemProcessor` or `Iterator`.
    pub block: BlockId,
    /// `ProcessorConfig`.
    pub mode: MapMode,
    /// `Label`, or one that is made from the state's name.
    pub label: Arc<str>,
    /// Where the items come from.
    pub items: Items,
    /// `ItemReader`.
    pub item_reader: Option<ItemReader>,
    /// `ItemSelector`, or `Parameters` of the old spelling.
    pub item_selector: Option<Template>,
    /// `ItemBatcher`.
    pub item_batcher: Option<ItemBatcher>,
    /// `MaxConcurrency` or `MaxConcurrencyPath`.
    pub max_concurrency: Option<NumberField>,
    /// `ToleratedFailureCount` or `…Path`.
    pub tolerated_failure_count: Option<NumberField>,
    /// `ToleratedFailurePercentage` or `…Path`.
    pub tolerated_failure_percentage: Option<NumberField>,
    /// `ResultWriter`.
    pub result_writer: Option<ResultWriter>,
}

/// `ItemReader`.
#[derive(Debug)]
pub struct ItemReader {
    /// `Resource`.
    pub resource: Arc<str>,
    /// `Parameters` or `Arguments`.
    pub parameters: Option<Template>,
    /// `ReaderConfig` as written, without `MaxItems` and `MaxItemsPath`.
    pub config: Payload,
    /// `MaxItems` or `MaxItemsPath`.
    pub max_items: Option<NumberField>,
}

/// `ResultWriter`.
#[derive(Debug)]
pub struct ResultWriter {
    /// Where the results go, when it names a `Resource`.
    pub export: Option<Export>,
    /// `WriterConfig` as written.
    pub config: Payload,
    /// `WriterConfig.Transformation`.
    pub transformation: Option<Transformation>,
}

/// Where a `ResultWriter` writes.
#[derive(Debug)]
pub struct Export {
    /// `Resource`.
    pub resource: Arc<str>,
    /// `Parameters` or `Arguments`.
    pub parameters: Option<Template>,
}

/// `WriterConfig.Transformation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum Transformation {
    None,
    Compact,
    Flatten,
}

/// `ProcessorConfig.Mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapMode {
    /// Iterations inside the execution.
    Inline,
    /// Child executions; `express` tells their type.
    Distributed {
        /// `ExecutionType` is `EXPRESS`.
        express: bool,
    },
}

/// Where a Map's items come from.
#[derive(Debug)]
pub enum Items {
    /// The effective input itself.
    Input,
    /// `ItemsPath`.
    Path(Path),
    /// `Items`.
    Template(Template),
}

/// `ItemBatcher`.
#[derive(Debug)]
pub struct ItemBatcher {
    /// `BatchInput`.
    pub batch_input: Option<Template>,
    /// `MaxItemsPerBatch` or `…Path`.
    pub items_per_batch: Option<NumberField>,
    /// `MaxInputBytesPerBatch` or `…Path`.
    pub input_bytes_per_batch: Option<NumberField>,
}

/// One entry of `Retry`.
#[derive(Clone, Debug)]
pub struct Retrier {
    /// `ErrorEquals`.
    pub error_equals: Vec<Arc<str>>,
    /// `IntervalSeconds`, default 1.
    pub interval_seconds: u64,
    /// `MaxAttempts`, default 3.
    pub max_attempts: u32,
    /// `BackoffRate`, default 2.0.
    pub backoff_rate: f64,
    /// `MaxDelaySeconds`.
    pub max_delay_seconds: Option<u64>,
    /// `JitterStrategy: FULL`.
    pub full_jitter: bool,
}

/// One entry of `Catch`.
#[derive(Debug)]
pub struct Catcher {
    /// `ErrorEquals`.
    pub error_equals: Vec<Arc<str>>,
    /// `Next`.
    pub next: StateId,
    /// `ResultPath` (JSONPath).
    pub result_path: ResultPath,
    /// `Output` (JSONata).
    pub output: Option<Template>,
    /// `Assign`.
    pub assign: Option<Template>,
}
