//! `router_settings`, `litellm_settings` and `general_settings` as the settings of the layers.

use std::path::PathBuf;
use std::time::Duration;

use gatewright_core::Secret;
use gatewright_gateway::{Admission, MemoryLimits, OnLeave};
use gatewright_spend::{OnFull, Sync};

use super::network;
use super::problem::Problems;
use super::read::Section;

/// The three sections of a file.
pub(super) struct Sections<'a> {
    pub(super) router: Section<'a>,
    pub(super) litellm: Section<'a>,
    pub(super) general: Section<'a>,
}

/// Limits that hold for all callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Calls of all callers at the same time.
    pub parallel: Option<u64>,
    /// Calls of one key at the same time.
    pub parallel_per_key: Option<u64>,
}

/// Where and how attempts are journalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// The directory of all data of this gateway.
    pub data_dir: PathBuf,
    /// How large each of its files is.
    pub segment_bytes: u64,
    /// When records are forced to the disk.
    pub sync: Sync,
    /// What happens when the disk is full.
    pub on_full: OnFull,
}

impl Sections<'_> {
    /// Limits of the HTTP surface.
    pub(super) fn gateway(&self, problems: &mut Problems) -> gatewright_gateway::Settings {
        let defaults = gatewright_gateway::Settings::default();
        let general = &self.general;
        let mut json = defaults.json;
        if let Some(depth) = general.count("max_json_depth", problems) {
            json.depth = u32::try_from(depth).unwrap_or(json.depth).min(json.depth);
        }
        let megabytes = general.number("max_request_size_mb", problems);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of bytes"
        )]
        let max_body_bytes = megabytes.filter(|mb| *mb > 0.0).map(|mb| (mb * 1_048_576.0) as usize);
        let whole = |value: Option<u64>| value.and_then(|n| usize::try_from(n).ok());
        gatewright_gateway::Settings {
            max_body_bytes: max_body_bytes.unwrap_or(defaults.max_body_bytes),
            json,
            header_deadline: general.deadline("header_timeout", problems).unwrap_or(defaults.header_deadline),
            body_idle: general.deadline("body_timeout", problems).unwrap_or(defaults.body_idle),
            write_idle: general.deadline("write_timeout", problems).unwrap_or(defaults.write_idle),
            keep_alive: general.seconds("keep_alive", problems).unwrap_or(defaults.keep_alive),
            max_connections: whole(general.count("max_connections", problems))
                .unwrap_or(defaults.max_connections),
            admission: self.admission(problems),
            grace: general.seconds("shutdown_grace", problems).unwrap_or(defaults.grace),
            max_retries: general
                .count("max_client_retries", problems)
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(defaults.max_retries),
            max_tags: whole(general.count("max_request_tags", problems)).unwrap_or(defaults.max_tags),
            client_mock_response: general.flag("allow_client_mock_response", problems).unwrap_or(false),
            always_usage: general.flag("always_include_stream_usage", problems).unwrap_or(false),
            on_leave: self.on_leave(problems),
            kept_responses: self.kept_responses(problems),
            cross_origin: defaults.cross_origin,
            trusted_proxies: network::trusted_proxies(general, problems),
            metrics_need_key: self
                .litellm
                .flag("require_auth_for_metrics_endpoint", problems)
                .unwrap_or(true),
            show_upstream_headers: self.litellm.flag("return_response_headers", problems).unwrap_or(true),
        }
    }

    /// Calls at the same time and calls that wait. LiteLLM counts them a worker, which is a process of its own there; here
    /// they are of this process, whose threads share one door.
    fn admission(&self, problems: &mut Problems) -> Admission {
        const CALLS: &str = "max_in_flight_requests_per_worker";
        let (general, defaults) = (&self.general, Admission::default());
        let calls = match general.count(CALLS, problems) {
            None => defaults.calls,
            Some(0) => general.wrong(CALLS, "at least 1", problems).unwrap_or(defaults.calls),
            Some(calls) => u32::try_from(calls).unwrap_or(u32::MAX),
        };
        let waiting = general.count("max_queued_requests_per_worker", problems);
        let patience = general.seconds("admission_queue_timeout_seconds", problems);
        let bearable = general.count("max_worker_delay_ms", problems);
        Admission {
            calls,
            waiting: waiting.map_or(defaults.waiting, |most| usize::try_from(most).unwrap_or(usize::MAX)),
            patience: patience.unwrap_or(defaults.patience),
            bearable: bearable.map_or(defaults.bearable, Duration::from_millis),
        }
    }

    /// How many answers are kept that can be gone on from, and for how long.
    fn kept_responses(&self, problems: &mut Problems) -> MemoryLimits {
        let (general, defaults) = (&self.general, MemoryLimits::default());
        let whole = |value: Option<u64>| value.and_then(|n| usize::try_from(n).ok());
        let days = general.count("response_store_days", problems);
        MemoryLimits {
            most: whole(general.count("response_store_limit", problems)).unwrap_or(defaults.most),
            bytes: whole(general.count("response_store_mb", problems))
                .map_or(defaults.bytes, |mb| mb.saturating_mul(1 << 20)),
            lifetime: days.map_or(defaults.lifetime, |days| Duration::from_secs(days.saturating_mul(86_400))),
        }
    }

    /// Whether they are kept in the database, for all replicas.
    pub(super) fn stores_responses(&self, problems: &mut Problems) -> bool {
        const KEY: &str = "response_store";
        match self.general.text(KEY, problems).as_deref() {
            None | Some("memory") => false,
            Some("database") => true,
            Some(_) => self.general.wrong(KEY, "`memory` or `database`", problems).unwrap_or(false),
        }
    }

    /// What becomes of calls whose clients leave.
    fn on_leave(&self, problems: &mut Problems) -> OnLeave {
        const KEY: &str = "on_client_leave";
        let general = &self.general;
        let within = general.deadline("drain_timeout", problems).unwrap_or(Duration::from_secs(60));
        let most = general.count("drain_limit", problems).and_then(|n| usize::try_from(n).ok());
        match general.text(KEY, problems).as_deref() {
            None | Some("cancel") => OnLeave::Cancel,
            Some("drain") => OnLeave::Drain { within, most: most.unwrap_or(1_000) },
            Some(_) => general.wrong(KEY, "`cancel` or `drain`", problems).unwrap_or(OnLeave::Cancel),
        }
    }

    /// Limits of all callers together and of each.
    pub(super) fn limits(&self, problems: &mut Problems) -> ProxyLimits {
        ProxyLimits {
            parallel: self.general.count("global_max_parallel_requests", problems),
            parallel_per_key: self.general.count("max_parallel_requests", problems),
        }
    }

    /// The journal's place and its promises.
    pub(super) fn journal(&self, problems: &mut Problems) -> JournalSettings {
        let general = &self.general;
        let sync = match general.text("journal_sync", problems).as_deref() {
            None => Sync::Every(Duration::from_millis(50)),
            Some("always") => Sync::Always,
            Some("never") => Sync::Never,
            Some(text) => match text.trim_end_matches("ms").trim().parse() {
                Ok(millis) => Sync::Every(Duration::from_millis(millis)),
                Err(_) => {
                    problems.error(general.at("journal_sync"), "expected milliseconds, `always` or `never`");
                    Sync::Always
                }
            },
        };
        let on_full = match general.text("journal_when_full", problems).as_deref() {
            None | Some("refuse") => OnFull::Refuse,
            Some("continue") => OnFull::Continue,
            Some(_) => {
                problems.error(general.at("journal_when_full"), "expected `refuse` or `continue`");
                OnFull::Refuse
            }
        };
        let data_dir = general.text("data_dir", problems).unwrap_or_else(|| "gatewright-data".to_owned());
        JournalSettings {
            data_dir: data_dir.into(),
            segment_bytes: self.segment_kb(problems) << 10,
            sync,
            on_full,
        }
    }

    /// How large each file of the journal is.
    fn segment_kb(&self, problems: &mut Problems) -> u64 {
        const KEY: &str = "journal_segment_kb";
        const DEFAULT: u64 = 16 << 10;
        match self.general.count(KEY, problems) {
            None => DEFAULT,
            Some(kb @ 64..=1_048_576) => kb,
            Some(_) => self.general.wrong(KEY, "64 to 1048576", problems).unwrap_or(DEFAULT),
        }
    }

    /// Who may call.
    pub(super) fn access(&self, problems: &mut Problems) -> gatewright_auth::Settings {
        const HEADER: &str = "litellm_key_header_name";
        let key = self.general.text("master_key", problems).filter(|key| !key.is_empty());
        let header = self.general.text(HEADER, problems).and_then(|name| {
            name.parse().ok().or_else(|| self.general.wrong(HEADER, "the name of a header", problems))
        });
        let defaults = gatewright_auth::Settings::default();
        let seconds = |key: &str, problems: &mut Problems| self.general.seconds(key, problems);
        gatewright_auth::Settings {
            master_key: key.map(Secret::from),
            key_header: header,
            fresh: seconds("user_api_key_cache_ttl", problems).unwrap_or(defaults.fresh),
            keep: seconds("key_outage_grace", problems).unwrap_or(defaults.keep),
            admit_unknown: self
                .general
                .flag("allow_requests_on_db_unavailable", problems)
                .unwrap_or(defaults.admit_unknown),
            recorded: defaults.recorded,
            shown_metadata: defaults.shown_metadata,
        }
    }

    /// Whether a missing or published master key is accepted outside of this machine.
    pub(super) fn permits_weak_key(&self, problems: &mut Problems) -> bool {
        self.general.flag("dangerously_permit_weak_or_unset_master_key", problems).unwrap_or(false)
    }
}
