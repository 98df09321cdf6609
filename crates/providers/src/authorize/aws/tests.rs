//! Credentials from a fake of every service that gives them out, at a time that the test sets.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatewright_core::{Error, HandClock, Secret, Utc};
use gatewright_transport::{Pieces, Request, Settings, Transport};
use http::Method;

use super::super::Authorize;
use super::{Aws, Told};

/// When the tests begin, in Unix seconds.
const START: u64 = 1_763_682_682;

/// What was asked: the first line, the headers, the body.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(String, String, String)>>>);

/// Everything that gives out credentials, on one port. `answer` gets the first line and says status and body.
fn service(answer: impl Fn(&str, usize) -> (u16, String) + Send + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let seen = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut headers) = (String::new(), String::new());
            if stream.read_line(&mut first).unwrap_or(0) == 0 {
                continue;
            }
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                headers.push_str(&line.to_ascii_lowercase());
            }
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
            stream.read_exact(&mut body).unwrap();
            let count = {
                let mut seen = seen.0.lock().unwrap();
                seen.push((first.clone(), headers, String::from_utf8(body).unwrap()));
                seen.len()
            };
            let (status, text) = answer(&first, count);
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
            let _ = stream.get_mut().write_all((head + &text).as_bytes());
        }
    });
    (base, asked)
}

impl Asked {
    fn all(&self) -> Vec<(String, String, String)> {
        self.0.lock().unwrap().clone()
    }
}

fn time(second: u64) -> String {
    format!("{}Z", Utc(second).to_string().replace(' ', "T"))
}

fn role_answer(id: &str, ends: u64) -> String {
    format!(
        "<AssumeRoleResponse><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>\
         <SessionToken>tok+en==</SessionToken><Expiration>{}</Expiration></Credentials></AssumeRoleResponse>",
        time(ends)
    )
}

fn document(id: &str, ends: u64) -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"s3cret","Token":"tok","Expiration":"{}"}}"#,
        time(ends)
    )
}

struct Stage {
    aws: Aws,
    clock: Arc<HandClock>,
    transport: Transport,
}

fn stage(params: &[(&str, &str)], env: &[(&str, &str)]) -> Stage {
    let params: BTreeMap<String, Secret> =
        params.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect();
    let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let clock = HandClock::at(START);
    let told = Told { params: &params, env: &find, region: "eu-west-1" };
    let aws = Aws::new("bedrock", &told, clock.clone()).unwrap();
    Stage { aws, clock, transport: transport() }
}

fn transport() -> Transport {
    Transport::new(Settings::default()).unwrap()
}

impl Stage {
    async fn key(&self) -> Result<String, Error> {
        if let Some(refreshed) = self.aws.refresh(&self.transport) {
            refreshed.await?;
        }
        Ok(self.signed_with())
    }

    fn signed_with(&self) -> String {
        let mut request = Request::new(Method::POST, "https://host/".parse().unwrap(), Pieces::new());
        self.aws.authorize(&mut request).unwrap();
        let shown = request.headers["authorization"].to_str().unwrap();
        shown.split_once("Credential=").unwrap().1.split_once('/').unwrap().0.to_owned()
    }

    fn wait(&self, seconds: u64) {
        self.clock.forward(Duration::from_secs(seconds));
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gatewright-aws-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

const KEYS: [(&str, &str); 2] = [("aws_access_key_id", "AKIDMINE"), ("aws_secret_access_key", "m1ne")];

#[tokio::test]
async fn keys_that_are_told_need_no_service() {
    let env = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "x")];
    assert_eq!(stage(&KEYS, &env).key().await.unwrap(), "AKIDMINE");
    assert_eq!(stage(&[], &env).key().await.unwrap(), "AKIDENV");
}

#[tokio::test]
async fn a_role_is_taken_on_with_the_keys_that_are_told() {
    let (base, asked) = service(|_, _| (200, role_answer("ASIAROLE", START + 3600)));
    let mut params = KEYS.to_vec();
    params.extend([
        ("aws_role_name", "arn:aws:iam::1:role/r"),
        ("aws_session_name", "me"),
        ("aws_external_id", "e&1"),
        ("aws_sts_endpoint", &base),
    ]);
    assert_eq!(stage(&params, &[]).key().await.unwrap(), "ASIAROLE");
    let (_, headers, body) = asked.all().remove(0);
    assert!(headers.contains("credential=akidmine/20251120/eu-west-1/sts/aws4_request"), "{headers}");
    assert_eq!(
        body,
        "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me&ExternalId=e%261&Version=2011%2D06%2D15"
    );
}

#[tokio::test]
async fn a_pods_token_is_read_anew_for_every_renewal() {
    let (base, asked) =
        service(|_, count| (200, role_answer(&format!("ASIA{count}"), START + 3600 * count as u64)));
    let file = folder("pod").join("token");
    std::fs::write(&file, "first\n").unwrap();
    let env = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:r"),
        ("AWS_ENDPOINT_URL_STS", &base),
    ];
    let stage = stage(&[], &env);
    assert_eq!(stage.key().await.unwrap(), "ASIA1");
    std::fs::write(&file, "second\n").unwrap();
    stage.wait(3600);
    assert_eq!(stage.key().await.unwrap(), "ASIA2");
    let bodies: Vec<_> = asked.all().into_iter().map(|(.., body)| body).collect();
    assert!(
        bodies[0].contains("WebIdentityToken=first&") && bodies[1].contains("WebIdentityToken=second&"),
        "{bodies:?}"
    );
}

#[tokio::test]
async fn a_container_shows_its_token() {
    let (base, asked) = service(|_, _| (200, document("ASIACONTAINER", START + 3600)));
    let address = format!("{base}/v1/credentials");
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in"),
    ];
    assert_eq!(stage(&[], &env).key().await.unwrap(), "ASIACONTAINER");
    let (first, headers, _) = asked.all().remove(0);
    assert!(
        first.starts_with("GET /v1/credentials ") && headers.contains("authorization: let-me-in"),
        "{first}{headers}"
    );
}

#[tokio::test]
async fn a_containers_token_is_shown_to_nobody_far_away_in_clear() {
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/v1"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in"),
    ];
    let err = stage(&[], &env).key().await.unwrap_err();
    assert!(err.message().contains("link-local") && !format!("{err:?}").contains("let-me-in"), "{err:?}");
}

#[tokio::test]
async fn a_machine_is_asked_in_a_session() {
    let (base, asked) = service(|first, _| match first {
        _ if first.starts_with("PUT /latest/api/token ") => (200, "session".to_owned()),
        _ if first.contains("security-credentials/ ") => (200, "my-role\n".to_owned()),
        _ if first.contains("security-credentials/my-role ") => (200, document("ASIAMACHINE", START + 3600)),
        _ => (404, String::new()),
    });
    assert_eq!(
        stage(&[], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &base)]).key().await.unwrap(),
        "ASIAMACHINE"
    );
    let asked = asked.all();
    assert!(asked[0].1.contains("x-aws-ec2-metadata-token-ttl-seconds: 21600"));
    assert!(asked[1..].iter().all(|(_, headers, _)| headers.contains("x-aws-ec2-metadata-token: session")));
}

#[tokio::test]
async fn a_profile_may_name_a_role_and_whose_keys_take_it_on() {
    let folder = folder("profile");
    let [credentials, config] = ["credentials", "config"].map(|file| folder.join(file));
    std::fs::write(&credentials, "[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = b4se\n")
        .unwrap();
    std::fs::write(&config, "[profile loop]\nrole_arn = arn:r\nsource_profile = loop2\n[profile loop2]\nrole_arn = arn:r\nsource_profile = loop\n").unwrap();
    let env = [
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    assert_eq!(stage(&[("aws_profile_name", "base")], &env).key().await.unwrap(), "AKIDBASE");
    for nothing in ["loop", "unknown"] {
        let err = stage(&[("aws_profile_name", nothing)], &env).key().await.unwrap_err();
        assert!(err.detail().is_some_and(|detail| detail.contains("profile")), "{err:?}");
    }
}

#[tokio::test]
async fn calls_at_once_fetch_once() {
    let (base, asked) = service(|_, count| (200, document(&format!("ASIA{count}"), START + 3600)));
    let stage = stage(&[], &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &base)]);
    let keys = tokio::join!(stage.key(), stage.key(), stage.key());
    assert_eq!([keys.0.unwrap(), keys.1.unwrap(), keys.2.unwrap()], ["ASIA1", "ASIA1", "ASIA1"]);
    assert_eq!(asked.all().len(), 1);
}

#[tokio::test]
async fn credentials_are_renewed_ahead_of_their_end_by_one_while_others_go_on() {
    let (base, asked) =
        service(|_, count| (200, document(&format!("ASIA{count}"), START + 3600 * count as u64)));
    let stage = stage(&[], &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &base)]);
    assert_eq!(stage.key().await.unwrap(), "ASIA1");
    stage.wait(3299);
    assert!(stage.aws.refresh(&stage.transport).is_none(), "nothing is due yet");
    stage.wait(1);
    let held = stage.aws.fetching.lock().await;
    assert!(stage.aws.refresh(&stage.transport).is_none(), "another fetches already");
    drop(held);
    assert_eq!(stage.key().await.unwrap(), "ASIA2");
    assert_eq!(asked.all().len(), 2);
}

#[tokio::test]
async fn a_service_that_is_away_costs_nothing_until_the_credentials_end() {
    let (base, asked) = service(|_, count| match count {
        1 => (200, document("ASIA1", START + 3600)),
        _ => (500, "s3cret".to_owned()),
    });
    let stage = stage(&[], &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &base)]);
    stage.key().await.unwrap();
    stage.wait(3400);
    assert_eq!(stage.key().await.unwrap(), "ASIA1");
    assert_eq!(stage.key().await.unwrap(), "ASIA1");
    assert_eq!(asked.all().len(), 2, "the next is tried after a pause");
    stage.wait(200);
    let err = stage.key().await.unwrap_err();
    assert!(!format!("{err:?}").contains("s3cret"), "{err:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_put_right_by_the_answer_that_says_so() {
    let stage = stage(&KEYS, &[]);
    let signed_at = || {
        let mut request = Request::new(Method::POST, "https://host/".parse().unwrap(), Pieces::new());
        stage.aws.authorize(&mut request).unwrap();
        request.headers["x-amz-date"].to_str().unwrap().to_owned()
    };
    let told = |date: &'static str| {
        stage.aws.heed(&http::HeaderMap::from_iter([(http::header::DATE, date.parse().unwrap())]));
        signed_at()
    };
    assert_eq!(signed_at(), "20251120T235122Z");
    assert_eq!(told("Thu, 20 Nov 2025 21:51:22 GMT"), "20251120T215122Z");
    assert_eq!(told("nonsense"), "20251120T215122Z");
    assert_eq!(told("Thu, 20 Nov 2025 23:51:52 GMT"), "20251120T235122Z");
}

#[tokio::test]
async fn a_role_that_is_refused_is_told_by_amazons_word_alone() {
    let (base, _) =
        service(|_, _| (403, "<Error><Code>AccessDenied</Code><Message>s3cret</Message></Error>".to_owned()));
    let mut params = KEYS.to_vec();
    params.extend([("aws_role_name", "arn:r"), ("aws_sts_endpoint", base.as_str())]);
    let err = stage(&params, &[]).key().await.unwrap_err();
    let shown = format!("{err:?}");
    assert!(
        shown.contains("AccessDenied") && !shown.contains("s3cret") && !shown.contains("m1ne"),
        "{shown}"
    );
}
