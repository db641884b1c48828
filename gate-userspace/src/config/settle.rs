//! Puts flags, environment, file and defaults together, section by section.

mod admin;
mod limits;
mod listen;
mod ring;
mod routes;
mod store;
mod upstreams;

use std::{net::SocketAddr, path::PathBuf};

use super::{
    Config, Environment, Flags, Log, LogFormat,
    Origin::{self, Environment as Env, File, Flag},
    Reach, Refused, Resolve, Shown, raw, reach, secrets, url,
    value::{self, Word},
};
use crate::{
    ident::HostName,
    settings::{Mode, Settings},
};

/// Names of files and directories that stand under the state and run directories.
struct Places {
    state_dir: PathBuf,
    run_dir: PathBuf,
    store: store::Kept,
    admin_socket: PathBuf,
}

pub(super) fn settle(
    flags: &Flags,
    environment: Environment<'_>,
    file: &raw::RawFile,
    resolve: Resolve<'_>,
) -> Result<Config, Refused> {
    let mut shown = Shown::default();
    shown.section("[gate]");
    let (mode, audit_public) = mode(flags, environment, &file.gate, &mut shown)?;
    let host = host(&mut shown, file.gate.host.as_deref())?;
    let given = [(file.gate.shared_secret_file.clone(), File)];
    let secret_file = shown.pick("shared_secret_file", given, String::new());
    let secret_file = Some(secret_file).filter(|path| !path.is_empty());
    let secrets = secrets::read(environment, secret_file.map(PathBuf::from).as_ref())?;
    let places = places(flags, environment, file, &mut shown)?;
    let admin_group = shown.pick(
        "group",
        [(file.admin.group.clone(), File)],
        "gate".to_owned(),
    );
    let admin_remote = admin::remote(&file.admin, &mut shown)?;
    let metrics_listen = metrics(&file.metrics, &mut shown)?;

    let listen = listen::listen(flags, environment, &file.listen, resolve, &mut shown)?;
    let public = listen.iter().find(|(_, reach)| *reach == Reach::Network);
    if let Some((listen, _)) = public
        && mode == Mode::Audit
        && !audit_public
    {
        return Err(Refused::PublicAudit {
            address: listen.at.to_string(),
        });
    }
    let upstreams = upstreams::upstreams(flags, environment, &file.upstream, &mut shown)?;
    let routes = routes::routes(flags, &file.route, &upstreams, &mut shown)?;
    let guards = ring::guards(flags, &file.guard, &mut shown)?;
    let kernel = ring::kernel(flags, environment, &file.kernel, &mut shown)?;
    let variable = [(file.apollo.internal_token_env.clone(), File)];
    shown.section("[apollo]");
    let usual = "APOLLO_INTERNAL_TOKEN".to_owned();
    let variable = shown.pick("internal_token_env", variable, usual);
    let apollo_internal = secrets::internal(environment, &variable)?;
    let limits = limits::limits(&file.limits, &mut shown)?;
    let log = limits::log(&file.log, &mut shown)?;

    let settings = Settings {
        mode,
        host,
        state_dir: places.state_dir,
        run_dir: places.run_dir,
        listen: listen.into_iter().map(|(listen, _)| listen).collect(),
        upstreams,
        routes,
        guards,
        kernel,
        limits,
        master_key_file: places.store.master_key_file,
        admin_socket: places.admin_socket,
        admin_group,
        admin_remote,
        metrics_listen,
        apollo_internal,
    };
    Ok(Config {
        settings,
        store: places.store.place,
        bounds: places.store.bounds,
        audit_retention: places.store.audit_retention,
        secrets,
        log,
        file: None,
        shown,
    })
}

fn mode(
    flags: &Flags,
    environment: Environment<'_>,
    file: &raw::RawGate,
    shown: &mut Shown,
) -> Result<(Mode, bool), Refused> {
    let given = [
        (flags.mode.clone(), Flag),
        (environment("GATE_MODE"), Env("GATE_MODE")),
        (file.mode.clone(), File),
    ];
    let mode = shown.pick("mode", given, "enforce".to_owned());
    let public = [
        (flags.audit_public.then_some(true), Flag),
        (file.audit_public, File),
    ];
    Ok((
        Mode::read("gate.mode", &mode)?,
        shown.pick("audit_public", public, false),
    ))
}

fn places(
    flags: &Flags,
    environment: Environment<'_>,
    file: &raw::RawFile,
    shown: &mut Shown,
) -> Result<Places, Refused> {
    let state_dir = [
        (flags.state_dir.clone(), Flag),
        (environment("GATE_STATE_DIR"), Env("GATE_STATE_DIR")),
        (file.gate.state_dir.clone(), File),
    ];
    let state_dir = PathBuf::from(shown.pick("state_dir", state_dir, "/var/lib/gate".to_owned()));
    let run_dir = [
        (flags.run_dir.clone(), Flag),
        (environment("GATE_RUN_DIR"), Env("GATE_RUN_DIR")),
        (file.gate.run_dir.clone(), File),
    ];
    let run_dir = PathBuf::from(shown.pick("run_dir", run_dir, "/run/gate".to_owned()));
    shown.section("[store]");
    let store = store::store(flags, environment, &file.store, &state_dir, shown)?;
    shown.section("[admin]");
    let given = [
        (environment("GATE_SOCKET"), Env("GATE_SOCKET")),
        (file.admin.socket.clone(), File),
    ];
    let socket = shown.pick(
        "socket",
        given,
        run_dir.join("admin.sock").display().to_string(),
    );
    Ok(Places {
        state_dir,
        run_dir,
        store,
        admin_socket: socket.into(),
    })
}

fn metrics(file: &raw::RawMetrics, shown: &mut Shown) -> Result<Option<SocketAddr>, Refused> {
    shown.section("[metrics]");
    let text = shown.pick("listen", [(file.listen.clone(), File)], String::new());
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "ADDRESS:PORT, or \"\" for none";
    let address = text.parse();
    let address = address.map_err(|_why| value::refused("metrics.listen", &text, expected))?;
    Ok(Some(address))
}

fn host(shown: &mut Shown, given: Option<&str>) -> Result<HostName, Refused> {
    let own = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    let own = own
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned());
    let given = given.filter(|name| !name.is_empty()).map(str::to_owned);
    let name = shown.pick("host", [(given, File)], own);
    name.parse()
        .map_err(|_why| value::refused("gate.host", &name, "a host name"))
}
