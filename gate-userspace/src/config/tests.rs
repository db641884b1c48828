//! The start guard, and which of two givers wins.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clap::Parser;

use super::*;
use crate::settings::{Guard, GuardPolicy, KernelNeed, ListenSources, WithoutKey};

/// Acceptance 1.
#[test]
fn no_configuration_at_all_works() {
    let config = settle(&[], &[], "").unwrap();
    assert_eq!(config.settings.listen[0].sources, ListenSources::Listed);
    assert!(!config.settings.listen[0].is_network());
    assert!(config.settings.upstreams.is_empty());
    assert_eq!(config.settings.kernel.need, KernelNeed::Auto);
    assert!(config.secrets.shared.is_none());
}

#[test]
fn the_admin_listener_is_off_and_never_in_the_clear_to_a_network() {
    assert!(
        settle(&[], &[], "")
            .unwrap()
            .settings
            .admin_remote
            .is_none()
    );
    let file = |listen: &str| format!("[admin]\nlisten = \"{listen}\"");
    let here = settle(&[], &[], &file("127.0.0.1:8766")).unwrap().settings;
    assert!(here.admin_remote.unwrap().tls.is_none());
    for listen in ["10.0.0.1:8766", "0.0.0.0:8766", "[::]:8766"] {
        let refused = settle(&[], &[], &file(listen)).unwrap_err();
        assert!(matches!(refused, Refused::PlainAdmin { .. }), "{refused:?}");
        assert!(!refused.hint().is_empty());
    }
    let tls = "[admin]\ntls = { certificate = \"/a\", key = \"/b\" }";
    assert!(matches!(settle(&[], &[], tls), Err(Refused::Value { .. })));
}

#[test]
fn the_metrics_listener_is_off_unless_an_address_is_given() {
    let none = settle(&[], &[], "").unwrap();
    assert_eq!(none.settings.metrics_listen, None);
    let file = |listen: &str| format!("[metrics]\nlisten = \"{listen}\"");
    let given = settle(&[], &[], &file("127.0.0.1:9464")).unwrap();
    let address = "127.0.0.1:9464".parse().unwrap();
    assert_eq!(given.settings.metrics_listen, Some(address));
    let refused = settle(&[], &[], &file("9464")).unwrap_err();
    assert!(matches!(refused, Refused::Value { .. }), "{refused}");
}

/// Acceptance 2 and 3.
#[test]
fn a_public_bind_must_say_whose_calls_it_admits() {
    let addresses = [
        "0.0.0.0:8765",
        "[::]:8765",
        "192.168.1.10:1",
        "10.0.0.5:1",
        "[::ffff:10.0.0.1]:1",
    ];
    for address in addresses {
        let refused = settle(&["--listen", address], &[], "").unwrap_err();
        assert!(matches!(refused, Refused::PublicBind { .. }), "{address}");
        let file = format!("[[listen]]\naddress = \"{address}\"");
        assert!(
            matches!(settle(&[], &[], &file), Err(Refused::PublicBind { .. })),
            "{address}"
        );
        assert!(matches!(
            settle(&[], &[("GATE_LISTEN", address)], ""),
            Err(Refused::PublicBind { .. })
        ));
    }
}

/// Acceptance 10.
#[test]
fn a_public_bind_that_says_so_is_taken() {
    let config = settle(
        &["--listen", "0.0.0.0:8765", "--sources", "listed"],
        &[],
        "",
    )
    .unwrap();
    assert_eq!(config.settings.kernel.need, KernelNeed::Auto);
    let flags = [
        "--listen",
        "0.0.0.0:8765",
        "--sources",
        "listed",
        "--kernel",
        "off",
    ];
    assert_eq!(
        settle(&flags, &[], "").unwrap().settings.kernel.need,
        KernelNeed::Off
    );
}

/// Acceptance 7, 8, 9 and 39.
#[test]
fn a_weak_shared_secret_is_refused_and_an_empty_one_is_none() {
    for secret in [
        "changeme",
        "intercepted",
        "123456789012345",
        "                    ",
        "  short  ",
    ] {
        let refused = settle(&[], &[("INTERCEPTION_SECRET", secret)], "").unwrap_err();
        assert!(
            matches!(refused, Refused::SharedSecret { .. }),
            "{secret:?}"
        );
    }
    assert!(
        settle(&[], &[("INTERCEPTION_SECRET", "")], "")
            .unwrap()
            .secrets
            .shared
            .is_none()
    );
    let config = settle(&[], &[("INTERCEPTION_SECRET", "0123456789abcdef")], "").unwrap();
    assert!(config.secrets.shared.is_some());
}

/// Acceptance 12.
#[test]
fn the_environment_wins_and_says_so_without_the_value() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from-the-file-000000").unwrap();
    let toml = format!("[gate]\nshared_secret_file = \"{}\"", file.path().display());
    let secret = "from-the-environment";
    let config = settle(&[], &[("INTERCEPTION_SECRET", secret)], &toml).unwrap();
    let note = config.secrets.notes.concat();
    assert!(
        note.contains("INTERCEPTION_SECRET") && !note.contains(secret),
        "{note}"
    );
    let shared = config.secrets.shared.unwrap();
    assert_eq!(shared.digest, crate::secret::Digest::of(secret.as_bytes()));
}

#[test]
fn flag_beats_environment_beats_file() {
    let file = "[gate]\nmode = \"audit\"\nrun_dir = \"/file\"";
    let environment = [("GATE_MODE", "enforce"), ("GATE_RUN_DIR", "/environment")];
    let config = settle(&["--run-dir", "/flag"], &environment, file).unwrap();
    assert_eq!(config.settings.run_dir, PathBuf::from("/flag"));
    let shown = config.shown.to_string();
    assert!(shown.contains("mode = \"enforce\"") && shown.contains("# environment GATE_MODE"));
    assert!(shown.contains("run_dir = \"/flag\"") && shown.contains("# flag"));
    assert!(shown.contains("# default"));
}

#[test]
fn what_is_not_understood_is_refused() {
    let files = [
        "[gate]\nmod = \"enforce\"",
        "[gate]\nmode = \"open\"",
        "[nonsense]\na = 1",
        "[[upstream]]\nurl = \"ftp://x\"",
        "[[upstream]]\nurl = \"http://user:pass@x\"",
        "[[route]]\nprefix = \"v1\"",
        "[[upstream]]\nurl = \"http://a\"\n[[route]]\nprefix = \"/\"\nprofile = \"verifiers\"",
        "[[listen]]\nuids = [1]",
        "[[listen]]\ndelegation = true\nuids = [1]",
        "[[listen]]\naddress = \"unix:/x\"\ndelegation = true",
        "[[route]]\nupstream = \"elsewhere\"",
        "[limits]\nhead_timeout = \"soon\"",
        "[kernel]\ninterfaces = [\"lo\"]",
        "[[upstream]]\nurl = \"http://a\"\n[[upstream]]\nurl = \"http://b\"",
    ];
    for file in files {
        assert!(settle(&[], &[], file).is_err(), "{file}");
    }
    for flags in [
        ["--guard", "7070"],
        ["--guard", "0=none"],
        ["--guard", "x:1=none"],
        ["--mode", "open"],
    ] {
        assert!(settle(&flags, &[], "").is_err(), "{flags:?}");
    }
}

#[test]
fn audit_on_a_public_bind_must_be_said_twice() {
    let flags = [
        "--listen",
        "0.0.0.0:1",
        "--sources",
        "any",
        "--mode",
        "audit",
    ];
    assert!(matches!(
        settle(&flags, &[], ""),
        Err(Refused::PublicAudit { .. })
    ));
    let flags = [&flags[..], &["--audit-public"]].concat();
    assert!(settle(&flags, &[], "").is_ok());
}

#[test]
fn an_upstream_by_flag_alone_may_need_no_key() {
    let config = settle(&["--upstream", "http://127.0.0.1:9000/v1/"], &[], "").unwrap();
    let upstream = &config.settings.upstreams[0];
    assert_eq!(upstream.without_key, WithoutKey::Send);
    assert_eq!(upstream.url.path, "/v1");
    let flags = ["--upstream", "http://u", "--upstream-key-env", "KEY"];
    assert!(matches!(
        settle(&flags, &[], ""),
        Err(Refused::UpstreamKey { .. })
    ));
    let config = settle(&flags, &[("KEY", "sk-up")], "").unwrap();
    assert_eq!(config.settings.upstreams[0].without_key, WithoutKey::Refuse);
    assert!(!config.shown.to_string().contains("sk-up"));
}

#[test]
fn an_upstreams_certificate_is_checked_against_what_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["llm.example".to_owned()]).unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let upstream = |url: &str, more: &str| {
        let file = format!("[[upstream]]\nurl = \"{url}\"\n{more}");
        settle(&[], &[], &file).map(|mut config| config.settings.upstreams.remove(0))
    };
    let named = format!("ca_file = \"{}\"\nhttp2 = true", ca.display());
    let https = upstream("https://llm.example", &named).unwrap();
    let tls = https.tls.unwrap();
    assert_eq!(tls.name.to_str(), "llm.example");
    assert_eq!(tls.client.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    assert!(https.http2);
    // In the clear there is nobody to check; to say so is a mistake that must not pass for safety.
    for url in ["http://llm.example", "unix:/run/llm.sock"] {
        assert!(
            matches!(upstream(url, &named), Err(Refused::Value { .. })),
            "{url}"
        );
        assert!(
            upstream(url, "http2 = true").unwrap().tls.is_none(),
            "{url}"
        );
    }
    for file in ["missing.pem", "."] {
        let path = folder.path().join(file);
        let bad = format!("ca_file = \"{}\"", path.display());
        let refused = upstream("https://llm.example", &bad).unwrap_err();
        assert!(matches!(refused, Refused::Roots { .. }), "{refused}");
        assert!(refused.hint().contains("ca_file"), "{}", refused.hint());
    }
}

#[test]
fn a_key_can_come_from_the_service_manager() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("openai"), "sk-systemd\n").unwrap();
    let directory = folder.path().display().to_string();
    let given = [("CREDENTIALS_DIRECTORY", directory.as_str())];
    let file =
        |name: &str| format!("[[upstream]]\nurl = \"http://u\"\nkey_credential = \"{name}\"");
    let config = settle(&[], &given, &file("openai")).unwrap();
    assert!(config.settings.upstreams[0].key.is_some());
    assert!(!config.shown.to_string().contains("sk-systemd"));
    for (given, name) in [
        (&given[..], "missing"),
        (&given, "../openai"),
        (&given, ".."),
        (&[], "openai"),
    ] {
        let refused = settle(&[], given, &file(name)).unwrap_err();
        assert!(!refused.hint().is_empty(), "{name}: {refused}");
    }
}

/// A verifiers route always checks the rollout in its path (acceptance 35).
#[test]
fn the_verifiers_profile_by_flag_stands_on_the_rollout_path() {
    let routes = settle(&["--profile", "verifiers"], &[], "")
        .unwrap()
        .settings
        .routes;
    assert_eq!(routes[0].prefix, "/rollout/{rollout}");
    assert_eq!(routes.len(), 1);
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let refused = settle(&["--upstream", "http://me:hunter2@u"], &[], "").unwrap_err();
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}

#[test]
fn guards_are_read_with_and_without_address() {
    let flags = ["--guard", "7070=listed", "--guard", "[fd00::1]:7071=none"];
    let guards = settle(&flags, &[], "").unwrap().settings.guards;
    assert_eq!(
        guards[0],
        Guard {
            port: 7070,
            address: None,
            policy: GuardPolicy::Listed
        }
    );
    assert_eq!(guards[1].address, Some("fd00::1".parse().unwrap()));
}

/// What `--print-config` prints is a file that says the same.
#[test]
fn what_is_shown_is_a_file_that_says_the_same() {
    let file = "[gate]\nhost = \"a\"\n\
                [[listen]]\naddress = \"unix:/a \\\" b\"\ndelegation = true\nuids = [0]\n\
                [[listen]]\naddress = \"127.0.0.1:1\"\nhosts = [\"h\"]\n\
                [[upstream]]\nurl = \"http://127.0.0.1:9/v1\"\n\
                [[route]]\nbody_limit = \"1KiB\"\nkeepalive = \"3s\"\n\
                [[guard]]\nport = 7\naddress = \"::1\"\npolicy = \"listed\"\n\
                [kernel]\ninterfaces = [\"eth0:tcx\"]\nsyn_budget = { rate = 1, burst = 2 }\n\
                [limits]\nfailed_auth = { count = 1, per = \"2s\" }\n";
    let first = settle(&[], &[], file).unwrap().shown;
    let second = settle(&[], &[], &first.to_string()).unwrap().shown;
    assert_eq!(first.entries(), second.entries(), "{first}");
}

/// A reload says what it does not take up, and nothing else.
#[test]
fn what_takes_a_restart_is_named() {
    let shown = |file: &str| settle(&[], &[], file).unwrap().shown;
    let standing = shown("");
    assert_eq!(standing.restarts(&standing), [""; 0]);
    let routes = "[[upstream]]\nurl = \"http://127.0.0.1:9\"\n[[route]]\n[[guard]]\nport = 7\n\
                  [kernel]\ninterfaces = \"none\"\n";
    assert_eq!(shown(routes).restarts(&standing), [""; 0]);
    let others = "[limits]\ndrain = \"1s\"\n[log]\naccess = false\n[[listen]]\norigins = [\"o\"]\n";
    let named = ["limits.drain", "listen.origins", "log.access"];
    assert_eq!(shown(others).restarts(&standing), named);
}

fn settle(flags: &[&str], environment: &[(&str, &str)], file: &str) -> Result<Config, Refused> {
    let flags = Flags::parse_from(["gated"].iter().chain(flags));
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let read = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    let file = toml::from_str(file).map_err(|cause| Refused::File {
        path: "test".into(),
        cause: Box::new(cause),
    })?;
    let resolve = |host: &str| -> Vec<IpAddr> {
        if host == "localhost" {
            vec![IpAddr::from([127, 0, 0, 1])]
        } else {
            Vec::new()
        }
    };
    settle::settle(&flags, &read, &file, &resolve)
}
