//! Pages of entries as clients count them. Sums by day say where a page is, so that only its days are read.

use std::ops::RangeInclusive;

use gatewright_spend::Entry;

use crate::{Dimension, EntryQuery, Rank, ReportQuery, Result, Store, recall};

/// A page, and how many entries there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPage {
    /// The entries, the latest first.
    pub entries: Vec<Entry>,
    /// All that there are, as the sums of their days say: days that were carried over count in it, too.
    pub total: u64,
}

impl Store {
    /// A page of the entries of some days, the latest first.
    pub async fn entry_page(
        &self,
        days: RangeInclusive<u32>,
        filters: Vec<(Dimension, String)>,
        mut skip: u64,
        limit: u64,
    ) -> Result<EntryPage> {
        let first = u32::try_from(self.first_day()).unwrap_or(u32::MAX).max(*days.start());
        let sums = ReportQuery {
            days: first..=*days.end(),
            filters: filters.clone(),
            by: vec![Dimension::Day],
            order: Rank::Place,
            after: None,
            limit: u64::MAX,
        };
        let mut page = EntryPage::default();
        for row in self.report(&sums).await?.into_iter().rev() {
            let (attempts, wanted) = (row.sums.attempts().unsigned_abs(), limit - page.entries.len() as u64);
            page.total += attempts;
            if skip >= attempts {
                skip -= attempts;
            } else if wanted > 0 {
                let day = row.place.first().copied().unwrap_or_default().unsigned_abs();
                let query = EntryQuery {
                    since: Some(recall::begin(day)),
                    until: Some(recall::begin(day + 1)),
                    filters: filters.clone(),
                    skip,
                    limit: wanted,
                    ..EntryQuery::default()
                };
                page.entries.extend(self.entries(&query).await?);
                skip = 0;
            }
        }
        Ok(page)
    }
}
