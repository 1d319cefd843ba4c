//! What a definition needs of the values that come from outside: read backwards, from what is read to where it is from.

use std::collections::BTreeMap;

use crate::asl::definition::Catcher;
use crate::asl::definition::Condition;
use crate::asl::definition::Definition;
use crate::asl::definition::Items;
use crate::asl::definition::Map;
use crate::asl::definition::NumberField;
use crate::asl::definition::Operand;
use crate::asl::definition::PathField;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::ResultPath;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::TextField;
use crate::asl::definition::Transition;
use crate::asl::definition::Wait;
use crate::explore::caller::Caller;
use crate::explore::caller::of_state;
use crate::explore::condition;
use crate::explore::expression;
use crate::explore::expression::Needs;
use crate::explore::need::nest;
use crate::explore::need::of_argument;
use crate::explore::need::split;
use crate::explore::shape::Group;
use crate::explore::shape::Kinds;
use crate::explore::shape::Shape;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::query::intrinsic::call::Given;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonpath::path::Path;
use crate::query::jsonpath::path::Root;
use crate::query::template::Sketch;
use crate::query::template::Template;

/// How often the definition is read, at most: a need travels back over one loop each time.
const PASSES_MAX: usize = 24;
/// Groups of one Choice rule, and rules of one state that have their own.
const ALTERNATIVES: u32 = 16;
const RULES: u32 = 64;
/// The number of the rule that is none: `Default`.
const NO_RULE: usize = 63;

/// What a definition needs of the values that come from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct Demand {
    /// The execution's input.
    pub(super) input: Shape,
    /// What any state of the machine itself reads from its input, wherever that comes from.
    pub(super) reads: Shape,
    /// The results of tasks, and what readers read.
    pub(super) results: BTreeMap<Caller, Shape>,
    /// The error outputs of tasks, readers and writers.
    pub(super) errors: BTreeMap<Caller, Shape>,
}

/// Reads what a definition needs.
pub(super) fn of_definition(definition: &Definition) -> Demand {
    let mut reader = Reader {
        definition,
        inputs: vec![Shape::default(); definition.states.len()],
        ends: vec![Shape::default(); definition.blocks.len()],
        items: BTreeMap::new(),
        variables: BTreeMap::new(),
        found: Demand::default(),
    };
    for _ in 0..PASSES_MAX {
        let before = (
            reader.inputs.clone(),
            reader.found.input.clone(),
            reader.variables.clone(),
        );
        for number in (0..definition.states.len()).rev() {
            reader.state(StateId(u32::try_from(number).unwrap_or(u32::MAX)));
        }
        if before.0 == reader.inputs && before.1 == reader.found.input && before.2 == reader.variables {
            break;
        }
    }
    let start = &reader.inputs[definition.block(BlockId(0)).start_at.index()];
    reader.found.input.merge(start);
    for (state, input) in definition.states.iter().zip(&reader.inputs) {
        if state.block == BlockId(0) {
            reader.found.reads.merge(input);
        }
    }
    reader.found
}

/// Returns the first group of a Choice rule.
pub(super) fn group_of(state: StateId, rule: usize) -> Group {
    let rule = u32::try_from(rule).unwrap_or(0) % RULES;
    state
        .0
        .wrapping_mul(RULES)
        .wrapping_add(rule)
        .wrapping_mul(ALTERNATIVES)
        .wrapping_add(1)
}

/// What is needed of the values that the fields of one state read.
#[derive(Default)]
struct Bases {
    /// `$`, `$states.input`.
    input: Shape,
    /// `$states.result`.
    result: Shape,
    /// `$states.errorOutput`.
    error: Shape,
}

struct Reader<'d> {
    definition: &'d Definition,
    /// Of each state's raw input.
    inputs: Vec<Shape>,
    /// Of each block's output.
    ends: Vec<Shape>,
    /// Of the items of each Map's block.
    items: BTreeMap<BlockId, Shape>,
    variables: BTreeMap<String, Shape>,
    found: Demand,
}

impl Reader<'_> {
    fn state(&mut self, id: StateId) {
        let definition = self.definition;
        let state = definition.state(id);
        let wanted = match state.transition {
            _ if matches!(state.kind, StateKind::Choice(_)) => Shape::default(),
            Transition::Next(next) => self.inputs[next.index()].clone(),
            Transition::End => self.ends[state.block.index()].clone(),
        };
        let raw = match state.language {
            QueryLanguage::JsonPath => self.jsonpath(id, state, wanted),
            QueryLanguage::JsonAta => self.jsonata(id, state, wanted),
        };
        self.inputs[id.index()].merge(&raw);
    }

    fn jsonpath(&mut self, id: StateId, state: &State, mut wanted: Shape) -> Shape {
        let map = self.map_around(state);
        let mut raw = Shape::default();
        if let StateKind::Choice(choice) = &state.kind {
            let targets = choice.rules.iter().map(|rule| rule.next).chain(choice.default);
            targets.for_each(|target| wanted.merge(&self.inputs[target.index()]));
        }
        let placed = match &state.output_path {
            PathField::Whole => wanted,
            PathField::Empty => Shape::default(),
            PathField::Path(path) => self.nested(map, path, wanted),
        };
        let selected = match &state.result_path {
            ResultPath::Replace => placed,
            ResultPath::Discard => {
                raw.merge(&placed);
                Shape::default()
            }
            ResultPath::At(path) => {
                let (selected, rest) = split(path, placed);
                raw.merge(&rest);
                raw.merge(&Shape::of(Kinds::OBJECT));
                selected
            }
        };
        let mut behind = Bases::default();
        match &state.result_selector {
            Some(template) => self.template(map, &mut behind, template, &selected),
            None => behind.input.merge(&selected),
        }
        self.assign(map, &mut behind, state.assign.as_ref());
        let result = behind.input;

        let mut before = Bases::default();
        let effective = self.work(id, state, result, &mut before);
        match &state.parameters {
            Some(template) => self.template(map, &mut before, template, &effective),
            None => before.input.merge(&effective),
        }
        match &state.input_path {
            PathField::Whole => raw.merge(&before.input),
            PathField::Empty => {}
            PathField::Path(path) => {
                let nested = self.nested(map, path, before.input);
                raw.merge(&nested);
            }
        }
        for catcher in &state.catchers {
            self.catcher(id, state, catcher, &mut raw);
        }
        raw
    }

    fn jsonata(&mut self, id: StateId, state: &State, wanted: Shape) -> Shape {
        let map = self.map_around(state);
        let mut bases = Bases::default();
        let mut given_on = wanted;
        if let StateKind::Choice(choice) = &state.kind {
            for rule in &choice.rules {
                let wanted = self.inputs[rule.next.index()].clone();
                match &rule.output {
                    Some(template) => self.template(map, &mut bases, template, &wanted),
                    None => bases.input.merge(&wanted),
                }
                self.assign(map, &mut bases, rule.assign.as_ref());
            }
            if let Some(default) = choice.default {
                given_on = self.inputs[default.index()].clone();
            }
        }
        let mut result = Shape::default();
        match &state.output {
            Some(template) => self.template(map, &mut bases, template, &given_on),
            None => result.merge(&given_on),
        }
        self.assign(map, &mut bases, state.assign.as_ref());
        result.merge(&bases.result);
        let effective = self.work(id, state, result, &mut bases);
        match &state.parameters {
            Some(template) => self.template(map, &mut bases, template, &effective),
            None => bases.input.merge(&effective),
        }
        let mut raw = bases.input;
        for catcher in &state.catchers {
            self.catcher(id, state, catcher, &mut raw);
        }
        raw
    }

    /// What the state's type adds: takes what is needed of its result, returns what it needs of its effective input.
    fn work(&mut self, id: StateId, state: &State, result: Shape, bases: &mut Bases) -> Shape {
        let map_block = self.map_around(state);
        let mut effective = Shape::default();
        match &state.kind {
            StateKind::Choice(choice) => {
                effective.merge(&result);
                for (number, rule) in choice.rules.iter().enumerate() {
                    let mut group = group_of(id, number);
                    self.condition(map_block, bases, &rule.condition, true, &mut group);
                    // One group lets no rule hold.
                    self.no_condition(map_block, bases, &rule.condition, false, group_of(id, NO_RULE));
                }
            }
            StateKind::Fail(fail) => {
                for field in [&fail.error, &fail.cause].into_iter().flatten() {
                    self.text(map_block, bases, field);
                }
            }
            StateKind::Map(map) => self.map(id, map, &result, bases),
            StateKind::Parallel(blocks) => {
                for block in blocks {
                    self.ends[block.index()].merge(&result.elements());
                    let start = self.definition.block(*block).start_at;
                    effective.merge(&self.inputs[start.index()]);
                }
            }
            StateKind::Pass(Some(_)) => {}
            StateKind::Pass(None) | StateKind::Succeed => effective.merge(&result),
            StateKind::Task(task) => {
                self.found.results.entry(Caller::task(id)).or_default().merge(&result);
                for field in [&task.timeout_seconds, &task.heartbeat_seconds].into_iter().flatten() {
                    self.number(map_block, bases, field);
                }
                if let Some(field) = &task.credentials {
                    self.text(map_block, bases, field);
                }
            }
            StateKind::Wait(wait) => {
                effective.merge(&result);
                match wait {
                    Wait::Seconds(field) => self.number(map_block, bases, field),
                    Wait::Until(_) => {}
                    Wait::TimestampPath(path) => self.put(map_block, bases, path, Shape::of(Kinds::TIMESTAMP)),
                    Wait::TimestampExpression(expression) => {
                        self.expression(map_block, bases, expression, &Shape::of(Kinds::TIMESTAMP));
                    }
                }
            }
        }
        effective
    }

    fn map(&mut self, id: StateId, map: &Map, result: &Shape, bases: &mut Bases) {
        // What is written into a bucket, nobody behind the state reads.
        match map.result_writer.as_ref().and_then(|writer| writer.export.as_ref()) {
            Some(export) => {
                if let Some(template) = &export.parameters {
                    self.template(Some(map.block), bases, template, &Shape::default());
                }
            }
            None => self.ends[map.block.index()].merge(&result.elements()),
        }
        let here = Some(map.block);
        let start = self.definition.block(map.block).start_at;
        let mut item = self.inputs[start.index()].clone();
        if let Some(batcher) = &map.item_batcher {
            if let Some(template) = &batcher.batch_input {
                self.template(here, bases, template, &item.member("BatchInput"));
            }
            let items = item.member("Items");
            // In JSONata a list may be read like its elements.
            item = if items.elements().is_empty() {
                items
            } else {
                items.elements()
            };
        }
        match &map.item_selector {
            Some(template) => self.template(here, bases, template, &item),
            None => self.items.entry(map.block).or_default().merge(&item),
        }
        for field in [
            &map.max_concurrency,
            &map.tolerated_failure_count,
            &map.tolerated_failure_percentage,
        ]
        .into_iter()
        .flatten()
        {
            self.number(here, bases, field);
        }
        let items = Shape::list(self.items.get(&map.block).cloned().unwrap_or_default());
        if let Some(reader) = &map.item_reader {
            if let Some(template) = &reader.parameters {
                self.template(here, bases, template, &Shape::default());
            }
            if let Some(field) = &reader.max_items {
                self.number(here, bases, field);
            }
            self.found.results.entry(Caller::reader(id)).or_default().merge(&items);
            return;
        }
        match &map.items {
            Items::Input => bases.input.merge(&items),
            Items::Path(path) => self.put(here, bases, path, items),
            Items::Template(template) => self.template(here, bases, template, &items),
        }
    }

    fn catcher(&mut self, id: StateId, state: &State, catcher: &Catcher, raw: &mut Shape) {
        let map = self.map_around(state);
        let wanted = self.inputs[catcher.next.index()].clone();
        let mut error = Shape::default();
        match state.language {
            QueryLanguage::JsonPath => {
                let mut bases = Bases::default();
                self.assign(map, &mut bases, catcher.assign.as_ref());
                error.merge(&bases.input);
                match &catcher.result_path {
                    ResultPath::Replace => error.merge(&wanted),
                    ResultPath::Discard => raw.merge(&wanted),
                    ResultPath::At(path) => {
                        let (placed, rest) = split(path, wanted);
                        error.merge(&placed);
                        raw.merge(&rest);
                        raw.merge(&Shape::of(Kinds::OBJECT));
                    }
                }
            }
            QueryLanguage::JsonAta => {
                let mut bases = Bases::default();
                match &catcher.output {
                    Some(template) => self.template(map, &mut bases, template, &wanted),
                    None => error.merge(&wanted),
                }
                self.assign(map, &mut bases, catcher.assign.as_ref());
                error.merge(&bases.error);
                raw.merge(&bases.input);
            }
        }
        // What a block's error output is to be, the tasks in it give.
        let mut within = vec![id];
        while let Some(id) = within.pop() {
            for caller in of_state(self.definition, id) {
                self.found.errors.entry(caller).or_default().merge(&error);
            }
            let blocks = match &self.definition.state(id).kind {
                StateKind::Map(map) => vec![map.block],
                StateKind::Parallel(blocks) => blocks.clone(),
                _ => continue,
            };
            let states = self.definition.states.iter().enumerate();
            let inner = states.filter(|(_, state)| blocks.contains(&state.block));
            within.extend(inner.map(|(number, _)| StateId(u32::try_from(number).unwrap_or(u32::MAX))));
        }
    }

    fn condition(
        &mut self,
        map: Option<BlockId>,
        bases: &mut Bases,
        condition: &Condition,
        is_wanted: bool,
        group: &mut Group,
    ) {
        match condition {
            Condition::And(all) | Condition::Or(all) => {
                let alternate = matches!(condition, Condition::Or(_)) == is_wanted;
                for (number, part) in all.iter().enumerate() {
                    if alternate && 0 < number {
                        *group = expression::next(*group);
                    }
                    self.condition(map, bases, part, is_wanted, group);
                }
            }
            Condition::Not(part) => self.condition(map, bases, part, !is_wanted, group),
            Condition::Compare { variable, comparison } => {
                let shape = condition::of_comparison(comparison, is_wanted, *group);
                self.put(map, bases, variable, shape);
                use crate::asl::definition::Comparison as C;
                if let C::String(_, Operand::Path(path))
                | C::Numeric(_, Operand::Path(path))
                | C::Timestamp(_, Operand::Path(path))
                | C::BooleanEquals(Operand::Path(path)) = comparison
                {
                    self.put(map, bases, path, condition::of_operand(comparison, *group));
                }
            }
            Condition::Expression(expression) => {
                let needs = expression::of_condition(expression.tree(), *group);
                self.learn(map, bases, &needs);
            }
            Condition::Literal(_) => {}
        }
    }

    /// Notes what keeps a condition from holding, all in one group.
    fn no_condition(
        &mut self,
        map: Option<BlockId>,
        bases: &mut Bases,
        condition: &Condition,
        is_wanted: bool,
        group: Group,
    ) {
        match condition {
            // One part that does not hold is enough.
            Condition::And(all) if !is_wanted => {
                if let Some(first) = all.first() {
                    self.no_condition(map, bases, first, is_wanted, group);
                }
            }
            Condition::And(all) | Condition::Or(all) => {
                for part in all {
                    self.no_condition(map, bases, part, is_wanted, group);
                }
            }
            Condition::Not(part) => self.no_condition(map, bases, part, !is_wanted, group),
            Condition::Compare { .. } => self.condition(map, bases, condition, is_wanted, &mut { group }),
            Condition::Expression(expression) => {
                let needs = match is_wanted {
                    true => expression::of_condition(expression.tree(), group),
                    false => expression::of_no_condition(expression.tree(), group),
                };
                self.learn(map, bases, &needs);
            }
            Condition::Literal(_) => {}
        }
    }

    fn number(&mut self, map: Option<BlockId>, bases: &mut Bases, field: &NumberField) {
        match field {
            NumberField::Literal(_) => {}
            NumberField::Path(path) => self.put(map, bases, path, Shape::of(Kinds::NUMBER)),
            NumberField::Expression(expression) => {
                self.expression(map, bases, expression, &Shape::of(Kinds::NUMBER));
            }
        }
    }

    fn text(&mut self, map: Option<BlockId>, bases: &mut Bases, field: &TextField) {
        let text = Shape::of(Kinds::STRING);
        match field {
            TextField::Literal(_) => {}
            TextField::Path(path) => self.put(map, bases, path, text),
            TextField::Call(call) => self.call(map, bases, call.function(), &call.arguments(), &text),
            TextField::Expression(expression) => self.expression(map, bases, expression, &text),
        }
    }

    fn assign(&mut self, map: Option<BlockId>, bases: &mut Bases, template: Option<&Template>) {
        if let Some(template) = template {
            let variables = Shape::object(self.variables.clone());
            self.template(map, bases, template, &variables);
        }
    }

    fn template(&mut self, map: Option<BlockId>, bases: &mut Bases, template: &Template, shape: &Shape) {
        let mut open = vec![(template.sketch(), shape.clone())];
        while let Some((sketch, shape)) = open.pop() {
            match sketch {
                Sketch::Array(items) => open.extend(items.into_iter().map(|item| (item, shape.elements()))),
                Sketch::Object(members) => {
                    open.extend(members.into_iter().map(|(name, member)| (member, shape.member(name))));
                }
                Sketch::Path(path) => self.put(map, bases, path, shape),
                Sketch::Call(call) => {
                    self.call(map, bases, call.function(), &call.arguments(), &shape);
                }
                Sketch::Expression(expression) => self.expression(map, bases, expression, &shape),
                Sketch::Known(_) | Sketch::Unknown => {}
            }
        }
    }

    fn expression(&mut self, map: Option<BlockId>, bases: &mut Bases, expression: &Expression, shape: &Shape) {
        let needs = expression::of_value_of(expression.tree(), shape);
        self.learn(map, bases, &needs);
    }

    fn learn(&mut self, map: Option<BlockId>, bases: &mut Bases, needs: &Needs) {
        bases.input.merge(&needs.states.member("input"));
        bases.result.merge(&needs.states.member("result"));
        bases.error.merge(&needs.states.member("errorOutput"));
        let context = needs.states.member("context");
        self.found.input.merge(&context.member("Execution").member("Input"));
        if let Some(map) = map {
            let item = context.member("Map").member("Item").member("Value");
            self.items.entry(map).or_default().merge(&item);
        }
        for (name, shape) in &needs.variables {
            self.variables.entry(name.clone()).or_default().merge(shape);
        }
    }

    fn call(&mut self, map: Option<BlockId>, bases: &mut Bases, name: &str, given: &[Given<'_>], shape: &Shape) {
        for (number, argument) in given.iter().enumerate() {
            let wanted = of_argument(name, given, number, shape);
            match argument {
                Given::Call(name, given) => self.call(map, bases, name, given, &wanted),
                Given::Constant(_) => {}
                Given::Path(path) => self.put(map, bases, path, wanted),
            }
        }
    }

    fn put(&mut self, map: Option<BlockId>, bases: &mut Bases, path: &Path, shape: Shape) {
        let nested = self.nested(map, path, shape);
        bases.input.merge(&nested);
    }

    /// Notes what a path needs of the context object or of a variable; returns what it needs of the input.
    fn nested(&mut self, map: Option<BlockId>, path: &Path, shape: Shape) -> Shape {
        match path.root() {
            Root::Input => nest(path.selected(), shape),
            Root::Context => {
                let context = nest(path.selected(), shape);
                let mut states = Shape::default();
                states.merge(&Shape::with("context", context));
                let needs = Needs {
                    states,
                    variables: BTreeMap::new(),
                };
                self.learn(map, &mut Bases::default(), &needs);
                Shape::default()
            }
            Root::Variable(name) => {
                let nested = nest(path.selected(), shape);
                self.variables.entry(name.to_string()).or_default().merge(&nested);
                Shape::default()
            }
        }
    }

    /// Returns the block of the Map around a state.
    fn map_around(&self, state: &State) -> Option<BlockId> {
        let mut block = state.block;
        loop {
            let parent = self.definition.state(self.definition.block(block).parent?);
            if matches!(parent.kind, StateKind::Map(_)) {
                return Some(block);
            }
            block = parent.block;
        }
    }
}
