//! A throw-away Postgres: one server for all tests of a process, one database for each.
//!
//! The server is the child of a shell that waits for our end of a pipe to close, so it goes when
//! this process goes, however that happens. It listens on a Unix socket only.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio_postgres::{Client, NoTls, error::SqlState};

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

/// As [`SCRIPT`], with TCP for whom speaks TLS alone.
const TLS_SCRIPT: &str = "
    set -e
    for B in /usr/lib/postgresql/*/bin; do PATH=$PATH:$B; done
    D=$(mktemp -d /tmp/gate-store-XXXXXX)
    initdb -D $D/data -A trust -U gate --no-sync >/dev/null
    echo 'hostssl all all 127.0.0.1/32 trust' > $D/data/pg_hba.conf
    umask 077
    printf %s \"$GATE_CERT\" > $D/data/server.crt
    printf %s \"$GATE_KEY\" > $D/data/server.key
    postgres -D $D/data -c listen_addresses=127.0.0.1 -c port=$GATE_PORT -c ssl=on \\
        -c unix_socket_directories= -c fsync=off >$D/log 2>&1 </dev/null &
    P=$!
    echo $D
    cat >/dev/null || true
    kill -QUIT $P
    wait $P || true
    rm -rf $D
";

static TLS_SERVER: Mutex<Option<Server>> = Mutex::new(None);

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
        Self::run(SCRIPT, &[])
    }

    fn run(script: &str, environment: &[(&str, &str)]) -> Option<Self> {
        let mut command = if nix::unistd::getuid().is_root() {
            let mut command = Command::new("su");
            command.args(["postgres", "-s", "/bin/sh", "-c", script]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        command.envs(environment.iter().copied());
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

/// One that takes nobody without TLS, for the rest of this process; its port.
pub(crate) fn start_with_tls(certificate: &str, key: &str) -> Option<u16> {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let environment = [
        ("GATE_CERT", certificate),
        ("GATE_KEY", key),
        ("GATE_PORT", &port.to_string()),
    ];
    let server = Server::run(TLS_SCRIPT, &environment)?;
    *TLS_SERVER.lock().unwrap() = Some(server);
    Some(port)
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

    /// The same as a URL.
    pub(crate) fn server_url(&self) -> String {
        let folder = Self::folder().replace('/', "%2F");
        format!("postgres://gate@{folder}/{}", self.name)
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

    /// A role of a host on this database.
    pub(crate) async fn with_role(&self, grants: &dyn Fn(&str) -> String) -> String {
        let client = connect(&self.url()).await;
        let role = format!("{}_host", self.name);
        let text = format!("CREATE ROLE {role} LOGIN; {}", grants(&role));
        client.batch_execute(&text).await.unwrap();
        self.url().replace("user=gate", &format!("user={role}"))
    }

    pub(crate) async fn refuses(&self, url: &str, text: &str) -> bool {
        let done = connect(url).await.batch_execute(text).await;
        done.is_err_and(|why| why.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE))
    }

    /// Whoever has the database may write what no gate would.
    pub(crate) async fn run(&self, text: &str) {
        connect(&self.url())
            .await
            .batch_execute(text)
            .await
            .unwrap();
    }

    pub(crate) async fn revision(&self) -> i64 {
        let row = connect(&self.url()).await;
        let row = row.query_one(crate::store::sql::STATE, &[]).await;
        row.unwrap().get(0)
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
