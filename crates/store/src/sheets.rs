//! Sums by day and one dimension: a year of them is read in the time that a few days of all dimensions together take.

use crate::query::Condition;
use crate::rollups;
use crate::sums::Dimension;

/// How many columns are the key.
pub(crate) const KEY: usize = 5;

/// Those columns. Behind them stand those of the sums.
pub(crate) const COLUMNS: [&str; KEY] = ["sheet", "day", "name", "provider", "model"];

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheet {
    /// Its number in the database.
    number: i64,
    /// What its names are of.
    dimension: Dimension,
}

/// Those that have few names first: what several can answer is read from the first.
pub(crate) const SHEETS: [Sheet; 8] = [
    Sheet { number: 1, dimension: Dimension::Organization },
    Sheet { number: 2, dimension: Dimension::Project },
    Sheet { number: 3, dimension: Dimension::Team },
    Sheet { number: 4, dimension: Dimension::Tags },
    Sheet { number: 5, dimension: Dimension::Group },
    Sheet { number: 6, dimension: Dimension::User },
    Sheet { number: 7, dimension: Dimension::Caller },
    Sheet { number: 8, dimension: Dimension::Customer },
];

/// Where sums are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Sheet(Sheet),
    Rollups,
}

// === impl Sheet ===

impl Sheet {
    /// The key of its row that a row of the rollups is part of.
    pub(crate) fn key(self, row: &[i64; rollups::KEY]) -> [i64; KEY] {
        let [day, caller, team, user, organization, project, customer, tags, group, provider, model] = *row;
        let name = match self.dimension {
            Dimension::Day => day,
            Dimension::Caller => caller,
            Dimension::Team => team,
            Dimension::User => user,
            Dimension::Organization => organization,
            Dimension::Project => project,
            Dimension::Customer => customer,
            Dimension::Tags => tags,
            Dimension::Group => group,
            Dimension::Provider => provider,
            Dimension::Model => model,
        };
        let of_models = self.dimension == Dimension::Group;
        let (provider, model) = if of_models { (provider, model) } else { (0, 0) };
        [self.number, day, name, provider, model]
    }

    fn has(self, dimension: Dimension) -> bool {
        let of_models = self.dimension == Dimension::Group;
        dimension == self.dimension
            || match dimension {
                Dimension::Day => true,
                Dimension::Provider | Dimension::Model => of_models,
                _ => false,
            }
    }
}

// === impl Source ===

impl Source {
    /// The narrowest that has all of these.
    pub(crate) fn of(wanted: &[Dimension]) -> Self {
        let sheet = SHEETS.into_iter().find(|sheet| wanted.iter().all(|dimension| sheet.has(*dimension)));
        sheet.map_or(Self::Rollups, Self::Sheet)
    }

    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Sheet(_) => "sheets",
            Self::Rollups => "rollups",
        }
    }

    /// The column of a dimension that it has.
    pub(crate) fn column(self, dimension: Dimension) -> &'static str {
        match self {
            Self::Sheet(sheet) if sheet.dimension == dimension => "name",
            _ => dimension.column(),
        }
    }

    /// The condition that every question to it begins with.
    pub(crate) fn condition(self) -> Condition {
        let mut condition = Condition::default();
        if let Self::Sheet(sheet) = self {
            condition.push("sheet = ?", [sheet.number.into()]);
        }
        condition
    }
}
