//! A gate on loopback, with its table in the test's hands.

use std::{
    future::Future,
    io::Write,
    net::{IpAddr, SocketAddr, TcpListener},
    num::NonZeroU32,
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use gate_userspace::{
    client::{Client, Credential, Kind, Reach},
    clock::{Clock, Stamp},
    config::{self, Flags},
    grants::{Effects, Grants},
    ident::{ClientId, RolloutSerial},
    names::Names,
    proxy::{
        Parts, Proxy,
        access::Lines,
        listen::{self, Bound, BoundSocket, Workers},
        live::{Cut, Ended, Live},
    },
    rollout::{Phase, Rollout},
    secret::{Digest, Keyring, MasterKey, NewToken, UpstreamKey},
    settings::{
        CredentialMode, FailedAuth, Interfaces, Kernel, KernelNeed, Limits, Listen, ListenAt,
        ListenSources, Mode, PresentAs, ProfileName, Route, Settings, UpstreamAt, UpstreamGuard,
        UpstreamUrl,
    },
    source::Source,
};

use super::{Connection, Reply, Upstream};

/// The provider's key, planted to be found nowhere but upstream.
pub(crate) const PROVIDER_KEY: &str = "sk-provider-0123456789abcdef";

pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) grants: Arc<Grants>,
    pub(crate) live: Arc<Live>,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: Clock,
    workers: Option<Workers>,
    next: AtomicU64,
}

/// Builds what a test changes before the gate starts.
pub(crate) struct Maker {
    pub(crate) settings: Settings,
    /// `localhost` is known.
    pub(crate) names: Names,
    /// Where a line per call goes.
    pub(crate) access: Option<Arc<Lines>>,
}

impl Gate {
    /// A gate before this upstream, as a start without configuration has it.
    pub(crate) fn before(upstream: &Upstream) -> Self {
        Maker::before(upstream).start()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One call on a connection of its own.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.connect().call(method, path, headers, body)
    }

    /// One call with a bearer token.
    pub(crate) fn bearer(&self, token: &str, method: &str, path: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let body = if method == "GET" { "" } else { "{}" };
        self.call(method, path, &[("authorization", &bearer)], body)
    }

    /// A client with one token, after `change` had its way.
    pub(crate) fn client(&self, number: u32, change: impl FnOnce(&mut Client)) -> String {
        let (credential, token) = mint(Kind::Client);
        let mut client = Client {
            id: client_id(number),
            name: format!("client-{number}").parse().unwrap(),
            sources: Vec::new(),
            ports: Vec::new(),
            scope: None,
            upstream: None,
            key: None,
            reach: Reach::Own,
            enabled: true,
            expires: None,
            rps: 0,
            concurrency: 0,
            created: Stamp(0),
            tokens: vec![credential],
        };
        change(&mut client);
        self.grants.put_client(client);
        token
    }

    /// A rollout of client `client` with one token.
    pub(crate) fn rollout(
        &self,
        id: &str,
        client: u32,
        change: impl FnOnce(&mut Rollout),
    ) -> String {
        let (credential, token) = mint(Kind::Rollout);
        let mut rollout = Rollout {
            serial: RolloutSerial(self.next.fetch_add(1, Ordering::Relaxed)),
            id: id.parse().unwrap(),
            client: client_id(client),
            sources: Vec::new(),
            scope: None,
            upstream: None,
            key: None,
            phase: Phase::Open,
            expires: None,
            created: Stamp(0),
            tokens: vec![credential],
        };
        change(&mut rollout);
        self.grants.put_rollout(rollout);
        token
    }

    /// Two live rollouts, A and B, of one client: their tokens.
    pub(crate) fn two_rollouts(&self) -> (String, String) {
        self.client(1, |_| {});
        (self.rollout("A", 1, |_| {}), self.rollout("B", 1, |_| {}))
    }

    /// Ends a rollout as `control` does: table first, then streams.
    pub(crate) fn close(&self, id: &str) -> Ended {
        let serial = self.grants.rollout(&id.parse().unwrap()).unwrap().serial;
        self.cut(&self.grants.drop_rollout(serial))
    }

    /// As [`Self::close`], where others wait meanwhile.
    pub(crate) async fn end(&self, id: &str) -> Ended {
        let serial = self.grants.rollout(&id.parse().unwrap()).unwrap().serial;
        let effects = self.grants.drop_rollout(serial);
        self.live.cut(&effects.dead, Cut::Revoked).await
    }

    /// Ends what a change of the table killed.
    pub(crate) fn cut(&self, effects: &Effects) -> Ended {
        block_on(self.live.cut(&effects.dead, Cut::Revoked))
    }

    /// Changes a rollout in place.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Rollout)) -> Effects {
        let grant = self.grants.rollout(&id.parse().unwrap()).unwrap();
        let mut rollout = Rollout::clone(&grant.record());
        change(&mut rollout);
        self.grants.put_rollout(rollout)
    }

    pub(crate) fn workers(&self) -> &Workers {
        self.workers.as_ref().unwrap()
    }

    /// A source on this gate's host.
    pub(crate) fn source(&self, text: &str) -> Source {
        Source::on(self.grants.host(), text).unwrap()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.join();
        }
    }
}

impl Maker {
    pub(crate) fn before(upstream: &Upstream) -> Self {
        let mut maker = Self::nowhere();
        maker
            .settings
            .upstreams
            .push(gate_userspace::settings::Upstream {
                name: "default".parse().unwrap(),
                url: url(upstream.address, ""),
                tls: None,
                http2: false,
                credential: CredentialMode::Replace,
                key: UpstreamKey::new(PROVIDER_KEY),
                without_key: gate_userspace::settings::WithoutKey::Refuse,
                present_as: PresentAs::Bearer,
                guard: UpstreamGuard::Off,
                connect_timeout: Duration::from_secs(5),
                head_timeout: Duration::from_secs(20),
                idle_timeout: Duration::from_secs(20),
            });
        maker
    }

    /// Before the upstream that these lines of an `[[upstream]]` tell of.
    pub(crate) fn configured(lines: &str) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "[[upstream]]\nguard = \"off\"\n{lines}").unwrap();
        let flags = Flags {
            config: Some(file.path().to_owned()),
            ..Flags::default()
        };
        let mut upstream = config::load(&flags).unwrap().settings.upstreams.remove(0);
        upstream.key = UpstreamKey::new(PROVIDER_KEY);
        let mut maker = Self::nowhere();
        maker.settings.upstreams.push(upstream);
        maker
    }

    /// Without an upstream.
    pub(crate) fn nowhere() -> Self {
        let route = |prefix: &str, profile| Route {
            prefix: prefix.to_owned(),
            profile,
            upstream: "default".parse().unwrap(),
            strip_prefix: String::new(),
            body_limit: None,
            keepalive: None,
            byok: false,
            global_key: false,
        };
        let settings = Settings {
            mode: Mode::Enforce,
            host: "here".parse().unwrap(),
            state_dir: PathBuf::new(),
            run_dir: PathBuf::new(),
            listen: vec![Listen {
                at: ListenAt::Tcp("127.0.0.1:0".parse().unwrap()),
                sources: ListenSources::Listed,
                hosts: Vec::new(),
                origins: Vec::new(),
                delegates: Vec::new(),
                tls: None,
            }],
            upstreams: Vec::new(),
            routes: vec![
                route("/rollout/{rollout}", ProfileName::Verifiers),
                route("/v1/messages", ProfileName::Anthropic),
                route("/v1", ProfileName::Openai),
                route("/plain", ProfileName::Plain),
            ],
            apollo_internal: None,
            guards: Vec::new(),
            kernel: Kernel {
                need: KernelNeed::Off,
                interfaces: Interfaces::None,
                pin_dir: PathBuf::new(),
                syn_budget: (0, 0),
                event_budget: 0,
            },
            limits: Limits {
                connections: 1000,
                connections_per_source: 1000,
                head_timeout: Duration::from_secs(10),
                head_size: 64 << 10,
                body_idle: Duration::from_secs(20),
                requests_per_second: 0,
                concurrency: 0,
                failed_auth: FailedAuth {
                    count: 1000,
                    per: Duration::from_mins(1),
                },
                drain: Duration::from_secs(10),
            },
            master_key_file: PathBuf::new(),
            admin_socket: PathBuf::new(),
            admin_group: String::new(),
            admin_remote: None,
            metrics_listen: None,
        };
        let local = [IpAddr::from([127, 0, 0, 1])];
        Self {
            settings,
            names: Names::ask(["localhost"], |_| local.to_vec()),
            access: None,
        }
    }

    pub(crate) fn access(mut self, lines: Arc<Lines>) -> Self {
        self.access = Some(lines);
        self
    }

    pub(crate) fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// One route for everything, of this profile.
    pub(crate) fn profile(self, profile: ProfileName) -> Self {
        self.set(|settings| {
            settings.routes.truncate(1);
            settings.routes[0].prefix = String::new();
            settings.routes[0].profile = profile;
        })
    }

    pub(crate) fn start(self) -> Gate {
        let settings = self.settings;
        let grants = Arc::new(Grants::new(settings.host.clone(), settings.mode));
        let live = Live::new();
        let keyring = Arc::new(Keyring::new(MasterKey::generate().unwrap(), Vec::new()));
        let clock = Clock::stopped(Stamp(1_000_000));
        let proxy = Proxy::new(Parts {
            settings: &settings,
            names: &self.names,
            grants: Arc::clone(&grants),
            live: Arc::clone(&live),
            keyring: Arc::clone(&keyring),
            clock: clock.clone(),
            access: self.access,
        });
        let (socket, address) = match &settings.listen[0].at {
            ListenAt::Tcp(at) => {
                let listener = TcpListener::bind(at).unwrap();
                let address = listener.local_addr().unwrap();
                (BoundSocket::Tcp(listener), address)
            }
            ListenAt::Unix(path) => {
                let listener = UnixListener::bind(path).unwrap();
                (BoundSocket::Unix(listener), ([0, 0, 0, 0], 0).into())
            }
        };
        let bound = Bound {
            listen: settings.listen[0].clone(),
            socket,
        };
        let workers = listen::start(&proxy, &[bound], 2).unwrap();
        Gate {
            address,
            grants,
            live,
            proxy,
            keyring,
            clock,
            workers: Some(workers),
            next: AtomicU64::new(1),
        }
    }
}

pub(crate) fn url(address: SocketAddr, path: &str) -> UpstreamUrl {
    UpstreamUrl {
        authority: address.to_string(),
        at: UpstreamAt::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        },
        path: path.to_owned(),
    }
}

pub(crate) fn mint(kind: Kind) -> (Credential, String) {
    let token = NewToken::mint().unwrap();
    let credential = credential(token.id, token.digest, kind);
    (credential, token.reveal().to_string())
}

/// A token that another system made.
pub(crate) fn adopt(kind: Kind, text: &str) -> Credential {
    let token = NewToken::adopt(text).unwrap();
    credential(token.id, token.digest, kind)
}

fn credential(id: gate_userspace::ident::TokenId, digest: Digest, kind: Kind) -> Credential {
    Credential {
        id,
        digest,
        kind,
        expires: None,
        key: None,
        created: Stamp(0),
        adopted: false,
    }
}

pub(crate) fn client_id(number: u32) -> ClientId {
    ClientId(NonZeroU32::new(number).unwrap())
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
