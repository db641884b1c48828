//! Network namespaces for these tests: one thread each, a private bpffs, gone when dropped.

use std::any::Any;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use gate_userspace::kernel::{
    Agent, GuardedPort, Interfaces, KernelError, Mode, Opening, Policy, Setup, SourceKey, SynBudget,
};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

type Answer = Box<dyn Any + Send>;
type Job = (
    Box<dyn FnOnce() -> Answer + Send>,
    mpsc::Sender<thread::Result<Answer>>,
);

/// A thread that lives in a network namespace and does what it is told there.
pub(crate) struct Namespace {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (ready, started) = mpsc::channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
            mount(
                None::<&str>,
                "/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_PRIVATE,
                None::<&str>,
            )
            .unwrap();
            let path = format!(
                "/proc/{}/task/{}/ns/net",
                std::process::id(),
                nix::unistd::gettid()
            );
            ip("link set lo up");
            ready.send(PathBuf::from(path)).unwrap();
            while let Ok((job, answer)) = inbox.recv() {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                let _ = answer.send(result);
            }
        });
        let path = started.recv().unwrap();
        Self {
            jobs: Some(jobs),
            thread: Some(thread),
            path,
        }
    }

    /// Runs `job` in the namespace.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, result) = mpsc::channel();
        let job: Box<dyn FnOnce() -> Answer + Send> = Box::new(move || Box::new(job()));
        self.jobs.as_ref().unwrap().send((job, answer)).unwrap();
        match result.recv().unwrap() {
            Ok(value) => *value.downcast().unwrap(),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    pub(crate) fn path(&self) -> String {
        self.path.display().to_string()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `ip` in the namespace of the calling thread.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The host with gate on it, and two sandboxes on links of their own.
///
/// Sandbox `n` is `10.0.n.2` and `fd00:n::2` behind `veth<n>`; the host is `.1` and `::1` there.
pub(crate) struct Lab {
    pub(crate) host: Namespace,
    pub(crate) a: Namespace,
    pub(crate) b: Namespace,
    pub(crate) pin_dir: PathBuf,
}

pub(crate) const GATE: u16 = 8765;
pub(crate) const OTHER: u16 = 2222;
pub(crate) const GUARDED: u16 = 7070;

/// `false`, said aloud, where there is no root.
pub(crate) fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        assert!(
            std::env::var_os("GATE_REQUIRE_ROOT").is_none(),
            "this test needs root"
        );
        println!("skipped: needs root");
    }
    root
}

/// Tells the labs of one process apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// `None` where there is no root.
pub(crate) fn lab() -> Option<Lab> {
    if !root() {
        return None;
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("gate-bpf-{}-{number}", std::process::id()));
    let host = Namespace::new();
    let (a, b) = (Namespace::new(), Namespace::new());
    let mounted = directory.clone();
    host.run(move || {
        std::fs::create_dir_all(&mounted).unwrap();
        mount(
            Some("bpf"),
            &mounted,
            Some("bpf"),
            MsFlags::empty(),
            None::<&str>,
        )
        .unwrap();
    });
    for (n, sandbox) in [(1, &a), (2, &b)] {
        let path = sandbox.path();
        host.run(move || {
            ip(&format!(
                "link add veth{n} type veth peer name eth0 netns {path}"
            ));
            ip(&format!("addr add 10.0.{n}.1/24 dev veth{n}"));
            ip(&format!("addr add fd00:{n}::1/64 dev veth{n} nodad"));
            ip(&format!("link set veth{n} up"));
        });
        sandbox.run(move || {
            ip(&format!("addr add 10.0.{n}.2/24 dev eth0"));
            ip(&format!("addr add fd00:{n}::2/64 dev eth0 nodad"));
            ip("link set eth0 up");
            ip(&format!("route add default via 10.0.{n}.1"));
        });
    }
    Some(Lab {
        host,
        a,
        b,
        pin_dir: directory.join("gate"),
    })
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The bpffs and its pins go with the mount namespace; the mount point stays.
        if let Some(directory) = self.pin_dir.parent().map(PathBuf::from) {
            self.host.run(move || {
                let _ = nix::mount::umount2(&directory, nix::mount::MntFlags::MNT_DETACH);
                let _ = std::fs::remove_dir(&directory);
            });
        }
    }
}

impl Lab {
    pub(crate) fn setup(&self) -> Setup {
        setup(self.pin_dir.clone())
    }

    pub(crate) fn start(&self) -> Agent {
        self.try_start(self.setup()).unwrap()
    }

    pub(crate) fn try_start(&self, setup: Setup) -> Result<Agent, KernelError> {
        self.host.run(move || Agent::start(setup))
    }
}

pub(crate) fn setup(pin_dir: PathBuf) -> Setup {
    let guard = |port, policy| GuardedPort {
        port,
        address: None,
        policy,
    };
    Setup {
        pin_dir,
        mode: Mode::Enforce,
        ports: vec![guard(GATE, Policy::Gate), guard(GUARDED, Policy::Shut)],
        interfaces: Interfaces::Auto,
        syn_budget: SynBudget { rate: 0, burst: 0 },
        event_budget: 100,
    }
}

/// Waits for a reply of the agent.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn key(net: &str) -> SourceKey {
    let net = net
        .parse()
        .unwrap_or_else(|_| net.parse::<IpAddr>().unwrap().into());
    SourceKey {
        net,
        interface: None,
    }
}

pub(crate) fn open(client: u32) -> Opening {
    Opening {
        client,
        until: None,
        gate: true,
        guarded_ports: Vec::new(),
    }
}
