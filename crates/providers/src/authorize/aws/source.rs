//! Where credentials come from: what the deployment says, else what Amazon's own clients look for, in their order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gatewright_core::{Error, ErrorKind, Result, Secret};

use super::credentials::Credentials;
use super::profile::{Files, Profile};

/// Where credentials come from.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// They are told.
    Keys(Credentials),
    /// A profile of the machine's files, which others may write anew.
    Profile { files: Files, name: String, region: String },
    /// A role that the bearer of others may take on.
    Role(Box<Source>, Role),
    /// A role for whoever shows a token of an identity provider.
    WebIdentity(Token, Role),
    /// An address that a container is told.
    Container { address: String, token: Option<Token> },
    /// The metadata service of a machine.
    Instance { endpoint: String },
}

/// A role, and who gives it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session: String,
    pub(super) external_id: Option<String>,
    /// The Security Token Service.
    pub(super) endpoint: String,
    pub(super) region: String,
}

/// A token that proves who asks.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Token {
    Text(Secret),
    /// Written anew from time to time by whoever runs the container.
    File(PathBuf),
}

/// What a deployment and its environment say.
pub(crate) struct Told<'a> {
    pub(crate) params: &'a BTreeMap<String, Secret>,
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) region: &'a str,
}

/// The environment variables that are asked for.
pub(crate) const VARIABLES: [&str; 17] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "HOME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL_STS",
];

/// Where containers ask, and where machines do.
const CONTAINER: &str = "http://169.254.170.2";
const INSTANCE: &str = "http://169.254.169.254";

/// How many profiles may refer to each other in a row.
const LONGEST_CHAIN: usize = 5;

// === impl Source ===

impl Source {
    /// Finds it; `None` where there is nothing to ask.
    pub(super) fn find(told: &Told<'_>) -> Option<Self> {
        let role = told.param("aws_role_name").map(|arn| told.role(arn));
        match (role, told.param("aws_web_identity_token")) {
            (Some(role), Some(token)) => Some(Self::WebIdentity(Token::told(token, told.env), role)),
            // The pod's own role needs no second step.
            (Some(role), None) if told.env("AWS_ROLE_ARN").as_deref() == Some(&role.arn) => {
                told.pod().or_else(|| told.bearer().map(|from| Self::Role(Box::new(from), role)))
            }
            (Some(role), None) => told.bearer().map(|from| Self::Role(Box::new(from), role)),
            (None, _) => told.bearer(),
        }
    }
}

/// What a profile's settings amount to. `files` are where it may refer to others.
pub(super) fn of_profile(files: &Files, name: &str, region: &str) -> Result<Source> {
    chained(files, name, region, LONGEST_CHAIN)
}

fn chained(files: &Files, name: &str, region: &str, left: usize) -> Result<Source> {
    let profile = files.profile(name);
    let text = |key: &str| profile.get(key).filter(|text| !text.is_empty());
    let Some(arn) = text("role_arn") else { return keys_of(&profile).ok_or_else(|| useless(name)) };
    let region = text("region").map_or(region, String::as_str);
    let role = Role {
        arn: arn.clone(),
        session: text("role_session_name").cloned().unwrap_or_else(|| SESSION.to_owned()),
        external_id: text("external_id").cloned(),
        endpoint: sts(region),
        region: region.to_owned(),
    };
    if let Some(file) = text("web_identity_token_file") {
        return Ok(Source::WebIdentity(Token::File(file.into()), role));
    }
    let from = match (text("source_profile"), text("credential_source").map(String::as_str)) {
        // A profile may be its own source: its keys, without its role.
        (Some(source), _) if source == name => keys_of(&profile).ok_or_else(|| useless(name))?,
        (Some(source), _) if left > 0 => chained(files, source, region, left - 1)?,
        (None, Some("Ec2InstanceMetadata")) => Source::Instance { endpoint: INSTANCE.to_owned() },
        _ => return Err(useless(name)),
    };
    Ok(Source::Role(Box::new(from), role))
}

const SESSION: &str = "gatewright";

fn keys_of(profile: &Profile) -> Option<Source> {
    Some(Source::Keys(Credentials {
        id: profile.get("aws_access_key_id")?.clone(),
        secret: profile.get("aws_secret_access_key")?.as_str().into(),
        token: profile.get("aws_session_token").map(|token| token.as_str().into()),
        expires: None,
    }))
}

fn useless(profile: &str) -> Error {
    Error::new(ErrorKind::UpstreamAuth, "the AWS profile holds no credentials")
        .with_detail(format!("profile '{profile}'"))
}

fn sts(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://sts.{region}.amazonaws.com{suffix}")
}

// === impl Told ===

impl Told<'_> {
    fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(Secret::reveal).filter(|text| !text.is_empty())
    }

    fn env(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|text| !text.is_empty())
    }

    fn role(&self, arn: &str) -> Role {
        let endpoint = self.param("aws_sts_endpoint").map(|url| url.trim_end_matches('/').to_owned());
        let endpoint = endpoint.or_else(|| self.env("AWS_ENDPOINT_URL_STS"));
        Role {
            arn: arn.to_owned(),
            session: self.param("aws_session_name").unwrap_or(SESSION).to_owned(),
            external_id: self.param("aws_external_id").map(str::to_owned),
            endpoint: endpoint.unwrap_or_else(|| sts(self.region)),
            region: self.region.to_owned(),
        }
    }

    /// Whoever asks, before any role that the deployment names.
    fn bearer(&self) -> Option<Source> {
        let region = self.region.to_owned();
        if let Some(name) = self.param("aws_profile_name") {
            return Some(Source::Profile { files: Files::new(self.env), name: name.to_owned(), region });
        }
        let given = |name| self.param(name).map(str::to_owned);
        self.keys(given("aws_access_key_id"), given("aws_secret_access_key"), given("aws_session_token"))
            .or_else(|| self.usual())
    }

    /// What Amazon's clients do without being told.
    fn usual(&self) -> Option<Source> {
        let [id, secret, token] =
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(|name| self.env(name));
        self.keys(id, secret, token)
            .or_else(|| self.env("AWS_PROFILE").and_then(|name| self.profile(name)))
            .or_else(|| self.pod())
            .or_else(|| self.profile("default".to_owned()))
            .or_else(|| self.container())
            .or_else(|| self.instance())
    }

    fn keys(&self, id: Option<String>, secret: Option<String>, token: Option<String>) -> Option<Source> {
        let (id, secret) = (id?, secret?.into());
        Some(Source::Keys(Credentials { id, secret, token: token.map(Secret::from), expires: None }))
    }

    /// A profile that says something about credentials.
    fn profile(&self, name: String) -> Option<Source> {
        let files = Files::new(self.env);
        let known = files.profile(&name);
        let useful = known.contains_key("role_arn") || known.contains_key("aws_access_key_id");
        useful.then(|| Source::Profile { files, name, region: self.region.to_owned() })
    }

    fn pod(&self) -> Option<Source> {
        let file = self.env("AWS_WEB_IDENTITY_TOKEN_FILE")?;
        let mut role = self.role(&self.env("AWS_ROLE_ARN")?);
        if let Some(session) = self.env("AWS_ROLE_SESSION_NAME") {
            role.session = session;
        }
        Some(Source::WebIdentity(Token::File(file.into()), role))
    }

    fn container(&self) -> Option<Source> {
        let relative = self.env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let address = relative.map(|path| format!("{CONTAINER}{path}"));
        let address = address.or_else(|| self.env("AWS_CONTAINER_CREDENTIALS_FULL_URI"))?;
        let file = self.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|file| Token::File(file.into()));
        let text = || self.env("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(|text| Token::Text(text.into()));
        Some(Source::Container { address, token: file.or_else(text) })
    }

    fn instance(&self) -> Option<Source> {
        let off = self.env("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true"));
        let endpoint = self.env("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| INSTANCE.to_owned());
        (!off).then(|| Source::Instance { endpoint: endpoint.trim_end_matches('/').to_owned() })
    }
}

// === impl Token ===

impl Token {
    /// As LiteLLM's parameter writes it: the path of a file, LiteLLM's words for a file or a variable, or the token itself.
    fn told(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Self {
        if let Some(path) = text.strip_prefix("oidc/file/") {
            return Self::File(format!("/{}", path.trim_start_matches('/')).into());
        }
        if let Some(name) = text.strip_prefix("oidc/env/") {
            return Self::Text(env(name).unwrap_or_default().into());
        }
        if let Some(path) = text.strip_prefix("oidc/env_path/").and_then(env) {
            return Self::File(path.into());
        }
        match text.starts_with('/') {
            true => Self::File(text.into()),
            false => Self::Text(text.into()),
        }
    }

    /// The token as it is now.
    pub(super) fn read(&self) -> Result<Secret> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim().into()),
                Err(err) => Err(Error::new(ErrorKind::UpstreamAuth, "the AWS identity token cannot be read")
                    .with_detail(format!("{}: {err}", path.display()))),
            },
        }
    }
}
