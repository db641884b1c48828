//! Heads and paths: what passes is read alike by everybody.

use std::{cell::RefCell, convert::Infallible, io::Cursor, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Empty;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;

use crate::{
    proxy::{
        connection,
        head::{self, Head},
        route::{Matched, Routes},
        strict,
    },
    settings::{Interfaces, Kernel, KernelNeed, Limits, Mode, ProfileName, Route, Settings},
};

/// Bytes as they come from a socket, read as the connection reads them.
pub fn head(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing");
    let input = Cursor::new(data.to_vec());
    let socket = TokioIo::new(tokio::io::join(input, tokio::io::sink()));
    let service = service_fn(|request: Request<Incoming>| {
        if let Ok((head, _body)) = head::read(request) {
            judge(&head);
        }
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    let served = connection::http1(64 << 10).serve_connection(socket, service);
    // An error is a refusal: there is nothing to promise of it.
    let _refused = runtime.block_on(served);
}

/// The strict reading beside it: wherever the network cuts, the same is read. The first byte says
/// into how large pieces.
pub fn framing(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else {
        return;
    };
    let mut whole = strict::Framing::new();
    let at_once = whole.follow(bytes);
    let mut cut = strict::Framing::new();
    let mut pieces = bytes.chunks(usize::from(*size).max(1));
    let in_pieces = pieces.try_for_each(|piece| cut.follow(piece));
    assert_eq!(at_once, in_pieces);
    if at_once.is_ok() {
        while whole.take_head() {
            assert!(cut.take_head(), "fewer calls");
        }
        assert!(!cut.take_head(), "more calls");
    }
}

/// A request's target alone, of which a fuzzer finds more forms than of a whole head.
pub fn path(data: &[u8]) {
    let Ok(uri) = Uri::try_from(data) else { return };
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    if let Ok((head, ())) = head::read(request) {
        judge(&head);
    }
}

fn judge(head: &Head) {
    let path = head.path();
    cannot_move(path.as_bytes());
    ROUTES.with_borrow(|routes| {
        let Ok(matched) = routes.find(path) else {
            return;
        };
        let Matched {
            rollout, tail_at, ..
        } = matched;
        let tail = path
            .get(tail_at..)
            .expect("the tail starts within the path");
        assert!(tail.is_empty() || tail.starts_with('/'), "{path}");
        if let Some(id) = rollout {
            let own = format!("/rollout/{id}");
            assert!(path == format!("{own}{tail}"), "{path}");
        }
    });
}

/// However often somebody decodes it, and wherever they cut segments.
fn cannot_move(path: &[u8]) {
    let mut path = path.to_vec();
    loop {
        for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
            let name = segment.split(|byte| *byte == b';').next();
            let is_dots = matches!(name, Some(b"." | b".."));
            assert!(!is_dots, "{}", path.escape_ascii());
        }
        let mut next = Vec::new();
        let mut at = 0;
        while let Some(byte) = path.get(at) {
            let escape = path
                .get(at..at + 3)
                .and_then(|three| std::str::from_utf8(three).ok());
            let digits = escape.and_then(|three| three.strip_prefix('%'));
            let digits = digits.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let decoded = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
            next.push(decoded.unwrap_or(*byte));
            at += if decoded.is_some() { 3 } else { 1 };
        }
        if next == path {
            return;
        }
        path = next;
    }
}

thread_local! {
    static ROUTES: RefCell<Routes> = RefCell::new(Routes::new(&settings()));
}

/// Routes as a start without configuration has them.
fn settings() -> Settings {
    let route = |prefix: &str, profile| Route {
        prefix: prefix.to_owned(),
        profile,
        upstream: "default".parse().expect("a name"),
        strip_prefix: String::new(),
        body_limit: None,
        keepalive: None,
        byok: false,
        global_key: false,
    };
    Settings {
        mode: Mode::Enforce,
        host: "here".parse().expect("a name"),
        state_dir: "/nowhere".into(),
        run_dir: "/nowhere".into(),
        listen: Vec::new(),
        upstreams: Vec::new(),
        routes: vec![
            route("/rollout/{rollout}", ProfileName::Verifiers),
            route("/v1/messages", ProfileName::Anthropic),
            route("/v1", ProfileName::Openai),
            route("/plain", ProfileName::Plain),
        ],
        apollo_internal: None,
        guards: Vec::new(),
        kernel: Kernel {
            need: KernelNeed::Off,
            interfaces: Interfaces::None,
            pin_dir: "/nowhere".into(),
            syn_budget: (0, 0),
            event_budget: 0,
        },
        limits: Limits {
            connections: 1,
            connections_per_source: 1,
            head_timeout: Duration::from_secs(1),
            head_size: 64 << 10,
            body_idle: Duration::from_secs(1),
            requests_per_second: 0,
            concurrency: 0,
            failed_auth: crate::settings::FailedAuth {
                count: 1,
                per: Duration::from_mins(1),
            },
            drain: Duration::from_secs(1),
        },
        master_key_file: "/nowhere".into(),
        admin_socket: "/nowhere".into(),
        admin_group: String::new(),
        admin_remote: None,
        metrics_listen: None,
    }
}
