//! `gatectl unload`: takes the packet ring out of the kernel, with or without a running gate.
//!
//! A running gate is asked, because it would repair what somebody else took away. Without one the
//! pins are removed from here, which takes root. Afterwards the port is open to everybody.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    call::{Gate, Question},
    confirm::{Confirmed, confirm},
    exit::Exit,
    fault::Fault,
    parse::UnloadArgs,
    print::{Answer, Block, Tone},
    settle::Endpoint,
};
use crate::{admin::wire, kernel::unload};

/// As in the settings of the daemon.
const PIN_DIR: &str = "/sys/fs/bpf/gate";

pub(super) async fn run(gate: &Gate, args: UnloadArgs) -> Result<Answer, Fault> {
    let effect = "opens every gated and guarded port to everybody";
    let sure = confirm(args.yes, "unloading", effect, gate.command())?;
    // Another pin directory is not that of the running gate.
    if args.pin_dir.is_none() {
        let here = matches!(gate.endpoint(), Endpoint::Unix(_));
        match gate.ask(Question::post("/v1/unload")).await {
            Err(fault) if fault.exit == Exit::Unreachable && here => {}
            answered => return answered.map(|json| Answer::of(json, view)),
        }
    }
    let pin_dir = args.pin_dir.unwrap_or_else(|| PIN_DIR.into());
    let removed = from_kernel(&pin_dir, gate.command(), sure)?;
    let removed: Vec<String> = removed
        .iter()
        .map(|pin| pin.display().to_string())
        .collect();
    let json = json!({ "removed": removed });
    Ok(Answer::new(json, view(wire::Unloaded { removed })))
}

fn from_kernel(pin_dir: &Path, command: &str, _sure: Confirmed) -> Result<Vec<PathBuf>, Fault> {
    if !nix::unistd::geteuid().is_root() {
        return Err(
            Fault::refused("no gate answers, and unloading without one takes root")
                .hint(format!("`sudo {command}`")),
        );
    }
    unload(pin_dir)
        .map(|unloaded| unloaded.pins)
        .map_err(|cause| {
            let hint = cause.hint();
            let fault = Fault::refused(format!(
                "cannot unload what is pinned in {}",
                pin_dir.display()
            ))
            .because(cause);
            match hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            }
        })
}

fn view(unloaded: wire::Unloaded) -> Vec<Block> {
    if unloaded.removed.is_empty() {
        return vec![Block::line(Tone::Plain, "nothing was loaded")];
    }
    let mut view: Vec<Block> = unloaded
        .removed
        .into_iter()
        .map(|name| Block::line(Tone::Plain, format!("removed {name}")))
        .collect();
    view.push(Block::line(
        Tone::Warn,
        "the packet ring is gone: the gated port answers everybody",
    ));
    view
}
