//! Writes SVG.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::graph::content::Role;
use crate::graph::geometry::Point;
use crate::graph::geometry::Rect;
use crate::graph::layout;
use crate::graph::layout::ARROW;
use crate::graph::layout::DETAIL;
use crate::graph::layout::Frame;
use crate::graph::layout::LABEL;
use crate::graph::layout::Line;
use crate::graph::layout::Picture;
use crate::graph::layout::SLANT;
use crate::graph::layout::Shape;
use crate::graph::layout::TooLarge;
use crate::graph::layout::What;
use crate::graph::model::EdgeKind;
use crate::graph::model::Graph;
use crate::graph::model::Place;
use crate::graph::overlay::Outcome;
use crate::graph::overlay::Overlay;
use crate::graph::text::FAMILY;
use crate::graph::text::Ruler;
use crate::graph::theme;
use crate::graph::theme::Look;
use crate::model::history_event::StateType;
use crate::model::id::BlockId;
use crate::model::id::StateId;

const LEGEND_HEIGHT: f64 = 34.0;

/// Writes a graph.
///
/// # Errors
/// It has too many states for a picture.
pub fn write(graph: &Graph, overlay: Option<&Overlay>) -> Result<String, TooLarge> {
    let picture = layout::layout(graph, overlay)?;
    let mut writer = Writer {
        graph,
        overlay,
        text: String::new(),
    };
    writer.whole(&picture);
    Ok(writer.text)
}

struct Writer<'a> {
    graph: &'a Graph,
    overlay: Option<&'a Overlay>,
    text: String,
}

impl Writer<'_> {
    fn whole(&mut self, picture: &Picture) {
        let legend = self.overlay.map(|overlay| self.legend(overlay)).unwrap_or_default();
        let width = legend
            .iter()
            .map(|entry| entry.right() + layout::DETAIL.size)
            .fold(picture.width, f64::max);
        let height = picture.height + if legend.is_empty() { 0.0 } else { LEGEND_HEIGHT };
        let (w, h) = (Number(width.ceil()), Number(height.ceil()));
        self.line(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" font-family=\"{FAMILY}\">"
        ));
        self.line(&format!("<rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>"));
        let (mut shapes, mut lines) = (picture.shapes.as_slice(), picture.lines.as_slice());
        for number in (0..).take(self.graph.blocks.len()) {
            let block = BlockId(number);
            for frame in picture.frames.iter().filter(|frame| frame.block == block) {
                self.frame(frame);
            }
            let own = lines.partition_point(|line| line.block <= block);
            lines[..own].iter().for_each(|line| self.edge(line));
            let own_shapes = shapes.partition_point(|shape| shape.block <= block);
            shapes[..own_shapes].iter().for_each(|shape| self.shape(shape));
            lines[..own].iter().for_each(|line| self.label(line));
            (shapes, lines) = (&shapes[own_shapes..], &lines[own..]);
        }
        for entry in &legend {
            self.legend_entry(entry, picture.height);
        }
        self.line("</svg>");
    }

    fn frame(&mut self, Frame { block, rect }: &Frame) {
        self.line(&format!(
            "<rect {} rx=\"6\" fill=\"#ffffff\" stroke=\"{}\" stroke-dasharray=\"4 4\"/>",
            place(rect),
            theme::NOT_TAKEN
        ));
        let title = &self.graph.block(*block).title;
        if !title.is_empty() {
            let at = Point {
                x: rect.x + 4.0,
                y: rect.y - 4.0,
            };
            self.text_at(title, at, LABEL.size, "", theme::FAINT, "start");
        }
    }

    fn look(&self, shape: &Shape) -> Look {
        match (shape.what, self.overlay) {
            (What::Place(Place::State(id)), Some(overlay)) => theme::of(overlay.outcome(id)),
            (What::Place(Place::State(id)), None) => theme::plain(self.graph.node(id).kind),
            _ => Look {
                fill: "#ffffff",
                stroke: theme::EDGE,
                ink: theme::FAINT,
                width: 1.2,
                dash: "",
            },
        }
    }

    fn shape(&mut self, shape: &Shape) {
        let rect = &shape.rect;
        let look = self.look(shape);
        let paint = paint(&look);
        match shape.what {
            What::Place(Place::Start) => self.dot(rect, 2.0, look.stroke),
            What::Place(Place::End) => {
                let center = rect.center();
                let [x, y, r] = [center.x, center.y, rect.width / 2.0].map(Number);
                self.line(&format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" {paint}/>"));
                self.dot(rect, 4.0, look.stroke);
            }
            What::Place(Place::State(id)) => {
                let node = self.graph.node(id);
                self.line(&format!("<g data-state=\"{}\">", escape(&node.name)));
                let full = std::iter::once(&*node.name).chain(node.details.iter().map(String::as_str));
                let full = full.collect::<Vec<_>>().join("\n");
                self.line(&format!("<title>{}</title>", escape(&full)));
                match node.kind {
                    StateType::Choice => self.line(&format!("<polygon points=\"{}\" {paint}/>", hexagon(rect))),
                    StateType::Fail | StateType::Succeed => {
                        let radius = Number((rect.height / 2.0).min(20.0));
                        self.line(&format!("<rect {} rx=\"{radius}\" {paint}/>", place(rect)));
                    }
                    _ => self.line(&format!("<rect {} rx=\"6\" {paint}/>", place(rect))),
                }
                self.lines_of(shape, &look);
                self.line("</g>");
            }
            What::Sign(index) => {
                let edge = &self.graph.block(shape.block).edges[index];
                let stroke = if edge.kind == EdgeKind::Catch {
                    theme::CATCH
                } else {
                    theme::EDGE
                };
                self.line(&format!(
                    "<rect {} rx=\"9\" fill=\"#ffffff\" stroke=\"{stroke}\" stroke-dasharray=\"2 2\"/>",
                    place(rect)
                ));
                self.lines_of(shape, &look);
            }
        }
    }

    fn dot(&mut self, rect: &Rect, margin: f64, fill: &str) {
        let center = rect.center();
        let [x, y, r] = [center.x, center.y, rect.width / 2.0 - margin].map(Number);
        self.line(&format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{fill}\"/>"));
    }

    fn lines_of(&mut self, shape: &Shape, look: &Look) {
        let holds_blocks = match shape.what {
            What::Place(Place::State(id)) => !self.graph.node(id).blocks.is_empty(),
            _ => false,
        };
        let height: f64 = shape.lines.iter().map(|line| line.style.line_height()).sum();
        let mut y = if holds_blocks {
            shape.rect.y + 7.0
        } else {
            shape.rect.center().y - height / 2.0
        };
        for line in &shape.lines {
            let at = Point {
                x: shape.rect.center().x,
                // The letters stand on their base line.
                y: y + line.style.line_height() * 0.5 + line.style.size * 0.36,
            };
            let weight = if line.style.bold { " font-weight=\"bold\"" } else { "" };
            let ink = if line.role == Role::Detail {
                theme::FAINT
            } else {
                look.ink
            };
            self.text_at(&line.text, at, line.style.size, weight, ink, "middle");
            y += line.style.line_height();
        }
    }

    fn edge(&mut self, line: &Line) {
        let kind = self.graph.block(line.block).edges[line.edge].kind;
        let is_taken = self.overlay.map(|overlay| overlay.is_taken(line.block, line.edge));
        let (stroke, width) = match (is_taken, kind) {
            (Some(true), EdgeKind::Catch) => (theme::CATCH, 2.6),
            (Some(true), _) => ("#1a202c", 2.6),
            (Some(false), _) => (theme::NOT_TAKEN, 1.1),
            (None, EdgeKind::Catch) => (theme::CATCH, 1.3),
            (None, _) => (theme::EDGE, 1.3),
        };
        let dash = if kind == EdgeKind::Catch {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let Some((path, tip, back)) = path(line) else { return };
        self.line(&format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\"{dash}/>"
        ));
        // Unit vector from the tip back along the line; the wings stand at right angles to it.
        let wing = |side: f64| Point {
            x: tip.x + back.x * ARROW + back.y * ARROW * 0.45 * side,
            y: tip.y + back.y * ARROW + back.x * ARROW * 0.45 * side,
        };
        let corners = [tip, wing(1.0), wing(-1.0)];
        let corners = corners.map(|corner| format!("{},{}", Number(corner.x), Number(corner.y)));
        self.line(&format!(
            "<polygon points=\"{}\" fill=\"{stroke}\"/>",
            corners.join(" ")
        ));
    }

    fn label(&mut self, line: &Line) {
        let Some((rect, text)) = &line.label else { return };
        let kind = self.graph.block(line.block).edges[line.edge].kind;
        let is_taken = self
            .overlay
            .is_none_or(|overlay| overlay.is_taken(line.block, line.edge));
        let ink = match kind {
            _ if !is_taken => theme::FAINT,
            EdgeKind::Catch => theme::CATCH,
            _ => "#1a202c",
        };
        self.line(&format!(
            "<rect {} rx=\"3\" fill=\"#ffffff\" fill-opacity=\"0.9\"/>",
            place(rect)
        ));
        for (number, text) in text.iter().enumerate() {
            let at = Point {
                x: rect.center().x,
                y: rect.y + LABEL.line_height() * (number as f64 + 0.5) + LABEL.size * 0.36,
            };
            self.text_at(text, at, LABEL.size, "", ink, "middle");
        }
    }

    /// Returns the legend of the outcomes that the picture shows.
    fn legend(&self, overlay: &Overlay) -> Vec<Entry> {
        let ruler = Ruler::default();
        let ids = (0..).map(StateId).take(self.graph.nodes.len());
        let shown: BTreeSet<Outcome> = ids.map(|id| overlay.outcome(id)).collect();
        let mut x = 14.0;
        let entry = |(outcome, text): &(_, &'static str)| {
            let width = 28.0 + ruler.width(text, DETAIL);
            let entry = Entry {
                x,
                width,
                look: theme::of(*outcome),
                mark: theme::mark(*outcome),
                text,
            };
            x += width + 18.0;
            entry
        };
        let shown = theme::LEGEND.iter().filter(|(outcome, _)| shown.contains(outcome));
        shown.map(entry).collect()
    }

    fn legend_entry(&mut self, entry: &Entry, top: f64) {
        let rect = Rect {
            x: entry.x,
            y: top + 6.0,
            width: 22.0,
            height: 16.0,
        };
        self.line(&format!("<rect {} rx=\"4\" {}/>", place(&rect), paint(&entry.look)));
        let base = rect.center().y + DETAIL.size * 0.36;
        let at = Point {
            x: rect.center().x,
            y: base,
        };
        self.text_at(entry.mark, at, DETAIL.size, "", entry.look.ink, "middle");
        let at = Point {
            x: rect.right() + 6.0,
            y: base,
        };
        self.text_at(entry.text, at, DETAIL.size, "", "#1a202c", "start");
    }

    fn text_at(&mut self, text: &str, at: Point, size: f64, weight: &str, ink: &str, anchor: &str) {
        let [x, y] = [at.x, at.y].map(Number);
        self.line(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{weight} fill=\"{ink}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        ));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// An entry of the legend.
struct Entry {
    x: f64,
    width: f64,
    look: Look,
    mark: &'static str,
    text: &'static str,
}

impl Entry {
    fn right(&self) -> f64 {
        self.x + self.width
    }
}

/// Returns the path of a line, its tip, and the way back from there.
fn path(line: &Line) -> Option<(String, Point, Point)> {
    let (first, tip) = (*line.points.first()?, *line.points.last()?);
    let mut path = format!("M{} {}", Number(first.x), Number(first.y));
    if let ([_, out, back, _], true) = (line.points.as_slice(), line.ends[0] == line.ends[1]) {
        let [ox, oy, bx, by, tx, ty] = [out.x, out.y, back.x, back.y, tip.x + ARROW / 2.0, tip.y].map(Number);
        let _ = write!(path, "C{ox} {oy} {bx} {by} {tx} {ty}");
        return Some((path, tip, Point { x: 1.0, y: 0.0 }));
    }
    let before = *line.points.iter().rev().nth(1)?;
    let back = if before.y < tip.y { -1.0 } else { 1.0 };
    let mut points = line.points.clone();
    // The line ends within the arrow, so that a thick one does not show at its tip.
    points.last_mut()?.y += back * ARROW / 2.0;
    for pair in points.windows(2) {
        let [from, to] = [pair[0], pair[1]];
        let [x, y] = [to.x, to.y].map(Number);
        if (from.x - to.x).abs() < 0.5 {
            let _ = write!(path, "L{x} {y}");
        } else {
            let [fx, middle] = [from.x, f64::midpoint(from.y, to.y)].map(Number);
            let _ = write!(path, "C{fx} {middle} {x} {middle} {x} {y}");
        }
    }
    Some((path, tip, Point { x: 0.0, y: back }))
}

fn place(rect: &Rect) -> String {
    let [x, y, width, height] = [rect.x, rect.y, rect.width, rect.height].map(Number);
    format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"")
}

fn hexagon(rect: &Rect) -> String {
    let middle = rect.center().y;
    let corners = [
        (rect.x, middle),
        (rect.x + SLANT, rect.y),
        (rect.right() - SLANT, rect.y),
        (rect.right(), middle),
        (rect.right() - SLANT, rect.bottom()),
        (rect.x + SLANT, rect.bottom()),
    ];
    corners.map(|(x, y)| format!("{},{}", Number(x), Number(y))).join(" ")
}

fn paint(look: &Look) -> String {
    let dash = match look.dash {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    };
    let Look {
        fill, stroke, width, ..
    } = look;
    format!("fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"{width}\"{dash}")
}

/// A number with one digit behind the point, or none.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round() as i64;
        if tenths % 10 == 0 {
            write!(f, "{}", tenths / 10)
        } else {
            write!(f, "{:.1}", self.0)
        }
    }
}

/// Writes a text as XML. What XML cannot hold is replaced.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped += "&quot;",
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '\n' => escaped.push('\n'),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
