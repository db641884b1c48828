//! A throw-away Postgres in a place on the test network, which can be killed and started again.
//!
//! Does not install anything. Postgres refuses root, so it runs as the user `postgres` that its
//! package makes. `fsync` is off: what is killed is a process, not the machine.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, net::IpAddr};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};

use crate::authority::Files;
use crate::log::Log;
use crate::need;
use crate::netns::Namespace;
use crate::scratch::Scratch;

const OWNER: &str = "postgres";
const PORT: u16 = 5432;

/// What [`Postgres::set`] may replace.
const SETTINGS: &str = "\nfsync = off\nmax_connections = 40\n";

/// Ends a broken run.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Postgres {
    place: Namespace,
    programs: PathBuf,
    port: u16,
    server: Option<(Child, Log)>,
    // After the server: fields drop in order, and the folder goes last.
    folder: Scratch,
}

impl Postgres {
    /// A server on every address of `place` with an empty database `gate`, which trusts everybody.
    /// None when there is no Postgres here, which is reported.
    pub async fn start(place: &Namespace) -> anyhow::Result<Option<Self>> {
        let owner = User::from_name(OWNER).context("look for the user postgres")?;
        let (Some(owner), Some(programs)) = (owner, programs()) else {
            need::that(false, "Postgres is not installed");
            return Ok(None);
        };
        let mut postgres = Self::in_folder(place, programs, &owner, PORT)?;
        let data = postgres.data();
        let mut initdb = postgres.as_owner("initdb");
        initdb.args(["-A", "trust", "-U", "gate", "--no-sync", "-D"]);
        run(initdb.arg(&data))?;
        let rules = "local all all trust\nlocal replication all trust\nhost all all all trust\n";
        fs::write(data.join("pg_hba.conf"), rules).context("write pg_hba.conf")?;
        let settings = data.join("postgresql.conf");
        let made = fs::read_to_string(&settings).context("read postgresql.conf")?;
        fs::write(&settings, made + SETTINGS).context("write postgresql.conf")?;
        postgres.restart().await?;
        postgres.query("postgres", "CREATE DATABASE gate")?;
        Ok(Some(postgres))
    }

    /// A second server beside this one that follows it, and takes no writes until it is promoted.
    pub async fn standby(&self, port: u16) -> anyhow::Result<Self> {
        let owner = User::from_name(OWNER).context("look for the user postgres")?;
        let owner = owner.context("this server has an owner")?;
        let mut standby = Self::in_folder(&self.place, self.programs.clone(), &owner, port)?;
        let mut copy = standby.as_owner("pg_basebackup");
        copy.args(["-U", "gate", "-h"]).arg(self.folder.path());
        copy.args(["-p", &self.port.to_string(), "-D"]);
        copy.arg(standby.data());
        // `-R`: it follows where it was copied from.
        run(copy.args(["-R", "-X", "stream", "-c", "fast", "--no-sync"]))?;
        standby.restart().await?;
        Ok(standby)
    }

    /// Makes a standby a primary.
    pub fn promote(&self) -> anyhow::Result<()> {
        let promoted = self.query("postgres", "SELECT pg_promote()")?;
        anyhow::ensure!(promoted == "t", "the standby stays one: {promoted}");
        Ok(())
    }

    /// Writes a setting, and reads it in.
    pub fn set(&self, name: &str, value: &str) -> anyhow::Result<()> {
        self.query("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"))?;
        self.query("postgres", "SELECT pg_reload_conf()").map(drop)
    }

    /// Where `address` of its place is its own.
    pub fn url(&self, address: IpAddr) -> String {
        Self::url_of(&[self], address)
    }

    /// The same for several servers of one place, in that order.
    pub fn url_of(servers: &[&Self], address: IpAddr) -> String {
        let servers = servers.iter().map(|one| format!("{address}:{}", one.port));
        let servers: Vec<String> = servers.collect();
        format!("postgres://gate@{}/gate?sslmode=disable", servers.join(","))
    }

    fn in_folder(
        place: &Namespace,
        programs: PathBuf,
        owner: &User,
        port: u16,
    ) -> anyhow::Result<Self> {
        let folder = Scratch::new()?;
        let (uid, gid) = (owner.uid.as_raw(), owner.gid.as_raw());
        chown(folder.path(), Some(uid), Some(gid)).context("give the folder to postgres")?;
        Ok(Self {
            place: place.clone(),
            programs,
            port,
            server: None,
            folder,
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// `kill -9` of the server and of everything it started.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let Some((mut server, _log)) = self.server.take() else {
            return Ok(());
        };
        let workers = children(server.id());
        server.kill().context("kill Postgres")?;
        for worker in workers {
            // One that is gone already is what was wanted.
            let _gone = kill(Pid::from_raw(worker), Signal::SIGKILL);
        }
        server.wait().context("wait for Postgres").map(drop)
    }

    /// Makes the server and everything it started hang, or go on.
    pub fn hang(&self, does: bool) -> anyhow::Result<()> {
        let (server, _log) = self.server.as_ref().context("it runs")?;
        let signal = if does {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        let id = i32::try_from(server.id()).context("a number of a process")?;
        for process in std::iter::once(id).chain(children(server.id())) {
            kill(Pid::from_raw(process), signal).context("signal Postgres")?;
        }
        Ok(())
    }

    /// Starts a stopped server again on what it left.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let data = self.data();
        // The rest of a killed server may still hold its memory for a moment.
        for _ in 0..50 {
            let mut command = self.as_owner("postgres");
            command
                .arg("-D")
                .arg(&data)
                .args(["-c", "listen_addresses=*"]);
            command.arg("-c").arg(format!(
                "unix_socket_directories={}",
                self.folder.path().display()
            ));
            command.args(["-p", &self.port.to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let child = command.stderr(Stdio::piped()).spawn();
            let mut child = child.context("start Postgres")?;
            let err = child.stderr.take().context("stderr was asked for")?;
            let log = Log::follow(vec![Box::new(err)]);
            // A standby is ready to accept read-only ones.
            let is_ready = |line: &str| line.contains("ready to accept");
            let ready = log.wait(PATIENCE, is_ready).await;
            if ready.is_ok() {
                self.server = Some((child, log));
                return Ok(());
            }
            let _gone = child.kill();
            child.wait().context("wait for Postgres")?;
        }
        anyhow::bail!("Postgres does not start again")
    }

    /// Where its Unix socket is, for `PGHOST`.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Has it speak TLS by these files, beside what it spoke.
    pub fn speak_tls(&self, files: &Files) -> anyhow::Result<()> {
        let owner = User::from_name(OWNER)?.context("the user postgres is there")?;
        for (from, setting) in [
            (&files.certificate, "ssl_cert_file"),
            (&files.key, "ssl_key_file"),
        ] {
            let to = self.folder.join(setting);
            fs::copy(from, &to).context("hand over a file of TLS")?;
            // Its own, and nobody else's: it takes no other key.
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
            chown(&to, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))?;
            let to = to.display();
            self.query("postgres", &format!("ALTER SYSTEM SET {setting} = '{to}'"))?;
        }
        self.query("postgres", "ALTER SYSTEM SET ssl = on")?;
        self.query("postgres", "SELECT pg_reload_conf()")?;
        // The server reads it in its own time, and tells new connections.
        for _ in 0..100 {
            if self.query("postgres", "SHOW ssl")? == "on" {
                return Ok(());
            }
        }
        anyhow::bail!("Postgres does not speak TLS")
    }

    /// What `psql` prints for one statement, without heads.
    pub fn query(&self, database: &str, statement: &str) -> anyhow::Result<String> {
        let done = self.psql(database, statement).output();
        let done = done.context("run psql")?;
        let said = String::from_utf8_lossy(&done.stderr);
        anyhow::ensure!(done.status.success(), "{statement}: {said}");
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    /// Begins statements that take their time.
    pub fn begin(&self, database: &str, statement: &str) -> anyhow::Result<Child> {
        let mut psql = self.psql(database, statement);
        psql.stdout(Stdio::null()).spawn().context("run psql")
    }

    fn psql(&self, database: &str, statement: &str) -> Command {
        let mut command = self.as_owner("psql");
        command.args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "gate",
            "-d",
            database,
        ]);
        command.arg("-h").arg(self.folder.path());
        command.args(["-p", &self.port.to_string(), "-c", statement]);
        command
    }

    fn as_owner(&self, program: &str) -> Command {
        let mut command = self.place.command("setpriv");
        command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups"]);
        // It must not outlive a killed test.
        command.args(["--pdeathsig", "KILL", "--"]);
        command.arg(self.programs.join(program)).env_clear();
        command
    }
}

impl Drop for Postgres {
    #[expect(clippy::print_stderr, reason = "a second panic would hide the first")]
    fn drop(&mut self) {
        if let Err(cause) = self.kill() {
            eprintln!("Postgres may be left behind: {cause:#}");
        }
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let done = command.output();
    let done = done.with_context(|| format!("run {command:?}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    anyhow::ensure!(done.status.success(), "{command:?}: {said}");
    Ok(())
}

/// Debian keeps the server's programs out of PATH.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders
        .chain(std::env::split_paths(&std::env::var_os("PATH")?))
        .find(|folder| {
            ["initdb", "postgres", "psql"]
                .iter()
                .all(|name| folder.join(name).is_file())
        })
}

fn children(parent: u32) -> Vec<i32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = processes.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse::<i32>().ok()?;
        (parent_of(&entry.path())? == parent).then_some(number)
    });
    numbers.collect()
}

/// The fourth word of `stat`; the second may hold blanks, and ends with the last bracket.
fn parent_of(process: &Path) -> Option<u32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
