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

/// Which page.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// The days, in days since 1970 (UTC).
    pub days: RangeInclusive<u32>,
    /// Only where these have these names.
    pub filters: Vec<(Dimension, String)>,
    /// Only answers of the cache, or only attempts.
    pub hit: Option<bool>,
    /// So many are left out first.
    pub skip: u64,
    /// The most that are wanted.
    pub limit: u64,
}

impl Store {
    /// A page of the entries of some days, the latest first.
    pub async fn entry_page(&self, query: PageQuery) -> Result<EntryPage> {
        let PageQuery { days, filters, hit, mut skip, limit } = query;
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
            let counted = match hit {
                Some(true) => row.sums.hits,
                Some(false) => row.sums.attempts() - row.sums.hits,
                None => row.sums.attempts(),
            };
            let (attempts, wanted) = (counted.unsigned_abs(), limit - page.entries.len() as u64);
            page.total += attempts;
            if skip >= attempts {
                skip -= attempts;
            } else if wanted > 0 {
                let day = row.place.first().copied().unwrap_or_default().unsigned_abs();
                let query = EntryQuery {
                    since: Some(recall::begin(day)),
                    until: Some(recall::begin(day + 1)),
                    filters: filters.clone(),
                    hit,
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
