//! A throw-away Postgres: one server for all tests of a process, one database for each.
//!
//! The server is the child of a shell that waits for our end of a pipe to close, so it goes when
//! this process goes, however that happens. It listens on a Unix socket only.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio_postgres::{Client, NoTls};

/// As an unprivileged user, because Postgres refuses root.
const SCRIPT: &str = "
    set -e
    for B in /usr/lib/postgresql/*/bin; do PATH=$PATH:$B; done
    D=$(mktemp -d /tmp/gate-store-XXXXXX)
    initdb -D $D/data -A trust -U gate --no-sync >/dev/null
    postgres -D $D/data -c listen_addresses= -c unix_socket_directories=$D -c fsync=off \\
        >$D/log 2>&1 </dev/null &
    P=$!
    echo $D
    cat >/dev/null || true
    kill -QUIT $P
    wait $P || true
    rm -rf $D
";

static SERVER: LazyLock<Option<Server>> = LazyLock::new(Server::start);
static DATABASES: AtomicU32 = AtomicU32::new(0);

struct Server {
    folder: String,
    _shell: Child,
    _pipe: ChildStdin,
}

pub(crate) struct Database {
    name: String,
}

impl Server {
    fn start() -> Option<Self> {
        let mut command = if nix::unistd::getuid().is_root() {
            let mut command = Command::new("su");
            command.args(["postgres", "-s", "/bin/sh", "-c", SCRIPT]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", SCRIPT]);
            command
        };
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = piped
            .stderr(Stdio::null())
            .current_dir("/tmp")
            .spawn()
            .ok()?;
        let mut folder = String::new();
        let said = BufReader::new(shell.stdout.take()?).read_line(&mut folder);
        let pipe = shell.stdin.take()?;
        if said.ok()? == 0 {
            let must = std::env::var_os("GATE_REQUIRE_ROOT").is_some_and(|value| value == "1");
            assert!(!must, "postgres cannot be started: is it installed?");
            eprintln!("skipped: postgres cannot be started: is it installed?");
            return None;
        }
        Some(Self {
            folder: folder.trim().to_owned(),
            _shell: shell,
            _pipe: pipe,
        })
    }

    fn url(&self, database: &str) -> String {
        format!("host={} user=gate dbname={database}", self.folder)
    }
}

impl Database {
    pub(crate) async fn new() -> Option<Self> {
        let server = SERVER.as_ref()?;
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("gate_{number}");
        let client = connect(&server.url("postgres")).await;
        let create = format!("CREATE DATABASE {name}");
        client.batch_execute(&create).await.unwrap();
        Some(Self { name })
    }

    pub(crate) fn url(&self) -> String {
        let server = SERVER.as_ref().expect("it was there when this was made");
        server.url(&self.name)
    }

    pub(crate) fn folder() -> &'static str {
        &SERVER
            .as_ref()
            .expect("it was there when this was made")
            .folder
    }

    /// By another folder, which need not be there yet.
    pub(crate) fn url_by(&self, folder: &std::path::Path) -> String {
        format!("host={} user=gate dbname={}", folder.display(), self.name)
    }

    /// As when the server restarts: every connection breaks, new ones are taken.
    pub(crate) async fn break_connections(&self) {
        let server = SERVER.as_ref().expect("it was there when this was made");
        let client = connect(&server.url("postgres")).await;
        let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        client.execute(text, &[&self.name]).await.unwrap();
    }

    /// As when the server is gone, for good.
    pub(crate) async fn drop(&self) {
        let server = SERVER.as_ref().expect("it was there when this was made");
        let client = connect(&server.url("postgres")).await;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        client.batch_execute(&drop).await.unwrap();
    }

    /// Every row of every table, bytes as bytes.
    pub(crate) async fn raw(&self) -> Vec<u8> {
        let client = connect(&self.url()).await;
        let mut raw = Vec::new();
        for table in ["state", "clients", "rollouts", "tokens", "changes"] {
            let text = format!("SELECT t::text FROM gate_{table} t");
            for row in client.query(&text, &[]).await.unwrap() {
                raw.extend(row.get::<_, String>(0).into_bytes());
            }
        }
        for row in client
            .query("SELECT digest FROM gate_tokens", &[])
            .await
            .unwrap()
        {
            raw.extend(row.get::<_, Vec<u8>>(0));
        }
        raw
    }
}

/// The server needs a moment before it answers.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's runtime ends its tasks with itself"
)]
async fn connect(url: &str) -> Client {
    loop {
        match tokio_postgres::connect(url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(async move { connection.await.unwrap_or_default() });
                return client;
            }
            Err(_not_yet) => tokio::task::yield_now().await,
        }
    }
}
