//! The ledger in the database, read by the database's own program: entries, what was booked from them, and whether
//! both agree.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::gateway::{Gateway, MASTER_KEY};
use crate::postgres::Postgres;

/// Where a gateway under test keeps its ledger.
pub enum Database {
    /// The file in its data directory.
    Sqlite,
    /// A server.
    Postgres(Postgres),
}

/// Everything that the ledger says.
#[derive(Debug)]
pub struct Books {
    /// The entries, in the order of their attempts' ids.
    pub entries: Vec<Booked>,
    /// What each was booked ever, by what it is and which.
    pub balances: BTreeMap<(String, String), i64>,
    /// The sums by day.
    pub sums: BTreeMap<SumKey, Sums>,
}

/// A day, and the names by which sums are kept.
pub type SumKey = (u64, [Option<String>; NAMES.len()]);

/// Succeeded, failed, input, output, cost in nano-dollars.
pub type Sums = [i64; 5];

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The attempt's id, in hex.
    pub attempt: String,
    /// Names, in the order of [`NAMES`].
    pub names: [Option<String>; NAMES.len()],
    /// `0` complete, `1` failed, `2` abandoned, `3` interrupted.
    pub ending: i64,
    /// Whether usage and cost are the provider's.
    pub exact: bool,
    /// Tokens read.
    pub input: i64,
    /// Tokens written.
    pub output: i64,
    /// In nano-dollars.
    pub cost: i64,
    /// The most that it can have cost.
    pub bound: i64,
    /// The provider's name for its answer.
    pub response: Option<String>,
    /// The deployment's id.
    pub deployment: Option<String>,
}

/// The columns with names.
pub const NAMES: [&str; 10] = [
    "caller",
    "team",
    "user_name",
    "organization",
    "project",
    "customer",
    "tags",
    "model_group",
    "provider",
    "model",
];

const CALLER: usize = 0;
const TEAM: usize = 1;
const USER: usize = 2;
const ORGANIZATION: usize = 3;
const PROJECT: usize = 4;
const CUSTOMER: usize = 5;
const TAGS: usize = 6;
const GROUP: usize = 7;
const PROVIDER: usize = 8;
const MODEL: usize = 9;

// === impl Database ===

impl Database {
    /// `general_settings` with the master key, and with further lines as `key: value, key: value`.
    pub fn settings(&self, more: &str) -> String {
        let mut text = format!("general_settings:\n  master_key: {MASTER_KEY}\n");
        if let Self::Postgres(server) = self {
            text.push_str(&format!("  database_url: \"{}\"\n", server.url()));
        }
        for line in more.split(", ").filter(|line| !line.is_empty()) {
            text.push_str(&format!("  {line}\n"));
        }
        text
    }

    /// Reads everything.
    pub fn books(&self, gateway: &Gateway) -> Books {
        self.books_in(&gateway.dir().join("gatewright-data"))
    }

    /// The same of a gateway with another data directory.
    pub fn books_in(&self, data: &Path) -> Books {
        let joins: String =
            (0..NAMES.len()).map(|n| format!(" LEFT JOIN names n{n} ON n{n}.id = e.{}", NAMES[n])).collect();
        let names: Vec<String> = (0..NAMES.len()).map(|n| self.hex(&format!("n{n}.name"))).collect();
        let names = names.join(", ");
        let attempt = match self {
            Self::Sqlite => "LOWER(HEX(attempt))",
            Self::Postgres(_) => "REPLACE(CAST(attempt AS TEXT), '-', '')",
        };
        let cached = "CASE WHEN cache_in_input THEN 0 \
            ELSE COALESCE(cache_read, 0) + COALESCE(cache_write_5m, 0) + COALESCE(cache_write_1h, 0) END";
        let entries = format!(
            "SELECT {attempt}, ending, CAST(estimated AS INTEGER), COALESCE(input, 0) + {cached}, COALESCE(output, 0), \
             cost, COALESCE(bound, cost), {}, {}, {names} FROM entries e{joins} \
             LEFT JOIN names d ON d.id = e.deployment ORDER BY attempt",
            self.hex("response"),
            self.hex("d.name")
        );
        let sums =
            format!("SELECT day, succeeded, failed, input, output, cost, {names} FROM rollups e{joins}");
        let balances = format!("SELECT scope, {}, total FROM balances WHERE period = ''", self.hex("id"));
        Books {
            entries: self.rows(data, &entries).iter().map(|row| Booked::read(row)).collect(),
            balances: self
                .rows(data, &balances)
                .iter()
                .map(|row| ((row[0].clone(), text(&row[1]).unwrap_or_default()), number(&row[2])))
                .collect(),
            sums: self
                .rows(data, &sums)
                .iter()
                .map(|row| {
                    let sums = std::array::from_fn(|n| number(&row[1 + n]));
                    ((row[0].parse().unwrap(), std::array::from_fn(|n| text(&row[6 + n]))), sums)
                })
                .collect(),
        }
    }

    /// All rows of a query, every column as text.
    pub fn rows(&self, data: &Path, sql: &str) -> Vec<Vec<String>> {
        let told = match self {
            Self::Postgres(server) => server.sql(sql).unwrap_or_else(|err| panic!("{err}: {sql}")),
            Self::Sqlite => {
                let output = Command::new("sqlite3")
                    .args(["-cmd", ".timeout 10000", "-noheader", "-list"])
                    .arg(data.join("gatewright.db"))
                    .arg(sql)
                    .output()
                    .expect("no sqlite3: `make test` installs it");
                assert!(output.status.success(), "{}: {sql}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).unwrap()
            }
        };
        told.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
    }

    /// A text as hex, so that no byte of it is taken for a border.
    fn hex(&self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("LOWER(HEX({column}))"),
            Self::Postgres(_) => format!("ENCODE(CONVERT_TO({column}, 'UTF8'), 'hex')"),
        }
    }
}

// === impl Books ===

impl Books {
    /// Each balance and each sum is what the entries come to.
    pub fn check(&self) {
        let mut balances: BTreeMap<(String, String), i64> = BTreeMap::new();
        let mut sums: BTreeMap<SumKey, Sums> = BTreeMap::new();
        for entry in &self.entries {
            for key in entry.booked_to().into_iter().filter(|_| entry.cost != 0) {
                *balances.entry(key).or_default() += entry.cost;
            }
            let sum = sums.entry((entry.day(), entry.names.clone())).or_default();
            let whole = i64::from(entry.ending == 0);
            let added = [whole, 1 - whole, entry.input, entry.output, entry.cost];
            sum.iter_mut().zip(added).for_each(|(sum, more)| *sum += more);
        }
        // A row that only counts the time of a budget has nothing booked yet.
        let booked: BTreeMap<_, _> = self.balances.iter().filter(|(_, total)| **total != 0).collect();
        assert_eq!(booked, balances.iter().collect(), "balances and their entries");
        assert_eq!(self.sums, sums, "sums and their entries");
    }

    /// The cost of all entries, and the most that it can be.
    pub fn cost(&self) -> (i64, i64) {
        (self.entries.iter().map(|e| e.cost).sum(), self.entries.iter().map(|e| e.bound).sum())
    }

    /// Entries by the model's name at the provider.
    pub fn by_model(&self) -> BTreeMap<&str, Vec<&Booked>> {
        let mut by_model: BTreeMap<&str, Vec<&Booked>> = BTreeMap::new();
        for entry in &self.entries {
            by_model.entry(entry.model()).or_default().push(entry);
        }
        by_model
    }
}

// === impl Booked ===

impl Booked {
    fn read(row: &[String]) -> Self {
        Self {
            attempt: row[0].clone(),
            ending: number(&row[1]),
            exact: row[2] == "0",
            input: number(&row[3]),
            output: number(&row[4]),
            cost: number(&row[5]),
            bound: number(&row[6]),
            response: text(&row[7]),
            deployment: text(&row[8]),
            names: std::array::from_fn(|n| text(&row[9 + n])),
        }
    }

    /// The model's name at the provider.
    pub fn model(&self) -> &str {
        self.names[MODEL].as_deref().unwrap_or_default()
    }

    /// The day that the attempt's id names.
    fn day(&self) -> u64 {
        u64::from_str_radix(&self.attempt[..12], 16).unwrap() / 86_400_000
    }

    fn booked_to(&self) -> Vec<(String, String)> {
        let proxy = ("proxy".to_owned(), "proxy".to_owned());
        let deployment = self.deployment.iter().map(|id| ("deployment".to_owned(), id.clone()));
        let single = [
            ("provider", PROVIDER),
            ("api_key", CALLER),
            ("team", TEAM),
            ("user", USER),
            ("project", PROJECT),
            ("organization", ORGANIZATION),
            ("end_user", CUSTOMER),
        ];
        let pairs = [
            ("team_member", USER, TEAM),
            ("model_per_key", CALLER, GROUP),
            ("model_per_team", TEAM, GROUP),
            ("model_per_project", PROJECT, GROUP),
            ("model_per_organization", ORGANIZATION, GROUP),
            ("model_per_user", USER, GROUP),
            ("model_per_end_user", CUSTOMER, GROUP),
        ];
        let name = |at: usize| self.names[at].clone();
        let single = single.into_iter().filter_map(|(scope, at)| Some((scope.to_owned(), name(at)?)));
        let pairs = pairs
            .into_iter()
            .filter_map(|(scope, a, b)| Some((scope.to_owned(), format!("{}:{}", name(a)?, name(b)?))));
        let tags: Vec<String> =
            name(TAGS).map(|list| serde_json::from_str(&list).unwrap()).unwrap_or_default();
        let named = single.chain(pairs).chain(deployment).chain([proxy]);
        named.chain(tags.into_iter().map(|tag| ("tag".to_owned(), tag))).collect()
    }
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|err| panic!("{err}: {text:?}"))
}

/// What hex stands for; nothing where there is none.
fn text(hex: &str) -> Option<String> {
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    (!hex.is_empty()).then(|| String::from_utf8(bytes.collect()).unwrap())
}
