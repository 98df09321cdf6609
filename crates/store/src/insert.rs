//! Rows on their way into a table, in statements that come again, so that they are parsed once.

use std::fmt::Write;
use std::iter;

use sea_orm::Value;

/// Values in one statement of PostgreSQL.
const MOST_VALUES: usize = 8_000;

/// Rows in one statement of SQLite, which keeps statements prepared: few sizes, so that they are few.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// Rows of one table.
pub(crate) struct Rows<'a, const N: usize> {
    pub(crate) table: &'a str,
    pub(crate) columns: &'a [&'a str; N],
    pub(crate) rows: Box<dyn ExactSizeIterator<Item = [Value; N]> + Send + 'a>,
    /// What stands behind the rows.
    pub(crate) tail: &'a str,
}

// === impl Rows ===

impl<'a, const N: usize> Rows<'a, N> {
    /// The statements that insert all of them, each with its values.
    pub(crate) fn statements(self, postgres: bool) -> impl Iterator<Item = (String, Vec<Value>)> + Send {
        let Self { table, columns, mut rows, tail } = self;
        iter::from_fn(move || {
            let left = rows.len();
            let size = match postgres {
                true => left.min(MOST_VALUES / N),
                false => size(&SIZES, left)?,
            };
            let some: Vec<[Value; N]> = rows.by_ref().take(size).collect();
            (!some.is_empty()).then(|| statement(table, columns, some, tail, postgres))
        })
    }
}

/// One statement for some rows. Columns in which none of them has anything are not in it.
fn statement<const N: usize>(
    table: &str,
    columns: &[&str; N],
    rows: Vec<[Value; N]>,
    tail: &str,
    postgres: bool,
) -> (String, Vec<Value>) {
    let mut used = [false; N];
    for row in &rows {
        used.iter_mut().zip(row).for_each(|(used, value)| *used |= !is_nothing(value));
    }
    let names = columns.iter().zip(used).filter(|(_, used)| *used);
    let names: Vec<&str> = names.map(|(name, _)| *name).collect();
    let sql = match postgres {
        true => numbered(table, &names, rows.len(), tail),
        false => text(table, &names, rows.len(), tail),
    };
    let mut values = Vec::with_capacity(rows.len() * names.len());
    for row in rows {
        values.extend(row.into_iter().zip(used).filter(|(_, used)| *used).map(|(value, _)| value));
    }
    (sql, values)
}

/// The largest of these sizes that so many rows fill.
pub(crate) fn size(sizes: &[usize], left: usize) -> Option<usize> {
    sizes.iter().copied().find(|size| *size <= left)
}

/// What SQLite is told for so many rows: without numbers, all are the same.
pub(crate) fn text(table: &str, columns: &[&str], rows: usize, tail: &str) -> String {
    let mut row = String::from("(");
    marks(&mut row, 0, columns.len(), false);
    row.push_str("),");
    let all = row.repeat(rows);
    format!("INSERT INTO {table} ({}) VALUES {} {tail}", columns.join(", "), all.trim_end_matches(','))
}

/// What PostgreSQL is told for so many rows.
fn numbered(table: &str, columns: &[&str], rows: usize, tail: &str) -> String {
    let mut sql = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { "), (" });
        marks(&mut sql, row * columns.len(), columns.len(), true);
    }
    sql.push_str(") ");
    sql.push_str(tail);
    sql
}

/// Marks for so many values, after others. Where all stand in order, SQLite takes them without numbers, which it would
/// look up one by one.
pub(crate) fn marks(sql: &mut String, after: usize, count: usize, postgres: bool) {
    for place in after + 1..=after + count {
        let comma = if place == after + 1 { "" } else { ", " };
        match postgres {
            true => drop(write!(sql, "{comma}${place}")),
            false => sql.extend([comma.trim_end(), "?"]),
        }
    }
}

/// Whether it is the `NULL` of a type that columns have.
fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::BigInt(None) | Value::String(None) | Value::Uuid(None) | Value::Bool(None))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The statements for so many rows; of the third column only the fifth row has something.
    fn statements(count: usize, postgres: bool) -> Vec<(String, Vec<Value>)> {
        let row = |n: usize| [Value::from(n as i64), Value::BigInt(None), (n == 4).then_some(7_i64).into()];
        let rows = Box::new((0..count).map(row));
        Rows { table: "t", columns: &["a", "b", "c"], rows, tail: "END" }.statements(postgres).collect()
    }

    #[test]
    fn what_no_row_has_is_not_in_a_statement() {
        let all = statements(21, false);
        let heads: Vec<_> = all.iter().map(|(sql, values)| (sql.as_str(), values.len())).collect();
        assert!(heads[0].0.starts_with("INSERT INTO t (a, c) VALUES (?,?),(?,?),"), "{}", heads[0].0);
        assert_eq!(heads[0].1, 32);
        let four = "INSERT INTO t (a) VALUES (?),(?),(?),(?) END";
        assert_eq!(heads[1..], [(four, 4), ("INSERT INTO t (a) VALUES (?) END", 1)]);
        let (sql, values) = &statements(2, true)[0];
        assert_eq!((sql.as_str(), values.len()), ("INSERT INTO t (a) VALUES ($1), ($2) END", 2));
    }

    #[test]
    fn however_many_rows_there_are_the_statements_are_few() {
        let texts: HashSet<String> =
            (5..600).flat_map(|n| statements(n, false)).map(|(sql, _)| sql).collect();
        assert!(texts.len() <= 2 * SIZES.len(), "{}", texts.len());
        let rows = |n| statements(n, false).iter().map(|(_, values)| values.len()).sum::<usize>();
        assert_eq!((rows(600), rows(0)), (600 + 64, 0));
    }
}
