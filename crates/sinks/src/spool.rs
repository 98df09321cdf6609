//! What could not be delivered yet: in files below the data directory, so that it outlives the process, bounded in bytes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::Parcel;

/// Parcels that wait for their target, the oldest first.
///
/// Each load is a file of JSON lines, `<number>-<parcels>.ndjson`, that is written whole under another name before it is
/// there. A process that is killed leaves all of them; a machine that loses its power may lose the last ones, for nothing
/// waits for the disk.
pub(crate) struct Spool {
    /// `None` keeps them in memory.
    folder: Option<PathBuf>,
    most: u64,
    loads: VecDeque<Load>,
    bytes: u64,
}

/// How much is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) loads: usize,
    pub(crate) parcels: u64,
    pub(crate) bytes: u64,
}

/// Parcels that were put in together.
pub(crate) struct Load {
    number: u64,
    pub(crate) parcels: u64,
    bytes: u64,
    kept: Kept,
}

enum Kept {
    File(PathBuf),
    Memory(String),
}

/// What a spool of no folder keeps, whatever it may: memory is dearer than a disk.
const MOST_MEMORY: u64 = 16 << 20;

const EXTENSION: &str = "ndjson";

// === impl Spool ===

impl Spool {
    /// What the last process left in `folder`, and at most `most` bytes from now on.
    pub(crate) fn open(folder: Option<PathBuf>, most: u64) -> Self {
        let folder = folder.filter(|folder| match fs::create_dir_all(folder) {
            Ok(()) => true,
            Err(err) => {
                warn!(folder = %folder.display(), error = %err, "records that cannot be delivered are kept in memory only");
                false
            }
        });
        let loads = folder.as_deref().map(found).unwrap_or_default();
        let most = if folder.is_some() { most } else { most.min(MOST_MEMORY) };
        let bytes = loads.iter().map(|load| load.bytes).sum();
        Self { folder, most, loads, bytes }
    }

    /// How much is in it.
    pub(crate) fn level(&self) -> Level {
        let parcels = self.loads.iter().map(|load| load.parcels).sum();
        Level { loads: self.loads.len(), parcels, bytes: self.bytes }
    }

    /// The place behind all that is in it.
    pub(crate) fn next_place(&self) -> u64 {
        self.loads.back().map_or(0, |load| load.number + 1)
    }

    /// Puts these into their place. Answers how many were lost: the oldest make room, and what a disk does not take is lost
    /// too.
    pub(crate) fn push(&mut self, number: u64, parcels: &[Parcel]) -> u64 {
        let (text, count) = (lines(parcels), parcels.len() as u64);
        let bytes = text.len() as u64;
        if bytes > self.most {
            return count;
        }
        let mut lost = 0;
        while self.bytes + bytes > self.most {
            match self.loads.pop_front_if(|oldest| oldest.number < number) {
                Some(oldest) => {
                    lost += oldest.parcels;
                    self.remove(oldest);
                }
                // These are the oldest, or what is under way takes the room.
                None => return lost + count,
            }
        }
        match self.keep(text, number, count) {
            Ok(kept) => {
                self.bytes += bytes;
                let at = self.loads.partition_point(|load| load.number < number);
                self.loads.insert(at, Load { number, parcels: count, bytes, kept });
                lost
            }
            Err(err) => {
                warn!(error = %err, "records that could not be delivered cannot be kept");
                lost + count
            }
        }
    }

    /// The oldest load, which stays until it is settled, and its parcels, as far as they can be read.
    pub(crate) fn take_first(&mut self) -> Option<(Load, Vec<Parcel>)> {
        let load = self.loads.pop_front()?;
        let text = match &load.kept {
            Kept::File(path) => fs::read_to_string(path).unwrap_or_default(),
            Kept::Memory(text) => text.clone(),
        };
        let parcels = text.lines().filter_map(Parcel::from_line).collect();
        Some((load, parcels))
    }

    /// A load that was taken is done with, but for these.
    pub(crate) fn settle(&mut self, load: Load, left: &[Parcel]) {
        if left.is_empty() {
            return self.remove(load);
        }
        let text = lines(left);
        let (bytes, parcels) = (text.len() as u64, left.len() as u64);
        let kept = match &load.kept {
            Kept::File(_) if load.parcels == parcels => return self.loads.push_front(load),
            // Should the process end before the old one is removed, everything of it comes once more.
            Kept::File(_) | Kept::Memory(_) => self.keep(text, load.number, parcels),
        };
        match kept {
            Ok(kept) => {
                let number = load.number;
                self.remove(load);
                self.bytes += bytes;
                self.loads.push_front(Load { number, parcels, bytes, kept });
            }
            Err(err) => {
                warn!(error = %err, "a load of records cannot be written anew; all of it is sent again");
                self.loads.push_front(load);
            }
        }
    }

    fn remove(&mut self, load: Load) {
        self.bytes -= load.bytes;
        if let Kept::File(path) = load.kept
            && let Err(err) = fs::remove_file(&path)
        {
            warn!(file = %path.display(), error = %err, "a load of records that is done with stays");
        }
    }

    fn keep(&self, text: String, number: u64, count: u64) -> io::Result<Kept> {
        let Some(folder) = &self.folder else { return Ok(Kept::Memory(text)) };
        let path = folder.join(format!("{number:012}-{count}.{EXTENSION}"));
        write(&path, &text).map(|()| Kept::File(path))
    }
}

/// Puts a text in the place of the file's, all at once. Nobody else reads it: it may hold what was asked and answered.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("fresh");
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    fs::rename(fresh, path)
}

fn lines(parcels: &[Parcel]) -> String {
    parcels.iter().map(|parcel| parcel.to_line() + "\n").collect()
}

/// The loads of a folder in their order. Whatever else is there is left alone.
fn found(folder: &Path) -> VecDeque<Load> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let load = |entry: fs::DirEntry| {
        let path = entry.path();
        let (number, parcels) = path.file_stem()?.to_str()?.split_once('-')?;
        let (number, parcels) = (number.parse().ok()?, parcels.parse().ok()?);
        let bytes = entry.metadata().ok()?.len();
        let fits = path.extension().is_some_and(|extension| extension == EXTENSION);
        fits.then_some(Load { number, parcels, bytes, kept: Kept::File(path) })
    };
    let mut loads: Vec<_> = entries.filter_map(load).collect();
    loads.sort_by_key(|load| load.number);
    loads.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parcels(from: u64, count: u64) -> Vec<Parcel> {
        let parcel = |number: u64| {
            let fields = json!({"litellm_call_id": number.to_string(), "text": "x".repeat(100)});
            Parcel::new(fields.as_object().cloned().unwrap_or_default())
        };
        (from..from + count).map(parcel).collect()
    }

    fn ids(spool: &mut Spool) -> Vec<String> {
        let Some((load, parcels)) = spool.take_first() else { return Vec::new() };
        spool.settle(load, &parcels);
        parcels.iter().map(|parcel| parcel.id().to_owned()).collect()
    }

    fn put(spool: &mut Spool, parcels: &[Parcel]) -> u64 {
        let place = spool.next_place();
        spool.push(place, parcels)
    }

    fn done(spool: &mut Spool, left: &[Parcel]) {
        let (load, _) = spool.take_first().unwrap();
        spool.settle(load, left);
    }

    #[test]
    fn what_one_process_leaves_the_next_one_finds() {
        let folder = tempfile::tempdir().unwrap();
        let place = Some(folder.path().join("a/b"));
        let mut spool = Spool::open(place.clone(), 1 << 20);
        assert_eq!((put(&mut spool, &parcels(0, 2)), put(&mut spool, &parcels(2, 1))), (0, 0));
        drop(spool);
        fs::write(place.as_ref().unwrap().join("000000000009-1.fresh"), "half a").unwrap();
        let mut spool = Spool::open(place.clone(), 1 << 20);
        assert_eq!((spool.level().parcels, ids(&mut spool)), (3, vec!["0".to_owned(), "1".to_owned()]));
        done(&mut spool, &parcels(1, 1));
        drop(spool);
        let mut spool = Spool::open(place.clone(), 1 << 20);
        assert_eq!((spool.level().parcels, ids(&mut spool)), (2, vec!["1".to_owned()]));
        done(&mut spool, &[]);
        assert_eq!(put(&mut spool, &parcels(3, 1)), 0);
        assert_eq!(ids(&mut spool), ["2"]);
        done(&mut spool, &[]);
        done(&mut spool, &[]);
        assert_eq!(spool.level(), Level::default());
        assert_eq!(Spool::open(place, 1 << 20).level(), Level::default());
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        for place in [Some(folder.path().to_owned()), None] {
            let load = lines(&parcels(0, 2)).len() as u64;
            let mut spool = Spool::open(place, 2 * load + 1);
            let lost = [0, 2, 4].map(|from| put(&mut spool, &parcels(from, 2)));
            assert_eq!(lost, [0, 0, 2]);
            assert_eq!((spool.level().parcels, ids(&mut spool)), (4, vec!["2".to_owned(), "3".to_owned()]));
            assert_eq!(put(&mut spool, &parcels(0, 9)), 9, "more than all of it");
            assert!(spool.level().bytes <= 2 * load + 1);
        }
    }

    #[test]
    fn what_is_under_way_makes_no_room() {
        let load = lines(&parcels(0, 2)).len() as u64;
        let mut spool = Spool::open(None, load + 1);
        put(&mut spool, &parcels(0, 2));
        let (taken, read) = spool.take_first().unwrap();
        assert_eq!(spool.push(1, &parcels(2, 2)), 2);
        spool.settle(taken, &read);
        assert_eq!(ids(&mut spool), ["0", "1"]);
    }

    #[test]
    fn what_set_out_first_has_its_place_before_the_others() {
        let mut spool = Spool::open(None, 1 << 20);
        assert_eq!(spool.push(1, &parcels(2, 2)), 0);
        assert_eq!(spool.push(0, &parcels(0, 2)), 0);
        assert_eq!(ids(&mut spool), ["0", "1"]);
    }

    #[test]
    fn a_damaged_load_gives_what_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(Some(folder.path().to_owned()), 1 << 20);
        put(&mut spool, &parcels(0, 2));
        put(&mut spool, &parcels(2, 1));
        let file = folder.path().join("000000000000-2.ndjson");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, &text[..text.len() - 20]).unwrap();
        fs::remove_file(folder.path().join("000000000001-1.ndjson")).unwrap();
        let (load, read) = spool.take_first().unwrap();
        assert_eq!((load.parcels, read.len()), (2, 1));
        spool.settle(load, &[]);
        let (load, read) = spool.take_first().unwrap();
        assert_eq!((load.parcels, read.len()), (1, 0));
    }
}
