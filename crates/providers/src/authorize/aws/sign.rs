//! AWS Signature Version 4, in headers.
//!
//! Written here because it is short: the SDK's own signer comes with a score of crates, a clock and an HTTP stack of its own.
//! What is hashed, in which order, is told in <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use aws_lc_rs::digest::{Context, SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use gatewright_core::{Error, ErrorKind, Result, Utc};
use gatewright_transport::Request;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::credentials::Credentials;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The body's hash, which the object store wants to be told too.
const BODY: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// What the object store is called.
const STORE: &str = "s3";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What stands for itself in a canonical request (RFC 3986, unreserved).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What else stands for itself in a canonical path.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// For whom, where and when a signature is good.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// Unix seconds.
    pub(super) now: u64,
}

/// Signs a request that is otherwise final.
pub(super) fn sign(request: &mut Request, by: &Credentials, scope: Scope<'_>) -> Result<()> {
    let time = time_of(scope.now);
    let date = time.get(..8).unwrap_or_default();
    request.headers.remove(AUTHORIZATION);
    request.headers.insert(DATE, header(&time)?);
    if scope.service == STORE {
        request.headers.insert(BODY, header(&hash_of_body(request))?);
    }
    if let Some(token) = &by.token {
        let mut token = header(token.reveal())?;
        token.set_sensitive(true);
        request.headers.insert(TOKEN, token);
    }
    let (canonical, signed) = canonical(request, scope.service);
    let place = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let text =
        format!("{ALGORITHM}\n{time}\n{place}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
    let mut key = mac(format!("AWS4{}", by.secret.reveal()).as_bytes(), date);
    for step in [scope.region, scope.service, "aws4_request"] {
        key = mac(key.as_ref(), step);
    }
    let signature = hex(mac(key.as_ref(), &text).as_ref());
    let shown =
        format!("{ALGORITHM} Credential={}/{place}, SignedHeaders={signed}, Signature={signature}", by.id);
    let mut shown = header(&shown)?;
    shown.set_sensitive(true);
    request.headers.insert(AUTHORIZATION, shown);
    Ok(())
}

/// The request as it is hashed, and the names of the headers in it.
fn canonical(request: &Request, service: &str) -> (String, String) {
    let mut headers = signed_headers(&request.headers);
    let host = request.uri.authority().map_or("", |authority| authority.as_str());
    headers.push((HOST.as_str(), host.to_owned()));
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = names.join(";");
    let body = hash_of_body(request);
    // The path is encoded once more, whatever is encoded in it already: all services but S3 expect it so.
    let path = match service {
        STORE => request.uri.path().to_owned(),
        _ => percent_encode(request.uri.path().as_bytes(), PATH).to_string(),
    };
    let query = canonical_query(request.uri.query().unwrap_or_default());
    (format!("{}\n{path}\n{query}\n{lines}\n{names}\n{body}", request.method), names)
}

fn hash_of_body(request: &Request) -> String {
    let mut body = Context::new(&SHA256);
    request.body.iter().for_each(|piece| body.update(piece));
    hex(body.finish().as_ref())
}

/// All headers but those that somebody on the way may change; values of one name are joined, and white space is one space.
fn signed_headers(headers: &HeaderMap) -> Vec<(&str, String)> {
    let changes = |name: &HeaderName| {
        let own = [AUTHORIZATION, USER_AGENT, CONTENT_LENGTH, HOST];
        own.contains(name) || ["traceparent", "tracestate", "x-amzn-trace-id"].contains(&name.as_str())
    };
    let names = headers.keys().filter(|name| !changes(name));
    let joined = |name: &HeaderName| {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        });
        values.collect::<Vec<_>>().join(",")
    };
    names.map(|name| (name.as_str(), joined(name))).collect()
}

fn canonical_query(query: &str) -> String {
    let encoded = |text: &str| {
        let plain: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&plain, UNRESERVED).to_string()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `20150830T123600Z`.
fn time_of(seconds: u64) -> String {
    let shown = Utc(seconds).to_string();
    let shown = shown.chars().filter(|c| !matches!(c, '-' | ':'));
    shown.map(|c| if c == ' ' { 'T' } else { c }).chain(['Z']).collect()
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|_| Error::new(ErrorKind::Internal, "the AWS credentials cannot stand in a header"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gatewright_core::Secret;
    use gatewright_transport::Pieces;
    use http::Method;

    use super::*;

    /// 2015-08-30T12:36:00Z, the moment of Amazon's published cases.
    const MOMENT: u64 = 1_440_938_160;

    /// The time that the case with an ARN in its path was made at: 2021-05-11T15:40:45Z.
    const ARN_MOMENT: u64 = 1_620_747_645;

    fn signature(request: &mut Request, token: Option<&str>, scope: Scope<'_>) -> String {
        let by = Credentials {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            token: token.map(Secret::from),
            expires: None,
        };
        sign(request, &by, scope).unwrap();
        let shown = request.headers.get(AUTHORIZATION).unwrap().to_str().unwrap();
        shown.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    fn request(method: Method, uri: &str, headers: &[(&'static str, &str)], body: &'static str) -> Request {
        let body = body.as_bytes().chunks(7).map(Bytes::from_static).collect::<Pieces>();
        let mut request = Request::new(method, uri.parse().unwrap(), body);
        for (name, value) in headers {
            request.headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        request
    }

    /// Cases of Amazon's test suite for signers, as `aws-c-auth` publishes it (`tests/aws-signing-test-suite/v4`).
    #[test]
    fn amazons_published_cases_are_signed_as_published() {
        let scope = Scope { region: "us-east-1", service: "service", now: MOMENT };
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let form = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
        ];
        let trim = [("my-header1", " value1"), ("my-header2", " \"a   b   c\"")];
        let get = |uri| request(Method::GET, uri, &[], "");
        for (name, mut request, token, expected) in [
            (
                "get-vanilla",
                get("https://example.amazonaws.com/"),
                None,
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-query-order-key-case",
                get("https://example.amazonaws.com/?Param2=value2&Param1=value1"),
                None,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-vanilla-utf8-query",
                get("https://example.amazonaws.com/?%E1%88%B4=bar"),
                None,
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ),
            (
                "get-vanilla-with-session-token",
                get("https://example.amazonaws.com/"),
                Some(token),
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
            (
                "get-header-value-trim",
                request(Method::GET, "https://example.amazonaws.com/", &trim, ""),
                None,
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "get-unreserved",
                get(
                    "https://example.amazonaws.com/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                ),
                None,
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            (
                "post-vanilla",
                request(Method::POST, "https://example.amazonaws.com/", &[], ""),
                None,
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ] {
            assert_eq!(signature(&mut request, token, scope), expected, "{name}");
        }
        let mut posted = request(Method::POST, "https://example.amazonaws.com/", &form, "Param1=value1");
        signature(&mut posted, None, scope);
        let (canonical, _) = canonical(&posted, "service");
        // The published case signs the length too, which is set later here; the hash of the body is the same.
        assert!(canonical.ends_with(form[1].1), "{canonical}");
    }

    #[test]
    fn a_path_that_is_encoded_is_encoded_once_more() {
        let scope = Scope { region: "us-east-2", service: "lambda", now: ARN_MOMENT };
        let arn = "arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun";
        let uri = format!("https://lambda.us-east-2.amazonaws.com/2015-03-31/functions/{arn}/invocations");
        let mut request = request(Method::POST, &uri, &[], "");
        // `double-url-encode` of the suite.
        assert_eq!(
            signature(&mut request, None, scope),
            "4b93abbcc68be32bd64c18e2c71150660ab4c29bbd6c32a383a7517a88fc1804"
        );
    }

    /// Signed with botocore 1.44.8, Amazon's own client.
    #[test]
    fn bedrocks_paths_are_signed_as_amazons_client_signs_them() {
        let scope = Scope { region: "us-east-1", service: "bedrock", now: MOMENT };
        for (path, expected) in [
            (
                "anthropic.claude-3-5-sonnet-20240620-v1%3A0/converse",
                "40f11609b51d318bc71127993eb5b075cc12b3bde24aa11d2a25186d1fc1d196",
            ),
            (
                "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123def456/converse-stream",
                "7c3bfa7dea72c97467b16a1df759e58b90b583015ab5ec1d7724818dc1517d0f",
            ),
        ] {
            let uri = format!("https://bedrock-runtime.us-east-1.amazonaws.com/model/{path}");
            let headers = [
                ("content-type", "application/json"),
                ("user-agent", "gatewright"),
                ("traceparent", "00-1"),
                ("authorization", "Bearer old"),
            ];
            let mut request = request(Method::POST, &uri, &headers, r#"{"messages":[]}"#);
            assert_eq!(signature(&mut request, None, scope), expected, "{path}");
        }
    }

    /// Amazon's example of a PUT of an object: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
    #[test]
    fn an_object_is_put_as_amazons_example_says() {
        let headers =
            [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let body = "Welcome to Amazon S3.";
        let mut request =
            request(Method::PUT, "https://examplebucket.s3.amazonaws.com/test%24file.text", &headers, body);
        let by = Credentials {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            token: None,
            expires: None,
        };
        // 2013-05-24T00:00:00Z.
        sign(&mut request, &by, Scope { region: "us-east-1", service: "s3", now: 1_369_353_600 }).unwrap();
        let shown = request.headers.get(AUTHORIZATION).unwrap().to_str().unwrap();
        let expected = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        assert_eq!(shown.rsplit_once("Signature=").unwrap().1, expected);
        let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        assert_eq!(request.headers.get(BODY).unwrap(), hash);
    }
}
