//! Files of the journal: how they come to be, so that a test can let the disk be full.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Makes files with room in them.
pub(crate) trait Disk: Send + Sync + 'static {
    /// A new, empty file that `bytes` can be written to even when the disk fills up.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<File>;

    /// Makes room up to `bytes` in a file that is there.
    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()>;
}

/// The disk of the machine.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        if let Err(err) = self.reserve(&file, bytes) {
            // The name must not stay: it would be taken for a segment.
            std::fs::remove_file(path)?;
            return Err(err);
        }
        sync_directory(path)?;
        Ok(file)
    }

    /// Keeps the size: it is the end of what was written.
    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()> {
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            // Some network filesystems cannot: there a full disk shows only when it is full.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// A file whose directory was not synced may be gone after a power cut, with all that was synced into it.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
