//! What stands around a reader: a host for the gate with a provider on it, sandboxes on links of
//! their own, containers on a bridge, a trainer's machine, a second host, and a stranger.
//!
//! Hosts, and the trainer's machine, have `/etc`, `/run` and `/var/lib` of their own, so that commands run as they are written:
//! with default folders, default socket and names of machines. systemd does not run here. What
//! `systemctl` is asked for is done to a gate with the command line of the unit under `deploy/`.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use harness::authority::Authority;
use harness::gated::{Gated, Launch, Signal};
use harness::link::{End, bridge, cable, master, route};
use harness::log::says;
use harness::need;
use harness::netns::Namespace;
use harness::postgres::Postgres;
use harness::scratch::Scratch;
use harness::upstream::{Provider, Upstream};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Command;

use super::page::HOST;

/// Another host of the same fleet.
const SECOND: &str = "host-b";

/// Each on a link of its own: two sandboxes, a trainer's machine, and who has no business here.
const BESIDE: [u8; 4] = [5, 6, 7, 9];

/// A trainer's machine, which knows the names of the hosts.
const TRAINER: &str = "10.0.0.7";

/// Each a port of the bridge `docker0`.
const CONTAINERS: [u8; 2] = [2, 3];

/// Ends a broken run.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fields drop top to bottom.
pub(super) struct Stage {
    gates: BTreeMap<String, Gated>,
    places: BTreeMap<String, Namespace>,
    _upstreams: Vec<Upstream>,
    postgres: Option<Postgres>,
    _authority: Authority,
    folder: Scratch,
}

impl Stage {
    /// None when this machine lacks what it takes, which is reported.
    pub(super) async fn set(wants_postgres: bool) -> Option<Self> {
        let is_possible = need::root()
            && ["curl", "jq"]
                .iter()
                .all(|name| need::program(name).is_some());
        if !is_possible {
            return None;
        }
        let folder = Scratch::new().unwrap();
        let authority = Authority::new().unwrap();
        let places = places().unwrap();
        for name in [HOST, SECOND, TRAINER] {
            own_folders(&places[name]).unwrap();
        }
        let files = authority.files(&["gate.example", "10.0.0.1"]).unwrap();
        let ca = authority.root();
        let etc = |place: &str, from: &Path, to: &str| {
            let copied = places[place].enter(|| fs::copy(from, Path::new("/etc/gate").join(to)));
            copied.unwrap();
        };
        etc(HOST, &files.certificate, "admin.crt");
        etc(HOST, &files.key, "admin.key");
        etc(HOST, &ca, "db-ca.pem");
        etc(SECOND, &ca, "db-ca.pem");
        programs(&folder, &ca).unwrap();
        let provider = |name: &str| {
            let everywhere = (Ipv4Addr::UNSPECIFIED, 9000).into();
            let pace = Duration::from_millis(20);
            Upstream::provider(&places[name], everywhere, Provider { pace }).unwrap()
        };
        let upstreams = [HOST, SECOND].map(provider).into();
        let postgres = if wants_postgres {
            let postgres = Postgres::start(&places[HOST]).await.unwrap()?;
            let files = authority.files(&["db.example"]).unwrap();
            postgres.speak_tls(&files).unwrap();
            Some(postgres)
        } else {
            None
        };
        Some(Self {
            gates: BTreeMap::new(),
            places,
            _upstreams: upstreams,
            postgres,
            _authority: authority,
            folder,
        })
    }

    /// Runs a script to its end; its exit status, and what it printed.
    pub(super) async fn run(
        &mut self,
        place: &str,
        script: &str,
    ) -> anyhow::Result<(Option<i32>, String)> {
        let mut command = Command::from(self.place(place)?.command("bash"));
        command
            .arg(self.written(script)?)
            .env_clear()
            .envs(self.environment());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut asked = BufReader::new(fifo(&self.folder.join("asked"))?);
        let answers = pipe::OpenOptions::new()
            .read_write(true)
            .open_sender(self.folder.join("answered"))
            .context("open the pipe of answers")?;
        let mut answers = answers;
        let child = command.spawn().context("start bash")?;
        let done = tokio::time::timeout(PATIENCE, child.wait_with_output());
        tokio::pin!(done);
        let output: Output = loop {
            let mut line = String::new();
            tokio::select! {
                done = &mut done => break done.context("the commands do not end")??,
                read = asked.read_line(&mut line) => {
                    read.context("read what systemctl is asked")?;
                    let answer = match self.systemctl(place, line.trim()).await {
                        Ok(()) => "ok".to_owned(),
                        Err(why) => format!("{why:#}").replace('\n', "; "),
                    };
                    answers.write_all(format!("{answer}\n").as_bytes()).await?;
                }
            }
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.code(), said))
    }

    /// Starts a gate by a script that becomes it, in place of one that runs there.
    pub(super) async fn serve(&mut self, place: &str, script: &str) -> anyhow::Result<()> {
        self.stop(place).await?;
        let script = self.written(script)?;
        let words = ["bash", &script];
        let launch = Launch::on(self.place(place)?).at_home().through(&words);
        let launch = self
            .environment()
            .into_iter()
            .fold(launch, |launch, (name, value)| launch.env(&name, &value));
        let gated = launch.start().await?;
        self.gates.insert(place.to_owned(), gated);
        Ok(())
    }

    /// Writes a file of a host.
    pub(super) fn write(&self, place: &str, path: &str, text: &str) -> anyhow::Result<()> {
        let written = self.place(place)?.enter(|| fs::write(path, text));
        written.with_context(|| format!("write {path}"))
    }

    async fn stop(&mut self, place: &str) -> anyhow::Result<()> {
        if let Some(mut gated) = self.gates.remove(place) {
            gated.terminate().await.context("end the gate before")?;
        }
        Ok(())
    }

    /// What systemd would do.
    async fn systemctl(&mut self, place: &str, words: &str) -> anyhow::Result<()> {
        let (action, unit) = words.rsplit_once(' ').context("systemctl ACTION UNIT")?;
        match (action, unit) {
            ("enable --now", "gate-early") => self.run_early(place).await,
            ("start" | "enable --now", "gated") => self.start_unit(place).await,
            ("stop", "gated") => self.stop(place).await,
            ("restart", "gated") => {
                self.stop(place).await?;
                self.start_unit(place).await
            }
            ("reload", "gated") => {
                let gated = self.gates.get(place).context("gated does not run")?;
                let old = gated.log().lines();
                gated.signal(Signal::SIGHUP)?;
                let is_new = |line: &str| !old.iter().any(|old| old == line);
                let is_taken =
                    |line: &str| line.contains("reload refused") || says(line, "reloaded");
                let line = gated
                    .log()
                    .wait(PATIENCE, |line| is_new(line) && is_taken(line))
                    .await?;
                anyhow::ensure!(says(&line, "reloaded"), "{line}");
                Ok(())
            }
            _ => bail!("`systemctl {words}` is not known on this stage"),
        }
    }

    async fn start_unit(&mut self, place: &str) -> anyhow::Result<()> {
        let unit = include_str!("../../../deploy/systemd/gated.service");
        let gated = self.by_unit(place, unit)?.start().await?;
        self.gates.insert(place.to_owned(), gated);
        Ok(())
    }

    async fn run_early(&mut self, place: &str) -> anyhow::Result<()> {
        let unit = include_str!("../../../deploy/systemd/gate-early.service");
        let ended = self.by_unit(place, unit)?.refused().await?;
        anyhow::ensure!(ended.status == Some(0), "{}", ended.log);
        Ok(())
    }

    /// `gated` with the command line of a unit.
    fn by_unit(&self, place: &str, unit: &str) -> anyhow::Result<Launch> {
        let mut lines = unit.lines();
        let command = lines.find_map(|line| line.strip_prefix("ExecStart="));
        let arguments = command
            .context("the unit starts something")?
            .split(' ')
            .skip(1);
        let launch = Launch::on(self.place(place)?).at_home();
        Ok(arguments.fold(launch, Launch::switch))
    }

    fn place(&self, name: &str) -> anyhow::Result<&Namespace> {
        self.places
            .get(name)
            .with_context(|| format!("there is no place `{name}`"))
    }

    fn written(&self, script: &str) -> anyhow::Result<String> {
        let path = self.folder.join("script");
        fs::write(&path, script).context("write the script")?;
        Ok(path.display().to_string())
    }

    fn environment(&self) -> Vec<(String, String)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = format!("{}:{}", self.folder.join("bin").display(), path.display());
        let mut environment = vec![
            ("PATH".to_owned(), path),
            ("STAGE".to_owned(), self.folder.path().display().to_string()),
            (
                "HOME".to_owned(),
                self.folder.join("home").display().to_string(),
            ),
        ];
        if let Some(postgres) = &self.postgres {
            let host = postgres.socket_folder().display().to_string();
            environment.push(("PGHOST".to_owned(), host));
            environment.push(("PGUSER".to_owned(), "gate".to_owned()));
        }
        environment
    }
}

/// Every place by the name that a fence calls it.
fn places() -> anyhow::Result<BTreeMap<String, Namespace>> {
    let (host, second) = (Namespace::new(HOST)?, Namespace::new(SECOND)?);
    let mut places = BTreeMap::new();
    for last in BESIDE {
        let (device, address) = (format!("veth{last}"), format!("10.0.0.{last}"));
        let place = Namespace::new(&address)?;
        wire(
            &host,
            &device,
            "10.0.0.1/32",
            &place,
            &format!("{address}/32"),
        )?;
        route(&host, &[&address, "dev", &device])?;
        route(&place, &["10.0.0.1", "dev", "eth0"])?;
        route(&place, &["default", "via", "10.0.0.1"])?;
        places.insert(address, place);
    }
    let ports = CONTAINERS.map(|last| format!("vethc{last}"));
    for (last, port) in CONTAINERS.iter().zip(&ports) {
        let address = format!("172.17.0.{last}");
        let place = Namespace::new(&address)?;
        wire(&host, port, "", &place, &format!("{address}/16"))?;
        places.insert(address, place);
    }
    let bridged = End {
        place: &host,
        device: "docker0",
        addresses: &["172.17.0.1/16"],
    };
    bridge(&bridged, &[])?;
    for port in &ports {
        master(&host, port, "docker0")?;
    }
    wire(&host, "eth1", "10.0.1.1/24", &second, "10.0.1.2/24")?;
    route(&second, &["10.0.0.1", "via", "10.0.1.1"])?;
    places.insert(HOST.to_owned(), host);
    places.insert(SECOND.to_owned(), second);
    Ok(places)
}

fn wire(
    host: &Namespace,
    device: &str,
    near: &str,
    place: &Namespace,
    far: &str,
) -> anyhow::Result<()> {
    let near: &[&str] = if near.is_empty() { &[] } else { &[near] };
    let end = |place, device, addresses| End {
        place,
        device,
        addresses,
    };
    cable(&end(host, device, near), &end(place, "eth0", &[far]))
}

/// Mounts that only this place sees; names of machines, and the group of the admin socket.
fn own_folders(place: &Namespace) -> anyhow::Result<()> {
    let script = "set -e
        mount -t tmpfs none /run
        mount -t tmpfs none /var/lib
        cp -a /etc /run/etc
        mount --bind /run/etc /etc
        mkdir -p /etc/gate
        grep -q ^gate: /etc/group || echo gate:x:64999: >> /etc/group
        echo 10.0.0.1 gate.example db.example provider.internal >> /etc/hosts";
    let done = place.command("sh").args(["-c", script]).output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    anyhow::ensure!(done.status.success(), "mount folders of {place}: {said}");
    Ok(())
}

/// What a reader types that is not there: both programs, `sudo`, `systemctl`, and `cargo` as far
/// as it runs gate.
fn programs(folder: &Scratch, ca: &Path) -> anyhow::Result<()> {
    let (bin, home) = (folder.join("bin"), folder.join("home"));
    fs::create_dir(&bin)?;
    fs::create_dir(&home)?;
    symlink(need::built("GATED_BIN"), bin.join("gated"))?;
    symlink(need::built("GATECTL_BIN"), bin.join("gatectl"))?;
    fs::copy(ca, home.join("ca.pem"))?;
    let scripts = [
        ("sudo", "exec \"$@\""),
        (
            "cargo",
            "[ \"$1 $2 $3\" = 'xtask run --' ] || exit 127; shift 3; exec gated \"$@\"",
        ),
        (
            "systemctl",
            "echo \"$*\" > \"$STAGE/asked\"; read -r said < \"$STAGE/answered\"; \
             [ \"$said\" = ok ] || { echo \"systemctl: $said\"; exit 1; }",
        ),
    ];
    for (name, text) in scripts {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for name in ["asked", "answered"] {
        mkfifo(&folder.join(name), Mode::S_IRUSR | Mode::S_IWUSR)?;
    }
    Ok(())
}

fn fifo(path: &Path) -> anyhow::Result<pipe::Receiver> {
    let opened = pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(path);
    opened.with_context(|| format!("open {}", path.display()))
}
