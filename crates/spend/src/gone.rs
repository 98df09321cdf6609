//! A journal whose directory is taken away while it is written: what was written is still in the open files, and is put
//! back with them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::instance::{Instance, is_same};
use crate::tail::Tail;

/// Looks whether the files are where they belong, and puts them back where they are not. Until that succeeds nothing
/// begins.
pub(crate) fn put_back(tail: &mut Tail, instance: &mut Arc<Instance>) {
    if is_in_place(tail) {
        return;
    }
    let path = tail.dir.display().to_string();
    match restore(tail, instance) {
        Ok(()) => {
            tail.gone = None;
            tracing::error!(path, "the journal's files were gone: what was still open is put back");
        }
        Err(err) => {
            if tail.gone.replace(format!("its files are gone: {err}")).is_none() {
                tracing::error!(path, error = %err, "the journal's files are gone");
            }
        }
    }
}

fn is_in_place(tail: &Tail) -> bool {
    match (tail.file.metadata(), fs::metadata(tail.name.path(&tail.dir))) {
        (Ok(ours), Ok(there)) => is_same(&ours, &there),
        (_, Err(err)) => !matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        (Err(_), Ok(_)) => true,
    }
}

fn restore(tail: &mut Tail, instance: &mut Arc<Instance>) -> io::Result<()> {
    if let Some(anew) = instance.again()? {
        *instance = Arc::new(anew);
    }
    for (name, file) in &tail.sealed {
        let path = name.path(&tail.dir);
        if !path.exists() {
            copy(file, file.metadata()?.len(), File::create_new(&path)?, &path)?;
        }
    }
    let path = tail.name.path(&tail.dir);
    tail.file = Arc::new(copy(&tail.file, tail.at, tail.disk.create(&path, tail.segment_bytes)?, &path)?);
    // It was made where nothing is now.
    tail.spare = None;
    Ok(())
}

/// A copy with another length would be taken for the whole the next time, so there is none.
fn copy(from: &File, bytes: u64, mut to: File, path: &Path) -> io::Result<File> {
    let mut content = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    let copied = from.read_exact_at(&mut content, 0).and_then(|()| to.write_all(&content));
    match copied.and_then(|()| to.sync_all()) {
        Ok(()) => Ok(to),
        Err(err) => {
            let _ = fs::remove_file(path);
            Err(err)
        }
    }
}
