//! Flags, environment and defaults become one settled answer to "which gate, and how to print".
//!
//! Does not connect. The names of all environment variables stand here; a flag beats the
//! environment, and a variable that is set but empty counts as not set.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::{
    fault::Fault,
    parse::Globals,
    print::{Output, Paper},
};
use crate::{
    admin::wire::Secret,
    tls::{self, Roots},
};

/// Path of the admin socket.
pub(super) const SOCKET: &str = "GATE_SOCKET";
/// Bearer for `--url`.
pub(super) const ADMIN_TOKEN: &str = "GATE_ADMIN_TOKEN";
/// Who may vouch for it.
const CA: &str = "GATE_CA";
/// Any value: no colour (no-color.org).
const NO_COLOR: &str = "NO_COLOR";
const TERM: &str = "TERM";

/// Password of a database, as for every Postgres program.
pub(super) const PASSWORD: &str = "PGPASSWORD";
/// Where apollo finds its clients, the first that is set.
pub(super) const APOLLO_URLS: [&str; 2] = ["APOLLO_CLIENTS_DB_URL", "POSTGRES_URL"];
/// Opens the keys of apollo's clients.
pub(super) const APOLLO_KEY: &str = "APOLLO_ENC_KEY";

const DEFAULT_SOCKET: &str = "/run/gate/admin.sock";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a command works with.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) endpoint: Endpoint,
    pub(super) timeout: Duration,
    pub(super) paper: Paper,
}

/// Where the admin API answers.
#[derive(Debug)]
pub(super) enum Endpoint {
    Unix(PathBuf),
    /// Over TLS, or in the clear on this host's loopback.
    Tcp {
        /// `HOST:PORT`, as dialled and as it stands in `Host`.
        authority: String,
        tls: Option<Tls>,
        token: Secret,
    },
}

/// Whom to believe, and that it is who.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// Settles what was typed against the surroundings.
pub(super) fn settle(
    globals: &Globals,
    mints_one_token: bool,
    env: &dyn Fn(&str) -> Option<String>,
    stdout_is_terminal: bool,
) -> Result<Settled, Fault> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    let endpoint = match (&globals.url, &globals.socket) {
        (Some(url), _) => {
            let ca = globals.ca.clone().or_else(|| env(CA).map(PathBuf::from));
            tcp(url, ca, env(ADMIN_TOKEN))?
        }
        (None, _) if globals.ca.is_some() => {
            return Err(
                Fault::usage("`--ca` says whom to believe behind an https `--url`")
                    .hint("give both, or neither"),
            );
        }
        (None, Some(path)) => Endpoint::Unix(path.clone()),
        (None, None) => {
            Endpoint::Unix(env(SOCKET).map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from))
        }
    };
    let output = globals.output.unwrap_or(Output::Table);
    if output == Output::Token && !mints_one_token {
        return Err(
            Fault::usage("`--output token` is for commands that make one new token")
                .hint("use `--output json`"),
        );
    }
    let dumb = env(TERM).is_some_and(|term| term == "dumb");
    Ok(Settled {
        endpoint,
        timeout: globals.timeout.unwrap_or(DEFAULT_TIMEOUT),
        paper: Paper {
            output,
            terminal: stdout_is_terminal,
            colour: stdout_is_terminal && env(NO_COLOR).is_none() && !dumb,
        },
    })
}

/// The real environment.
pub(super) fn process_env(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where gatectl reads its environment"
    )]
    std::env::var(name).ok()
}

fn tcp(url: &str, ca: Option<PathBuf>, token: Option<String>) -> Result<Endpoint, Fault> {
    let uri: http::Uri = url.parse().map_err(|cause: http::uri::InvalidUri| {
        Fault::usage("`--url` is not a URL")
            .because(cause)
            .hint("it looks like `http://127.0.0.1:8766`")
    })?;
    let authority = uri
        .authority()
        .filter(|authority| authority.port().is_some() && !authority.as_str().contains('@'))
        .filter(|_| matches!(uri.path(), "" | "/") && uri.query().is_none())
        .ok_or_else(|| {
            Fault::usage("`--url` names no host and port, or more than that")
                .hint("it looks like `http://127.0.0.1:8766`")
        })?;
    let tls = match uri.scheme_str() {
        Some("http") if is_loopback(authority.host()) => None,
        Some("http") => {
            let port = authority.port_u16().unwrap_or(8766);
            let host = authority.host();
            return Err(
                Fault::usage("plain http would show the admin token to the network").hint(format!(
                    "say https, or carry it over ssh: `ssh -N -L 8766:127.0.0.1:{port} {host}`, \
                     then `--url http://127.0.0.1:8766`"
                )),
            );
        }
        Some("https") => Some(tls(authority.host(), ca)?),
        Some(_) | None => {
            return Err(Fault::usage("`--url` is neither http nor https")
                .hint("it looks like `https://gate.example:8766`"));
        }
    };
    let token = token.ok_or_else(|| {
        Fault::usage(format!("`--url` needs the admin token in ${ADMIN_TOKEN}")).hint(format!(
            "set it: `read -rs {ADMIN_TOKEN} && export {ADMIN_TOKEN}`"
        ))
    })?;
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            Fault::usage(format!("${ADMIN_TOKEN} does not hold a token")).hint(format!(
                "set it again: `read -rs {ADMIN_TOKEN} && export {ADMIN_TOKEN}`"
            )),
        );
    }
    Ok(Endpoint::Tcp {
        authority: authority.as_str().to_owned(),
        tls,
        token: Secret::new(token.to_owned()),
    })
}

fn tls(host: &str, ca: Option<PathBuf>) -> Result<Tls, Fault> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|cause| {
        Fault::usage("`--url` names a host that no certificate can name")
            .because(cause)
            .hint("it looks like `https://gate.example:8766`")
    })?;
    let roots = ca.map_or(Roots::System, Roots::File);
    let config = tls::client(&roots, &[tls::HTTP11]).map_err(|cause| {
        Fault::usage("whom to believe cannot be read")
            .because(cause)
            .hint("`--ca FILE` names the authority that signed the gate's certificate, in PEM")
    })?;
    Ok(Tls { config, name })
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}

/// A name is taken for loopback only if it is `localhost`: another could resolve anywhere.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests;
