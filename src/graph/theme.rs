//! Colors and marks. No color is the only sign of anything: each outcome also has a mark and a border of its own.
//!
//! The outcomes' colors are of Okabe and Ito's set, which people with any color vision can tell apart.

use crate::graph::overlay::Outcome;
use crate::model::history_event::StateType;

/// How a box is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The background, as `#rrggbb`.
    pub fill: &'static str,
    /// The border.
    pub stroke: &'static str,
    /// The text.
    pub ink: &'static str,
    /// How thick the border is, in pixels.
    pub width: f64,
    /// How the border is dashed, as SVG writes it; empty for a whole line.
    pub dash: &'static str,
}

/// Lines between boxes.
pub const EDGE: &str = "#4a5568";
/// Catch edges.
pub const CATCH: &str = "#b45309";
/// Edges that an execution did not take.
pub const NOT_TAKEN: &str = "#b8bec8";
/// Details.
pub const FAINT: &str = "#5b6472";

/// Returns how a state of a type is drawn when there is no execution.
pub fn plain(kind: StateType) -> Look {
    let (fill, stroke) = match kind {
        StateType::Choice => ("#fff8e1", "#a17c1a"),
        StateType::Fail => ("#fdeaea", "#a33a3a"),
        StateType::Map | StateType::Parallel => ("#f6f8fb", "#7a8699"),
        StateType::Succeed => ("#e9f6ee", "#2f7d52"),
        StateType::Pass | StateType::Wait => ("#ffffff", "#7a8699"),
        StateType::Task => ("#eaf2fc", "#2b6cb0"),
    };
    Look {
        fill,
        stroke,
        ink: "#1a202c",
        width: 1.2,
        dash: "",
    }
}

/// Returns how a state is drawn after an execution.
pub fn of(outcome: Outcome) -> Look {
    let (fill, stroke, ink, width, dash) = match outcome {
        Outcome::Caught => ("#fdf0d2", "#e69f00", "#1a202c", 3.0, "9 3"),
        Outcome::Elsewhere => ("#ffffff", "#8a93a0", "#1a202c", 1.0, "1 3"),
        Outcome::Failed => ("#fbe3d6", "#d55e00", "#1a202c", 4.0, ""),
        Outcome::NotReached => ("#f3f4f6", "#b8bec8", "#6b7280", 1.0, "3 3"),
        Outcome::PartlyCovered => ("#fdf0d2", "#e69f00", "#1a202c", 2.0, "9 3"),
        Outcome::Covered | Outcome::Succeeded => ("#dff3ec", "#009e73", "#1a202c", 2.0, ""),
        Outcome::Unfinished => ("#e1f0fa", "#0072b2", "#1a202c", 2.0, "2 2"),
    };
    Look {
        fill,
        stroke,
        ink,
        width,
        dash,
    }
}

/// Returns the sign before the name.
pub fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Caught => "⚠",
        Outcome::Elsewhere => "↗",
        Outcome::Failed => "✗",
        Outcome::NotReached => "",
        Outcome::PartlyCovered => "◐",
        Outcome::Covered | Outcome::Succeeded => "✓",
        Outcome::Unfinished => "◌",
    }
}

/// What the legend says, in its order.
pub const LEGEND: [(Outcome, &str); 8] = [
    (Outcome::Covered, "run"),
    (Outcome::PartlyCovered, "run in part"),
    (Outcome::Succeeded, "succeeded"),
    (Outcome::Failed, "failed"),
    (Outcome::Caught, "failed, caught"),
    (Outcome::Unfinished, "not finished"),
    (Outcome::Elsewhere, "in child executions"),
    (Outcome::NotReached, "not reached"),
];

/// Returns a name for the outcome that all formats take.
pub fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Caught => "caught",
        Outcome::Covered => "covered",
        Outcome::Elsewhere => "elsewhere",
        Outcome::Failed => "failed",
        Outcome::NotReached => "notReached",
        Outcome::PartlyCovered => "partlyCovered",
        Outcome::Succeeded => "succeeded",
        Outcome::Unfinished => "unfinished",
    }
}
