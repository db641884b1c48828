//! The API as a trainer meets it: over a real Unix socket.

use std::{collections::BTreeMap, path::PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::UnixStream};

use super::*;
use crate::{
    admin::wire::{
        ConnectionRing, Explain, InterfaceSet, InterfaceView, PacketRing, RequestRing, RingState,
        RingVerdict,
    },
    control::{Work, fakes::Gate},
};

/// The whole of a client's life, and of a rollout's.
#[tokio::test]
async fn a_rollout_is_opened_listed_and_closed() {
    let place = Place::new().await;
    let body = json!({"client":"trainer","sources":["10.0.0.5/32@veth7"],"ttl_seconds":60});
    let (status, added) = place.post("/v1/clients", body).await;
    assert_eq!(
        (status, &added["client"]),
        (200, &json!("trainer")),
        "{added}"
    );
    assert_eq!(added["sources"], json!(["10.0.0.5/32@veth7"]));
    assert_eq!(added["revision"], json!(1));
    assert!(added["token"].as_str().unwrap().starts_with("gate_"));
    let body = json!({"rollout":"r1","client":"trainer","sources":["lo"]});
    let (status, opened) = place.post("/v1/rollouts", body).await;
    assert_eq!(status, 200, "{opened}");
    let env = &opened["env"];
    assert_eq!(env["OPENAI_API_KEY"], opened["token"]);
    assert_eq!(
        env["OPENAI_BASE_URL"],
        json!("http://127.0.0.1:8765/rollout/r1/v1")
    );
    let (_, list) = place.get("/v1/rollouts?client=trainer").await;
    assert_eq!(list["rollouts"][0]["rollout"], json!("r1"));
    assert!(!list.to_string().contains(opened["token"].as_str().unwrap()));
    let (_, client) = place.get("/v1/clients/trainer").await;
    assert_eq!(
        (&client["rollouts"], &client["enabled"]),
        (&json!(1), &json!(true))
    );
    let (status, closed) = place.delete("/v1/rollouts", json!({"ids":["r1"]})).await;
    assert_eq!((status, &closed["rollouts_closed"]), (200, &json!(1)));
    assert_eq!(
        closed["hosts"],
        json!([{"host":"here","revision":3,"state":"done"}])
    );
    let (status, revoked) = place.delete("/v1/clients/trainer", json!({})).await;
    assert_eq!((status, &revoked["entries_removed"]), (200, &json!(1)));
}

#[tokio::test]
async fn a_refusal_has_a_type_a_message_and_a_hint() {
    let place = Place::new().await;
    place.post("/v1/clients", json!({"client":"a"})).await;
    let cases = [
        ("POST /v1/clients", r#"{"client":"a"}"#, 409, "exists"),
        (
            "POST /v1/clients",
            r#"{"client":"b","rsp":1}"#,
            400,
            "invalid",
        ),
        (
            "POST /v1/clients",
            r#"{"client":"b","sources":["10.0.0.5/8"]}"#,
            400,
            "invalid",
        ),
        (
            "POST /v1/clients",
            r#"{"client":"b","token":""}"#,
            400,
            "bad_token",
        ),
        (
            "POST /v1/clients",
            r#"{"client":"b","ttl_seconds":0}"#,
            400,
            "invalid",
        ),
        (
            "POST /v1/clients",
            r#"{"client":"b","upstream":"x"}"#,
            400,
            "invalid",
        ),
        ("POST /v1/clients", "{", 400, "invalid"),
        (
            "POST /v1/rollouts",
            r#"{"rollout":"r","client":"nobody"}"#,
            404,
            "not_found",
        ),
        ("POST /v1/rollouts", r#"{"rollouts":[]}"#, 400, "invalid"),
        ("DELETE /v1/rollouts/none", "", 404, "not_found"),
        ("DELETE /v1/rollouts", "", 400, "invalid"),
        ("GET /v1/clients/nobody", "", 404, "not_found"),
        ("GET /v1/nothing", "", 404, "no_path"),
        ("PUT /v1/clients", "", 405, "no_method"),
    ];
    for (call, body, status, kind) in cases {
        let (method, path) = call.split_once(' ').unwrap();
        let method = method.parse().unwrap();
        let (given, answer) = place.ask(method, path, &[], body.to_owned()).await;
        let error = &answer["error"];
        assert_eq!(
            (given, &error["type"]),
            (status, &json!(kind)),
            "{call} {body}: {answer}"
        );
        assert_ne!(error["message"], json!(""));
        assert!(error["hint"].is_string());
    }
    let (_, taken) = place.post("/v1/clients", json!({"client":"a"})).await;
    assert!(
        taken["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("client rotate a")
    );
}

#[tokio::test]
async fn a_bad_item_in_a_bulk_is_named_and_nothing_is_opened() {
    let place = Place::new().await;
    place.post("/v1/clients", json!({"client":"a"})).await;
    let item = |source: &str| json!({"rollout":source,"client":"a","sources":[source]});
    let bulk = json!({"rollouts":[item("10.0.0.1"), item("10.0.0.300")]});
    let (status, refused) = place.post("/v1/rollouts", bulk).await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert_eq!(status, 400);
    assert!(message.starts_with("item 1: "), "{message}");
    let bulk = json!({"rollouts":[item("10.0.0.1"), item("10.0.0.2")]});
    let (_, opened) = place.post("/v1/rollouts", bulk).await;
    assert_eq!(opened["rollouts"].as_array().unwrap().len(), 2);
    assert_eq!(
        opened["revision"],
        json!(2),
        "the refused bulk was no change"
    );
}

/// Acceptance 174.
#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_token() {
    let place = Place::new().await;
    place.post("/v1/clients", json!({"client":"a"})).await;
    let open = |key: &'static str, rollout: &str| {
        let body = json!({"rollout":rollout,"client":"a"}).to_string();
        let keys = [("idempotency-key", key)];
        let place = &place;
        async move { place.ask(Method::POST, "/v1/rollouts", &keys, body).await }
    };
    let ((_, first), (_, again)) = tokio::join!(open("k1", "r"), open("k1", "r"));
    assert_eq!(first["token"], again["token"]);
    assert_eq!(first["revision"], again["revision"]);
    assert_eq!(place.gate.control.grants().counts(), (1, 1));
    assert_eq!(open("k2", "r").await.0, 409);
    let (status, other) = open("k1", "other").await;
    assert_eq!(
        (status, &other["error"]["type"]),
        (409, &json!("idempotency_key_reused"))
    );
    place.gate.clock.advance(Duration::from_mins(10));
    assert_eq!(
        open("k1", "r").await.0,
        409,
        "after ten minutes it is a new question"
    );
}

/// What the key is for: the connection broke, and the answer never came.
#[tokio::test]
async fn a_broken_connection_does_not_cost_the_token() {
    let place = Place::new().await;
    place.post("/v1/clients", json!({"client":"a"})).await;
    let body = json!({"rollout":"r","client":"a"}).to_string();
    let head = format!(
        "POST /v1/rollouts HTTP/1.1\r\nhost: gate\r\nidempotency-key: k\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = UnixStream::connect(&place.socket).await.unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    drop(stream);
    while place.gate.control.grants().counts().1 == 0 {
        tokio::task::yield_now().await;
    }
    let keys = [("idempotency-key", "k")];
    let again = place.ask(Method::POST, "/v1/rollouts", &keys, body).await;
    assert_eq!(again.0, 200, "{}", again.1);
    assert_eq!(again.1["revision"], json!(2));
}

/// A watcher does not keep the gate from stopping.
#[tokio::test]
async fn the_socket_goes_when_the_gate_stops() {
    let place = Place::new().await;
    let request = Request::get("/v1/events").body(Full::default()).unwrap();
    let _watcher = place.send(request).await;
    place.stop.cancel();
    while place.socket.exists() {
        tokio::task::yield_now().await;
    }
}

/// Who reads `entries_removed` must also read that they may still be open.
#[tokio::test]
async fn a_removed_source_tells_when_the_ring_did_not_follow() {
    let place = Place::new().await;
    let add = json!({"client":"a","sources":["10.0.0.1","10.0.0.2"]});
    place.post("/v1/clients", add).await;
    place.gate.rings.state().broken = true;
    let patch = json!({"remove_sources":["10.0.0.1"]}).to_string();
    let patched = place.ask(Method::PATCH, "/v1/clients/a", &[], patch);
    let (status, changed) = patched.await;
    let warning = changed["warnings"][0].as_str();
    assert!(
        status == 200 && warning.is_some_and(|text| text.contains("may still be open")),
        "{changed}"
    );
    let (_, ended) = place.delete("/v1/clients/a", json!({})).await;
    assert_eq!(ended["hosts"][0]["state"], json!("behind"), "{ended}");
}

#[tokio::test]
async fn status_says_how_the_rings_stand() {
    let place = Place::new().await;
    let (status, shown) = place.get("/v1/status").await;
    assert_eq!(status, 200);
    assert_eq!(shown["mode"], json!("enforce"));
    assert_eq!(shown["rings"]["packet"]["state"], json!("up"));
    assert_eq!(shown["live_streams"], json!(3));
    assert_eq!(shown["drops"], json!({"stranger":7}));
    let (_, verified) = place.get("/v1/verify").await;
    assert_eq!(
        (&verified["ok"], &verified["store"]),
        (&json!(true), &json!("ok"))
    );
    let (_, hosts) = place.get("/v1/hosts").await;
    assert_eq!(hosts["hosts"][0]["host"], json!("here"));
    assert_eq!(place.text("/readyz").await, (200, "ready\n".to_owned()));
    let (_, metrics) = place.text("/metrics").await;
    assert!(
        metrics.contains("gate_packet_drops_total{reason=\"stranger\",hook=\"tc\"} 7"),
        "{metrics}"
    );
}

/// The peer of the socket is the one who acted.
#[tokio::test]
async fn the_audit_trail_names_the_peer() {
    let place = Place::new().await;
    let key = json!({"client":"a","upstream_key":"sk-planted-key","token":"planted-token-0123"});
    place.post("/v1/clients", key).await;
    place
        .ask(Method::POST, "/v1/panic", &[], String::new())
        .await;
    let (_, audit) = place.get("/v1/audit").await;
    let actor = format!("uid={} pid={}", nix::unistd::getuid(), std::process::id());
    assert_eq!(audit["entries"][0]["actor"], json!(actor));
    assert_eq!(audit["entries"][1]["kind"], json!("gate.panic"));
    let text = audit.to_string();
    assert!(!text.contains("planted"), "{text}");
    let (_, of_another) = place.get("/v1/audit?client=b").await;
    assert_eq!(of_another["entries"], json!([]));
    let (status, _) = place.get("/v1/audit?sinse_seconds=1").await;
    assert_eq!(status, 400);
}

/// Acceptance 173 (the API's part): who may shut may not always open.
#[tokio::test]
async fn only_root_relaxes_the_kernel_half() {
    let place = Place::new().await;
    let (status, shut) = place.post("/v1/panic", json!({})).await;
    assert_eq!((status, &shut["mode"]), (200, &json!("closed")));
    let allowed = if nix::unistd::getuid().is_root() {
        200
    } else {
        403
    };
    for (path, body) in [
        ("/v1/open", json!({})),
        ("/v1/interface", json!({"name":"eth0","hook":"tcx"})),
        ("/v1/unload", json!({})),
    ] {
        assert_eq!(place.post(path, body).await.0, allowed, "{path}");
    }
    let nobody = peer::Peer::of_uid(1000);
    assert!(nobody.must_be_root("this").is_err());
}

#[tokio::test]
async fn changes_are_streamed_to_who_watches() {
    let place = Place::new().await;
    let request = Request::get("/v1/events").body(Full::default()).unwrap();
    let mut stream = place.send(request).await.into_body();
    place.post("/v1/clients", json!({"client":"a"})).await;
    let frame = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    let line = std::str::from_utf8(&frame).unwrap();
    let event: Value = serde_json::from_str(line.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        (&event["event"], &event["kind"]),
        (&json!("change"), &json!("client.add"))
    );
}

struct Place {
    gate: Gate,
    stop: CancellationToken,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::start(folder.path()).await;
        let socket = folder.path().join("admin.sock");
        let bound = AdminSocket::bind(&socket, "root").unwrap();
        let doorways = Doorways {
            listen: vec![Doorway {
                at: "127.0.0.1:8765".parse().unwrap(),
                is_tls: false,
            }],
            prefix: "/rollout/{rollout}".to_owned(),
        };
        let api = Api::new(gate.control.clone(), Arc::new(FakeInspect), doorways);
        let stop = CancellationToken::new();
        beside(run(api, bound, stop.clone()));
        Self {
            gate,
            stop,
            socket,
            _folder: folder,
        }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, &[], String::new()).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, &[], body.to_string()).await
    }

    async fn delete(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::DELETE, path, &[], body.to_string()).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.send(request.body(Full::from(body)).unwrap()).await;
        let (status, text) = text_of(answer).await;
        let json = serde_json::from_str(&text);
        (status, json.unwrap_or_else(|why| panic!("{why}: {text}")))
    }

    async fn text(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Full::default()).unwrap();
        text_of(self.send(request).await).await
    }

    async fn send(&self, request: Request<Full<hyper::body::Bytes>>) -> hyper::Response<Incoming> {
        let stream = TokioIo::new(UnixStream::connect(&self.socket).await.unwrap());
        let (mut ask, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        beside(async move { connection.await.unwrap_or_default() });
        ask.send_request(request).await.unwrap()
    }
}

async fn text_of(answer: hyper::Response<Incoming>) -> (u16, String) {
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's runtime ends its tasks with itself"
)]
fn beside(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

struct FakeInspect;

impl Inspect for FakeInspect {
    fn packet_ring(&self) -> Work<'_, PacketFacts> {
        Box::pin(async {
            PacketFacts {
                ring: PacketRing {
                    state: RingState::Up,
                    interfaces: Vec::new(),
                    guards: Vec::new(),
                    entries: 1,
                    capacity: 2,
                    denied: Vec::new(),
                    reason: String::new(),
                },
                drift: 0,
                drops: BTreeMap::from([("stranger".to_owned(), 7)]),
                homes: BTreeMap::new(),
                warnings: Vec::new(),
                counted: Some(PacketCounts {
                    verdicts: vec![VerdictCount {
                        hook: "tc".to_owned(),
                        reason: "stranger",
                        verdict: Verdict::Dropped,
                        packets: 7,
                    }],
                    ..PacketCounts::default()
                }),
            }
        })
    }

    fn connection_ring(&self) -> ConnectionRing {
        ConnectionRing {
            state: RingState::Up,
            listen: vec!["127.0.0.1:8765".to_owned()],
            connections: 4,
            reason: String::new(),
        }
    }

    fn request_ring(&self) -> RequestRing {
        RequestRing {
            state: RingState::Up,
            reason: String::new(),
            upstreams: Vec::new(),
            overhead: None,
        }
    }

    fn live_streams(&self) -> usize {
        3
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn explain(&self, _question: Explain) -> Work<'_, Result<Vec<RingVerdict>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn verify(&self) -> Work<'_, Result<u64, String>> {
        Box::pin(async { Ok(0) })
    }

    fn set_interface(&self, wanted: InterfaceSet) -> Work<'_, Result<InterfaceView, String>> {
        Box::pin(async move {
            Ok(InterfaceView {
                name: wanted.name,
                hook: wanted.hook,
                mode: String::new(),
                covered: true,
                reason: String::new(),
            })
        })
    }

    fn unload(&self) -> Work<'_, Result<Vec<String>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn metrics(&self, _out: &mut exposition::Exposition) {}
}
