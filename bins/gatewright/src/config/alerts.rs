//! Alerting: LiteLLM's keys and variables for who is told of what, and one of our own for whom mails go to.

use std::collections::BTreeMap;
use std::time::Duration;

use gatewright_alerts::{Args, ChannelSettings, EmailSettings, Encryption, Kind, Kinds, Where};
use gatewright_core::Secret;
use gatewright_limits::Every;
use http::Uri;
use serde_json::{Map, Value};

use super::file::Env;
use super::network::Authorities;
use super::problem::Problems;
use super::read::Section;
use super::{is_on, known};

/// Who is told of what.
#[derive(Clone)]
pub struct AlertSettings {
    /// What the alerts themselves need.
    pub desk: gatewright_alerts::Settings,
    /// The lengths of the periods that spend is reported of.
    pub spend_reports: Vec<Every>,
}

const CHANNELS: &str = "alerting";
const KINDS: &str = "alert_types";
const ROUTES: &str = "alert_to_webhook_url";
const ARGS: &str = "alerting_args";
const EMAILS: &str = "alert_emails";
const REPORTS: &str = "spend_report_frequency";

/// PagerDuty's address for events; another one is for those who have a relay of their own.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// As with LiteLLM: a week, beside months.
const USUAL_REPORTS: &str = "7d";

/// Types of LiteLLM's that are not told, and why.
const NOT_TOLD: [(&str, &str); 3] = [
    ("model_deprecation_warnings", "nothing here knows when a provider ends a model"),
    ("mcp_tool_description_blocked", "there are no MCP servers behind this gateway"),
    ("mcp_pinned_tools_changed", "there are no MCP servers behind this gateway"),
];

/// Nothing where nobody is told of anything.
pub(super) fn settings(
    general: &Section<'_>,
    authorities: &Authorities,
    env: Env<'_>,
    problems: &mut Problems,
) -> Option<AlertSettings> {
    let names = general.texts(CHANNELS, problems);
    if names.is_empty() {
        return None;
    }
    if general.value("alert_type_config").is_some() {
        problems
            .warn(general.at("alert_type_config"), "alerts are not collected into digests; it has no effect");
    }
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    let kinds = kinds(general, problems);
    let mut channels = Channels { general, env: &env, kinds, routed: Kinds::default(), list: Vec::new() };
    channels.route(problems);
    for name in &names {
        channels.add(name, authorities, problems);
    }
    let threshold = general.deadline("alerting_threshold", problems).unwrap_or(Duration::from_secs(300));
    let list = channels.list.into_iter().filter(|channel| !channel.kinds.is_empty()).collect();
    let base_url = env("PROXY_BASE_URL");
    let desk =
        gatewright_alerts::Settings { channels: list, threshold, args: args(general, problems), base_url };
    Some(AlertSettings { desk, spend_reports: spend_reports(general, problems) })
}

/// Channels as they are read.
struct Channels<'a> {
    general: &'a Section<'a>,
    env: &'a dyn Fn(&str) -> Option<String>,
    kinds: Kinds,
    /// Those that have addresses of their own.
    routed: Kinds,
    list: Vec<ChannelSettings>,
}

/// A channel, and its variable that is missing.
struct Unset {
    channel: &'static str,
    variable: &'static str,
}

impl From<Unset> for Where {
    fn from(Unset { channel, variable }: Unset) -> Self {
        Self::Unset { channel, variable }
    }
}

// === impl Channels ===

impl Channels<'_> {
    /// Chats that are told of single kinds.
    fn route(&mut self, problems: &mut Problems) {
        let routes = match self.general.value(ROUTES) {
            None => return,
            Some(Value::Object(map)) => map,
            Some(_) => {
                return self.general.wrong(ROUTES, "alert types and addresses", problems).unwrap_or(());
            }
        };
        let section = Section::new(self.general.at(ROUTES), routes);
        let mut by_address: BTreeMap<String, Kinds> = BTreeMap::new();
        for name in routes.keys() {
            let Some(kind) = kind(name, &section.at(name), problems) else { continue };
            for address in section.texts(name, problems) {
                let kinds = by_address.entry(address).or_default();
                *kinds = kinds.with(kind);
                self.routed = self.routed.with(kind);
            }
        }
        for (address, kinds) in by_address {
            // As with LiteLLM a kind that has an address is not told where types leave it out.
            let told = kinds.without(kinds.without(self.kinds));
            if let Some(to) = address_of(&address, &section.path, problems).map(Where::chat) {
                self.list.push(ChannelSettings { to, kinds: told });
            }
        }
    }

    fn add(&mut self, name: &str, authorities: &Authorities, problems: &mut Problems) {
        let everywhere = self.kinds.without(self.routed);
        match name {
            "slack" => {
                let names = ["SLACK_WEBHOOK_URL", "ALERTING_WEBHOOK_URL"];
                self.chat(("slack", &names), Where::chat, everywhere, problems);
            }
            "discord" => {
                self.chat(("discord", &["DISCORD_WEBHOOK_URL"]), Where::Discord, everywhere, problems)
            }
            "ms_teams" => {
                self.chat(("ms_teams", &["MS_TEAMS_WEBHOOK_URL"]), Where::Teams, everywhere, problems)
            }
            "webhook" => self.chat(("webhook", &["WEBHOOK_URL"]), Where::Webhook, self.kinds, problems),
            "pagerduty" => {
                let to = (self.env)("PAGERDUTY_EVENTS_URL").unwrap_or_else(|| PAGERDUTY.to_owned());
                let to = address_of(&to, "PAGERDUTY_EVENTS_URL", problems);
                let to = match self.variable("pagerduty", &["PAGERDUTY_API_KEY"], problems) {
                    Ok(key) => to.map(|to| Where::PagerDuty { to, key: Secret::from(key) }),
                    Err(unset) => Some(unset.into()),
                };
                self.list.extend(to.map(|to| ChannelSettings { to, kinds: self.kinds }));
            }
            "email" => {
                let to = self.email(authorities, problems);
                self.list.extend(to.map(|to| ChannelSettings { to, kinds: self.kinds }));
            }
            other => {
                let words = format!(
                    "there is no channel `{other}`; there are slack, discord, ms_teams, webhook, pagerduty, email"
                );
                problems.error(self.general.at(CHANNELS), words);
            }
        }
    }

    /// One whose address is in the environment.
    fn chat(
        &mut self,
        (channel, names): (&'static str, &[&'static str]),
        to: fn(Uri) -> Where,
        kinds: Kinds,
        problems: &mut Problems,
    ) {
        // Nobody needs an address where every kind has one of its own.
        if kinds.is_empty() && names.iter().all(|name| (self.env)(name).is_none()) {
            return;
        }
        let at = names.first().copied().unwrap_or_default();
        let to = match self.variable(channel, names, problems) {
            Ok(address) => address_of(&address, at, problems).map(to),
            Err(unset) => Some(unset.into()),
        };
        self.list.extend(to.map(|to| ChannelSettings { to, kinds }));
    }

    fn email(&self, authorities: &Authorities, problems: &mut Problems) -> Option<Where> {
        let host = self.variable("email", &["SMTP_HOST"], problems);
        let from = self.variable("email", &["SMTP_SENDER_EMAIL"], problems);
        let port = (self.env)("SMTP_PORT").map_or(Some(587), |port| port.trim().parse().ok());
        if port.is_none() {
            problems.error("SMTP_PORT", "expected the number of a port");
        }
        let encrypted = is_on(Some((self.env)("SMTP_TLS").unwrap_or_else(|| "true".to_owned())));
        let login = (self.env)("SMTP_USERNAME").zip((self.env)("SMTP_PASSWORD").map(Secret::from));
        let port = port?;
        let (host, from) = match (host, from) {
            (Ok(host), Ok(from)) => (host, from),
            (Err(unset), _) | (_, Err(unset)) => return Some(unset.into()),
        };
        Some(Where::Email(EmailSettings {
            host,
            port,
            login,
            from,
            to: self.general.texts(EMAILS, problems),
            encryption: match port {
                _ if !encrypted => Encryption::Plain,
                465 => Encryption::Tls,
                _ => Encryption::StartTls,
            },
            authorities: authorities.named.iter().map(|pem| pem.to_vec()).collect(),
        }))
    }

    /// What the first variable says that is set. As with LiteLLM the gateway starts without one; what should have been told
    /// there counts as not delivered.
    fn variable(
        &self,
        channel: &'static str,
        names: &[&'static str],
        problems: &mut Problems,
    ) -> Result<String, Unset> {
        names.iter().find_map(|name| (self.env)(name)).ok_or_else(|| {
            let variable = names.first().copied().unwrap_or_default();
            let words = format!("`{channel}` tells nobody: set the variable {variable}");
            problems.warn(self.general.at(CHANNELS), words);
            Unset { channel, variable }
        })
    }
}

fn kinds(general: &Section<'_>, problems: &mut Problems) -> Kinds {
    match general.value(KINDS) {
        None => Kinds::usual(),
        Some(_) => {
            let names = general.texts(KINDS, problems);
            names.iter().filter_map(|name| kind(name, &general.at(KINDS), problems)).collect()
        }
    }
}

fn kind(name: &str, at: &str, problems: &mut Problems) -> Option<Kind> {
    let found = Kind::parse(name);
    if found.is_none() {
        match NOT_TOLD.iter().find(|(known, _)| *known == name) {
            Some((_, why)) => problems.warn(at, format!("`{name}` is never told: {why}")),
            None => problems.error(at, format!("there is no alert type `{name}`")),
        }
    }
    found
}

/// The address is a secret, so that only its place is told where it is wrong.
fn address_of(text: &str, at: &str, problems: &mut Problems) -> Option<Uri> {
    let uri = text.trim().parse::<Uri>().ok();
    let web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let found = uri.filter(web);
    if found.is_none() {
        problems.error(at, "expected an address that begins with https://");
    }
    found
}

fn spend_reports(general: &Section<'_>, problems: &mut Problems) -> Vec<Every> {
    let text = general.text(REPORTS, problems).unwrap_or_else(|| USUAL_REPORTS.to_owned());
    let every = match Every::parse(&text) {
        Some(every @ (Every::Days(_) | Every::Months(_))) => Some(every),
        Some(Every::Seconds(_)) | None => general.wrong(REPORTS, "days, as `1d` or `7d`", problems),
    };
    let mut all: Vec<Every> = every.into_iter().collect();
    if !all.contains(&Every::Months(1)) {
        all.push(Every::Months(1));
    }
    all
}

fn args(general: &Section<'_>, problems: &mut Problems) -> Args {
    let empty = Map::new();
    let map = match general.value(ARGS) {
        None => &empty,
        Some(Value::Object(map)) => map,
        Some(_) => general.wrong(ARGS, "keys and values", problems).unwrap_or(&empty),
    };
    let section = Section::new(general.at(ARGS), map);
    known::check(ARGS, &section.path, map, problems);
    let d = Args::default();
    let number = |key: &str, p: &mut Problems| section.number(key, p).filter(|number| *number >= 0.0);
    let count = |key: &str, default: u32, p: &mut Problems| {
        section.count(key, p).map_or(default, |count| u32::try_from(count).unwrap_or(u32::MAX)).max(1)
    };
    let time = |key: &str, default: Duration, p: &mut Problems| section.deadline(key, p).unwrap_or(default);
    Args {
        daily_report_frequency: time("daily_report_frequency", d.daily_report_frequency, problems),
        report_check_interval: time("report_check_interval", d.report_check_interval, problems),
        budget_alert_ttl: time("budget_alert_ttl", d.budget_alert_ttl, problems),
        outage_alert_ttl: time("outage_alert_ttl", d.outage_alert_ttl, problems),
        region_outage_alert_ttl: time("region_outage_alert_ttl", d.region_outage_alert_ttl, problems),
        minor_outage_alert_threshold: count(
            "minor_outage_alert_threshold",
            d.minor_outage_alert_threshold,
            problems,
        ),
        major_outage_alert_threshold: count(
            "major_outage_alert_threshold",
            d.major_outage_alert_threshold,
            problems,
        ),
        max_outage_alert_list_size: count(
            "max_outage_alert_list_size",
            d.max_outage_alert_list_size,
            problems,
        ),
        log_to_console: section.flag("log_to_console", problems).unwrap_or(false),
        daily_spend_per_user_threshold: number("daily_spend_per_user_threshold", problems),
        monthly_spend_per_user_threshold: number("monthly_spend_per_user_threshold", problems),
        spend_anomaly_multiplier: number("spend_anomaly_multiplier", problems)
            .unwrap_or(d.spend_anomaly_multiplier),
        spend_anomaly_baseline_days: count(
            "spend_anomaly_baseline_days",
            d.spend_anomaly_baseline_days,
            problems,
        ),
        spend_anomaly_min_spend: number("spend_anomaly_min_spend", problems)
            .unwrap_or(d.spend_anomaly_min_spend),
        user_spend_check_interval: time("user_spend_check_interval", d.user_spend_check_interval, problems),
        alert_ttl: time("alert_ttl", d.alert_ttl, problems),
        alert_queue_size: count("alert_queue_size", 256, problems) as usize,
        alert_timeout: time("alert_timeout", d.alert_timeout, problems),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(general: &Value, env: &[(&str, &str)]) -> (Option<AlertSettings>, Vec<String>) {
        let mut problems = Problems::default();
        let map = general.as_object().unwrap();
        let env =
            |name: &str| env.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        let section = Section::new("general_settings", map);
        let read = settings(&section, &Authorities::default(), &env, &mut problems);
        (read, problems.iter().map(ToString::to_string).collect())
    }

    const SLACK: (&str, &str) = ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/secret");

    #[test]
    fn nobody_is_told_where_no_channel_is_named() {
        for general in [json!({}), json!({"alerting": null}), json!({"alerting": []})] {
            assert!(read(&general, &[SLACK]).0.is_none(), "{general}");
        }
    }

    #[test]
    fn a_kind_with_an_address_of_its_own_goes_only_there() {
        let routes = json!({
            "budget_alerts": ["https://chat/a", "https://chat/b"],
            "outage_alerts": "https://chat/a",
            "key_updates": "https://chat/c",
        });
        let (read, problems) = read(
            &json!({"alerting": ["slack", "webhook"], "alert_to_webhook_url": routes}),
            &[SLACK, ("WEBHOOK_URL", "https://hook")],
        );
        let channels = read.unwrap().desk.channels;
        let told: Vec<_> = channels
            .iter()
            .map(|channel| {
                let has = |kind| channel.kinds.has(kind);
                (channel.to.name(), has(Kind::BudgetAlerts), has(Kind::OutageAlerts), has(Kind::DbExceptions))
            })
            .collect();
        assert_eq!(
            told,
            [
                ("slack", true, true, false),
                ("slack", true, false, false),
                ("slack", false, false, true),
                ("webhook", true, true, true),
            ]
        );
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("there is no alert type `key_updates`"), "{problems:?}");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_address() {
        let wrong = json!({
            "alerting": ["slack", "email", "pigeon"],
            "alert_types": ["llm_exceptions", "model_deprecation_warnings", "nonsense"],
            "alerting_args": {"budget_alert_tll": 5, "outage_alert_ttl": "soon"},
            "spend_report_frequency": "2h",
        });
        let (_, problems) = read(&wrong, &[("SLACK_WEBHOOK_URL", "secret-address"), ("SMTP_PORT", "x")]);
        for want in [
            "SLACK_WEBHOOK_URL: expected an address",
            "set the variable SMTP_HOST",
            "set the variable SMTP_SENDER_EMAIL",
            "SMTP_PORT: expected the number",
            "there is no channel `pigeon`",
            "`model_deprecation_warnings` is never told: nothing here knows",
            "there is no alert type `nonsense`",
            "did you mean `budget_alert_ttl`",
            "outage_alert_ttl: expected a number",
            "spend_report_frequency: expected days",
        ] {
            assert!(problems.iter().any(|line| line.contains(want)), "{want} is missing in {problems:#?}");
        }
        assert!(problems.iter().all(|line| !line.contains("secret")), "{problems:?}");
    }

    #[test]
    fn a_channel_without_its_variable_is_warned_of_and_stops_no_start() {
        let map = json!({"alerting": ["slack", "pagerduty", "email"]});
        let (mut problems, section) =
            (Problems::default(), Section::new("general_settings", map.as_object().unwrap()));
        let env = |name: &str| (name == "SMTP_HOST").then(|| "mail".to_owned());
        let read = settings(&section, &Authorities::default(), &env, &mut problems).unwrap();
        let unset = |one: &ChannelSettings| match one.to {
            Where::Unset { channel, variable } => (channel, variable),
            _ => panic!("it is set"),
        };
        let unset: Vec<_> = read.desk.channels.iter().map(unset).collect();
        assert_eq!(
            unset,
            [
                ("slack", "SLACK_WEBHOOK_URL"),
                ("pagerduty", "PAGERDUTY_API_KEY"),
                ("email", "SMTP_SENDER_EMAIL")
            ]
        );
        assert_eq!((problems.are_fatal(), problems.iter().count()), (false, 3));
    }

    #[test]
    fn mail_is_encrypted_unless_somebody_says_otherwise() {
        for (more, encryption) in [
            (&[][..], Encryption::StartTls),
            (&[("SMTP_PORT", "465")], Encryption::Tls),
            (&[("SMTP_PORT", "2525"), ("SMTP_TLS", "True")], Encryption::StartTls),
            (&[("SMTP_TLS", "False")], Encryption::Plain),
        ] {
            let env = [&[("SMTP_HOST", "mail"), ("SMTP_SENDER_EMAIL", "gw@example.com")], more].concat();
            let (read, problems) =
                read(&json!({"alerting": ["email"], "alert_emails": "ops@example.com"}), &env);
            let channels = read.unwrap().desk.channels;
            let [ChannelSettings { to: Where::Email(mail), .. }] = &channels[..] else { panic!("no mail") };
            assert_eq!((mail.encryption, &mail.to[..]), (encryption, &["ops@example.com".to_owned()][..]));
            assert_eq!(problems, [""; 0]);
        }
    }

    #[test]
    fn arguments_are_litellms() {
        let general = json!({
            "alerting": "slack", "alerting_threshold": 60, "spend_report_frequency": "1d",
            "alerting_args": {"daily_report_frequency": 3600, "minor_outage_alert_threshold": "2", "log_to_console": true},
        });
        let (read, problems) = read(&general, &[SLACK]);
        let AlertSettings { desk, spend_reports } = read.unwrap();
        assert_eq!(problems, [""; 0]);
        assert_eq!(desk.threshold, Duration::from_secs(60));
        let wanted = Args {
            daily_report_frequency: Duration::from_secs(3600),
            minor_outage_alert_threshold: 2,
            log_to_console: true,
            ..Args::default()
        };
        assert_eq!(desk.args, wanted);
        assert_eq!(spend_reports, [Every::Days(1), Every::Months(1)]);
    }
}
