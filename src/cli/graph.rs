//! `stepfn graph`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

use crate::asl::load::Tree as Text;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::source;
use crate::cli::source::Source;
use crate::cli::tree::Node;
use crate::cli::tree::Tree;
use crate::graph::dot;
use crate::graph::layout::STATES_MAX;
use crate::graph::mermaid;
use crate::graph::model::Graph;
use crate::graph::overlay::Ending;
use crate::graph::overlay::Overlay;
use crate::graph::overlay::Visit;
use crate::graph::png;
use crate::graph::svg;
use crate::graph::text::Ruler;
use crate::model::timestamp::Timestamp;

/// Smallest number of pixels for one of the SVG at which a PNG can be read.
const SCALE_MIN: f32 = 0.6;

/// Draw a definition: its states, what leads where, and what an execution did
///
/// Parallel and Map states are frames around their branches, Catch edges are dashed. Placeholders like `${Name}` need no
/// value.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The definition: JSON, or YAML by the extension `.yaml` or `.yml`
    file: PathBuf,

    /// The format; without it the extension of `--output` tells it, and Mermaid is the default
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// Where to write the picture; stdout without it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show what an execution did: a history as `stepfn run --history`, `stepfn show --json` or
    /// `aws stepfunctions get-execution-history` write it
    #[arg(long, value_name = "HISTORY")]
    execution: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Dot,
    Mermaid,
    Png,
    Svg,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let format = format(arguments)?;
    let source = Source::read(&arguments.file)?;
    let definition = match source.compile(BTreeMap::new(), true) {
        Ok(definition) => definition,
        Err((_, text)) => {
            error::tell(&text);
            return Ok(error::USAGE);
        }
    };
    // What compiles can be read.
    let raw = Text::read(&source.text, source.format).map_or(Value::Null, |text| text.value());
    let graph = Graph::of(&definition, &raw);
    let overlay = match &arguments.execution {
        Some(path) => Some(overlay(&graph, path)?),
        None => None,
    };
    let picture = draw(&graph, overlay.as_ref(), format)?;
    match &arguments.output {
        Some(path) => std::fs::write(path, picture)
            .map_err(|error| CliError::usage(format!("failed to write `{}`: {error}", path.display())))?,
        None if format == Format::Png && std::io::stdout().is_terminal() => {
            let error = CliError::usage("a PNG is not for a terminal");
            return Err(error.hint("Name a file: `--output picture.png`."));
        }
        None => write(&picture)?,
    }
    Ok(0)
}

fn format(arguments: &Arguments) -> Result<Format, CliError> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    let Some(path) = &arguments.output else {
        return Ok(Format::Mermaid);
    };
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("dot" | "gv") => Ok(Format::Dot),
        Some("mermaid" | "mmd") => Ok(Format::Mermaid),
        Some("png") => Ok(Format::Png),
        Some("svg") => Ok(Format::Svg),
        _ => Err(
            CliError::usage(format!("the extension of `{}` names no format", path.display()))
                .hint("Take `.svg`, `.png`, `.mmd` or `.dot`, or say `--format`."),
        ),
    }
}

fn draw(graph: &Graph, overlay: Option<&Overlay>, format: Format) -> Result<Vec<u8>, CliError> {
    let text = match format {
        Format::Dot => dot::write(graph, overlay),
        Format::Mermaid => {
            let text = mermaid::write(graph, overlay);
            let n_edges: usize = graph.blocks.iter().map(|block| block.edges.len()).sum();
            if mermaid::EDGES_MAX < n_edges || mermaid::CHARS_MAX < text.chars().count() {
                error::tell(&format!(
                    "{} Mermaid draws at most {} edges and {} characters unless it is configured: this has {n_edges} \
                     and {}.\n",
                    error::paint("1;33", "warning:"),
                    mermaid::EDGES_MAX,
                    mermaid::CHARS_MAX,
                    text.chars().count(),
                ));
            }
            text
        }
        Format::Png | Format::Svg => {
            let text = svg::write(graph, overlay).map_err(|error| {
                CliError::usage(error.to_string()).hint(format!(
                    "`--format dot` and `--format mermaid` have no limit; Graphviz draws more than {STATES_MAX} states."
                ))
            })?;
            if format == Format::Png {
                return paint(&text);
            }
            text
        }
    };
    Ok(text.into_bytes())
}

fn paint(svg: &str) -> Result<Vec<u8>, CliError> {
    let warning = error::paint("1;33", "warning:");
    let mut fonts = png::fonts();
    let ruler = Ruler::default();
    if !ruler.has(svg) {
        let own = fonts.len();
        fonts.load_system_fonts();
        if fonts.len() == own {
            error::tell(&format!(
                "{warning} This machine has no fonts, and the program's own lacks some letters of the picture. Install one \
                 that has them, or take `--format svg`.\n"
            ));
        }
    }
    let picture = png::paint(svg, fonts).map_err(|error| CliError::internal(error.to_string()))?;
    if picture.scale < SCALE_MIN {
        error::tell(&format!(
            "{warning} The picture is too large for a PNG that can be read: it is painted at {:.0} % of its size. Take \
             `--format svg`.\n",
            picture.scale * 100.0
        ));
    }
    Ok(picture.bytes)
}

/// Writes to stdout; a reader that has gone is no error.
fn write(bytes: &[u8]) -> Result<(), CliError> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::internal(format!("failed to write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Reads a history and lays it over the graph.
fn overlay(graph: &Graph, path: &Path) -> Result<Overlay, CliError> {
    let text = source::read_text(path)?;
    let shown = path.display();
    let events = events(&text).map_err(|problem| {
        CliError::usage(format!("`{shown}` is not a history: {problem}"))
            .hint("`stepfn run --history FILE` and `aws stepfunctions get-execution-history` write one.")
    })?;
    Overlay::of(graph, &visits(&Tree::of(&events))).map_err(|name| {
        let name = error::printable(&name);
        CliError::usage(format!(
            "`{shown}` is of another definition: this one has no state `{name}`"
        ))
    })
}

/// Reads the events of a history: an object with `events`, a list of events, or one event a line; by their ids.
fn events(text: &str) -> Result<Vec<Value>, String> {
    let mut events = match serde_json::from_str(text) {
        Ok(Value::Array(events)) => events,
        Ok(Value::Object(mut whole)) => match whole.remove("events") {
            Some(Value::Array(events)) => events,
            Some(_) => return Err("`events` is not a list".to_owned()),
            None if whole.contains_key("type") => vec![Value::Object(whole)],
            None => return Err("it has no `events`".to_owned()),
        },
        Ok(_) => return Err("it is neither an object nor a list".to_owned()),
        Err(whole) => lines(text).map_err(|_| format!("it is not JSON: {whole}"))?,
    };
    if events.is_empty() {
        return Err("it has no events".to_owned());
    }
    for (number, event) in events.iter_mut().enumerate() {
        let has = |name: &str, fits: fn(&Value) -> bool| event.get(name).is_some_and(fits);
        if !has("id", Value::is_u64) || !has("type", Value::is_string) {
            return Err(format!("event {} has no `id` or no `type`", number + 1));
        }
        // Newer versions of the AWS CLI write times as text.
        let instant = event
            .get("timestamp")
            .and_then(Value::as_str)
            .map(Timestamp::parse_rfc3339);
        match instant {
            None => {}
            Some(Some(Timestamp(millis))) => event["timestamp"] = (millis as f64 / 1000.0).into(),
            Some(None) => return Err(format!("the `timestamp` of event {} is no time", number + 1)),
        }
    }
    // `--reverse-order` begins with the last.
    events.sort_by_key(|event| event["id"].as_u64());
    Ok(events)
}

fn lines(text: &str) -> Result<Vec<Value>, serde_json::Error> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(serde_json::from_str).collect()
}

/// Returns the visits of states; a state's iterations are no visits of their own.
fn visits(tree: &Tree) -> Vec<Visit> {
    let mut numbers = BTreeMap::new();
    let is_state = |node: &Node| !node.kind.is_empty();
    for (index, _) in tree.nodes.iter().enumerate().filter(|(_, node)| is_state(node)) {
        numbers.insert(index, numbers.len());
    }
    let states = tree.nodes.iter().filter(|node| is_state(node));
    let visit = |node: &Node| Visit {
        name: node.name.clone(),
        millis: node
            .left
            .map(|left| u64::try_from(left.0 - node.entered.0).unwrap_or(0)),
        n_attempts: node.n_attempts,
        error: node
            .error
            .as_ref()
            .map(|(error, _)| error.clone())
            .filter(|error| !error.is_empty()),
        ending: match (node.left, node.has_failed, &node.error) {
            // Its error stands in an event of what is around it, or nowhere.
            _ if node.kind == "Fail" => Ending::Failed,
            (None, false, None) if node.fails => Ending::Failed,
            (_, true, None) => Ending::Open,
            (_, true, _) | (None, false, Some(_)) => Ending::Failed,
            (Some(_), false, _) if node.is_caught => Ending::Caught,
            (Some(_), false, _) => Ending::Left,
            (None, false, None) => Ending::Open,
        },
        previous: node.previous.and_then(|previous| numbers.get(&previous).copied()),
    };
    states.map(visit).collect()
}
