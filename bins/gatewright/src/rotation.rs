//! Replaces keys whose time is over (`auto_rotate`), and puts the new ones into a folder: nobody else is told of them.
//!
//! A new key lies in the folder before it is in force. What a crash leaves between the two is put right by the next round.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gatewright_admin::{Successor, due};
use gatewright_auth::KeyHash;
use gatewright_core::{Clock, Secret};
use gatewright_store::{Error as StoreError, Kind, Object, Store};
use tracing::{info, warn};

use crate::config::RotationSettings;

/// Who did it, in the audit log.
const BY: &str = "key rotation";

/// How a file is called whose key may not be in force yet.
const FRESH: &str = "new";

/// Another replica may be about to put a key into force that lies in the folder for less than this.
const SETTLED: Duration = Duration::from_secs(600);

/// The job. Every replica runs it; each key is replaced by the first that comes.
pub(crate) struct Rotation {
    pub(crate) settings: RotationSettings,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why a key was not replaced.
enum Fault {
    Folder(io::Error),
    Store(StoreError),
}

// === impl Rotation ===

impl Rotation {
    /// Looks for keys from time to time, until it is dropped.
    pub(crate) async fn run(self) {
        loop {
            if let Err(fault) = self.round().await {
                warn!(%fault, "keys are not replaced now; they go on until they are");
            }
            tokio::time::sleep(self.settings.every).await;
        }
    }

    async fn round(&self) -> Result<(), Fault> {
        self.put_right().await?;
        for old in due(&self.store, self.clock.wall()).await? {
            let key = old.id.clone();
            if let Err(fault) = self.replace(old).await {
                warn!(key, %fault, "a key is not replaced now; it goes on until it is");
            }
        }
        Ok(())
    }

    async fn replace(&self, old: Object) -> Result<(), Fault> {
        let name = old.id.clone();
        let new = Successor::of(old, self.settings.grace, self.clock.wall());
        let kept = place(&self.settings.folder, &new.lineage);
        let fresh = kept.with_extension(format!("{}.{FRESH}", KeyHash::of(new.key.reveal())));
        let (key, path) = (new.key.clone(), fresh.clone());
        aside(move || write(&path, &key)).await?;
        match new.install(&self.store, BY).await {
            Ok(()) => {
                aside(move || put(&fresh, &kept)).await?;
                info!(key = name, "a key was replaced; the new one is in the folder for replaced keys");
                Ok(())
            }
            // Another replica was faster, or an administrator changed it: the next round looks again.
            Err(StoreError::Stale(_) | StoreError::Missing(_)) => {
                aside(move || fs::remove_file(&fresh)).await.map_err(Fault::from)
            }
            // Whether it happened nobody knows; what lies in the folder is needed if it did.
            Err(err) => Err(err.into()),
        }
    }

    /// What a crash left: keys that are in force get their place, others never will be.
    async fn put_right(&self) -> Result<(), Fault> {
        let (folder, now) = (self.settings.folder.clone(), self.clock.wall());
        for (path, key) in aside(move || left(&folder, now)).await? {
            let id = KeyHash::of(key.reveal()).to_string();
            match self.store.objects(Kind::Key).find(&id).await? {
                Some(key) => {
                    let lineage = key.draft.fields.get("counts_as").and_then(|first| first.as_str());
                    let kept = place(&self.settings.folder, lineage.unwrap_or(&id));
                    aside(move || put(&path, &kept)).await?;
                }
                None => aside(move || fs::remove_file(&path)).await?,
            }
        }
        Ok(())
    }
}

/// Where the key lies that is in force.
fn place(folder: &Path, lineage: &str) -> PathBuf {
    folder.join(format!("{lineage}.key"))
}

fn write(path: &Path, key: &Secret) -> io::Result<()> {
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(key.reveal().as_bytes())?;
    file.sync_all()?;
    in_folder_of(path)
}

/// In place of the one before, all at once.
fn put(fresh: &Path, kept: &Path) -> io::Result<()> {
    fs::rename(fresh, kept)?;
    in_folder_of(kept)
}

fn in_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Keys that are not in their place for a while.
fn left(folder: &Path, now: SystemTime) -> io::Result<Vec<(PathBuf, Secret)>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder)? {
        let (path, made) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?.modified()?)))?;
        let settled = now.duration_since(made).is_ok_and(|age| age >= SETTLED);
        if settled && path.extension().is_some_and(|end| end == FRESH) {
            left.push((path.clone(), Secret::from(fs::read_to_string(&path)?)));
        }
    }
    Ok(left)
}

/// A disk must keep nobody waiting who calls.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(err) => write!(f, "the folder for new keys: {err}"),
            Self::Store(err) => err.fmt(f),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(err: io::Error) -> Self {
        Self::Folder(err)
    }
}

impl From<StoreError> for Fault {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}
