//! What the commands for a running server print: columns, times, colors.

use std::io::IsTerminal;
use std::io::Write;

use serde_json::Value;

use crate::cli::error::CliError;
use crate::model::timestamp::Timestamp;

/// Prints to stdout; a reader that has gone is no error.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::internal(format!("failed to write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &Value) -> Result<(), CliError> {
    print(&format!("{value:#}\n"))
}

/// Colors a status for stdout.
pub(crate) fn status(status: &str) -> String {
    let refuses = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if refuses || !std::io::stdout().is_terminal() {
        return status.to_owned();
    }
    let style = match status.trim_end() {
        "SUCCEEDED" => "32",
        "RUNNING" | "PENDING_REDRIVE" => "36",
        _ => "31",
    };
    format!("\x1b[{style}m{status}\x1b[0m")
}

/// Lays rows out in columns; the first row is the heading.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let padded = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        cells.map(|(cell, width)| format!("{cell:width$}")).collect()
    };
    rows.iter().map(padded).collect()
}

/// Lays rows out as lines.
pub(crate) fn lines(rows: &[Vec<String>]) -> String {
    let lines = columns(rows)
        .into_iter()
        .map(|row| row.join("  ").trim_end().to_owned() + "\n");
    lines.collect()
}

/// Returns a time of the API as people read it, in UTC.
pub(crate) fn date(value: Option<&Value>) -> String {
    let Some(at) = timestamp(value) else {
        return String::new();
    };
    let text = at.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => seconds.replacen('T', " ", 1),
        None => text,
    }
}

/// Reads a time of the API: seconds since 1970.
pub(crate) fn timestamp(value: Option<&Value>) -> Option<Timestamp> {
    let seconds = value?.as_f64()?;
    Some(Timestamp((seconds * 1000.0).round() as i64))
}

/// Returns how long something took, as people read it.
pub(crate) fn elapsed(from: Timestamp, to: Timestamp) -> String {
    let millis = to.0.saturating_sub(from.0).max(0);
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => {
            let seconds = millis / 1000;
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            format!("{hours}:{minutes:02}:{seconds:02}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_time_is_readable() {
        for (millis, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (61_000, "0:01:01"),
            (86_400_000, "24:00:00"),
            (-5, "0 ms"),
        ] {
            assert_eq!(elapsed(Timestamp(0), Timestamp(millis)), expected);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            columns(&[row(&["A", "B"]), row(&["long", "é"])]),
            [row(&["A   ", "B"]), row(&["long", "é"])]
        );
    }
}
