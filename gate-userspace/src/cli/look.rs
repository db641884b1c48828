//! The commands that ask one question and show the answer: `verify`, `hosts`, `audit`, `interface`.

use super::{
    call::{Gate, Question, whole_seconds},
    clean::escape_json,
    exit::Exit,
    fault::Fault,
    key,
    parse::{AuditArgs, InterfaceCommand, InterfaceSet},
    print::{self, Answer, Block, Tone},
    status, words,
};
use crate::admin::wire;

pub(super) async fn verify(gate: &Gate) -> Result<Answer, Fault> {
    let json = gate.ask(Question::get("/v1/verify")).await?;
    let verified: wire::Verified = print::read(&json)?;
    let mut view = key::view(&verified.keys);
    let whole = |ok: bool| if ok { Tone::Good } else { Tone::Bad };
    view.push(Block::line(
        whole(verified.store == "ok"),
        format!("store: {}", verified.store),
    ));
    view.push(Block::line(
        whole(verified.drift == 0),
        format!("kernel: {} differences", verified.drift),
    ));
    let exit = if verified.ok && verified.drift == 0 {
        Exit::Ok
    } else {
        Exit::Finding
    };
    Ok(Answer::new(json, view).exit(exit))
}

pub(super) async fn hosts(gate: &Gate) -> Result<Answer, Fault> {
    let json = gate.ask(Question::get("/v1/hosts")).await?;
    Ok(Answer::of(json, |hosts: wire::Hosts| {
        let row = |host: &wire::HostView| {
            vec![
                format!("{}{}", host.host, if host.this { " (this)" } else { "" }),
                host.state.clone(),
                format!("{} of {}", host.revision, hosts.revision),
                host.last_seen.to_string(),
            ]
        };
        vec![Block::Rows {
            head: vec!["HOST", "STATE", "REVISION", "LAST SEEN"],
            rows: hosts.hosts.iter().map(row).collect(),
        }]
    }))
}

pub(super) async fn audit(gate: &Gate, args: &AuditArgs) -> Result<Answer, Fault> {
    let since = args
        .since
        .map(|since| format!("since_seconds={}", whole_seconds(since)));
    let client = args.client.as_ref().map(|name| format!("client={name}"));
    let limit = args.lines.then(|| format!("limit={}", u32::MAX));
    let query: Vec<String> = since.into_iter().chain(client).chain(limit).collect();
    let path = if query.is_empty() {
        "/v1/audit".to_owned()
    } else {
        format!("/v1/audit?{}", query.join("&"))
    };
    let json = gate.ask(Question::get(path)).await?;
    if args.lines {
        let audit: wire::Audit = print::read(&json)?;
        let lines = audit.entries.iter().map(|entry| {
            let line = serde_json::to_string(entry).expect("entries have text keys");
            line + "\n"
        });
        let lines: String = lines.collect();
        return Ok(Answer::new(json, vec![Block::Exact(escape_json(&lines))]));
    }
    Ok(Answer::of(json, |audit: wire::Audit| {
        let row = |entry: &wire::AuditEntry| {
            vec![
                entry.at.to_string(),
                entry.revision.to_string(),
                entry.kind.clone(),
                entry.subject.clone(),
                entry.actor.clone(),
                if entry.detail.is_null() {
                    String::new()
                } else {
                    entry.detail.to_string()
                },
            ]
        };
        vec![Block::Rows {
            head: vec!["TIME", "REVISION", "WHAT", "WHOM", "BY", "DETAIL"],
            rows: audit.entries.iter().map(row).collect(),
        }]
    }))
}

pub(super) async fn interface(gate: &Gate, command: InterfaceCommand) -> Result<Answer, Fault> {
    match command {
        InterfaceCommand::List => interfaces(gate).await,
        InterfaceCommand::Set(set) => set_hook(gate, set).await,
    }
}

async fn interfaces(gate: &Gate) -> Result<Answer, Fault> {
    let json = gate.ask(Question::get("/v1/status")).await?;
    let status: wire::Status = print::read(&json)?;
    let packet = status.rings.packet;
    let json = serde_json::json!({
        "interfaces": packet.interfaces,
        "revision": status.revision,
    });
    let view = status::interfaces(&packet.interfaces).unwrap_or_else(|| {
        let why = words::because(&packet.reason);
        Block::line(
            Tone::Warn,
            format!("the packet ring is on no interface{why}"),
        )
    });
    Ok(Answer::new(json, vec![view]))
}

async fn set_hook(gate: &Gate, set: InterfaceSet) -> Result<Answer, Fault> {
    let body = wire::InterfaceSet {
        name: set.name,
        hook: set.hook.as_str().to_owned(),
    };
    let json = gate
        .ask(Question::post("/v1/interface").json(&body))
        .await
        .map_err(|fault| fault.or_hint("`gatectl interface list` shows what is attached"))?;
    Ok(Answer::of(json, |one: wire::InterfaceView| {
        status::interfaces(&[one]).into_iter().collect()
    }))
}
