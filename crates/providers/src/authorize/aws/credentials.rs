//! What AWS knows a caller by, and the forms in which its services give it out.

use gatewright_core::{Error, ErrorKind, Result, Secret};
use serde::Deserialize;

/// A key, its secret, and for how long they are good.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    /// The access key's id. It stands in every signed request, and is no secret.
    pub(super) id: String,
    /// The secret access key.
    pub(super) secret: Secret,
    /// Comes with keys that end.
    pub(super) token: Option<Secret>,
    /// Unix seconds; `None` for keys that do not end.
    pub(super) expires: Option<u64>,
}

/// The form of containers and machines.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

// === impl Credentials ===

impl Credentials {
    /// Reads the JSON that containers and machines are given.
    pub(super) fn from_json(body: &[u8]) -> Result<Self> {
        let document: Document = serde_json::from_slice(body).map_err(|_| unreadable())?;
        Ok(Self {
            id: document.access_key_id,
            secret: document.secret_access_key.into(),
            token: document.token.map(Secret::from),
            expires: document
                .expiration
                .as_deref()
                .map(|text| seconds(text).ok_or_else(unreadable))
                .transpose()?,
        })
    }

    /// Reads an answer of the Security Token Service.
    pub(super) fn from_xml(body: &str) -> Result<Self> {
        let text = |name| element(body, name).ok_or_else(unreadable);
        Ok(Self {
            id: text("AccessKeyId")?.to_owned(),
            secret: text("SecretAccessKey")?.into(),
            token: Some(text("SessionToken")?.into()),
            expires: Some(seconds(text("Expiration")?).ok_or_else(unreadable)?),
        })
    }
}

/// The text of the first element of this name.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

/// `2025-11-20T23:51:22Z` in Unix seconds.
fn seconds(text: &str) -> Option<u64> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_second()).ok()
}

fn unreadable() -> Error {
    Error::new(ErrorKind::UpstreamAuth, "the AWS credentials could not be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        let err = Credentials::from_json(br#"{"AccessKeyId":"AKID","SecretAccessKey":7,"x":"s3cret"}"#);
        assert!(err.is_err_and(|err| !format!("{err:?}").contains("s3cret")));
        assert!(Credentials::from_xml("<SecretAccessKey>s3cret</SecretAccessKey>").is_err());
    }
}
