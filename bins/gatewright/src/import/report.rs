//! What an import brought, and what it could not carry.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

/// How many rows are named again at the end where several have the same trouble.
const NAMED: usize = 5;

/// Counts by table, and what was left.
#[derive(Debug, Default)]
pub(super) struct Report {
    dry: bool,
    counts: BTreeMap<String, BTreeMap<&'static str, u64>>,
    columns: BTreeMap<(String, String), u64>,
    troubles: BTreeMap<String, (u64, Vec<String>)>,
    beside: Vec<(String, u64, String)>,
}

// === impl Report ===

impl Report {
    pub(super) fn new(dry: bool) -> Self {
        Self { dry, ..Self::default() }
    }

    /// Something happened to so many rows of a kind.
    pub(super) fn count(&mut self, what: &str, how: &'static str, rows: u64) {
        *self.counts.entry(what.to_owned()).or_default().entry(how).or_default() += rows;
    }

    /// A column that has something in it and no place here.
    pub(super) fn left(&mut self, what: &str, column: &str) {
        *self.columns.entry((what.to_owned(), column.to_owned())).or_default() += 1;
    }

    /// A row that was not brought, or not as it was: told at once, and counted.
    pub(super) fn trouble(&mut self, why: &str, row: &str) {
        let row = row.escape_debug().to_string();
        // Whoever closed the stream does not want to know.
        let _ = writeln!(io::stderr(), "{why}: {row}");
        let (count, named) = self.troubles.entry(why.to_owned()).or_default();
        *count += 1;
        if named.len() < NAMED {
            named.push(row);
        }
    }

    /// A table that was not brought.
    pub(super) fn beside(&mut self, table: &str, rows: u64, why: &str) {
        self.beside.push((table.to_owned(), rows, why.to_owned()));
    }

    /// Whether every row was brought that has a place here.
    pub(super) fn is_whole(&self) -> bool {
        self.troubles.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.dry { "would be brought:" } else { "brought:" })?;
        for (what, counts) in &self.counts {
            let told: Vec<String> = counts.iter().map(|(how, rows)| format!("{rows} {how}")).collect();
            writeln!(f, "  {what}: {}", told.join(", "))?;
        }
        if !self.troubles.is_empty() {
            writeln!(f, "not brought, or not as it was:")?;
        }
        for (why, (count, named)) in &self.troubles {
            let more = if *count > named.len() as u64 { ", …" } else { "" };
            writeln!(f, "  {why}: {count} ({}{more})", named.join(", "))?;
        }
        if !self.columns.is_empty() {
            writeln!(f, "columns without a place here:")?;
        }
        for ((what, column), rows) in &self.columns {
            writeln!(f, "  {what}.{column}: {rows}")?;
        }
        if !self.beside.is_empty() {
            writeln!(f, "tables without a place here:")?;
        }
        for (table, rows, why) in &self.beside {
            writeln!(f, "  {table}: {rows} ({why})")?;
        }
        Ok(())
    }
}
