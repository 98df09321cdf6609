//! Objects in a store that speaks S3: LiteLLM's `s3_v2`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use gatewright_core::Result as Signed;
use gatewright_transport::Request;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LANGUAGE, HeaderName, HeaderValue};
use http::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::post::{Line, address};
use super::when::in_names;
use crate::{Delivered, Parcel, Sink, Undelivered};

/// Signs requests to the store. Filled by whoever knows how credentials are found.
pub trait Sign: Send + Sync + 'static {
    /// Signs a request that is otherwise final, its body's hash included.
    fn sign<'a>(&'a self, request: &'a mut Request) -> BoxFuture<'a, Signed<()>>;
}

/// Puts every record into an object of its own, whose name it keeps: one that comes twice is one.
pub struct S3 {
    name: String,
    /// With the bucket in it, without a slash at its end.
    base: String,
    settings: S3Settings,
    sign: Arc<dyn Sign>,
    line: Line,
}

/// Where objects go, and what they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3Settings {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The store, where it is not Amazon's: `http://minio:9000`.
    pub endpoint: Option<String>,
    /// What every name begins with.
    pub path: String,
    /// Whether the team's alias stands in front of the date.
    pub team_prefix: bool,
    /// Whether the key's alias does.
    pub key_prefix: bool,
    /// Whether the bucket is a part of the host's name, where the store is not Amazon's.
    pub virtual_hosted: bool,
    /// How objects are encrypted there: `AES256`, `aws:kms`.
    pub encryption: Option<String>,
    /// The key for `aws:kms`.
    pub kms_key: Option<String>,
}

const ENCRYPTION: HeaderName = HeaderName::from_static("x-amz-server-side-encryption");
const KMS_KEY: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-aws-kms-key-id");

/// What stands for itself in an object's name.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

// === impl S3 ===

impl S3 {
    /// Puts objects there.
    pub fn new(
        name: impl Into<String>,
        settings: S3Settings,
        sign: Arc<dyn Sign>,
        line: Line,
    ) -> Result<Self, String> {
        let S3Settings { bucket, region, .. } = &settings;
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let base = match (
            settings.endpoint.as_deref().map(|text| text.trim_end_matches('/')),
            settings.virtual_hosted,
        ) {
            (None, _) => format!("https://{bucket}.s3.{region}.{suffix}"),
            (Some(endpoint), false) => format!("{endpoint}/{bucket}"),
            (Some(endpoint), true) => {
                let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
                format!("{scheme}://{bucket}.{host}")
            }
        };
        address(&base, "")?;
        Ok(Self { name: name.into(), base, settings, sign, line })
    }

    async fn put(&self, parcel: &Parcel) -> Result<Delivered, Undelivered> {
        let (uri, shown) = self.place(parcel).map_err(Undelivered::never)?;
        let mut request = self.line.post(&uri, &[], parcel.to_line());
        request.method = Method::PUT;
        let headers = &mut request.headers;
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("private, immutable, max-age=31536000, s-maxage=0"),
        );
        let more = [
            (CONTENT_DISPOSITION, Some(format!("inline; filename=\"{shown}\""))),
            (ENCRYPTION, self.settings.encryption.clone()),
            (KMS_KEY, self.settings.kms_key.clone()),
        ];
        for (name, text) in more {
            headers.extend(text.and_then(|text| Some((name, HeaderValue::from_str(&text).ok()?))));
        }
        // Credentials that cannot be had now may be there later.
        self.sign.sign(&mut request).await.map_err(|err| Undelivered::later(err.message()))?;
        self.line.send(request).await.map(|_| Delivered::default())
    }

    /// `{path}/{team}/{date}/time-{time}_{id}.json`, and what a browser calls it.
    fn place(&self, parcel: &Parcel) -> Result<(Uri, String), String> {
        let (date, time) = in_names(parcel.seconds("startTime"));
        // Not the provider's to choose: with a slash in it, it would be another place.
        let id = parcel.text("id").unwrap_or(parcel.id());
        let id: String = id
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
            .collect();
        let mut key = self.settings.path.trim_matches('/').to_owned();
        let prefix =
            |on: bool, field: &str| parcel.metadata(field).filter(|_| on).and_then(|value| value.as_str());
        let parts = [
            prefix(self.settings.team_prefix, "user_api_key_team_alias"),
            prefix(self.settings.key_prefix, "user_api_key_alias"),
            Some(&*date),
        ];
        for part in parts.into_iter().flatten() {
            key = if key.is_empty() { part.to_owned() } else { format!("{key}/{part}") };
        }
        let key = format!("{key}/time-{time}_{id}.json");
        let uri = address(&self.base, &format!("/{}", utf8_percent_encode(&key, PLAIN)))?;
        Ok((uri, format!("time-{date}T{time}_{id}.json")))
    }
}

impl Sink for S3 {
    fn name(&self) -> &str {
        &self.name
    }

    fn most_parcels(&self) -> usize {
        1
    }

    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>> {
        Box::pin(async move {
            for parcel in parcels {
                self.put(parcel).await?;
            }
            Ok(Delivered::default())
        })
    }
}
