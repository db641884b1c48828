//! The pinned vectors hold for others too: Python and Node compute them with their own libraries.
//!
//! Does not check the gate's own code, which has them in its unit tests.

use std::collections::BTreeMap;
use std::path::Path;

use harness::need;
use harness::netns::Namespace;
use serde_json::{Value, json};

use crate::sdk::Sdk;
use crate::venv;

#[tokio::test]
async fn python_agrees_with_the_pinned_vectors() {
    let Some(python) = venv::python(venv::SDKS) else {
        return;
    };
    let here = Namespace::here();
    agrees(Sdk::start(&python, "vectors.py", &here, &BTreeMap::new())).await;
}

#[tokio::test]
async fn node_agrees_with_the_pinned_vectors() {
    let Some(node) = need::program("node") else {
        return;
    };
    let here = Namespace::here();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/vectors.mjs");
    agrees(Sdk::node(&node, &script, &here, &BTreeMap::new())).await;
}

async fn agrees(mut other: Sdk) {
    let vectors = include_str!("../vectors/vectors.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let right = other.ask(&vectors.to_string()).await;
    let all = [
        "gate_token",
        "sha256_hex_of_trimmed_token",
        "aes_256_gcm_enc_v1",
        "hmac_sha256_state_url",
    ]
    .map(|name| {
        (
            name.to_owned(),
            json!(vectors[name].as_array().unwrap().len()),
        )
    });
    assert_eq!(right, Value::Object(all.into_iter().collect()));
    assert!(all_some(&right), "{right}");
}

fn all_some(right: &Value) -> bool {
    let counts = right.as_object().unwrap().values();
    counts.into_iter().all(|count| count.as_u64() > Some(0))
}
