//! The gate dies and comes back.

use harness::probe::Syn;

use crate::attached::{pins, programs};
use crate::site::{Site, site};

/// Acceptance 28 and 160.
#[tokio::test]
async fn killed_gate_stays_shut_to_strangers_and_is_taken_up_again() {
    let Some(mut site) = site(2).await else {
        return;
    };
    let token = site.open("r-1", &site.net.callers[0]).await;
    let kernel = |site: &Site| (programs(&site.net.host), pins(&site.net.host));
    let before = kernel(&site);
    assert!(!before.0.is_empty() && !before.1.is_empty(), "{before:?}");
    site.gated.kill().unwrap();
    assert_eq!(site.net.callers[1].knock().await, Syn::Silent);
    // The listed caller is let through to a host on which nobody listens.
    assert_eq!(site.net.callers[0].knock().await, Syn::Refused);
    site.gated.restart().await.unwrap();
    assert_eq!(site.net.callers[1].knock().await, Syn::Silent);
    assert_eq!(site.net.callers[0].chat("r-1", &token).await.status, 200);
    assert_eq!(kernel(&site), before);
}
