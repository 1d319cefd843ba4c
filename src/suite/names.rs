//! Names of states in test files, which may be mistyped.

use crate::asl::definition::Definition;
use crate::suite::file::Expected;
use crate::suite::reader::did_you_mean;

/// Says that a definition has no state of this name, and which one may be meant: a sentence. `whose` is put behind the
/// name.
pub fn no_state(definition: &Definition, name: &str, whose: &str) -> String {
    let names = definition.states.iter().map(|state| &*state.name);
    let question = match did_you_mean(name, names) {
        none if none.is_empty() => ".".to_owned(),
        question => question,
    };
    format!("The definition has no state `{name}`{whose}{question}")
}

/// Returns a sentence for each state that is expected, but does not exist.
pub fn strangers(definition: &Definition, expected: &Expected) -> Vec<String> {
    let visited = expected.visited.iter().flatten().map(|name| ("visited", name));
    let attempts = expected.attempts.keys().map(|name| ("attempts", name));
    let next = expected.next_state.iter().map(|name| ("next_state", name));
    let mut told = Vec::new();
    for (member, name) in visited.chain(attempts).chain(next) {
        if !definition.states.iter().any(|state| *state.name == **name) {
            let text = no_state(definition, name, &format!(", which `{member}` names"));
            if !told.contains(&text) {
                told.push(text);
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::load::Format;
    use crate::asl::load::Options;
    use crate::asl::load::compile;
    use crate::suite::file;

    #[test]
    fn a_state_that_is_mistyped_is_told_once_with_what_is_meant() {
        let definition = r#"{"StartAt":"Reserve","States":{"Reserve":{"Type":"Succeed"}}}"#;
        let definition = compile(definition, &Options::default()).unwrap();
        let case = "tests: [{name: a, expect: {visited: [Resrve, Reserve, Resrve], attempts: {Other: 1}}}]";
        let file = file::parse(case, Format::Yaml).unwrap();
        assert_eq!(
            strangers(&definition, &file.cases[0].expected),
            [
                "The definition has no state `Resrve`, which `visited` names; did you mean `Reserve`?",
                "The definition has no state `Other`, which `attempts` names."
            ]
        );
    }
}
