//! Writes DOT, the language of Graphviz: blocks are clusters, Catch edges are dashed.

use std::fmt::Write;

use crate::graph::content;
use crate::graph::model::Edge;
use crate::graph::model::EdgeKind;
use crate::graph::model::Graph;
use crate::graph::model::Place;
use crate::graph::overlay::Overlay;
use crate::graph::theme;
use crate::graph::theme::Look;
use crate::model::history_event::StateType;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// Writes a graph.
pub fn write(graph: &Graph, overlay: Option<&Overlay>) -> String {
    let mut writer = Writer {
        graph,
        overlay,
        text: "digraph {\n".to_owned(),
    };
    // `compound` lets an edge end at the border of a cluster.
    writer.line(1, "graph [compound=true, fontname=\"Helvetica\", nodesep=0.4, ranksep=0.5]");
    writer.line(
        1,
        "node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11]",
    );
    writer.line(1, "edge [fontname=\"Helvetica\", fontsize=10]");
    writer.blocks();
    writer.text + "}\n"
}

struct Writer<'a> {
    graph: &'a Graph,
    overlay: Option<&'a Overlay>,
    text: String,
}

/// What is still to be written.
enum Work {
    Block(BlockId, usize),
    State(StateId, usize),
    /// A cluster ends.
    End(usize),
    /// The edges of a block, behind everything that they join.
    Edges(BlockId, usize),
}

impl Writer<'_> {
    fn blocks(&mut self) {
        let mut open = vec![Work::Block(BlockId(0), 1)];
        while let Some(work) = open.pop() {
            match work {
                Work::Block(id, depth) => {
                    let block = self.graph.block(id);
                    open.push(Work::Edges(id, depth));
                    if !block.title.is_empty() {
                        self.line(depth, &format!("subgraph cluster_b{id} {{"));
                        self.line(depth + 1, &format!("label=\"{}\"; style=\"rounded,dashed\"; color=\"#b8bec8\"", escape(&block.title)));
                        let edges = open.pop();
                        open.push(Work::End(depth));
                        open.extend(edges);
                    }
                    let inner = depth + usize::from(!block.title.is_empty());
                    self.line(inner, &format!("start{id} [shape=circle, label=\"\", width=0.15, fillcolor=\"{}\"]", theme::EDGE));
                    if self.graph.ends(id) {
                        let line = format!("end{id} [shape=doublecircle, label=\"\", width=0.12, fillcolor=\"{}\"]", theme::EDGE);
                        self.line(inner, &line);
                    }
                    open.extend(block.states.iter().rev().map(|state| Work::State(*state, inner)));
                }
                Work::State(id, depth) if self.graph.node(id).blocks.is_empty() => self.state(id, depth),
                Work::State(id, depth) => {
                    let Look { fill, stroke, ink, width, .. } = self.look(id);
                    self.line(depth, &format!("subgraph cluster_s{id} {{"));
                    let style = self.style(id);
                    self.line(depth + 1, &format!("label=\"{}\"; style=\"{style}\"; fillcolor=\"{fill}\"; color=\"{stroke}\"; fontcolor=\"{ink}\"; penwidth={width}", self.label(id)));
                    open.push(Work::End(depth));
                    let blocks = self.graph.node(id).blocks.iter().rev();
                    open.extend(blocks.map(|block| Work::Block(*block, depth + 1)));
                }
                Work::End(depth) => self.line(depth, "}"),
                Work::Edges(id, depth) => self.edges(id, depth),
            }
        }
    }

    fn look(&self, id: StateId) -> Look {
        match self.overlay {
            Some(overlay) => theme::of(overlay.outcome(id)),
            None => theme::plain(self.graph.node(id).kind),
        }
    }

    fn style(&self, id: StateId) -> &'static str {
        if self.look(id).dash.is_empty() { "rounded,filled" } else { "rounded,filled,dashed" }
    }

    fn state(&mut self, id: StateId, depth: usize) {
        let Look { fill, stroke, ink, width, .. } = self.look(id);
        let shape = match self.graph.node(id).kind {
            StateType::Choice => ", shape=hexagon",
            StateType::Fail | StateType::Succeed => ", shape=oval",
            _ => "",
        };
        let style = self.style(id);
        self.line(depth, &format!("s{id} [label=\"{}\"{shape}, style=\"{style}\", fillcolor=\"{fill}\", color=\"{stroke}\", fontcolor=\"{ink}\", penwidth={width}]", self.label(id)));
    }

    fn label(&self, id: StateId) -> String {
        let lines = content::lines(self.graph, self.overlay, id);
        lines.iter().map(|line| escape(&line.text)).collect::<Vec<_>>().join("\\n")
    }

    fn edges(&mut self, id: BlockId, depth: usize) {
        let block = self.graph.block(id);
        for (index, Edge { from, to, kind, labels }) in block.edges.iter().enumerate() {
            let mut attributes = Vec::new();
            if !labels.is_empty() {
                let labels = labels.iter().map(|label| escape(label)).collect::<Vec<_>>();
                attributes.push(format!("label=\"{}\"", labels.join("\\n")));
            }
            if *kind == EdgeKind::Catch {
                attributes.push("style=dashed".to_owned());
            }
            let is_taken = self.overlay.map(|overlay| overlay.is_taken(id, index));
            let color = match (is_taken, kind) {
                (Some(false), _) => theme::NOT_TAKEN,
                (None, EdgeKind::Catch) => theme::CATCH,
                _ => theme::EDGE,
            };
            attributes.push(format!("color=\"{color}\""));
            if is_taken == Some(true) {
                attributes.push("penwidth=2.5".to_owned());
            }
            let (tail, tail_cluster) = self.place(id, *from);
            let (head, head_cluster) = self.place(id, *to);
            attributes.extend(tail_cluster.map(|cluster| format!("ltail={cluster}")));
            attributes.extend(head_cluster.map(|cluster| format!("lhead={cluster}")));
            self.line(depth, &format!("{tail} -> {head} [{}]", attributes.join(", ")));
        }
    }

    /// Returns the node that stands for a place, and its cluster: DOT has no edges to clusters.
    fn place(&self, block: BlockId, place: Place) -> (String, Option<String>) {
        match place {
            Place::Start => (format!("start{block}"), None),
            Place::End => (format!("end{block}"), None),
            Place::State(id) => match self.graph.node(id).blocks.first() {
                None => (format!("s{id}"), None),
                Some(inner) => (format!("start{inner}"), Some(format!("cluster_s{id}"))),
            },
        }
    }

    fn line(&mut self, depth: usize, line: &str) {
        // Deep nesting must not make the text quadratic.
        let _ = writeln!(self.text, "{}{line}", "  ".repeat(depth.min(12)));
    }
}

/// Writes a text inside quotes. Graphviz reads entities of HTML there, too.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped += "\\\"",
            '\\' => escaped += "\\\\",
            '&' => escaped += "&amp;",
            '\n' => escaped += "\\n",
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
