//! What and where a sink is: from the operator's words, or from a caller's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gatewright_core::{OwnSink, Secret};
use gatewright_providers::AwsAccess;
use gatewright_sinks::{Format, Helicone, LangfuseAccess, Lunary, S3Settings, check_address};

use super::known::{self, Kind};
use super::settings;
use crate::config::file::Env;

/// What and where a sink is.
#[derive(Clone)]
pub enum Target {
    /// Any HTTP endpoint.
    Webhook {
        /// Its address.
        endpoint: String,
        /// What goes with every request.
        headers: Vec<(String, Secret)>,
        /// How records lie in a request.
        format: Format,
    },
    /// Langfuse, by its ingestion API.
    Langfuse(LangfuseAccess),
    /// Langfuse, by its OpenTelemetry endpoint.
    LangfuseOtel(LangfuseAccess),
    /// Helicone.
    Helicone {
        /// Where it is.
        base: String,
        /// What opens it.
        key: Secret,
    },
    /// Lunary.
    Lunary {
        /// Where it is.
        base: String,
        /// The project's key.
        key: Secret,
    },
    /// A store that speaks S3.
    S3 {
        /// Where objects go.
        settings: S3Settings,
        /// Who puts them there.
        access: AwsAccess,
    },
    /// A file of JSON lines.
    File {
        /// The file; nothing for the usual one.
        path: Option<PathBuf>,
        /// How large it may be.
        most_bytes: u64,
        /// Full ones that are kept beside it.
        kept: u32,
    },
}

/// What is said of a sink.
pub(super) struct Words<'a> {
    /// A word, by LiteLLM's name for it in lower case.
    pub(super) word: &'a dyn Fn(&str) -> Option<String>,
    /// Headers of a webhook.
    pub(super) headers: Vec<(String, Secret)>,
    /// The environment, for credentials of AWS; a caller's own sink sees none.
    pub(super) env: Env<'a>,
}

const FILE_MB: u64 = 100;
const FILES_KEPT: u32 = 5;

impl Target {
    /// Reads it. Says what is wrong, without values.
    pub(super) fn read(kind: Kind, words: &Words<'_>) -> Result<Self, String> {
        match kind {
            Kind::Webhook => webhook(words),
            Kind::Langfuse => langfuse(words, "https://cloud.langfuse.com").map(Self::Langfuse),
            Kind::LangfuseOtel => langfuse(words, "https://us.cloud.langfuse.com").map(Self::LangfuseOtel),
            Kind::Helicone => {
                let base = words.address("helicone_api_base", Helicone::BASE)?;
                Ok(Self::Helicone { base, key: words.secret("helicone_api_key")? })
            }
            Kind::Lunary => {
                let base = words.address("lunary_api_url", Lunary::BASE)?;
                Ok(Self::Lunary { base, key: words.secret("lunary_public_key")? })
            }
            Kind::S3 => s3(words),
            Kind::File => file(words),
        }
    }

    /// A sink of a caller's own; `None` where it is of no use. It is told by nothing but the caller: neither the operator's
    /// credentials nor this machine's files are a caller's.
    pub(crate) fn of_caller(own: &OwnSink) -> Option<Self> {
        let kind = known::kind(&own.name).filter(|kind| !matches!(kind, Kind::S3 | Kind::File))?;
        let word = |word: &str| {
            let (_, value) = own.vars.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?;
            Some(value.reveal().to_owned()).filter(|text| !text.is_empty())
        };
        let headers = word("generic_logger_headers").map(|text| settings::listed(&text)).unwrap_or_default();
        Self::read(kind, &Words { word: &word, headers, env: &|_| None }).ok()
    }
}

// === impl Words ===

impl Words<'_> {
    fn find(&self, word: &str) -> Option<String> {
        (self.word)(word)
    }

    fn secret(&self, word: &str) -> Result<Secret, String> {
        self.find(word).map(Secret::from).ok_or_else(|| missing(word))
    }

    fn address(&self, word: &str, default: &str) -> Result<String, String> {
        let text = self.find(word).unwrap_or_else(|| default.to_owned());
        check_address(&text).map_err(|why| format!("`{word}`: {why}"))?;
        Ok(text)
    }

    fn flag(&self, word: &str) -> bool {
        self.find(word).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    fn number<T: std::str::FromStr>(&self, word: &str, default: T) -> Result<T, String> {
        let parsed = self.find(word).map_or(Ok(default), |text| text.trim().parse());
        parsed.map_err(|_| format!("`{word}`: expected a whole number"))
    }
}

fn webhook(words: &Words<'_>) -> Result<Target, String> {
    let endpoint = words.find("endpoint").or_else(|| words.find("generic_logger_endpoint"));
    let endpoint = endpoint.ok_or_else(|| missing("endpoint"))?;
    check_address(&endpoint).map_err(|why| format!("`endpoint`: {why}"))?;
    let format = match words.find("log_format") {
        None => Format::default(),
        Some(word) => {
            let wrong = || "`log_format`: expected `json_array`, `ndjson` or `single`".to_owned();
            Format::parse(&word).ok_or_else(wrong)?
        }
    };
    Ok(Target::Webhook { endpoint, headers: words.headers.clone(), format })
}

fn langfuse(words: &Words<'_>, default: &str) -> Result<LangfuseAccess, String> {
    let host = words.find("langfuse_otel_host").or_else(|| words.find("langfuse_host"));
    let host = host.unwrap_or_else(|| default.to_owned());
    check_address(&host).map_err(|why| format!("`langfuse_host`: {why}"))?;
    let secret_key = words.secret("langfuse_secret_key").or_else(|_| words.secret("langfuse_secret"));
    Ok(LangfuseAccess {
        host,
        public_key: words.secret("langfuse_public_key")?,
        secret_key: secret_key.map_err(|_| missing("langfuse_secret_key"))?,
    })
}

fn s3(words: &Words<'_>) -> Result<Target, String> {
    const ACCESS: [&str; 9] = [
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_session_name",
        "aws_profile_name",
        "aws_role_name",
        "aws_web_identity_token",
        "aws_sts_endpoint",
        "aws_external_id",
    ];
    let region = words.find("s3_region_name").or_else(|| (words.env)("AWS_REGION_NAME"));
    let region = region.or_else(|| (words.env)("AWS_REGION")).or_else(|| (words.env)("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = words.find("s3_endpoint_url");
    if let Some(endpoint) = &endpoint {
        check_address(endpoint).map_err(|why| format!("`s3_endpoint_url`: {why}"))?;
    }
    let settings = S3Settings {
        bucket: words.find("s3_bucket_name").ok_or_else(|| missing("s3_bucket_name"))?,
        region: region.clone(),
        endpoint,
        path: words.find("s3_path").unwrap_or_default(),
        team_prefix: words.flag("s3_use_team_prefix"),
        key_prefix: words.flag("s3_use_key_prefix"),
        virtual_hosted: words.flag("s3_use_virtual_hosted_style"),
        encryption: words.find("s3_server_side_encryption"),
        kms_key: words.find("s3_sse_kms_key_id"),
    };
    let param = |name: &&str| Some(((*name).to_owned(), words.find(&format!("s3_{name}"))?.into()));
    let variable = |name: &str| Some((name.to_owned(), (words.env)(name)?));
    let access = AwsAccess {
        region,
        params: ACCESS.iter().filter_map(param).collect::<BTreeMap<_, _>>(),
        env: AwsAccess::VARIABLES.into_iter().filter_map(variable).collect(),
    };
    Ok(Target::S3 { settings, access })
}

fn file(words: &Words<'_>) -> Result<Target, String> {
    Ok(Target::File {
        path: words.find("path").map(PathBuf::from),
        most_bytes: words.number("max_file_mb", FILE_MB)?.saturating_mul(1 << 20),
        kept: words.number("kept_files", FILES_KEPT)?,
    })
}

fn missing(word: &str) -> String {
    format!("expected `{word}`, here or in the environment as `{}`", word.to_ascii_uppercase())
}
