//! The Choice state.

use crate::asl::compile::comparison;
use crate::asl::compile::fields::Fields;
use crate::asl::compile::fields::Mode;
use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::definition::Choice;
use crate::asl::definition::ChoiceRule;
use crate::asl::definition::Condition;
use crate::asl::node::Kind;
use crate::asl::node::Member;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;

/// The fields of a rule beside the comparison operators.
const RULE: Fields = &[
    ("Next", Mode::Both),
    ("Assign", Mode::Both),
    ("Comment", Mode::Both),
    ("Output", Mode::Ata),
    ("Condition", Mode::Ata),
    ("Variable", Mode::Path),
    ("And", Mode::Path),
    ("Or", Mode::Path),
    ("Not", Mode::Path),
];

impl<'n> Compiler<'n, '_> {
    /// Reads what a Choice state adds.
    pub(super) fn choice(&mut self, object: &Object<'n>) -> Option<Choice> {
        if object.has("Default") {
            self.target(object, "Default");
        }
        let default = object
            .get("Default")
            .and_then(|node| node.text())
            .and_then(|name| self.here.names.get(name).copied());
        if !self.required(object, &["Choices"]) {
            return None;
        }
        if self.array(object, "Choices")?.is_empty() {
            self.refuse_field(object, "Choices", "Value cannot be empty");
            return None;
        }
        let mut rules = Vec::new();
        for rule in self.objects(object, "Choices") {
            self.check_rule(&rule, true);
            self.required(&rule, &["Next"]);
            let condition = if self.is_jsonata() {
                self.jsonata_condition(&rule)
            } else {
                self.condition(&rule)
            };
            let next = self.target(&rule, "Next");
            let assign = self.assign(&rule, FieldScope::Input);
            let output = self.jsonata_template(&rule, "Output", FieldScope::Input);
            if let Some(condition) = condition {
                rules.push(ChoiceRule {
                    condition,
                    next,
                    assign,
                    output,
                });
            }
        }
        Some(Choice { rules, default })
    }

    /// Refuses the fields that a rule may not have.
    fn check_rule(&mut self, rule: &Object<'n>, is_top: bool) {
        for member in rule.node.members() {
            let mode = RULE
                .iter()
                .find(|(name, _)| *name == member.key)
                .map(|(_, mode)| *mode)
                .or_else(|| comparison::is_operator(&member.key).then_some(Mode::Path))
                .filter(|_| is_top || !matches!(member.key.as_str(), "Next" | "Assign" | "Output"));
            let language = Some(self.here.language);
            self.check_field(rule, member, mode, language);
        }
        self.string(rule, "Comment");
    }

    fn jsonata_condition(&mut self, rule: &Object<'n>) -> Option<Condition> {
        if !self.required(rule, &["Condition"]) {
            return None;
        }
        let node = rule.get("Condition")?;
        match &node.kind {
            Kind::Bool(value) => Some(Condition::Literal(*value)),
            Kind::String(text) | Kind::Open(text) if Expression::is_expression(text) => self
                .expression(rule, "Condition", text, FieldScope::Input)
                .map(Condition::Expression),
            Kind::Open(_) => Some(Condition::Literal(true)),
            _ => {
                self.wrong_type(&rule.at("Condition"), node, "BOOLEAN");
                None
            }
        }
    }

    /// Reads a JSONPath rule, nested ones included; the readers bound how deep that can go.
    fn condition(&mut self, rule: &Object<'n>) -> Option<Condition> {
        let operators: Vec<&'n Member> = rule
            .node
            .members()
            .iter()
            .filter(|member| {
                matches!(member.key.as_str(), "And" | "Or" | "Not") || comparison::is_operator(&member.key)
            })
            .collect();
        let [operator] = operators.as_slice() else {
            let names: Vec<&str> = operators.iter().map(|member| member.key.as_str()).collect();
            let message = if names.is_empty() {
                "A Choice Rule should have a comparison operator".to_owned()
            } else {
                format!(
                    "There should only be one of the following fields: [{}]",
                    names.join(", ")
                )
            };
            self.refuse(&rule.at, rule.node.span, message);
            return None;
        };
        let name = operator.key.as_str();
        match name {
            "And" => self.conditions(rule, name).map(Condition::And),
            "Or" => self.conditions(rule, name).map(Condition::Or),
            "Not" => {
                let nested = self.object(rule, name)?;
                self.nested(&nested).map(|nested| Condition::Not(Box::new(nested)))
            }
            _ => {
                let has_variable = self.required(rule, &["Variable"]);
                let comparison = self.comparison(rule, name);
                if !has_variable {
                    return None;
                }
                Some(Condition::Compare {
                    variable: self.path(rule, "Variable")?,
                    comparison: comparison?,
                })
            }
        }
    }

    fn conditions(&mut self, rule: &Object<'n>, name: &str) -> Option<Vec<Condition>> {
        if self.array(rule, name)?.is_empty() {
            self.refuse_field(rule, name, "Value cannot be empty");
            return None;
        }
        let nested = self.objects(rule, name);
        let conditions: Vec<Option<Condition>> = nested.iter().map(|nested| self.nested(nested)).collect();
        conditions.into_iter().collect()
    }

    fn nested(&mut self, rule: &Object<'n>) -> Option<Condition> {
        self.check_rule(rule, false);
        self.condition(rule)
    }
}
