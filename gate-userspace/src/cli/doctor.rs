//! `gatectl doctor`: does this host have what the gate needs, and is the gate content?
//!
//! Changes nothing and needs no gate; where one runs, its capabilities count and its warnings are
//! shown. The order is that of a start: what the kernel can do, what the process may do, the clock,
//! then the gate, its store, its keys and its upstreams.

mod gate;
mod host;

use serde_json::json;

use super::{
    call::{Gate, Question},
    exit::Exit,
    fault::Fault,
    print::{self, Answer, Block, Tone},
    settle::Endpoint,
};
use crate::admin::wire::Status;

/// One thing that was looked at.
#[derive(Debug)]
struct Check {
    name: String,
    found: Found,
    detail: String,
    /// What to do about it; empty when nothing needs doing.
    remedy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Ok,
    /// Works, with less.
    Warn,
    Fail,
}

pub(super) async fn run(gate: &Gate) -> Result<Answer, Fault> {
    let status = gate.ask(Question::get("/v1/status")).await;
    let pid = host::gated_pid(gate.endpoint());
    let mut checks = vec![
        host::kernel(),
        host::btf(),
        host::bpffs(),
        host::capabilities(pid),
        host::clock(),
    ];
    match &status {
        Ok(json) => {
            let status = print::read(json)?;
            checks.extend(of_gate(&status));
            let verified = gate.ask(Question::get("/v1/verify")).await;
            match verified.and_then(|verified| print::read(&verified)) {
                Ok(verified) => {
                    checks.push(gate::store(&verified));
                    checks.extend(gate::keys(&verified));
                }
                Err(fault) => {
                    checks.push(Check::fail("store", fault.to_string(), "gatectl verify"));
                }
            }
            checks.extend(gate::upstreams(&status).await);
        }
        Err(fault) => checks.push(unreachable(fault, gate.endpoint())),
    }
    let failed = checks.iter().any(|check| check.found == Found::Fail);
    let exit = if failed { Exit::Finding } else { Exit::Ok };
    let rows: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({"check": check.name, "result": check.found.word(),
                "detail": check.detail, "remedy": check.remedy})
        })
        .collect();
    let view = checks.iter().flat_map(Check::view).collect();
    Ok(Answer::new(json!({"ok": !failed, "checks": rows}), view).exit(exit))
}

fn of_gate(status: &Status) -> Vec<Check> {
    let mut checks = vec![Check::ok(
        "gate",
        format!("answers at revision {}", status.revision),
    )];
    let uncovered = status.rings.packet.interfaces.iter();
    let uncovered = uncovered.filter(|interface| !interface.covered && interface.name != "lo");
    checks.extend(uncovered.map(|interface| {
        Check::fail(
            "coverage",
            format!(
                "interface {} is not covered: {}",
                interface.name, interface.reason
            ),
            "gatectl interface list",
        )
    }));
    if status.drift != 0 {
        let detail = format!("{} differences between grants and kernel", status.drift);
        checks.push(Check::fail("drift", detail, "gatectl verify"));
    }
    let warnings = status.warnings.iter();
    checks
        .extend(warnings.map(|warning| Check::warn("warning", warning.clone(), "gatectl status")));
    checks
}

fn unreachable(fault: &Fault, endpoint: &Endpoint) -> Check {
    let place = match endpoint {
        Endpoint::Unix(path) => path.display().to_string(),
        Endpoint::Tcp { authority, .. } => authority.clone(),
    };
    Check {
        name: "gate".to_owned(),
        found: Found::Fail,
        detail: format!("no answer from {place}: {fault}"),
        remedy: fault.hint_text().unwrap_or_default().to_owned(),
    }
}

impl Found {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Warn => Tone::Warn,
            Self::Fail => Tone::Bad,
        }
    }
}

impl Check {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            found: Found::Ok,
            detail: detail.into(),
            remedy: String::new(),
        }
    }

    fn warn(name: &str, detail: impl Into<String>, remedy: &str) -> Self {
        Self {
            found: Found::Warn,
            remedy: remedy.to_owned(),
            ..Self::ok(name, detail)
        }
    }

    fn fail(name: &str, detail: impl Into<String>, remedy: &str) -> Self {
        Self {
            found: Found::Fail,
            remedy: remedy.to_owned(),
            ..Self::ok(name, detail)
        }
    }

    fn view(&self) -> Vec<Block> {
        let line = format!("{:4}  {:12}  {}", self.found.word(), self.name, self.detail);
        let mut view = vec![Block::line(self.found.tone(), line)];
        if !self.remedy.is_empty() {
            view.push(Block::line(
                Tone::Plain,
                format!("      try: {}", self.remedy),
            ));
        }
        view
    }
}
