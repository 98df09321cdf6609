//! Lists of rows: which ones, in which order, from where on.

use std::fmt::Write;
use std::time::SystemTime;

use sea_orm::Value;

use crate::moment::micros;
use crate::value::whole;

/// Which rows, in which order, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// All of them must hold.
    pub filters: Vec<Filter>,
    /// The order.
    pub order: Order,
    /// Only what comes behind this in the order.
    pub after: Option<Cursor>,
    /// So many are left out first: for clients that count pages.
    pub skip: u64,
    /// The most that are wanted.
    pub limit: u64,
}

/// A condition on an indexed column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The column has this text.
    Is(Column, String),
    /// The column has one of these texts.
    In(Column, Vec<String>),
    /// The column has nothing.
    Empty(Column),
    /// The column has this text in it, in whatever case. No index helps.
    Contains(Column, String),
    /// Switched off, or not.
    Blocked(bool),
    /// Ends before this moment.
    ExpiresBefore(SystemTime),
    /// Does not end before this moment.
    LivesAt(SystemTime),
    /// Made in this span: from the first on, before the second.
    Created(SystemTime, SystemTime),
}

/// A column with texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// The id.
    Id,
    /// The alias.
    Alias,
    /// Everything that it says besides, as JSON.
    Fields,
    /// The organization that it belongs to.
    Organization,
    /// The team that it belongs to.
    Team,
    /// The user that it belongs to.
    User,
    /// The project that it belongs to.
    Project,
    /// The budget that holds its limits.
    Budget,
    /// Who made it.
    CreatedBy,
}

/// The order of a list. The id decides between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// By id.
    #[default]
    Id,
    /// The oldest first.
    Oldest,
    /// The newest first.
    Newest,
}

/// A place in an order: behind the row that it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When that row was made.
    pub created_at: SystemTime,
    /// Its id.
    pub id: String,
}

/// A condition being written, with its values.
#[derive(Clone, Default)]
pub(crate) struct Condition {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

// === impl Query ===

impl Default for Query {
    fn default() -> Self {
        Self { filters: Vec::new(), order: Order::default(), after: None, skip: 0, limit: 100 }
    }
}

impl Query {
    /// The first rows for which this holds.
    pub fn of(filters: impl IntoIterator<Item = Filter>) -> Self {
        Self { filters: filters.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn condition(&self) -> Condition {
        let mut condition = Condition::default();
        self.filters.iter().for_each(|filter| filter.write(&mut condition));
        condition
    }

    /// The condition, the cursor, order and limits.
    pub(crate) fn page(&self) -> Condition {
        let mut page = self.condition();
        if let Some(Cursor { created_at, id }) = &self.after {
            let (at, id) = (Value::from(micros(*created_at)), Value::from(id.as_str()));
            match self.order {
                Order::Id => page.push("id > ?", [id]),
                Order::Oldest => page.push("(created_at, id) > (?, ?)", [at, id]),
                Order::Newest => page.push("(created_at, id) < (?, ?)", [at, id]),
            }
        }
        page.sql.push_str(match self.order {
            Order::Id => " ORDER BY id",
            Order::Oldest => " ORDER BY created_at, id",
            Order::Newest => " ORDER BY created_at DESC, id DESC",
        });
        let _ = write!(page.sql, " LIMIT {} OFFSET {}", whole(self.limit), whole(self.skip));
        page
    }
}

// === impl Filter ===

impl Filter {
    fn write(&self, to: &mut Condition) {
        match self {
            Self::Is(column, text) => to.push(&format!("{} = ?", column.name()), [text.as_str().into()]),
            Self::In(_, texts) if texts.is_empty() => to.push("1 = 0", []),
            Self::In(column, texts) => {
                let marks = vec!["?"; texts.len()].join(", ");
                let texts = texts.iter().map(|text| text.as_str().into());
                to.push(&format!("{} IN ({marks})", column.name()), texts);
            }
            Self::Empty(column) => to.push(&format!("{} IS NULL", column.name()), []),
            Self::Contains(column, text) => {
                let escaped =
                    text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                let sql = format!("LOWER({}) LIKE ? ESCAPE '\\'", column.name());
                to.push(&sql, [format!("%{escaped}%").into()]);
            }
            Self::Blocked(blocked) => to.push("blocked = ?", [(*blocked).into()]),
            Self::ExpiresBefore(at) => to.push("expires_at < ?", [micros(*at).into()]),
            Self::LivesAt(at) => to.push("(expires_at IS NULL OR expires_at >= ?)", [micros(*at).into()]),
            Self::Created(from, to_) => {
                to.push("created_at >= ? AND created_at < ?", [micros(*from).into(), micros(*to_).into()]);
            }
        }
    }
}

// === impl Column ===

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Alias => "alias",
            Self::Fields => "fields",
            Self::Organization => "organization_id",
            Self::Team => "team_id",
            Self::User => "user_id",
            Self::Project => "project_id",
            Self::Budget => "budget_id",
            Self::CreatedBy => "created_by",
        }
    }
}

// === impl Condition ===

impl Condition {
    /// Adds one that must hold too; each `?` takes one value.
    pub(crate) fn push(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        let mut values = values.into_iter();
        for (place, piece) in sql.split('?').enumerate() {
            if let Some(value) = (place > 0).then(|| values.next()).flatten() {
                self.values.push(value);
                let _ = write!(self.sql, "${}", self.values.len());
            }
            self.sql.push_str(piece);
        }
    }
}
