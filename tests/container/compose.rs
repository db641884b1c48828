//! The compose file as it is deployed: who reaches the interception server, and by which way.

use std::process::{Command, Stdio};
use std::time::Duration;

use harness::gatectl::text;
use harness::log::{Log, says};

use crate::engine::{Engine, GATE, PYTHON, deployed, said};
use crate::venv::{Packages, python};

const COMPOSE: Packages = Packages {
    name: "container-compose",
    pins: &["podman-compose==1.6.0"],
};
const PATIENCE: Duration = Duration::from_secs(30);
const PAST: usize = 3;
const SCRIPT: [&str; 2] = ["python3", "/sandbox.py"];
const REACH: &str = "import socket; socket.create_connection(('10.89.2.3', 9000), 5)";

#[tokio::test]
async fn sandbox_of_the_compose_file_reaches_the_model_by_gate_alone() {
    let Some(engine) = Engine::new() else { return };
    let Some(python) = python(COMPOSE) else {
        return;
    };
    engine.make_gate();
    engine.make_python();
    // By way of `env`: entering the engine's place leaves the folder that a command was given.
    let mut up = engine.command("env");
    up.arg(format!("--chdir={}", deployed("").display()));
    up.env("GATE_IMAGE", GATE).env("PYTHON_IMAGE", PYTHON);
    up.arg(python.with_file_name("podman-compose"));
    said(up.args(["--project-name", "test", "up", "--detach", "--no-build"]));
    let [gate, sandbox, server] = ["gate", "sandbox", "interception"].map(|s| named(&engine, s));
    let follow = follow(&engine, &gate);
    follow
        .wait(PATIENCE, |line| says(line, "ready"))
        .await
        .unwrap();

    let status = engine.gatectl(&gate, "status");
    let ring = &status["rings"]["packet"];
    assert_eq!(ring["state"], "up", "{status}");
    let interfaces = ring["interfaces"].as_array().unwrap();
    let covered = interfaces.iter().filter(|one| one["covered"] == true);
    assert_eq!(covered.count(), 2, "{status}");
    assert_eq!(status["warnings"], serde_json::json!([]));
    // Its server answers on its own network, or nothing below would mean anything.
    let on_models = ["run", "--rm", "--network", "test_models", PYTHON];
    let reach = ["python3", "-c", REACH];
    said(engine.podman(&on_models).args(reach));

    let before = seen(engine.podman(&["exec", &sandbox]).args(SCRIPT));
    assert_eq!(before, ["no answer: <urlopen error timed out>"]);
    engine.gatectl(&gate, "client add trainer");
    let open = "rollout open r-1 --client trainer --source 10.89.1.3";
    let token = text(&engine.gatectl(&gate, open), "/token").unwrap();
    let key = format!("OPENAI_API_KEY={token}");
    let mut inside = engine.podman(&["exec", "--env", &key, &sandbox]);
    let inside = inside.args(SCRIPT);
    assert_eq!(seen(inside), ["Hello from the interception server."]);

    // A stolen token, from another sandbox on the same network.
    let script = format!("{}:/sandbox.py:ro", deployed("sandbox.py").display());
    let base = "OPENAI_BASE_URL=http://10.89.1.2:8765/v1";
    let mut stranger = engine.podman(&["run", "--rm", "--network", "test_sandboxes"]);
    stranger.args([
        "--ip",
        "10.89.1.9",
        "--env",
        &key,
        "--env",
        base,
        "--volume",
    ]);
    let stranger = seen(stranger.args([&script, PYTHON]).args(SCRIPT));
    assert_eq!(stranger, ["no answer: <urlopen error timed out>"]);

    // With more power than the file gives a sandbox: it asks gate's host to carry its packets, and
    // the server sends its answers back by the same way.
    route(&engine, &sandbox, "10.89.2.0/24 via 10.89.1.2");
    route(&engine, &server, "10.89.1.0/24 via 10.89.2.2");
    assert_eq!(seen(inside), ["Hello from the interception server."]);

    engine.gatectl(&gate, "rollout close r-1");
    assert_eq!(seen(inside), ["no answer: <urlopen error timed out>"]);

    // The network namespace is another one after that, and the pins of the old one are there.
    let again = "rollout open r-2 --client trainer --source 10.89.1.3";
    let token = text(&engine.gatectl(&gate, again), "/token").unwrap();
    drop(follow);
    said(&mut engine.podman(&["restart", "--time", "5", &gate, &sandbox]));
    let ready = |line: &str| says(line, "ready");
    let second = self::follow(&engine, &gate);
    let twice = || second.lines().iter().filter(|line| ready(line)).count() == 2;
    second
        .wait(PATIENCE, |line| ready(line) && twice())
        .await
        .unwrap();
    let key = format!("OPENAI_API_KEY={token}");
    let mut after = engine.podman(&["exec", "--env", &key, &sandbox]);
    let after = seen(after.args(SCRIPT));
    assert_eq!(after, ["Hello from the interception server."]);
}

/// What became of the call by way of gate. The ways past it must all have failed.
fn seen(command: &mut Command) -> [String; 1] {
    let said = said(command);
    let past = said.lines().filter(|line| line.starts_with("past gate: "));
    let failed = past.filter(|line| line.contains(" not reached: ")).count();
    assert_eq!(failed, PAST, "{said}");
    let by_gate = said.lines().find_map(|line| line.strip_prefix("by gate: "));
    [by_gate.unwrap().to_owned()]
}

/// The container of a service.
fn named(engine: &Engine, service: &str) -> String {
    let filter = format!("label=com.docker.compose.service={service}");
    said(&mut engine.podman(&["ps", "--filter", &filter, "--format", "{{.Names}}"]))
}

fn follow(engine: &Engine, container: &str) -> Log {
    let mut logs = engine.podman(&["logs", "--follow", container]);
    let logs = logs
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut logs = logs.spawn().unwrap();
    let (out, err) = (logs.stdout.take().unwrap(), logs.stderr.take().unwrap());
    // It ends with the container.
    std::thread::spawn(move || logs.wait());
    Log::follow(vec![Box::new(out), Box::new(err)])
}

/// Adds a route inside a container, as root of the host.
fn route(engine: &Engine, container: &str, route: &str) {
    let inspect = ["inspect", "--format", "{{.State.Pid}}", container];
    let pid = said(&mut engine.podman(&inspect));
    let mut enter = Command::new("nsenter");
    enter.arg(format!("--net=/proc/{pid}/ns/net"));
    said(enter.args(["ip", "route", "add"]).args(route.split(' ')));
}
