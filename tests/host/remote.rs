//! The admin API from another machine: a certificate, a token with a role, and no way to more.

use std::net::SocketAddr;

use harness::authority::Authority;
use harness::gatectl::{Gatectl, text};
use harness::raw;
use tokio::task::JoinSet;

use crate::site::{Net, Site, net};

const PORT: u16 = 8766;

/// A gate whose admin API other machines reach over TLS.
async fn gate() -> Option<(Site, Authority)> {
    let net: Net = net(2)?;
    let authority = Authority::new().unwrap();
    let files = authority.files(&["10.79.1.1"]).unwrap();
    let config = format!(
        "[admin]\nlisten = \"10.79.1.1:{PORT}\"\ntls = {{ certificate = \"{}\", key = \"{}\" }}\n",
        files.certificate.display(),
        files.key.display(),
    );
    let gated = net.launch().config(&config).start().await.unwrap();
    gated.ctl().json("client add trainer").await.unwrap();
    Some((Site { gated, net }, authority))
}

impl Site {
    /// Makes a token of this role.
    async fn operator(&self, name: &str, role: &str) -> String {
        let add = format!("admin token add {name} --role {role}");
        text(&self.gated.ctl().json(&add).await.unwrap(), "/token").unwrap()
    }

    /// `gatectl` on the machine of the first caller.
    fn far(&self, authority: &Authority, token: &str) -> Gatectl {
        let url = format!("https://10.79.1.1:{PORT}");
        Gatectl::over(&self.net.callers[0].place, &url)
            .env("GATE_CA", authority.root().to_str().unwrap())
            .env("GATE_ADMIN_TOKEN", token)
    }
}

#[tokio::test]
async fn operator_does_what_the_role_allows_and_no_more() {
    let Some((site, authority)) = gate().await else {
        return;
    };
    let caller = &site.net.callers[0];
    let [reads, provisions, admins] = [
        site.operator("reader", "read").await,
        site.operator("trainer-7", "provision").await,
        site.operator("chief", "admin").await,
    ]
    .map(|token| site.far(&authority, &token));
    let open = format!(
        "rollout open r-1 --client trainer --source {}",
        caller.source4()
    );
    let refused = reads.run(&open, "").await.unwrap();
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("role `read`"), "{refused:?}");
    assert!(refused.stderr.contains("role `provision`"), "{refused:?}");
    let opened = provisions.json(&open).await.unwrap();
    let token = text(&opened, "/token").unwrap();
    assert_eq!(caller.chat("r-1", &token).await.status, 200);
    let listed = reads.json("rollout list").await.unwrap();
    assert_eq!(listed["rollouts"][0]["rollout"], "r-1");
    let closed = provisions.json("rollout close r-1").await.unwrap();
    assert!(closed["entries_removed"].as_u64().unwrap() > 0, "{closed}");
    // The trail names who it was.
    let audit = reads.json("audit --since 1h").await.unwrap();
    let by = |kind: &str| {
        let mut lines = audit["entries"].as_array().unwrap().iter();
        let line = lines.rfind(|line| line["kind"] == kind);
        line.unwrap_or_else(|| panic!("{audit}"))["actor"].clone()
    };
    assert_eq!(by("rollout.open"), "operator=trainer-7");
    assert_eq!(by("rollout.close"), "operator=trainer-7");
    for (who, command) in [
        (&provisions, "panic"),
        (&admins, "open"),
        (&admins, "unload --yes"),
        (&admins, "interface set to-1 --hook generic"),
        (&admins, "key rotate-master"),
        (&admins, "admin token add other --role admin"),
        (&admins, "admin token list"),
        (&admins, "admin token revoke reader --yes"),
    ] {
        let refused = who.run(command, "").await.unwrap();
        assert_eq!(refused.status, Some(1), "{command}: {refused:?}");
    }
    let shut = admins.json("panic").await.unwrap();
    assert_eq!(shut["mode"], "closed");
    site.gated.ctl().json("open").await.unwrap();
}

#[tokio::test]
async fn ended_wrong_and_missing_tokens_are_refused_and_survive_nothing() {
    let Some((mut site, authority)) = gate().await else {
        return;
    };
    let token = site.operator("trainer-7", "provision").await;
    let far = site.far(&authority, &token);
    far.json("status").await.unwrap();
    // A gate's token for calls is none for this, and the other way round.
    let opened = site.open("r-1", &site.net.callers[0]).await;
    let mistaken = site.far(&authority, &opened).run("status", "").await;
    assert_eq!(mistaken.unwrap().status, Some(1));
    assert_eq!(site.net.callers[0].chat("r-1", &token).await.status, 401);
    site.gated.terminate().await.unwrap();
    site.gated.restart().await.unwrap();
    far.json("status").await.unwrap();
    let ctl = site.gated.ctl();
    let listed = ctl.json("admin token list").await.unwrap();
    assert_eq!(listed["operators"][0]["name"], "trainer-7");
    assert!(!listed.to_string().contains(&token));
    ctl.json("admin token revoke trainer-7 --yes")
        .await
        .unwrap();
    let refused = far.run("status", "").await.unwrap();
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("no operator's token"),
        "{refused:?}"
    );
    let log = site.gated.log().text();
    assert!(!log.contains(&token), "the token itself");
    // In the clear there is nothing to talk to.
    let address: SocketAddr = format!("10.79.1.1:{PORT}").parse().unwrap();
    let plain = b"GET /v1/status HTTP/1.1\r\nHost: gate\r\n\r\n";
    let heard = raw::exchange(&site.net.callers[0].place, address, plain).await;
    assert_eq!(heard.unwrap().status(), None);
}

/// Guessing costs more than it brings, and costs nobody else.
#[tokio::test]
async fn guessing_is_slowed_down_for_who_guesses() {
    let Some((site, authority)) = gate().await else {
        return;
    };
    let token = site.operator("trainer-7", "read").await;
    // Together, so that a slow machine is not slow enough to be forgiven.
    let (mut wrong, mut slowed) = (0, 0);
    for round in 0..10 {
        let mut guesses = JoinSet::new();
        for number in 0..16 {
            let guess = site.far(&authority, &format!("gate_wrong_{round}_{number}"));
            guesses.spawn(async move { guess.run("status", "").await.unwrap() });
        }
        for refused in guesses.join_all().await {
            assert_eq!(refused.status, Some(1), "{refused:?}");
            if refused.stderr.contains("too many wrong tokens") {
                slowed += 1;
            } else {
                wrong += 1;
            }
        }
        if slowed > 0 {
            break;
        }
    }
    assert!(wrong >= 15 && slowed > 0, "{wrong} and {slowed}");
    // Whose token is right is not made to pay for it, from the very same address.
    site.far(&authority, &token).json("status").await.unwrap();
}

#[tokio::test]
async fn admin_listener_without_a_certificate_is_refused() {
    let Some(net) = net(1) else { return };
    let refused = net
        .launch()
        .config("[admin]\nlisten = \"10.79.1.1:8766\"\n")
        .refused()
        .await
        .unwrap();
    assert_eq!(refused.status, Some(78), "{}", refused.log);
    assert!(refused.log.contains("no certificate"), "{}", refused.log);
}
