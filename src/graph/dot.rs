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
    writer.line(
        1,
        "graph [compound=true, fontname=\"Helvetica\", nodesep=0.4, ranksep=0.5]",
    );
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
                    if !block.title.is_empty() {
                        self.line(depth, &format!("subgraph cluster_b{id} {{"));
                        self.line(
                            depth + 1,
                            &format!(
                                "label=\"{}\"; style=\"rounded,dashed\"; color=\"#b8bec8\"",
                                escape(&block.title)
                            ),
                        );
                        open.push(Work::End(depth));
                    }
                    let inner = depth + usize::from(!block.title.is_empty());
                    open.push(Work::Edges(id, inner));
                    self.line(
                        inner,
                        &format!(
                            "start{id} [shape=circle, label=\"\", width=0.15, fillcolor=\"{}\"]",
                            theme::EDGE
                        ),
                    );
                    if self.graph.ends(id) {
                        let line = format!(
                            "end{id} [shape=doublecircle, label=\"\", width=0.12, fillcolor=\"{}\"]",
                            theme::EDGE
                        );
                        self.line(inner, &line);
                    }
                    open.extend(block.states.iter().rev().map(|state| Work::State(*state, inner)));
                }
                Work::State(id, depth) if self.graph.node(id).blocks.is_empty() => self.state(id, depth),
                Work::State(id, depth) => {
                    let Look {
                        fill,
                        stroke,
                        ink,
                        width,
                        ..
                    } = self.look(id);
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
        if self.look(id).dash.is_empty() {
            "rounded,filled"
        } else {
            "rounded,filled,dashed"
        }
    }

    fn state(&mut self, id: StateId, depth: usize) {
        let Look {
            fill,
            stroke,
            ink,
            width,
            ..
        } = self.look(id);
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
        lines
            .iter()
            .map(|line| escape(&line.text))
            .collect::<Vec<_>>()
            .join("\\n")
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

#[cfg(test)]
mod tests {
    use expect_test::Expect;
    use expect_test::expect;
    use serde_json::Value;

    use super::*;
    use crate::graph::testing;

    #[track_caller]
    fn check(machine: &Value, expected: &Expect) {
        expected.assert_eq(&write(&testing::graph(machine), None));
    }

    #[test]
    fn every_kind_of_state_and_edge() {
        check(
            &testing::every_kind(),
            &expect![[r##"
                digraph {
                  graph [compound=true, fontname="Helvetica", nodesep=0.4, ranksep=0.5]
                  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11]
                  edge [fontname="Helvetica", fontsize=10]
                  start0 [shape=circle, label="", width=0.15, fillcolor="#4a5568"]
                  end0 [shape=doublecircle, label="", width=0.12, fillcolor="#4a5568"]
                  s0 [label="Ask\nsqs:sendMessage.waitForTaskToken\ntimeout 60 s\nheartbeat $.beat\n↻ retries 3×", style="rounded,filled", fillcolor="#eaf2fc", color="#2b6cb0", fontcolor="#1a202c", penwidth=1.2]
                  s1 [label="Which\nChoice", shape=hexagon, style="rounded,filled", fillcolor="#fff8e1", color="#a17c1a", fontcolor="#1a202c", penwidth=1.2]
                  s2 [label="Pause\nWait 5 s", style="rounded,filled", fillcolor="#ffffff", color="#7a8699", fontcolor="#1a202c", penwidth=1.2]
                  subgraph cluster_s3 {
                    label="Both\nParallel"; style="rounded,filled"; fillcolor="#f6f8fb"; color="#7a8699"; fontcolor="#1a202c"; penwidth=1.2
                    subgraph cluster_b1 {
                      label="Branch 1"; style="rounded,dashed"; color="#b8bec8"
                      start1 [shape=circle, label="", width=0.15, fillcolor="#4a5568"]
                      end1 [shape=doublecircle, label="", width=0.12, fillcolor="#4a5568"]
                      s6 [label="Left\nPass", style="rounded,filled", fillcolor="#ffffff", color="#7a8699", fontcolor="#1a202c", penwidth=1.2]
                      start1 -> s6 [color="#4a5568"]
                      s6 -> end1 [color="#4a5568"]
                    }
                    subgraph cluster_b2 {
                      label="Branch 2"; style="rounded,dashed"; color="#b8bec8"
                      start2 [shape=circle, label="", width=0.15, fillcolor="#4a5568"]
                      end2 [shape=doublecircle, label="", width=0.12, fillcolor="#4a5568"]
                      s7 [label="Right\nSucceed", shape=oval, style="rounded,filled", fillcolor="#e9f6ee", color="#2f7d52", fontcolor="#1a202c", penwidth=1.2]
                      start2 -> s7 [color="#4a5568"]
                      s7 -> end2 [color="#4a5568"]
                    }
                  }
                  subgraph cluster_s4 {
                    label="Each\nMap, 4 at once"; style="rounded,filled"; fillcolor="#f6f8fb"; color="#7a8699"; fontcolor="#1a202c"; penwidth=1.2
                    start3 [shape=circle, label="", width=0.15, fillcolor="#4a5568"]
                    end3 [shape=doublecircle, label="", width=0.12, fillcolor="#4a5568"]
                    s8 [label="Item\nPass", style="rounded,filled", fillcolor="#ffffff", color="#7a8699", fontcolor="#1a202c", penwidth=1.2]
                    start3 -> s8 [color="#4a5568"]
                    s8 -> end3 [color="#4a5568"]
                  }
                  s5 [label="Gone\nFail: Gone", shape=oval, style="rounded,filled", fillcolor="#fdeaea", color="#a33a3a", fontcolor="#1a202c", penwidth=1.2]
                  start0 -> s0 [color="#4a5568"]
                  s0 -> s1 [color="#4a5568"]
                  s0 -> s5 [label="States.Timeout\nStates.ALL", style=dashed, color="#b45309"]
                  s1 -> s0 [label="$.n < 3", color="#4a5568"]
                  s1 -> start1 [label="$.kind == \"a\\\"b\"", color="#4a5568", lhead=cluster_s3]
                  s1 -> s2 [label="default", color="#4a5568"]
                  s2 -> start3 [color="#4a5568", lhead=cluster_s4]
                  start1 -> start3 [color="#4a5568", ltail=cluster_s3, lhead=cluster_s4]
                  start3 -> end0 [color="#4a5568", ltail=cluster_s4]
                }
            "##]],
        );
    }

    #[test]
    fn what_an_execution_did_is_colored() {
        let (graph, overlay) = testing::executed();
        expect![[r##"
            digraph {
              graph [compound=true, fontname="Helvetica", nodesep=0.4, ranksep=0.5]
              node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11]
              edge [fontname="Helvetica", fontsize=10]
              start0 [shape=circle, label="", width=0.15, fillcolor="#4a5568"]
              end0 [shape=doublecircle, label="", width=0.12, fillcolor="#4a5568"]
              s0 [label="✓ A\nTask ${a}\n1.2 s, 3 attempts\nFlaky", style="rounded,filled", fillcolor="#dff3ec", color="#009e73", fontcolor="#1a202c", penwidth=2]
              s1 [label="⚠ B\nTask ${b}\n1.2 s\nE", style="rounded,filled,dashed", fillcolor="#fdf0d2", color="#e69f00", fontcolor="#1a202c", penwidth=3]
              s2 [label="✗ C\nFail: E2\n1.2 s\nE2", shape=oval, style="rounded,filled", fillcolor="#fbe3d6", color="#d55e00", fontcolor="#1a202c", penwidth=4]
              s3 [label="D\nPass", style="rounded,filled,dashed", fillcolor="#f3f4f6", color="#b8bec8", fontcolor="#6b7280", penwidth=1]
              start0 -> s0 [color="#4a5568", penwidth=2.5]
              s0 -> s1 [color="#4a5568", penwidth=2.5]
              s0 -> s3 [label="F", style=dashed, color="#b8bec8"]
              s1 -> end0 [color="#b8bec8"]
              s1 -> s2 [label="E", style=dashed, color="#4a5568", penwidth=2.5]
              s3 -> s1 [color="#b8bec8"]
            }
        "##]].assert_eq(&write(&graph, Some(&overlay)));
    }

    #[test]
    fn hostile_names_end_nothing() {
        for (name, written) in [
            ("a\"]; b", "a\\\"]; b"),
            ("a\\", "a\\\\"),
            ("\\N &lt;", "\\\\N &amp;lt;"),
            ("<b>状态</b>", "<b>状态</b>"),
            ("a\u{7}b", "a\u{fffd}b"),
        ] {
            assert_eq!(escape(name), written, "{name}");
        }
    }
}
