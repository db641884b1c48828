//! Which path goes to which upstream, by flags or by `[[upstream]]` and `[[route]]`.

use std::{collections::BTreeSet, path::Path};

use super::{
    Environment, Flags,
    Origin::{self, Default, Environment as Env, File, Flag},
    Refused, Shown, raw, secrets,
    value::{self, Word},
};
use crate::settings::{
    CredentialMode, PresentAs, ProfileName, Route, Upstream, UpstreamGuard, WithoutKey,
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
    let name = name
        .parse()
        .map_err(|_why| value::refused("upstream.name", name, "a name"))?;
    let (given, origin) = url.map_or((None, Flag), |(url, origin)| (Some(url), origin));
    let is_flag = origin == Flag && given.is_some();
    let text = shown.pick(
        "url",
        [(given, origin), (raw.url.clone(), File)],
        default_url.into(),
    );
    let url = value::url("upstream.url", &text)?;
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
    let key = secrets::upstream_key(environment, variable, key_file)?;
    match (variable, key_file) {
        (Some(name), _) => shown.value("key_env", name, flag_key.map_or(File, |_| Flag)),
        (None, Some(path)) => shown.value("key_file", path, File),
        (None, None) => shown.value("key_file", "", Default),
    }
    let without_key = if is_flag && key.is_none() {
        WithoutKey::Send
    } else {
        WithoutKey::Refuse
    };
    Ok(Upstream {
        name,
        url,
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

pub(super) fn routes(
    flags: &Flags,
    file: &[raw::RawRoute],
    upstreams: &[Upstream],
    shown: &mut Shown,
) -> Result<Vec<Route>, Refused> {
    let usual = "default".parse().expect("`default` is an upstream name");
    let (routes, origin): (Vec<Route>, _) = match &flags.profile {
        Some(name) => {
            let profile = ProfileName::read("--profile", name)?;
            let prefix = match profile {
                // The rollout stands in the path, and is checked there.
                ProfileName::Verifiers => "/rollout/{rollout}",
                ProfileName::VerifiersSession
                | ProfileName::Openai
                | ProfileName::Anthropic
                | ProfileName::Plain
                | ProfileName::Apollo
                | ProfileName::Coder => "",
            };
            (vec![Route::new(prefix, profile, usual)], Flag)
        }
        None if file.is_empty() => (usual_routes(&usual), Default),
        None => (file.iter().map(route).collect::<Result<_, _>>()?, File),
    };
    let mut prefixes = BTreeSet::new();
    for route in &routes {
        shown.section("[[route]]");
        shown.value("prefix", &route.prefix, origin);
        shown.value("profile", route.profile, origin);
        shown.value("upstream", &route.upstream, origin);
        shown.value("strip_prefix", &route.strip_prefix, origin);
        shown.value("body_limit", route.body_limit, origin);
        shown.value("keepalive", route.keepalive, origin);
        shown.value("byok", route.byok, origin);
        shown.value("global_key", route.global_key, origin);
        if !prefixes.insert(&route.prefix) {
            return Err(Refused::Twice {
                what: "route",
                name: route.prefix.clone(),
            });
        }
        if origin == File
            && !upstreams
                .iter()
                .any(|upstream| upstream.name == route.upstream)
        {
            return Err(Refused::NoSuchUpstream {
                prefix: route.prefix.clone(),
                upstream: route.upstream.to_string(),
            });
        }
    }
    Ok(routes)
}

/// What serves every caller without a word of configuration.
fn usual_routes(upstream: &crate::ident::UpstreamName) -> Vec<Route> {
    let route = |prefix, profile| Route::new(prefix, profile, upstream.clone());
    vec![
        route("/rollout/{rollout}", ProfileName::Verifiers),
        route("/v1/messages", ProfileName::Anthropic),
        route("/v1", ProfileName::Openai),
    ]
}

fn route(raw: &raw::RawRoute) -> Result<Route, Refused> {
    let prefix = raw.prefix.as_deref().unwrap_or("/");
    let is_path = prefix.starts_with('/') && prefix.bytes().all(|b| b.is_ascii_graphic());
    if !is_path || prefix.contains("//") || prefix.contains(['?', '#', '%']) {
        return Err(value::refused(
            "route.prefix",
            prefix,
            "a path such as / or /openai",
        ));
    }
    let prefix = prefix.trim_end_matches('/');
    let profile = raw.profile.as_deref().unwrap_or("openai");
    let profile = ProfileName::read("route.profile", profile)?;
    if profile == ProfileName::Verifiers && !prefix.ends_with("/{rollout}") {
        let expected = "a path that ends in /{rollout}: profile verifiers checks the rollout there";
        return Err(value::refused("route.prefix", prefix, expected));
    }
    let name = raw.upstream.as_deref().unwrap_or("default");
    let upstream = name
        .parse()
        .map_err(|_why| value::refused("route.upstream", name, "a name"))?;
    let limit = raw.body_limit.as_deref().filter(|text| !text.is_empty());
    let body_limit = limit
        .map(|text| value::size("route.body_limit", text))
        .transpose()?;
    let keepalive = raw.keepalive.as_deref().filter(|text| *text != "off");
    let keepalive = keepalive
        .map(|text| value::duration("route.keepalive", text))
        .transpose()?;
    let strip_prefix = raw.strip_prefix.clone().unwrap_or_default();
    Ok(Route {
        strip_prefix,
        body_limit,
        keepalive,
        byok: raw.byok.unwrap_or(false),
        global_key: raw.global_key.unwrap_or(false),
        ..Route::new(prefix, profile, upstream)
    })
}
