//! What a state makes of its input: the fields in the order in which an execution evaluates them.

use std::sync::Arc;

use crate::asl::definition::Choice;
use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::Definition;
use crate::asl::definition::Items;
use crate::asl::definition::Map;
use crate::asl::definition::MapMode;
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
use crate::lint::flow::Facts;
use crate::lint::flow::eval::Eye;
use crate::lint::flow::eval::Read;
use crate::lint::flow::eval::Scope;
use crate::lint::flow::eval::Source;
use crate::lint::flow::results;
use crate::lint::flow::shape::Member;
use crate::lint::flow::shape::Origin;
use crate::lint::flow::shape::Shape;
use crate::lint::flow::shape::Verdict;
use crate::lint::flow::variables::Variables;
use crate::lint::graph::Step;
use crate::lint::graph::Way;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::query::jsonata::outline::Need;
use crate::query::jsonpath::path;
use crate::query::jsonpath::path::Field;
use crate::query::jsonpath::path::Path;
use crate::query::template::Template;

/// What a state gives on.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) steps: Vec<(Step, Shape, Variables)>,
    pub(super) blocks: Vec<(BlockId, Shape, Variables)>,
    /// What the block ends with.
    pub(super) end: Option<Shape>,
}

/// Lets a state work on what is known; `reads` takes what it reads.
pub(super) fn run(
    definition: &Definition,
    id: StateId,
    facts: &Facts,
    outputs: &[Option<Shape>],
    open: bool,
    reads: Option<&mut Vec<Read>>,
) -> Effects {
    let state = definition.state(id);
    let mut runner = Runner {
        id,
        state,
        facts,
        eye: Eye {
            state: id,
            open,
            reads,
            place: Vec::new(),
            compared: false,
        },
        effects: Effects::default(),
    };
    runner.run(outputs);
    runner.effects
}

struct Runner<'r, 'e> {
    id: StateId,
    state: &'r State,
    facts: &'r Facts,
    eye: Eye<'e>,
    effects: Effects,
}

impl<'r> Runner<'r, '_> {
    fn run(&mut self, outputs: &[Option<Shape>]) {
        let raw = &self.facts.input;
        let origin = Origin::Written(self.id);
        let input = self.path_field("/InputPath", &self.state.input_path, raw);
        match &self.state.kind {
            StateKind::Choice(choice) => self.choice(choice, &input),
            StateKind::Fail(fail) => {
                self.text_field("/Error", fail.error.as_ref(), &input);
                self.text_field("/Cause", fail.cause.as_ref(), &input);
            }
            StateKind::Map(map) => self.map(map, &input, outputs),
            StateKind::Parallel(branches) => {
                let effective = self.arguments(&input);
                let mut results = Vec::new();
                for block in branches {
                    let variables = self.facts.variables.clone();
                    self.effects.blocks.push((*block, effective.clone(), variables));
                    results.extend(outputs[block.index()].clone());
                }
                if results.len() == branches.len() {
                    self.complete(&Shape::tuple(results), true);
                }
            }
            StateKind::Pass(Some(result)) => {
                let result = Shape::literal(result.value(), origin, self.eye.open);
                self.complete(&result, false);
            }
            StateKind::Pass(None) => {
                let effective = self.arguments(&input);
                self.complete(&effective, false);
            }
            StateKind::Succeed => self.complete(&input, false),
            StateKind::Task(task) => {
                self.arguments(&input);
                self.number_field("/TimeoutSeconds", task.timeout_seconds.as_ref(), &input);
                self.number_field("/HeartbeatSeconds", task.heartbeat_seconds.as_ref(), &input);
                self.text_field("/Credentials/RoleArn", task.credentials.as_ref(), raw);
                let result = results::of_task(task, self.state.parameters.as_ref(), Origin::Result(self.id));
                self.complete(&result, true);
            }
            StateKind::Wait(wait) => {
                match wait {
                    Wait::Seconds(field) => self.number_field("/Seconds", Some(field), &input),
                    Wait::Until(_) => {}
                    Wait::TimestampPath(path) => {
                        self.path("/TimestampPath", path, &input);
                    }
                    Wait::TimestampExpression(expression) => {
                        let scope = self.scope(&input);
                        self.eye.at("/Timestamp", |eye| eye.expression(expression, scope));
                    }
                }
                self.complete(&input, false);
            }
        }
        self.catch();
    }

    fn scope<'s>(&self, input: &'s Shape) -> Scope<'s>
    where
        'r: 's,
    {
        Scope {
            input,
            result: None,
            error: None,
            variables: &self.facts.variables,
            source: Source::Input,
        }
    }

    fn path(&mut self, place: &str, path: &Path, input: &Shape) -> Shape {
        let scope = self.scope(input);
        self.eye.at(place, |eye| eye.path(path, scope, Need::Required).shape)
    }

    fn path_field(&mut self, place: &str, path: &PathField, input: &Shape) -> Shape {
        match path {
            PathField::Whole => input.clone(),
            PathField::Empty => Shape::object([], Origin::Written(self.id)),
            PathField::Path(path) => self.path(place, path, input),
        }
    }

    fn number_field(&mut self, place: &str, field: Option<&NumberField>, input: &Shape) {
        let scope = self.scope(input);
        match field {
            None | Some(NumberField::Literal(_)) => {}
            Some(NumberField::Path(path)) => {
                self.path(&format!("{place}Path"), path, input);
            }
            Some(NumberField::Expression(expression)) => {
                self.eye.at(place, |eye| eye.expression(expression, scope));
            }
        }
    }

    fn text_field(&mut self, place: &str, field: Option<&TextField>, input: &Shape) {
        let scope = self.scope(input);
        let other = if place.ends_with("RoleArn") { ".$" } else { "Path" };
        match field {
            None | Some(TextField::Literal(_)) => {}
            Some(TextField::Path(path)) => {
                self.path(&format!("{place}{other}"), path, input);
            }
            Some(TextField::Call(call)) => {
                self.eye.at(&format!("{place}{other}"), |eye| eye.call(call, scope));
            }
            Some(TextField::Expression(expression)) => {
                self.eye.at(place, |eye| eye.expression(expression, scope));
            }
        }
    }

    fn template(&mut self, place: &str, template: Option<&Template>, input: &Shape) -> Option<Shape> {
        let scope = self.scope(input);
        template.map(|template| self.eye.at(place, |eye| eye.template(template, scope)))
    }

    /// Returns the effective input.
    fn arguments(&mut self, input: &Shape) -> Shape {
        let place = match self.state.language {
            QueryLanguage::JsonPath => "/Parameters",
            QueryLanguage::JsonAta => "/Arguments",
        };
        let arguments = self.template(place, self.state.parameters.as_ref(), input);
        arguments.unwrap_or_else(|| input.clone())
    }

    /// Ends the state's work: `result` is that of Task, Map, Parallel and Pass, for others the effective input.
    fn complete(&mut self, result: &Shape, worked: bool) {
        let raw = &self.facts.input;
        let scope = match self.state.language {
            QueryLanguage::JsonPath => Scope {
                source: if worked { Source::Result } else { Source::Input },
                ..self.scope(result)
            },
            QueryLanguage::JsonAta => Scope {
                result: worked.then_some(result),
                ..self.scope(raw)
            },
        };
        let assigned = self.state.assign.as_ref();
        let assigned = assigned.map(|template| self.eye.at("/Assign", |eye| eye.assign(template, scope)));
        let variables = self.facts.variables.assign(assigned.unwrap_or_default());
        let output = match self.state.language {
            QueryLanguage::JsonPath => {
                let selected = match &self.state.result_selector {
                    Some(template) => self.eye.at("/ResultSelector", |eye| eye.template(template, scope)),
                    None => result.clone(),
                };
                let placed = self.place(&self.state.result_path, selected);
                self.path_field("/OutputPath", &self.state.output_path, &placed)
            }
            QueryLanguage::JsonAta => match &self.state.output {
                Some(template) => self.eye.at("/Output", |eye| eye.template(template, scope)),
                None => result.clone(),
            },
        };
        match self.state.transition {
            Transition::Next(to) => self.go(Way::Next, to, output, variables),
            Transition::End => self.effects.end = Some(output),
        }
    }

    fn go(&mut self, way: Way, to: StateId, output: Shape, variables: Variables) {
        let step = Step { from: self.id, way, to };
        self.effects.steps.push((step, output, variables));
    }

    /// Puts a value where a `ResultPath` says.
    fn place(&self, result_path: &ResultPath, value: Shape) -> Shape {
        let raw = &self.facts.input;
        match result_path {
            ResultPath::Replace => value,
            ResultPath::Discard => raw.clone(),
            ResultPath::At(path) => {
                let fields: Vec<Field<'_>> = path.fields().collect();
                raw.insert(&fields, value, Origin::Written(self.id))
            }
        }
    }

    fn catch(&mut self) {
        let state = self.state;
        for (index, catcher) in state.catchers.iter().enumerate() {
            let origin = Origin::Catcher(self.id, index);
            let members = ["Cause", "Error"].map(|name| (Arc::from(name), Member::sure(Shape::Unknown)));
            let error = Shape::object(members, origin);
            let scope = match state.language {
                QueryLanguage::JsonPath => Scope {
                    source: Source::ErrorOutput,
                    ..self.scope(&error)
                },
                QueryLanguage::JsonAta => Scope {
                    error: Some(&error),
                    ..self.scope(&self.facts.input)
                },
            };
            let (assign, template) = (catcher.assign.as_ref(), catcher.output.as_ref());
            let (assigned, output) = self.eye.at(&format!("/Catch[{index}]"), |eye| {
                let assigned = assign.map(|template| eye.at("/Assign", |eye| eye.assign(template, scope)));
                let output = template.map(|template| eye.at("/Output", |eye| eye.template(template, scope)));
                (assigned.unwrap_or_default(), output)
            });
            let output = match state.language {
                QueryLanguage::JsonPath => self.place(&catcher.result_path, error.clone()),
                QueryLanguage::JsonAta => output.unwrap_or_else(|| error.clone()),
            };
            let variables = self.facts.variables.assign(assigned);
            self.go(Way::Catch(index), catcher.next, output, variables);
        }
    }

    fn map(&mut self, map: &'r Map, input: &Shape, outputs: &[Option<Shape>]) {
        let items = match (&map.item_reader, &map.items) {
            (Some(_), _) => Shape::Unknown,
            (None, Items::Input) => input.clone(),
            (None, Items::Path(path)) => self.path("/ItemsPath", path, input),
            (None, Items::Template(template)) => {
                self.template("/Items", Some(template), input).unwrap_or(Shape::Unknown)
            }
        };
        if let Some(reader) = &map.item_reader {
            let place = match self.state.language {
                QueryLanguage::JsonPath => "/ItemReader/Parameters",
                QueryLanguage::JsonAta => "/ItemReader/Arguments",
            };
            self.template(place, reader.parameters.as_ref(), input);
            self.number_field("/ItemReader/ReaderConfig/MaxItems", reader.max_items.as_ref(), input);
        }
        self.number_field("/MaxConcurrency", map.max_concurrency.as_ref(), input);
        self.number_field("/ToleratedFailureCount", map.tolerated_failure_count.as_ref(), input);
        let percentage = map.tolerated_failure_percentage.as_ref();
        self.number_field("/ToleratedFailurePercentage", percentage, input);
        let selected = self.template("/ItemSelector", map.item_selector.as_ref(), input);
        let item = selected.unwrap_or_else(|| items.item());
        let block_input = match &map.item_batcher {
            None => item,
            Some(batcher) => {
                let batch_input = self.template("/ItemBatcher/BatchInput", batcher.batch_input.as_ref(), input);
                let items = (Arc::from("Items"), Member::sure(Shape::list(item)));
                let batch_input = batch_input.map(|shape| (Arc::from("BatchInput"), Member::sure(shape)));
                Shape::object([items].into_iter().chain(batch_input), Origin::Written(self.id))
            }
        };
        let variables = match map.mode {
            MapMode::Inline => self.facts.variables.clone(),
            MapMode::Distributed { .. } => Variables::none(),
        };
        self.effects.blocks.push((map.block, block_input, variables));
        let tolerates = map.tolerated_failure_count.is_some() || map.tolerated_failure_percentage.is_some();
        let result = match (&map.result_writer, &outputs[map.block.index()]) {
            (Some(writer), _) => {
                if let Some(export) = &writer.export {
                    self.template("/ResultWriter/Parameters", export.parameters.as_ref(), input);
                }
                Shape::Unknown
            }
            (None, Some(output)) if !tolerates => Shape::list(output.clone()),
            // No item may be there, so the state can end well even where no iteration can.
            (None, _) => Shape::list(Shape::Unknown),
        };
        self.complete(&result, true);
    }

    fn choice(&mut self, choice: &'r Choice, input: &Shape) {
        let origin = Origin::Absent(self.id);
        // What is known while the next rule is tried, all before it having failed.
        let mut known = input.clone();
        let mut variables = self.facts.variables.clone();
        for (index, rule) in choice.rules.iter().enumerate() {
            let place = format!("/Choices[{index}]");
            let scope = Scope {
                input: &known,
                variables: &variables,
                ..self.scope(input)
            };
            self.eye.compared = true;
            self.eye
                .at(&place, |eye| eye.condition(&rule.condition, scope, &mut true));
            self.eye.compared = false;
            let behind = variables.behind_choice();
            if let Some(chosen) = refine(&rule.condition, true, &known, origin) {
                let templates = (rule.assign.as_ref(), rule.output.as_ref());
                let way = Way::Rule(index);
                self.choose(&place, way, rule.next, templates, &chosen.behind_choice(), &behind);
            }
            match refine(&rule.condition, false, &known, origin) {
                Some(refused) => known = refused,
                // The rule always holds.
                None => return,
            }
            if !is_only_presence(&rule.condition) {
                known = known.behind_choice();
                variables = behind;
            }
        }
        if let Some(next) = choice.default {
            let (known, variables) = (known.behind_choice(), variables.behind_choice());
            let templates = (self.state.assign.as_ref(), self.state.output.as_ref());
            self.choose("", Way::Default, next, templates, &known, &variables);
        }
    }

    fn choose(
        &mut self,
        place: &str,
        way: Way,
        next: StateId,
        (assign, template): (Option<&Template>, Option<&Template>),
        known: &Shape,
        variables: &Variables,
    ) {
        let scope = Scope {
            input: known,
            result: None,
            error: None,
            variables,
            source: Source::Input,
        };
        let (assigned, output) = self.eye.at(place, |eye| {
            let assigned = assign.map(|template| eye.at("/Assign", |eye| eye.assign(template, scope)));
            let output = template.map(|template| eye.at("/Output", |eye| eye.template(template, scope)));
            (assigned.unwrap_or_default(), output)
        });
        let output = match (self.state.language, output) {
            (QueryLanguage::JsonAta, Some(output)) => output,
            (QueryLanguage::JsonAta, None) => known.clone(),
            (QueryLanguage::JsonPath, _) => self.path_field("/OutputPath", &self.state.output_path, known),
        };
        self.go(way, next, output, variables.assign(assigned));
    }
}

impl Eye<'_> {
    /// Notes what a condition reads. `first` tells that what it reads first is read whatever else holds.
    fn condition(&mut self, condition: &Condition, scope: Scope<'_>, first: &mut bool) {
        match condition {
            Condition::And(all) | Condition::Or(all) => {
                let name = if matches!(condition, Condition::And(_)) {
                    "And"
                } else {
                    "Or"
                };
                for (index, condition) in all.iter().enumerate() {
                    self.at(&format!("/{name}[{index}]"), |eye| {
                        eye.condition(condition, scope, first)
                    });
                }
            }
            Condition::Not(inner) => self.at("/Not", |eye| eye.condition(inner, scope, first)),
            Condition::Literal(_) => {}
            Condition::Expression(expression) => {
                self.at("/Condition", |eye| eye.expression(expression, scope));
                *first = false;
            }
            Condition::Compare { variable, comparison } => {
                let need = match (comparison, *first) {
                    (Comparison::IsPresent(_), _) => Need::Guarded,
                    (_, true) => Need::Required,
                    (_, false) => Need::Wanted,
                };
                self.at("/Variable", |eye| eye.path(variable, scope, need));
                if let Some(path) = operand(comparison) {
                    self.at("", |eye| eye.path(path, scope, need));
                }
                *first = false;
            }
        }
    }
}

/// Returns the path on the right side of a comparison.
fn operand(comparison: &Comparison) -> Option<&Path> {
    match comparison {
        Comparison::String(_, Operand::Path(path))
        | Comparison::Numeric(_, Operand::Path(path))
        | Comparison::Timestamp(_, Operand::Path(path))
        | Comparison::BooleanEquals(Operand::Path(path)) => Some(path),
        _ => None,
    }
}

/// Tells whether a condition only asks whether members are there.
fn is_only_presence(condition: &Condition) -> bool {
    match condition {
        Condition::And(all) | Condition::Or(all) => all.iter().all(is_only_presence),
        Condition::Not(inner) => is_only_presence(inner),
        Condition::Compare { comparison, .. } => matches!(comparison, Comparison::IsPresent(_)),
        Condition::Expression(_) | Condition::Literal(_) => false,
    }
}

/// Returns what is known of the input once a condition holds, or does not; nothing when that cannot be.
fn refine(condition: &Condition, holds: bool, known: &Shape, origin: Origin) -> Option<Shape> {
    match condition {
        Condition::And(all) if holds => {
            let mut all = all.iter();
            all.try_fold(known.clone(), |known, condition| {
                refine(condition, true, &known, origin)
            })
        }
        Condition::Or(any) if !holds => {
            let mut any = any.iter();
            any.try_fold(known.clone(), |known, condition| {
                refine(condition, false, &known, origin)
            })
        }
        Condition::Not(inner) => refine(inner, !holds, known, origin),
        Condition::Compare { variable, comparison }
            if *variable.root() == path::Root::Input && variable.is_reference() && !variable.is_root() =>
        {
            let fields: Vec<Field<'_>> = variable.fields().collect();
            let found = known.walk(fields.iter().copied(), false);
            match comparison {
                Comparison::IsPresent(want) if *want != holds => (!found.sure).then(|| known.without(&fields, origin)),
                Comparison::IsPresent(_) if matches!(found.verdict, Verdict::Never(..)) => None,
                _ => Some(known.with(&fields)),
            }
        }
        Condition::Literal(literal) => (*literal == holds).then(|| known.clone()),
        Condition::And(_) | Condition::Or(_) | Condition::Compare { .. } | Condition::Expression(_) => {
            Some(known.clone())
        }
    }
}
