//! Targets that are away, hang or come back, and gateways that are stopped or killed meanwhile.

use std::path::PathBuf;

use gatewright_tests::client::Client;
use gatewright_tests::disk;
use gatewright_tests::gateway::{Gateway, poll};
use gatewright_tests::upstream::{Pause, Script, Upstream};

use crate::{PATIENCE, answer, calls, gateway, records, target, wait_for};

fn spooled(gateway: &Gateway) -> Vec<PathBuf> {
    let folder = gateway.dir().join("gatewright-data/sinks/mine");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "ndjson")).collect()
}

fn call(gateway: &Gateway, count: usize) -> Vec<String> {
    let client = Client::of(gateway);
    let one = |_| {
        let told = client.chat("m", "hi");
        assert_eq!(told.status, 200, "{}", told.text());
        told.header("x-litellm-call-id").to_owned()
    };
    (0..count).map(one).collect()
}

#[test]
fn what_a_target_did_not_take_outlives_a_killed_gateway() {
    let (upstream, webhook) = (Upstream::start(), target(503));
    let mut gateway = gateway(&upstream, &webhook, "").start();
    let mut ids = call(&gateway, 5);
    let count = |file: &PathBuf| std::fs::read_to_string(file).map_or(0, |text| text.lines().count());
    let kept = poll(PATIENCE, || {
        Some(spooled(&gateway)).filter(|files| files.iter().map(count).sum::<usize>() == 5)
    });
    assert!(kept.is_some(), "{:?} {}", spooled(&gateway), gateway.log());
    gateway.kill();
    answer(&webhook, 200);
    gateway.restart();
    ids.extend(call(&gateway, 1));
    let records = wait_for(&gateway, &webhook, 6);
    assert_eq!(calls(&records), ids.into_iter().collect());
    assert_eq!(records.len(), 6, "nothing was taken before, so nothing comes twice");
    assert!(
        poll(PATIENCE, || spooled(&gateway).is_empty().then_some(())).is_some(),
        "nothing is left on the disk"
    );
}

#[test]
fn a_target_that_comes_back_gets_everything() {
    let (upstream, webhook) = (Upstream::start(), target(503));
    let gateway = gateway(&upstream, &webhook, "").start();
    let mut ids = call(&gateway, 3);
    webhook.wait_for_requests(1);
    ids.extend(call(&gateway, 3));
    answer(&webhook, 200);
    let records = wait_for(&gateway, &webhook, 6);
    assert_eq!(calls(&records), ids.into_iter().collect());
    let log = gateway.log();
    assert!(log.contains("a sink does not take records") && log.contains("takes records again"), "{log}");
}

#[test]
fn a_target_that_hangs_costs_no_call_anything() {
    let (upstream, webhook) = (Upstream::start(), Upstream::start());
    webhook
        .choose(|_| Some(Script { before_head: Pause::millis(600_000), ..Script::replay(200, &[], "{}") }));
    let mut gateway = gateway(&upstream, &webhook, "").start();
    call(&gateway, 3);
    webhook.wait_for_requests(1);
    call(&gateway, 3);
    gateway.terminate();
    assert!(gateway.wait_for_exit().success(), "{}", gateway.log());
    answer(&webhook, 200);
    gateway.restart();
    let records = wait_for(&gateway, &webhook, 6);
    assert_eq!(calls(&records).len(), 6, "it stopped in time and kept them");
}

#[test]
fn a_gateway_that_stops_sends_what_waits() {
    let (upstream, webhook) = (Upstream::start(), target(200));
    let setup = gateway(&upstream, &webhook, "");
    let mut gateway = setup.env("GATEWRIGHT__CALLBACK_SETTINGS__MINE__FLUSH_INTERVAL", "600").start();
    let ids = call(&gateway, 3);
    assert_eq!(records(&webhook).len(), 0, "they wait for their batch");
    gateway.terminate();
    assert!(gateway.wait_for_exit().success(), "{}", gateway.log());
    assert_eq!(calls(&records(&webhook)), ids.into_iter().collect());
}

#[test]
fn a_disk_that_hangs_holds_up_neither_calls_nor_probes_nor_the_end() {
    let (upstream, webhook) = (Upstream::start(), target(503));
    let data = tempfile::tempdir().unwrap();
    // The first that cannot be delivered is written there.
    disk::hang(&data.path().join("sinks/mine/000000000000-1.fresh"));
    let mut gateway = gateway(&upstream, &webhook, "").data(data.path()).start();
    call(&gateway, 1);
    let down = poll(PATIENCE, || {
        let metrics = Client::of(&gateway).get("/metrics").text();
        metrics.contains("gatewright_sinks_up{sink=\"mine\"} 0").then_some(())
    });
    assert!(down.is_some(), "{}", gateway.log());
    for _ in 0..3 {
        // Each with a connection of its own: somebody has to accept it.
        call(&gateway, 1);
        for probe in ["/health/liveliness", "/health/readiness", "/metrics"] {
            assert_eq!(Client::of(&gateway).get(probe).status, 200, "{probe}");
        }
    }
    let metrics = Client::of(&gateway).get("/metrics").text();
    assert!(metrics.contains("gatewright_sinks_queued{sink=\"mine\"} 4"), "they wait in memory: {metrics}");
    gateway.terminate();
    assert!(gateway.wait_for_exit().success(), "{}", gateway.log());
    let log = gateway.log();
    assert!(log.contains("a disk does not answer") && log.contains("records=4"), "{log}");
}
