//! What is under `deploy/`: the units with what they allow, and the rules over a live scrape.
//!
//! systemd does not run here: its own tool reads the units, and gated runs with the capabilities
//! that the unit leaves it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::client::Call;
use harness::need;
use harness::probe::{Syn, syn};
use harness::scratch::Scratch;

use crate::attached::left;
use crate::site::{PORT, UPSTREAM_PORT, net};

const UNITS: [&str; 2] = ["gated.service", "gate-early.service"];
/// systemd-analyze counts in tenths from 0, hardened, to 100.
const EXPOSED: &str = "--threshold=35";

#[test]
fn units_are_understood_and_hardened() {
    if need::program("systemd-analyze").is_none() {
        return;
    }
    let folder = Scratch::new().unwrap();
    let program = need::built("GATED_BIN").display().to_string();
    for unit in UNITS {
        let text = deployed(&format!("systemd/{unit}")).replace("/usr/bin/gated", &program);
        std::fs::write(folder.join(unit), text).unwrap();
    }
    let units = UNITS.map(|unit| folder.join(unit));
    let verified = analyze(&["verify"], &units);
    // What it does not understand it only warns of.
    assert_eq!(verified, "");
    for unit in units {
        analyze(
            &["security", "--offline=true", "--no-pager", EXPOSED],
            &[unit],
        );
    }
}

#[tokio::test]
async fn capabilities_of_the_unit_are_enough() {
    let Some(net) = net(1) else { return };
    if need::program("setpriv").is_none() {
        return;
    }
    let bounds = format!("--bounding-set={}", bounds("gated.service"));
    let gated = net.launch().flag("--kernel", "require");
    let gated = gated.through(&["setpriv", &bounds]).start().await.unwrap();
    assert_eq!(net.callers[0].knock().await, Syn::Silent);
    gated.ctl().json("client add trainer").await.unwrap();
}

/// Acceptance 28 after a reboot: the port of another service is shut before the daemon starts.
#[tokio::test]
async fn early_guard_shuts_and_the_daemon_takes_it_up() {
    let Some(net) = net(1) else { return };
    if need::program("setpriv").is_none() {
        return;
    }
    let caller = &net.callers[0];
    let upstream = SocketAddr::new(caller.gate4().ip(), UPSTREAM_PORT);
    assert_eq!(syn(&caller.place, upstream).await, Syn::Answered);
    let bounds = format!("--bounding-set={}", bounds("gate-early.service"));
    let early = net.launch().switch("--guard-only");
    let early = early
        .through(&["setpriv", &bounds])
        .refused()
        .await
        .unwrap();
    assert_eq!(early.status, Some(0), "{}", early.log);
    for port in [PORT, UPSTREAM_PORT] {
        let to = SocketAddr::new(upstream.ip(), port);
        assert_eq!(syn(&caller.place, to).await, Syn::Silent, "{port}");
    }
    let pinned = left(&net.host);
    // Twice is no mistake, and changes nothing.
    let again = net.launch().switch("--guard-only").refused().await.unwrap();
    assert_eq!(again.status, Some(0), "{}", again.log);
    assert_eq!(left(&net.host), pinned);
    let gated = net.launch().start().await.unwrap();
    assert_eq!(left(&net.host), pinned);
    assert_eq!(syn(&caller.place, upstream).await, Syn::Silent);
    drop(gated);
}

#[tokio::test]
async fn scraped_numbers_are_those_that_the_rules_name() {
    let Some(net) = net(1) else { return };
    let gated = net
        .launch()
        .config("[metrics]\nlisten = \"127.0.0.1:9464\"");
    let gated = gated.start().await.unwrap();
    assert_eq!(net.callers[0].knock().await, Syn::Silent);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9464));
    let get = async |path: &str| Call::get(path).complete(&net.host, address).await.unwrap();
    let scrape = get("/metrics").await;
    assert_eq!(scrape.status, 200);
    let scrape = scrape.text();
    let live: BTreeSet<&str> = scrape
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let dashboard = read("deploy/observability/dashboard.json");
    assert!(serde_json::from_str::<serde_json::Value>(&dashboard).is_ok());
    for file in [
        "deploy/observability/alerts.yml",
        "deploy/observability/dashboard.json",
        "docs/metrics.md",
    ] {
        let text = read(file);
        let named: BTreeSet<&str> = names(&text).collect();
        assert!(!named.is_empty(), "{file}");
        let unknown: Vec<_> = named.difference(&live).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}:\n{scrape}");
    }
    let documented = read("docs/metrics.md");
    let documented: BTreeSet<&str> = names(&documented).collect();
    assert_eq!(documented, live, "docs/metrics.md tells of every number");
    let covered = "gate_packet_interface_covered{interface=\"to-1\",hook=\"tcx\"";
    assert!(scrape.contains(covered), "{scrape}");
    assert_eq!(get("/healthz").await.status, 200);
    assert_eq!(get("/readyz").await.status, 200);
    for path in ["/v1/status", "/v1/clients", "/v1/panic"] {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
    drop(gated);
}

/// The capabilities that a unit leaves, as `setpriv` takes them.
fn bounds(unit: &str) -> String {
    let text = deployed(&format!("systemd/{unit}"));
    let mut lines = text.lines();
    let set = lines.find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let names = set.unwrap().split(' ');
    let kept = names.map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase()));
    format!("-all{}", kept.collect::<String>())
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("gate_"))
}

fn analyze(words: &[&str], units: &[PathBuf]) -> String {
    let output = Command::new("systemd-analyze")
        .args(words)
        .args(units)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{words:?} {units:?}: {said}{shown}"
    );
    said
}

fn deployed(path: &str) -> String {
    read(&format!("deploy/{path}"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// A claim of the threat model stands by a test, so the test must be there.
#[test]
fn tests_that_the_threat_model_names_are_there() {
    let mut sources = String::new();
    for folder in [
        "tests/host",
        "tests/kernel",
        "tests/plain",
        "tests/container",
    ] {
        collect(&root().join(folder), &mut sources);
    }
    let model = read("docs/threats.md");
    let rows = model
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let named: Vec<&str> = rows.filter_map(|row| row.rsplit('`').nth(1)).collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        let is_there = sources.contains(&format!("fn {name}()"));
        assert!(is_there, "docs/threats.md names `{name}`, which is no test");
    }
}

fn collect(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
