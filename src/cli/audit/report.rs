//! `stepfn audit report`.

use std::io::Write;

use crate::audit::control;
use crate::audit::control::CONTROLS;
use crate::audit::control::Control;
use crate::audit::read::Filter;
use crate::audit::read::Read;
use crate::audit::read::Reader;
use crate::cli::audit::Place;
use crate::cli::audit::ended;
use crate::cli::audit::failed;
use crate::cli::audit::time;
use crate::cli::error::CliError;
use crate::cli::table;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The control, such as CC6.1
    #[arg(long, value_name = "ID", required_unless_present = "list")]
    control: Option<String>,
    /// List the controls, what each asks, and what answers it
    #[arg(long)]
    list: bool,
    /// Not before
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from: Option<time::Since>,
    /// Before
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    to: Option<time::Since>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Csv,
    Markdown,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    if arguments.list {
        let heading = ["CONTROL", "ASKS", "ANSWERED BY"].map(str::to_owned).to_vec();
        let rows = CONTROLS.iter().map(|control| {
            let ids = control.ids.join(", ");
            vec![ids, control.asks.to_owned(), control.answer.to_owned()]
        });
        let rows: Vec<_> = [heading].into_iter().chain(rows).collect();
        table::print(&table::lines(&rows))?;
        return Ok(0);
    }
    let id = arguments.control.as_deref().unwrap_or_default();
    let control = control::find(id).ok_or_else(|| {
        CliError::usage(format!("there is no control `{id}`")).hint("`stepfn audit report --list` lists them")
    })?;
    let (directory, _) = arguments.place.find()?;
    let filter = Filter {
        since: arguments.from.map(|from| from.0),
        until: arguments.to.map(|to| to.0),
        ..Filter::default()
    };
    let mut reader = Reader::open(&directory, filter).map_err(|error| failed(&directory, &error))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut n_broken = 0;
    let written = write(&mut reader, control, arguments.format, &mut out, &mut n_broken).and_then(|()| out.flush());
    ended(written, &directory)?;
    if n_broken != 0 {
        return Err(CliError::failed(format!("{n_broken} lines of the log are no records"))
            .hint("`stepfn audit verify` tells which"));
    }
    Ok(0)
}

fn write(
    reader: &mut Reader,
    control: &Control,
    format: Format,
    out: &mut impl Write,
    n_broken: &mut u64,
) -> std::io::Result<()> {
    match format {
        Format::Csv => writeln!(out, "{}", control::COLUMNS.join(","))?,
        Format::Markdown => {
            let ids = control.ids.join(", ");
            writeln!(out, "# {ids}\n\n{}\n\nEvidence: {}", control.asks, control.answer)?;
            writeln!(
                out,
                "The log is evidence for controls; it does not make anyone compliant.\n"
            )?;
            writeln!(out, "| {} |", control::COLUMNS.join(" | "))?;
            writeln!(out, "|{}", "---|".repeat(control::COLUMNS.len()))?;
        }
    }
    while let Some(read) = reader.read_next()? {
        let Read::Record(record, _) = read else {
            *n_broken += 1;
            continue;
        };
        if !(control.takes)(&record) {
            continue;
        }
        let row = control::row(&record);
        match format {
            Format::Csv => writeln!(out, "{}", row.map(|cell| control::csv_cell(&cell)).join(","))?,
            Format::Markdown => writeln!(out, "| {} |", row.map(|cell| control::markdown_cell(&cell)).join(" | "))?,
        }
    }
    Ok(())
}
