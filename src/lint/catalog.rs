//! Everything that a finding can be called: the rules, AWS's codes, and the checker's own.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::RULES;

/// What there is to say of a name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// `time/no-timeout`, or AWS's `NO_DOLLAR`.
    pub id: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// How sure a finding is.
    pub confidence: Confidence,
    /// One line without a stop at its end.
    pub summary: &'static str,
    /// A few sentences.
    pub explanation: &'static str,
    /// Definitions that show it.
    pub examples: &'static [Example],
    /// The definition cannot be used: no level changes that.
    pub is_refusal: bool,
}

/// A marker names a rule that there is not.
pub const UNKNOWN_RULE: &str = "lint/unknown-rule";
/// A marker suppresses nothing.
pub const UNUSED_IGNORE: &str = "lint/unused-ignore";
/// An action of this machine is asked for what it does not do.
pub const INVALID_ACTION: &str = "INVALID_ACTION";

/// What is found by others than the rules.
const OTHERS: &[Entry] = &[
    refusal(
        "DUPLICATE_LABEL_NAME",
        "Two Maps have the same Label",
        "The label is part of the ARN of a Map Run, so two Distributed Maps of one definition cannot share it. Give one \
         of them another `Label`, or leave it out: then it is made up.",
    ),
    refusal(
        "DUPLICATE_STATE_NAME",
        "Two states have the same name",
        "A state's name counts for the whole definition, branches and item processors included. Rename one of them, and \
         what leads to it.",
    ),
    refusal(
        INVALID_ACTION,
        "An action of this machine does not take these parameters",
        "The Resource names an action of this program that does not exist, or its parameters are not those that it \
         takes. This is not AWS's code: AWS knows the Resource as an activity. `stepfn actions NAME` describes the action.",
    ),
    refusal(
        "INVALID_JSONATA_EXPRESSION",
        "A JSONata expression cannot be read",
        "The text between `{%` and `%}` is no JSONata, or names something that is not there: an expression has no input \
         of its own, so it begins with `$states.input` or a variable; `$states.result` is there after the task only, \
         `$states.errorOutput` in a catcher only.",
    ),
    refusal(
        "INVALID_JSON_DESCRIPTION",
        "The definition is not JSON",
        "The message is that of the reader which AWS uses; the place is the first that cannot be read. Common causes: a \
         comma before a closing bracket, a comment, a single quote, YAML in a file whose name does not say so.",
    ),
    refusal(
        "INVALID_LABEL_NAME",
        "A Map's Label has characters that an ARN does not take",
        "A `Label` has at most 40 characters, no white space and none of the brackets and signs that are special in an \
         ARN or a shell.",
    ),
    refusal(
        "INVALID_RESOURCE",
        "A Resource cannot be used",
        "AWS documents this code of ValidateStateMachineDefinition. A `Resource` that is no ARN, or names no integration \
         that there is, was seen to be refused with `SCHEMA_VALIDATION_FAILED`, and `stepfn` does the same.",
    ),
    refusal(
        "INVALID_STATE_NAME",
        "A state's name cannot be used",
        "A state's name has 1 to 80 characters.",
    ),
    refusal(
        "INVALID_SUBSTITUTION",
        "A value for a placeholder cannot stand there",
        "The value that is given for `${Name}` does not fit its place. This is not AWS's code.",
    ),
    refusal(
        "INVALID_TEMPLATE",
        "A template does not say a definition in the right way",
        "The property that holds the definition is of the wrong kind, or a placeholder of Terraform has no end. This is not AWS's code.",
    ),
    refusal(
        "INVALID_YAML_DESCRIPTION",
        "The definition is not YAML",
        "The file's name ends in `.yaml` or `.yml`, and its text is no YAML. AWS itself takes JSON only; tools such as SAM \
         translate. This is not AWS's code.",
    ),
    Entry {
        severity: Severity::Error,
        ..own(
            UNKNOWN_RULE,
            "A `lint-ignore` names a rule that there is not",
            "A misspelled name would silently suppress nothing. `stepfn explain` lists the names; a pattern like `time/*` \
             must match one of them.",
        )
    },
    refusal(
        "MISSING_DEFINITION",
        "A state machine of a template has no definition",
        "One of `Definition`, `DefinitionString`, `DefinitionUri` and `DefinitionS3Location` must be there. This is not AWS's code.",
    ),
    refusal(
        "TEMPLATE_DIRECTIVE",
        "A template decides with `%{ if }` or `%{ for }` what the definition is",
        "What Terraform makes of it is not known here. Check the plan: `terraform show -json`. This is not AWS's code.",
    ),
    refusal(
        "TOO_COMPLEX",
        "Functions of a template multiply one another's text",
        "The text grows beyond all bounds before it is a definition. This is not AWS's code.",
    ),
    warning(
        "UNCHECKED_DEFINITION",
        "A template's definition is not known here",
        "It is in S3, or only known at deployment. This is not AWS's code.",
    ),
    refusal(
        "UNREADABLE_DEFINITION",
        "The file that a template names cannot be read",
        "The path counts from the directory of the template. This is not AWS's code.",
    ),
    own(
        UNUSED_IGNORE,
        "A `lint-ignore` suppresses nothing",
        "What it was written for is not found any more, or was never found there. Remove it, so that it does not hide \
         something else later.",
    ),
    refusal(
        "MISSING_DESCRIPTION",
        "There is no definition",
        "AWS documents this code of ValidateStateMachineDefinition for a definition that is not there. `stepfn` refuses an \
         empty text with `SCHEMA_VALIDATION_FAILED`.",
    ),
    refusal(
        "MISSING_END_STATE",
        "Nothing ends the machine",
        "One of the states must have `\"End\": true` or be of type Succeed or Fail.",
    ),
    refusal(
        "MISSING_SUBSTITUTION",
        "A placeholder has no value",
        "`${Name}` must have a value before the definition can run; `stepfn validate` does without. This is not AWS's code.",
    ),
    refusal(
        "MISSING_TRANSITION_TARGET",
        "A transition leads nowhere, or a state is never reached",
        "`Next`, `Default` and `StartAt` name a state of the same `States` object: nothing leads into a branch or an item \
         processor from outside, or out of it. And each state must be reached from `StartAt`.",
    ),
    warning(
        "NO_DOLLAR",
        "A value looks like a path, but is a text",
        "In a template of JSONPath a path is evaluated only when the field's name ends in `.$`. Write `\"name.$\": \
         \"$.path\"`, or leave it if the text itself is meant.",
    ),
    warning(
        "NO_PATH",
        "A field that wants a path has something else",
        "A field whose name ends in `.$` takes a path, a context path or an intrinsic function.",
    ),
    warning(
        "PASS_RESULT_IS_STATIC",
        "A path in the Result of a Pass state is not evaluated",
        "`Result` is given as it stands. Use `Parameters` with fields that end in `.$`.",
    ),
    refusal(
        "SCHEMA_VALIDATION_FAILED",
        "A field is missing, not known here, or has a wrong value",
        "Most of what AWS refuses has this code; the message tells the field and what it takes.",
    ),
    refusal(
        "STATE_MACHINE_NAME_ALREADY_EXISTS",
        "Another state machine has this name",
        "A name is used once in an account and region. This is found when a machine is created or named, not in its \
         definition.",
    ),
    refusal(
        "STATE_MACHINE_NAME_EMPTY",
        "The state machine's name is empty",
        "A name has 1 to 80 characters. This is found when a machine is created or named, not in its definition.",
    ),
    refusal(
        "STATE_MACHINE_NAME_INVALID",
        "The state machine's name has characters that an ARN does not take",
        "A name has no white space, no control characters, none of the brackets `<>{}[]`, no wildcards `?*` and none of \
         the signs `\"#%\\^|~`$&,;:/`. This is found when a machine is created or named, not in its definition.",
    ),
    refusal(
        "STATE_MACHINE_NAME_TOO_LONG",
        "The state machine's name is too long",
        "A name has 1 to 80 characters. This is found when a machine is created or named, not in its definition.",
    ),
    refusal(
        "TOO_DEEPLY_NESTED",
        "The definition is nested too deeply",
        "Objects and lists stand too deeply in one another, or there are too many of them.",
    ),
    refusal(
        "UNSUPPORTED_JSONATA_EXPRESSION",
        "An expression uses what AWS's JSONata does not have",
        "Step Functions leaves some of JSONata out, such as `$$` and names at the top level; the message tells what.",
    ),
    warning(
        "UNUSED_SUBSTITUTION",
        "A name of DefinitionSubstitutions has no placeholder",
        "Often the placeholder is misspelt, or went away. This is not AWS's code.",
    ),
];

const fn refusal(id: &'static str, summary: &'static str, explanation: &'static str) -> Entry {
    Entry {
        severity: Severity::Error,
        is_refusal: true,
        ..own(id, summary, explanation)
    }
}

const fn warning(id: &'static str, summary: &'static str, explanation: &'static str) -> Entry {
    Entry {
        severity: Severity::Warning,
        ..own(id, summary, explanation)
    }
}

const fn own(id: &'static str, summary: &'static str, explanation: &'static str) -> Entry {
    Entry {
        id,
        severity: Severity::Information,
        confidence: Confidence::Static,
        summary,
        explanation,
        examples: &[],
        is_refusal: false,
    }
}

/// Returns all names: the rules, then the others.
pub fn entries() -> impl Iterator<Item = Entry> {
    let rules = RULES.iter().map(|rule| Entry {
        id: rule.id,
        severity: rule.severity,
        confidence: rule.confidence,
        summary: rule.summary,
        explanation: rule.explanation,
        examples: rule.examples,
        is_refusal: false,
    });
    rules.chain(OTHERS.iter().copied())
}

/// Returns what there is to say of a name.
pub fn named(id: &str) -> Option<Entry> {
    entries().find(|entry| entry.id == id)
}

/// Returns the name that is spelled most like a text, if any is near.
pub fn nearest(text: &str) -> Option<&'static str> {
    let (wanted, mut best) = (text.to_ascii_lowercase(), None);
    for entry in entries() {
        let id = entry.id.to_ascii_lowercase();
        // Who forgets the family means the rule, too.
        let short = id.split_once('/').map_or(id.as_str(), |(_, short)| short);
        let likeness = strsim::jaro_winkler(&id, &wanted).max(strsim::jaro_winkler(short, &wanted));
        if best.is_none_or(|(best, _)| best < likeness) {
            best = Some((likeness, entry.id));
        }
    }
    best.filter(|(likeness, _)| *likeness >= 0.75).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sentences_have_one_form() {
        let mut ids: Vec<&str> = entries().map(|entry| entry.id).collect();
        ids.sort_unstable();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        for entry in entries() {
            assert!(!entry.summary.ends_with('.'), "{}", entry.id);
            assert!(entry.explanation.ends_with('.'), "{}", entry.id);
        }
    }

    #[test]
    fn a_misspelled_name_finds_its_neighbour() {
        for (text, expected) in [
            ("time/no-timeuot", Some("time/no-timeout")),
            ("unused-ignor", Some("lint/unused-ignore")),
            ("no_dolar", Some("NO_DOLLAR")),
            ("MISSING_TRANSITION", Some("MISSING_TRANSITION_TARGET")),
            ("", None),
            ("#", None),
        ] {
            assert_eq!(nearest(text), expected, "{text}");
        }
    }
}
