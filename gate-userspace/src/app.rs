//! One run of the daemon, top to bottom: check, lock, open, take, guard, load, listen, serve, drain.
//!
//! What may refuse a start comes before anything is bound or attached. Addresses are taken before
//! the packet ring stands and opened after it, so no moment is unguarded.

mod bind;
mod certificates;
mod check;
mod closed;
mod descriptors;
mod early;
mod events;
mod explain;
mod facts;
mod numbers;
mod fault;
mod lock;
mod lookup;
mod master;
pub mod private;
pub mod protect;
mod reload;
pub mod ring;
mod signals;
mod streams;
mod upkeep;
mod view;

use std::{sync::Arc, time::Duration};

use tracing::{error, info, warn};

pub use fault::StartError;
use protect::Protected;
use reload::Reload;
use ring::Ring;
use signals::Signals;
use streams::LiveStreams;
use view::View;

use crate::{
    admin::{self, AdminSocket, Api},
    clock::Clock,
    config::{Config, Flags, Log, Shown},
    control::{self, Events},
    drain::Tasks,
    grants::Grants,
    kernel,
    names::Names,
    proxy::{
        Parts, Proxy,
        access::Journal,
        listen::{self, Bound, Workers},
        live::Live,
    },
    secret::{Digest, Keyring},
    settings::{KernelNeed, Mode, Settings},
    store::Store,
    telemetry::{self, Chain},
    watched::Watched,
};

/// How long background tasks may take to stop.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `--check` tells, and what a start goes by.
#[derive(Debug)]
pub struct Plan {
    pub protected: Vec<Protected>,
    /// Why there will be no packet ring, if there will be none.
    pub absent: Option<String>,
    /// What the hosts of upstreams mean: calls go there and nowhere else.
    pub names: Names,
}

/// What a start would protect, and whether it can.
///
/// # Errors
/// When the start must be refused; nothing was bound or attached.
pub fn plan(settings: &Settings) -> Result<Plan, StartError> {
    let names = Names::ask(settings.hosts(), crate::config::resolve);
    let protected = protect::ports(settings, &protect::is_own, &names)?;
    if protected.is_empty() {
        let absent =
            "no listener admits listed sources only, beyond loopback, and no port is guarded";
        let absent = absent.to_owned();
        return Ok(Plan {
            protected,
            absent: Some(absent),
            names,
        });
    }
    let absent = match settings.kernel.need {
        KernelNeed::Off => Some("switched off by the settings".to_owned()),
        KernelNeed::Auto | KernelNeed::Require => {
            kernel::probe().map_err(StartError::Kernel)?;
            None
        }
        KernelNeed::Prefer => kernel::probe().err().map(|error| Chain(&error).to_string()),
    };
    Ok(Plan {
        protected,
        absent,
        names,
    })
}

/// Runs until a signal ends it.
///
/// # Errors
/// When the start failed. A drain that ran out of time is not an error.
pub fn run(flags: &Flags, config: Config) -> Result<(), StartError> {
    let plan = plan(&config.settings)?;
    if flags.guard_only {
        return early::guard(&config.settings, plan);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Thread)?;
    runtime.block_on(serve(flags, config, plan))
}

async fn serve(flags: &Flags, config: Config, plan: Plan) -> Result<(), StartError> {
    let Config {
        settings,
        secrets,
        log,
        ..
    } = config;
    for note in &secrets.notes {
        info!("{note}");
    }
    let signals = Signals::listen().map_err(StartError::Thread)?;
    descriptors::raise(settings.limits.connections);
    let _lock = lock::take(&settings.run_dir)?;
    lock::private_dir(&settings.state_dir, 0o700)?;
    let is_first = !ring::is_pinned(&settings.kernel.pin_dir);
    if plan.absent.is_some() && !is_first {
        // Revocations would not reach what a former start pinned, and nobody would notice.
        let pin_dir = settings.kernel.pin_dir.clone();
        return Err(StartError::Pinned { pin_dir });
    }
    let store = config.store.open(config.bounds).await?;
    let file = &settings.master_key_file;
    let is_needed = !file.exists() && store.snapshot().await?.holds_keys();
    let is_made = !file.exists();
    let mut key_file = secrets.master.is_none().then(|| Watched::new(file.clone()));
    let keyring = Arc::new(master::keyring(secrets.master, file, is_needed)?);
    if is_made {
        // By this start, which knows what is in it.
        key_file.as_mut().map(Watched::has_changed);
    }
    let marker = closed::Marker::new(&settings.state_dir);
    let mode = match store.is_closed().await {
        Ok(true) => Mode::Closed,
        Ok(false) => settings.mode,
        // Nobody is served before the store was heard of; what it says then is taken up.
        Err(cause) if cause.is_outage() && marker.is_there() => Mode::Closed,
        Err(cause) if cause.is_outage() => settings.mode,
        Err(cause) => return Err(cause.into()),
    };
    let taken = settings
        .listen
        .iter()
        .map(bind::take)
        .collect::<Result<Vec<_>, _>>()?;
    let socket = AdminSocket::bind(&settings.admin_socket, &settings.admin_group)?;
    let scraped = settings.metrics_listen.map(bind::aside).transpose()?;
    let remote = settings.admin_remote.as_ref().map(|remote| {
        Ok::<_, StartError>(admin::Remote {
            listener: bind::aside(remote.address)?,
            tls: remote.tls.clone(),
        })
    });
    let remote = remote.transpose()?;

    let names = plan.names.clone();
    let ring = Arc::new(guard(&settings, mode, plan, is_first)?);
    let parts = Opened {
        flags: flags.clone(),
        shown: config.shown,
        file: config.file,
        shared: secrets.shared.map(|token| token.digest),
        settings: Arc::new(settings),
        names,
        keyring,
        key_file,
        audit_retention: config.audit_retention,
        store,
        mode,
        taken,
        socket,
        scraped,
        remote,
        log,
    };
    let stood = stand(parts, signals, Arc::clone(&ring)).await;
    if let (Err(_), true, Some(agent)) = (&stood, is_first, ring.agent()) {
        // A start that fails leaves nothing attached, unless it was there before.
        if let Err(cause) = agent.unload().await {
            warn!(cause = %Chain(&cause), "the packet ring stays attached: gatectl unload --yes");
        }
    }
    stood
}

/// What is open before the packet ring stands.
struct Opened {
    flags: Flags,
    shown: Shown,
    file: Option<Watched>,
    settings: Arc<Settings>,
    names: Names,
    shared: Option<Digest>,
    keyring: Arc<Keyring>,
    /// None = the master keys were given by value.
    key_file: Option<Watched>,
    audit_retention: Duration,
    store: Store,
    mode: Mode,
    taken: Vec<bind::Taken>,
    socket: AdminSocket,
    scraped: Option<tokio::net::TcpListener>,
    remote: Option<admin::Remote>,
    log: Log,
}

/// From a standing packet ring to the last answer.
async fn stand(opened: Opened, signals: Signals, ring: Arc<Ring>) -> Result<(), StartError> {
    let settings = &opened.settings;
    let (events, clock, live) = (Events::default(), Clock::system(), Live::new());
    let grants = Arc::new(Grants::new(settings.host.clone(), opened.mode));
    let parts = control::Parts {
        store: opened.store,
        grants: Arc::clone(&grants),
        streams: Arc::new(LiveStreams {
            live: Arc::clone(&live),
            host: settings.host.clone(),
        }),
        ring: Arc::new(closed::Remembered {
            ring: Arc::clone(&ring),
            marker: closed::Marker::new(&settings.state_dir),
        }),
        keyring: Arc::clone(&opened.keyring),
        clock: clock.clone(),
        events: events.clone(),
        upstreams: settings
            .upstreams
            .iter()
            .map(|upstream| upstream.name.clone())
            .collect(),
        mode: settings.mode,
        shared: opened.shared,
    };
    let (control, worker) = control::start(parts).await?;
    let keyring = opened.keyring;
    let (held, key_file) = (Arc::clone(&keyring), opened.key_file);
    // Dropped behind everything that has something to tell.
    let journal = telemetry::access(opened.log).map_err(StartError::Thread)?;
    let parts = Parts {
        settings,
        names: &opened.names,
        grants: Arc::clone(&grants),
        live,
        keyring,
        clock: clock.clone(),
        access: journal.as_ref().map(Journal::lines),
    };
    let proxy = Proxy::new(parts);
    let bound = opened
        .taken
        .into_iter()
        .map(bind::Taken::listen)
        .collect::<Result<Vec<_>, _>>()?;
    let view = View::new(&bound, Arc::clone(&ring), Arc::clone(&proxy));
    let view = view.with_keys(
        Arc::clone(&held),
        key_file.as_ref().map(|file| file.path().to_owned()),
    );
    let doorways = view.doorways(settings);
    let workers = start_workers(&proxy, &bound)?;

    let tasks = Tasks::default();
    tasks.spawn("control", worker.run(tasks.last_word()));
    tasks.spawn("uses", control.clone().write_uses(tasks.last_word()));
    if let Some(file) = key_file {
        upkeep::hold_keys(&tasks, held, file);
    }
    upkeep::forget(&tasks, control.clone(), opened.audit_retention);
    events::follow(&tasks, &ring, &events, clock);
    events::follow_mistakes(&tasks, &proxy, &events);
    let reload = Reload {
        control: control.clone(),
        flags: opened.flags,
        shown: opened.shown,
        file: opened.file,
        standing: Arc::clone(settings),
        names: opened.names,
        ring: Arc::clone(&ring),
        proxy: Arc::clone(&proxy),
    };
    reload::watch(&tasks, reload);
    let api = Api::new(control, Arc::new(view), doorways);
    upkeep::write_refusals(&tasks, api.clone(), Arc::clone(&proxy));
    if let Some(listener) = opened.scraped {
        let scraped = admin::scraped(api.clone(), listener, tasks.last_word());
        tasks.spawn("metrics", scraped);
    }
    if let Some(remote) = opened.remote {
        let remote = admin::serve_remote(api.clone(), remote, tasks.last_word());
        tasks.spawn("admin over tcp", remote);
    }
    tasks.spawn("admin", admin::run(api, opened.socket, tasks.last_word()));
    announce(&grants, &ring, &bound);
    drain(signals, workers, settings, &tasks).await;
    Ok(())
}

/// Puts the packet ring up, or says why it is absent.
fn guard(settings: &Settings, mode: Mode, plan: Plan, first: bool) -> Result<Ring, StartError> {
    if let Some(reason) = plan.absent {
        if !plan.protected.is_empty() {
            warn!(
                reason,
                "no packet ring: strangers reach the sockets and are refused there"
            );
        }
        return Ok(Ring::absent(reason, plan.protected));
    }
    for protected in &plan.protected {
        info!(port = protected.port, policy = ?protected.policy, why = protected.why, "protects");
    }
    match Ring::start(&settings.kernel, mode, plan.protected.clone()) {
        Ok(ring) => Ok(ring),
        Err(cause) if settings.kernel.need == KernelNeed::Prefer && first => {
            let reason = Chain(&cause).to_string();
            warn!(
                reason,
                "no packet ring: strangers reach the sockets and are refused there"
            );
            Ok(Ring::absent(reason, plan.protected))
        }
        Err(cause) => Err(StartError::Kernel(cause)),
    }
}

fn start_workers(proxy: &Arc<Proxy>, bound: &[Bound]) -> Result<Workers, StartError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    listen::start(proxy, bound, cores).map_err(StartError::Thread)
}

fn announce(grants: &Grants, ring: &Ring, bound: &[Bound]) {
    let listen: Vec<String> = bound.iter().map(bind::address).collect();
    let packet = if ring.agent().is_some() {
        "up"
    } else {
        ring.reason()
    };
    let revision = grants.revision();
    info!(%revision, packet, connection = "up", request = "up", listen = listen.join(" "), "ready");
    if let Err(cause) = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]) {
        warn!(%cause, "cannot tell the supervisor that the gate is ready");
    }
}

/// New calls get 503, running ones go on up to the limit; a second signal ends them now.
async fn drain(mut signals: Signals, workers: Workers, settings: &Settings, tasks: &Tasks) {
    let signal = signals.end().await;
    info!(signal, limit = ?settings.limits.drain, "draining: new calls are answered 503");
    // A supervisor that cannot be told only waits as long as it was going to.
    let _told = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    tokio::select! {
        () = workers.drain(settings.limits.drain) => {}
        signal = signals.end() => {
            warn!(signal, "ending now");
            workers.drain(Duration::ZERO).await;
        }
    }
    workers.stop_accepting();
    if tokio::task::spawn_blocking(|| workers.join())
        .await
        .is_err()
    {
        error!("a worker could not be ended");
    }
    if !tasks.stop(PATIENCE).await {
        warn!("a background task did not stop in time");
    }
    info!("stopped; what the packet ring guards stays shut: `gatectl unload --yes` removes it");
}
