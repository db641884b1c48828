//! What only a running gate knows: its store, the keys it holds, and where its calls go.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use super::Check;
use crate::admin::wire::{KeyState, PresentedView, Status, UpstreamView, Verified};

/// An upstream that takes longer to take a connection is as good as away.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn store(verified: &Verified) -> Check {
    if verified.store == "ok" {
        Check::ok("store", "whole, and answers")
    } else {
        Check::fail("store", verified.store.clone(), "gatectl verify")
    }
}

/// Those that do not open are named: calls that need them are answered 503.
pub(super) fn keys(verified: &Verified) -> Vec<Check> {
    let shut = verified.keys.iter().filter(|key| key.state != KeyState::Ok);
    let mut checks: Vec<Check> = shut
        .map(|key| {
            let detail = format!("the key of {} does not open", key.owner);
            Check::fail("keys", detail, "gatectl key verify")
        })
        .collect();
    if checks.is_empty() {
        let detail = format!("{} stored upstream keys open", verified.keys.len());
        checks.push(Check::ok("keys", detail));
    }
    checks
}

/// Whether each upstream takes a connection from here.
pub(super) async fn upstreams(status: &Status) -> Vec<Check> {
    let upstreams = &status.rings.request.upstreams;
    if upstreams.is_empty() {
        let detail = "none: every authorised call is answered 503";
        let remedy = "gated --upstream URL";
        return vec![Check::warn("upstream", detail, remedy)];
    }
    let mut checks = Vec::new();
    for upstream in upstreams {
        checks.push(reach(upstream).await);
    }
    checks
}

async fn reach(upstream: &UpstreamView) -> Check {
    let UpstreamView { name, url, .. } = upstream;
    let Some(port) = upstream.port else {
        return Check::ok("upstream", format!("`{name}` is a Unix socket, {url}"));
    };
    if upstream.addresses.is_empty() {
        let detail = format!("`{name}`: the name in {url} does not resolve");
        return Check::fail("upstream", detail, "getent hosts NAME");
    }
    let mut last = "no address".to_owned();
    for address in &upstream.addresses {
        let Ok(ip) = address.parse() else { continue };
        let address = SocketAddr::new(ip, port);
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_connected)) => {
                let (presents, remedy) = presents(upstream.key);
                let detail = format!("`{name}` takes connections at {address}{presents}");
                return match remedy {
                    Some(remedy) => Check::warn("upstream", detail, remedy),
                    None => Check::ok("upstream", detail),
                };
            }
            Ok(Err(why)) => last = format!("{address}: {why}"),
            Err(_elapsed) => last = format!("{address}: no answer within {PATIENCE:?}"),
        }
    }
    Check::fail(
        "upstream",
        format!("`{name}` cannot be reached: {last}"),
        url,
    )
}

/// In words, and what to do about it if it may not be meant.
fn presents(what: Option<PresentedView>) -> (&'static str, Option<&'static str>) {
    match what {
        Some(PresentedView::Own) => (", with a key of its own", None),
        Some(PresentedView::Missing) => (
            ", without a key: clients need their own",
            Some("gatectl key set CLIENT"),
        ),
        Some(PresentedView::NotNeeded) => (", without a key", None),
        Some(PresentedView::Callers) => (", with what its callers bring", None),
        Some(PresentedView::Nothing) => (", with no credential", None),
        // An older gate does not say.
        None => ("", None),
    }
}
