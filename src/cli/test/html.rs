//! The coverage as one HTML page: the graph of each definition, the counts, the text with what was run of each line.
//!
//! The page is well-formed XML, too, and asks for nothing from outside.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::Value;
use serde_json::json;

use crate::asl::definition::Definition;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::asl::load::Tree;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::report::path::told;
use crate::cli::test::Coverages;
use crate::cli::test::find::Suite;
use crate::cli::test::report::kinds;
use crate::graph::model::EdgeKind;
use crate::graph::model::Graph;
use crate::graph::model::Place;
use crate::graph::overlay::Covered;
use crate::graph::overlay::Outcome;
use crate::graph::overlay::Overlay;
use crate::graph::svg;
use crate::kernel::event::Way;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::suite::coverage::Coverage;
use crate::suite::coverage::Point;
use crate::suite::lines::Lit;
use crate::suite::lines::lines;

/// The extension makes every text that is put into it escaped.
const PAGE: &str = "coverage.html";

/// Writes the page.
pub(super) fn page(coverages: &Coverages<'_>) -> Result<String, CliError> {
    let machines: Vec<Value> = coverages
        .iter()
        .map(|(path, (suite, coverage))| machine(path, suite, coverage))
        .collect();
    let kinds = kinds(&Coverage::default()).map(|(name, _)| name);
    let page = json!({ "kinds": kinds, "machines": machines });
    let mut environment = Environment::new();
    let rendered = environment
        .add_template(PAGE, include_str!("coverage.html"))
        .and_then(|()| environment.get_template(PAGE)?.render(Serde(&page)));
    rendered.map_err(|error| CliError::internal(format!("failed to write the page of the coverage: {error}")))
}

fn machine(path: &Path, suite: &Suite, coverage: &Coverage) -> Value {
    let (text, format) = (&suite.source.text, suite.source.format);
    let definition = &suite.machine.definition;
    // What compiles can be read.
    let tree = Tree::read(text, format).ok();
    let raw = tree.as_ref().map_or(Value::Null, Tree::value);
    let graph = Graph::of(definition, &raw);
    let (svg, no_picture) = match svg::write(&graph, Some(&overlay(&graph, definition, coverage))) {
        Ok(svg) => (Some(svg), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let kinds = kinds(coverage).map(
        |(_, (covered, all))| json!({ "covered": covered, "all": all, "percent": (covered * 100).checked_div(all) }),
    );
    let lit = tree.map(|tree| lines(text, &tree, coverage)).unwrap_or_default();
    let lines = lit.iter().zip(text.lines()).map(|(line, text)| {
        json!({
            "lit": format!("{:?}", line.lit),
            "mark": mark(line.lit, line.count),
            "count": line.count.map_or_else(String::new, |count| count.to_string()),
            "text": clean(text),
        })
    });
    json!({
        "path": clean(&told(path)),
        "svg": svg,
        "no_picture": no_picture,
        "kinds": kinds,
        "missing": coverage.missing().iter().map(|point| clean(point)).collect::<Vec<_>>(),
        "lines": lines.collect::<Vec<_>>(),
    })
}

/// Color is not the only sign: lines on which something begins have a mark.
fn mark(lit: Lit, count: Option<u64>) -> &'static str {
    match (lit, count) {
        (Lit::Blank, _) | (_, None) => "",
        (Lit::Missed, _) => "✗",
        (Lit::Partly, _) => "◐",
        (Lit::Run, _) => "✓",
    }
}

/// Replaces what neither HTML nor XML can hold; the template escapes the rest.
fn clean(text: &str) -> String {
    printable(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

fn overlay(graph: &Graph, definition: &Definition, coverage: &Coverage) -> Overlay {
    let mut of_states: BTreeMap<StateId, Vec<&Point>> = BTreeMap::new();
    for point in &coverage.points {
        of_states.entry(point.state).or_default().push(point);
    }
    // An edge stands for all ways between its ends; it was run when all of them were.
    let mut edges: BTreeMap<(BlockId, usize), bool> = BTreeMap::new();
    let mut run = |block: BlockId, from: Place, to: Place, kind: EdgeKind, is_run: bool| {
        let mut all = graph.block(block).edges.iter();
        if let Some(index) = all.position(|edge| edge.from == from && edge.to == to && edge.kind == kind) {
            *edges.entry((block, index)).or_insert(true) &= is_run;
        }
    };
    for (id, points) in &of_states {
        let state = definition.state(*id);
        let from = Place::State(*id);
        for point in points {
            match point.way {
                None => run(state.block, Place::Start, from, EdgeKind::Next, 0 < point.count),
                Some(way) => {
                    if let Some((to, kind)) = leads(state, way) {
                        run(state.block, from, to, kind, 0 < point.count);
                    }
                }
            }
        }
        if coverage.ended.contains(id) {
            run(state.block, from, Place::End, EdgeKind::Next, true);
        }
    }
    let states = of_states.into_iter().map(|(id, points)| (id, covered(&points)));
    Overlay::of_coverage(
        states,
        edges.into_iter().filter(|(_, is_run)| *is_run).map(|(edge, _)| edge),
    )
}

fn leads(state: &State, way: Way) -> Option<(Place, EdgeKind)> {
    let choice = match &state.kind {
        StateKind::Choice(choice) => Some(choice),
        _ => None,
    };
    let (next, kind) = match way {
        Way::Catch(n) => (state.catchers.get(n)?.next, EdgeKind::Catch),
        Way::Default => (choice?.default?, EdgeKind::Default),
        Way::Next => match state.transition {
            Transition::Next(next) => (next, EdgeKind::Next),
            Transition::End => return Some((Place::End, EdgeKind::Next)),
        },
        // It leads nowhere else.
        Way::Retry(_) => return None,
        Way::Rule(n) => (choice?.rules.get(n)?.next, EdgeKind::Rule),
    };
    Some((Place::State(next), kind))
}

fn covered(points: &[&Point]) -> Covered {
    let n_entered = points
        .iter()
        .find(|point| point.way.is_none())
        .map_or(0, |point| point.count);
    if n_entered == 0 {
        return Covered {
            outcome: Outcome::NotReached,
            lines: Vec::new(),
        };
    }
    let missing: Vec<String> = points
        .iter()
        .filter(|point| point.count == 0)
        .filter_map(|point| match point.way? {
            Way::Catch(n) => Some(format!("Catch[{n}]")),
            Way::Default => Some("Default".to_owned()),
            Way::Next => Some("Next".to_owned()),
            Way::Retry(n) => Some(format!("Retry[{n}]")),
            Way::Rule(n) => Some(format!("Choices[{n}]")),
        })
        .collect();
    let visits = match n_entered {
        1 => "1 visit".to_owned(),
        n => format!("{n} visits"),
    };
    match missing.is_empty() {
        true => Covered {
            outcome: Outcome::Covered,
            lines: vec![visits],
        },
        false => Covered {
            outcome: Outcome::PartlyCovered,
            lines: vec![visits, format!("not run: {}", missing.join(", "))],
        },
    }
}
