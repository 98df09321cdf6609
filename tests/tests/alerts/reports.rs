//! What was spent in days, weeks and months, by whom, and deployments that fail by region.

use std::path::Path;
use std::sync::Arc;

use gatewright_core::{Clock, Money, SystemClock};
use gatewright_store::{CarriedDay, Place, Settings, Store, Sums};
use gatewright_tests::client::Client;
use gatewright_tests::gateway::deployment;
use gatewright_tests::upstream::{Script, Upstream};

use crate::{alerting, receiver, said, upstream};

/// A database in which a team spent a dollar on each of many days, and its user twenty today.
fn books(data: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let today = u32::try_from(SystemClock.unix_seconds() / 86_400).unwrap();
    let spent = |day: u32, dollars: i64| {
        let name = |name: &str| Some(Arc::from(name));
        let names = [name("k"), name("Team T"), name("u"), None, None, None, None, None];
        let sums = Sums { succeeded: 1, cost: Money(dollars * 1_000_000_000), ..Sums::default() };
        CarriedDay { source: format!("{day} {dollars}"), day, names, sums }
    };
    let mut days: Vec<_> = (1..=70).map(|back| spent(today - back, 1)).collect();
    days.push(spent(today, 20));
    runtime.block_on(async {
        let place = Place::Sqlite(data.join("gatewright.db"));
        let store = Store::open(Settings::at(place), Arc::new(SystemClock)).await.unwrap();
        store.carry_days(&days).await.unwrap();
    });
}

#[test]
fn what_was_spent_is_reported_by_day_week_and_month_and_so_is_who_spends_unusually() {
    let (upstream, hook, data) = (upstream(), receiver(), tempfile::tempdir().unwrap());
    books(data.path());
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let start = |often: &str, kinds: &str| {
        let general = format!(
            "  alerting: [slack]\n  alert_types: [{kinds}]\n  spend_report_frequency: {often}\n  alerting_args: \
             {{report_check_interval: 0.2, user_spend_check_interval: 0.2, daily_spend_per_user_threshold: 15, \
             monthly_spend_per_user_threshold: 18}}\n"
        );
        let address = format!("http://{}/slack", hook.addr());
        alerting(&models, &general).env("SLACK_WEBHOOK_URL", &address).data(data.path()).start()
    };
    let mut daily = start("1d", "spend_reports, user_spend_thresholds, user_spend_anomalies");
    let report = |words: &str| {
        let told = said(&hook, words);
        assert!(told.contains("What was spent from"), "{told}");
        told
    };
    let day = report("Spent: `$1.0`\nAttempts: `1`\nTeam: `Team T: $1.0`");
    assert!(day.contains("Level: `Low`"), "{day}");
    let of_month = |told: &str| told.contains("-01 00:00:00 until ") && told.contains("-01 00:00:00*");
    let is_month = |days: u32| format!("Attempts: `{days}`");
    let month = (28..=31).map(is_month).collect::<Vec<_>>();
    let found = gatewright_tests::gateway::poll(std::time::Duration::from_secs(20), || {
        let texts =
            hook.seen().into_iter().map(|seen| seen.json()["text"].as_str().unwrap_or_default().to_owned());
        texts.into_iter().find(|text| month.iter().any(|words| text.contains(words)))
    });
    let found = found.unwrap_or_else(|| panic!("no month: {}", daily.log()));
    assert!(of_month(&found), "{found}");
    let over = said(&hook, "A user spent more than $15");
    assert!(over.contains("User: `u`\nSpent: `$20.0000`"), "{over}");
    said(&hook, "A user spent more than $18");
    let unusual = said(&hook, "A user spent far more than usual");
    assert!(unusual.contains("Usual in a day: `$1.0000`"), "{unusual}");
    daily.terminate();
    daily.wait_for_exit();
    let _weekly = start("7d", "spend_reports");
    report("Spent: `$7.0`\nAttempts: `7`\nTeam: `Team T: $7.0`");
    // The month was told before, and so was the day: two of users' thresholds, one of what is unusual, three reports.
    assert_eq!(hook.count(), 6);
}

#[test]
fn a_region_in_which_several_deployments_fail_is_out() {
    let (upstream, hook) = (Upstream::start(), receiver());
    upstream.choose(|_| Some(Script::fails(503, "no")));
    let models = ["a", "b", "c"].map(|name| {
        let region = if name == "c" { "us-east" } else { "eu-west" };
        deployment(name, "openai/gpt-4o", &upstream, &format!("region_name: {region}, num_retries: 0"))
    });
    let general = "  alerting: [slack]\n  alert_types: [region_outage_alerts]\n  alerting_args: \
        {minor_outage_alert_threshold: 4, major_outage_alert_threshold: 6}\n\
        router_settings: {disable_cooldowns: true}\n";
    let address = format!("http://{}/slack", hook.addr());
    let gateway = alerting(&models.concat(), general).env("SLACK_WEBHOOK_URL", &address).start();
    let client = Client::of(&gateway);
    for model in ["c", "c", "c", "c", "c", "c", "a", "a", "a", "b", "b", "b"] {
        assert_eq!(client.chat(model, "hi").status, 503);
    }
    let minor = said(&hook, "Minor outage of openai in eu-west");
    assert!(minor.contains("Region: `eu-west`") && minor.contains("Other failures: `4`"), "{minor}");
    said(&hook, "Major outage of openai in eu-west");
    assert_eq!(hook.count(), 2, "one deployment is no region");
}
