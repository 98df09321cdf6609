//! Spend that may not be booked.

use std::time::Duration;

use gatewright_tests::client::Client;
use gatewright_tests::disk::SmallDisk;
use gatewright_tests::gateway::{deployment, poll};

use crate::{alerting, ask, receiver, said, upstream};

#[test]
fn a_journal_without_room_is_told() {
    let Some(disk) = SmallDisk::mount(16 << 20) else {
        eprintln!("nothing may be mounted here");
        return;
    };
    let (upstream, hook) = (upstream(), receiver());
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let general = "  alerting: [slack]\n  alert_types: [failed_tracking_spend]\n  journal_segment_kb: 64\n  \
        journal_when_full: continue\n";
    let address = format!("http://{}/slack", hook.addr());
    let data = disk.path().join("data");
    let mut gateway = alerting(&models, general).env("SLACK_WEBHOOK_URL", &address).data(data).start();
    disk.fill();
    let client = Client::of(&gateway);
    let full = poll(Duration::from_secs(60), || {
        assert_eq!(ask(&client), 200);
        client.get("/metrics").text().contains("gatewright_ledger_journal_full 1").then_some(())
    });
    assert!(full.is_some(), "{}", gateway.log());
    let told = said(&hook, "The journal has no next segment: its disk is full");
    assert!(told.contains("Level: `High`"), "{told}");
    // What is told of more than a few calls: some may fit into the last segment.
    let unbooked = poll(Duration::from_secs(60), || {
        assert_eq!(ask(&client), 200);
        hook.seen()
            .iter()
            .map(|seen| seen.json()["text"].to_string())
            .find(|text| text.contains("may not be booked"))
    });
    let unbooked = unbooked.unwrap_or_else(|| panic!("{}", gateway.log()));
    assert!(unbooked.contains("Attempts without a line in the journal: `"), "{unbooked}");
    assert!(!unbooked.contains("Cost of what has no line: `$0.000000`"), "{unbooked}");
    disk.clear();
    gateway.terminate();
    assert!(gateway.wait_for_exit().success(), "{}", gateway.log());
}
