//! `gatewright journal`: lists and sums the attempts that were written down.

use std::io::{self, Write};
use std::process::ExitCode;

use gatewright_spend::{Report, entries};

use crate::cli::JournalArgs;

/// The journal's place in the data directory.
pub(crate) const FOLDER: &str = "journal";

/// Prints one line an attempt, or the sums. Damage is told and does not hide what is whole.
pub(crate) fn print(args: &JournalArgs) -> ExitCode {
    match write(args, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            let _ = writeln!(
                io::stderr(),
                "gatewright: cannot read the journal in {}: {err}",
                args.dir.display()
            );
            ExitCode::FAILURE
        }
    }
}

fn write(args: &JournalArgs, out: &mut impl Write) -> io::Result<()> {
    let mut report = Report::default();
    for entry in entries(&args.dir.join(FOLDER))? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(damage) => {
                writeln!(io::stderr(), "gatewright: {damage}")?;
                continue;
            }
        };
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&entry)?)?;
        }
        report.add(&entry);
    }
    if !args.json {
        write!(out, "{report}")?;
    }
    Ok(())
}
