//! Budgets that the file sets, and how money is held against all budgets.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{ErrorKind, Money};
use gatewright_limits::{Calendar, Every, Mode};
use http::StatusCode;
use serde_json::{Map, Value};

use super::problem::Problems;
use super::read::Section;
use super::settings::Sections;

/// How much may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// The most.
    pub most: Money,
    /// In which time; `None` is for ever.
    pub every: Option<Every>,
}

/// What end users may spend that have no budget of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerDefaults {
    /// The most.
    pub most: Option<Money>,
    /// The id of a budget that was made over HTTP.
    pub budget: Option<String>,
    /// Whether those are refused that were not made over HTTP.
    pub known_only: bool,
    /// Whether those pass, and tags, that nobody can say anything of while the database is away.
    pub fail_open: bool,
}

/// Budgets that hold for all callers, and how money is held.
#[derive(Clone, Debug)]
pub struct MoneySettings {
    /// How much all calls together may cost.
    pub proxy: Option<Purse>,
    /// How much each provider may cost, by its name.
    pub providers: Vec<(Arc<str>, Purse)>,
    /// What end users may spend that have no budget of their own.
    pub customers: CustomerDefaults,
    /// Where and when days begin.
    pub calendar: Calendar,
    /// What is held for a call.
    pub mode: Mode,
    /// How long a call waits for money that others hold.
    pub wait: Duration,
    /// The smallest cap that a budget may set.
    pub least_output: u64,
    /// What a client sees where a budget is spent.
    pub status: StatusCode,
}

const WAIT: Duration = Duration::from_secs(10);
const LEAST_OUTPUT: u64 = 256;

impl Sections<'_> {
    /// Budgets of the proxy and of providers.
    pub(super) fn money(&self, problems: &mut Problems) -> MoneySettings {
        let Self { router, litellm, general } = self;
        let mode = match general.text("budget_mode", problems).as_deref() {
            None | Some("strict") => Mode::Strict,
            Some("expected") => Mode::Expected,
            Some(_) => general.wrong("budget_mode", "`strict` or `expected`", problems).unwrap_or_default(),
        };
        MoneySettings {
            // LiteLLM's default of zero means none.
            proxy: purse(litellm, problems).filter(|purse| purse.most > Money::ZERO),
            providers: providers(router, problems),
            customers: CustomerDefaults {
                most: amount(litellm, "max_end_user_budget", problems),
                budget: litellm.text("max_end_user_budget_id", problems),
                known_only: litellm.flag("validate_end_user_id_in_db", problems).unwrap_or(false),
                fail_open: general.flag("fail_closed_budget_enforcement", problems) == Some(false),
            },
            calendar: calendar(litellm, problems),
            mode,
            wait: general.seconds("budget_wait", problems).unwrap_or(WAIT),
            least_output: general.count("budget_min_output", problems).unwrap_or(LEAST_OUTPUT),
            status: status(litellm, problems).unwrap_or(ErrorKind::BudgetExceeded.status()),
        }
    }
}

/// `max_budget` and `budget_duration` of a section.
pub(super) fn purse(section: &Section<'_>, problems: &mut Problems) -> Option<Purse> {
    read(section, ["max_budget", "budget_duration"], problems)
}

fn read(section: &Section<'_>, [most, every]: [&str; 2], problems: &mut Problems) -> Option<Purse> {
    let dollars = amount(section, most, problems)?;
    let every = section.text(every, problems).and_then(|text| {
        Every::parse(&text)
            .or_else(|| section.wrong(every, "a time like `30s`, `2h`, `1d`, `1mo` or `monthly`", problems))
    });
    Some(Purse { most: dollars, every })
}

fn amount(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<Money> {
    let dollars = match section.value(key)? {
        // The shortest text of a float is the decimal that was meant.
        Value::Number(number) => Money::parse_dollars(&number.to_string()),
        Value::String(text) => Money::parse_dollars(text),
        _ => None,
    };
    dollars.or_else(|| section.wrong(key, "an amount in dollars", problems))
}

/// `{openai: {budget_limit: 100, time_period: 1d}}`.
fn providers(router: &Section<'_>, problems: &mut Problems) -> Vec<(Arc<str>, Purse)> {
    const KEY: &str = "provider_budget_config";
    let map: &Map<String, Value> = match router.value(KEY) {
        None => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(_) => return router.wrong(KEY, "providers and their budgets", problems).unwrap_or_default(),
    };
    let mut found = Vec::new();
    for (name, said) in map {
        let path = format!("{}.{name}", router.at(KEY));
        let Value::Object(said) = said else {
            problems.error(path, "expected `budget_limit` and `time_period`");
            continue;
        };
        let section = Section::new(path, said);
        let purse = read(&section, ["budget_limit", "time_period"], problems);
        match purse.or_else(|| read(&section, ["max_budget", "budget_duration"], problems)) {
            Some(purse) => found.push((name.as_str().into(), purse)),
            None => problems.error(section.at("budget_limit"), "every provider named here needs a budget"),
        }
    }
    found
}

fn calendar(litellm: &Section<'_>, problems: &mut Problems) -> Calendar {
    let zone = litellm.text("timezone", problems).and_then(|name| {
        let zone = Calendar::in_zone(&name);
        zone.or_else(|| litellm.wrong("timezone", "a zone like `Europe/Berlin`", problems))
    });
    let calendar = zone.unwrap_or_default();
    let Some(time) = litellm.text("budget_reset_time", problems) else { return calendar };
    match calendar.clone().with_days_from(&time) {
        Some(shifted) => shifted,
        None => litellm.wrong("budget_reset_time", "a time like `06:30`", problems).unwrap_or(calendar),
    }
}

fn status(litellm: &Section<'_>, problems: &mut Problems) -> Option<StatusCode> {
    const KEY: &str = "budget_exceeded_status_code";
    let code = litellm.count(KEY, problems)?;
    let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let failure = status.filter(|status| status.is_client_error() || status.is_server_error());
    failure.or_else(|| litellm.wrong(KEY, "the status of a failure", problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(litellm: Value, router: Value, general: Value) -> (MoneySettings, Vec<String>) {
        let maps = [litellm, router, general].map(|value| value.as_object().cloned().unwrap_or_default());
        let [litellm, router, general] = &maps;
        let sections = Sections {
            router: Section::new("router_settings", router),
            litellm: Section::new("litellm_settings", litellm),
            general: Section::new("general_settings", general),
        };
        let mut problems = Problems::default();
        let money = sections.money(&mut problems);
        (money, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn budgets_are_read_exactly() {
        let (money, problems) = settings(
            serde_json::json!({"max_budget": 0.1, "budget_duration": "30d", "budget_exceeded_status_code": 429}),
            serde_json::json!({"provider_budget_config": {
                "openai": {"budget_limit": 1e-7, "time_period": "1d"}, "azure": {"max_budget": "100"},
            }}),
            serde_json::json!({"budget_mode": "expected", "budget_wait": 2.5, "budget_min_output": 64}),
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(money.proxy, Some(Purse { most: Money(100_000_000), every: Some(Every::Months(1)) }));
        let daily = Purse { most: Money(100), every: Some(Every::Days(1)) };
        let forever = Purse { most: Money(100_000_000_000), every: None };
        assert_eq!(money.providers, [("openai".into(), daily), ("azure".into(), forever)]);
        assert_eq!(
            (money.mode, money.wait, money.least_output),
            (Mode::Expected, Duration::from_millis(2500), 64)
        );
        assert_eq!(money.status.as_u16(), 429);
    }

    #[test]
    fn nothing_said_is_no_budget_and_nonsense_is_told() {
        let (money, problems) = settings(Value::Null, Value::Null, Value::Null);
        assert!(problems.is_empty() && money.proxy.is_none() && money.providers.is_empty());
        assert_eq!((money.mode, money.wait, money.least_output), (Mode::Strict, WAIT, LEAST_OUTPUT));
        assert!(settings(serde_json::json!({"max_budget": 0}), Value::Null, Value::Null).0.proxy.is_none());
        for (litellm, router, general, want) in [
            (serde_json::json!({"max_budget": -1}), Value::Null, Value::Null, "an amount in dollars"),
            (
                serde_json::json!({"max_budget": 1, "budget_duration": "1y"}),
                Value::Null,
                Value::Null,
                "a time like",
            ),
            (serde_json::json!({"timezone": "Mars"}), Value::Null, Value::Null, "a zone like"),
            (serde_json::json!({"budget_reset_time": "25:00"}), Value::Null, Value::Null, "a time like"),
            (serde_json::json!({"budget_exceeded_status_code": 200}), Value::Null, Value::Null, "a failure"),
            (
                Value::Null,
                serde_json::json!({"provider_budget_config": {"openai": {}}}),
                Value::Null,
                "needs a budget",
            ),
            (Value::Null, Value::Null, serde_json::json!({"budget_mode": "lax"}), "`strict` or `expected`"),
        ] {
            let (_, problems) = settings(litellm, router, general);
            assert!(problems.len() == 1 && problems[0].contains(want), "{want}: {problems:?}");
        }
    }
}
