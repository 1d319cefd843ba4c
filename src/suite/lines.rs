//! Lays coverage over the lines of a definition's text.

use std::collections::BTreeMap;

use crate::asl::load::Tree;
use crate::kernel::event::Way;
use crate::model::span::Span;
use crate::suite::coverage::Coverage;
use crate::suite::coverage::Point;

/// What was run of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lit {
    /// Nothing on it can be run.
    Blank,
    /// Nothing of it was.
    Missed,
    /// Some of what begins on it was.
    Partly,
    /// All of it was.
    Run,
}

/// A line of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was run of it.
    pub lit: Lit,
    /// How often what begins on it was run; `None` when nothing begins on it.
    pub count: Option<u64>,
}

/// A piece of the text that is run as a whole.
struct Region {
    first: u32,
    last: u32,
    start: u32,
    count: u64,
}

/// Returns what was run of each line of `text`, whose value is `tree`.
pub fn lines(text: &str, tree: &Tree, coverage: &Coverage) -> Vec<Line> {
    let regions = regions(text, tree, coverage);
    let mut regions = regions.iter().peekable();
    let mut open: Vec<&Region> = Vec::new();
    let numbers = (1..).take(text.lines().count());
    let line = |number| {
        open.retain(|region| number <= region.last);
        let mut begun: Vec<&Region> = Vec::new();
        while let Some(region) = regions.next_if(|region| region.first <= number) {
            begun.push(region);
        }
        let lit = match (begun.as_slice(), open.last()) {
            ([], None) => Lit::Blank,
            ([], Some(around)) => whole(around.count),
            (begun, _) => match begun.iter().filter(|region| 0 < region.count).count() {
                0 => Lit::Missed,
                n_run if n_run == begun.len() => Lit::Run,
                _ => Lit::Partly,
            },
        };
        let count = begun.iter().map(|region| region.count).max();
        open.extend(begun);
        Line { lit, count }
    };
    numbers.map(line).collect()
}

fn whole(count: u64) -> Lit {
    if 0 < count { Lit::Run } else { Lit::Missed }
}

/// Returns the regions in the order of the text, an outer one before those in it.
fn regions(text: &str, tree: &Tree, coverage: &Coverage) -> Vec<Region> {
    let states = states(tree);
    let region = |point: &Point| {
        let span = span(states.get(&*point.name)?, point.way)?;
        let within = text.get(span.start as usize..span.end as usize)?.trim_end();
        let breaks = within.matches('\n').count();
        Some(Region {
            first: span.line,
            last: span.line + u32::try_from(breaks).unwrap_or(u32::MAX),
            start: span.start,
            count: point.count,
        })
    };
    let mut regions: Vec<Region> = coverage.points.iter().filter_map(region).collect();
    regions.sort_by_key(|region| (region.start, std::cmp::Reverse(region.last)));
    regions
}

fn span(state: &Tree, way: Option<Way>) -> Option<Span> {
    let member = |name: &str| {
        let members = state.members()?;
        members
            .into_iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let element = |list: &str, index: usize| member(list)?.elements()?.get(index).map(Tree::span);
    match way {
        None => Some(state.span()),
        Some(Way::Catch(n)) => element("Catch", n),
        Some(Way::Default) => member("Default").map(|value| value.span()),
        Some(Way::Next) => member("Next").map(|value| value.span()),
        Some(Way::Retry(n)) => element("Retry", n),
        Some(Way::Rule(n)) => element("Choices", n),
    }
}

/// Finds the object of every state. Names are unique in a definition that compiles.
fn states(tree: &Tree) -> BTreeMap<String, Tree> {
    let mut found = BTreeMap::new();
    let mut open = vec![tree.clone()];
    while let Some(block) = open.pop() {
        let states = block
            .members()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key == "States");
        for (_, states) in states {
            for (name, state) in states.members().into_iter().flatten() {
                for (key, value) in state.members().into_iter().flatten() {
                    match key {
                        "Branches" => open.extend(value.elements().into_iter().flatten()),
                        "ItemProcessor" | "Iterator" => open.push(value),
                        _ => {}
                    }
                }
                found.insert(name.to_owned(), state);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use super::*;
    use crate::asl::load::Format;
    use crate::asl::load::Options;
    use crate::asl::load::compile;
    use crate::model::id::StateId;
    use crate::suite::coverage::Taken;

    #[test]
    fn each_line_tells_what_was_run_of_it() {
        let text = r#"{
  "StartAt": "C",
  "States": {
    "C": {
      "Type": "Choice",
      "Choices": [
        { "Variable": "$.a", "IsPresent": true, "Next": "M" },
        {
          "Variable": "$.b", "IsPresent": true,
          "Next": "F"
        }
      ],
      "Default": "F"
    },
    "M": {
      "Type": "Map",
      "ItemProcessor": { "StartAt": "P", "States": {
        "P": { "Type": "Pass", "Next": "Q" }, "Q": { "Type": "Pass", "End": true }
      } },
      "End": true
    },
    "F": { "Type": "Fail" }
  }
}"#;
        let definition = compile(text, &Options::default()).unwrap();
        let mut taken = Taken::default();
        for name in ["C", "M", "P", "P"] {
            taken.enter(&Arc::from(name));
        }
        taken.take(StateId(0), Way::Rule(0));
        let coverage = Coverage::of(&definition, &taken);
        let tree = Tree::read(text, Format::Json).unwrap();
        let mut shown = String::new();
        for (line, text) in lines(text, &tree, &coverage).iter().zip(text.lines()) {
            let count = line.count.map_or_else(String::new, |count| count.to_string());
            shown += &format!("{:7} {count:2}|{text}\n", format!("{:?}", line.lit));
        }
        expect![[r#"
            Blank     |{
            Blank     |  "StartAt": "C",
            Blank     |  "States": {
            Run     1 |    "C": {
            Run       |      "Type": "Choice",
            Run       |      "Choices": [
            Run     1 |        { "Variable": "$.a", "IsPresent": true, "Next": "M" },
            Missed  0 |        {
            Missed    |          "Variable": "$.b", "IsPresent": true,
            Missed    |          "Next": "F"
            Missed    |        }
            Run       |      ],
            Missed  0 |      "Default": "F"
            Run       |    },
            Run     1 |    "M": {
            Run       |      "Type": "Map",
            Run       |      "ItemProcessor": { "StartAt": "P", "States": {
            Partly  2 |        "P": { "Type": "Pass", "Next": "Q" }, "Q": { "Type": "Pass", "End": true }
            Run       |      } },
            Run       |      "End": true
            Run       |    },
            Missed  0 |    "F": { "Type": "Fail" }
            Blank     |  }
            Blank     |}
        "#]]
        .assert_eq(&shown);
    }
}
