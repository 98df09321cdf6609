//! The keys that are known, in a sealed file: a gateway that starts while its database is away knows them from it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use gatewright_admin::sealing_key;
use gatewright_auth::{Authenticator, KeyHash, Remembered};
use gatewright_core::Secret;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The file's name in the data directory.
const NAME: &str = "keys.sealed";

/// What the file begins with; another form gets another number.
const MARK: &[u8] = b"gatewright keys 1\n";

/// Keeps the file's key apart from others that may be made of the same secret.
const PURPOSE: &[u8] = b"gatewright: known keys at rest, 1";

/// The largest file: the keys that were looked up last go in first.
const MOST_BYTES: usize = 64 << 20;

/// How often it is looked whether something is to be written; and how much longer than the writing the pause is.
const EVERY: Duration = Duration::from_secs(5);
const REST: u32 = 50;

/// A digest, a moment and a length stand before each holder.
const HEAD: usize = 32 + 8 + 4;

/// The file, and the key that it is sealed with.
pub(crate) struct SealedKeys {
    path: PathBuf,
    key: RandomizedNonceKey,
}

// === impl SealedKeys ===

impl SealedKeys {
    /// The file in a data directory, under a key that is made of the operator's secret.
    pub(crate) fn new(folder: &Path, secret: &Secret) -> Result<Self, Unspecified> {
        Ok(Self { path: folder.join(NAME), key: sealing_key(secret, PURPOSE)? })
    }

    /// The keys of the file; none where there is no file, and an error where it cannot be read.
    pub(crate) fn read(&self) -> io::Result<Vec<Remembered>> {
        let mut bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(err),
        };
        if !bytes.starts_with(MARK) || bytes.len() < MARK.len() + NONCE_LEN + MAX_TAG_LEN {
            return Err(unreadable());
        }
        let (nonce, sealed) = bytes.split_at_mut(MARK.len()).1.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let plain = self.key.open_in_place(nonce, Aad::from(MARK), sealed).map_err(|_| unreadable())?;
        entries(plain).ok_or_else(unreadable)
    }

    /// Lets the keys of the file be known; answers how many are of use.
    pub(crate) fn recall(&self, authenticator: &Authenticator) -> usize {
        match self.read() {
            Ok(keys) => authenticator.recall(keys),
            Err(err) => {
                warn!(file = %self.path.display(), error = %err, "cannot use the sealed file of known keys");
                0
            }
        }
    }

    /// Keeps the file in step with what is known.
    pub(crate) async fn keep(self, authenticator: Authenticator, stop: CancellationToken) {
        let sealed = Arc::new(self);
        let (mut written, mut pause) = (authenticator.turn(), EVERY);
        loop {
            let stopped = tokio::time::timeout(pause, stop.cancelled()).await.is_ok();
            let turn = authenticator.turn();
            if turn != written {
                let (sealed, keys, begun) = (sealed.clone(), authenticator.clone(), Instant::now());
                let wrote = tokio::task::spawn_blocking(move || sealed.write(keys.remembered())).await;
                match wrote {
                    Ok(Ok(())) => written = turn,
                    Ok(Err(err)) => warn!(error = %err, "cannot write the sealed file of known keys"),
                    Err(err) => warn!(error = %err, "the sealed file of known keys was not written"),
                }
                pause = EVERY.max(begun.elapsed() * REST);
            }
            if stopped {
                return;
            }
        }
    }

    /// Puts these keys in the place of those of the file, all at once: a crash leaves the one or the other.
    pub(crate) fn write(&self, mut keys: Vec<Remembered>) -> io::Result<()> {
        keys.sort_unstable_by_key(|one| std::cmp::Reverse(one.looked));
        let mut plain = Vec::new();
        for one in &keys {
            if plain.len() + HEAD + one.holder.len() > MOST_BYTES {
                break;
            }
            let looked = one.looked.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
            plain.extend_from_slice(one.key.bytes());
            plain.extend_from_slice(&u64::try_from(looked).unwrap_or(u64::MAX).to_le_bytes());
            plain.extend_from_slice(&u32::try_from(one.holder.len()).unwrap_or(u32::MAX).to_le_bytes());
            plain.extend_from_slice(&one.holder);
        }
        let refused = |_: Unspecified| io::Error::other("cannot seal");
        let nonce = self.key.seal_in_place_append_tag(Aad::from(MARK), &mut plain).map_err(refused)?;
        // Several gateways may share a data directory.
        let fresh = self.path.with_extension(format!("sealed-{}", std::process::id()));
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(&[MARK, nonce.as_ref().as_slice(), &plain].concat())?;
        file.sync_data()?;
        fs::rename(&fresh, &self.path)
    }
}

fn entries(mut plain: &[u8]) -> Option<Vec<Remembered>> {
    let mut keys = Vec::new();
    while !plain.is_empty() {
        let (digest, rest) = plain.split_first_chunk::<32>()?;
        let (looked, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (holder, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let looked: SystemTime =
            UNIX_EPOCH.checked_add(Duration::from_micros(u64::from_le_bytes(*looked)))?;
        keys.push(Remembered { key: KeyHash::from_bytes(*digest), looked, holder: holder.into() });
        plain = rest;
    }
    Some(keys)
}

fn unreadable() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it cannot be decrypted: it was changed, or LITELLM_SALT_KEY or the master key was",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, looked: u64, size: usize) -> Remembered {
        let looked = UNIX_EPOCH + Duration::from_micros(looked);
        Remembered { key: KeyHash::of(name), looked, holder: vec![b'x'; size].into() }
    }

    #[test]
    fn keys_are_read_as_they_were_written_and_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = SealedKeys::new(folder.path(), &"sk-master".into()).unwrap();
        assert_eq!(sealed.read().unwrap(), []);
        let keys = vec![key("a", 3, 5), key("b", 2, 0), key("c", 1, 70_000)];
        sealed.write(keys.clone()).unwrap();
        assert_eq!(sealed.read().unwrap(), keys);
        sealed.write(keys[1..].to_vec()).unwrap();
        assert_eq!(sealed.read().unwrap(), keys[1..], "the old ones are gone");
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        assert!(!whole.windows(8).any(|window| window == b"xxxxxxxx"), "nothing is in clear");
        let other = SealedKeys::new(folder.path(), &"sk-another".into()).unwrap();
        assert!(other.read().is_err());
        for at in [0, MARK.len(), MARK.len() + NONCE_LEN, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(sealed.read().is_err(), "{at}");
        }
        for length in [0, MARK.len(), MARK.len() + NONCE_LEN, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(sealed.read().is_err(), "{length}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn the_file_is_bounded_and_keeps_what_was_looked_up_last() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = SealedKeys::new(folder.path(), &"sk-master".into()).unwrap();
        let third = MOST_BYTES / 3;
        sealed.write(vec![key("a", 1, third), key("b", 3, third), key("c", 2, third)]).unwrap();
        let kept: Vec<KeyHash> = sealed.read().unwrap().into_iter().map(|one| one.key).collect();
        assert_eq!(kept, [KeyHash::of("b"), KeyHash::of("c")]);
    }
}
