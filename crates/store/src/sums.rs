//! What sums are kept by, and what attempts come to.

use std::iter::Sum;
use std::ops::AddAssign;

use gatewright_core::Money;
use gatewright_spend::{Ending, Entry, State};
use sea_orm::Value;

use crate::Result;
use crate::database::Row;
use crate::value::whole;

/// What sums are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// The day, in days since 1970 (UTC).
    Day,
    /// The key, by its hash.
    Caller,
    /// The team.
    Team,
    /// The user.
    User,
    /// The organization.
    Organization,
    /// The project.
    Project,
    /// The end user of a client.
    Customer,
    /// All tags of a call together, as a JSON list: so that nothing counts twice.
    Tags,
    /// The model group.
    Group,
    /// The provider.
    Provider,
    /// The model's name at the provider.
    Model,
}

/// What attempts come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Attempts that were whole, and answers of the cache that were.
    pub succeeded: i64,
    /// The others.
    pub failed: i64,
    /// Input tokens, cached ones included.
    pub input: i64,
    /// Output tokens.
    pub output: i64,
    /// Input tokens read from a provider's cache.
    pub cache_read: i64,
    /// Input tokens written to a provider's cache.
    pub cache_write: i64,
    /// Output tokens spent on reasoning.
    pub reasoning: i64,
    /// What they cost.
    pub cost: Money,
    /// Of all of them, those that were no attempts: the cache answered.
    pub hits: i64,
    /// Of the output tokens, those of its answers.
    pub hit_output: i64,
    /// What its answers had cost when they were made.
    pub saved: Money,
}

/// The columns of [`Sums`].
pub(crate) const SUMMED: [&str; 11] = [
    "succeeded",
    "failed",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "reasoning",
    "cost",
    "hits",
    "hit_output",
    "saved",
];

// === impl Dimension ===

impl Dimension {
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Caller => "caller",
            Self::Team => "team",
            Self::User => "user_name",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Customer => "customer",
            Self::Tags => "tags",
            Self::Group => "model_group",
            Self::Provider => "provider",
            Self::Model => "model",
        }
    }
}

// === impl Sums ===

impl Sums {
    pub(crate) fn of(entry: &Entry) -> Self {
        let (usage, complete) = (&entry.usage, matches!(entry.state, State::Ended(Ending::Complete)));
        let spared = entry.begin.spared.as_ref();
        let hit = entry.is_hit();
        // Of several attempts at what is missing, one ends the call.
        let saved = spared.filter(|_| complete).map_or(Money::ZERO, |spared| spared.saved);
        Self {
            succeeded: i64::from(complete),
            failed: i64::from(!complete),
            input: whole(usage.total_input()),
            output: whole(usage.output),
            cache_read: whole(usage.cache_read),
            cache_write: whole(usage.cache_write()),
            reasoning: whole(usage.reasoning),
            cost: entry.cost,
            hits: i64::from(hit),
            hit_output: if hit { whole(usage.output) } else { 0 },
            saved,
        }
    }

    /// All attempts, and the cache's answers.
    pub fn attempts(&self) -> i64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// In the order of [`SUMMED`].
    pub(crate) fn values(self) -> [Value; SUMMED.len()] {
        self.numbers().map(Value::from)
    }

    /// In the order of [`SUMMED`].
    pub(crate) fn numbers(self) -> [i64; SUMMED.len()] {
        let Self {
            succeeded,
            failed,
            input,
            output,
            cache_read,
            cache_write,
            reasoning,
            cost,
            hits,
            hit_output,
            saved,
        } = self;
        let (cost, saved) = (cost.0, saved.0);
        [succeeded, failed, input, output, cache_read, cache_write, reasoning, cost, hits, hit_output, saved]
    }

    /// Takes them in the order of [`SUMMED`].
    pub(crate) fn of_numbers(numbers: [i64; SUMMED.len()]) -> Self {
        let [succeeded, failed, tokens @ .., cost, hits, hit_output, saved] = numbers;
        let [input, output, cache_read, cache_write, reasoning] = tokens;
        let (cost, saved) = (Money(cost), Money(saved));
        Self {
            succeeded,
            failed,
            input,
            output,
            cache_read,
            cache_write,
            reasoning,
            cost,
            hits,
            hit_output,
            saved,
        }
    }

    /// Reads them behind so many other columns.
    pub(crate) fn read(row: &Row, behind: usize) -> Result<Self> {
        let mut numbers = [0; SUMMED.len()];
        for (place, number) in numbers.iter_mut().enumerate() {
            *number = row.at(behind + place)?;
        }
        Ok(Self::of_numbers(numbers))
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, more: Self) {
        for (sum, number) in [
            (&mut self.succeeded, more.succeeded),
            (&mut self.failed, more.failed),
            (&mut self.input, more.input),
            (&mut self.output, more.output),
            (&mut self.cache_read, more.cache_read),
            (&mut self.cache_write, more.cache_write),
            (&mut self.reasoning, more.reasoning),
            (&mut self.hits, more.hits),
            (&mut self.hit_output, more.hit_output),
        ] {
            *sum = sum.saturating_add(number);
        }
        self.cost += more.cost;
        self.saved += more.saved;
    }
}

impl Sum for Sums {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, more| {
            sum += more;
            sum
        })
    }
}
