//! What the packet ring protects, where it is attached, and whether a start depends on it.

use super::{
    Environment, Flags,
    Origin::{Environment as Env, File, Flag},
    Refused, Shown, raw,
    value::{self, Word},
};
use crate::settings::{Guard, GuardPolicy, Interfaces, Kernel, KernelNeed};

pub(super) fn guards(
    flags: &Flags,
    file: &[raw::RawGuard],
    shown: &mut Shown,
) -> Result<Vec<Guard>, Refused> {
    let mut guards = Vec::new();
    for text in &flags.guard {
        guards.push((value::guard(text)?, Flag));
    }
    for raw in file {
        let port = raw.port.filter(|port| *port != 0);
        let port = port.ok_or_else(|| value::refused("guard.port", "", "a port"))?;
        let address = match raw.address.as_deref() {
            None | Some("any") => None,
            Some(text) => Some(text.parse().map_err(|_why| {
                value::refused("guard.address", text, "an address of this host, or any")
            })?),
        };
        let policy = GuardPolicy::read("guard.policy", raw.policy.as_deref().unwrap_or("none"))?;
        guards.push((
            Guard {
                port,
                address,
                policy,
            },
            File,
        ));
    }
    for (guard, origin) in &guards {
        shown.section("[[guard]]");
        shown.value("port", guard.port, *origin);
        let address = guard.address.map(|address| address.to_string());
        let address = address.unwrap_or_else(|| "any".to_owned());
        shown.value("address", address, *origin);
        shown.value("policy", guard.policy.word(), *origin);
    }
    Ok(guards.into_iter().map(|(guard, _)| guard).collect())
}

pub(super) fn kernel(
    flags: &Flags,
    environment: Environment<'_>,
    file: &raw::RawKernel,
    shown: &mut Shown,
) -> Result<Kernel, Refused> {
    shown.section("[kernel]");
    let require = [
        (flags.kernel.clone(), Flag),
        (environment("GATE_KERNEL"), Env("GATE_KERNEL")),
        (file.require.clone(), File),
    ];
    let require = shown.pick("require", require, "auto".to_owned());
    let need = KernelNeed::read("kernel.require", &require)?;
    let typed = flags.interfaces.as_deref().map(|text| match text {
        "auto" | "none" => raw::RawInterfaces::Word(text.to_owned()),
        list => {
            let items = list.split(',').map(|item| item.trim().to_owned());
            raw::RawInterfaces::List(items.collect())
        }
    });
    let given = [(typed, Flag), (file.interfaces.clone(), File)];
    let usual = raw::RawInterfaces::Word("auto".to_owned());
    let items = match shown.pick("interfaces", given, usual) {
        raw::RawInterfaces::Word(word) => vec![word],
        raw::RawInterfaces::List(items) => items,
    };
    let interfaces: Interfaces = value::interfaces("kernel.interfaces", &items)?;
    let pin_dir = shown.pick(
        "pin_dir",
        [(file.pin_dir.clone(), File)],
        "/sys/fs/bpf/gate".to_owned(),
    );
    let usual = raw::RawSynBudget {
        rate: 200,
        burst: 1000,
    };
    let syn_budget = shown.pick("syn_budget", [(file.syn_budget, File)], usual);
    let event_budget = shown.pick("event_budget", [(file.event_budget, File)], 100);
    Ok(Kernel {
        need,
        interfaces,
        pin_dir: pin_dir.into(),
        syn_budget: (syn_budget.rate, syn_budget.burst),
        event_budget,
    })
}
