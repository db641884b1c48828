//! A changed file under a running gate: taken up, or named, or refused.

use std::fs;
use std::time::Duration;

use harness::gated::{Gated, Signal};
use harness::log::says;
use serde_json::Value;

use crate::site::{net, until};

/// Ends a broken run.
const PATIENCE: Duration = Duration::from_mins(1);

/// What cannot be taken up is named, so that nobody believes it is in force; the rest is.
#[tokio::test]
async fn reload_takes_up_what_it_can_and_names_the_rest() {
    let Some(net) = net(0) else { return };
    let gated = net.launch().config("[limits]\ndrain = \"1m\"\n");
    let gated = gated.start().await.unwrap();
    let old = "[limits]\ndrain = \"1m\"\n";
    let guard = "[[guard]]\nport = 9001\n";
    let changed = "[limits]\ndrain = \"2m\"\n[log]\naccess = false\n";
    // None of it, one of each kind, and a file that is none.
    reload(&gated, old, "reloaded").await;
    assert_eq!(warned(&gated), [""; 0]);
    // Only this file's: of the first one `reloaded` may still be said, by signal and by file.
    let restart = "changed, and takes a restart: what stood stays";
    reload(&gated, &format!("{guard}{changed}"), restart).await;
    assert_eq!(warned(&gated), ["limits.drain log.access"]);
    let is_guarded = async || guards(&gated).await.contains(&9001);
    until("port 9001 is guarded", is_guarded).await;
    reload(
        &gated,
        "[limits]\ndrian = \"1m\"\n",
        "reload refused: the old settings stay",
    )
    .await;
    assert!(guards(&gated).await.contains(&9001));
}

/// Writes the file and waits for what is said of it. The gate may see the file before the signal.
async fn reload(gated: &Gated, text: &str, message: &str) {
    let before = gated.log().lines();
    let file = gated.run_dir().with_file_name("gate.toml");
    fs::write(file, text).unwrap();
    gated.signal(Signal::SIGHUP).unwrap();
    let is_new = |line: &str| says(line, message) && !before.iter().any(|old| old == line);
    gated.log().wait(PATIENCE, is_new).await.unwrap();
}

/// Every different list of settings that was said to take a restart.
fn warned(gated: &Gated) -> Vec<String> {
    let lines = gated.log().lines();
    let lines = lines.iter().filter(|line| line.contains("takes a restart"));
    let settings = lines.map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let fields = line.get("fields").unwrap_or(&line);
        fields["settings"].as_str().unwrap().to_owned()
    });
    let mut settings: Vec<String> = settings.collect();
    settings.dedup();
    settings
}

async fn guards(gated: &Gated) -> Vec<u64> {
    let status = gated.ctl().json("status").await.unwrap();
    let guards = status["rings"]["packet"]["guards"].as_array().unwrap();
    let ports = guards.iter().filter_map(|guard| guard["port"].as_u64());
    ports.collect()
}
