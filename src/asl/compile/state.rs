//! What all states have in common.

use std::sync::Arc;

use crate::asl::compile::fields::Fields;
use crate::asl::compile::fields::Object;
use crate::asl::compile::fields::STATE_TYPES;
use crate::asl::compile::graph::Edge;
use crate::asl::compile::machine::Compiler;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::query::jsonata::expression::FieldScope;

impl<'n> Compiler<'n, '_> {
    /// Compiles one state.
    pub(super) fn state(&mut self, name: &str, node: &'n Node, at: String) -> Option<State> {
        let Some(object) = self.as_object(node, at) else {
            self.here.has_terminal = true;
            return None;
        };
        if !self.required(&object, &["Type"]) {
            self.presume_transitions(&object);
            return None;
        }
        let state_type = object.get("Type").and_then(Node::text);
        let Some((state_type, fields)) = STATE_TYPES.iter().find(|(known, _)| Some(*known) == state_type) else {
            let types: Vec<&str> = STATE_TYPES.iter().map(|(known, _)| *known).collect();
            let message = format!(
                "The field 'Type' should have one of these values: [{}]",
                types.join(", ")
            );
            self.refuse_field(&object, "Type", message);
            self.presume_transitions(&object);
            return None;
        };
        self.language(&object, fields);
        self.string(&object, "Comment");
        let transition = self.transition(&object, state_type);
        let has_result = matches!(*state_type, "Map" | "Parallel" | "Task");
        let scope = if has_result {
            FieldScope::Result
        } else {
            FieldScope::Input
        };
        let kind = self.kind(name, &object, state_type);
        let is_map = *state_type == "Map";
        Some(State {
            name: Arc::from(name),
            block: self.here.block,
            span: node.span,
            language: self.here.language,
            input_path: self.path_field_of(&object, fields, "InputPath"),
            parameters: match fields.iter().any(|(name, _)| *name == "Parameters") && !is_map {
                true => self.parameters(&object),
                false => None,
            },
            result_selector: match has_result {
                true => self.jsonpath_template(&object, "ResultSelector"),
                false => None,
            },
            result_path: match has_result || *state_type == "Pass" {
                true => self.result_path(&object),
                false => crate::asl::definition::ResultPath::Replace,
            },
            output_path: self.path_field_of(&object, fields, "OutputPath"),
            output: match *state_type {
                "Fail" => None,
                _ => self.jsonata_template(&object, "Output", scope),
            },
            assign: match *state_type {
                "Fail" | "Succeed" => None,
                _ => self.assign(&object, scope),
            },
            transition,
            retriers: if has_result { self.retriers(&object) } else { Vec::new() },
            catchers: if has_result { self.catchers(&object) } else { Vec::new() },
            kind: kind?,
        })
    }

    fn kind(&mut self, name: &str, object: &Object<'n>, state_type: &str) -> Option<StateKind> {
        match state_type {
            "Choice" => self.choice(object).map(StateKind::Choice),
            "Fail" => Some(StateKind::Fail(self.fail(object))),
            "Map" => self.map(name, object).map(|map| StateKind::Map(Box::new(map))),
            "Parallel" => self.parallel(object).map(StateKind::Parallel),
            "Pass" => Some(StateKind::Pass(self.pass_result(object))),
            "Succeed" => Some(StateKind::Succeed),
            "Task" => self.task(object).map(|task| StateKind::Task(Box::new(task))),
            _ => self.wait(object).map(StateKind::Wait),
        }
    }

    /// Settles the state's language and refuses fields that it does not have.
    fn language(&mut self, object: &Object<'n>, fields: Fields) {
        let machine_language = self.machine_language;
        let own = object.get("QueryLanguage");
        self.here.language = match own {
            None => machine_language,
            Some(node) if node.text() == Some("JSONPath") => QueryLanguage::JsonPath,
            Some(_) => QueryLanguage::JsonAta,
        };
        let is_mixed = machine_language == QueryLanguage::JsonAta && self.here.language == QueryLanguage::JsonPath;
        self.check_state_fields(object, fields, is_mixed);
        if is_mixed {
            let span = own.map_or(object.node.span, |node| node.span);
            let message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
            self.refuse(&object.at, span, message);
        }
        self.one_of(object, "QueryLanguage", &["JSONPath", "JSONata"]);
    }

    fn path_field_of(&mut self, object: &Object<'n>, fields: Fields, name: &str) -> crate::asl::definition::PathField {
        if fields.iter().any(|(known, _)| *known == name) {
            return self.path_field(object, name);
        }
        crate::asl::definition::PathField::Whole
    }

    fn transition(&mut self, object: &Object<'n>, state_type: &str) -> Transition {
        match state_type {
            "Choice" => return Transition::End,
            "Fail" | "Succeed" => {
                self.here.has_terminal = true;
                return Transition::End;
            }
            _ => {}
        }
        let ends = self.boolean(object, "End").unwrap_or(false);
        if ends {
            self.here.has_terminal = true;
        }
        match (object.has("Next"), ends) {
            (true, true) => {
                self.at_most_one(object, &["Next", "End"]);
                Transition::End
            }
            (true, false) => {
                if object.get("Next").is_some_and(|node| node.text().is_none()) {
                    // Where it should lead is not known, so say nothing about an end.
                    self.here.has_terminal = true;
                }
                Transition::Next(self.target(object, "Next"))
            }
            (false, true) => Transition::End,
            (false, false) => {
                // The end is presumably what is missing, so say nothing about the graph.
                self.here.has_terminal = true;
                // An `End` of the wrong type has been refused already.
                if object.get("End").is_none_or(|node| matches!(node.kind, Kind::Bool(_))) {
                    self.refuse(
                        &object.at,
                        object.node.span,
                        "There should be one of the following fields: [Next, End]",
                    );
                }
                Transition::End
            }
        }
    }

    /// Notes where a state of unknown type seems to lead, so that others are not called unreachable.
    fn presume_transitions(&mut self, object: &Object<'n>) {
        self.here.has_terminal = true;
        for name in ["Next", "Default"] {
            if object.get(name).is_some_and(|node| node.text().is_some()) {
                self.target(object, name);
            }
        }
        for list in ["Catch", "Choices"] {
            for (index, entry) in object
                .get(list)
                .map(Node::elements)
                .unwrap_or_default()
                .iter()
                .enumerate()
            {
                let entry = Object::new(entry, format!("{}[{index}]", object.at(list)));
                if entry.get("Next").is_some_and(|node| node.text().is_some()) {
                    self.target(&entry, "Next");
                }
            }
        }
    }

    /// Reads a field that names a state. The graph refuses it when there is no such state.
    pub(super) fn target(&mut self, object: &Object<'n>, name: &str) -> StateId {
        let Some(text) = self.string(object, name) else {
            return StateId(0);
        };
        let node = object.get(name).unwrap_or(object.node);
        if node.is_open() {
            self.here.has_open_target = true;
            return self.here.state;
        }
        self.here.edges.push(Edge {
            from: self.here.state,
            to: text.to_owned(),
            at: object.at(name),
            span: node.span,
        });
        self.here.names.get(text).copied().unwrap_or_default()
    }

    /// Reads a Pass state's `Result`; `null` counts as absent (recorded).
    fn pass_result(&mut self, object: &Object<'n>) -> Option<Payload> {
        if self.is_jsonata() {
            return None;
        }
        let node = object.get("Result")?;
        (!matches!(node.kind, Kind::Null)).then(|| Payload::new(node.to_value()))
    }

    fn parallel(&mut self, object: &Object<'n>) -> Option<Vec<BlockId>> {
        if !self.required(object, &["Branches"]) {
            return None;
        }
        if self.array(object, "Branches")?.is_empty() {
            self.refuse_field(object, "Branches", "Value cannot be empty");
            return None;
        }
        let express = self.here.express;
        let branches = self.objects(object, "Branches");
        Some(
            branches
                .into_iter()
                .map(|branch| self.queue_block(branch, true, express))
                .collect(),
        )
    }
}
