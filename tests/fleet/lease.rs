//! A lease ends on all three rings by itself, whether or not the store can be asked.

use harness::probe::Syn;
use harness::raw::Close;

use crate::site::fleet_for;

/// Acceptance 170.
#[tokio::test]
async fn lease_ends_its_stream_its_connection_and_its_source_without_the_store() {
    // Long past both leases: nothing here ends because the store is out of reach.
    let Some(fleet) = fleet_for("60s").await else {
        return;
    };
    let host = &fleet.hosts[0];
    for (rollout, is_up) in [("with", true), ("without", false)] {
        let (name, source) = (host.name(), host.source());
        let open = format!(
            "rollout open {rollout} --client trainer --host {name} --source {source} --ttl 4s"
        );
        let opened = host.ctl().json(&open).await.unwrap();
        let token = opened["token"].as_str().unwrap();
        host.connect(is_up);
        let heard = host.listen(rollout, token).await;
        let said = heard.text();
        assert_eq!(heard.status(), Some(200), "{said}");
        assert_ne!(heard.close, Close::Open, "{said}");
        let (_, last) = said.rsplit_once("data: ").unwrap();
        assert!(last.contains("error") && last.contains("REVOKED"), "{last}");
        assert!(!said.contains("[DONE]"), "{said}");
        assert_eq!(host.knock().await, Syn::Silent);
        let log = host.gated.log();
        let told = |line: &str| line.contains("lease_over") && line.contains(rollout);
        assert!(log.lines().iter().any(|line| told(line)), "{}", log.text());
    }
}
