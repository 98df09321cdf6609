//! `database_url` and what belongs to it.

use std::path::Path;
use std::time::Duration;

use gatewright_core::Secret;
use gatewright_store::{Place, Settings};

use super::file::Env;
use super::problem::Problems;
use super::read::Section;

/// The database's file in the data directory, where no other is said.
const FILE: &str = "gatewright.db";

/// How long LiteLLM's retention may be said in days, hours and so on.
const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];

/// Where the database is, and how it is asked.
pub(super) fn settings(
    general: &Section<'_>,
    data: &Path,
    env: Env<'_>,
    problems: &mut Problems,
) -> Settings {
    let url = general.text("database_url", problems).or_else(|| env("DATABASE_URL"));
    let place = match url.filter(|url| !url.is_empty()) {
        None => Place::Sqlite(data.join(FILE)),
        Some(url) if ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) => {
            Place::Postgres(Secret::from(url))
        }
        Some(url) => match url.strip_prefix("sqlite://") {
            Some(path) => Place::Sqlite(path.into()),
            None => {
                problems.error(general.at("database_url"), "expected `postgres://…` or `sqlite://…`");
                Place::Sqlite(data.join(FILE))
            }
        },
    };
    let mut settings = Settings::at(place);
    let connections = general.count("database_connection_pool_limit", problems);
    if let Some(connections) = connections.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
        settings.connections = connections;
    }
    if let Some(acquire) = general.seconds("database_connection_pool_timeout", problems) {
        settings.acquire = acquire;
    }
    if let Some(kept) = retention(general, problems) {
        settings.retention_days = kept.as_secs().div_ceil(86_400).max(1);
    }
    settings
}

/// `maximum_spend_logs_retention_period: 30d`.
fn retention(general: &Section<'_>, problems: &mut Problems) -> Option<Duration> {
    const KEY: &str = "maximum_spend_logs_retention_period";
    let text = general.text(KEY, problems)?;
    let unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.trim().strip_suffix(*unit)?, *seconds)));
    let seconds = unit.and_then(|(number, seconds)| number.trim().parse::<u64>().ok()?.checked_mul(seconds));
    match seconds {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => general.wrong(KEY, "a duration as `30d`", problems),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(section: serde_json::Value, env: Env<'_>) -> (String, u64, usize) {
        let map = section.as_object().unwrap();
        let mut problems = Problems::default();
        let settings =
            settings(&Section::new("general_settings", map), Path::new("data"), env, &mut problems);
        let place = match settings.place {
            Place::Sqlite(path) => path.display().to_string(),
            Place::Postgres(url) => url.reveal().to_owned(),
        };
        (place, settings.retention_days, problems.iter().count())
    }

    #[test]
    fn the_database_is_where_it_is_said_to_be() {
        let none = |_: &str| None;
        let in_env = |name: &str| (name == "DATABASE_URL").then(|| "postgresql://env/db".to_owned());
        let check = |section, env: Env<'_>, place: &str, days, problems| {
            assert_eq!(read(section, env), (place.to_owned(), days, problems));
        };
        check(json!({}), &none, "data/gatewright.db", 90, 0);
        check(json!({"database_url": "postgres://a:b@c/d"}), &none, "postgres://a:b@c/d", 90, 0);
        check(json!({"database_url": "postgres://file/d"}), &in_env, "postgres://file/d", 90, 0);
        check(json!({}), &in_env, "postgresql://env/db", 90, 0);
        check(json!({"database_url": "sqlite:///srv/gw.db"}), &none, "/srv/gw.db", 90, 0);
        check(json!({"database_url": "mysql://a/b"}), &none, "data/gatewright.db", 90, 1);
        let kept = |text: &str| json!({"maximum_spend_logs_retention_period": text});
        check(kept("30d"), &none, "data/gatewright.db", 30, 0);
        check(kept("36h"), &none, "data/gatewright.db", 2, 0);
        check(kept("soon"), &none, "data/gatewright.db", 90, 1);
    }
}
