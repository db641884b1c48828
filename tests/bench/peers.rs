//! The servers that are measured, each with what it takes to check a token and swap a key.
//!
//! All of them hold the same tokens, answer 401 to any other, and send what passes to the same
//! upstream with the provider's key in place of the token. Peers keep no access log; gate does.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use harness::authority::Files;
use harness::gatectl::Gatectl;
use harness::netns::Namespace;
use harness::scratch::Scratch;
use serde_json::{Value, json};

use crate::cores;

const KEY: &str = "sk-bench-provider-key";

/// Rollouts that one call opens.
const BULK: usize = 10_000;

/// A server under measurement; it ends when this is dropped.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    child: Child,
    /// Goes with it.
    folder: Option<Scratch>,
}

/// What a server forwards to, and how its callers come.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) place: &'a Namespace,
    pub(crate) folder: &'a Path,
    pub(crate) upstream: u16,
    /// What it shows them; in the clear where there is none.
    pub(crate) tls: Option<&'a Files>,
}

impl Peer {
    fn start(
        name: &'static str,
        port: u16,
        mut command: Command,
        core: usize,
    ) -> anyhow::Result<Self> {
        cores::pin(&mut command, core);
        let log = File::create(std::env::temp_dir().join("gate-bench.log"))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self {
            name,
            port,
            child,
            folder: None,
        })
    }

    /// One that is ready as soon as it listens.
    pub(crate) fn serving(
        name: &'static str,
        port: u16,
        command: Command,
        core: usize,
        place: &Namespace,
    ) -> anyhow::Result<Self> {
        Self::start(name, port, command, core)?.ready(place)
    }

    /// Returns when it answers.
    fn ready(mut self, place: &Namespace) -> anyhow::Result<Self> {
        let until = Instant::now() + Duration::from_mins(1);
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while place.enter(|| TcpStream::connect(at).is_err()) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended: {status}", self.name);
            }
            anyhow::ensure!(Instant::now() < until, "{} does not listen", self.name);
            // A program of somebody else: it tells by listening that it is ready.
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(self)
    }

    /// The process and its workers.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let path = format!("/proc/{own}/task/{own}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        [own].into_iter().chain(children).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for pid in self.pids().into_iter().rev() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
            // Gone already, then: what counts is that none is left.
            let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _reaped = self.child.wait();
    }
}

/// An nginx that answers itself, with bodies of these sizes at `/v1/models` and `/v1/models/large`.
pub(crate) fn upstream(task: Task<'_>, small: usize, large: usize) -> anyhow::Result<Peer> {
    for (name, size) in [("small", small), ("large", large)] {
        fs::write(task.folder.join(name), "x".repeat(size))?;
    }
    let body = format!(
        "location = /v1/models {{ default_type application/json; alias {folder}/small; }}\n\
         location = /v1/models/large {{ default_type application/json; alias {folder}/large; }}\n",
        folder = task.folder.display()
    );
    let task = Task { tls: None, ..task };
    nginx(task, "upstream", task.upstream, "", &body, cores::LOAD)
}

/// Whether nginx may gather an answer before it passes it on: dearer for it where it may not, but
/// streams of events want it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buffering {
    On,
    Off,
}

pub(crate) fn nginx_map(
    task: Task<'_>,
    tokens: &[String],
    port: u16,
    buffering: Buffering,
) -> anyhow::Result<Peer> {
    let buffering = match buffering {
        Buffering::On => {
            "proxy_buffering on; proxy_buffers 16 16k; proxy_buffer_size 16k; proxy_busy_buffers_size 64k"
        }
        Buffering::Off => "proxy_buffering off",
    };
    let mut map = String::from(
        "map_hash_max_size 1000000; map_hash_bucket_size 256;\nmap $http_authorization $known {\n  default 0;\n",
    );
    for token in tokens {
        writeln!(map, "  \"Bearer {token}\" 1;")?;
    }
    write!(
        map,
        "}}\nupstream model {{ server 127.0.0.1:{}; keepalive 512; keepalive_requests 100000000; }}\n",
        task.upstream
    )?;
    let body = format!(
        "location / {{\n  if ($known = 0) {{ return 401; }}\n  proxy_pass http://model;\n  \
         proxy_http_version 1.1;\n  proxy_set_header Connection \"\";\n  {buffering};\n  \
         proxy_set_header Authorization \"Bearer {KEY}\";\n}}\n"
    );
    nginx(task, "nginx", port, &map, &body, cores::MEASURED)
}

fn nginx(
    task: Task<'_>,
    name: &'static str,
    port: u16,
    http: &str,
    server: &str,
    core: usize,
) -> anyhow::Result<Peer> {
    let path = task.folder.join(format!("{name}-{port}.conf"));
    let (ssl, files) = match task.tls {
        None => ("", String::new()),
        Some(Files { certificate, key }) => (
            " ssl",
            format!(
                "ssl_certificate {};\nssl_certificate_key {};\n",
                certificate.display(),
                key.display()
            ),
        ),
    };
    let text = format!(
        "daemon off;\nworker_processes 1;\npid {folder}/{name}-{port}.pid;\nerror_log {folder}/{name}.err;\n\
         worker_rlimit_nofile 50000;\nevents {{ worker_connections 40000; }}\nhttp {{\naccess_log off;\n\
         sendfile on; tcp_nodelay on; open_file_cache max=16;\n\
         keepalive_requests 100000000; keepalive_timeout 600s;\n{http}\nserver {{\n\
         listen 127.0.0.1:{port}{ssl} backlog=8192;\n{files}{server}}}\n}}\n",
        folder = task.folder.display()
    );
    fs::write(&path, text)?;
    let mut command = task.place.command("nginx");
    command.arg("-c").arg(path).args(["-e", "stderr"]);
    Peer::start(name, port, command, core)?.ready(task.place)
}

pub(crate) fn haproxy(task: Task<'_>, tokens: &[String], port: u16) -> anyhow::Result<Peer> {
    let list = task.folder.join("haproxy.tokens");
    let lines: Vec<String> = tokens
        .iter()
        .map(|token| format!("Bearer {token}"))
        .collect();
    fs::write(&list, lines.join("\n"))?;
    let path = task.folder.join(format!("haproxy-{port}.cfg"));
    let ssl = match task.tls {
        None => String::new(),
        Some(Files { certificate, key }) => {
            // One file with both.
            let both = task.folder.join("haproxy.pem");
            let text = [fs::read_to_string(certificate)?, fs::read_to_string(key)?];
            fs::write(&both, text.concat())?;
            format!(" ssl crt {}", both.display())
        }
    };
    let text = format!(
        "global\n  nbthread 1\n  no strict-limits\n  maxconn 9950\ndefaults\n  mode http\n  timeout connect 5s\n  \
         timeout client 600s\n  timeout server 600s\n  option http-no-delay\nfrontend f\n  \
         bind 127.0.0.1:{port}{ssl} backlog 8192\n  acl known req.hdr(authorization) -f {list}\n  \
         http-request deny deny_status 401 if !known\n  \
         http-request set-header authorization \"Bearer {KEY}\"\n  default_backend b\nbackend b\n  \
         http-reuse always\n  server s 127.0.0.1:{upstream}\n",
        list = list.display(),
        upstream = task.upstream
    );
    fs::write(&path, text)?;
    let mut command = task.place.command("haproxy");
    command.args(["-db", "-f"]).arg(path);
    Peer::start("haproxy", port, command, cores::MEASURED)?.ready(task.place)
}

/// A gate with everything on, and the tokens of as many rollouts, each bound to its source.
pub(crate) fn gate(task: Task<'_>, count: usize, port: u16) -> anyhow::Result<(Peer, Vec<String>)> {
    let folder = Scratch::new()?;
    let config = folder.join("gate.toml");
    let tls = task
        .tls
        .map_or_else(String::new, |Files { certificate, key }| {
            let (certificate, key) = (certificate.display(), key.display());
            format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n")
        });
    let text = format!(
        "[[listen]]\naddress = \"127.0.0.1:{port}\"\n{tls}[[upstream]]\nname = \"default\"\n\
         url = \"http://127.0.0.1:{}\"\nguard = \"off\"\nkey_env = \"BENCH_KEY\"\n\
         [[route]]\nprefix = \"/v1\"\nprofile = \"openai\"\n[kernel]\nrequire = \"off\"\n\
         [limits]\nrequests_per_second = 100000000\nconcurrency = 1000000\n\
         connections_per_source = 20000\n[log]\nformat = \"json\"\n",
        task.upstream
    );
    fs::write(&config, text)?;
    let program =
        std::env::var_os("GATED_BIN").context("GATED_BIN is not set: run `cargo xtask bench`")?;
    let mut command = task.place.command(program);
    command.arg("--config").arg(&config);
    command.arg("--state-dir").arg(folder.join("state"));
    command.arg("--run-dir").arg(folder.join("run"));
    command.env("BENCH_KEY", KEY);
    let mut peer = Peer::start("gate", port, command, cores::MEASURED)?.ready(task.place)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ctl = Gatectl::new(task.place, folder.join("run/admin.sock"));
    let tokens = runtime.block_on(provision(&ctl, count))?;
    peer.folder = Some(folder);
    Ok((peer, tokens))
}

async fn provision(ctl: &Gatectl, count: usize) -> anyhow::Result<Vec<String>> {
    ctl.json("client add bench").await?;
    let mut tokens = Vec::with_capacity(count);
    let ids: Vec<usize> = (0..count).collect();
    for part in ids.chunks(BULK) {
        let rollouts: Vec<Value> = part
            .iter()
            .map(|id| json!({"rollout": format!("r-{id}"), "client": "bench", "sources": ["lo"]}))
            .collect();
        let asked = json!({ "rollouts": rollouts }).to_string();
        let opened = ctl
            .run("rollout open --from - --output json", &asked)
            .await?;
        let opened = opened.json()?;
        let opened = opened["rollouts"].as_array().context("rollouts")?;
        let each = opened.iter().filter_map(|one| one["token"].as_str());
        tokens.extend(each.map(str::to_owned));
    }
    anyhow::ensure!(tokens.len() == count, "only {} tokens", tokens.len());
    Ok(tokens)
}
