//! Which path goes to which upstream, by flags or by `[[route]]`.

use std::collections::BTreeSet;

use super::{
    Flags,
    Origin::{Default, File, Flag},
    Refused, Shown, raw,
    value::{self, Word},
};
use crate::settings::{ProfileName, Route, Upstream};

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
        let root = Some(route.prefix.as_str()).filter(|prefix| !prefix.is_empty());
        shown.value("prefix", root.unwrap_or("/"), origin);
        shown.value("profile", route.profile.word(), origin);
        shown.value("upstream", route.upstream.as_str(), origin);
        shown.value("strip_prefix", &route.strip_prefix, origin);
        let limit = route.body_limit.map(|bytes| format!("{bytes}B"));
        shown.value("body_limit", limit.unwrap_or_default(), origin);
        let keepalive = route.keepalive.map(humantime::format_duration);
        let keepalive = keepalive.map_or("off".to_owned(), |every| every.to_string());
        shown.value("keepalive", keepalive, origin);
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
