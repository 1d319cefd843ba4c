//! Writes Mermaid: a flowchart, whose subgraphs GitHub draws nested; state diagrams have no dashed edges and no styles.

use std::fmt::Write;

use crate::graph::content;
use crate::graph::content::Line;
use crate::graph::content::Role;
use crate::graph::model::Block;
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

/// Most edges that Mermaid draws without being configured.
pub const EDGES_MAX: usize = 500;

/// Longest text that Mermaid draws without being configured, in characters.
pub const CHARS_MAX: usize = 50_000;

/// Writes a graph.
pub fn write(graph: &Graph, overlay: Option<&Overlay>) -> String {
    let mut writer = Writer {
        graph,
        overlay,
        text: "flowchart TD\n".to_owned(),
        links: Vec::new(),
    };
    writer.blocks();
    writer.styles();
    writer.text
}

struct Writer<'a> {
    graph: &'a Graph,
    overlay: Option<&'a Overlay>,
    text: String,
    /// The edges in the order that they were written, which `linkStyle` counts by: the style of each.
    links: Vec<Option<&'static str>>,
}

/// What is still to be written.
enum Work {
    Block(BlockId, usize),
    State(StateId, usize),
    /// A frame ends.
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
                    let Block { states, title, .. } = self.graph.block(id);
                    let mut inner = depth;
                    if !title.is_empty() {
                        self.line(depth, &format!("subgraph b{id}[\"{}\"]", escape(title)));
                        open.push(Work::End(depth));
                        inner = depth + 1;
                    }
                    open.push(Work::Edges(id, inner));
                    self.line(inner, &format!("{}((\" \"))", place(id, Place::Start)));
                    if self.graph.ends(id) {
                        self.line(inner, &format!("{}(((\" \")))", place(id, Place::End)));
                    }
                    open.extend(states.iter().rev().map(|state| Work::State(*state, inner)));
                }
                Work::State(id, depth) if self.graph.node(id).blocks.is_empty() => self.state(id, depth),
                Work::State(id, depth) => {
                    self.line(depth, &format!("subgraph s{id}[\"{}\"]", self.label(id)));
                    open.push(Work::End(depth));
                    let blocks = self.graph.node(id).blocks.iter().rev();
                    open.extend(blocks.map(|block| Work::Block(*block, depth + 1)));
                }
                Work::End(depth) => self.line(depth, "end"),
                Work::Edges(id, depth) => self.edges(id, depth),
            }
        }
    }

    fn state(&mut self, id: StateId, depth: usize) {
        let label = self.label(id);
        let box_of = match self.graph.node(id).kind {
            StateType::Choice => format!("s{id}{{{{\"{label}\"}}}}"),
            StateType::Fail | StateType::Succeed => format!("s{id}([\"{label}\"])"),
            _ => format!("s{id}[\"{label}\"]"),
        };
        self.line(depth, &box_of);
    }

    fn label(&self, id: StateId) -> String {
        let lines = content::lines(self.graph, self.overlay, id);
        let written = |line: &Line| match line.role {
            Role::Name => format!("<b>{}</b>", escape(&line.text)),
            Role::Detail | Role::Fact => escape(&line.text),
        };
        // A frame's title has one line: Mermaid draws what is inside over a second one.
        let is_frame = !self.graph.node(id).blocks.is_empty();
        let separator = if is_frame { " · " } else { "<br/>" };
        lines.iter().map(written).collect::<Vec<_>>().join(separator)
    }

    fn edges(&mut self, id: BlockId, depth: usize) {
        let block = self.graph.block(id);
        for (index, edge) in block.edges.iter().enumerate() {
            let arrow = match edge.kind {
                EdgeKind::Catch => "-.->",
                _ => "-->",
            };
            let label = edge.labels.iter().map(|label| escape(label)).collect::<Vec<_>>();
            let label = match label.as_slice() {
                [] => String::new(),
                labels => format!("|\"{}\"|", labels.join("<br/>")),
            };
            let Edge { from, to, .. } = edge;
            self.line(
                depth,
                &format!("{} {arrow}{label} {}", place(id, *from), place(id, *to)),
            );
            let is_taken = self.overlay.map(|overlay| overlay.is_taken(id, index));
            self.links.push(match (is_taken, edge.kind) {
                (Some(true), _) => Some("stroke:#1a202c,stroke-width:3px"),
                (Some(false), _) => Some("stroke:#b8bec8"),
                (None, EdgeKind::Catch) => Some("stroke:#b45309"),
                (None, _) => None,
            });
        }
    }

    fn styles(&mut self) {
        for style in ["stroke:#1a202c,stroke-width:3px", "stroke:#b8bec8", "stroke:#b45309"] {
            let numbers = self.links.iter().enumerate().filter(|(_, link)| **link == Some(style));
            let numbers = numbers.map(|(number, _)| number.to_string()).collect::<Vec<_>>();
            if !numbers.is_empty() {
                self.line(1, &format!("linkStyle {} {style}", numbers.join(",")));
            }
        }
        let classes: Vec<(&str, Look, Vec<StateId>)> = match self.overlay {
            Some(overlay) => theme::LEGEND
                .iter()
                .map(|(outcome, _)| {
                    let fits = |id: StateId| overlay.outcome(id) == *outcome;
                    (theme::class(*outcome), theme::of(*outcome), self.ids(fits))
                })
                .collect(),
            None => [
                StateType::Choice,
                StateType::Fail,
                StateType::Map,
                StateType::Parallel,
                StateType::Pass,
                StateType::Succeed,
                StateType::Task,
                StateType::Wait,
            ]
            .iter()
            .map(|kind| {
                let fits = |id: StateId| self.graph.node(id).kind == *kind;
                (kind.name(), theme::plain(*kind), self.ids(fits))
            })
            .collect(),
        };
        let frames = (0..).map(BlockId).take(self.graph.blocks.len());
        let frames = frames.filter(|id| !self.graph.block(*id).title.is_empty());
        let frames = frames.map(|id| format!("b{id}")).collect::<Vec<_>>();
        if !frames.is_empty() {
            self.line(
                1,
                "classDef Branch fill:#ffffff,stroke:#b8bec8,color:#1a202c,stroke-dasharray:4",
            );
            self.line(1, &format!("class {} Branch", frames.join(",")));
        }
        for (name, look, ids) in classes {
            if ids.is_empty() {
                continue;
            }
            let dash = match look.dash {
                "" => String::new(),
                dash => format!(",stroke-dasharray:{dash}"),
            };
            let Look {
                fill,
                stroke,
                ink,
                width,
                ..
            } = look;
            self.line(
                1,
                &format!("classDef {name} fill:{fill},stroke:{stroke},color:{ink},stroke-width:{width}px{dash}"),
            );
            let ids = ids.iter().map(|id| format!("s{id}")).collect::<Vec<_>>();
            self.line(1, &format!("class {} {name}", ids.join(",")));
        }
    }

    fn ids(&self, fits: impl Fn(StateId) -> bool) -> Vec<StateId> {
        let ids = (0..).map(StateId).take(self.graph.nodes.len());
        ids.filter(|id| fits(*id)).collect()
    }

    fn line(&mut self, depth: usize, line: &str) {
        // Deep nesting must not make the text quadratic.
        let _ = writeln!(self.text, "{}{line}", "  ".repeat(depth.min(12)));
    }
}

fn place(block: BlockId, place: Place) -> String {
    match place {
        Place::Start => format!("start{block}"),
        Place::State(id) => format!("s{id}"),
        Place::End => format!("end{block}"),
    }
}

/// Writes a text so that it ends no string, begins no comment, and is neither HTML nor Markdown.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut is_number = true;
    for (at, c) in text.char_indices() {
        let after = text.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
        // `1.` and `-` at the begin are lists, `_` beside a word's edge and `*` are emphasis.
        let is_markdown = match c {
            '.' | ')' => is_number && 0 < at && after == Some(' '),
            '-' | '+' => at == 0,
            '_' => !before.is_alphanumeric() || !after.is_some_and(char::is_alphanumeric),
            _ => false,
        };
        match c {
            // Mermaid looks for formulas, line ends and icons when it has put its entities back: only something between
            // keeps `$$`, `\n` and `fa:fa-car` from being them.
            '$' if before == '$' => escaped += "#8203;$",
            'n' if before == '\\' => escaped += "#8203;n",
            ':' if text.get(at + 1..).is_some_and(|rest| rest.starts_with("fa-")) => escaped += ":#8203;",
            '"' => escaped += "#quot;",
            '&' => escaped += "#amp;",
            '<' => escaped += "#lt;",
            '>' => escaped += "#gt;",
            '\n' => escaped += "<br/>",
            '#' | '%' | '*' | '\\' | '`' | '~' | '[' | ']' | '{' | '}' | '|' => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
            c if is_markdown => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
        is_number &= c.is_ascii_digit();
        before = c;
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
            &expect![[r#"
                flowchart TD
                  start0((" "))
                  end0(((" ")))
                  s0["<b>Ask</b><br/>sqs:sendMessage.waitForTaskToken<br/>timeout 60 s<br/>heartbeat $.beat<br/>↻ retries 3×"]
                  s1{{"<b>Which</b><br/>Choice"}}
                  s2["<b>Pause</b><br/>Wait 5 s"]
                  subgraph s3["<b>Both</b> · Parallel"]
                    subgraph b1["Branch 1"]
                      start1((" "))
                      end1(((" ")))
                      s6["<b>Left</b><br/>Pass"]
                      start1 --> s6
                      s6 --> end1
                    end
                    subgraph b2["Branch 2"]
                      start2((" "))
                      end2(((" ")))
                      s7(["<b>Right</b><br/>Succeed"])
                      start2 --> s7
                      s7 --> end2
                    end
                  end
                  subgraph s4["<b>Each</b> · Map, 4 at once"]
                    start3((" "))
                    end3(((" ")))
                    s8["<b>Item</b><br/>Pass"]
                    start3 --> s8
                    s8 --> end3
                  end
                  s5(["<b>Gone</b><br/>Fail: Gone"])
                  start0 --> s0
                  s0 --> s1
                  s0 -.->|"States.Timeout<br/>States.ALL"| s5
                  s1 -->|"$.n #lt; 3"| s0
                  s1 -->|"$.kind == #quot;a#92;#quot;b#quot;"| s3
                  s1 -->|"default"| s2
                  s2 --> s4
                  s3 --> s4
                  s4 --> end0
                  linkStyle 8 stroke:#b45309
                  classDef Branch fill:#ffffff,stroke:#b8bec8,color:#1a202c,stroke-dasharray:4
                  class b1,b2 Branch
                  classDef Choice fill:#fff8e1,stroke:#a17c1a,color:#1a202c,stroke-width:1.2px
                  class s1 Choice
                  classDef Fail fill:#fdeaea,stroke:#a33a3a,color:#1a202c,stroke-width:1.2px
                  class s5 Fail
                  classDef Map fill:#f6f8fb,stroke:#7a8699,color:#1a202c,stroke-width:1.2px
                  class s4 Map
                  classDef Parallel fill:#f6f8fb,stroke:#7a8699,color:#1a202c,stroke-width:1.2px
                  class s3 Parallel
                  classDef Pass fill:#ffffff,stroke:#7a8699,color:#1a202c,stroke-width:1.2px
                  class s6,s8 Pass
                  classDef Succeed fill:#e9f6ee,stroke:#2f7d52,color:#1a202c,stroke-width:1.2px
                  class s7 Succeed
                  classDef Task fill:#eaf2fc,stroke:#2b6cb0,color:#1a202c,stroke-width:1.2px
                  class s0 Task
                  classDef Wait fill:#ffffff,stroke:#7a8699,color:#1a202c,stroke-width:1.2px
                  class s2 Wait
            "#]],
        );
    }

    #[test]
    fn what_an_execution_did_is_colored() {
        let (graph, overlay) = testing::executed();
        expect![[r#"
            flowchart TD
              start0((" "))
              end0(((" ")))
              s0["<b>✓ A</b><br/>Task $#123;a#125;<br/>1.2 s, 3 attempts<br/>Flaky"]
              s1["<b>⚠ B</b><br/>Task $#123;b#125;<br/>1.2 s<br/>E"]
              s2(["<b>✗ C</b><br/>Fail: E2<br/>1.2 s<br/>E2"])
              s3["<b>D</b><br/>Pass"]
              start0 --> s0
              s0 --> s1
              s0 -.->|"F"| s3
              s1 --> end0
              s1 -.->|"E"| s2
              s3 --> s1
              linkStyle 0,1,4 stroke:#1a202c,stroke-width:3px
              linkStyle 2,3,5 stroke:#b8bec8
              classDef succeeded fill:#dff3ec,stroke:#009e73,color:#1a202c,stroke-width:2px
              class s0 succeeded
              classDef failed fill:#fbe3d6,stroke:#d55e00,color:#1a202c,stroke-width:4px
              class s2 failed
              classDef caught fill:#fdf0d2,stroke:#e69f00,color:#1a202c,stroke-width:3px,stroke-dasharray:9 3
              class s1 caught
              classDef notReached fill:#f3f4f6,stroke:#b8bec8,color:#6b7280,stroke-width:1px,stroke-dasharray:3 3
              class s3 notReached
        "#]]
        .assert_eq(&write(&graph, Some(&overlay)));
    }

    #[test]
    fn hostile_names_end_nothing() {
        for (name, written) in [
            ("a\"]; click b", "a#quot;#93;; click b"),
            ("<script>&", "#lt;script#gt;#amp;"),
            ("%%{init}", "#37;#37;#123;init#125;"),
            ("`b` **c** _d_ e_f", "#96;b#96; #42;#42;c#42;#42; #95;d#95; e_f"),
            ("1. list", "1#46; list"),
            ("- list - no", "#45; list - no"),
            ("a\\nb fa:fa-car", "a#92;#8203;nb fa:#8203;fa-car"),
            ("$$x$$ $.a 1.5", "$#8203;$x$#8203;$ $.a 1.5"),
            ("Größe 状态 #1;", "Größe 状态 #35;1;"),
            ("a\u{7}b", "a\u{fffd}b"),
        ] {
            assert_eq!(escape(name), written, "{name}");
        }
    }
}
