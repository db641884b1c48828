//! Which route serves this path: the longest prefix, compared segment by segment.
//!
//! Looks no id up. In the part that the gate itself reads (as many segments as the longest prefix
//! has) nothing may be empty, encoded or otherwise odd; the rest of the path stays as it came.

use std::time::Duration;

use crate::{
    fault::Fault,
    ident::{RolloutId, UpstreamName},
    profile::{self, Profile},
    settings::{self, Settings},
};

pub(crate) struct Routes {
    known: Vec<Route>,
    nowhere: Route,
    depth: usize,
}

pub(crate) struct Route {
    segments: Vec<Segment>,
    pub(crate) profile: &'static dyn Profile,
    /// Index into the upstreams; none = no such upstream is configured.
    pub(crate) upstream: Option<usize>,
    pub(crate) strip_prefix: String,
    pub(crate) body_limit: u64,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) byok: bool,
    pub(crate) global_key: bool,
    /// How many segments of the prefix stand before the API's own path.
    mounted: usize,
    pub(crate) is_nowhere: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    Rollout,
}

/// A route and what its prefix captured.
pub(crate) struct Matched<'a> {
    pub(crate) route: &'a Route,
    pub(crate) rollout: Option<RolloutId>,
    /// Where the API's own path starts.
    pub(crate) tail_at: usize,
}

impl Routes {
    pub(crate) fn new(settings: &Settings) -> Self {
        let names = settings.upstreams.iter().map(|upstream| &upstream.name);
        Self::compile(&settings.routes, &names.collect::<Vec<_>>())
    }

    fn compile(routes: &[settings::Route], upstreams: &[&UpstreamName]) -> Self {
        let index = |name: &UpstreamName| upstreams.iter().position(|known| *known == name);
        let compile = |route: &settings::Route| Route::compile(route, index(&route.upstream));
        let mut known: Vec<Route> = routes.iter().map(compile).collect();
        known.sort_by_key(|route| std::cmp::Reverse(route.segments.len()));
        let depth = known.first().map_or(0, |route| route.segments.len());
        Self {
            known,
            nowhere: Route::nowhere(),
            depth,
        }
    }

    /// The route of a path; one that leads nowhere when none fits, so that it still asks for a token.
    pub(crate) fn find(&self, path: &str) -> Result<Matched<'_>, Fault> {
        odd(path, self.depth)?;
        let fits = self.known.iter().find_map(|route| route.matches(path));
        fits.unwrap_or(Ok(Matched {
            route: &self.nowhere,
            rollout: None,
            tail_at: 0,
        }))
    }
}

impl Route {
    fn compile(route: &settings::Route, upstream: Option<usize>) -> Self {
        let segments: Vec<Segment> = route
            .prefix
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| match segment {
                "{rollout}" => Segment::Rollout,
                fixed => Segment::Fixed(fixed.to_owned()),
            })
            .collect();
        let profile = profile::of(route.profile);
        // `/v1` in a prefix belongs to the API, not to the place where it is mounted.
        let mounted = segments
            .iter()
            .position(|segment| matches!(segment, Segment::Fixed(text) if is_version(text)));
        Self {
            mounted: mounted.unwrap_or(segments.len()),
            segments,
            profile,
            upstream,
            strip_prefix: route.strip_prefix.trim_end_matches('/').to_owned(),
            body_limit: route.body_limit.unwrap_or_else(|| profile.body_limit()),
            keepalive: route.keepalive,
            byok: route.byok,
            global_key: route.global_key,
            is_nowhere: false,
        }
    }

    fn nowhere() -> Self {
        let profile = profile::unrouted();
        Self {
            segments: Vec::new(),
            profile,
            upstream: None,
            strip_prefix: String::new(),
            body_limit: profile.body_limit(),
            keepalive: None,
            byok: false,
            global_key: false,
            mounted: 0,
            is_nowhere: true,
        }
    }

    fn matches<'a>(&'a self, path: &str) -> Option<Result<Matched<'a>, Fault>> {
        let (mut rest, mut rollout, mut tail_at) = (path, None, 0);
        for (number, segment) in self.segments.iter().enumerate() {
            if number == self.mounted {
                tail_at = path.len() - rest.len();
            }
            let after = rest.strip_prefix('/')?;
            let end = after.find('/').unwrap_or(after.len());
            let (have, next) = after.split_at(end);
            match segment {
                Segment::Fixed(want) if want == have => {}
                Segment::Fixed(_) => return None,
                Segment::Rollout => match have.parse() {
                    Ok(id) => rollout = Some(id),
                    Err(_) => return Some(Err(Fault::BadRequest("this is no rollout id"))),
                },
            }
            rest = next;
        }
        if self.mounted == self.segments.len() {
            tail_at = path.len() - rest.len();
        }
        Some(Ok(Matched {
            route: self,
            rollout,
            tail_at,
        }))
    }
}

/// `v1`, `v2` and so on.
pub(crate) fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Refuses what is odd in the first segments.
fn odd(path: &str, depth: usize) -> Result<(), Fault> {
    // The first piece is what stands before the first slash: nothing.
    let mut segments = path.split('/').skip(1).peekable();
    for _ in 0..depth.max(1) {
        let Some(segment) = segments.next() else {
            return Ok(());
        };
        // Only the last piece may be empty: a slash at the end.
        if segment.is_empty() && segments.peek().is_some() {
            return Err(Fault::BadRequest("an empty segment in the path"));
        }
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"._~:@!$&'()*+,=-".contains(&byte);
        if !segment.bytes().all(is_plain) {
            return Err(Fault::BadRequest("an odd byte in the path's prefix"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
