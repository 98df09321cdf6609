//! What an administrator sets to be spent counts for all replicas.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::poll;
use serde_json::json;

use crate::scene::{PATIENCE, Scene, used};

#[test]
fn what_counts_as_spent_is_set_once_for_all_replicas() {
    let scene = Scene::start(2);
    scene.upstream.choose(|_| Some(used(10, 5)));
    let window = json!([{"budget_duration": "1d", "max_budget": 20}]);
    let key = scene.key(json!({"max_budget": 100, "budget_duration": "30d", "budget_limits": window}));
    for replica in [0, 1] {
        assert_eq!(scene.client(replica, &key).chat("m", "hi").status, 200);
    }
    for (spend, status) in [(200, 422), (0, 200), (100, 422), (50, 200)] {
        Client::of(&scene.gateways[0]).made("/key/update", json!({"key": key, "spend": spend}));
        for replica in [0, 1] {
            let client = scene.client(replica, &key);
            let obeyed = poll(PATIENCE, || (client.chat("m", "hi").status == status).then_some(()));
            assert!(obeyed.is_some(), "{spend} at {replica}: not {status}");
        }
    }
}
