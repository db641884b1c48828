//! Where the gate listens and whom it admits there: the heart of the start guard.

use std::sync::Arc;

use super::{
    Environment, Flags,
    Origin::{self, Default, Environment as Env, File, Flag},
    Reach, Refused, Resolve, Shown, raw, reach,
    value::{Word, refused},
};
use crate::{
    settings::{Listen, ListenAt, ListenSources},
    tls,
};

pub(super) fn listen(
    flags: &Flags,
    environment: Environment<'_>,
    file: &[raw::RawListen],
    resolve: Resolve<'_>,
    shown: &mut Shown,
) -> Result<Vec<(Listen, Reach)>, Refused> {
    let flag_sources = flags.sources.as_deref();
    let bare = |address: &str, origin| {
        let raw = raw::RawListen {
            address: Some(address.to_owned()),
            ..raw::RawListen::default()
        };
        (raw, origin)
    };
    let wanted: Vec<(raw::RawListen, Origin)> = if !flags.listen.is_empty() {
        flags
            .listen
            .iter()
            .map(|address| bare(address, Flag))
            .collect()
    } else if let Some(address) = environment("GATE_LISTEN") {
        vec![bare(&address, Env("GATE_LISTEN"))]
    } else if file.is_empty() {
        vec![bare("127.0.0.1:8765", Default)]
    } else {
        let copy = |raw: &raw::RawListen| raw::RawListen {
            address: raw.address.clone(),
            sources: raw.sources.clone(),
            hosts: raw.hosts.clone(),
            origins: raw.origins.clone(),
            delegation: raw.delegation,
            uids: raw.uids.clone(),
            tls: raw.tls.clone(),
        };
        file.iter().map(|raw| (copy(raw), File)).collect()
    };
    let mut all = Vec::new();
    for (raw, origin) in wanted {
        shown.section("[[listen]]");
        let address = raw.address.unwrap_or_else(|| "127.0.0.1:8765".to_owned());
        shown.value("address", &address, origin);
        let (at, reach) = reach::parse(&address, resolve)?;
        let said = flag_sources
            .filter(|_| origin != File)
            .or(raw.sources.as_deref());
        let sources = match (said, reach) {
            (Some(word), _) => ListenSources::read("listen.sources", word)?,
            (None, Reach::ThisHost) => ListenSources::Listed,
            (None, Reach::Network) => return Err(Refused::PublicBind { address }),
        };
        let said = if said.is_some() { origin } else { Default };
        shown.value("sources", sources.word(), said);
        let given = |is_empty: bool| if is_empty { Default } else { File };
        shown.value("hosts", &raw.hosts, given(raw.hosts.is_empty()));
        shown.value("origins", &raw.origins, given(raw.origins.is_empty()));
        let delegates = delegates(&at, raw.delegation, &raw.uids)?;
        shown.pick("delegation", [(raw.delegation, File)], false);
        shown.value("uids", &delegates, given(raw.uids.is_empty()));
        let tls = raw.tls.map(|tls| server(&at, &tls)).transpose()?;
        if let Some(server) = &tls {
            shown.value("tls.certificate", &server.files().certificate, File);
            shown.value("tls.key", &server.files().key, File);
        }
        let listen = Listen {
            at,
            sources,
            hosts: raw.hosts,
            origins: raw.origins,
            delegates,
            tls,
        };
        all.push((listen, reach));
    }
    Ok(all)
}

/// Naming a client without its token is for processes of listed users, on a Unix socket alone.
fn delegates(at: &ListenAt, delegation: Option<bool>, uids: &[u32]) -> Result<Vec<u32>, Refused> {
    let wants = delegation.unwrap_or(false);
    let is_unix = matches!(at, ListenAt::Unix(_));
    match (wants, is_unix, uids.is_empty()) {
        (false, _, true) => Ok(Vec::new()),
        (true, true, false) => Ok(uids.to_vec()),
        (true, false, _) => Err(refused(
            "listen.delegation",
            "true",
            "possible here: it needs a unix: address, where the kernel names the caller",
        )),
        (true, true, true) => Err(refused("listen.uids", "[]", "a list of user ids to trust")),
        (false, _, false) => Err(refused(
            "listen.uids",
            "a list",
            "of use without delegation = true",
        )),
    }
}

/// Read here, so that a certificate that is no good refuses the start.
fn server(at: &ListenAt, raw: &raw::RawTls) -> Result<Arc<tls::Server>, Refused> {
    if matches!(at, ListenAt::Unix(_)) {
        let expected = "possible here: a unix: address is not a network";
        return Err(refused("listen.tls", "a certificate", expected));
    }
    let files = tls::Pem {
        certificate: (&raw.certificate).into(),
        key: (&raw.key).into(),
    };
    let server = tls::Server::load(files, &[tls::H2, tls::HTTP11]);
    server.map(Arc::new).map_err(|cause| Refused::Certificate {
        address: at.to_string(),
        cause,
    })
}
