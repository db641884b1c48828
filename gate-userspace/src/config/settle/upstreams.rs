//! Where calls go: by flag, by `GATE_UPSTREAM`, or by `[[upstream]]`.

use std::{collections::BTreeSet, path::Path};

use rustls_pki_types::ServerName;

use super::{
    Environment, Flags,
    Origin::{self, Default, Environment as Env, File, Flag},
    Refused, Shown, raw,
    secrets::{self, KeyPlace},
    url::{self, Scheme},
    value::{self, Word},
};
use crate::{
    ident::UpstreamName,
    settings::{
        CredentialMode, PresentAs, Upstream, UpstreamAt, UpstreamGuard, UpstreamTls, UpstreamUrl,
        WithoutKey,
    },
    tls::{self, Roots},
};

pub(super) fn upstreams(
    flags: &Flags,
    environment: Environment<'_>,
    file: &[raw::RawUpstream],
    shown: &mut Shown,
) -> Result<Vec<Upstream>, Refused> {
    let from_environment = environment("GATE_UPSTREAM");
    let url = flags.upstream.clone().map(|url| (url, Flag));
    let url = url.or(from_environment.map(|url| (url, Env("GATE_UPSTREAM"))));
    let mut all: Vec<Upstream> = Vec::new();
    for raw in file {
        let name = raw.name.as_deref().unwrap_or("default");
        let url = url.clone().filter(|_| name == "default");
        all.push(upstream(name, url, flags, environment, raw, shown)?);
    }
    if let Some(url) = url.filter(|_| !all.iter().any(|u| u.name.as_str() == "default")) {
        let raw = raw::RawUpstream::default();
        all.push(upstream(
            "default",
            Some(url),
            flags,
            environment,
            &raw,
            shown,
        )?);
    }
    let mut names = BTreeSet::new();
    match all
        .iter()
        .find(|upstream| !names.insert(upstream.name.clone()))
    {
        Some(twice) => Err(Refused::Twice {
            what: "upstream",
            name: twice.name.to_string(),
        }),
        None => Ok(all),
    }
}

fn upstream(
    name: &str,
    url: Option<(String, Origin)>,
    flags: &Flags,
    environment: Environment<'_>,
    raw: &raw::RawUpstream,
    shown: &mut Shown,
) -> Result<Upstream, Refused> {
    shown.section("[[upstream]]");
    let (name_origin, default_url) = (raw.name.as_ref().map_or(Default, |_| File), "");
    shown.value("name", name, name_origin);
    let name: UpstreamName = name
        .parse()
        .map_err(|_why| value::refused("upstream.name", name, "a name"))?;
    let (given, origin) = url.map_or((None, Flag), |(url, origin)| (Some(url), origin));
    let is_flag = origin == Flag && given.is_some();
    let text = shown.pick(
        "url",
        [(given, origin), (raw.url.clone(), File)],
        default_url.into(),
    );
    let (scheme, url) = url::read("upstream.url", &text)?;
    let (tls, http2) = trust(&name, scheme, &url, raw, shown)?;
    let word = |shown: &mut Shown, key, given: &Option<String>, usual: &str| {
        shown.pick(key, [(given.clone(), File)], usual.to_owned())
    };
    let credential = word(shown, "credential", &raw.credential, "replace");
    let present_as = word(shown, "present_as", &raw.present_as, "bearer");
    let guard = word(shown, "guard", &raw.guard, "auto");
    let timeout = |shown: &mut Shown, key, given: &Option<String>, usual| {
        let text = word(shown, key, given, usual);
        value::duration(key, &text)
    };
    let connect_timeout = timeout(shown, "connect_timeout", &raw.connect_timeout, "5s")?;
    let head_timeout = timeout(shown, "head_timeout", &raw.head_timeout, "600s")?;
    let idle_timeout = timeout(shown, "idle_timeout", &raw.idle_timeout, "600s")?;
    let flag_key = flags
        .upstream_key_env
        .as_deref()
        .filter(|_| is_flag || raw.key_env.is_none());
    let variable = flag_key.or(raw.key_env.as_deref());
    let key_file = raw
        .key_file
        .as_deref()
        .filter(|path| !path.is_empty())
        .map(Path::new);
    let credential_name = raw
        .key_credential
        .as_deref()
        .filter(|name| !name.is_empty());
    let place = match (variable, credential_name, key_file) {
        (Some(name), _, _) => Some(KeyPlace::Variable(name)),
        (None, Some(name), _) => Some(KeyPlace::Credential(name)),
        (None, None, path) => path.map(KeyPlace::File),
    };
    let key = secrets::upstream_key(environment, place)?;
    match place {
        Some(KeyPlace::Variable(name)) => {
            shown.value("key_env", name, flag_key.map_or(File, |_| Flag));
        }
        Some(KeyPlace::Credential(name)) => shown.value("key_credential", name, File),
        Some(KeyPlace::File(path)) => shown.value("key_file", path, File),
        None => shown.value("key_file", "", Default),
    }
    let without_key = if is_flag && key.is_none() {
        WithoutKey::Send
    } else {
        WithoutKey::Refuse
    };
    Ok(Upstream {
        name,
        url,
        tls,
        http2,
        credential: CredentialMode::read("upstream.credential", &credential)?,
        key,
        without_key,
        present_as: PresentAs::read("upstream.present_as", &present_as)?,
        guard: UpstreamGuard::read("upstream.guard", &guard)?,
        connect_timeout,
        head_timeout,
        idle_timeout,
    })
}

/// Whom an upstream must prove to be, and whether it speaks HTTP/2.
fn trust(
    name: &UpstreamName,
    scheme: Scheme,
    url: &UpstreamUrl,
    raw: &raw::RawUpstream,
    shown: &mut Shown,
) -> Result<(Option<UpstreamTls>, bool), Refused> {
    let ca_file = shown.pick("ca_file", [(raw.ca_file.clone(), File)], String::new());
    let http2 = shown.pick("http2", [(raw.http2, File)], false);
    let host = match (scheme, &url.at) {
        (Scheme::Https, UpstreamAt::Tcp { host, .. }) => host.trim_end_matches('.').to_owned(),
        (Scheme::Http | Scheme::Unix, _) | (Scheme::Https, UpstreamAt::Unix(_)) => {
            if ca_file.is_empty() {
                return Ok((None, http2));
            }
            let expected = "of use here: only a https:// upstream shows a certificate";
            return Err(value::refused("upstream.ca_file", &ca_file, expected));
        }
    };
    let no = || {
        value::refused(
            "upstream.url",
            &host,
            "a host that a certificate can be for",
        )
    };
    let host_name = ServerName::try_from(host.clone()).map_err(|_why| no())?;
    let roots = if ca_file.is_empty() {
        Roots::System
    } else {
        Roots::File(ca_file.into())
    };
    let versions: &[&[u8]] = if http2 {
        &[tls::H2, tls::HTTP11]
    } else {
        &[tls::HTTP11]
    };
    let client = tls::client(&roots, versions).map_err(|cause| Refused::Roots {
        upstream: name.to_string(),
        cause,
    })?;
    let tls = UpstreamTls {
        name: host_name,
        client,
    };
    Ok((Some(tls), http2))
}
