//! An entry as its row in the database: every column once, by its name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, CallId, Money, Usage};
use gatewright_spend::{Begin, Certainty, Ending, Entry, Spared, State, Tenant};
use sea_orm::sea_query::Nullable;
use sea_orm::{TryGetable, Value};
use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use uuid::Uuid;

use crate::database::Row;
use crate::entries::Numbered;
use crate::insert::{self, Rows};
use crate::names::NOBODY;
use crate::value::{clean, uuid, whole};
use crate::{Error, Result};

/// A column's type: how it is asked for, read and written.
trait Kept: Sized {
    /// What it is in the database.
    type Raw: TryGetable + Into<Value>;

    fn selected(column: &str) -> String {
        column.to_owned()
    }

    fn of(raw: Self::Raw) -> Self;

    fn raw(self) -> Self::Raw;

    /// Whether there is something to keep.
    fn is_something(&self) -> bool {
        true
    }

    /// Adds it to what SQLite's driver is given.
    fn bind(self, to: &mut SqliteArguments) -> Bound;
}

type Bound = std::result::Result<(), BoxDynError>;

/// Makes the row from its columns, so that what is written is what is read.
macro_rules! line {
    ($($column:ident: $kept:ty,)*) => {
        /// A row. What is zero or nobody is not in it, so that it is short.
        #[derive(Debug)]
        pub(crate) struct Line {
            $($column: $kept,)*
        }

        /// The columns, in the order in which they are written and read.
        pub(crate) const COLUMNS: [&str; [$(stringify!($column)),*].len()] = [$(stringify!($column)),*];

        impl Line {
            /// What is selected to read it.
            pub(crate) fn selected() -> String {
                [$(<$kept as Kept>::selected(stringify!($column))),*].join(", ")
            }

            pub(crate) fn values(self) -> [Value; COLUMNS.len()] {
                [$(self.$column.raw().into()),*]
            }

            pub(crate) fn read(row: &Row) -> Result<Self> {
                let mut places = 0..COLUMNS.len();
                Ok(Self { $($column: Kept::of(row.at(places.next().unwrap_or_default())?),)* })
            }

            /// A bit for each column that has something.
            fn used(&self) -> u64 {
                let mut bit = 0;
                $(bit += 1; let $column = u64::from(self.$column.is_something()) << (bit - 1);)*
                0 $(| $column)*
            }

            /// The columns of these bits, in order.
            fn bind(self, used: u64, to: &mut SqliteArguments) -> Bound {
                let mut rest = used;
                $(
                    if rest & 1 != 0 {
                        self.$column.bind(to)?;
                    }
                    rest >>= 1;
                )*
                debug_assert_eq!(rest, 0);
                Ok(())
            }
        }
    };
}

line! {
    attempt: Uuid,
    call: Uuid,
    started: i64,
    caller: i64,
    model_group: i64,
    deployment: i64,
    provider: i64,
    model: i64,
    team: Option<i64>,
    user_name: Option<i64>,
    organization: Option<i64>,
    project: Option<i64>,
    customer: Option<i64>,
    tags: Option<i64>,
    error: Option<i64>,
    status: Option<i64>,
    ending: i64,
    estimated: bool,
    cache_in_input: bool,
    first_content: Option<i64>,
    duration: Option<i64>,
    input: Option<i64>,
    output: Option<i64>,
    cost: i64,
    bound: Option<i64>,
    cache_read: Option<i64>,
    cache_write_5m: Option<i64>,
    cache_write_1h: Option<i64>,
    reasoning: Option<i64>,
    audio_input: Option<i64>,
    audio_output: Option<i64>,
    image_input: Option<i64>,
    image_output: Option<i64>,
    web_searches: Option<i64>,
    search_units: Option<i64>,
    images: Option<i64>,
    audio_millis: Option<i64>,
    characters: Option<i64>,
    reported_cost: Option<i64>,
    trace: Option<Arc<str>>,
    response: Option<Arc<str>>,
    cache_hit: Option<bool>,
    cache_key: Option<Arc<str>>,
    saved: Option<i64>,
}

/// Their table.
const TABLE: &str = "entries";

/// Rows in one statement of SQLite: each statement is handed to another thread and back, and those that are kept prepared
/// take memory for every value.
const SIZES: [usize; 5] = [128, 32, 8, 2, 1];

// === impl Kept ===

/// What the database has as it is here.
macro_rules! kept_as_it_is {
    ($kept:ty $(, $selected:item)?) => {
        impl Kept for $kept {
            type Raw = Self;

            $($selected)?

            fn of(raw: Self) -> Self {
                raw
            }

            fn raw(self) -> Self {
                self
            }

            fn bind(self, to: &mut SqliteArguments) -> Bound {
                to.add(self)
            }
        }
    };
}

kept_as_it_is!(Uuid);
kept_as_it_is!(bool);
kept_as_it_is!(
    i64,
    fn selected(column: &str) -> String {
        format!("CAST({column} AS BIGINT)")
    }
);

impl Kept for Arc<str> {
    type Raw = String;

    fn of(raw: String) -> Self {
        raw.into()
    }

    fn raw(self) -> String {
        (*self).into()
    }

    fn bind(self, to: &mut SqliteArguments) -> Bound {
        to.add(self)
    }
}

impl<T: Kept<Raw: Nullable>> Kept for Option<T> {
    type Raw = Option<T::Raw>;

    fn selected(column: &str) -> String {
        T::selected(column)
    }

    fn of(raw: Self::Raw) -> Self {
        raw.map(T::of)
    }

    fn raw(self) -> Self::Raw {
        self.map(T::raw)
    }

    fn is_something(&self) -> bool {
        self.is_some()
    }

    fn bind(self, to: &mut SqliteArguments) -> Bound {
        match self {
            Some(kept) => kept.bind(to),
            // Whatever type it is of.
            None => to.add(None::<i64>),
        }
    }
}

// === impl Line ===

impl Line {
    pub(crate) fn of(numbered: &Numbered<'_>) -> Self {
        let Numbered { entry, .. } = numbered;
        let (begin, tenant, spared) = (&entry.begin, &entry.begin.tenant, entry.begin.spared.as_ref());
        let Usage {
            input,
            output,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            reasoning,
            audio_input,
            audio_output,
            image_input,
            image_output,
            web_searches,
            search_units,
            images,
            audio_millis,
            characters,
            unbilled_input: _,
            unbilled_output: _,
            cache_in_input,
            reported_cost,
        } = entry.usage;
        Self {
            attempt: uuid(begin.attempt),
            call: Uuid::from_bytes(begin.call.to_bytes()),
            started: behind(begin),
            caller: numbered.caller,
            model_group: numbered.group,
            deployment: numbered.deployment,
            provider: numbered.provider,
            model: numbered.model,
            team: somebody(numbered.team),
            user_name: somebody(numbered.user),
            organization: somebody(numbered.organization),
            project: somebody(numbered.project),
            customer: somebody(numbered.customer),
            tags: somebody(numbered.tags),
            error: somebody(numbered.error),
            status: status(&entry.state),
            ending: code(&entry.state),
            estimated: entry.certainty == Certainty::Estimated,
            cache_in_input,
            first_content: entry.first_content.map(millis),
            duration: entry.duration.map(millis),
            input: short(input),
            output: short(output),
            cost: entry.cost.0,
            bound: (entry.bound != entry.cost).then_some(entry.bound.0),
            cache_read: some(cache_read),
            cache_write_5m: some(cache_write_5m),
            cache_write_1h: some(cache_write_1h),
            reasoning: some(reasoning),
            audio_input: some(audio_input),
            audio_output: some(audio_output),
            image_input: some(image_input),
            image_output: some(image_output),
            web_searches: some(web_searches),
            search_units: some(search_units),
            images: some(images),
            audio_millis: some(audio_millis),
            characters: some(characters),
            reported_cost: reported_cost.map(|cost| cost.0),
            trace: tenant.trace.as_ref().map(clean),
            response: entry.response.as_ref().map(clean),
            cache_hit: spared.map(|spared| spared.whole),
            cache_key: spared.map(|spared| clean(&spared.key)),
            saved: spared.map(|spared| spared.saved.0),
        }
    }

    /// The numbers of all names in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = i64> {
        let always = [self.caller, self.model_group, self.deployment, self.provider, self.model];
        let maybe = [
            self.team,
            self.user_name,
            self.organization,
            self.project,
            self.customer,
            self.tags,
            self.error,
        ];
        always.into_iter().chain(maybe.into_iter().flatten())
    }

    /// The entry. What was estimated before it began is not kept.
    pub(crate) fn entry(self, names: &HashMap<i64, Arc<str>>) -> Result<Entry> {
        let attempt = AttemptId::from_bytes(self.attempt.into_bytes());
        let known = |number: Option<i64>| {
            let name = names.get(&number.unwrap_or(NOBODY)).cloned();
            name.ok_or_else(|| Error::Broken(format!("entry {attempt} has a name that is gone")))
        };
        let name = |number: Option<i64>| names.get(&number?).cloned();
        let state = State::Ended(match self.ending {
            0 => Ending::Complete,
            FAILED => Ending::Failed {
                kind: known(self.error)?,
                status: u16::try_from(count(self.status)).unwrap_or_default(),
            },
            2 => Ending::Abandoned,
            _ => Ending::Interrupted,
        });
        let cost = Money(self.cost);
        let bound = self.bound.map_or(cost, Money);
        let begin = Begin {
            attempt,
            call: CallId::from_bytes(self.call.into_bytes()),
            caller: known(Some(self.caller))?,
            tenant: Tenant {
                team: name(self.team),
                user: name(self.user_name),
                organization: name(self.organization),
                project: name(self.project),
                customer: name(self.customer),
                trace: self.trace,
                tags: name(self.tags).map(|list| tags(&list)).unwrap_or_default(),
            },
            group: known(Some(self.model_group))?,
            deployment: known(Some(self.deployment))?,
            provider: known(Some(self.provider))?,
            model: known(Some(self.model))?,
            started: (attempt.unix_millis() * 1000).saturating_add_signed(self.started),
            input_estimate: 0,
            output_cap: 0,
            floor: Money::ZERO,
            bound,
            spared: self.cache_hit.map(|whole| Spared {
                key: self.cache_key.unwrap_or_default(),
                saved: Money(self.saved.unwrap_or_default()),
                whole,
            }),
        };
        let usage = Usage {
            input: count(self.input),
            output: count(self.output),
            cache_read: count(self.cache_read),
            cache_write_5m: count(self.cache_write_5m),
            cache_write_1h: count(self.cache_write_1h),
            reasoning: count(self.reasoning),
            audio_input: count(self.audio_input),
            audio_output: count(self.audio_output),
            image_input: count(self.image_input),
            image_output: count(self.image_output),
            web_searches: count(self.web_searches),
            search_units: count(self.search_units),
            images: count(self.images),
            audio_millis: count(self.audio_millis),
            characters: count(self.characters),
            // Only the cost knows them.
            unbilled_input: 0,
            unbilled_output: 0,
            cache_in_input: self.cache_in_input,
            reported_cost: self.reported_cost.map(Money),
        };
        let wait = |millis: i64| Duration::from_millis(millis.unsigned_abs());
        Ok(Entry {
            begin,
            state,
            certainty: if self.estimated { Certainty::Estimated } else { Certainty::Exact },
            usage,
            cost,
            bound,
            first_content: self.first_content.map(wait),
            duration: self.duration.map(wait),
            response: self.response,
        })
    }
}

/// The code of a failure.
pub(crate) const FAILED: i64 = 1;

/// Lines as rows.
pub(crate) fn rows<'a>(
    lines: impl ExactSizeIterator<Item = Line> + Send + 'a,
    tail: &'a str,
) -> Rows<'a, { COLUMNS.len() }> {
    Rows { table: TABLE, columns: &COLUMNS, rows: Box::new(lines.map(Line::values)), tail }
}

/// SQLite's statement for the next of some lines, with its values; `None` where there are no more. Columns in which none of
/// them has anything are not in it.
pub(crate) fn statement(
    lines: &mut (dyn ExactSizeIterator<Item = Line> + Send),
    tail: &str,
) -> Result<Option<(String, SqliteArguments)>> {
    let Some(size) = insert::size(&SIZES, lines.len()) else { return Ok(None) };
    let some: Vec<Line> = lines.take(size).collect();
    let used = some.iter().fold(0, |used, line| used | line.used());
    let columns = COLUMNS.into_iter().enumerate().filter(|(bit, _)| used >> bit & 1 != 0);
    let columns: Vec<&str> = columns.map(|(_, column)| column).collect();
    let mut values = SqliteArguments::default();
    values.reserve(size * columns.len(), 0);
    some.into_iter().try_for_each(|line| line.bind(used, &mut values)).map_err(sqlx::Error::Encode)?;
    Ok(Some((insert::text(TABLE, &columns, size, tail), values)))
}

/// The code of an ending.
fn code(state: &State) -> i64 {
    match state {
        State::Ended(Ending::Complete) => 0,
        State::Ended(Ending::Failed { .. }) => FAILED,
        State::Ended(Ending::Abandoned) => 2,
        State::Ended(Ending::Interrupted) => 3,
        State::Running => 4,
    }
}

fn status(state: &State) -> Option<i64> {
    match state {
        State::Ended(Ending::Failed { status, .. }) => Some(i64::from(*status)),
        State::Running | State::Ended(Ending::Complete | Ending::Abandoned | Ending::Interrupted) => None,
    }
}

/// Microseconds from the moment that the id names to the start. They are few, unless the clock was set in between.
fn behind(begin: &Begin) -> i64 {
    let named = whole(begin.attempt.unix_millis()).saturating_mul(1000);
    let behind = whole(begin.started).saturating_sub(named);
    behind.clamp(i64::from(i32::MIN), i64::from(i32::MAX))
}

fn somebody(number: i64) -> Option<i64> {
    (number != NOBODY).then_some(number)
}

fn some(number: u64) -> Option<i64> {
    (number != 0).then(|| whole(number))
}

/// Four bytes are enough for the tokens and the milliseconds of one attempt.
fn short(number: u64) -> Option<i64> {
    (number != 0).then(|| i64::from(i32::try_from(number).unwrap_or(i32::MAX)))
}

fn millis(duration: Duration) -> i64 {
    i64::from(i32::try_from(duration.as_millis()).unwrap_or(i32::MAX))
}

fn count(number: Option<i64>) -> u64 {
    number.unwrap_or_default().unsigned_abs()
}

fn tags(list: &str) -> Vec<Arc<str>> {
    serde_json::from_str::<Vec<String>>(list).unwrap_or_default().into_iter().map(Into::into).collect()
}
