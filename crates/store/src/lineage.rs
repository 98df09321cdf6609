//! A key and all that it belongs to, read in one statement: so it is looked up when it calls.

use crate::database::Row;
use crate::objects::{COLUMNS, read};
use crate::{Error, Kind, Object, Parents, Result, Store};

/// Rows that belong together, as one moment has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineage {
    rows: Vec<(Kind, Object)>,
}

/// Whose lineage.
#[derive(Clone, Copy, Debug)]
pub enum Root<'a> {
    /// A key's, by its hash.
    Key(&'a str),
    /// That of a key which would belong to these.
    Parents(&'a Parents),
}

// === impl Lineage ===

impl Lineage {
    /// The row of this kind. Budgets are named by those that have them.
    pub fn row(&self, kind: Kind) -> Option<&Object> {
        self.rows.iter().find(|(own, _)| *own == kind).map(|(_, object)| object)
    }

    /// The budget that a row has.
    pub fn budget(&self, of: &Object) -> Option<&Object> {
        let id = of.draft.parents.budget.as_deref()?;
        let budgets = self.rows.iter().filter(|(kind, _)| *kind == Kind::Budget);
        budgets.map(|(_, object)| object).find(|budget| budget.id == id)
    }
}

// === impl Store ===

impl Store {
    /// A key with its team, the membership of its user in that team, its user, its project, its organization or that of
    /// its team, and the budgets of all these.
    pub async fn lineage(&self, root: Root<'_>) -> Result<Lineage> {
        let (begins, values) = match root {
            Root::Key(id) => (format!("SELECT {COLUMNS} FROM keys WHERE id = $1"), vec![id.into()]),
            Root::Parents(parents) => {
                let Parents { organization, team, user, project, .. } = parents.clone();
                (parentage(), vec![organization.into(), team.into(), user.into(), project.into()])
            }
        };
        let sql = sql(&begins, matches!(root, Root::Key(_)));
        let work = async {
            let transaction = self.read().await?;
            let rows = transaction.rows(&sql, values).await?;
            transaction.commit().await?;
            let rows = rows.iter().map(row).collect::<Result<_>>()?;
            Ok(Lineage { rows })
        };
        self.database().in_time(work).await
    }
}

/// A row of no table with what a key has of those above it.
fn parentage() -> String {
    let text = |place: usize, name: &str| format!("CAST(${place} AS TEXT) AS {name}");
    let columns = ["organization_id", "team_id", "user_id", "project_id"];
    let columns: Vec<String> = columns.iter().enumerate().map(|(at, name)| text(at + 1, name)).collect();
    format!("SELECT {}", columns.join(", "))
}

fn sql(begins: &str, with_key: bool) -> String {
    let of = |table: &str, condition: &str| format!("SELECT {COLUMNS} FROM {table} WHERE {condition}");
    let parts = [
        ("team", of("teams", "id IN (SELECT team_id FROM begun)")),
        (
            "membership",
            of(
                "memberships",
                "team_id IN (SELECT team_id FROM begun) AND user_id IN (SELECT user_id FROM begun)",
            ),
        ),
        ("user", of("users", "id IN (SELECT user_id FROM begun)")),
        ("project", of("projects", "id IN (SELECT project_id FROM begun)")),
        (
            "organization",
            of(
                "organizations",
                "id IN (SELECT COALESCE(begun.organization_id, teams.organization_id) FROM begun \
                    LEFT JOIN teams ON teams.id = begun.team_id)",
            ),
        ),
    ];
    let key = with_key.then(|| ("key", "SELECT * FROM begun".to_owned()));
    let all: Vec<String> = key
        .into_iter()
        .chain(parts)
        .map(|(name, rows)| format!("SELECT '{name}' AS kind, part.* FROM ({rows}) part"))
        .collect();
    let budgets = of("budgets", "id IN (SELECT budget_id FROM parts)");
    format!(
        "WITH begun AS ({begins}), parts AS ({}) SELECT {COLUMNS}, kind FROM parts \
            UNION ALL SELECT {COLUMNS}, 'budget' FROM ({budgets}) budget",
        all.join(" UNION ALL ")
    )
}

fn row(row: &Row) -> Result<(Kind, Object)> {
    let name: String = row.at(15)?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    Ok((kind.ok_or_else(|| Error::Broken(format!("no kind {name}")))?, read(row)?))
}
