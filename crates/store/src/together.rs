//! Several changes that happen together or not at all.

use std::sync::Arc;

use gatewright_core::Money;

use crate::{Draft, Kind, Object, Result, Scope, Store, balances};

/// One of several changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Makes a row.
    Make {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: String,
        /// What it says.
        draft: Draft,
    },
    /// Changes a row that still has this version.
    Change {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: String,
        /// The version that it must have.
        version: i64,
        /// What it says from now on.
        draft: Draft,
    },
    /// Takes a row that still has this version away into the archive.
    Remove {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: String,
        /// The version that it must have.
        version: i64,
    },
    /// Sets what was spent in the time that runs; further times have no more than that afterwards.
    Spend {
        /// What kind of thing it is.
        scope: Scope,
        /// Which one.
        id: Arc<str>,
        /// So much.
        to: Money,
    },
}

impl Store {
    /// Does all of it in one transaction; answers the rows that were made or changed, in their order. Fails as the first
    /// does that cannot be done.
    pub async fn together(&self, steps: Vec<Step>, by: &str) -> Result<Vec<Object>> {
        let work = async {
            let transaction = self.write().await?;
            let mut objects = Vec::new();
            let mut steps = steps.into_iter().peekable();
            while let Some(step) = steps.next() {
                match step {
                    Step::Make { kind, id, draft } => {
                        let rows = self.objects(kind);
                        let mut made = vec![rows.drafted(&id, draft, by)];
                        // Those of its kind that follow come in the same statement.
                        let alike =
                            |next: &Step| matches!(next, Step::Make { kind: other, .. } if *other == kind);
                        while let Some(Step::Make { id, draft, .. }) = steps.next_if(alike) {
                            made.push(rows.drafted(&id, draft, by));
                        }
                        rows.make(&transaction, &made).await?;
                        objects.append(&mut made);
                    }
                    Step::Change { kind, id, version, draft } => {
                        let rows = self.objects(kind);
                        objects.push(rows.change(&transaction, (&id, version), draft, by).await?);
                    }
                    Step::Remove { kind, id, version } => {
                        let rows = self.objects(kind);
                        rows.locked(&transaction, &id, version).await?;
                        rows.remove(&transaction, &id, by).await?;
                    }
                    Step::Spend { scope, id, to } => balances::set(&transaction, (scope, &id), to).await?,
                }
            }
            transaction.commit().await?;
            Ok(objects)
        };
        self.database().in_time(work).await
    }
}
