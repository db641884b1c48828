//! Nothing secret reaches a log, an answer or an upstream.

use std::{
    io,
    sync::{Arc, Mutex},
};

use gate_userspace::{
    proxy::{
        access::{Form, Journal},
        live::Cut,
    },
    settings::CredentialMode,
};
use harness::{
    authority::{Authority, Until},
    netns::Namespace,
    upstream::{Reply, Wire},
};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{
    Maker, PROVIDER_KEY, Upstream, begin, block_on, chunk, request, respond, wait_for_close,
};

const PROMPT: &str = "the-planted-prompt";
const ANSWER: &str = "the-planted-answer";
const OWN_KEY: &str = "sk-the-callers-own-key";

/// Acceptance 58, 59 and 158.
#[test]
fn no_secret_is_logged_at_any_level() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .init();
    let upstream = Upstream::start(|seen, to| match seen.line() {
        line if line.contains("stream") => {
            begin(to, "text/event-stream");
            chunk(to, &format!("data: {ANSWER}\n\n"));
            wait_for_close(to);
        }
        line if line.contains("break") => {
            begin(to, "text/event-stream");
            chunk(to, &format!("data: {ANSWER}\n\n"));
            let _gone = to.shutdown(std::net::Shutdown::Both);
        }
        _ => respond(to, 200, "text/plain", ANSWER.as_bytes()),
    });
    let journal = Journal::start(Form::Json, log.clone()).unwrap();
    let gate = Maker::before(&upstream).access(journal.lines()).start();
    let (a, b) = gate.two_rollouts();
    let mistyped = format!("{a}x");
    let mut replies = String::new();
    for token in [a.as_str(), &b, &mistyped, OWN_KEY, "intercepted", "a b"] {
        for path in [
            "/rollout/A/v1/chat/completions",
            "/rollout/A/break",
            "/v1/messages",
            "/v1/x",
            "/x",
            "/rollout/A/%2e%2e/B",
        ] {
            let path = format!("{path}?key={token}").replace(' ', "%20");
            let bearer = format!("Bearer {token}");
            let headers = [("authorization", bearer.as_str()), ("cookie", token)];
            let reply = gate.call("POST", &path, &headers, PROMPT);
            if reply.header("x-gate-source").as_deref() == Some("gate") {
                replies += &reply.head;
                replies += reply.text();
            }
        }
    }
    let mut running = gate.connect();
    running.send(request(
        "POST",
        "/rollout/A/stream",
        &[("x-api-key", &a)],
        PROMPT,
    ));
    running.head();
    gate.close("A");
    running.rest();
    // The same crates speak for the provider here, so this is twice the noise of a gate.
    let ca = Authority::new().unwrap();
    let config = ca
        .server(&["localhost"], Until::LongFromNow, &["h2"])
        .unwrap();
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let answer = |_: &harness::upstream::Seen| Reply::whole(200, "text/plain", ANSWER);
    let wire = Wire::tls(config);
    let far = harness::upstream::Upstream::over(wire, &Namespace::here(), anywhere, answer);
    let far = far.unwrap();
    let lines = format!("url = \"{}\"\n{}\nhttp2 = true", far.url(), ca.line());
    let over_two = Maker::configured(&lines).access(journal.lines()).start();
    let (c, _) = over_two.two_rollouts();
    let path = "/rollout/A/v1/chat/completions";
    let reply = over_two.call("POST", path, &[("x-api-key", &c)], PROMPT);
    assert_eq!(reply.text(), ANSWER);
    let keep = Maker::before(&upstream)
        .access(journal.lines())
        .set(|settings| settings.upstreams[0].credential = CredentialMode::Keep)
        .start();
    let token = keep.client(1, |_| {});
    let headers = [("x-gate-token", token.as_str()), ("authorization", OWN_KEY)];
    keep.call("GET", "/v1/models", &headers, "");
    block_on(keep.live.cut_all(Cut::Panic));
    drop((gate, over_two, keep));
    // Written is what was said before.
    drop(journal);
    let log = log.text();
    assert!(log.contains("rollout") && log.contains("refused") && log.contains("decision"));
    for secret in [&a, &b, &c, &token, &mistyped] {
        let secret_part = &secret[17..];
        assert!(!log.contains(secret_part), "a token is in the log");
        assert!(!replies.contains(secret_part), "a token is in an answer");
    }
    for secret in [PROVIDER_KEY, OWN_KEY, PROMPT, ANSWER] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!replies.contains(secret), "{secret} is in an answer");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
