//! Acceptance 162: what the gate holds is its own, and what it leaves on disk says nothing.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use harness::gatectl::text;

use crate::site::{UPSTREAM_KEY, site};

const CLIENT_KEY: &str = "sk-client-provider-key-0002";

#[tokio::test]
async fn nothing_of_a_secret_is_left_where_others_could_read_it() {
    let Some(mut site) = site(1).await else {
        return;
    };
    let caller = &site.net.callers[0];
    let ctl = site.gated.ctl();
    let set = ctl.run("key set trainer", CLIENT_KEY).await.unwrap();
    assert_eq!(set.status, Some(0), "{set:?}");
    let token = site.open("r-1", caller).await;
    assert_eq!(caller.chat("r-1", &token).await.status, 200);
    let rotated = ctl.json("client rotate trainer").await.unwrap();
    let secrets = [
        UPSTREAM_KEY.to_owned(),
        CLIENT_KEY.to_owned(),
        text(&rotated, "/token").unwrap(),
        token,
    ];
    let environ = PathBuf::from(format!("/proc/{}/environ", site.gated.pid()));
    assert_eq!(fs::metadata(environ).unwrap().mode() & 0o777, 0o400);
    // The run folder is for those who may reach a socket in it, whose own modes decide.
    let of_state = fs::metadata(site.gated.state_dir()).unwrap();
    assert_eq!(of_state.mode() & 0o777, 0o700);
    let places = [site.gated.state_dir(), site.gated.run_dir()];
    // While it runs, with what is not yet in its place, and after.
    for place in &places {
        search(place, &secrets);
    }
    assert_eq!(site.gated.terminate().await.unwrap(), Some(0));
    for place in &places {
        search(place, &secrets);
    }
    let log = site.gated.log().text();
    assert!(!secrets.iter().any(|secret| log.contains(secret)));
}

fn search(place: &Path, secrets: &[String]) {
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    for entry in fs::read_dir(place).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            assert_eq!(mode(&path), 0o700, "{}", path.display());
            search(&path, secrets);
        } else if kind.is_socket() {
            assert_eq!(mode(&path) & 0o007, 0, "{}", path.display());
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            let held = fs::read(&path).unwrap();
            for secret in secrets {
                let found = held
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!found, "{} holds a secret", path.display());
            }
        }
    }
}
