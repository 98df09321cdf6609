//! Tokens against a local token server: what it is asked, how often, and what becomes of its failures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gatewright_core::{ErrorKind, HandClock, Result};
use gatewright_transport::{Request, Settings, Transport, Trust};
use serde_json::{Value, json};

use super::google::{Found, Source};
use super::{Issuer, Tokens};
use crate::Authorize;

/// 2026-11-26.
const NOW: u64 = 1_795_651_200;

/// A token server: what it was asked, in order.
struct Server {
    base: String,
    asked: Arc<StdMutex<Vec<String>>>,
}

/// How the server answers the nth question.
type Answers = Arc<dyn Fn(usize, &str) -> (u16, Value) + Send + Sync>;

impl Server {
    fn start(answers: impl Fn(usize, &str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(StdMutex::new(Vec::new()));
        let (noted, answers): (_, Answers) = (asked.clone(), Arc::new(answers));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let mut reader = BufReader::new(socket);
                let mut head = String::new();
                while reader.read_line(&mut head).unwrap_or(0) > 2 {}
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                });
                let mut body = vec![0; length.map_or(0, |text| text.trim().parse().unwrap())];
                reader.read_exact(&mut body).unwrap();
                let text = format!("{head}{}", String::from_utf8(body).unwrap());
                let nth = {
                    let mut noted = noted.lock().unwrap();
                    noted.push(text.clone());
                    noted.len() - 1
                };
                let (status, answer) = answers(nth, &text);
                let answer = answer.to_string();
                let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(NOW));
                let _ = write!(
                    reader.get_mut(),
                    "HTTP/1.1 {status} X\r\ndate: {date}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                    answer.len()
                );
            }
        });
        Self { base, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn token(nth: usize) -> (u16, Value) {
    (200, json!({"access_token": format!("ya29.{nth}"), "expires_in": 3600, "token_type": "Bearer"}))
}

fn account(server: &Server) -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    json!({
        "type": "service_account", "project_id": "p", "client_email": "a@p.iam.gserviceaccount.com",
        "private_key_id": "k1", "private_key": pem, "token_uri": format!("{}/token", server.base),
    })
    .to_string()
}

struct Stage {
    tokens: Tokens,
    clock: Arc<HandClock>,
    transport: Transport,
}

impl Stage {
    fn new(credentials: String, wrong: i64) -> Self {
        let clock = HandClock::at(NOW.checked_add_signed(wrong).unwrap());
        let found = Found { told: Some(credentials), ..Found::default() };
        let source = Source::find(found, Trust::Operator).unwrap();
        Self::of(Issuer::Google(source), clock)
    }

    fn of(issuer: Issuer, clock: Arc<HandClock>) -> Self {
        let tokens = Tokens::new(issuer, Trust::Operator, clock.clone());
        Self { tokens, clock, transport: Transport::new(Settings::default()).unwrap() }
    }

    async fn refresh(&self) -> Result<()> {
        match self.tokens.refresh(&self.transport) {
            Some(waiting) => waiting.await,
            None => Ok(()),
        }
    }

    fn shown(&self) -> String {
        let mut request = Request::fetch("http://vertex/".parse().unwrap());
        self.tokens.authorize(&mut request).unwrap();
        request.headers["authorization"].to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_service_account_signs_for_its_token_and_keeps_it() {
    let server = Server::start(|nth, _| token(nth));
    let stage = Stage::new(account(&server), 0);
    stage.refresh().await.unwrap();
    assert_eq!(stage.shown(), "Bearer ya29.0");
    assert!(stage.tokens.refresh(&stage.transport).is_none(), "a good token is not asked for again");
    let asked = server.asked();
    let (_, claim) = asked[0].split_once("assertion=").unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claim.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iss"], "a@p.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(NOW - 10), Some(NOW + 3590)));
}

#[tokio::test]
async fn calls_at_the_same_time_fetch_one_token() {
    let server = Server::start(|nth, _| token(nth));
    let stage = Stage::new(account(&server), 0);
    let (a, b, c) = tokio::join!(stage.refresh(), stage.refresh(), stage.refresh());
    a.and(b).and(c).unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_by_one_call_before_it_ends_and_by_whoever_comes_after() {
    let server = Server::start(|nth, _| token(nth));
    let stage = Stage::new(account(&server), 0);
    stage.refresh().await.unwrap();
    stage.clock.forward(Duration::from_secs(3600 - 100));
    let renewing = stage.tokens.refresh(&stage.transport).expect("it ends soon");
    assert!(stage.tokens.refresh(&stage.transport).is_none(), "one renews, the others go on");
    assert_eq!(stage.shown(), "Bearer ya29.0");
    renewing.await.unwrap();
    assert_eq!(stage.shown(), "Bearer ya29.1");
    stage.clock.forward(Duration::from_secs(7300));
    stage.refresh().await.unwrap();
    assert_eq!(stage.shown(), "Bearer ya29.2");
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_token_that_still_serves() {
    let server = Server::start(|nth, _| if nth == 0 { token(0) } else { (503, json!({})) });
    let stage = Stage::new(account(&server), 0);
    stage.refresh().await.unwrap();
    stage.clock.forward(Duration::from_secs(3600 - 100));
    stage.refresh().await.unwrap();
    assert_eq!(stage.shown(), "Bearer ya29.0");
    assert!(stage.tokens.refresh(&stage.transport).is_none(), "not asked again at once");
    stage.clock.forward(Duration::from_secs(100));
    assert_eq!(stage.refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_wrong_clock_is_set_by_the_servers() {
    let fits = |text: &str| {
        let (_, claim) = text.split_once("assertion=").unwrap();
        let claims = URL_SAFE_NO_PAD.decode(claim.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        claims["iat"].as_u64().unwrap().abs_diff(NOW) < 60
    };
    let server = Server::start(move |nth, text| match fits(text) {
        true => token(nth),
        false => (400, json!({"error": "invalid_grant"})),
    });
    let stage = Stage::new(account(&server), 7200);
    stage.refresh().await.unwrap();
    assert_eq!(stage.shown(), "Bearer ya29.1");
}

#[tokio::test]
async fn a_refusal_is_told_once_to_all_and_without_what_was_sent() {
    let server = Server::start(|_, text| (400, json!({"error": "invalid_grant", "error_description": text})));
    let stage = Stage::new(account(&server), 0);
    let (a, b) = tokio::join!(stage.refresh(), stage.refresh());
    for err in [a.unwrap_err(), b.unwrap_err()] {
        assert_eq!(err.kind(), ErrorKind::UpstreamAuth);
        let told = err.to_string();
        assert!(told.contains("(400: invalid_grant)") && !told.contains("assertion"), "{told}");
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_user_who_logged_in_has_a_token_for_its_refresh_token() {
    let server = Server::start(|nth, _| token(nth));
    let credentials = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s&1", "refresh_token": "r",
        "token_uri": format!("{}/token", server.base),
    });
    let stage = Stage::new(credentials.to_string(), 0);
    stage.refresh().await.unwrap();
    let asked = server.asked();
    assert!(
        asked[0].ends_with("grant_type=refresh_token&client_id=c&client_secret=s%261&refresh_token=r"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn another_clouds_identity_is_exchanged_and_may_act_for_an_account() {
    let server = Server::start(|nth, text| match text.lines().next().unwrap_or_default() {
        "GET /subject HTTP/1.1" => (200, json!({"id_token": "subject"})),
        "POST /act HTTP/1.1" => {
            (200, json!({"accessToken": "ya29.acting", "expireTime": "2026-11-26T01:00:00Z"}))
        }
        _ => token(nth),
    });
    let base = &server.base;
    let credentials = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/p", "token_url": format!("{base}/sts"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": {
            "url": format!("{base}/subject"), "headers": {"x-identity": "1"},
            "format": {"type": "json", "subject_token_field_name": "id_token"},
        },
        "service_account_impersonation_url": format!("{base}/act"),
    });
    let stage = Stage::new(credentials.to_string(), 0);
    stage.refresh().await.unwrap();
    assert_eq!(stage.shown(), "Bearer ya29.acting");
    let asked = server.asked();
    assert!(asked[0].contains("x-identity: 1"), "{asked:?}");
    assert!(asked[1].contains("subject_token=subject&"), "{asked:?}");
    assert!(asked[2].to_ascii_lowercase().contains("authorization: bearer ya29.1"), "{asked:?}");
}

#[tokio::test]
async fn the_machines_own_account_is_asked_of_its_metadata_server() {
    let server = Server::start(|nth, _| token(nth));
    let host = server.base.strip_prefix("http://").unwrap().to_owned();
    let found = Found { metadata: Some(host), ..Found::default() };
    let source = Source::find(found, Trust::Operator).unwrap();
    let stage = Stage {
        tokens: Tokens::new(Issuer::Google(source), Trust::Operator, Arc::new(gatewright_core::SystemClock)),
        ..Stage::new(account(&server), 0)
    };
    stage.refresh().await.unwrap();
    let asked = server.asked();
    assert!(
        asked[0].starts_with("GET /computeMetadata/v1/instance/service-accounts/default/token "),
        "{asked:?}"
    );
    assert!(asked[0].contains("metadata-flavor: Google"), "{asked:?}");
}

#[test]
fn whoever_is_not_the_operator_names_no_files_and_has_no_share_in_what_the_machine_may() {
    for told in [None, Some("/etc/hostname".to_owned())] {
        let found = Found { told, file: Some("/etc/hostname".to_owned()), ..Found::default() };
        assert!(Source::find(found, Trust::Untrusted).is_err());
    }
    let secret = r#"{"type": "service_account", "private_key": "secret-key", "client_email": 3}"#;
    let err = Source::find(Found { told: Some(secret.to_owned()), ..Found::default() }, Trust::Operator)
        .err()
        .unwrap();
    assert!(!err.to_string().contains("secret-key"), "{err}");
}

mod entra {
    use std::collections::BTreeMap;

    use aws_lc_rs::digest::{SHA256, digest};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
    use gatewright_core::Secret;

    use super::*;
    use crate::authorize::token::entra::{Entra, Told};

    /// A stage whose deployment and environment say this.
    fn stage(params: &[(&str, &str)], env: &[(&str, String)]) -> Stage {
        let params: BTreeMap<String, Secret> =
            params.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect();
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let told = Told { params: &params, env: &env, machine: true };
        let clock = HandClock::at(NOW);
        Stage::of(Issuer::Entra(Entra::find(&told).unwrap().expect("somebody's")), clock)
    }

    const APPLICATION: [(&str, &str); 2] = [("tenant_id", "t-1"), ("client_id", "c-1")];

    #[tokio::test]
    async fn an_application_shows_its_secret() {
        let server = Server::start(|nth, _| token(nth));
        let params = [APPLICATION[0], APPLICATION[1], ("client_secret", "s&1")];
        let stage = stage(&params, &[("AZURE_AUTHORITY_HOST", server.base.clone())]);
        stage.refresh().await.unwrap();
        assert_eq!(stage.shown(), "Bearer ya29.0");
        let asked = server.asked();
        assert!(asked[0].starts_with("POST /t-1/oauth2/v2.0/token "), "{asked:?}");
        assert!(
            asked[0].ends_with(
                "grant_type=client_credentials&client_id=c-1\
                 &scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&client_secret=s%261"
            ),
            "{asked:?}"
        );
    }

    #[tokio::test]
    async fn a_certificate_signs_a_claim_that_its_key_proves() {
        let server = Server::start(|nth, _| token(nth));
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let part = |label: &str, der: &[u8]| {
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = part("CERTIFICATE", b"certified") + &part("PRIVATE KEY", der.as_ref());
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let env = [("AZURE_AUTHORITY_HOST", server.base.clone()), ("AZURE_CLIENT_CERTIFICATE_PATH", path)];
        stage(&APPLICATION, &env).refresh().await.unwrap();
        let asked = server.asked();
        let (_, claim) = asked[0].split_once("client_assertion=").unwrap();
        let (signed, signature) = claim.rsplit_once('.').unwrap();
        let public = RsaKeyPair::from_pkcs8(der.as_ref()).unwrap();
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public.public_key().as_ref())
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .expect("the key's own signature");
        let parts: Vec<Value> = signed
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, b"certified"));
        assert_eq!(parts[0], json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
        assert_eq!(parts[1]["aud"], format!("{}/t-1/oauth2/v2.0/token", server.base));
        assert_eq!((&parts[1]["iss"], &parts[1]["sub"]), (&json!("c-1"), &json!("c-1")));
        assert_eq!((&parts[1]["iat"], &parts[1]["exp"]), (&json!(NOW), &json!(NOW + 600)));
    }

    #[tokio::test]
    async fn a_workload_shows_what_its_cluster_wrote_last() {
        let server =
            Server::start(|nth, _| (200, json!({"access_token": format!("t{nth}"), "expires_in": 60})));
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let env = [("AZURE_AUTHORITY_HOST", server.base.clone()), ("AZURE_FEDERATED_TOKEN_FILE", path)];
        let stage = stage(&APPLICATION, &env);
        for written in ["first\n", "second\n"] {
            std::fs::write(file.path(), written).unwrap();
            stage.refresh().await.unwrap();
            stage.clock.forward(Duration::from_secs(120));
        }
        let shown: Vec<String> = server
            .asked()
            .iter()
            .map(|text| text.split_once("client_assertion=").unwrap().1.to_owned())
            .collect();
        assert_eq!(shown, ["first", "second"]);
    }

    #[tokio::test]
    async fn a_machine_asks_the_service_beside_it_and_reads_numbers_that_are_text() {
        let server = Server::start(|nth, _| match nth {
            0 => (200, json!({"access_token": "vm", "expires_in": "86399", "resource": "r"})),
            _ => (200, json!({"access_token": "app", "expires_on": (NOW + 7200).to_string()})),
        });
        let host = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.base.clone());
        let machine = stage(&[("client_id", "c-1")], &[host]);
        machine.refresh().await.unwrap();
        let endpoint = ("IDENTITY_ENDPOINT", format!("{}/msi/token", server.base));
        let app = stage(&[], &[endpoint, ("IDENTITY_HEADER", "h-1".to_owned())]);
        app.refresh().await.unwrap();
        assert_eq!((machine.shown(), app.shown()), ("Bearer vm".to_owned(), "Bearer app".to_owned()));
        app.clock.forward(Duration::from_secs(3600));
        assert!(app.tokens.refresh(&app.transport).is_none(), "it holds two hours");
        let asked = server.asked();
        let first = "GET /metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=c-1 ";
        assert!(asked[0].starts_with(first) && asked[0].contains("metadata: true"), "{asked:?}");
        assert!(asked[1].starts_with("GET /msi/token?api-version=2019-08-01&resource="), "{asked:?}");
        assert!(asked[1].contains("x-identity-header: h-1"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_client_shows_its_name_and_secret_as_a_basic_header() {
    let server = Server::start(|nth, _| token(nth));
    let client = crate::authorize::token::Client {
        address: format!("{}/oidc/v1/token", server.base),
        id: "c-1".to_owned(),
        secret: "s:1".into(),
        scope: Some("all-apis".to_owned()),
    };
    let clock = HandClock::at(NOW);
    let stage = Stage::of(Issuer::Client(client), clock);
    stage.refresh().await.unwrap();
    let asked = server.asked();
    let basic = format!("authorization: Basic {}", STANDARD.encode("c-1:s%3A1"));
    assert!(asked[0].contains(&basic), "{asked:?}");
    assert!(asked[0].ends_with("grant_type=client_credentials&scope=all-apis"), "{asked:?}");
}

mod keyed {
    use gatewright_core::Secret;

    use super::*;
    use crate::authorize::token::Keyed;

    fn stage(keyed: Keyed) -> Stage {
        let clock = HandClock::at(NOW);
        Stage::of(Issuer::Keyed(keyed), clock)
    }

    #[tokio::test]
    async fn a_key_stands_in_a_form_and_its_token_is_kept() {
        let server = Server::start(|nth, _| token(nth));
        let field = |name: &str, value: &str| (name.to_owned(), Secret::from(value));
        let stage = stage(Keyed {
            address: format!("{}/identity/token", server.base),
            basic: None,
            fields: vec![
                field("grant_type", "urn:ibm:params:oauth:grant-type:apikey"),
                field("apikey", "k&1"),
            ],
            request_id: None,
        });
        stage.refresh().await.unwrap();
        assert_eq!(stage.shown(), "Bearer ya29.0");
        assert!(stage.tokens.refresh(&stage.transport).is_none(), "a good token is not asked for again");
        let asked = server.asked();
        assert!(asked[0].starts_with("POST /identity/token "), "{asked:?}");
        let form = "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=k%261";
        assert!(asked[0].ends_with(form) && !asked[0].contains("authorization"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_key_is_a_basic_header_and_every_question_has_an_id_of_its_own() {
        let ends = |nth: usize| match nth {
            // In milliseconds, and in seconds with shorter names.
            0 => json!({"access_token": "t0", "expires_at": (NOW + 1800) * 1000}),
            _ => json!({"tok": "t1", "exp": NOW + 2 * 1800}),
        };
        let server = Server::start(move |nth, _| (200, ends(nth)));
        let stage = stage(Keyed {
            address: format!("{}/api/v2/oauth", server.base),
            basic: Some("a2V5".into()),
            fields: vec![("scope".to_owned(), "GIGACHAT_API_PERS".into())],
            request_id: Some("rquid".parse().unwrap()),
        });
        stage.refresh().await.unwrap();
        stage.clock.forward(Duration::from_secs(1800 - 230));
        assert!(stage.tokens.refresh(&stage.transport).is_none(), "it holds half an hour");
        stage.clock.forward(Duration::from_secs(230));
        stage.refresh().await.unwrap();
        assert_eq!(stage.shown(), "Bearer t1");
        let asked = server.asked();
        let ids: Vec<&str> = asked
            .iter()
            .map(|text| text.lines().find_map(|line| line.strip_prefix("rquid: ")).unwrap().trim())
            .collect();
        assert!(
            ids[0] != ids[1] && ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'4'),
            "{ids:?}"
        );
        for text in asked {
            assert!(text.contains("authorization: Basic a2V5"), "{text}");
            assert!(text.ends_with("\r\n\r\nscope=GIGACHAT_API_PERS"), "{text}");
        }
    }
}
