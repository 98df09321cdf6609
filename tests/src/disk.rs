//! Disks that are of no help: one of a few megabytes that a test fills up and clears again, and one that does not answer.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A filesystem in memory, as long as this lives.
pub struct SmallDisk {
    holder: Child,
    point: TempDir,
}

// === impl SmallDisk ===

impl SmallDisk {
    /// Mounts one of so many bytes; `None` where this process may not.
    pub fn mount(bytes: u64) -> Option<Self> {
        let point = TempDir::with_prefix("gatewright-disk-").unwrap();
        // Its input ends with this process, however that ends.
        let script = format!(
            "mount -t tmpfs -o size={bytes} tmpfs \"$0\" && echo mounted && cat > /dev/null && umount -l \"$0\""
        );
        let mut holder = Command::new("sh")
            .args(["-c", &script])
            .arg(point.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut told = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut told).unwrap();
        let disk = Self { holder, point };
        (told.trim() == "mounted").then_some(disk)
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        self.point.path()
    }

    /// Takes all room that is left.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        loop {
            match ballast.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(err) if err.kind() == ErrorKind::StorageFull => return,
                Err(err) => panic!("{err}"),
            }
        }
    }

    /// Gives it back.
    pub fn clear(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Puts something there that whoever opens it waits for, as for a disk that hangs: a pipe that nobody reads.
pub fn hang(file: &Path) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
}
