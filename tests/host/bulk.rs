//! Thousands of rollouts in one command: shown as they are made, and gone on with after a stop.

use std::collections::BTreeSet;
use std::path::PathBuf;

use harness::gatectl::Outcome;
use harness::gated::{Gated, Launch};
use harness::netns::Namespace;
use harness::scratch::Scratch;
use serde_json::{Value, json};

/// More than two calls hold.
const MANY: usize = 2500;

/// What one call holds.
const STEP: usize = 1000;

struct Place {
    gated: Gated,
    host: Namespace,
    folder: Scratch,
}

#[tokio::test]
async fn thousands_are_opened_and_closed_by_one_command_each() {
    let Some(place) = place().await else { return };
    let file = place.file(MANY);
    let open = format!("rollout open --from {}", file.display());
    let opened = place.run(&format!("{open} --output json")).await;
    assert_eq!(opened.status, Some(0), "{opened:?}");
    assert_eq!(opened.stderr, "", "a bar on a pipe");
    assert_eq!(tokens(&opened).len(), MANY);
    assert_eq!(place.open().await, MANY);
    // What was opened names what to close.
    let close = format!("rollout close --from {} --wait", file.display());
    let closed = place.gated.ctl().json(&close).await.unwrap();
    assert_eq!(closed["rollouts_closed"], MANY, "{closed}");
    assert_eq!(closed["hosts"][0]["state"], "done", "{closed}");
    assert_eq!(place.open().await, 0);
    let table = place.run(&open).await;
    assert_eq!(table.stdout.lines().count(), 1 + MANY, "a head and rows");
    // As printed by opening, on stdin.
    let (ctl, all) = (place.gated.ctl(), "rollout close --from - --output json");
    let printed = ctl.run(all, &opened.stdout);
    let closed = printed.await.unwrap().json().unwrap();
    assert_eq!(closed["rollouts_closed"], MANY, "{closed}");
}

#[tokio::test]
async fn on_a_terminal_a_bar_says_how_far_it_is() {
    let Some(place) = place().await else { return };
    let Some(script) = harness::need::program("script") else {
        return;
    };
    let gatectl = harness::need::built("GATECTL_BIN");
    let socket = place.gated.run_dir().join("admin.sock");
    let file = place.file(MANY);
    let line = format!(
        "{} rollout open --from {} --socket {}",
        gatectl.display(),
        file.display(),
        socket.display()
    );
    // It gives the command a terminal and tells what came out there.
    let mut command = place.host.command(script);
    command
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm");
    let shown = command.output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("of 2,500"),
        "{}",
        &shown[..shown.len().min(500)]
    );
    assert!(shown.contains("r-2499"), "rows are there too");
    assert_eq!(place.open().await, MANY);
}

/// And what was done is done once, however often it is asked for.
#[tokio::test]
async fn what_stops_half_way_says_what_is_done_and_goes_on_from_there() {
    let Some(place) = place().await else { return };
    let file = place.file(MANY);
    let ctl = place.gated.ctl();
    ctl.json("rollout open r-1500 --client trainer")
        .await
        .unwrap();
    let open = format!("rollout open --from {} --output json", file.display());
    let stopped = place.run(&open).await;
    assert_eq!(stopped.status, Some(1), "{}", stopped.stderr);
    assert_eq!(
        tokens(&stopped).len(),
        STEP,
        "those that were opened are shown"
    );
    let said = &stopped.stderr;
    for part in ["opened 1000 of 2500", "item 1500: rollout `r-1500` is open"] {
        assert!(said.contains(part), "{said}");
    }
    let go_on = go_on(said);
    assert!(
        go_on.starts_with("--skip 1000 --idempotency-key "),
        "{go_on}"
    );
    ctl.json("rollout close r-1500").await.unwrap();
    let rest = place.run(&format!("{open} {go_on}")).await;
    assert_eq!(rest.status, Some(0), "{}", rest.stderr);
    assert_eq!(tokens(&rest).len(), MANY - STEP);
    assert_eq!(place.open().await, MANY);
    let again = place.run(&format!("{open} {go_on}")).await;
    assert_eq!(tokens(&again), tokens(&rest), "the same tokens once more");
    // None of a call is closed when one of it is not open.
    ctl.json("rollout close r-1100").await.unwrap();
    let close = format!("rollout close --from {} --output json", file.display());
    let stopped = place.run(&close).await;
    assert_eq!(stopped.status, Some(1), "{}", stopped.stderr);
    let sum: Value = serde_json::from_str(&stopped.stdout).unwrap();
    assert_eq!(sum["rollouts_closed"], STEP, "{sum}");
    for part in ["closed 1000 of 2500", "r-1100", "--open-only`"] {
        assert!(stopped.stderr.contains(part), "{}", stopped.stderr);
    }
    let rest = place
        .run(&format!("{close} --open-only"))
        .await
        .json()
        .unwrap();
    assert_eq!(rest["rollouts_closed"], MANY - STEP - 1, "{rest}");
    assert_eq!(place.open().await, 0);
}

#[tokio::test]
async fn gate_that_is_killed_half_way_loses_nothing_that_was_shown() {
    let Some(mut place) = place().await else {
        return;
    };
    let many = 8 * STEP;
    let file = place.file(many);
    let open = format!("rollout open --from {} --output json", file.display());
    let ctl = place.gated.ctl();
    let opening = ctl.run(&open, "");
    let killing = async {
        while count(&ctl.json("rollout list").await.unwrap()) < STEP {}
        place.gated.kill().unwrap();
    };
    let (opening, ()) = tokio::join!(opening, killing);
    let broken = opening.unwrap();
    assert_eq!(broken.status, Some(3), "{}", broken.stderr);
    let shown = tokens(&broken);
    assert!(
        shown.len() < many && shown.len().is_multiple_of(STEP),
        "{}",
        shown.len()
    );
    let said = format!("opened {} of {many}", shown.len());
    assert!(broken.stderr.contains(&said), "{}", broken.stderr);
    place.gated.restart().await.unwrap();
    let live = place.gated.ctl().json("rollout list").await.unwrap();
    let live: BTreeSet<&str> = ids(&live).collect();
    assert!(shown.keys().all(|id| live.contains(id.as_str())));
    // The last call was written or was not; either way all are open in the end.
    let go_on = go_on(&broken.stderr);
    let rest = place.run(&format!("{open} {go_on}")).await;
    if rest.status != Some(0) {
        assert!(rest.stderr.contains("is open"), "{}", rest.stderr);
        let next = shown.len() + STEP;
        if next < many {
            let rest = place.run(&format!("{open} --skip {next}")).await;
            assert_eq!(rest.status, Some(0), "{}", rest.stderr);
        }
    }
    assert_eq!(place.open().await, many);
}

async fn place() -> Option<Place> {
    if !harness::need::root() {
        return None;
    }
    let host = Namespace::new("host").unwrap();
    let gated = Launch::on(&host).start().await.unwrap();
    gated.ctl().json("client add trainer").await.unwrap();
    Some(Place {
        gated,
        host,
        folder: Scratch::new().unwrap(),
    })
}

impl Place {
    /// One rollout a line.
    fn file(&self, count: usize) -> PathBuf {
        let lines = (0..count).map(|number| {
            let ask = json!({"rollout": format!("r-{number}"), "client": "trainer"});
            format!("{ask}\n")
        });
        let file = self.folder.join("rollouts.jsonl");
        std::fs::write(&file, lines.collect::<String>()).unwrap();
        file
    }

    async fn run(&self, line: &str) -> Outcome {
        self.gated.ctl().run(line, "").await.unwrap()
    }

    /// How many are open.
    async fn open(&self) -> usize {
        count(&self.gated.ctl().json("rollout list").await.unwrap())
    }
}

fn count(list: &Value) -> usize {
    list["rollouts"].as_array().unwrap().len()
}

fn ids(list: &Value) -> impl Iterator<Item = &str> {
    let rollouts = list["rollouts"].as_array().unwrap().iter();
    rollouts.map(|one| one["rollout"].as_str().unwrap())
}

/// By rollout, as shown.
fn tokens(outcome: &Outcome) -> std::collections::BTreeMap<String, String> {
    let shown: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let rollouts = shown["rollouts"].as_array().unwrap().iter();
    let one = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        (text("rollout"), text("token"))
    };
    rollouts.map(one).collect()
}

/// What the hint adds to the command.
fn go_on(said: &str) -> String {
    let (_, from) = said.split_once("--skip ").unwrap();
    let (what, _) = from.split_once('`').unwrap();
    format!("--skip {what}")
}
