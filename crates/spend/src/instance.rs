//! Directories of the journal: one an instance, held by a lock that dies with its process.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::segment::Name;

/// More live instances than this on one directory are a mistake.
const MOST: u32 = 1024;

/// A directory that this process holds until it is dropped.
pub(crate) struct Instance {
    pub(crate) path: PathBuf,
    _lock: File,
}

/// The first directory that no live process holds; a dead predecessor's is taken over.
pub(crate) fn claim(dir: &Path) -> io::Result<Instance> {
    for number in 0..MOST {
        let path = dir.join(format!("instance-{number}"));
        std::fs::create_dir_all(&path)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(lock_path(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Instance { path, _lock: lock }),
            Err(Errno::WOULDBLOCK) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Err(io::Error::other("every instance directory is held by another process"))
}

/// The directories of all instances there ever were.
pub(crate) fn all(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(dir)? {
        let path = item?.path();
        let named =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|n| n.starts_with("instance-"));
        if named && path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a live process holds it.
pub(crate) fn is_held(instance: &Path) -> io::Result<bool> {
    let lock = match File::open(lock_path(instance)) {
        Ok(lock) => lock,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(err) => return Err(err),
    };
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(err) => Err(err.into()),
    }
}

/// The segments of an instance, oldest first.
pub(crate) fn segments(instance: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for item in std::fs::read_dir(instance)? {
        names.extend(Name::parse(&item?.path()));
    }
    names.sort();
    Ok(names)
}

fn lock_path(instance: &Path) -> PathBuf {
    instance.join("lock")
}
