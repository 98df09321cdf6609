//! What was spent: balances, so that budgets go on, and the sums of days.

use std::sync::Arc;

use gatewright_admin::moment;
use gatewright_core::Money;
use gatewright_store::{CarriedBalance, CarriedDay, Error as StoreError, ForeignTable, Scope, Sums};
use serde_json::Value;

use super::{Import, Row};

/// Sums of days by key and user; those by team and so on are the same calls.
pub(super) const DAYS: ForeignTable = ForeignTable { name: "LiteLLM_DailyUserSpend", key: &["id"] };

const SECONDS_A_DAY: u64 = 86_400;

impl Import {
    /// What a row says was spent; nothing where that is nothing.
    pub(super) fn balance(&mut self, scope: Scope, id: &str, row: &Row) -> Option<CarriedBalance> {
        let spent = self.money(row, "spend", id);
        // Only some of LiteLLM's tables, and newer releases, know more than the time that runs.
        let total = self.money(row, "total_spend", id).max(spent);
        let ends_at = row.get("budget_reset_at").and_then(moment);
        (total != Money::ZERO).then(|| CarriedBalance { scope, id: id.to_owned(), spent, total, ends_at })
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
        let days: Vec<CarriedDay> = rows.iter().filter_map(|row| self.day(row)).collect();
        let changed = match self.dry {
            true => days.len() as u64,
            false => self.store.carry_days(&days).await?,
        };
        self.report.count("day's sum", "new or changed", changed);
        Ok(())
    }

    fn day(&mut self, row: &Row) -> Option<CarriedDay> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (source, date) = (text("id")?.to_owned(), text("date")?);
        let Some(at) = moment(&format!("{date}T00:00:00").into()) else {
            self.report.trouble("sums of days without a date", &source);
            return None;
        };
        let since = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        let named = |name: &str| text(name).map(Arc::from);
        let [team, organization, project] =
            text("api_key").and_then(|key| self.seen.keys.get(key)).cloned().unwrap_or_default();
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
            cost: self.money(row, "spend", &source),
        };
        Some(CarriedDay { source, day: u32::try_from(since / SECONDS_A_DAY).ok()?, names, sums })
    }

    /// An amount of dollars in a column.
    fn money(&mut self, row: &Row, name: &str, id: &str) -> Money {
        let Some(number) = row.get(name).filter(|value| !value.is_null()) else { return Money::ZERO };
        Money::parse_dollars(&number.to_string()).unwrap_or_else(|| {
            self.report.trouble("amounts that are none", id);
            Money::ZERO
        })
    }
}
