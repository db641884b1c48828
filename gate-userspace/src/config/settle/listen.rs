//! Where the gate listens and whom it admits there: the heart of the start guard.

use super::{
    Environment, Flags,
    Origin::{self, Default, Environment as Env, File, Flag},
    Reach, Refused, Resolve, Shown, raw, reach,
    value::Word,
};
use crate::settings::{Listen, ListenSources};

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
        shown.value("sources", sources, said);
        shown.value(
            "hosts",
            &raw.hosts,
            if raw.hosts.is_empty() { Default } else { File },
        );
        shown.value(
            "origins",
            &raw.origins,
            if raw.origins.is_empty() {
                Default
            } else {
                File
            },
        );
        let listen = Listen {
            at,
            sources,
            hosts: raw.hosts,
            origins: raw.origins,
        };
        all.push((listen, reach));
    }
    Ok(all)
}
