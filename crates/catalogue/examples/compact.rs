//! Writes the model table from a facts file (`*.jsonl`), or anew from a table (`*.txt`): `make catalogue FACTS=<file>`.
//!
//! What was written is read back and compared with the input before the file is replaced.

use std::error::Error;

use gatewright_catalogue::table::Table;
use gatewright_catalogue::{Entry, source};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("usage: compact <models.jsonl | models.txt> <models.txt>".into());
    };
    let text = std::fs::read_to_string(&from)?;
    let entries = match from.ends_with(".txt") {
        true => Table::new(text).ok_or("no table")?.rows().map(|row| Entry::from(&row)).collect(),
        false => source::facts(&text)?,
    };
    Ok(std::fs::write(to, source::table(entries)?)?)
}
