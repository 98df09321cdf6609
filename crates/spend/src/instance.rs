//! Directories of the journal: one an instance, held by a lock that dies with its process.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gatewright_core::AttemptId;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::segment::Name;

/// More live instances than this on one directory are a mistake.
const MOST: u32 = 1024;

/// Names an instance among those of all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId([u8; 16]);

/// A directory that this process holds until it is dropped.
pub(crate) struct Instance {
    pub(crate) path: PathBuf,
    pub(crate) id: InstanceId,
    lock: File,
}

// === impl Instance ===

impl Instance {
    /// Takes the directory anew where it is gone, or the lock in it; nothing where both are there.
    pub(crate) fn again(&self) -> io::Result<Option<Self>> {
        std::fs::create_dir_all(&self.path)?;
        if !self.path.join("id").exists() {
            keep(&self.path, self.id)?;
        }
        let ours = self.lock.metadata()?;
        if std::fs::metadata(lock_path(&self.path)).is_ok_and(|there| is_same(&there, &ours)) {
            return Ok(None);
        }
        match claim_one(self.path.clone())? {
            Some(anew) if anew.id == self.id => Ok(Some(anew)),
            Some(_) | None => Err(io::Error::other("another process has the directory")),
        }
    }
}

// === impl InstanceId ===

impl InstanceId {
    /// One that no other instance has.
    pub fn fresh() -> Self {
        Self(AttemptId::fresh().to_bytes())
    }

    /// The 16 bytes that a database keeps.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first directory that no live process holds; a dead predecessor's is taken over.
pub(crate) fn claim(dir: &Path) -> io::Result<Instance> {
    for number in 0..MOST {
        let path = dir.join(format!("instance-{number}"));
        std::fs::create_dir_all(&path)?;
        if let Some(instance) = claim_one(path)? {
            return Ok(instance);
        }
    }
    Err(io::Error::other("every instance directory is held by another process"))
}

/// This directory, where no live process holds it.
pub(crate) fn claim_one(path: PathBuf) -> io::Result<Option<Instance>> {
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(lock_path(&path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Instance { id: identity(&path)?, path, lock })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

/// The id in the directory, which whoever holds it makes where there is none.
fn identity(instance: &Path) -> io::Result<InstanceId> {
    let path = instance.join("id");
    let text = match std::fs::read(&path) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(err) if err.kind() == io::ErrorKind::NotFound => String::new(),
        Err(err) => return Err(err),
    };
    if let Ok(id) = u128::from_str_radix(text.trim(), 16) {
        return Ok(InstanceId(id.to_be_bytes()));
    }
    let id = InstanceId::fresh();
    keep(instance, id)?;
    Ok(id)
}

fn keep(instance: &Path, id: InstanceId) -> io::Result<()> {
    let new = instance.join("id.new");
    let mut file = File::create(&new)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    std::fs::rename(new, instance.join("id"))?;
    File::open(instance)?.sync_all()
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

/// Whether both are of one file, whatever it is called.
pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
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
