//! What counts as wrong, and that the table says so in words.

use serde_json::{Value, json};

use super::*;

fn status(change: impl FnOnce(&mut Value)) -> Status {
    let mut value = json!({
        "revision": 42, "mode": "enforce", "host": "h1",
        "rings": {
            "packet": {"state": "up", "interfaces": [
                    {"name": "lo", "hook": "", "mode": "", "covered": false, "reason": "never attached"},
                    {"name": "eth0", "hook": "xdp", "mode": "native", "covered": true, "reason": "uplink"},
                ],
                "guards": [{"port": 9000, "address": "any", "policy": "none"}],
                "entries": 3, "capacity": 1000, "reason": ""},
            "connection": {"state": "up", "listen": ["0.0.0.0:8765"], "connections": 2, "reason": ""},
            "request": {"state": "up", "reason": ""},
        },
        "clients": 1, "rollouts": 2, "live_streams": 1, "drift": 0,
        "drops": {"stranger": 7, "fragment": 9, "spoofed": 0}, "warnings": []
    });
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

#[test]
fn an_uncovered_interface_or_drift_is_a_finding() {
    assert_eq!(findings(&status(|_| {})), Vec::<String>::new());
    let uncovered =
        status(|value| value["rings"]["packet"]["interfaces"][1]["covered"] = json!(false));
    assert_eq!(findings(&uncovered), ["interface eth0 is not covered"]);
    assert_eq!(
        findings(&status(|value| value["drift"] = json!(2))).len(),
        1
    );
}

/// An agent that is gone reports no interface that could be uncovered, and no drift.
#[test]
fn a_ring_that_has_something_to_guard_and_does_not_stand_is_a_finding() {
    let gone = |state: &'static str, guards: Value| {
        findings(&status(|value| {
            let packet = &mut value["rings"]["packet"];
            packet["state"] = json!(state);
            packet["interfaces"] = json!([]);
            packet["guards"] = guards;
            packet["reason"] = json!("no CAP_BPF");
        }))
    };
    let guard = json!([{"port": 9000, "address": "any", "policy": "none"}]);
    for state in ["degraded", "off"] {
        assert_eq!(
            gone(state, guard.clone()),
            ["the packet ring does not guard every port: no CAP_BPF"]
        );
        assert_eq!(gone(state, json!([])), Vec::<String>::new());
    }
}

#[test]
fn the_table_says_in_words_what_is_wrong() {
    let status = status(|value| {
        value["mode"] = json!("closed");
        value["rings"]["packet"]["state"] = json!("degraded");
        value["rings"]["packet"]["reason"] = json!("no CAP_BPF");
        value["warnings"] = json!(["10.0.0.7 is address only, spoofable"]);
    });
    let text = format!(
        "{:?}",
        view(&status, &["interface eth0 is not covered".into()])
    );
    for part in [
        "CLOSED by panic",
        "DEGRADED",
        "3 of 1000 entries; no CAP_BPF",
        "warning: 10.0.0.7 is address only",
        "wrong: interface eth0",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn drops_are_listed_by_count_and_zeroes_left_out() {
    let Some(Block::Rows { rows, .. }) = drops(&status(|_| {})) else {
        panic!("rows were expected");
    };
    assert_eq!(rows, [["9", "fragment"], ["7", "stranger"]]);
}
