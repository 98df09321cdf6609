//! Entries that the ledger will never take, kept in a file beside the journals so that they hold up no other and are not
//! lost.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::entry::Entry;

/// The file's name in the journal's directory.
const FILE: &str = "refused.jsonl";

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    why: &'a str,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// Writes an entry down for good. One that is there already, because a process died before it went on, is not written
/// twice.
pub(crate) fn set(journal: &Path, entry: &Entry, why: &str) -> io::Result<()> {
    let path = path(journal);
    let named = format!("\"attempt\":\"{}\"", entry.begin.attempt);
    if lines(&path)?.any(|line| line.is_ok_and(|line| line.contains(&named))) {
        return Ok(());
    }
    let mut line = serde_json::to_string(&Line { why, entry }).map_err(io::Error::other)?;
    line.push('\n');
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// How many there are.
pub(crate) fn count(journal: &Path) -> u64 {
    lines(&path(journal)).map_or(0, |lines| lines.filter(Result::is_ok).count() as u64)
}

fn lines(path: &Path) -> io::Result<impl Iterator<Item = io::Result<String>> + use<>> {
    let file = match File::open(path) {
        Ok(file) => Some(file),
        Err(err) if err.kind() == io::ErrorKind::NotFound => None,
        Err(err) => return Err(err),
    };
    Ok(file.into_iter().flat_map(|file| BufReader::new(file).lines()))
}

fn path(journal: &Path) -> PathBuf {
    journal.join(FILE)
}
