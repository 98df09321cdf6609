//! `gatewright import litellm`: brings what a LiteLLM database keeps into this gateway's.

mod members;
mod plan;
mod put;
mod report;
mod rows;
mod salt;
mod spend;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use gatewright_admin::{Times, Vault};
use gatewright_core::{Clock, Secret, SystemClock};
use gatewright_limits::Calendar;
use gatewright_store::{Error as StoreError, Foreign, ForeignTable, Kind, Store};
use serde_json::{Map, Value};

use crate::StartError;
use crate::cli::ImportArgs;
use crate::config::{Config, Env};
use plan::{BESIDE, PLAN};
use report::Report;
use salt::SaltKey;

/// Rows that are read at once, and written in one transaction.
const PAGE: u16 = 500;

/// Where LiteLLM's secrets were encrypted with another key than ours are.
const SOURCE_SALT: &str = "LITELLM_SOURCE_SALT_KEY";

type Row = Map<String, Value>;

/// One import.
struct Import {
    source: Foreign,
    store: Store,
    clock: Arc<dyn Clock>,
    calendar: Calendar,
    salt: Option<SaltKey>,
    vault: Option<Vault>,
    dry: bool,
    /// Whether there is anything here that rows may meet.
    made: bool,
    seen: Seen,
    report: Report,
}

/// What later tables need of earlier ones.
#[derive(Default)]
struct Seen {
    /// The aliases of models that teams point to.
    aliases: HashMap<String, Value>,
    /// Members of teams with their role and address.
    members: HashMap<(String, String), (Value, Value)>,
    /// The organizations of teams.
    organizations: HashMap<String, String>,
    /// When shared budgets begin anew.
    resets: HashMap<String, SystemTime>,
    /// What was not brought: what belongs to it would come without its limits, and stays there too.
    refused: HashSet<(Kind, String)>,
    /// Users who administer the proxy.
    administrators: Vec<String>,
}

/// Brings everything and tells what it could not carry.
pub(crate) fn run(args: &ImportArgs, config: &Config, env: Env<'_>) -> ExitCode {
    let mut out = io::stdout().lock();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(bring(args, config, env)),
        Err(err) => Err(StartError::new("cannot start", &err)),
    };
    match done {
        Ok(report) => {
            let _ = write!(out, "{report}");
            if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(2) }
        }
        Err(err) => {
            let _ = writeln!(io::stderr(), "gatewright: {err}");
            ExitCode::FAILURE
        }
    }
}

async fn bring(args: &ImportArgs, config: &Config, env: Env<'_>) -> Result<Report, StartError> {
    let away = |what: &'static str| move |err: StoreError| StartError::new(what, &err);
    let clock = Arc::new(SystemClock);
    let source = Foreign::open(&args.from).await.map_err(away("cannot open LiteLLM's database"))?;
    let there = source.count(plan::KEYS).await.map_err(away("cannot read LiteLLM's database"))?;
    if there.is_none() {
        let words = "there is no LiteLLM in that database: another schema is named with `?schema=`";
        return Err(StartError::told(words.to_owned()));
    }
    let store = Store::open(config.database.clone(), clock.clone())
        .await
        .map_err(away("cannot open the database"))?;
    let vault = config.salt.as_ref().map(Vault::new).transpose();
    let salt = env(SOURCE_SALT).map(Secret::from).or_else(|| config.salt.clone());
    let made = store.is_made().await.map_err(away("cannot look into the database"))?;
    let mut import = Import {
        source,
        store,
        made,
        clock,
        calendar: config.money.calendar.clone(),
        salt: salt.as_ref().map(SaltKey::new),
        vault: vault.map_err(|err| StartError::new("cannot keep secrets", &err))?,
        dry: args.dry_run,
        seen: Seen::default(),
        report: Report::new(args.dry_run),
    };
    import
        .all()
        .await
        .map_err(away("the import was broken off; what was brought stays, and it may be run again"))?;
    import.store.close().await;
    Ok(import.report)
}

impl Import {
    async fn all(&mut self) -> Result<(), StoreError> {
        self.aliases().await?;
        for step in PLAN {
            self.each(step.table, async |import, rows| import.objects(step, rows).await).await?;
        }
        self.memberships().await?;
        self.each(spend::DAYS, async |import, rows| import.days(&rows).await).await?;
        for (table, why) in BESIDE {
            match self.source.count(*table).await? {
                None | Some(0) => {}
                Some(rows) => self.report.beside(table.name, rows, why),
            }
        }
        Ok(())
    }

    /// Hands the rows of a table on, page by page, and says how far it is.
    async fn each(
        &mut self,
        table: ForeignTable,
        mut page: impl AsyncFnMut(&mut Self, Vec<Row>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some(total) = self.source.count(table).await? else { return Ok(()) };
        let (mut last, mut done): (Option<Row>, usize) = (None, 0);
        loop {
            let rows = self.source.rows(table, last.as_ref(), PAGE.into()).await?;
            let Some(end) = rows.last() else { return Ok(()) };
            last = Some(end.clone());
            done += rows.len();
            page(self, rows).await?;
            progress(format_args!("{}: {done} of {total}", table.name));
        }
    }

    async fn aliases(&mut self) -> Result<(), StoreError> {
        self.each(plan::ALIASES, async |import, rows| {
            for row in rows {
                let id = row.get("id").map(Value::to_string).unwrap_or_default();
                let aliases = row.get("aliases").cloned().unwrap_or_default();
                import.seen.aliases.insert(id, plan::document(aliases));
            }
            Ok(())
        })
        .await
    }

    fn times(&self) -> Times<'_> {
        Times { now: self.clock.wall(), calendar: &self.calendar }
    }
}

fn progress(line: fmt::Arguments<'_>) {
    // Whoever closed the stream does not want to know.
    let _ = writeln!(io::stderr(), "{line}");
}
