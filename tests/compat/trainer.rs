//! The example that a trainer's engineer copies, run as it stands in the documentation.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use harness::authority::Authority;
use harness::gatectl::text;
use harness::gated::Launch;
use harness::link::beside;
use harness::need;

use crate::venv;

#[test]
fn the_example_opens_and_closes_rollouts_from_another_machine() {
    if !need::root() {
        return;
    }
    let Some(python) = venv::python(venv::SDKS) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (host, trainer) = beside("trainer", "10.81.0.1/24", &["10.81.0.2/24"]).unwrap();
        let authority = Authority::new().unwrap();
        let files = authority.files(&["10.81.0.1"]).unwrap();
        let admin = format!(
            "[admin]\nlisten = \"10.81.0.1:8766\"\ntls = {{ certificate = \"{}\", key = \"{}\" }}\n",
            files.certificate.display(),
            files.key.display(),
        );
        let gated = Launch::on(&host)
            .serving(
                (Ipv4Addr::UNSPECIFIED, 8765).into(),
                SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
            )
            .config(&admin)
            .start()
            .await
            .unwrap();
        let ctl = gated.ctl();
        ctl.json("client add trainer").await.unwrap();
        let added = ctl.json("admin token add trainer-7 --role provision").await;
        let token = text(&added.unwrap(), "/token").unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/trainer.py");
        let run = || {
            let mut command = trainer.command(&python);
            command
                .arg(&example)
                .env("GATE_ADMIN_URL", "https://10.81.0.1:8766")
                .env("GATE_CA", authority.root());
            command
        };
        let done = run().env("GATE_ADMIN_TOKEN", &token).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}{wrong}");
        for line in ["demo-1 opened until", "demo-2 opened until", "closed in"] {
            assert!(said.contains(line), "{said}");
        }
        let left = ctl.json("rollout list").await.unwrap();
        assert_eq!(left["rollouts"].as_array().map(Vec::len), Some(0), "{left}");
        let refused = run().env("GATE_ADMIN_TOKEN", "gate_wrong").output().unwrap();
        let wrong = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && wrong.contains("hint: "), "{wrong}");
    });
}
