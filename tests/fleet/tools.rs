//! The commands that move things: import, backup, copy, export, and a newer master key.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;

use harness::gatectl::text;
use harness::gated::{Gated, Launch};
use harness::netns::Namespace;
use harness::postgres::Postgres;
use harness::scratch::Scratch;

/// As apollo publishes it.
const TABLE: &str = "CREATE TABLE lightning_clients (id SERIAL PRIMARY KEY, \
     name TEXT UNIQUE NOT NULL, auth_token_hash VARCHAR(64) UNIQUE NOT NULL, \
     anthropic_api_key TEXT NULL)";

/// The published vectors: a credential's hash, and a key sealed with `ENC_KEY`.
const HASH: &str = "58bf5a6b4e6fb8c6236c07cecad297478b484a7213d2b6e3ff92b309f9d41273";
const ENC_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SEALED: &str = "enc:v1:AAECAwQFBgcICQoL7lORdk7uTqnWfrGO4mq/2TRp+3qrke987DXypseMGxnspKoEwEtu";

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Place {
    gated: Gated,
    postgres: Postgres,
}

async fn place() -> Option<Place> {
    if !harness::need::root() {
        return None;
    }
    let host = Namespace::new("host").unwrap();
    let postgres = Postgres::start(&host).await.unwrap()?;
    // Listens on loopback alone, as it does without a word; the packet ring has nothing to guard.
    let gated = Launch::on(&host).start().await.unwrap();
    Some(Place { gated, postgres })
}

/// Acceptance 117: dry run lists, twice is no change, and no secret is in an argument.
#[tokio::test]
async fn apollo_clients_are_imported_once() {
    let Some(place) = place().await else { return };
    let second = HASH.replace('5', "6");
    for statement in [
        TABLE.to_owned(),
        format!(
            "INSERT INTO lightning_clients (name, auth_token_hash, anthropic_api_key) \
             VALUES ('Clinic A', '{HASH}', '{SEALED}'), ('plain', '{second}', 'sk-ant-in-the-clear')"
        ),
    ] {
        place.postgres.query("gate", &statement).unwrap();
    }
    let url = place.postgres.url(LOOPBACK);
    let ctl = place.gated.ctl().env("APOLLO_ENC_KEY", ENC_KEY);
    let ctl = ctl.env("APOLLO_CLIENTS_DB_URL", &url);
    let states = |json: &serde_json::Value| -> Vec<String> {
        let clients = json["clients"].as_array().unwrap().iter();
        clients
            .map(|client| text(client, "/state").unwrap())
            .collect()
    };
    let dry = ctl.json("import apollo --dry-run").await.unwrap();
    assert_eq!(states(&dry), ["added", "added"], "{dry}");
    let before = ctl.json("client list").await.unwrap();
    assert_eq!(before["clients"].as_array().unwrap().len(), 0);
    let done = ctl.json("import apollo").await.unwrap();
    assert_eq!(done["clients"][0]["client"], "Clinic-A", "{done}");
    let again = ctl.json("import apollo").await.unwrap();
    assert_eq!(states(&again), ["unchanged", "unchanged"], "{again}");
    assert_eq!(again["revision"], done["revision"]);
    let keys = ctl.json("key verify").await.unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2, "{keys}");
    // What is exported opens with the gate's own master key, and is another text every time.
    let one = ctl.json("key export Clinic-A --form v1").await.unwrap();
    let other = ctl.json("key export Clinic-A --form v1").await.unwrap();
    assert!(text(&one, "/sealed").unwrap().starts_with("enc:v1:"));
    assert_ne!(one["sealed"], other["sealed"]);
    // Without the key of that time a sealed row is named and the others are taken up.
    ctl.json("client revoke plain --yes").await.unwrap();
    let bare = place.gated.ctl().env("APOLLO_CLIENTS_DB_URL", &url);
    let partly = bare.run("import apollo --output json", "").await.unwrap();
    assert_eq!(partly.status, Some(1), "{partly:?}");
    let json = serde_json::from_str(&partly.stdout).unwrap();
    assert_eq!(states(&json), ["unreadable", "token_ended"]);
    let argv = "import apollo --postgres postgres://u:secret@127.0.0.1/gate";
    let refused = ctl.run(argv, "").await.unwrap();
    assert_eq!(refused.status, Some(2), "{refused:?}");
}

/// A store moves to a server while the gate serves, and a backup never replaces a file.
#[tokio::test]
async fn store_is_backed_up_and_copied() {
    let Some(place) = place().await else { return };
    let ctl = place
        .gated
        .ctl()
        .env("TARGET", &place.postgres.url(LOOPBACK));
    ctl.json("client add trainer").await.unwrap();
    ctl.json("rollout open r-1 --client trainer").await.unwrap();
    let folder = Scratch::new().unwrap();
    let file = folder.join("gate.db");
    let backup = format!("store backup {}", file.display());
    let done = ctl.json(&backup).await.unwrap();
    let data = fs::metadata(&file).unwrap();
    assert_eq!(done["bytes"], data.len());
    assert_eq!(data.permissions().mode() & 0o777, 0o600);
    let twice = ctl.run(&backup, "").await.unwrap();
    assert_eq!(twice.status, Some(1), "{twice:?}");
    let copied = ctl.json("store copy --to-env TARGET").await.unwrap();
    assert_eq!(copied["was_there"], false);
    let again = ctl.json("store copy --to-env TARGET").await.unwrap();
    assert_eq!(again["was_there"], true);
    let count = "SELECT count(*) FROM gate_rollouts WHERE ended IS NULL";
    assert_eq!(place.postgres.query("gate", count).unwrap(), "1");
    let held = place.postgres.query("gate", "SELECT 1 FROM gate_clients");
    assert_eq!(held.unwrap(), "1");
    ctl.json("client add other").await.unwrap();
    let refused = ctl.run("store copy --to-env TARGET", "").await.unwrap();
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("not empty"), "{refused:?}");
    let sql = ctl
        .run("store host-role gate_host", "")
        .await
        .unwrap()
        .stdout;
    let grant = format!("CREATE ROLE gate_host; {sql}");
    place.postgres.query("gate", &grant).unwrap();
}

/// Acceptance 122: every row under the new key, and a restart without the old one opens them all.
#[tokio::test]
async fn master_key_is_rotated_under_a_running_gate() {
    let Some(mut place) = place().await else {
        return;
    };
    let ctl = place.gated.ctl();
    for name in ["a", "b"] {
        let add = format!("client add {name} --upstream-key-stdin");
        let added = ctl.run(&add, "sk-upstream-key-0001").await.unwrap();
        assert_eq!(added.status, Some(0), "{added:?}");
    }
    let file = place.gated.state_dir().join("master.key");
    let old = fs::read_to_string(&file).unwrap();
    let done = ctl.json("key rotate-master").await.unwrap();
    assert_eq!(done["keys"], 2, "{done}");
    let both = fs::read_to_string(&file).unwrap();
    assert!(both.starts_with(&old) && both.lines().count() == 2);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let new = both.lines().last().unwrap();
    fs::write(&file, format!("{new}\n")).unwrap();
    place.gated.kill().unwrap();
    place.gated.restart().await.unwrap();
    let verified = place.gated.ctl().run("key verify", "").await.unwrap();
    assert_eq!(verified.status, Some(0), "{verified:?}");
    // The one that was taken away opens nothing any more.
    fs::write(&file, old).unwrap();
    place.gated.kill().unwrap();
    place.gated.restart().await.unwrap();
    let verified = place.gated.ctl().run("key verify", "").await.unwrap();
    assert_eq!(verified.status, Some(4), "{verified:?}");
}
