//! Leads edges around boxes.
//!
//! dagre puts boxes and labels into layers and gives each long edge a free place in every layer that it crosses. Between
//! two layers there is nothing but edges. So an edge that goes straight up or down inside a layer, and sideways only
//! between layers, crosses no box.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use crate::graph::geometry::Point;
use crate::graph::geometry::Rect;
use crate::graph::layout::ARROW;
use crate::graph::layout::LOOP_WIDTH;
use crate::graph::layout::Line;
use crate::graph::layout::SLANT;
use crate::graph::layout::Shape;
use crate::graph::layout::What;
use crate::graph::model::Edge;
use crate::graph::model::Place;

/// Widest distance between two edges at one side of a box.
const PORT_GAP: f64 = 22.0;

/// Returns how many edges each place is away from the start.
pub(super) fn depths(edges: &[Edge]) -> BTreeMap<Place, usize> {
    let mut ways: BTreeMap<Place, Vec<Place>> = BTreeMap::new();
    for edge in edges {
        ways.entry(edge.from).or_default().push(edge.to);
    }
    let mut depths = BTreeMap::from([(Place::Start, 0)]);
    let mut queue = VecDeque::from([(Place::Start, 0)]);
    while let Some((place, depth)) = queue.pop_front() {
        for next in ways.get(&place).into_iter().flatten() {
            if !depths.contains_key(next) {
                depths.insert(*next, depth + 1);
                queue.push_back((*next, depth + 1));
            }
        }
    }
    depths
}

/// The layers: how far each reaches up and down from its middle. A key is the middle in hundredths of a pixel.
struct Layers(BTreeMap<i64, f64>);

impl Layers {
    fn of(shapes: &[Shape], lines: &[Line]) -> Self {
        let mut layers = BTreeMap::new();
        let labels = lines
            .iter()
            .filter_map(|line| line.label.as_ref().map(|(rect, _)| rect));
        for rect in shapes.iter().map(|shape| &shape.rect).chain(labels) {
            let half = layers.entry(key(rect.center().y)).or_insert(0.0_f64);
            *half = half.max(rect.height / 2.0);
        }
        Self(layers)
    }

    fn half(&self, y: f64) -> f64 {
        let near = self.0.range(key(y) - 2..=key(y) + 2).next();
        near.map_or(0.0, |(_, half)| *half)
    }
}

fn key(y: f64) -> i64 {
    (y * 100.0).round() as i64
}

/// One end of an edge at a box.
struct Port {
    line: usize,
    is_begin: bool,
    /// Where the edge comes from or goes to.
    toward: f64,
}

/// Gives each line its final points.
pub(super) fn route(shapes: &[Shape], lines: &mut [Line], is_choice: impl Fn(What) -> bool) {
    let layers = Layers::of(shapes, lines);
    let rects: BTreeMap<What, Rect> = shapes.iter().map(|shape| (shape.what, shape.rect)).collect();
    let mut ports: BTreeMap<(What, bool), Vec<Port>> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        if line.ends[0] == line.ends[1] {
            continue;
        }
        let n = line.points.len();
        for (is_begin, what, next) in [
            (true, line.ends[0], line.points.get(1)),
            (
                false,
                line.ends[1],
                n.checked_sub(2).and_then(|index| line.points.get(index)),
            ),
        ] {
            let rect = rects[&what];
            let other = rects[&line.ends[usize::from(is_begin)]].center();
            let next = next.copied().filter(|_| 2 < n).unwrap_or(other);
            let is_below = rect.center().y < next.y;
            ports.entry((what, is_below)).or_default().push(Port {
                line: index,
                is_begin,
                toward: next.x,
            });
        }
    }
    let mut ends: BTreeMap<(usize, bool), Point> = BTreeMap::new();
    for ((what, is_below), mut list) in ports {
        list.sort_by(|a, b| a.toward.total_cmp(&b.toward).then(a.line.cmp(&b.line)));
        let rect = rects[&what];
        let slant = if is_choice(what) { SLANT } else { 0.0 };
        let room = (rect.width - 2.0 * slant - 16.0).max(0.0);
        let gap = PORT_GAP.min(room / (list.len() as f64).max(1.0));
        let left = rect.center().x - gap * (list.len() as f64 - 1.0) / 2.0;
        let y = if is_below { rect.bottom() } else { rect.y };
        for (number, port) in list.iter().enumerate() {
            let x = left + gap * number as f64;
            ends.insert((port.line, port.is_begin), Point { x, y });
        }
    }
    for (index, line) in lines.iter_mut().enumerate() {
        let (Some(begin), Some(end)) = (ends.get(&(index, true)), ends.get(&(index, false))) else {
            around(line, rects[&line.ends[0]]);
            continue;
        };
        let [from, to] = line.ends.map(|what| rects[&what]);
        line.points = points(&layers, &line.points, (*begin, from), (*end, to));
    }
}

fn points(layers: &Layers, through: &[Point], begin: (Point, Rect), end: (Point, Rect)) -> Vec<Point> {
    let mut points = vec![begin.0, leave(layers, begin)];
    let goes_down = begin.0.y <= end.0.y;
    let between = through.get(1..through.len().saturating_sub(1)).unwrap_or_default();
    for point in between {
        let half = layers.half(point.y);
        let (first, second) = if goes_down { (-half, half) } else { (half, -half) };
        for by in [first, second] {
            points.push(Point {
                x: point.x,
                y: point.y + by,
            });
        }
    }
    let mut last = leave(layers, end);
    // The arrow stands upright.
    last.y += if goes_down { -ARROW } else { ARROW };
    points.push(last);
    points.push(end.0);
    points.dedup_by(|a, b| (a.x - b.x).abs() < 0.01 && (a.y - b.y).abs() < 0.01);
    points
}

/// Returns where an edge leaves the layer of its box.
fn leave(layers: &Layers, (at, rect): (Point, Rect)) -> Point {
    let middle = rect.center().y;
    let half = layers.half(middle);
    Point {
        x: at.x,
        y: if middle < at.y { middle + half } else { middle - half },
    }
}

/// A state that leads to itself: out of its right side and back into it, beside it in the room that dagre left there.
fn around(line: &mut Line, rect: Rect) {
    let middle = rect.center().y;
    let reach = rect.height / 4.0;
    let far = rect.right() + LOOP_WIDTH;
    line.points = [
        (rect.right(), -reach),
        (far, -reach),
        (far, reach),
        (rect.right(), reach),
    ]
    .iter()
    .map(|(x, by)| Point { x: *x, y: middle + by })
    .collect();
}
