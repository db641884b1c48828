//! What a script sees of `gatectl`: exit status, standard output, standard error, and the wire.
//!
//! The gate behind it is scripted: it answers what the test says and keeps what it was asked, so
//! that every refusal can be had without a kernel or a store.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic; the lint knows functions marked as tests only"
)]

#[path = "gatectl/gate.rs"]
mod gate;
#[path = "gatectl/terminal.rs"]
mod terminal;

use std::{
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::ffi::OsStrExt as _,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Output, Stdio},
};

use gate::{Gate, Reply};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

const TOKEN: &str = "gate_05McJmDgrvc_very-secret-token";
const KEY: &str = "sk-very-secret-provider-key";

#[test]
fn exit_status_says_how_it_ended() {
    let gate = Gate::start(|asked| match asked.target.as_str() {
        "/v1/clients" => Reply::json(200, &json!({"clients": [], "revision": 1})),
        "/v1/status" => Reply::json(200, &status(false)),
        _ => Reply::json(404, &refusal("not_found", "no such client", "")),
    });
    let rows: [(&[&str], i32); 6] = [
        (&["client", "list"], 0),
        (&["client", "show", "x"], 1),
        (&["client", "frobnicate"], 2),
        (&["client", "list", "--socket", "/nowhere/admin.sock"], 3),
        (&["status"], 4),
        (&["--help"], 0),
    ];
    for (args, want) in rows {
        let output = run(&gate, args, "");
        assert_eq!(output.status.code(), Some(want), "{args:?}: {output:?}");
    }
}

#[test]
fn json_goes_to_stdout_alone_and_talk_to_stderr() {
    let gate = Gate::start(|_| Reply::json(200, &status(false)));
    let output = run(&gate, &["status", "--output", "json"], "");
    assert_eq!(stderr(&output), "");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        document,
        status(false),
        "the gate's keys come through as they are"
    );

    let output = run(
        &gate,
        &["status", "--socket", "/nowhere/s", "--output", "json"],
        "",
    );
    assert_eq!(stdout(&output), "");
    assert_eq!(
        stderr(&output),
        "error: cannot reach the gate at /nowhere/s: No such file or directory (os error 2)\n\n\
         hint: is gated running here? start it with `gated`, or name its socket with `--socket PATH`\n"
    );
}

#[test]
fn a_refusal_shows_the_words_of_the_gate_and_its_hint() {
    let gate = Gate::start(|_| {
        let hint = "end it with `gatectl client revoke x`\u{1b}[2J";
        Reply::json(409, &refusal("last_source", "it is the last source", hint))
    });
    let output = run(&gate, &["client", "source", "remove", "x", "10.0.0.5"], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "error: it is the last source\n\nhint: end it with `gatectl client revoke x`[2J\n"
    );
}

/// Acceptance 119.
#[test]
fn a_taken_or_unknown_name_has_a_hint_that_leads_on() {
    let gate = Gate::start(|asked| match asked.method.as_str() {
        "POST" if asked.target == "/v1/clients" => {
            Reply::json(409, &refusal("exists", "client `x` exists", ""))
        }
        _ => Reply::json(404, &refusal("not_found", "no client `x`", "")),
    });
    let rows: [(&[&str], &[&str]); 3] = [
        (&["client", "add", "x"], &["client rotate x", "key set x"]),
        (&["client", "rotate", "x"], &["client add x"]),
        (&["key", "set", "x"], &["client add x"]),
    ];
    for (args, hints) in rows {
        let output = run(&gate, args, KEY);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        for hint in hints {
            assert!(stderr(&output).contains(hint), "{args:?}: {output:?}");
        }
    }
}

/// Acceptance 119.
#[test]
fn an_empty_secret_ends_it_before_the_gate_is_asked() {
    let gate = Gate::start(|_| Reply::json(200, &json!({})));
    let rows: [&[&str]; 4] = [
        &["client", "add", "x", "--upstream-key-stdin"],
        &["client", "add", "x", "--token-stdin"],
        &["key", "set", "x"],
        &["rollout", "open", "r", "--client", "x", "--secrets-stdin"],
    ];
    for args in rows {
        let output = run(&gate, args, " \n");
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(stderr(&output).contains("is empty"), "{args:?}: {output:?}");
    }
    assert_eq!(gate.asked().len(), 0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let gate = Gate::holding(|_| Reply::json(200, &json!({"clients": [], "revision": 1})));
    let mut child = command(&gate, &["client", "list"]).spawn().unwrap();
    drop(child.stdout.take());
    gate.release();
    let mut talk = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut talk)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), talk.as_str()), (Some(0), ""));
}

/// Acceptance 118.
#[test]
fn a_secret_is_never_in_the_arguments_and_the_token_is_printed_once() {
    let gate = Gate::start(|_| Reply::json(200, &added()));
    let args = [
        "client",
        "add",
        "x",
        "--upstream-key-stdin",
        "--output",
        "token",
    ];
    let output = run(&gate, &args, KEY);
    assert_eq!(stdout(&output), format!("{TOKEN}\n"));
    assert_eq!(stderr(&output), "");
    let asked = gate.asked();
    assert_eq!(asked[0].body["upstream_key"], KEY);
    assert!(
        asked[0].caller.contains("--upstream-key-stdin"),
        "{}",
        asked[0].caller
    );
    assert!(!asked[0].caller.contains("sk-"), "{}", asked[0].caller);
}

#[test]
fn a_secret_comes_from_a_named_variable_too() {
    let gate = Gate::start(|_| Reply::json(200, &added()));
    let args = ["client", "add", "x", "--upstream-key-env", "PROVIDER"];
    let output = command(&gate, &args).env("PROVIDER", KEY).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(gate.asked()[0].body["upstream_key"], KEY);
    let output = run(&gate, &args, "");
    assert_eq!(output.status.code(), Some(1), "the variable is not set");
    let not_text = OsStr::from_bytes(b"sk-\xff");
    let output = command(&gate, &args)
        .env("PROVIDER", not_text)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "the variable is not text");
    assert!(!stderr(&output).contains("sk-"), "{output:?}");
    assert_eq!(gate.asked().len(), 1);
}

/// Acceptance 118.
#[test]
fn a_terminal_shows_neither_the_typed_secret_nor_loses_its_echo() {
    let gate = Gate::start(|_| Reply::json(200, &json!({"client": "x", "revision": 2})));
    let mut terminal = terminal::Terminal::open();
    let mut child = terminal.run(command(&gate, &["key", "set", "x"]));
    terminal.wait_for("upstream key: ");
    assert!(!terminal.echoes());
    terminal.type_line(KEY);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(terminal.echoes());
    let seen = terminal.seen();
    assert!(!seen.contains("sk-"), "{seen}");
    assert_eq!(gate.asked()[0].body["upstream_key"], KEY);
}

#[test]
fn an_interrupt_gives_the_echo_back() {
    let gate = Gate::start(|_| Reply::json(200, &json!({})));
    let mut terminal = terminal::Terminal::open();
    let mut child = terminal.run(command(&gate, &["key", "set", "x"]));
    terminal.wait_for("upstream key: ");
    let pid = i32::try_from(child.id()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    assert!(terminal.echoes());
    assert_eq!(gate.asked().len(), 0);
}

#[test]
fn a_revoke_takes_a_confirmation() {
    let gate = Gate::start(|_| Reply::json(200, &ended("done")));
    let output = run(&gate, &["client", "revoke", "x"], "y\n");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        stderr(&output)
            .contains("hint: say it on the command line: `gatectl client revoke x --yes`")
    );
    for (answer, code, asked) in [("n", 1, 0), ("y", 0, 1)] {
        let mut terminal = terminal::Terminal::open();
        let mut child = terminal.run(command(&gate, &["client", "revoke", "x"]));
        terminal.wait_for("Go on? [y/N] ");
        terminal.type_line(answer);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{answer}");
        assert_eq!(gate.asked().len(), asked, "{answer}");
    }
    let output = run(&gate, &["client", "revoke", "x", "--yes"], "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(gate.asked()[1].method, "DELETE");
    assert_eq!(gate.asked()[1].target, "/v1/clients/x");
}

#[test]
fn waiting_names_the_hosts_that_lag_and_fails() {
    let behind = Gate::start(|_| Reply::json(200, &ended("behind")));
    let args = ["rollout", "close", "r-1", "r-2", "--wait", "2s"];
    let output = run(&behind, &args, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("not yet done on far-host"),
        "{output:?}"
    );
    assert_eq!(behind.asked()[0].target, "/v1/rollouts?wait_seconds=2");
    assert_eq!(behind.asked()[0].body, json!({"ids": ["r-1", "r-2"]}));

    let closed = Gate::start(|_| Reply::json(200, &ended("self-closed")));
    assert_eq!(run(&closed, &args, "").status.code(), Some(0));
    let without = ["rollout", "close", "--client", "x", "--all"];
    assert_eq!(run(&behind, &without, "").status.code(), Some(0));
    assert_eq!(behind.asked()[1].body, json!({"client": "x"}));
}

/// "done" and exit 0 would tell a script that nobody gets in any more.
#[test]
fn what_may_still_be_open_is_no_success() {
    let gate = Gate::start(|asked| {
        let mut answer = match (asked.method.as_str(), asked.target.as_str()) {
            ("DELETE", _) => ended("behind"),
            ("PATCH", _) => json!({"client": "x", "sources": ["10.0.0.5/32"],
                "entries_removed": 0, "connections_closed": 0, "streams_cut": 0,
                "elapsed_us": 5, "revision": 3}),
            (_, "/v1/panic") => json!({"mode": "closed", "streams_cut": 0,
                "connections_closed": 0, "elapsed_us": 5, "revision": 3}),
            _ => json!({"client": "x", "token": TOKEN, "token_id": "05McJmDgrvc",
                "old_until": "2026-01-02T03:04:05.000Z", "streams_cut": 0, "revision": 3}),
        };
        answer["warnings"] = json!(["entries may still be open: no answer"]);
        Reply::json(200, &answer)
    });
    let rows: [&[&str]; 5] = [
        &["client", "revoke", "x", "--yes"],
        &["rollout", "close", "r-1"],
        &["client", "source", "remove", "x", "10.0.0.6"],
        &["client", "rotate", "x"],
        &["panic"],
    ];
    for args in rows {
        let output = run(&gate, args, "");
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(
            stdout(&output).contains("warning: entries may still be open"),
            "{output:?}"
        );
        assert!(
            stderr(&output).contains("not all of it could be done"),
            "{output:?}"
        );
    }
}

#[test]
fn many_rollouts_open_in_one_question() {
    let gate = Gate::start(|_| Reply::json(200, &json!({"rollouts": [], "revision": 3})));
    let one = json!({"rollout": "r-1", "client": "x"});
    for form in [one.clone(), json!([one]), json!({"rollouts": [one]})] {
        let args = ["rollout", "open", "--from", "-", "--idempotency-key", "k1"];
        let output = run(&gate, &args, &form.to_string());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    for asked in gate.asked() {
        assert_eq!(asked.body, json!({"rollouts": [one]}));
        assert!(asked.head.contains("idempotency-key: k1"), "{}", asked.head);
    }
}

/// Acceptance 57.
#[test]
fn env_prints_urls_and_the_token_that_came_in() {
    let gate = Gate::start(|_| Reply::json(200, &rollout()));
    let piped = json!({"rollout": "r-1", "token": TOKEN}).to_string();
    let output = run(
        &gate,
        &["env", "r-1", "--token-stdin", "--format", "docker"],
        &piped,
    );
    let text = stdout(&output);
    assert!(
        text.contains("OPENAI_BASE_URL=http://10.0.0.1:8765/rollout/r-1/v1\n"),
        "{text}"
    );
    assert!(
        text.contains(&format!("ANTHROPIC_API_KEY={TOKEN}\n")),
        "{text}"
    );
    assert_eq!(stderr(&output), "");

    let output = run(&gate, &["env", "r-1", "--output", "json"], "");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document.get("OPENAI_API_KEY").is_none());
    assert!(stderr(&output).contains("--token-stdin"), "{output:?}");
}

#[test]
fn explain_exits_by_the_verdict() {
    for (verdict, code) in [("pass", 0), ("drop", 1)] {
        let gate = Gate::start(move |_| {
            let ring = json!({"ring": "packet", "verdict": verdict, "reason": "stranger",
                "matched": "10.0.0.5/32", "interface": "veth7", "hook": "tcx", "mode": "native"});
            Reply::json(200, &json!({"rings": [ring], "revision": 1}))
        });
        let args = ["explain", "--from", "10.0.0.5%veth7", "--token-stdin"];
        let output = run(&gate, &args, TOKEN);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(
            stdout(&output).contains("stranger; matches 10.0.0.5/32; on veth7: tcx native"),
            "{output:?}"
        );
        assert_eq!(gate.asked()[0].body["from"], "10.0.0.5%veth7");
        assert_eq!(gate.asked()[0].body["token"], TOKEN);
    }
}

#[test]
fn a_capture_has_a_verdict_for_each_frame() {
    let gate = Gate::start(|asked| {
        let verdict = if asked.body["frame"] == "aaaa" {
            "pass"
        } else {
            "drop"
        };
        let ring = json!({"ring": "packet", "verdict": verdict, "reason": "r"});
        Reply::json(200, &json!({"rings": [ring], "revision": 1}))
    });
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("two.pcap");
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1];
    bytes.extend([0; 16]);
    bytes.extend([1, 0, 0, 0]);
    for byte in [0xaa, 0xbb] {
        bytes.extend([0; 8]);
        bytes.extend([2, 0, 0, 0, 2, 0, 0, 0, byte, byte]);
    }
    std::fs::write(&file, bytes).unwrap();
    let args = [
        "explain",
        "--output",
        "json",
        "--pcap",
        file.to_str().unwrap(),
    ];
    let output = run(&gate, &args, "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdicts: Vec<&Value> = (0..2)
        .map(|at| &document["packets"][at]["rings"][0]["verdict"])
        .collect();
    assert_eq!(verdicts, ["pass", "drop"]);
}

#[test]
fn events_are_one_document_a_line_while_following() {
    let change = json!({"event": "change", "at": "2026-01-02T03:04:05.000Z", "revision": 7,
        "kind": "revoke", "subject": "client x", "actor": "uid=0"});
    let stream = format!(": hello\n\ndata: {change}\n\ndata: {change}\n\n");
    let gate = Gate::start(move |_| Reply::stream(&stream));
    let output = run(&gate, &["events", "--follow", "--output", "json"], "");
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, [change.clone(), change.clone()]);
    assert_eq!(output.status.code(), Some(3), "the gate hung up");

    let output = run(&gate, &["events", "--output", "json"], "");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document, json!({"events": [change.clone(), change]}));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_answer_of_another_shape_is_shown_or_refused_but_not_guessed() {
    let gate = Gate::start(|_| Reply::json(200, &json!({"from": "a newer gate"})));
    let output = run(&gate, &["client", "list"], "");
    assert!(stdout(&output).contains("a newer gate"), "{output:?}");
    for args in [&["status"][..], &["explain", "--from", "lo"], &["verify"]] {
        let output = run(&gate, args, "");
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    }
}

#[test]
fn a_gate_that_is_silent_is_not_waited_for_for_ever() {
    let gate = Gate::holding(|_| Reply::json(200, &json!({})));
    let output = run(&gate, &["status", "--timeout", "50ms"], "");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        stderr(&output).contains("did not answer within 50ms"),
        "{output:?}"
    );
    gate.release();
}

#[test]
fn the_admin_token_goes_over_tcp_and_never_over_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let answer = "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(head).unwrap()
    });
    let socket = Gate::start(|_| Reply::json(200, &json!({"clients": [], "revision": 1})));
    let with_token = |args: &[&str]| {
        let mut command = command(&socket, args);
        command.env("GATE_ADMIN_TOKEN", TOKEN).output().unwrap()
    };
    let output = with_token(&["client", "list", "--url", &url]);
    assert_eq!(stderr(&output), "error: the gate answered 403 Forbidden\n");
    assert_eq!(output.status.code(), Some(1));
    let head = server.join().unwrap();
    assert!(head.contains(&format!("authorization: Bearer {TOKEN}\r\n")));

    assert_eq!(with_token(&["client", "list"]).status.code(), Some(0));
    assert!(!socket.asked()[0].head.contains("authorization"));
}

/// Acceptance 172, as far as there is nothing to unload.
#[test]
fn unload_without_a_gate_or_pins_says_so() {
    let place = tempfile::tempdir().unwrap();
    let pins = place.path().join("none");
    let socket = place.path().join("admin.sock");
    let output = Command::new(env!("CARGO_BIN_EXE_gatectl"))
        .args(["unload", "--yes", "--output", "json", "--pin-dir"])
        .arg(&pins)
        .env("GATE_SOCKET", &socket)
        .output()
        .unwrap();
    if nix::unistd::geteuid().is_root() {
        assert_eq!(stdout(&output), "{\n  \"removed\": []\n}\n", "{output:?}");
    } else {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            stderr(&output).contains("hint: `sudo gatectl unload"),
            "{output:?}"
        );
    }
}

#[test]
fn completions_and_the_manual_know_every_command() {
    let gate = Gate::start(|_| Reply::json(500, &json!({})));
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&run(&gate, &["completions", shell], ""));
        assert!(
            script.contains("rollout") && script.contains("revoke"),
            "{shell}"
        );
    }
    let page = stdout(&run(&gate, &["man"], ""));
    for part in [
        ".TH gatectl",
        "gatectl client add",
        "gatectl explain",
        "--upstream-key-stdin",
    ] {
        assert!(page.replace('\\', "").contains(part), "{part}");
    }
    assert_eq!(gate.asked().len(), 0);
}

#[test]
fn doctor_works_without_a_gate() {
    let output = Command::new(env!("CARGO_BIN_EXE_gatectl"))
        .args([
            "doctor",
            "--output",
            "json",
            "--socket",
            "/nowhere/admin.sock",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = document["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["kernel", "BTF", "bpffs", "capabilities", "clock", "gate"]
    );
}

/// Acceptance 157.
#[test]
fn doctor_passes_on_what_the_gate_warns_of() {
    let gate = Gate::start(|_| {
        let mut status = status(true);
        let warning = "placeholder key `intercepted` reached the gate 31 times from 10.0.0.7";
        status["warnings"] = json!([warning]);
        Reply::json(200, &status)
    });
    let output = run(&gate, &["doctor"], "");
    assert!(
        stdout(&output).contains("placeholder key `intercepted` reached the gate 31 times"),
        "{output:?}"
    );
}

fn run(gate: &Gate, args: &[&str], stdin: &str) -> Output {
    let mut child = command(gate, args).stdin(Stdio::piped()).spawn().unwrap();
    // A command that reads nothing may be gone already.
    let _unread = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn command(gate: &Gate, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatectl"));
    command
        .args(args)
        .env("GATE_SOCKET", gate.socket())
        .env_remove("GATE_ADMIN_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn refusal(kind: &str, message: &str, hint: &str) -> Value {
    json!({"error": {"type": kind, "message": message, "hint": hint}})
}

fn added() -> Value {
    json!({"client": "x", "client_id": 1, "token": TOKEN, "token_id": "05McJmDgrvc",
        "sources": [], "expires_at": null, "revision": 2})
}

fn ended(state: &str) -> Value {
    json!({"revision": 9, "rollouts_closed": 1, "tokens_ended": 1, "entries_removed": 1,
        "connections_closed": 1, "streams_cut": 1, "elapsed_us": 812,
        "hosts": [{"host": "far-host", "revision": 8, "state": state}]})
}

fn rollout() -> Value {
    json!({"rollout": "r-1", "client": "x", "phase": "open", "sources": ["10.0.0.5/32"],
        "scope": [], "upstream": null, "has_upstream_key": true, "tokens": [],
        "created_at": "2026-01-02T03:04:05.000Z", "expires_at": null,
        "door": {"base_url": "http://10.0.0.1:8765", "candidates": [], "path": "/rollout/r-1"}})
}

fn status(covered: bool) -> Value {
    let eth0 =
        json!({"name": "eth0", "hook": "tcx", "mode": "", "covered": covered, "reason": "r"});
    json!({"revision": 1, "mode": "enforce", "host": "h",
        "rings": {
            "packet": {"state": "up", "interfaces": [eth0], "guards": [], "entries": 0,
                "capacity": 10, "reason": ""},
            "connection": {"state": "up", "listen": [], "connections": 0, "reason": ""},
            "request": {"state": "up", "reason": ""}},
        "clients": 0, "rollouts": 0, "live_streams": 0, "drift": 0, "drops": {}, "warnings": []})
}
