//! Pictures of all example definitions: well-formed, nothing overlaps, edges go around boxes and end at theirs.
#![cfg(feature = "runtime")]

use std::path::Path;
use std::path::PathBuf;

use expect_test::expect_file;
use serde_json::Value;
use serde_json::json;
use stepfn::asl::load::Format;
use stepfn::asl::load::Options;
use stepfn::asl::load::Tree;
use stepfn::asl::load::compile;
use stepfn::graph::geometry::Rect;
use stepfn::graph::layout;
use stepfn::graph::layout::Line;
use stepfn::graph::layout::Picture;
use stepfn::graph::layout::STATES_MAX;
use stepfn::graph::layout::What;
use stepfn::graph::model::Graph;
use stepfn::graph::png;
use stepfn::graph::svg;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn graph(text: &str, format: Format) -> Option<Graph> {
    let options = Options {
        format,
        open_placeholders: true,
        ..Options::default()
    };
    let definition = compile(text, &options).ok()?;
    let raw = Tree::read(text, format).ok()?.value();
    Some(Graph::of(&definition, &raw))
}

/// All definitions below a directory.
fn definitions(directory: PathBuf) -> Vec<(String, Graph)> {
    let mut found = Vec::new();
    let mut open = vec![directory];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.display().to_string();
        let format = if name.ends_with("json") {
            Format::Json
        } else {
            Format::Yaml
        };
        let is_definition = std::fs::read_to_string(&path)
            .ok()
            .filter(|text| text.contains("StartAt"));
        found.extend(
            is_definition
                .and_then(|text| graph(&text, format))
                .map(|graph| (name, graph)),
        );
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

fn everything() -> Vec<(String, Graph)> {
    let mut all = definitions(root().join("fixtures"));
    assert!(10 <= all.len(), "the fixtures are found");
    let corpus = root().join("../shared/asl-corpus");
    if corpus.exists() {
        all.extend(definitions(corpus));
        assert!(100 < all.len(), "the corpus is found");
    } else {
        eprintln!("without the corpus: {} is absent", corpus.display());
    }
    all.push((
        "nested".to_owned(),
        graph(&nested(5).to_string(), Format::Json).unwrap(),
    ));
    all.push(("long".to_owned(), graph(&long(100).to_string(), Format::Json).unwrap()));
    all
}

/// Blocks in blocks, with names that mean something to every format.
fn nested(levels: usize) -> Value {
    let name = |what: &str| format!("{what} {levels} <b>\"&'\\`${{x}}` --> 状态 %%");
    if levels == 0 {
        return json!({"StartAt": name("leaf"), "States": {name("leaf"): {"Type": "Pass", "End": true}}});
    }
    let mut inner = nested(levels - 1);
    let other = format!("other {levels}");
    json!({"StartAt": name("choose"), "States": {
        name("choose"): {
            "Type": "Choice",
            "Choices": [{"Variable": "$.a", "StringEquals": "\"]<x>&amp;", "Next": name("small")}],
            "Default": name("parallel"),
        },
        name("small"): {"Type": "Pass", "Next": name("map")},
        name("parallel"): {
            "Type": "Parallel",
            "Branches": [inner.take(), {"StartAt": other, "States": {other.as_str(): {"Type": "Succeed"}}}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": name("small")}],
            "Next": name("map"),
        },
        name("map"): {
            "Type": "Map",
            "ItemProcessor": {
                "StartAt": name("item"),
                "States": {name("item"): {"Type": "Wait", "Seconds": 1, "Next": name("item")}}
            },
            "End": true,
        },
    }})
}

/// A chain of tasks that all catch, with ways back and forth.
fn long(n_states: usize) -> Value {
    let mut states = serde_json::Map::new();
    let name = |index: usize| format!("Step number {index} of a long process");
    for index in 0..n_states {
        let next = name((index + 1).min(n_states - 1));
        let catch = json!([{"ErrorEquals": ["States.ALL"], "Next": "Handler"}]);
        let state = match index % 9 {
            _ if index + 1 == n_states => json!({"Type": "Pass", "End": true}),
            4 => json!({
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.a", "IsPresent": true, "Next": name(index - 3)},
                    {"Variable": "$.b", "IsPresent": true, "Next": name((index + 5).min(n_states - 1))},
                ],
                "Default": next,
            }),
            _ => {
                json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f", "Catch": catch, "Next": next})
            }
        };
        states.insert(name(index), state);
    }
    states.insert("Handler".to_owned(), json!({"Type": "Fail"}));
    json!({"StartAt": name(0), "States": states})
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.right() - 0.1 && b.x < a.right() - 0.1 && a.y < b.bottom() - 0.1 && b.y < a.bottom() - 0.1
}

fn holds(outer: &Rect, inner: &Rect) -> bool {
    outer.x <= inner.x && outer.y <= inner.y && inner.right() <= outer.right() && inner.bottom() <= outer.bottom()
}

/// Tells whether a piece of a line, which stays within the box around its ends, may touch a box.
fn touches(line: &Line, rect: &Rect) -> bool {
    line.points.windows(2).any(|pair| {
        let piece = Rect {
            x: pair[0].x.min(pair[1].x),
            y: pair[0].y.min(pair[1].y),
            width: (pair[0].x - pair[1].x).abs().max(0.2),
            height: (pair[0].y - pair[1].y).abs().max(0.2),
        };
        overlap(&piece, rect)
    })
}

fn check(graph: &Graph, picture: &Picture) -> Result<(), String> {
    let whole = Rect {
        x: 0.0,
        y: 0.0,
        width: picture.width,
        height: picture.height,
    };
    for (number, block) in (0..).zip(&graph.blocks) {
        let shapes: Vec<_> = picture.shapes.iter().filter(|shape| shape.block.0 == number).collect();
        let lines: Vec<_> = picture.lines.iter().filter(|line| line.block.0 == number).collect();
        if lines.len() != block.edges.len() {
            return Err(format!(
                "block {number} has {} edges but {} lines",
                block.edges.len(),
                lines.len()
            ));
        }
        let labels: Vec<Rect> = lines.iter().filter_map(|line| Some(line.label.as_ref()?.0)).collect();
        let all: Vec<Rect> = shapes.iter().map(|shape| shape.rect).chain(labels).collect();
        let around = block.parent.and_then(|parent| {
            let what = What::Place(stepfn::graph::model::Place::State(parent));
            picture
                .shapes
                .iter()
                .find(|shape| shape.what == what)
                .map(|shape| shape.rect)
        });
        for (index, rect) in all.iter().enumerate() {
            if !holds(&around.unwrap_or(whole), rect) {
                return Err(format!("block {number}: {rect:?} reaches out of {around:?}"));
            }
            if let Some(other) = all[..index].iter().find(|other| overlap(rect, other)) {
                return Err(format!("block {number}: {rect:?} overlaps {other:?}"));
            }
        }
        for line in lines {
            for (what, point) in [(line.ends[0], line.points.first()), (line.ends[1], line.points.last())] {
                let rect = shapes.iter().find(|shape| shape.what == what).unwrap().rect;
                let point = point.ok_or("a line without points")?;
                let on_side = (point.x - rect.right()).abs() < 0.1 && rect.y <= point.y && point.y <= rect.bottom();
                let on_edge = rect.x <= point.x
                    && point.x <= rect.right()
                    && ((point.y - rect.y).abs() < 0.1 || (point.y - rect.bottom()).abs() < 0.1);
                if !on_side && !on_edge {
                    return Err(format!("block {number}: {line:?} does not end at {rect:?}"));
                }
            }
            for shape in &shapes {
                if touches(line, &shape.rect) && !line.ends.contains(&shape.what) {
                    return Err(format!("block {number}: {:?} crosses {:?}", line.points, shape.rect));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn nothing_overlaps_and_edges_go_around_boxes() {
    for (name, graph) in everything() {
        let picture = layout::layout(&graph, None).unwrap();
        assert_eq!(check(&graph, &picture), Ok(()), "{name}");
    }
}

#[test]
fn svg_is_xml_and_holds_every_name() {
    for (name, graph) in everything() {
        let text = svg::write(&graph, None).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let shown: Vec<&str> = document
            .descendants()
            .filter_map(|node| node.attribute("data-state"))
            .collect();
        for node in &graph.nodes {
            assert!(shown.contains(&&*node.name), "{name}: {}", node.name);
        }
    }
}

#[test]
fn png_is_painted_with_letters() {
    let with = graph(&nested(1).to_string(), Format::Json).unwrap();
    let png = png::paint(&svg::write(&with, None).unwrap(), png::fonts()).unwrap();
    let pixels = resvg::tiny_skia::Pixmap::decode_png(&png.bytes).unwrap();
    assert!(300 < pixels.width() && 300 < pixels.height());
    // The ink of names is used for nothing else.
    let is_ink = |pixel: &resvg::tiny_skia::PremultipliedColorU8| {
        (pixel.red(), pixel.green(), pixel.blue()) == (0x1a, 0x20, 0x2c)
    };
    assert!(500 < pixels.pixels().iter().filter(|pixel| is_ink(pixel)).count());
}

#[test]
fn too_many_states_are_refused_and_the_most_are_drawn() {
    let too_many = graph(&long(STATES_MAX).to_string(), Format::Json).unwrap();
    let refused = layout::layout(&too_many, None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the definition has 2001 states, and a picture shows at most 2000"
    );
    // A state in 100 that leads back far: what is long and many becomes signs, so the time stays bounded.
    let many = graph(&long(400).to_string(), Format::Json).unwrap();
    assert_eq!(check(&many, &layout::layout(&many, None).unwrap()), Ok(()));
}

#[test]
fn the_picture_of_the_docs_is_fresh() {
    let path = root().join("fixtures/job-poller/job-poller.asl.json");
    let graph = graph(&std::fs::read_to_string(path).unwrap(), Format::Json).unwrap();
    expect_file!["../docs/job-poller.svg"].assert_eq(&svg::write(&graph, None).unwrap());
}
