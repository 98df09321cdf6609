//! A file of JSON lines on this machine, which is begun anew when it is large.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;

use crate::disk::OnDisk;
use crate::{Delivered, Parcel, Sink, Undelivered};

/// Appends records to a file that nobody else reads: they may hold what was asked and answered. Full ones are called `<name>.1` and so on, the latest `.1`; the oldest is removed.
pub struct JsonLines {
    name: String,
    writing: OnDisk<Writing>,
}

struct Writing {
    path: PathBuf,
    most_bytes: u64,
    kept: u32,
    open: Option<(File, u64)>,
}

// === impl JsonLines ===

impl JsonLines {
    /// Writes there; a file takes `most_bytes`, and `kept` full ones are kept beside it.
    pub fn new(name: impl Into<String>, path: PathBuf, most_bytes: u64, kept: u32) -> Self {
        let writing = Writing { path, most_bytes, kept, open: None };
        Self { name: name.into(), writing: OnDisk::new(writing) }
    }
}

impl Sink for JsonLines {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>> {
        let text: String = parcels.iter().map(|parcel| parcel.to_line() + "\n").collect();
        Box::pin(async move {
            let failed = |err: io::Error| Undelivered::later(format!("the file cannot be written: {err}"));
            let wrote = self.writing.ask(move |writing| writing.append(text.as_bytes())).await;
            wrote.unwrap_or_else(|| Err(io::Error::other("it was not finished"))).map_err(failed)?;
            Ok(Delivered::default())
        })
    }
}

// === impl Writing ===

impl Writing {
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let (file, size) = match self.open.take() {
            Some(open) => open,
            None => self.open()?,
        };
        if size > 0 && size + text.len() as u64 > self.most_bytes {
            drop(file);
            self.rotate()?;
            let (fresh, _) = self.open()?;
            return self.write(fresh, 0, text);
        }
        self.write(file, size, text)
    }

    /// A file that was written in part is opened anew: what is in it is found out again.
    fn write(&mut self, mut file: File, size: u64, text: &[u8]) -> io::Result<()> {
        if let Err(err) = file.write_all(text) {
            // No half line stays: the same records come again.
            let _ = file.set_len(size);
            return Err(err);
        }
        self.open = Some((file, size + text.len() as u64));
        Ok(())
    }

    fn open(&self) -> io::Result<(File, u64)> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::options().create(true).append(true).mode(0o600).open(&self.path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (1..self.kept).rev() {
            let old = numbered(&self.path, number);
            if old.exists() {
                fs::rename(old, numbered(&self.path, number + 1))?;
            }
        }
        match self.kept {
            0 => fs::remove_file(&self.path),
            _ => fs::rename(&self.path, numbered(&self.path, 1)),
        }
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_begun_anew_and_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/records.jsonl");
        let mut writing = Writing { path: path.clone(), most_bytes: 10, kept: 2, open: None };
        for text in ["one\n", "two\n", "three\n", "four-is-longer-than-all\n", "five\n"] {
            writing.append(text.as_bytes()).unwrap();
        }
        let read = |number: u32| {
            fs::read_to_string(if number == 0 { path.clone() } else { numbered(&path, number) })
        };
        assert_eq!(read(0).unwrap(), "five\n");
        assert_eq!(read(1).unwrap(), "four-is-longer-than-all\n");
        assert_eq!(read(2).unwrap(), "three\n");
        assert!(read(3).is_err());
        // Another process goes on where it ended.
        let mut next = Writing { path: path.clone(), most_bytes: 10, kept: 2, open: None };
        next.append(b"six\n").unwrap();
        assert_eq!(read(0).unwrap(), "five\nsix\n");
    }
}
