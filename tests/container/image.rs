//! One container in the network of its host: what it guards, and what it says without its powers.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use harness::client::Call;
use harness::gatectl::text;
use harness::link::{End, cable};
use harness::netns::Namespace;
use harness::probe::{Syn, syn};
use harness::sse::Event;
use harness::upstream::{Provider, Upstream};

use crate::engine::{Engine, deployed, said};

const CAPABILITIES: [&str; 3] = ["BPF", "NET_ADMIN", "PERFMON"];
const BPFFS: &str = "--volume=/sys/fs/bpf:/sys/fs/bpf";
const KEY: &str = "sk-container-provider-key-01";
const LISTEN: [&str; 6] = [
    "--listen",
    "0.0.0.0:8765",
    "--sources",
    "listed",
    "--kernel",
    "require",
];

#[tokio::test]
async fn three_capabilities_and_the_bpffs_are_enough() {
    let Some(engine) = Engine::new() else { return };
    engine.make_gate();
    let host = engine.place();
    let sandbox = beside(host, 1, "sandbox");
    let stranger = beside(host, 2, "stranger");
    let provider = Provider {
        pace: Duration::from_millis(5),
    };
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9000));
    let upstream = Upstream::provider(host, everywhere, provider).unwrap();

    let mut options = options(&CAPABILITIES);
    options.push(BPFFS.to_owned());
    for (name, inside, body) in [
        ("gate.toml", "/etc/gate/gate.toml", UPSTREAM),
        ("provider.key", "/run/secrets/provider.key", KEY),
    ] {
        let file = engine.folder().join(name);
        fs::write(&file, body).unwrap();
        options.push(format!("--volume={}:{inside}:ro", file.display()));
    }
    let hooks = ["--interfaces", "to-sandbox:xdp,to-stranger:tcx"];
    let file = ["--config", "/etc/gate/gate.toml"];
    let gate = engine.run("gate", &options, &[&LISTEN[..], &hooks, &file].concat());
    gate.ready().await;

    // BPF, PERFMON and NET_ADMIN, and no other.
    let status = fs::read_to_string(format!("/proc/{}/status", gate.pid())).unwrap();
    assert!(status.contains("CapEff:\t000000c000001000\n"), "{status}");
    let link = said(
        host.command("ip")
            .args(["-d", "link", "show", "to-sandbox"]),
    );
    assert!(link.contains("prog/xdp"), "{link}");
    let status = gate.gatectl("status");
    assert_eq!(status["rings"]["packet"]["state"], "up", "{status}");

    for place in [&sandbox, &stranger] {
        assert_eq!(place.knock(8765).await, Syn::Silent, "nobody is listed");
    }
    gate.gatectl("client add trainer");
    let open = "rollout open r-1 --client trainer --source 10.87.1.2";
    let token = text(&gate.gatectl(open), "/token").unwrap();
    let call = || Call::chat("/v1", Some(2)).bearer(&token);
    let answer = call().complete(&sandbox.place, sandbox.host(8765)).await;
    assert_eq!(answer.unwrap().status, 200);
    let seen = upstream.journal().requests();
    let shown = (
        "authorization".to_owned(),
        format!("Bearer {KEY}").into_bytes(),
    );
    assert!(seen[0].headers.contains(&shown), "{:?}", seen[0].headers);

    assert_eq!(stranger.knock(8765).await, Syn::Silent);
    // Past the gate, to the upstream's own port.
    assert_eq!(sandbox.knock(9000).await, Syn::Silent);

    let endless = Call::chat("/v1", None).bearer(&token);
    let endless = endless.send(&sandbox.place, sandbox.host(8765)).await;
    let mut running = endless.unwrap().events();
    assert!(running.next().await.is_some());
    let closed = gate.gatectl("rollout close r-1");
    assert_eq!(closed["streams_cut"], 1, "{closed}");
    assert_eq!(closed["connections_closed"], 1, "{closed}");
    assert!(closed.get("warnings").is_none(), "{closed}");
    let (rest, _end) = running.rest().await;
    assert!(rest.last().is_some_and(Event::is_error), "{rest:?}");
    assert_eq!(sandbox.knock(8765).await, Syn::Silent, "listed no more");

    // The host's network and bpffs outlive the container, so its ports stay shut.
    gate.kill();
    assert_eq!(stranger.knock(8765).await, Syn::Silent);
    assert_eq!(sandbox.knock(9000).await, Syn::Silent);
}

#[tokio::test]
async fn what_a_container_lacks_is_named_and_nothing_is_attached() {
    let Some(engine) = Engine::new() else { return };
    engine.make_gate();
    let forbids = engine.folder().join("forbids.json");
    fs::write(&forbids, FORBIDS_BPF).unwrap();
    let mut cases: Vec<(Vec<String>, [String; 2])> = Vec::new();
    for lacking in CAPABILITIES {
        let rest: Vec<&str> = CAPABILITIES.into_iter().filter(|c| *c != lacking).collect();
        let mut options = options(&rest);
        options.push(BPFFS.to_owned());
        let told = [
            format!("missing capability CAP_{lacking}"),
            format!("--cap-add {lacking}"),
        ];
        cases.push((options, told));
    }
    let told = ["is not on a bpffs", "--volume /sys/fs/bpf:/sys/fs/bpf"];
    cases.push((options(&CAPABILITIES), told.map(str::to_owned)));
    let mut forbidden = options(&CAPABILITIES);
    forbidden.retain(|option| !option.contains("seccomp"));
    forbidden.push(format!("--security-opt=seccomp={}", forbids.display()));
    forbidden.push(BPFFS.to_owned());
    let told = [
        "Operation not permitted",
        "--security-opt seccomp=seccomp.json",
    ];
    cases.push((forbidden, told.map(str::to_owned)));

    for (options, told) in cases {
        let (status, log) = engine.run("gate", &options, &LISTEN).ended().await;
        assert_eq!(status, Some(78), "{told:?}: {log}");
        let (error, hint) = log.split_once("hint: ").unwrap();
        assert!(error.contains(&told[0]), "{told:?}: {log}");
        assert!(hint.contains(&told[1]), "{told:?}: {log}");
        let mut find = engine.place().command("find");
        let pins = said(find.args(["/sys/fs/bpf", "-name", "gate"]));
        assert_eq!(pins, "", "{told:?}");
    }
}

/// A place on a cable of its own to the host.
struct Beside {
    place: Namespace,
    subnet: u8,
}

fn beside(host: &Namespace, subnet: u8, name: &str) -> Beside {
    let place = Namespace::new(name).unwrap();
    let near = End {
        place: host,
        device: &format!("to-{name}"),
        addresses: &[&format!("10.87.{subnet}.1/24")],
    };
    let far = End {
        place: &place,
        device: "eth0",
        addresses: &[&format!("10.87.{subnet}.2/24")],
    };
    cable(&near, &far).unwrap();
    Beside { place, subnet }
}

impl Beside {
    fn host(&self, port: u16) -> SocketAddr {
        (Ipv4Addr::new(10, 87, self.subnet, 1), port).into()
    }

    async fn knock(&self, port: u16) -> Syn {
        syn(&self.place, self.host(port)).await
    }
}

/// A container as the documents say, with these capabilities.
fn options(capabilities: &[&str]) -> Vec<String> {
    let seccomp = deployed("seccomp.json");
    let fixed = [
        "--network=host".to_owned(),
        "--read-only".to_owned(),
        "--cap-drop=ALL".to_owned(),
        "--security-opt=no-new-privileges".to_owned(),
        format!("--security-opt=seccomp={}", seccomp.display()),
    ];
    let added = capabilities.iter().map(|name| format!("--cap-add={name}"));
    fixed.into_iter().chain(added).collect()
}

const UPSTREAM: &str = "[[upstream]]
name = \"default\"
url = \"http://127.0.0.1:9000\"
key_file = \"/run/secrets/provider.key\"
";

/// As engines do that do not know `CAP_BPF`.
const FORBIDS_BPF: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [{ "names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 }]
}"#;
