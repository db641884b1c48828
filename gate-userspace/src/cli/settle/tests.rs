//! Who wins: flag, environment or default; and which address is never talked to.

use std::collections::BTreeMap;

use super::*;
use crate::cli::exit::Exit;

fn settled(globals: &Globals, env: &[(&str, &str)]) -> Result<Settled, Fault> {
    let env: BTreeMap<String, String> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    settle(globals, false, &|name| env.get(name).cloned(), true)
}

fn socket(globals: &Globals, env: &[(&str, &str)]) -> PathBuf {
    match settled(globals, env).unwrap().endpoint {
        Endpoint::Unix(path) => path,
        Endpoint::Tcp { .. } => panic!("a socket was expected"),
    }
}

fn url(text: &str) -> Globals {
    Globals {
        url: Some(text.to_owned()),
        ..Globals::default()
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_default() {
    let flag = Globals {
        socket: Some("/a".into()),
        ..Globals::default()
    };
    let env = [(SOCKET, "/b")];
    assert_eq!(socket(&flag, &env), PathBuf::from("/a"));
    assert_eq!(socket(&Globals::default(), &env), PathBuf::from("/b"));
    assert_eq!(
        socket(&Globals::default(), &[(SOCKET, "")]),
        PathBuf::from(DEFAULT_SOCKET)
    );
}

#[test]
fn plain_http_leaves_this_host_never() {
    let token = [(ADMIN_TOKEN, "t0ken")];
    for text in [
        "http://127.0.0.1:8766",
        "http://[::1]:8766/",
        "http://localhost:1",
    ] {
        assert!(settled(&url(text), &token).is_ok(), "{text}");
    }
    for text in [
        "http://10.0.0.1:8766",
        "http://localhost.evil.example:1",
        "http://127.0.0.1",
        "http://a@127.0.0.1:1",
        "http://127.0.0.1:1/x",
        "ftp://127.0.0.1:1",
        "127.0.0.1:1",
        "",
    ] {
        let fault = settled(&url(text), &token).unwrap_err();
        assert_eq!(fault.exit, Exit::Usage, "{text}");
        assert!(fault.hint_text().is_some(), "{text}");
    }
}

#[test]
fn https_is_spoken_with_whom_an_authority_vouches_for() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    let signed = rcgen::CertificateParams::default().self_signed(&key);
    std::fs::write(&ca, signed.unwrap().pem()).unwrap();
    let env = [(ADMIN_TOKEN, "t0ken"), (CA, ca.to_str().unwrap())];
    for text in [
        "https://10.0.0.1:8766",
        "https://gate.example:1/",
        "https://[fd00::1]:1",
    ] {
        let endpoint = settled(&url(text), &env).unwrap().endpoint;
        assert!(
            matches!(endpoint, Endpoint::Tcp { tls: Some(_), .. }),
            "{text}"
        );
    }
    let missing = Globals {
        ca: Some("/nowhere/ca.pem".into()),
        ..url("https://10.0.0.1:8766")
    };
    let fault = settled(&missing, &env).unwrap_err();
    assert!(fault.hint_text().unwrap().contains("--ca"));
    let alone = Globals {
        ca: Some(ca),
        ..Globals::default()
    };
    assert_eq!(settled(&alone, &[]).unwrap_err().exit, Exit::Usage);
}

#[test]
fn a_url_without_a_token_is_refused() {
    for env in [
        &[][..],
        &[(ADMIN_TOKEN, "")],
        &[(ADMIN_TOKEN, " ")],
        &[(ADMIN_TOKEN, "a b")],
    ] {
        let fault = settled(&url("http://127.0.0.1:8766"), env).unwrap_err();
        assert!(fault.to_string().contains(ADMIN_TOKEN), "{fault}");
    }
}

#[test]
fn colour_needs_a_terminal_that_wants_it() {
    let rows: [(&[(&str, &str)], bool); 4] = [
        (&[], true),
        (&[(NO_COLOR, "1")], false),
        (&[(NO_COLOR, "")], true),
        (&[(TERM, "dumb")], false),
    ];
    for (env, colour) in rows {
        let paper = settled(&Globals::default(), env).unwrap().paper;
        assert_eq!(paper.colour, colour, "{env:?}");
    }
    let piped = settle(&Globals::default(), false, &|_| None, false).unwrap();
    assert!(!piped.paper.colour);
}

#[test]
fn a_bare_token_is_for_commands_that_make_one() {
    let globals = Globals {
        output: Some(Output::Token),
        ..Globals::default()
    };
    assert!(settle(&globals, true, &|_| None, false).is_ok());
    let fault = settle(&globals, false, &|_| None, false).unwrap_err();
    assert_eq!(fault.exit, Exit::Usage);
}
