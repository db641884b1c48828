//! Who gets a SYN answered.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use etherparse::PacketBuilder;
use harness::frames;
use harness::probe::{Syn, syn};
use harness::raw;

use crate::site::{PORT, site};

/// Acceptance 14 and 15.
#[tokio::test]
async fn stranger_hears_nothing_over_either_family_and_is_counted() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    for gate in [caller.gate4(), caller.gate6()] {
        let before = site.gated.ctl().drops().await.unwrap();
        assert_eq!(syn(&caller.place, gate).await, Syn::Silent, "{gate}");
        assert!(site.gated.ctl().drops().await.unwrap() > before, "{gate}");
    }
    assert!(site.net.upstream.journal().requests().is_empty());
}

/// Acceptance 16.
#[tokio::test]
async fn listed_source_connects_by_address_or_network_and_still_needs_its_token() {
    let Some(site) = site(2).await else { return };
    let [exact, within] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    let ctl = site.gated.ctl();
    ctl.json(&format!("client add exact --source {}", exact.source4()))
        .await
        .unwrap();
    ctl.json(&format!("client add within --source {}", within.subnet4()))
        .await
        .unwrap();
    for caller in [exact, within] {
        let answer = caller.chat("r-1", "gate_000000_bad").await;
        assert_eq!(answer.status, 401, "{}", caller.place);
    }
}

/// Acceptance 17 and 18. Traffic to the host's own address arrives on `lo` and passes the packet
/// ring too; its peer address is not a loopback one, so the connection ring asks for a grant.
#[tokio::test]
async fn loopback_skips_the_packet_ring_but_not_the_token() {
    let Some(site) = site(1).await else { return };
    let rows = [
        (Ipv4Addr::LOCALHOST, 401, "x-gate-error: UNAUTHORIZED"),
        (Ipv4Addr::new(10, 79, 1, 1), 403, "x-gate-error: FORBIDDEN"),
    ];
    let before = site.gated.ctl().drops().await.unwrap();
    for (address, status, error) in rows {
        // In bytes: the 403 comes before the request is read, which HTTP libraries dislike.
        let call = format!(
            "POST /rollout/r-1/v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let gate = (address, PORT).into();
        let heard = raw::exchange(&site.net.host, gate, call.as_bytes())
            .await
            .unwrap();
        assert_eq!(heard.status(), Some(status), "{address}: {}", heard.text());
        assert!(
            heard.text().to_lowercase().contains(&error.to_lowercase()),
            "{}",
            heard.text()
        );
    }
    assert_eq!(site.gated.ctl().drops().await.unwrap(), before);
}

/// Acceptance 20.
#[tokio::test]
async fn other_ports_are_not_touched() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let _other = site
        .net
        .host
        .enter(|| TcpListener::bind("0.0.0.0:22").unwrap());
    assert_eq!(syn(&caller.place, caller.port(22)).await, Syn::Answered);
    assert_eq!(syn(&caller.place, caller.port(23)).await, Syn::Refused);
    let ping = caller
        .place
        .command("ping")
        .args(["-c1", "-W5", "10.79.1.1"])
        .output();
    // Not every machine has ping; TCP above is the rule's own example.
    assert!(ping.is_err() || ping.unwrap().status.success());
}

/// Acceptance 23.
#[tokio::test]
async fn added_source_opens_at_once_and_disturbs_nobody() {
    let Some(site) = site(2).await else { return };
    let [first, second] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    let ctl = site.gated.ctl();
    ctl.json(&format!("client add fleet --source {}", first.source4()))
        .await
        .unwrap();
    let token = site.open("r-1", first).await;
    let mut running = first.stream("r-1", &token).await;
    assert_eq!(second.knock().await, Syn::Silent);
    ctl.json(&format!("client source add fleet {}", second.source4()))
        .await
        .unwrap();
    assert_eq!(second.knock().await, Syn::Answered);
    assert!(running.next().await.is_some_and(|event| !event.is_error()));
}

/// Acceptance 24.
#[tokio::test]
async fn removed_source_is_shut_and_its_streams_end() {
    let Some(site) = site(2).await else { return };
    let [stays, goes] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    let ctl = site.gated.ctl();
    let add = format!(
        "client add fleet --covers-rollouts --source {} --source {}",
        stays.source4(),
        goes.source4()
    );
    let added = ctl.json(&add).await.unwrap();
    let token = harness::gatectl::text(&added, "/token").unwrap();
    ctl.json("rollout open r-1 --client fleet").await.unwrap();
    let (mut of_stays, mut of_goes) = (
        stays.stream("r-1", &token).await,
        goes.stream("r-1", &token).await,
    );
    ctl.json(&format!("client source remove fleet {}", goes.source4()))
        .await
        .unwrap();
    let (rest, _end) = of_goes.rest().await;
    assert!(
        rest.last().is_some_and(harness::sse::Event::is_error),
        "{rest:?}"
    );
    assert_eq!(goes.knock().await, Syn::Silent);
    assert!(of_stays.next().await.is_some_and(|event| !event.is_error()));
    let last = format!(
        "client source remove fleet {} --output json",
        stays.source4()
    );
    let refused = ctl.run(&last, "").await.unwrap();
    assert_eq!(refused.status, Some(1), "{refused:?}");
}

/// Acceptance 29: strangers in thousands, each from an address of its own, and a caller who works on.
#[tokio::test]
async fn flood_of_strangers_is_dropped_while_a_listed_caller_works() {
    let Some(site) = site(2).await else { return };
    let [listed, flooding] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    let token = site.open("r-1", listed).await;
    let before = site.gated.ctl().drops().await.unwrap();
    let socket = flooding.place.enter(|| frames::socket("eth0")).unwrap();
    let SocketAddr::V4(gate) = flooding.gate4() else {
        unreachable!("over IPv4")
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            let mut sent = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                let from = Ipv4Addr::from(0x0b00_0000 | sent);
                let header = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [0xff; 6])
                    .ipv4(from.octets(), gate.ip().octets(), 64)
                    .tcp(40000, gate.port(), 1, 1024)
                    .syn();
                let mut frame = Vec::with_capacity(64);
                header.write(&mut frame, &[]).unwrap();
                // A full queue loses one, as a wire would.
                sent += u32::from(socket.send(&frame).is_ok());
            }
            sent
        }
    });
    for _ in 0..200 {
        assert_eq!(listed.chat("r-1", &token).await.status, 200);
    }
    is_over.store(true, Ordering::Relaxed);
    let sent = flood.join().unwrap();
    let dropped = site.gated.ctl().drops().await.unwrap() - before;
    assert!(sent > 10_000, "{sent} are no flood");
    assert!(dropped >= u64::from(sent), "{dropped} of {sent}");
    assert!(!site.net.upstream.journal().requests().is_empty());
}

/// An interface that appears later is covered from its first packet.
#[tokio::test]
async fn stranger_on_a_cable_plugged_in_later_hears_nothing() {
    let Some(mut site) = site(1).await else {
        return;
    };
    for _ in 0..3 {
        let caller = site.plug();
        for gate in [caller.gate4(), caller.gate6()] {
            assert_eq!(syn(&caller.place, gate).await, Syn::Silent, "{gate}");
        }
    }
    let late = &site.net.callers[3];
    let token = site.open("r-1", late).await;
    assert_eq!(late.chat("r-1", &token).await.status, 200);
}
