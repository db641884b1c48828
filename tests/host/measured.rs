//! What a gate tells of itself in numbers, and what is built on that: rules, panels, documents.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::client::Call;
use harness::gated::Launch;
use harness::need;
use harness::netns::Namespace;
use harness::probe::{Syn, connect_from};
use harness::scrape::Scrape;
use harness::scratch::Scratch;
use serde_json::Value;
use tokio::time::timeout;

use crate::site::{Net, Site, net};

const SCRAPED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

const RULES: &str = "deploy/observability/alerts.yml";
const PANELS: &str = "deploy/observability/dashboard.json";

/// Timings of calls and their counts, none of which a refused call moves.
const TIMED: [&str; 3] = [
    "gate_overhead_seconds",
    "gate_first_byte_seconds",
    "gate_call_duration_seconds",
];

fn launch(net: &Net) -> Launch {
    let config = format!("[metrics]\nlisten = \"{SCRAPED}\"");
    net.launch().config(&config)
}

/// A gate whose numbers can be read, with client `trainer`.
async fn measured(callers: u8) -> Option<Site> {
    let net = net(callers)?;
    let gated = launch(&net).start().await.unwrap();
    gated.ctl().json("client add trainer").await.unwrap();
    Some(Site { gated, net })
}

async fn text(host: &Namespace) -> String {
    let scrape = Call::get("/metrics").complete(host, SCRAPED).await.unwrap();
    assert_eq!(scrape.status, 200);
    scrape.text()
}

async fn scrape(site: &Site) -> Scrape {
    Scrape::read(&text(&site.net.host).await).unwrap()
}

fn count(scrape: &Scrape, histogram: &str, labels: &[(&str, &str)]) -> (u64, Duration) {
    let sum = scrape.seconds(&format!("{histogram}_sum"), labels);
    let count = scrape.value(&format!("{histogram}_count"), labels);
    (count, sum)
}

#[tokio::test]
async fn call_moves_the_times_of_calls_and_its_own_count() {
    let Some(site) = measured(1).await else {
        return;
    };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let before = scrape(&site).await;
    for timed in TIMED {
        assert_eq!(count(&before, timed, &[]), (0, Duration::ZERO), "{timed}");
    }
    let since = Instant::now();
    assert_eq!(caller.chat("r-1", &token).await.status, 200);
    let took = since.elapsed();
    let after = scrape(&site).await;
    let [overhead, first_byte, whole] = TIMED.map(|timed| {
        let (calls, time) = count(&after, timed, &[]);
        assert_eq!(calls, 1, "{timed}");
        assert!(time > Duration::ZERO, "{timed}");
        time
    });
    assert!(
        overhead + first_byte <= whole && whole < took,
        "{overhead:?} {first_byte:?} {whole:?} {took:?}"
    );
    let calls = |profile, by, status| {
        let labels = [("profile", profile), ("by", by), ("status", status)];
        after.value("gate_calls_total", &labels)
    };
    assert_eq!(calls("verifiers", "upstream", "2xx"), 1);
    assert_eq!(calls("openai", "upstream", "2xx"), 0);
    assert_eq!(calls("verifiers", "gate", "4xx"), 0);
    let status = site.gated.ctl().json("status").await.unwrap();
    let shown = &status["rings"]["request"]["overhead"];
    let micros = shown["p99_us"].as_u64().map(Duration::from_micros);
    assert!(micros.is_some_and(|shown| shown >= overhead), "{status}");
}

/// What a caller sends makes no series: neither its path, its token nor its method.
#[tokio::test]
async fn refused_calls_are_counted_by_type_and_profile_and_timed_nowhere() {
    let Some(site) = measured(1).await else {
        return;
    };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let before = scrape(&site).await;
    assert_eq!(caller.chat("r-2", &token).await.status, 401);
    let odd = Call::new("FETCH", "/no-such-route").bearer("sk-odd-token");
    let odd = odd.complete(&caller.place, caller.gate4()).await.unwrap();
    let after = scrape(&site).await;
    let refused = |kind, profile| {
        let labels = [("type", kind), ("profile", profile)];
        after.value("gate_refusals_total", &labels)
    };
    assert_eq!(refused("UNAUTHORIZED", "verifiers"), 1);
    let kind = odd.header("x-gate-error").unwrap();
    assert_eq!(refused(kind, "none"), 1, "{odd:?}");
    let labels = [("profile", "none"), ("by", "gate"), ("status", "4xx")];
    assert_eq!(after.value("gate_calls_total", &labels), 1);
    for timed in TIMED {
        assert_eq!(count(&after, timed, &[]).0, 0, "{timed}");
    }
    let series = |scrape: &Scrape| scrape.samples().count();
    assert_eq!(series(&before), series(&after));
}

#[tokio::test]
async fn revocation_is_timed_from_the_question_to_the_answer() {
    let Some(site) = measured(1).await else {
        return;
    };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let running = caller.stream("r-1", &token).await;
    let here = [("origin", "here")];
    let before = scrape(&site).await;
    assert_eq!(before.value("gate_live_streams", &[]), 1);
    assert_eq!(count(&before, "gate_revoke_seconds", &here).0, 0);
    let since = Instant::now();
    let answer = site.gated.ctl().json("rollout close r-1").await.unwrap();
    let took = since.elapsed();
    drop(running);
    let after = scrape(&site).await;
    let (endings, time) = count(&after, "gate_revoke_seconds", &here);
    let within = Duration::from_micros(answer["elapsed_us"].as_u64().unwrap());
    assert_eq!(endings, 1);
    assert!(
        within <= time && time < took,
        "{within:?} {time:?} {took:?}"
    );
    let fleet = count(&after, "gate_revoke_seconds", &[("origin", "fleet")]);
    assert_eq!(fleet.0, 0);
    assert_eq!(after.value("gate_live_streams", &[]), 0);
    // What ends nothing is no ending.
    let opened = site.gated.ctl().json("client add another").await.unwrap();
    let refused = site.gated.ctl().run("client revoke nobody --yes", "").await;
    assert_eq!(refused.unwrap().status, Some(1), "{opened}");
    let later = scrape(&site).await;
    assert_eq!(count(&later, "gate_revoke_seconds", &here).0, 1);
}

#[tokio::test]
async fn packets_are_counted_by_reason_and_program() {
    let Some(site) = measured(1).await else {
        return;
    };
    let caller = &site.net.callers[0];
    let dropped = |scrape: &Scrape, hook| {
        let labels = [("reason", "stranger"), ("hook", hook)];
        scrape.value("gate_packet_drops_total", &labels)
    };
    let before = scrape(&site).await;
    assert_eq!(dropped(&before, "tc"), 0);
    assert_eq!(caller.knock().await, Syn::Silent);
    let token = site.open("r-1", caller).await;
    assert_eq!(caller.chat("r-1", &token).await.status, 200);
    let after = scrape(&site).await;
    assert!(dropped(&after, "tc") >= 1);
    assert_eq!(dropped(&after, "xdp"), 0, "nothing is attached there");
    let passed = [("reason", "allowed"), ("hook", "tc")];
    assert!(after.value("gate_packet_passed_total", &passed) >= 1);
    let table = [("table", "GATE_EXACT4")];
    let entries = |scrape: &Scrape| scrape.value("gate_packet_table_entries", &table);
    assert_eq!(entries(&after) - entries(&before), 1);
    assert!(after.value("gate_packet_table_capacity", &table) > 1);
}

/// An address that is bound to its own cable comes in by another one.
#[tokio::test]
async fn address_from_a_wrong_interface_is_counted_there() {
    let Some(site) = measured(2).await else {
        return;
    };
    let [victim, thief] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    let _token = site.open("r-1", victim).await;
    let stolen = victim.source4();
    let add = ["address", "add", &stolen, "dev", "eth0"];
    assert!(
        thief
            .place
            .command("ip")
            .args(add)
            .status()
            .unwrap()
            .success()
    );
    let from = stolen.replace("/32", ":0").parse().unwrap();
    let knock = connect_from(&thief.place, from, thief.gate4());
    let knocked = timeout(Duration::from_secs(1), knock).await;
    assert!(!matches!(knocked, Ok(Ok(_))), "let in");
    let after = scrape(&site).await;
    let at = |interface| {
        let labels = [("interface", interface)];
        after.value("gate_packet_wrong_interface_total", &labels)
    };
    assert!(at("to-2") >= 1);
    assert_eq!(at("to-1"), 0);
}

#[tokio::test]
async fn what_was_taken_away_behind_the_gates_back_is_a_repair() {
    let Some(net) = net(1) else { return };
    let gated = launch(&net).flag("--interfaces", "to-1:clsact");
    let gated = gated.start().await.unwrap();
    let site = Site { gated, net };
    let before = scrape(&site).await;
    assert_eq!(before.value("gate_packet_repairs_total", &[]), 0);
    let deleted = "filter del dev to-1 ingress prio 1 handle 0x6761 bpf";
    let deleted = site
        .net
        .host
        .command("tc")
        .args(deleted.split(' '))
        .status();
    assert!(deleted.unwrap().success());
    // The gate's own round may have come first; either counts it once.
    let verified = site.gated.ctl().run("verify", "").await.unwrap();
    let after = scrape(&site).await;
    assert_eq!(
        after.value("gate_packet_repairs_total", &[]),
        1,
        "{verified:?}"
    );
    assert_eq!(after.value("gate_uncovered_interfaces", &[]), 0);
}

/// `panic` shuts what the gate serves; the packet ring stands all the same.
#[tokio::test]
async fn closed_gate_says_which_rings_do_not_work() {
    let Some(site) = measured(1).await else {
        return;
    };
    let rings = |scrape: &Scrape| {
        ["packet", "connection", "request"]
            .map(|ring| scrape.value("gate_ring_up", &[("ring", ring)]) == 1)
    };
    assert_eq!(rings(&scrape(&site).await), [true; 3]);
    site.gated.ctl().json("panic").await.unwrap();
    assert_eq!(rings(&scrape(&site).await), [true, false, false]);
}

#[tokio::test]
async fn scraped_numbers_are_those_that_the_rules_name() {
    let Some(site) = measured(1).await else {
        return;
    };
    let scrape = scrape(&site).await;
    let samples: BTreeSet<&str> = scrape.samples().collect();
    for file in [RULES, PANELS] {
        let text = read(file);
        let named: BTreeSet<&str> = names(&text).collect();
        assert!(!named.is_empty(), "{file}");
        let unknown: Vec<_> = named.difference(&samples).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    let documented = read("docs/metrics.md");
    let documented: BTreeSet<&str> = names(&documented).collect();
    let families: BTreeSet<&str> = scrape.0.keys().map(String::as_str).collect();
    assert_eq!(
        documented, families,
        "docs/metrics.md tells of every number"
    );
    let labels = [("interface", "to-1"), ("hook", "tcx"), ("mode", "")];
    assert_eq!(scrape.value("gate_packet_interface_covered", &labels), 1);
    let get = async |path: &str| {
        let answer = Call::get(path).complete(&site.net.host, SCRAPED).await;
        answer.unwrap().status
    };
    assert_eq!(get("/healthz").await, 200);
    assert_eq!(get("/readyz").await, 200);
    for path in ["/v1/status", "/v1/clients", "/v1/panic"] {
        assert_eq!(get(path).await, 404, "{path}");
    }
}

/// By Prometheus' own tool, which also says what is bad style.
#[tokio::test]
async fn scrape_is_what_prometheus_reads() {
    if need::program("promtool").is_none() {
        return;
    }
    let Some(site) = measured(1).await else {
        return;
    };
    let file = Scratch::new().unwrap();
    std::fs::write(file.join("scrape"), text(&site.net.host).await).unwrap();
    let scrape = std::fs::File::open(file.join("scrape")).unwrap();
    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::from(scrape))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

/// Each rule is understood, and fires on what it is for and on nothing else.
#[test]
fn rules_fire_when_they_should() {
    if need::program("promtool").is_none() {
        return;
    }
    promtool(&["check", "rules"], &root().join(RULES));
    promtool(&["test", "rules"], &root().join("tests/host/alerts.yml"));
}

/// Panels have no tool of their own: each of their questions is put as a rule.
#[test]
fn panels_ask_what_prometheus_understands() {
    if need::program("promtool").is_none() {
        return;
    }
    let panels: Value = serde_json::from_str(&read(PANELS)).unwrap();
    let panels = panels["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let rules: Vec<Value> = targets
        .map(|target| serde_json::json!({ "record": "panel:asks", "expr": target["expr"] }))
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    // JSON is YAML too.
    let groups = serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] });
    let folder = Scratch::new().unwrap();
    let file = folder.join("panels.yml");
    std::fs::write(&file, groups.to_string()).unwrap();
    // Many rules of one name are no mistake here.
    promtool(&["check", "rules", "--lint=none"], &file);
}

fn promtool(words: &[&str], file: &Path) {
    let checked = Command::new("promtool").args(words).arg(file).output();
    let checked = checked.unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    let complained = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{words:?}: {said}{complained}");
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("gate_"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
