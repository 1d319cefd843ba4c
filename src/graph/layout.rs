//! Computes where everything stands.
//!
//! Each block is laid out by itself, inner ones first; a Parallel or Map is then one large box in the block around it.
//! So nested blocks never mix, and no edge leaves its block. The work for one block is dagre's (layers, order, places);
//! `route.rs` then leads its edges around the boxes.

use std::collections::BTreeMap;

use dagre::EdgeLabel;
use dagre::LayoutOptions;
use dagre::NodeLabel;
use dagre::graph::GraphOptions;
use dagre::layout::types::LabelPos;

use crate::graph::content;
use crate::graph::content::Role;
use crate::graph::geometry::Point;
use crate::graph::geometry::Rect;
use crate::graph::model::EdgeKind;
use crate::graph::model::Graph;
use crate::graph::model::Place;
use crate::graph::overlay::Overlay;
use crate::graph::route;
use crate::graph::text::Ruler;
use crate::graph::text::Style;
use crate::model::history_event::StateType;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// Most states of a definition that is drawn.
pub const STATES_MAX: usize = 2_000;

/// More catchers than these that lead to one state are drawn as a sign each: `→ Name`.
const CATCH_LINES_MAX: usize = 5;

/// How many layers the edges of one block may cross together: the time that a layout takes grows with the square.
const SPANS_MAX: usize = 600;

/// Widest text of a box.
const NAME_WIDTH: f64 = 190.0;
/// Widest text of a label.
const LABEL_WIDTH: f64 = 200.0;
/// Widest row of branches.
const ROW_WIDTH: f64 = 1_700.0;

const PADDING: f64 = 10.0;
const FRAME: f64 = 14.0;
const DOT: f64 = 14.0;
/// How long the head of an arrow is.
pub(super) const ARROW: f64 = 8.0;
/// How far an edge from a state to itself reaches out.
pub(super) const LOOP_WIDTH: f64 = 26.0;
/// How far the sides of a Choice's hexagon lean.
pub(super) const SLANT: f64 = 10.0;

/// The style of a state's name.
pub const NAME: Style = Style { size: 13.0, bold: true };
/// The style of what else stands in a box.
pub const DETAIL: Style = Style {
    size: 11.0,
    bold: false,
};
/// The style of labels.
pub const LABEL: Style = Style {
    size: 10.5,
    bold: false,
};

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct TextLine {
    /// What it says.
    pub text: String,
    /// How it is set.
    pub style: Style,
    /// What it is.
    pub role: Role,
}

/// A box, a dot or a sign of a block.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The block that it stands in.
    pub block: BlockId,
    /// What it is.
    pub what: What,
    /// Where it is.
    pub rect: Rect,
    /// What stands in it, from the top.
    pub lines: Vec<TextLine>,
}

/// What a shape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The start, the end or a state.
    Place(Place),
    /// A sign that stands for an edge's far end: the index of the edge.
    Sign(usize),
}

/// The frame of a branch.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Whose it is.
    pub block: BlockId,
    /// Where it is.
    pub rect: Rect,
}

/// An edge.
#[derive(Clone, Debug)]
pub struct Line {
    /// The block that it stands in.
    pub block: BlockId,
    /// Its index in the block.
    pub edge: usize,
    /// The shapes that it joins.
    pub ends: [What; 2],
    /// From its begin to its arrow.
    pub points: Vec<Point>,
    /// Its label, if it has one, and where it is.
    pub label: Option<(Rect, Vec<String>)>,
}

/// Where everything stands.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// In pixels.
    pub width: f64,
    /// In pixels.
    pub height: f64,
    /// An outer box comes before those in it.
    pub shapes: Vec<Shape>,
    /// The frames of branches.
    pub frames: Vec<Frame>,
    /// The edges.
    pub lines: Vec<Line>,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the definition has {n_states} states, and a picture shows at most {STATES_MAX}")]
pub struct TooLarge {
    /// How many states it has.
    pub n_states: usize,
}

/// Lays a graph out.
///
/// # Errors
/// It has too many states.
pub fn layout(graph: &Graph, overlay: Option<&Overlay>) -> Result<Picture, TooLarge> {
    let n_states = graph.nodes.len();
    if STATES_MAX < n_states {
        return Err(TooLarge { n_states });
    }
    let ruler = Ruler::default();
    let mut boxes: Vec<StateBox> = (0..)
        .map(StateId)
        .take(n_states)
        .map(|id| StateBox::of(graph, overlay, &ruler, id))
        .collect();
    let mut plans: Vec<Plan> = Vec::new();
    // A block comes after the one that holds it, so the inner ones are laid out first.
    for number in (0..graph.blocks.len()).rev() {
        let id = BlockId(u32::try_from(number).unwrap_or(u32::MAX));
        let plan = Plan::of(graph, &ruler, &boxes, id);
        if let Some(parent) = graph.block(id).parent {
            boxes[parent.index()].inner.push((id, plan.width, plan.height));
            if boxes[parent.index()].inner.len() == graph.node(parent).blocks.len() {
                boxes[parent.index()].arrange(graph);
            }
        }
        plans.push(plan);
    }
    plans.reverse();
    Ok(assemble(graph, &boxes, plans))
}

/// Puts the blocks into the boxes that hold them.
fn assemble(graph: &Graph, boxes: &[StateBox], plans: Vec<Plan>) -> Picture {
    let mut picture = Picture::default();
    let mut offsets = vec![Point { x: FRAME, y: FRAME }; plans.len()];
    for (number, plan) in plans.into_iter().enumerate() {
        let by = offsets[number];
        if number == 0 {
            picture.width = plan.width + 2.0 * FRAME;
            picture.height = plan.height + 2.0 * FRAME;
        }
        for mut shape in plan.shapes {
            shape.rect = shape.rect.moved(by);
            if let What::Place(Place::State(id)) = shape.what {
                for (block, rect) in &boxes[id.index()].places {
                    let rect = rect.moved(Point {
                        x: shape.rect.x,
                        y: shape.rect.y,
                    });
                    offsets[block.index()] = Point { x: rect.x, y: rect.y };
                    if 1 < graph.node(id).blocks.len() {
                        picture.frames.push(Frame { block: *block, rect });
                    }
                }
            }
            picture.shapes.push(shape);
        }
        for mut line in plan.lines {
            line.points.iter_mut().for_each(|point| *point = point.plus(by));
            line.label = line.label.map(|(rect, lines)| (rect.moved(by), lines));
            picture.lines.push(line);
        }
    }
    picture
}

/// The box of a state: its text, and where its blocks stand in it.
struct StateBox {
    lines: Vec<TextLine>,
    width: f64,
    height: f64,
    inner: Vec<(BlockId, f64, f64)>,
    /// From the box's corner.
    places: Vec<(BlockId, Rect)>,
}

impl StateBox {
    fn of(graph: &Graph, overlay: Option<&Overlay>, ruler: &Ruler, id: StateId) -> Self {
        let mut lines = Vec::new();
        for line in content::lines(graph, overlay, id) {
            let (style, lines_max) = match line.role {
                Role::Name => (NAME, 6),
                Role::Detail | Role::Fact => (DETAIL, 2),
            };
            for text in ruler.wrap(&line.text, style, NAME_WIDTH, lines_max) {
                lines.push(TextLine {
                    text,
                    style,
                    role: line.role,
                });
            }
        }
        let widths = lines.iter().map(|line| ruler.width(&line.text, line.style));
        let height: f64 = lines.iter().map(|line| line.style.line_height()).sum();
        let slant = match graph.node(id).kind {
            StateType::Choice | StateType::Fail | StateType::Succeed => 2.0 * SLANT,
            _ => 0.0,
        };
        Self {
            width: (widths.fold(60.0, f64::max) + 2.0 * PADDING + slant).ceil(),
            height: height + 1.4 * PADDING,
            lines,
            inner: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Puts the blocks side by side below the text, in rows when there are many.
    fn arrange(&mut self, graph: &Graph) {
        self.inner.sort_unstable_by_key(|(block, ..)| *block);
        let top = self.height;
        let widest = self.inner.iter().map(|(_, width, _)| *width).fold(ROW_WIDTH, f64::max);
        let (mut x, mut y, mut row_height) = (FRAME, top, 0.0_f64);
        for (block, width, height) in &self.inner {
            let titled = if graph.block(*block).title.is_empty() {
                0.0
            } else {
                LABEL.line_height()
            };
            if FRAME < x && widest < x + width {
                x = FRAME;
                y += row_height + FRAME;
                row_height = 0.0;
            }
            let rect = Rect {
                x,
                y: y + titled,
                width: *width,
                height: *height,
            };
            self.places.push((*block, rect));
            x += width + FRAME;
            row_height = row_height.max(height + titled);
            self.width = self.width.max(x);
        }
        self.height = y + row_height + FRAME;
        // A single row stands in the middle below a long name.
        let rows = self.places.iter().map(|(_, rect)| rect.right()).fold(0.0, f64::max) + FRAME;
        let shift = (self.width - rows) / 2.0;
        self.places.iter_mut().for_each(|(_, rect)| rect.x += shift);
    }
}

/// What dagre lays out.
type Layers = dagre::graph::Graph<NodeLabel, EdgeLabel>;

/// A block that is laid out, from its own corner.
struct Plan {
    width: f64,
    height: f64,
    shapes: Vec<Shape>,
    lines: Vec<Line>,
}

impl Plan {
    fn of(graph: &Graph, ruler: &Ruler, boxes: &[StateBox], id: BlockId) -> Self {
        let block = graph.block(id);
        let mut shapes: Vec<Shape> = Vec::new();
        let mut add = |what: What, width: f64, height: f64, lines: Vec<TextLine>| {
            shapes.push(Shape {
                block: id,
                what,
                rect: Rect {
                    x: 0.0,
                    y: 0.0,
                    width,
                    height,
                },
                lines,
            });
        };
        add(What::Place(Place::Start), DOT, DOT, Vec::new());
        for state in &block.states {
            let state_box = &boxes[state.index()];
            let lines = state_box.lines.clone();
            add(
                What::Place(Place::State(*state)),
                state_box.width,
                state_box.height,
                lines,
            );
        }
        if graph.ends(id) {
            add(What::Place(Place::End), DOT, DOT, Vec::new());
        }
        let signs = signs(graph, id);
        for (index, edge) in block.edges.iter().enumerate() {
            if signs[index] {
                let name = match edge.to {
                    Place::State(target) => format!("→ {}", graph.node(target).name),
                    Place::Start | Place::End => "→ end".to_owned(),
                };
                let lines = ruler.wrap(&name, DETAIL, LABEL_WIDTH, 3);
                let width = lines.iter().map(|line| ruler.width(line, DETAIL)).fold(0.0, f64::max);
                let height = lines.len() as f64 * DETAIL.line_height() + 8.0;
                let lines = lines.into_iter().map(|text| TextLine {
                    text,
                    style: DETAIL,
                    role: Role::Detail,
                });
                add(What::Sign(index), width + 16.0, height, lines.collect());
            }
        }
        let mut plan = Self {
            width: 0.0,
            height: 0.0,
            shapes,
            lines: Vec::new(),
        };
        plan.place(graph, ruler, id, &signs);
        plan
    }

    fn place(&mut self, graph: &Graph, ruler: &Ruler, id: BlockId, signs: &[bool]) {
        let block = graph.block(id);
        let mut layers: Layers = Layers::with_options(GraphOptions {
            directed: true,
            multigraph: true,
            compound: false,
        });
        let mut names = BTreeMap::new();
        for (index, shape) in self.shapes.iter().enumerate() {
            names.insert(shape.what, index.to_string());
            let label = NodeLabel {
                width: shape.rect.width,
                height: shape.rect.height,
                ..NodeLabel::default()
            };
            layers.set_node(index.to_string(), Some(label));
        }
        for (index, edge) in block.edges.iter().enumerate() {
            let to = if signs[index] {
                What::Sign(index)
            } else {
                What::Place(edge.to)
            };
            let ends = [What::Place(edge.from), to];
            let text = label_lines(ruler, &edge.labels);
            let (width, height) = label_size(ruler, &text);
            let is_loop = ends[0] == ends[1];
            let label = EdgeLabel {
                // What usually happens is kept straight.
                weight: if edge.kind == EdgeKind::Catch { 1 } else { 3 },
                width: if is_loop { width + LOOP_WIDTH } else { width },
                height,
                labelpos: LabelPos::Center,
                ..EdgeLabel::default()
            };
            let name = index.to_string();
            layers.set_edge(
                names[&ends[0]].clone(),
                names[&ends[1]].clone(),
                Some(label),
                Some(&name),
            );
            self.lines.push(Line {
                block: id,
                edge: index,
                ends,
                points: Vec::new(),
                label: None,
            });
        }
        let options = LayoutOptions {
            nodesep: 28.0,
            edgesep: 16.0,
            ranksep: 52.0,
            ..LayoutOptions::default()
        };
        dagre::layout(&mut layers, Some(options));
        let mut places = BTreeMap::new();
        for (index, shape) in self.shapes.iter_mut().enumerate() {
            let node = layers.node(&index.to_string());
            let center = node.and_then(|node| point(node.x, node.y));
            let center = center.expect("dagre places every node");
            shape.rect = Rect::around(center, shape.rect.width, shape.rect.height);
            places.insert(shape.what, shape.rect);
        }
        for line in &mut self.lines {
            let name = line.edge.to_string();
            let edge = layers.edge(&names[&line.ends[0]], &names[&line.ends[1]], Some(&name));
            let edge = edge.expect("dagre keeps every edge");
            line.points = edge
                .points
                .iter()
                .map(|point| Point { x: point.x, y: point.y })
                .collect();
            let text = label_lines(ruler, &block.edges[line.edge].labels);
            let (width, height) = label_size(ruler, &text);
            let center = if line.ends[0] == line.ends[1] {
                let rect = places[&line.ends[0]];
                Some(Point {
                    x: rect.right() + LOOP_WIDTH + width / 2.0,
                    y: rect.center().y,
                })
            } else {
                point(edge.x, edge.y)
            };
            let center = center.filter(|_| !text.is_empty());
            line.label = center.map(|center| (Rect::around(center, width, height), text));
        }
        let is_choice = |what: What| {
            let What::Place(Place::State(state)) = what else {
                return false;
            };
            graph.node(state).kind == StateType::Choice
        };
        route::route(&self.shapes, &mut self.lines, is_choice);
        self.settle();
    }

    /// Moves everything so that it begins at the corner, and measures it.
    fn settle(&mut self) {
        let rects = self.shapes.iter().map(|shape| shape.rect);
        let labels = self
            .lines
            .iter()
            .filter_map(|line| line.label.as_ref().map(|(rect, _)| *rect));
        let points = self.lines.iter().flat_map(|line| &line.points).map(|point| Rect {
            x: point.x,
            y: point.y,
            width: 0.0,
            height: 0.0,
        });
        let all: Vec<Rect> = rects.chain(labels).chain(points).collect();
        let left = all.iter().map(|rect| rect.x).fold(f64::MAX, f64::min) - FRAME;
        let top = all.iter().map(|rect| rect.y).fold(f64::MAX, f64::min) - FRAME;
        self.width = all.iter().map(Rect::right).fold(0.0, f64::max) - left + FRAME;
        self.height = all.iter().map(Rect::bottom).fold(0.0, f64::max) - top + FRAME;
        let by = Point { x: -left, y: -top };
        self.shapes
            .iter_mut()
            .for_each(|shape| shape.rect = shape.rect.moved(by));
        for line in &mut self.lines {
            line.points.iter_mut().for_each(|point| *point = point.plus(by));
            line.label = line.label.take().map(|(rect, text)| (rect.moved(by), text));
        }
    }
}

fn point(x: Option<f64>, y: Option<f64>) -> Option<Point> {
    Some(Point { x: x?, y: y? })
}

fn label_size(ruler: &Ruler, text: &[String]) -> (f64, f64) {
    let width = text.iter().map(|line| ruler.width(line, LABEL)).fold(0.0, f64::max);
    let padding = if text.is_empty() { 0.0 } else { 8.0 };
    (width + padding, text.len() as f64 * LABEL.line_height())
}

/// Breaks the labels of an edge into lines, but into no more than anybody reads.
fn label_lines(ruler: &Ruler, labels: &[String]) -> Vec<String> {
    const LINES_MAX: usize = 8;
    let lines = labels.iter().flat_map(|label| ruler.wrap(label, LABEL, LABEL_WIDTH, 3));
    let mut text: Vec<String> = lines.collect();
    if LINES_MAX < text.len() {
        let n_left = text.len() - (LINES_MAX - 1);
        text.truncate(LINES_MAX - 1);
        text.push(format!("… {n_left} more lines"));
    }
    text
}

/// Tells which edges of a block end at a sign instead of a line to their target: catchers that many states share, and
/// the longest ones when the block has more long edges than can be laid out, or followed by eye.
fn signs(graph: &Graph, id: BlockId) -> Vec<bool> {
    let edges = &graph.block(id).edges;
    let mut signs = vec![false; edges.len()];
    let mut n_catchers: BTreeMap<Place, usize> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| edge.kind == EdgeKind::Catch) {
        *n_catchers.entry(edge.to).or_default() += 1;
    }
    for (sign, edge) in signs.iter_mut().zip(edges) {
        *sign = edge.kind == EdgeKind::Catch && CATCH_LINES_MAX < n_catchers[&edge.to];
    }
    let depths = route::depths(edges);
    let span = |index: usize| {
        let [from, to] = [edges[index].from, edges[index].to].map(|place| depths.get(&place).copied().unwrap_or(0));
        from.abs_diff(to)
    };
    let mut long: Vec<(usize, usize)> = (0..edges.len())
        .filter(|index| !signs[*index])
        .map(|index| (span(index), index))
        .filter(|(span, _)| 1 < *span)
        .collect();
    long.sort_unstable();
    let mut sum = 0;
    for (span, index) in long {
        sum += span;
        signs[index] |= SPANS_MAX < sum;
    }
    signs
}
