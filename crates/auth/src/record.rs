//! What is remembered of a key as it is written down, for a process that starts when nobody can be asked.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_core::Money;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Holder, KeyHash, Part, Record};

/// A key that was looked up. Nothing of the key itself is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Its digest.
    pub key: KeyHash,
    /// When it was looked up.
    pub looked: SystemTime,
    /// Its holder, as JSON.
    pub holder: Arc<[u8]>,
}

/// A holder in the form in which it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    key: Row,
    team: Option<Row>,
    member: Option<Row>,
    user: Option<Row>,
    project: Option<Row>,
    organization: Option<Row>,
    parts: Vec<(String, Arc<str>)>,
}

/// A record in the form in which it is written: money in nano-dollars, times in microseconds since 1970.
#[derive(Serialize, Deserialize)]
struct Row {
    id: Arc<str>,
    fields: Map<String, Value>,
    spent: i64,
    spent_in: Vec<(Arc<str>, i64)>,
    resets_at: Option<u64>,
}

/// The kinds that parts have.
const KINDS: [&str; 7] = ["key", "team", "membership", "user", "project", "organization", "budget"];

/// A holder as it is written.
pub(crate) fn write(holder: &Holder) -> Arc<[u8]> {
    let row = |record: &Option<Record>| record.as_ref().map(Row::of);
    let written = Written {
        key: Row::of(&holder.key),
        team: row(&holder.team),
        member: row(&holder.member),
        user: row(&holder.user),
        project: row(&holder.project),
        organization: row(&holder.organization),
        parts: holder.parts.iter().map(|part| (part.kind.to_owned(), part.id.clone())).collect(),
    };
    // Texts and numbers can always be written.
    serde_json::to_vec(&written).unwrap_or_default().into()
}

/// The holder that was written; nothing where another release wrote it in another form.
pub(crate) fn read(bytes: &[u8]) -> Option<Holder> {
    let written: Written = serde_json::from_slice(bytes).ok()?;
    let parts = written.parts.into_iter().map(|(name, id)| {
        let kind = KINDS.into_iter().find(|kind| *kind == name)?;
        Some(Part { kind, id })
    });
    Some(Holder {
        key: written.key.record(),
        team: written.team.map(Row::record),
        member: written.member.map(Row::record),
        user: written.user.map(Row::record),
        project: written.project.map(Row::record),
        organization: written.organization.map(Row::record),
        parts: parts.collect::<Option<_>>()?,
    })
}

// === impl Row ===

impl Row {
    fn of(record: &Record) -> Self {
        let micros = |at: SystemTime| at.duration_since(UNIX_EPOCH).ok()?.as_micros().try_into().ok();
        Self {
            id: record.id.clone(),
            fields: record.fields.clone(),
            spent: record.spent.0,
            spent_in: record.spent_in.iter().map(|(name, spent)| (name.clone(), spent.0)).collect(),
            resets_at: record.resets_at.and_then(micros),
        }
    }

    fn record(self) -> Record {
        Record {
            id: self.id,
            fields: self.fields,
            spent: Money(self.spent),
            spent_in: self.spent_in.into_iter().map(|(name, spent)| (name, Money(spent))).collect(),
            resets_at: self.resets_at.map(|at| UNIX_EPOCH + Duration::from_micros(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_holder_is_read_as_it_was_written() {
        let record = |id: &str| Record {
            id: id.into(),
            fields: json!({"models": ["a"], "max_budget": 0.1}).as_object().cloned().unwrap_or_default(),
            spent: Money(7),
            spent_in: vec![("1d".into(), Money(3))],
            resets_at: Some(UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001)),
        };
        let holder = Holder {
            key: record("k"),
            team: Some(record("t")),
            member: None,
            user: Some(record("u")),
            project: None,
            organization: Some(Record::default()),
            parts: vec![Part { kind: "team", id: "t".into() }, Part { kind: "budget", id: "b".into() }],
        };
        assert_eq!(read(&write(&holder)), Some(holder));
        assert_eq!(read(b"{}"), None);
    }
}
