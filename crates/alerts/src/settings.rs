//! How alerting is set up.

use std::time::Duration;

use gatewright_core::Secret;
use http::Uri;

use crate::Kinds;

/// How alerting is set up.
#[derive(Clone)]
pub struct Settings {
    /// Who is told of what.
    pub channels: Vec<ChannelSettings>,
    /// A call that takes longer is slow, and hangs as long as it is open.
    pub threshold: Duration,
    /// LiteLLM's `alerting_args`.
    pub args: Args,
    /// Where the gateway is, for whoever reads an alert.
    pub base_url: Option<String>,
}

/// One channel.
#[derive(Clone)]
pub struct ChannelSettings {
    /// Where it leads.
    pub to: Where,
    /// What is told there.
    pub kinds: Kinds,
}

/// Where a channel leads. The addresses are secrets: whoever knows one may write there.
#[derive(Clone)]
pub enum Where {
    /// An incoming webhook of Slack's, or of whoever understands the same (Mattermost, Rocket.Chat, Discord's `/slack`).
    Slack(Uri),
    /// A webhook of Discord's.
    Discord(Uri),
    /// A workflow of Microsoft Teams' that posts cards.
    Teams(Uri),
    /// Whoever takes LiteLLM's webhook events.
    Webhook(Uri),
    /// A service at PagerDuty, by its integration key.
    PagerDuty {
        /// Where events are sent.
        to: Uri,
        /// The key.
        key: Secret,
    },
    /// People with addresses.
    Email(EmailSettings),
    /// Nowhere: a variable is missing. What is told there counts as not delivered.
    Unset {
        /// The channel that it would be.
        channel: &'static str,
        /// The variable.
        variable: &'static str,
    },
}

/// How e-mail is sent.
#[derive(Clone)]
pub struct EmailSettings {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who logs in, where somebody does.
    pub login: Option<(String, Secret)>,
    /// Whom it is from.
    pub from: String,
    /// Who gets what is not about a user with an address.
    pub to: Vec<String>,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Certificates of private authorities, PEM, trusted besides the public ones.
    pub authorities: Vec<Vec<u8>>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    Plain,
    /// After a greeting; a server that cannot is told nothing.
    StartTls,
    /// From the first byte.
    Tls,
}

/// LiteLLM's `alerting_args`, and three of our own.
#[derive(Clone, Debug, PartialEq)]
pub struct Args {
    /// How often deployments and fallbacks are reported on.
    pub daily_report_frequency: Duration,
    /// How often it is looked whether a report is due.
    pub report_check_interval: Duration,
    /// How long the same budget is not told again.
    pub budget_alert_ttl: Duration,
    /// The time in which failures of a deployment are counted together.
    pub outage_alert_ttl: Duration,
    /// The same of a region.
    pub region_outage_alert_ttl: Duration,
    /// Failures that are a minor outage.
    pub minor_outage_alert_threshold: u32,
    /// Failures that are a major one.
    pub major_outage_alert_threshold: u32,
    /// Failures that are counted at most.
    pub max_outage_alert_list_size: u32,
    /// Whether alerts are logged too.
    pub log_to_console: bool,
    /// What a user may spend in a day before it is told, in dollars.
    pub daily_spend_per_user_threshold: Option<f64>,
    /// The same in a month.
    pub monthly_spend_per_user_threshold: Option<f64>,
    /// How many times the usual spend of a day is unusual.
    pub spend_anomaly_multiplier: f64,
    /// The days that say what is usual.
    pub spend_anomaly_baseline_days: u32,
    /// Dollars of a day below which nothing is unusual.
    pub spend_anomaly_min_spend: f64,
    /// How often it is looked at what users spend.
    pub user_spend_check_interval: Duration,
    /// How long other alerts of the same kind and subject are not told again.
    pub alert_ttl: Duration,
    /// Alerts that wait for a channel; further ones are dropped, which is counted.
    pub alert_queue_size: usize,
    /// The longest that one delivery may take.
    pub alert_timeout: Duration,
}

impl Default for Args {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            daily_report_frequency: seconds(43_200),
            report_check_interval: seconds(300),
            budget_alert_ttl: seconds(86_400),
            outage_alert_ttl: seconds(60),
            region_outage_alert_ttl: seconds(60),
            minor_outage_alert_threshold: 5,
            major_outage_alert_threshold: 10,
            max_outage_alert_list_size: 10,
            log_to_console: false,
            daily_spend_per_user_threshold: None,
            monthly_spend_per_user_threshold: None,
            spend_anomaly_multiplier: 3.0,
            spend_anomaly_baseline_days: 7,
            spend_anomaly_min_spend: 10.0,
            user_spend_check_interval: seconds(3600),
            alert_ttl: seconds(60),
            alert_queue_size: 256,
            alert_timeout: seconds(10),
        }
    }
}

// === impl Where ===

impl Where {
    /// A chat by its address: Discord's and Microsoft's are known by their hosts, all others speak as Slack does.
    pub fn chat(uri: Uri) -> Self {
        let host = uri.host().unwrap_or_default();
        let within = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        match () {
            () if within("discord.com") && !uri.path().ends_with("/slack") => Self::Discord(uri),
            () if ["logic.azure.com", "powerplatform.com", "webhook.office.com"].into_iter().any(within) => {
                Self::Teams(uri)
            }
            () => Self::Slack(uri),
        }
    }

    /// What it is called in figures and in the log, where its address must not stand.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Slack(_) => "slack",
            Self::Discord(_) => "discord",
            Self::Teams(_) => "ms_teams",
            Self::Webhook(_) => "webhook",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Email(_) => "email",
            Self::Unset { channel, .. } => channel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_known_by_its_address() {
        for (address, name) in [
            ("https://hooks.slack.com/services/T/B/x", "slack"),
            ("https://chat.example.com/hooks/x", "slack"),
            ("https://discord.com/api/webhooks/1/x", "discord"),
            ("https://discord.com/api/webhooks/1/x/slack", "slack"),
            ("https://notdiscord.com/api/webhooks/1/x", "slack"),
            ("https://prod-1.westeurope.logic.azure.com/workflows/x", "ms_teams"),
            ("https://a.1.environment.api.powerplatform.com/workflows/x", "ms_teams"),
            ("https://example.webhook.office.com/webhookb2/x", "ms_teams"),
        ] {
            assert_eq!(Where::chat(address.parse().unwrap()).name(), name, "{address}");
        }
    }
}
