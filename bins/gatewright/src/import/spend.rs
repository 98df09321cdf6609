//! What was spent: balances, so that budgets go on, and the sums of days.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use gatewright_admin::moment;
use gatewright_core::Money;
use gatewright_store::{
    CarriedBalance, CarriedDay, Error as StoreError, ForeignTable, Kind, Object, Scope, Sums,
};
use serde_json::Value;

use super::{Import, Row};

/// Sums of days by key and user; those by team and so on are the same calls.
pub(super) const DAYS: ForeignTable = ForeignTable { name: "LiteLLM_DailyUserSpend", key: &["id"] };

/// A billion dollars: with more, sums could overflow.
const TOO_MUCH: Money = Money(1_000_000_000_000_000_000);

/// Team, organization and project of keys.
type Above = HashMap<String, [Option<Arc<str>>; 3]>;

const SECONDS_A_DAY: u64 = 86_400;

impl Import {
    /// What a row says was spent; nothing where that is nothing.
    pub(super) fn balance(
        &self,
        scope: Scope,
        id: &str,
        row: &Row,
    ) -> Result<Option<CarriedBalance>, &'static str> {
        let spent = money(row, "spend")?;
        // Only some of LiteLLM's tables, and newer releases, know more than the time that runs.
        let total = money(row, "total_spend")?.max(spent);
        let own = row.get("budget_reset_at").and_then(moment);
        let shared = || {
            let budget = row.get("budget_id").and_then(Value::as_str)?;
            self.seen.resets.get(budget).copied()
        };
        let ends_at = own.or_else(shared);
        let balance = CarriedBalance { scope, id: id.to_owned(), spent, total, ends_at };
        Ok((total != Money::ZERO).then_some(balance))
    }

    /// Writes balances down, as far as they have grown.
    pub(super) async fn carry(&mut self, balances: &[CarriedBalance]) -> Result<(), StoreError> {
        let changed = match self.dry {
            true => balances.len() as u64,
            false => self.store.carry_balances(balances).await?,
        };
        self.report.count("balance", "new or changed", changed);
        Ok(())
    }

    /// Writes sums of days down, as far as they have grown.
    pub(super) async fn days(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let above = self.above(rows).await?;
        let days: Vec<CarriedDay> = rows.iter().filter_map(|row| self.day(row, &above)).collect();
        let changed = match self.dry {
            true => days.len() as u64,
            false => self.store.carry_days(&days).await?,
        };
        self.report.count("day's sum", "new or changed", changed);
        Ok(())
    }

    /// Team, organization and project of the keys of some days, as they are here.
    async fn above(&self, rows: &[Row]) -> Result<Above, StoreError> {
        if self.dry {
            return Ok(Above::new());
        }
        let key = |row: &Row| row.get("api_key").and_then(Value::as_str).map(str::to_owned);
        let keys: BTreeSet<String> = rows.iter().filter_map(key).collect();
        let found = self.store.objects(Kind::Key).find_many(&Vec::from_iter(keys)).await?;
        let text = |id: Option<&String>| id.map(|id| Arc::from(id.as_str()));
        let above = |key: Object| {
            let parents = &key.draft.parents;
            let of_team = parents.team.as_ref().and_then(|team| self.seen.organizations.get(team));
            let organization = parents.organization.as_ref().or(of_team);
            let above = [text(parents.team.as_ref()), text(organization), text(parents.project.as_ref())];
            (key.id, above)
        };
        Ok(found.into_iter().map(above).collect())
    }

    fn day(&mut self, row: &Row, above: &Above) -> Option<CarriedDay> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (source, date) = (text("id")?.to_owned(), text("date")?);
        let Some(at) = moment(&format!("{date}T00:00:00").into()) else {
            self.report.trouble("sums of days without a date", &source);
            return None;
        };
        let since = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        let named = |name: &str| text(name).map(Arc::from);
        let [team, organization, project] =
            text("api_key").and_then(|key| above.get(key)).cloned().unwrap_or_default();
        let names = [
            named("api_key"),
            team,
            named("user_id"),
            organization,
            project,
            named("model_group"),
            named("custom_llm_provider"),
            named("model"),
        ];
        let count = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or_default();
        let sums = Sums {
            succeeded: count("successful_requests"),
            failed: count("failed_requests"),
            input: count("prompt_tokens"),
            output: count("completion_tokens"),
            cache_read: count("cache_read_input_tokens"),
            cache_write: count("cache_creation_input_tokens"),
            reasoning: 0,
            cost: money(row, "spend").unwrap_or_else(|_| {
                self.report.trouble("sums of days whose amount is none", &source);
                Money::ZERO
            }),
            ..Sums::default()
        };
        Some(CarriedDay { source, day: u32::try_from(since / SECONDS_A_DAY).ok()?, names, sums })
    }
}

/// An amount of dollars in a column.
fn money(row: &Row, name: &'static str) -> Result<Money, &'static str> {
    let Some(number) = row.get(name).filter(|value| !value.is_null()) else { return Ok(Money::ZERO) };
    // What was given back may leave a little less than nothing.
    if number.as_f64().is_some_and(|amount| amount < 0.0) {
        return Ok(Money::ZERO);
    }
    Money::parse_dollars(&number.to_string()).filter(|money| *money < TOO_MUCH).ok_or(name)
}
