//! An upstream that is not who it says: the log tells the operator which way, the caller nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use harness::authority::{Authority, Until};
use harness::client::Call;
use harness::gatectl::text;
use harness::gated::Launch;
use harness::netns::Namespace;
use harness::upstream::{Reply, Upstream, Wire};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(10);
const GATE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8765);

#[tokio::test]
async fn the_log_says_why_an_upstream_is_not_believed() {
    if !harness::need::root() {
        return;
    }
    let host = Namespace::new("host").unwrap();
    let (ca, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let rows = [
        (
            "stranger",
            &other,
            "localhost",
            Until::LongFromNow,
            "UnknownIssuer",
        ),
        (
            "namesake",
            &ca,
            "elsewhere.example",
            Until::LongFromNow,
            "not valid for name",
        ),
        ("old", &ca, "localhost", Until::LongAgo, "expired"),
    ];
    let mut config = String::new();
    let mut upstreams = Vec::new();
    for (name, by, subject, until, _) in rows {
        let wire = Wire::tls(by.server(&[subject], until, &[]).unwrap());
        let anywhere = (Ipv4Addr::LOCALHOST, 0).into();
        let upstream = Upstream::over(wire, &host, anywhere, |_| Reply::json(200, &json!({})));
        let upstream = upstream.unwrap();
        let lines = format!(
            "[[upstream]]\nname = \"{name}\"\nurl = \"{}\"\n{}\ncredential = \"none\"\n\
             [[route]]\nprefix = \"/{name}\"\nprofile = \"plain\"\nupstream = \"{name}\"\n",
            upstream.url(),
            ca.line(),
        );
        config.push_str(&lines);
        upstreams.push(upstream);
    }
    let launch = Launch::on(&host).flag("--kernel", "off").config(&config);
    let gated = launch.start().await.unwrap();
    let made = gated.ctl().json("client add a").await.unwrap();
    let token = text(&made, "/token").unwrap();
    for (name, .., why) in rows {
        let call = Call::get(&format!("/{name}/v1/models")).bearer(&token);
        let answer = call.complete(&host, GATE).await.unwrap();
        let said = String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(answer.status, 503, "{said}");
        assert!(
            said.contains("TLS handshake failed") && !said.contains(why),
            "{said}"
        );
        let told = |line: &str| line.contains(why) && line.contains(name);
        let told = gated.log().wait(PATIENCE, told).await;
        assert!(told.is_ok(), "{name}: {}", gated.log().text());
    }
    for upstream in &upstreams {
        assert!(upstream.journal().requests().is_empty());
    }
}
