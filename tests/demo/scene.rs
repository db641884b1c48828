//! The demo's network: a gate host with a provider on it, two sandboxes with a rollout each, and
//! a stranger, each on a cable of its own to the host.
//!
//! Does not touch the machine's own network. Fields drop top to bottom: the gate ends before the
//! provider, the network last.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use harness::gatectl::text;
use harness::gated::{Gated, Launch};
use harness::link::{End, cable};
use harness::netns::Namespace;
use harness::upstream::{Provider, Upstream};

/// Time between two tokens of the provider's streams.
pub(crate) const PACE: Duration = Duration::from_millis(20);

const GATED_PORT: u16 = 8765;
const UPSTREAM_PORT: u16 = 9000;
const UPSTREAM_KEY: &str = "sk-demo-provider-key-0001";

pub(crate) struct Scene {
    pub(crate) gated: Gated,
    pub(crate) upstream: Upstream,
    pub(crate) a: Sandbox,
    pub(crate) b: Sandbox,
    pub(crate) stranger: Site,
    pub(crate) host: Namespace,
}

/// A place on the network and the address of the host as seen from there.
pub(crate) struct Site {
    pub(crate) place: Namespace,
    address: Ipv4Addr,
    host: Ipv4Addr,
}

/// A site with a rollout.
pub(crate) struct Sandbox {
    pub(crate) site: Site,
    pub(crate) rollout: &'static str,
    pub(crate) token: String,
}

impl Scene {
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let host = Namespace::new("gate host")?;
        let sites = [
            Site::new(&host, "a", 1)?,
            Site::new(&host, "b", 2)?,
            Site::new(&host, "x", 3)?,
        ];
        let everywhere = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let provider = Provider { pace: PACE };
        let upstream = Upstream::provider(&host, everywhere(UPSTREAM_PORT), provider)?;
        let gated = Launch::on(&host)
            .serving(
                everywhere(GATED_PORT),
                (Ipv4Addr::LOCALHOST, UPSTREAM_PORT).into(),
            )
            .flag("--upstream-key-env", "DEMO_UPSTREAM_KEY")
            .env("DEMO_UPSTREAM_KEY", UPSTREAM_KEY);
        let gated = gated.start().await?;
        gated.ctl().json("client add trainer").await?;
        let [a, b, stranger] = sites;
        let a = Sandbox::open(&gated, a, "a").await?;
        let b = Sandbox::open(&gated, b, "b").await?;
        Ok(Self {
            gated,
            upstream,
            a,
            b,
            stranger,
            host,
        })
    }
}

impl Site {
    fn new(host: &Namespace, label: &str, subnet: u8) -> anyhow::Result<Self> {
        let place = Namespace::new(label)?;
        let [ours, theirs] = [1, 2].map(|last| Ipv4Addr::new(10, 77, subnet, last));
        let (near, far) = (format!("{ours}/24"), format!("{theirs}/24"));
        let device = format!("to-{label}");
        let near = End {
            place: host,
            device: &device,
            addresses: &[&near],
        };
        cable(
            &near,
            &End {
                place: &place,
                device: "eth0",
                addresses: &[&far],
            },
        )?;
        Ok(Self {
            place,
            address: theirs,
            host: ours,
        })
    }

    pub(crate) fn gate(&self) -> SocketAddr {
        (self.host, GATED_PORT).into()
    }

    /// Where the provider would answer, if nothing stood in between.
    pub(crate) fn provider(&self) -> SocketAddr {
        (self.host, UPSTREAM_PORT).into()
    }
}

impl Sandbox {
    async fn open(gated: &Gated, site: Site, rollout: &'static str) -> anyhow::Result<Self> {
        let open = format!(
            "rollout open {rollout} --client trainer --source {}/32",
            site.address
        );
        let opened = gated.ctl().json(&open).await?;
        let token = text(&opened, "/token").with_context(|| format!("open rollout {rollout}"))?;
        Ok(Self {
            site,
            rollout,
            token,
        })
    }

    /// The base path of its own rollout.
    pub(crate) fn base(&self) -> String {
        format!("/rollout/{}/v1", self.rollout)
    }
}
