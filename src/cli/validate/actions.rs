//! What is wrong with the tasks that are actions of this machine.

use crate::asl::definition::Definition;
use crate::asl::definition::QueryLanguage;
use crate::asl::diagnostic::Diagnostic;
use crate::asl::load::Options;
use crate::asl::load::Tree;
use crate::asl::load::find_within;
use crate::lint::catalog::INVALID_ACTION;
use crate::lint::finding::Confidence;
use crate::lint::finding::Finding;
use crate::lint::finding::Severity;
use crate::model::span::Span;
use crate::query::jsonata::expression::FieldScope;
use crate::query::template::Template;
use crate::worker::action::check;
use crate::worker::action::check::Problem;

/// Fields of a Task of which what is refused leaves the rest in doubt.
const DECIDING: &[&str] = &["Arguments", "Parameters", "QueryLanguage", "Resource", "Type"];

/// Checks the tasks of a definition that AWS would take.
pub(super) fn of_definition(text: &str, options: &Options, definition: &Definition) -> Vec<Finding> {
    let problems = check::definition(definition).into_iter();
    let findings = problems.filter_map(|(id, problem)| {
        let state = definition.state(id);
        finding(text, options, &state.name, state.span, &problem)
    });
    findings.collect()
}

/// Checks the tasks of a text that AWS refuses, as far as what it refuses has nothing to do with them: who writes a
/// definition wants to know everything at once.
pub(super) fn of_text(text: &str, options: &Options, refused: &[Diagnostic]) -> Vec<Finding> {
    let Ok(root) = Tree::read(text, options.format) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let of_machine = language(&root).unwrap_or(QueryLanguage::JsonPath);
    let mut blocks = vec![root];
    while let Some(block) = blocks.pop() {
        let states = member(&block, "States");
        for (name, state) in states.as_ref().and_then(Tree::members).unwrap_or_default() {
            blocks.extend(
                ["ItemProcessor", "Iterator"]
                    .iter()
                    .filter_map(|field| member(&state, field)),
            );
            blocks.extend(
                member(&state, "Branches")
                    .and_then(|branches| branches.elements())
                    .unwrap_or_default(),
            );
            let problems = problems(&state, of_machine, refused).into_iter();
            findings.extend(problems.filter_map(|problem| finding(text, options, name, state.span(), &problem)));
        }
    }
    findings
}

fn problems(state: &Tree, of_machine: QueryLanguage, refused: &[Diagnostic]) -> Vec<Problem> {
    let is_within = |span: Span, outer: Span| outer.start <= span.start && span.start < outer.end;
    let is_doubtful = |field: &&str| {
        let node = member(state, field);
        let mut spans = refused.iter().filter_map(|diagnostic| diagnostic.span);
        node.is_some_and(|node| spans.any(|span| is_within(span, node.span())))
    };
    let language = language(state).unwrap_or(of_machine);
    let field = check::parameters_field(language);
    let of_other = match language {
        QueryLanguage::JsonPath => "Arguments",
        QueryLanguage::JsonAta => "Parameters",
    };
    let is_task = text(state, "Type").is_some_and(|kind| kind == "Task");
    if !is_task || member(state, of_other).is_some() || DECIDING.iter().any(is_doubtful) {
        return Vec::new();
    }
    let Some(resource) = text(state, "Resource") else {
        return Vec::new();
    };
    let template = member(state, field).map(|node| match language {
        QueryLanguage::JsonPath => Template::parse_jsonpath(&node.value()),
        QueryLanguage::JsonAta => Template::parse_jsonata(&node.value(), FieldScope::Input),
    });
    match template.transpose() {
        Ok(template) => check::task(&resource, language, template.as_ref()),
        Err(_) => Vec::new(),
    }
}

fn language(node: &Tree) -> Option<QueryLanguage> {
    match text(node, "QueryLanguage")?.as_str() {
        "JSONPath" => Some(QueryLanguage::JsonPath),
        "JSONata" => Some(QueryLanguage::JsonAta),
        _ => None,
    }
}

fn member(node: &Tree, name: &str) -> Option<Tree> {
    let members = node.members()?;
    members
        .into_iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn text(node: &Tree, name: &str) -> Option<String> {
    member(node, name)?.value().as_str().map(str::to_owned)
}

fn finding(text: &str, options: &Options, state: &str, span: Span, problem: &Problem) -> Option<Finding> {
    let place = find_within(text, options.format, span, &problem.pointer);
    if place.is_some_and(|place| place.has_placeholder) {
        // What it will be is not known yet.
        return None;
    }
    Some(Finding {
        rule: INVALID_ACTION,
        severity: Severity::Error,
        confidence: Confidence::Static,
        message: problem.message.trim_end_matches('.').to_owned(),
        hint: None,
        location: Some(format!("{state}{}", problem.pointer)),
        span: Some(place.map_or(span, |place| place.span)),
        fix: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::cli::validate::policy::tests::checked;

    /// Returns what is found: code and line.
    fn found(states: &str) -> Vec<String> {
        let text = format!("{{\"StartAt\": \"A\", \"States\": {{\n{states}\n}}}}");
        let findings = checked("a.json", &text).findings.into_iter();
        let shown = findings.map(|finding| format!("{}:{}", finding.rule, finding.span.map_or(0, |span| span.line)));
        shown.collect()
    }

    #[test]
    fn actions_are_checked_beside_what_is_refused() {
        let action = "\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::debian:apt.install\"";
        for (states, expected) in [
            // The transition is wrong, and so is a parameter.
            (
                format!("\"A\": {{{action},\n\"Parameters\": {{\"Package\": [\"hello\"]}},\n\"Next\": \"Nowhere\"}}"),
                &[
                    "INVALID_ACTION:3",
                    "INVALID_ACTION:3",
                    "MISSING_END_STATE:0",
                    "MISSING_TRANSITION_TARGET:4",
                ][..],
            ),
            // What else is wrong with the parameters is not known.
            (
                format!("\"A\": {{{action},\n\"Parameters\": {{\"Package.$\": \"no path\"}},\n\"End\": true}}"),
                &["SCHEMA_VALIDATION_FAILED:3"],
            ),
            // They may be there in the other language.
            (
                format!("\"A\": {{{action},\n\"Arguments\": {{\"Package\": 1}},\n\"End\": true}}"),
                &["SCHEMA_VALIDATION_FAILED:3"],
            ),
            (
                format!("\"A\": {{{action},\n\"Paramters\": {{\"Package\": 1}},\n\"End\": true}}"),
                &["SCHEMA_VALIDATION_FAILED:3"],
            ),
            // A value that a placeholder will give is nothing that could be wrong yet.
            (
                format!("\"A\": {{{action},\n\"Parameters\": {{\"Packages\": \"${{P}}\"}},\n\"Next\": \"Nowhere\"}}"),
                &["MISSING_SUBSTITUTION:3"],
            ),
        ] {
            let mut found = found(&states);
            found.sort_unstable();
            assert_eq!(found, expected, "{states}");
        }
    }
}
