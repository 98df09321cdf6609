//! Who gets which records, and what clients, keys and operators want left out.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Call, Caller, Controls, OwnSink, Recording, SystemClock};
use gatewright_sinks::{Parcel, Privacy, Settings, Sinks};
use serde_json::json;
use tokio::time::sleep;

use super::fake::{Does, Fake, answer, call, make, refused, settings, start};

const REDACTED: &str = "redacted-by-litellm";

async fn recorded(settings: Settings, change: impl Fn(&mut Call)) -> Vec<Parcel> {
    let fake = Fake::new("f", Does::Take);
    let sinks = start(settings, &[&fake]);
    let mut asked = call();
    change(&mut asked);
    make(&sinks, asked.clone(), || Ok(answer())).await;
    asked.id = gatewright_core::CallId::fresh();
    make(&sinks, asked, refused).await;
    sleep(Duration::from_secs(6)).await;
    let got = fake.got.lock().unwrap();
    got.clone()
}

fn controls(change: impl FnOnce(&mut Controls)) -> Controls {
    let mut controls = Controls::default();
    change(&mut controls);
    controls
}

/// What was asked and answered is in neither of the two.
fn are_redacted(parcels: &[Parcel]) {
    assert_eq!(parcels.len(), 2);
    for parcel in parcels {
        let line = parcel.to_line();
        assert!(!line.contains("\"hi\"") && !line.contains("hello") && !line.contains("too fast"), "{line}");
        assert_eq!(parcel.value("messages"), Some(&json!([{"role": "user", "content": REDACTED}])));
    }
    assert_eq!(
        parcels[0].value("response").unwrap().pointer("/choices/0/message/content").unwrap(),
        REDACTED
    );
    assert_eq!(parcels[0].text("id"), Some(parcels[0].id()), "even the answer's id was not read");
    assert_eq!(parcels[1].text("error_str"), Some(REDACTED));
    let error = parcels[1].value("error_information").unwrap();
    assert_eq!((&error["error_code"], &error["error_class"]), (&json!("429"), &json!("RateLimitError")));
}

#[tokio::test(start_paused = true)]
async fn an_operator_a_key_or_a_client_has_content_left_out() {
    let privacy = Privacy { redact: true, ..Privacy::default() };
    are_redacted(&recorded(Settings { privacy, ..settings() }, |_| {}).await);
    let of_key = |call: &mut Call| {
        let recording = Some(Arc::new(Recording { redact: true, ..Recording::default() }));
        call.caller = Arc::new(Caller { recording, ..Caller::new("k") });
    };
    are_redacted(&recorded(settings(), of_key).await);
    let of_client = |call: &mut Call| call.controls = controls(|controls| controls.record.redact = true);
    are_redacted(&recorded(settings(), of_client).await);
    let fake = Fake::new("f", Does::Take);
    let mut registered = fake.registered();
    registered.content = false;
    let sinks = Sinks::start(settings(), vec![registered], None, Arc::new(SystemClock));
    make(&sinks, call(), || Ok(answer())).await;
    make(&sinks, call(), refused).await;
    sleep(Duration::from_secs(6)).await;
    are_redacted(&fake.got.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_client_may_want_no_record_unless_the_operator_wants_one() {
    let no_log = |call: &mut Call| call.controls = controls(|controls| controls.record.skip = true);
    assert_eq!(recorded(settings(), no_log).await.len(), 0);
    let privacy = Privacy { ignore_no_log: true, ..Privacy::default() };
    assert_eq!(recorded(Settings { privacy, ..settings() }, no_log).await.len(), 2);
    let without =
        |call: &mut Call| call.controls = controls(|controls| controls.record.without = vec!["F".into()]);
    assert_eq!(recorded(settings(), without).await.len(), 0);
    let privacy = Privacy { client_disables: false, ..Privacy::default() };
    assert_eq!(recorded(Settings { privacy, ..settings() }, without).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn fields_and_whatever_tells_of_the_key_are_left_out() {
    let privacy = Privacy {
        anonymous: true,
        excluded: vec!["messages".into(), "response".into(), "nothing".into()],
        ..Privacy::default()
    };
    let of_key =
        |call: &mut Call| call.caller = Arc::new(Caller { team: Some("t".into()), ..Caller::new("k") });
    for parcel in recorded(Settings { privacy, ..settings() }, of_key).await {
        assert!(!parcel.to_line().contains("user_api_key"), "{}", parcel.to_line());
        assert_eq!((parcel.fields().get("messages"), parcel.fields().get("response")), (None, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_gets_the_calls_that_it_wants() {
    let (successes, failures) = (Fake::new("s", Does::Take), Fake::new("f", Does::Take));
    let registered = vec![
        gatewright_sinks::Registered { failure: false, ..successes.registered() },
        gatewright_sinks::Registered { success: false, ..failures.registered() },
    ];
    let sinks = Sinks::start(settings(), registered, None, Arc::new(SystemClock));
    let good = make(&sinks, call(), || Ok(answer())).await;
    let bad = make(&sinks, call(), refused).await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!((successes.ids(), failures.ids()), (vec![good], vec![bad]));
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_sink_gets_its_calls_and_no_others() {
    let fake = Fake::new("mine", Does::Take);
    let opened = fake.clone();
    let open = move |own: &OwnSink| (&*own.name == "mine").then(|| opened.registered());
    let settings = Settings { own_sinks: 1, ..settings() };
    let sinks = Sinks::start(settings, Vec::new(), Some(Box::new(open)), Arc::new(SystemClock));
    let named = |name: &str, vars: &str| {
        let own = OwnSink {
            name: name.into(),
            success: true,
            failure: false,
            vars: vec![("host".into(), vars.into())],
        };
        let recording = Some(Arc::new(Recording { sinks: vec![own], redact: false }));
        let mut call = call();
        call.caller = Arc::new(Caller { recording, ..Caller::new("k") });
        call
    };
    let first = make(&sinks, named("mine", "a"), || Ok(answer())).await;
    make(&sinks, named("mine", "a"), refused).await;
    make(&sinks, call(), || Ok(answer())).await;
    // There is no place for another.
    make(&sinks, named("unknown", "a"), || Ok(answer())).await;
    make(&sinks, named("mine", "b"), || Ok(answer())).await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(fake.ids(), [first.as_str()]);
    let told: Vec<_> = sinks.figures().into_iter().map(|one| (one.name, one.sent, one.dropped)).collect();
    assert_eq!(told, [("own:mine".to_owned(), 1, 0), ("own".to_owned(), 0, 2)]);
    // Nothing waits for the first any more: it makes room.
    let last = make(&sinks, named("mine", "c"), || Ok(answer())).await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(fake.ids(), [first, last]);
}
