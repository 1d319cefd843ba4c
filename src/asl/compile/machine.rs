//! The machine and its blocks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::asl::compile::fields::BRANCH;
use crate::asl::compile::fields::MACHINE;
use crate::asl::compile::fields::Object;
use crate::asl::compile::fields::PROCESSOR;
use crate::asl::compile::graph::Edge;
use crate::asl::compile::graph::Graph;
use crate::asl::compile::variables;
use crate::asl::compile::variables::Assignment;
use crate::asl::definition::Block;
use crate::asl::definition::Definition;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::State;
use crate::asl::diagnostic::Diagnostic;
use crate::asl::load::Options;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::model::span::Span;

/// Longest state name, in characters.
const STATE_NAME_CHARS_MAX: usize = 80;

/// Compiles the tree of a whole definition.
pub(crate) fn compile_tree(root: &Node, options: &Options) -> Result<Definition, Vec<Diagnostic>> {
    let mut compiler = Compiler {
        options,
        here: Here::default(),
        machine_language: QueryLanguage::JsonPath,
        findings: Vec::new(),
        graph_findings: Vec::new(),
        blocks: vec![None],
        parents: vec![None],
        states: Vec::new(),
        queue: VecDeque::new(),
        names: BTreeSet::new(),
        labels: BTreeSet::new(),
        assignments: Vec::new(),
        variable_reads: BTreeMap::new(),
        isolated: BTreeSet::new(),
        has_hole: false,
    };
    let (comment, timeout_seconds) = compiler.machine(root)?;
    compiler.finish(comment, timeout_seconds)
}

/// Everything that is known while a definition is compiled. Blocks are queued, so nesting costs no stack.
pub(super) struct Compiler<'n, 'o> {
    pub(super) options: &'o Options,
    /// Where the compiler is now.
    pub(super) here: Here<'n>,
    pub(super) machine_language: QueryLanguage,
    /// With the offset of the state they belong to, so that they can be put into document order.
    findings: Vec<(u32, Diagnostic)>,
    graph_findings: Vec<(u32, Vec<Diagnostic>)>,
    blocks: Vec<Option<Block>>,
    /// For each block the outer block and the state that holds it.
    pub(super) parents: Vec<Option<(BlockId, StateId)>>,
    states: Vec<Option<State>>,
    queue: VecDeque<BlockWork<'n>>,
    names: BTreeSet<&'n str>,
    pub(super) labels: BTreeSet<&'n str>,
    pub(super) assignments: Vec<Assignment>,
    /// The variables that each state reads.
    pub(super) variable_reads: BTreeMap<StateId, BTreeSet<String>>,
    /// Blocks of Distributed Maps: their variables are their own.
    pub(super) isolated: BTreeSet<BlockId>,
    /// An open placeholder stands for an object or a list.
    has_hole: bool,
}

/// The state or block that is being compiled.
pub(super) struct Here<'n> {
    pub(super) owner: u32,
    pub(super) block: BlockId,
    pub(super) state: StateId,
    pub(super) language: QueryLanguage,
    pub(super) express: bool,
    pub(super) names: BTreeMap<&'n str, StateId>,
    pub(super) edges: Vec<Edge>,
    pub(super) has_terminal: bool,
    pub(super) has_open_target: bool,
}

impl Default for Here<'_> {
    fn default() -> Self {
        Self {
            owner: 0,
            block: BlockId(0),
            state: StateId(0),
            language: QueryLanguage::JsonPath,
            express: false,
            names: BTreeMap::new(),
            edges: Vec::new(),
            has_terminal: false,
            has_open_target: false,
        }
    }
}

/// A block that waits to be compiled.
struct BlockWork<'n> {
    id: BlockId,
    parent: Option<StateId>,
    object: Object<'n>,
    express: bool,
}

impl<'n> Compiler<'n, '_> {
    fn machine(&mut self, root: &'n Node) -> Result<(Option<String>, Option<u64>), Vec<Diagnostic>> {
        if !matches!(root.kind, Kind::Object(_)) {
            return Err(vec![Diagnostic {
                code: "SCHEMA_VALIDATION_FAILED",
                message: "Definition must be a valid JSON object".to_owned(),
                location: None,
                span: Some(root.span),
            }]);
        }
        let object = Object::new(root, String::new());
        self.check_fields(&object, MACHINE);
        if self
            .one_of(&object, "QueryLanguage", &["JSONPath", "JSONata"])
            .is_some()
        {
            self.machine_language = match object.get("QueryLanguage").and_then(Node::text) {
                Some("JSONPath") => QueryLanguage::JsonPath,
                _ => QueryLanguage::JsonAta,
            };
        } else if object.get("QueryLanguage").is_some() {
            self.machine_language = QueryLanguage::JsonAta;
        }
        self.one_of(&object, "Version", &["1.0"]);
        let comment = self.string(&object, "Comment").map(str::to_owned);
        let timeout_seconds = self.integer(&object, "TimeoutSeconds", 1, 99_999_999);
        self.queue.push_back(BlockWork {
            id: BlockId(0),
            parent: None,
            object,
            express: self.options.express,
        });
        while let Some(work) = self.queue.pop_front() {
            self.block(work);
        }
        Ok((comment, timeout_seconds))
    }

    /// A definition with a hole is complete but for what its placeholders stand for; it is not to be run.
    fn finish(mut self, comment: Option<String>, timeout_seconds: Option<u64>) -> Result<Definition, Vec<Diagnostic>> {
        variables::check(&mut self);
        if !self.findings.is_empty() || !self.graph_findings.is_empty() {
            self.findings.sort_by_key(|(owner, _)| *owner);
            self.graph_findings.sort_by_key(|(owner, _)| *owner);
            let schema = self.findings.into_iter().map(|(_, finding)| finding);
            let graph = self.graph_findings.into_iter().flat_map(|(_, findings)| findings);
            return Err(schema.chain(graph).collect());
        }
        if self.has_hole {
            return Ok(Definition {
                comment,
                timeout_seconds,
                blocks: self.blocks.into_iter().flatten().collect(),
                states: self.states.into_iter().flatten().collect(),
                variable_reads: self.variable_reads,
            });
        }
        let states: Option<Vec<State>> = self.states.into_iter().collect();
        let blocks: Option<Vec<Block>> = self.blocks.into_iter().collect();
        match (states, blocks) {
            (Some(states), Some(blocks)) => Ok(Definition {
                comment,
                timeout_seconds,
                blocks,
                states,
                variable_reads: self.variable_reads,
            }),
            // Every missing piece has left a finding; this is the honest answer if one did not.
            _ => Err(vec![Diagnostic {
                code: "SCHEMA_VALIDATION_FAILED",
                message: "The definition could not be compiled".to_owned(),
                location: None,
                span: None,
            }]),
        }
    }

    /// Queues the block of a branch (`is_branch`) or of an item processor and returns its id.
    pub(super) fn queue_block(&mut self, object: Object<'n>, is_branch: bool, express: bool) -> BlockId {
        self.check_fields(&object, if is_branch { BRANCH } else { PROCESSOR });
        self.string(&object, "Comment");
        let id = BlockId(u32::try_from(self.blocks.len()).unwrap_or(u32::MAX));
        self.blocks.push(None);
        self.parents.push(Some((self.here.block, self.here.state)));
        self.queue.push_back(BlockWork {
            id,
            parent: Some(self.here.state),
            object,
            express,
        });
        id
    }

    fn block(&mut self, work: BlockWork<'n>) {
        let object = work.object;
        self.here = Here {
            owner: object.node.span.start,
            block: work.id,
            express: work.express,
            ..Here::default()
        };
        self.required(&object, &["States", "StartAt"]);
        let start = self.string(&object, "StartAt");
        let Some(states) = self.object(&object, "States") else {
            return;
        };
        if states.node.members().is_empty() {
            self.refuse(&states.at, states.node.span, "Value cannot be empty");
            return;
        }
        let first = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        for (member, index) in states.node.members().iter().zip(first..) {
            self.here.names.insert(&member.key, StateId(index));
            self.states.push(None);
        }
        let mut nodes = Vec::new();
        for (member, index) in states.node.members().iter().zip(first..) {
            self.here.state = StateId(index);
            self.here.owner = member.value.span.start;
            let at = states.at(&member.key);
            self.state_name(&member.key, &at, member.key_span);
            nodes.push((
                StateId(index),
                Arc::<str>::from(member.key.as_str()),
                at.clone(),
                member.value.span,
            ));
            let state = self.state(&member.key, &member.value, at);
            if let Some(slot) = self.states.get_mut(index as usize) {
                *slot = state;
            }
        }
        self.here.owner = object.node.span.start;
        let start_at = start.and_then(|name| self.here.names.get(name).copied());
        if let Some(slot) = self.blocks.get_mut(work.id.index()) {
            *slot = start_at.map(|start_at| Block {
                start_at,
                parent: work.parent,
            });
        }
        let start_node = object.get("StartAt");
        if start_node.is_some_and(Node::is_open)
            && let Some(slot) = self.blocks.get_mut(work.id.index())
        {
            self.here.has_open_target = true;
            *slot = Some(Block {
                start_at: StateId(first),
                parent: work.parent,
            });
        }
        let graph = Graph {
            is_machine: work.parent.is_none(),
            start: start.map(|name| {
                (
                    name,
                    object.at("StartAt"),
                    start_node.map_or(states.node.span, |node| node.span),
                )
            }),
            names: &self.here.names,
            nodes: &nodes,
            edges: &self.here.edges,
            has_terminal: self.here.has_terminal,
            has_open_target: self.here.has_open_target,
        };
        let findings = graph.check();
        if !findings.is_empty() {
            self.graph_findings.push((self.here.owner, findings));
        }
    }

    fn state_name(&mut self, name: &'n str, at: &str, span: Span) {
        if STATE_NAME_CHARS_MAX < name.chars().count() {
            let message =
                format!("Invalid State name: State '{name}' exceeds the 80-character limit allowed by the service");
            self.report("INVALID_STATE_NAME", at, span, message);
        }
        if name.is_empty() {
            self.report(
                "INVALID_STATE_NAME",
                at,
                span,
                "Invalid State name: State name cannot be empty".to_owned(),
            );
        }
        if !self.names.insert(name) {
            self.report(
                "DUPLICATE_STATE_NAME",
                at,
                span,
                format!("Duplicate State name: {name}"),
            );
        }
    }

    /// Notes that a placeholder hides states or rules: what leads where is then not known.
    pub(super) fn leave_hole(&mut self) {
        self.has_hole = true;
        self.here.has_open_target = true;
    }

    /// Notes a finding of AWS's schema.
    pub(super) fn refuse(&mut self, at: &str, span: Span, message: impl Into<String>) {
        self.report("SCHEMA_VALIDATION_FAILED", at, span, message.into());
    }

    /// Notes a finding.
    pub(super) fn report(&mut self, code: &'static str, at: &str, span: Span, message: String) {
        self.report_for(self.here.owner, code, at, span, message);
    }

    /// Notes a finding of the state at offset `owner`.
    pub(super) fn report_for(&mut self, owner: u32, code: &'static str, at: &str, span: Span, message: String) {
        let location = if at.is_empty() { "/" } else { at };
        self.findings.push((
            owner,
            Diagnostic {
                code,
                message,
                location: Some(location.to_owned()),
                span: Some(span),
            },
        ));
    }
}
