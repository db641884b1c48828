//! The upstream's own port: no way around the gate.

use harness::probe::{Syn, syn};

use crate::site::{UPSTREAM_PORT, site};

/// Acceptance 163.
#[tokio::test]
async fn upstream_on_this_host_is_out_of_reach_listed_or_not() {
    let Some(site) = site(2).await else { return };
    let [listed, stranger] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    let token = site.open("r-1", listed).await;
    for caller in [listed, stranger] {
        let answer = syn(&caller.place, caller.port(UPSTREAM_PORT)).await;
        assert_eq!(answer, Syn::Silent, "{}", caller.place);
    }
    assert_eq!(listed.chat("r-1", &token).await.status, 200);
    assert_eq!(
        syn(&site.net.host, site.net.upstream_address()).await,
        Syn::Answered
    );
    let from_own_address = syn(&site.net.host, listed.port(UPSTREAM_PORT)).await;
    assert_eq!(from_own_address, Syn::Answered);
}
