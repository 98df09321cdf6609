//! The end of the journal that is written to: one file, the position in it, and the room that is promised away.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::record::{Mark, STARTED_AT};
use crate::segment::{HEAD, Name, frame, seal};
use crate::wire::Writer;

/// Room that every open attempt is promised for its end; no end is longer. A segment keeps the promise to 40,000.
const PROMISE: u64 = 448;

/// A segment longer than this is not left for the next process to read.
const LONG: u64 = 1 << 20;

/// Ends that could not be written and wait for the disk; those beyond are closed as interrupted by the next process.
const MOST_WAITING: usize = 4096;

/// Where the next record goes.
pub(crate) struct Tail {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) segment_bytes: u64,
    pub(crate) name: Name,
    pub(crate) file: Arc<File>,
    pub(crate) at: u64,
    pub(crate) capacity: u64,
    /// The segment that comes next, made ahead so that a full disk is noticed while there is still room.
    pub(crate) spare: Option<(Name, File)>,
    /// Why the last try to make a spare failed.
    pub(crate) full: Option<String>,
    /// Why the last write failed.
    pub(crate) failing: Option<String>,
    /// Why what is written is not where it belongs. Nothing begins then; what ends goes to the file that is still open.
    pub(crate) gone: Option<String>,
    /// Open attempts by the segment that they began in, oldest first.
    pub(crate) open: VecDeque<(u64, u64)>,
    pub(crate) last_started: u64,
    /// Segments that were filled and not yet synced.
    pub(crate) sealed: Vec<(Name, Arc<File>)>,
    pub(crate) dirty: bool,
    pub(crate) waiting: VecDeque<(Writer, u64)>,
    pub(crate) stopping: bool,
}

// === impl Tail ===

impl Tail {
    /// At the start of a segment with room for all of it.
    pub(crate) fn new(
        dir: &Path,
        disk: Arc<dyn Disk>,
        segment_bytes: u64,
        (name, file): (Name, File),
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            disk,
            segment_bytes,
            name,
            file: Arc::new(file),
            at: 0,
            capacity: segment_bytes,
            spare: None,
            full: None,
            failing: None,
            gone: None,
            open: VecDeque::new(),
            last_started: 0,
            sealed: Vec::new(),
            dirty: false,
            waiting: VecDeque::new(),
            stopping: false,
        }
    }

    /// Writes a beginning, answers the segment it went to.
    pub(crate) fn begin(&mut self, record: &mut Writer, now_micros: u64) -> io::Result<u64> {
        if let Some(why) = &self.gone {
            return Err(io::Error::new(io::ErrorKind::NotFound, why.clone()));
        }
        self.make_unpromised_room(record.as_mut_slice().len() as u64, self.open_attempts() + 1)?;
        self.stamp(record, now_micros);
        self.write(record)?;
        let segment = self.name.number;
        match self.open.back_mut() {
            Some((last, count)) if *last == segment => *count += 1,
            _ => self.open.push_back((segment, 1)),
        }
        Ok(segment)
    }

    /// Writes that the cache answered, where there is room that is not promised.
    pub(crate) fn hit(&mut self, record: &mut Writer, now_micros: u64) -> io::Result<()> {
        if let Some(why) = &self.gone {
            return Err(io::Error::new(io::ErrorKind::NotFound, why.clone()));
        }
        self.make_unpromised_room(record.as_mut_slice().len() as u64, self.open_attempts())?;
        self.stamp(record, now_micros);
        self.write(record)
    }

    /// Writes how far an attempt is, where there is room that is not promised.
    pub(crate) fn checkpoint(&mut self, record: &mut Writer) -> io::Result<()> {
        self.make_unpromised_room(record.as_mut_slice().len() as u64, self.open_attempts())?;
        self.write(record)
    }

    /// Writes the end of an attempt that began in `segment`, or keeps it for later. `false` where it is lost.
    pub(crate) fn settle(&mut self, mut record: Writer, segment: u64) -> bool {
        let length = record.as_mut_slice().len() as u64;
        // Where no reserved room is left, the disk may still take it.
        let written = self.make_room(length).and_then(|()| self.write(&mut record));
        if written.or_else(|_| self.write(&mut record)).is_ok() {
            self.close(segment);
            return true;
        }
        let kept = self.waiting.len() < MOST_WAITING;
        if kept {
            self.waiting.push_back((record, segment));
        }
        kept
    }

    /// Tries again what could not be written.
    pub(crate) fn write_waiting(&mut self) {
        while let Some((record, segment)) = self.waiting.pop_front() {
            let before = self.waiting.len();
            self.settle(record, segment);
            if self.waiting.len() > before {
                return;
            }
        }
    }

    pub(crate) fn open_attempts(&self) -> u64 {
        self.open.iter().map(|(_, count)| count).sum()
    }

    /// Where recovery has to start.
    pub(crate) fn oldest_open(&self) -> u64 {
        let oldest = self.open.iter().find(|(_, count)| *count > 0);
        oldest.map_or(self.name.number, |(segment, _)| *segment)
    }

    /// Makes the segment after this one.
    pub(crate) fn maker(&self) -> impl FnOnce() -> io::Result<(Name, File)> + use<> {
        let name = Name::fresh(self.name.number + 1);
        let (disk, path, bytes) = (Arc::clone(&self.disk), name.path(&self.dir), self.segment_bytes);
        move || Ok((name, disk.create(&path, bytes)?))
    }

    /// No next segment could be made.
    pub(crate) fn is_full(&mut self, err: &io::Error) {
        if self.full.replace(err.to_string()).is_none() {
            tracing::error!(error = %err, "the journal has no next segment: this one is the last");
        }
    }

    /// Finds out whether the disk takes writes again, with one that says nothing new.
    pub(crate) fn probe(&mut self) {
        if self.failing.is_some() {
            let _ = self.mark(false);
        }
    }

    /// Whether the thread has something to do.
    pub(crate) fn has_work(&self) -> bool {
        let behind = self.dirty || !self.sealed.is_empty() || !self.waiting.is_empty();
        behind || self.spare.is_none() || self.failing.is_some() || self.gone.is_some()
    }

    /// Gives back the room that was reserved, once nothing more is written.
    pub(crate) fn release(&mut self) {
        // The next process reads the newest segment before it serves; one that holds no open attempt can be short.
        let settled = self.open_attempts() == 0 && self.waiting.is_empty();
        if settled && self.at > LONG {
            let _ = self.rotate();
        }
        // What stays reserved or behind is found and taken over by the next process.
        let _ = self.file.set_len(self.at);
        if let Some((name, _)) = self.spare.take() {
            let _ = std::fs::remove_file(name.path(&self.dir));
        }
    }

    /// Marks the start of a segment, or of a process.
    pub(crate) fn mark(&mut self, takeover: bool) -> io::Result<()> {
        let mark = Mark { oldest_open: self.oldest_open(), started: self.last_started, takeover };
        self.write(&mut frame(|out| mark.encode(out)))
    }

    /// Without a next segment, the room that is left belongs to the ends of attempts that run.
    fn make_unpromised_room(&mut self, length: u64, attempts: u64) -> io::Result<()> {
        let promised = attempts.saturating_mul(PROMISE);
        if self.spare.is_none() && self.at + length + promised > self.capacity {
            self.make_spare()?;
        }
        self.make_room(length)
    }

    fn make_room(&mut self, length: u64) -> io::Result<()> {
        if self.at + length <= self.capacity { Ok(()) } else { self.rotate() }
    }

    /// For whoever cannot wait for the thread that makes spares.
    fn make_spare(&mut self) -> io::Result<()> {
        if self.full.is_some() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.spare = Some(self.maker()().inspect_err(|err| self.is_full(err))?);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.spare.is_none() {
            self.make_spare()?;
        }
        let Some((name, file)) = self.spare.take() else { return Ok(()) };
        // Gives back the room behind the end, and takes off what a failed write may have left there.
        let _ = self.file.set_len(self.at);
        self.sealed.push((self.name, std::mem::replace(&mut self.file, Arc::new(file))));
        (self.name, self.at, self.capacity) = (name, 0, self.segment_bytes);
        self.mark(false)
    }

    /// Sets when it began, no earlier than what was written before.
    fn stamp(&mut self, record: &mut Writer, now_micros: u64) {
        self.last_started = self.last_started.max(now_micros);
        if let Some(started) =
            record.as_mut_slice().get_mut(HEAD..).and_then(|payload| payload.get_mut(STARTED_AT))
        {
            started.copy_from_slice(&self.last_started.to_le_bytes());
        }
    }

    /// One `write`. What a failed one left behind is written over by the next.
    fn write(&mut self, record: &mut Writer) -> io::Result<()> {
        let bytes = record.as_mut_slice();
        seal(bytes, self.name.salt, self.at);
        let written = match self.file.write_at(bytes, self.at) {
            Ok(written) if written < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
            other => other,
        };
        match &written {
            Ok(written) => {
                self.at += *written as u64;
                self.dirty = true;
                if self.failing.take().is_some() {
                    tracing::info!("the journal is written again");
                }
            }
            Err(err) => {
                if self.failing.replace(err.to_string()).is_none() {
                    tracing::error!(error = %err, "the journal cannot be written");
                }
            }
        }
        written.map(drop)
    }

    fn close(&mut self, segment: u64) {
        if let Some((_, count)) = self.open.iter_mut().find(|(number, _)| *number == segment) {
            *count = count.saturating_sub(1);
        }
        // The newest stays, so that its count can grow again.
        while self.open.len() > 1 && self.open.front().is_some_and(|(_, count)| *count == 0) {
            self.open.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use gatewright_core::{AttemptId, CallId, Money, SystemClock, Usage};

    use super::*;
    use crate::disk::RealDisk;
    use crate::{
        Begin, Certainty, Ending, Hit, Journal, OnFull, Settings, Settle, State, Sync, Tenant, entries,
    };

    /// Has room for so many more segments.
    struct Small(AtomicU32);

    impl Disk for Small {
        fn create(&self, path: &Path, bytes: u64) -> io::Result<File> {
            let take = |left: u32| left.checked_sub(1);
            match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                Ok(_) => RealDisk.create(path, bytes),
                Err(_) => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn reserve(&self, file: &File, bytes: u64) -> io::Result<()> {
            RealDisk.reserve(file, bytes)
        }
    }

    fn begin() -> Begin {
        Begin {
            attempt: AttemptId::fresh(),
            call: CallId::fresh(),
            caller: "master".into(),
            tenant: Tenant::default(),
            group: "fast".into(),
            deployment: "fast-1".into(),
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            started: 0,
            input_estimate: 1,
            output_cap: 1,
            floor: Money(1),
            bound: Money(2),
            spared: None,
        }
    }

    /// The longest end there is.
    fn settle(attempt: AttemptId) -> Settle {
        let most = u64::MAX;
        let usage = Usage {
            input: most,
            output: most,
            cache_read: most,
            cache_write_5m: most,
            cache_write_1h: most,
            reasoning: most,
            audio_input: most,
            audio_output: most,
            image_input: most,
            image_output: most,
            web_searches: most,
            search_units: most,
            images: most,
            audio_millis: most,
            characters: most,
            unbilled_input: most,
            unbilled_output: most,
            cache_in_input: true,
            reported_cost: Some(Money(i64::MAX)),
        };
        Settle {
            attempt,
            ending: Ending::Failed { kind: "UpstreamForbidden".into(), status: 599 },
            certainty: Certainty::Exact,
            usage,
            cost: Money(i64::MAX),
            first_content: Some(Duration::MAX),
            duration: Duration::MAX,
            response: Some("r".repeat(999).into()),
        }
    }

    #[test]
    fn no_end_is_longer_than_what_is_promised() {
        let mut record = frame(|out| settle(AttemptId::fresh()).encode(out));
        assert!(record.as_mut_slice().len() as u64 <= PROMISE, "{}", record.as_mut_slice().len());
    }

    #[test]
    fn on_a_full_disk_every_attempt_that_was_let_pass_can_still_end() {
        for segments in [1, 2, 5] {
            let dir = tempfile::tempdir().unwrap();
            let disk = Arc::new(Small(AtomicU32::new(segments)));
            let settings = Settings { segment_bytes: 4096, sync: Sync::Never, ..Settings::at(dir.path()) };
            let journal = Journal::open_on(disk.clone(), settings, Arc::new(SystemClock)).unwrap();
            let mut running = VecDeque::new();
            loop {
                let begin = begin();
                if running.len() == 10 && segments > 1 {
                    let (ticket, attempt) = running.pop_front().unwrap();
                    journal.settle(ticket, &settle(attempt));
                }
                match journal.begin(&begin) {
                    Ok(ticket) => running.push_back((ticket, begin.attempt)),
                    Err(err) => break assert_eq!(err.kind(), io::ErrorKind::StorageFull),
                }
            }
            assert!(journal.health().full.is_some());
            for (ticket, attempt) in running.drain(..) {
                journal.settle(ticket, &settle(attempt));
            }
            let health = journal.health();
            assert_eq!((health.waiting, health.lost, health.open), (0, 0, 0));
            for name in crate::instance::segments(&health.instances[0]).unwrap() {
                let length = name.path(&health.instances[0]).metadata().unwrap().len();
                assert!(length <= 4096, "not a byte more than was reserved: {length}");
            }
            let all: Vec<_> = entries(dir.path()).unwrap().map(Result::unwrap).collect();
            assert!(all.len() > 5, "{}", all.len());
            assert!(all.iter().all(|entry| matches!(entry.state, State::Ended(Ending::Failed { .. }))));
            // Room comes back.
            disk.0.store(9, Ordering::Relaxed);
            drop(journal);
            let settings = Settings { segment_bytes: 4096, sync: Sync::Never, ..Settings::at(dir.path()) };
            let journal = Journal::open_on(disk, settings, Arc::new(SystemClock)).unwrap();
            drop(journal.begin(&begin()).unwrap());
        }
    }

    #[test]
    fn on_a_full_disk_calls_pass_uncounted_only_by_setting() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Small(AtomicU32::new(1)));
        let settings =
            Settings { segment_bytes: 4096, on_full: OnFull::Continue, ..Settings::at(dir.path()) };
        let journal = Journal::open_on(disk, settings, Arc::new(SystemClock)).unwrap();
        for _ in 0..100 {
            let begin = begin();
            let ticket = journal.begin(&begin).unwrap();
            journal.settle(ticket, &Settle { cost: Money(3), ..settle(begin.attempt) });
        }
        let (health, listed) = (journal.health(), entries(dir.path()).unwrap().count() as u64);
        assert_eq!((listed + health.unjournalled, health.lost), (100, 0));
        assert_eq!(health.unjournalled_cost, Money(3 * health.unjournalled as i64));
        assert!(health.unjournalled > 50, "{health:?}");
    }

    /// Nothing is spent by them, so nothing is refused; and what is left of the disk belongs to those that end.
    #[test]
    fn on_a_full_disk_answers_of_the_cache_pass_and_take_no_room_that_is_promised() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { segment_bytes: 4096, ..Settings::at(dir.path()) };
        let disk = Arc::new(Small(AtomicU32::new(1)));
        let journal = Journal::open_on(disk, settings, Arc::new(SystemClock)).unwrap();
        let running = [(); 4].map(|()| {
            let begin = begin();
            (journal.begin(&begin).unwrap(), begin.attempt)
        });
        let ended = |attempt| Settle { ending: Ending::Complete, ..settle(attempt) };
        for _ in 0..100 {
            let begin = begin();
            journal.hit(&Hit { settle: ended(begin.attempt), begin });
        }
        assert!(journal.begin(&begin()).is_err(), "it is full");
        for (ticket, attempt) in running {
            journal.settle(ticket, &settle(attempt));
        }
        let (health, listed) = (journal.health(), entries(dir.path()).unwrap().count() as u64);
        assert_eq!((listed + health.unjournalled, health.lost, health.waiting), (104, 0, 0));
        for name in crate::instance::segments(&health.instances[0]).unwrap() {
            let length = name.path(&health.instances[0]).metadata().unwrap().len();
            assert!(length <= 4096, "the ends had the room that was promised to them: {length}");
        }
        assert!(health.unjournalled > 50, "{health:?}");
    }

    #[test]
    fn an_end_that_the_disk_does_not_take_is_written_when_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let name = Name::fresh(1);
        let file = RealDisk.create(&name.path(dir.path()), 4096).unwrap();
        let mut tail = Tail::new(dir.path(), Arc::new(RealDisk), 4096, (name, file));
        let ids = [(); 3].map(|()| {
            let begin = begin();
            let segment = tail.begin(&mut frame(|out| begin.encode(out)), 7).unwrap();
            (begin.attempt, segment)
        });
        let deaf = Arc::new(File::open(name.path(dir.path())).unwrap());
        let whole = std::mem::replace(&mut tail.file, deaf);
        for (attempt, segment) in ids {
            assert!(tail.settle(frame(|out| settle(attempt).encode(out)), segment), "kept");
        }
        tail.write_waiting();
        assert_eq!((tail.waiting.len(), tail.open_attempts()), (3, 3));
        tail.file = whole;
        tail.write_waiting();
        assert_eq!((tail.waiting.len(), tail.open_attempts()), (0, 0));
    }

    #[test]
    fn a_clean_stop_leaves_little_to_read_and_a_dirty_one_all_that_is_open() {
        // The next process begins a segment of its own.
        for (open, grown) in [(0, 2), (1, 1)] {
            let dir = tempfile::tempdir().unwrap();
            let start = || Journal::open(Settings::at(dir.path()), Arc::new(SystemClock)).unwrap();
            let journal = start();
            let first = journal.segment();
            for n in 0..4_000 {
                let begin = begin();
                let ticket = journal.begin(&begin).unwrap();
                if n >= open {
                    journal.settle(ticket, &settle(begin.attempt));
                }
            }
            drop(journal);
            assert_eq!(start().segment(), first + grown);
            assert_eq!(entries(dir.path()).unwrap().count(), 4_000);
        }
    }

    #[test]
    fn recovery_starts_where_the_oldest_open_attempt_began() {
        let dir = tempfile::tempdir().unwrap();
        let name = Name::fresh(1);
        let file = RealDisk.create(&name.path(dir.path()), 1024).unwrap();
        let mut tail = Tail::new(dir.path(), Arc::new(RealDisk), 1024, (name, file));
        let mut open = VecDeque::new();
        for n in 0..100 {
            let begin = begin();
            let segment = tail.begin(&mut frame(|out| begin.encode(out)), 7).unwrap();
            open.push_back((begin.attempt, segment));
            if n >= 10 {
                let (attempt, segment) = open.pop_front().unwrap();
                tail.settle(frame(|out| settle(attempt).encode(out)), segment);
            }
            assert_eq!(tail.oldest_open(), open.front().unwrap().1);
            assert_eq!(tail.open_attempts(), open.len() as u64);
        }
        assert!(tail.name.number > 20);
        for (attempt, segment) in open {
            tail.settle(frame(|out| settle(attempt).encode(out)), segment);
        }
        assert_eq!((tail.oldest_open(), tail.open_attempts()), (tail.name.number, 0));
    }
}
