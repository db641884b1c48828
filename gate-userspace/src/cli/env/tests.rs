//! What a sandbox is told, and what it is never told.

use serde_json::json;

use super::*;

fn args(more: &[&str]) -> EnvArgs {
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: EnvArgs,
    }

    let line = ["env", "r-1"].iter().chain(more);
    Line::try_parse_from(line).unwrap().args
}

fn door(base: Option<&str>, candidates: &[&str]) -> Door {
    Door {
        base_url: base.map(str::to_owned),
        candidates: candidates.iter().map(|one| (*one).to_owned()).collect(),
        path: "/rollout/r-1".into(),
    }
}

/// Acceptance 57.
#[test]
fn a_sandbox_is_told_urls_and_its_token_and_nothing_more() {
    let tokens = Tokens {
        model: Some(Secret::new("t0ken".into())),
        state: None,
    };
    let told = variables("http://10.0.0.1:8765", "/rollout/r-1", &tokens, &[]);
    let names: Vec<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_BASE_URL",
            "HTTPX_TIMEOUT",
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "OPENAI_REQUEST_TIMEOUT",
            "OPENAI_TIMEOUT",
        ]
    );
    assert_eq!(
        told["OPENAI_BASE_URL"].reveal(),
        "http://10.0.0.1:8765/rollout/r-1/v1"
    );
}

#[test]
fn a_flag_beats_what_the_gate_knows_and_doubt_is_said() {
    let said = args(&["--base-url", "http://gate:1/"]);
    let known = door(Some("http://10.0.0.1:8765"), &[]);
    let command = "gatectl env r-1";
    assert_eq!(base_url(&said, &known, command).unwrap(), "http://gate:1");
    assert_eq!(
        base_url(&args(&[]), &known, command).unwrap(),
        "http://10.0.0.1:8765"
    );
    let one = door(None, &["http://10.0.0.1:8765"]);
    assert_eq!(
        base_url(&args(&[]), &one, command).unwrap(),
        "http://10.0.0.1:8765"
    );
    let two = door(None, &["http://10.0.0.1:8765", "http://10.9.0.1:8765"]);
    let fault = base_url(&args(&[]), &two, command).unwrap_err();
    assert!(
        fault.to_string().contains("http://10.9.0.1:8765"),
        "{fault}"
    );
    assert_eq!(
        fault.hint_text(),
        Some("choose one: `gatectl env r-1 --base-url http://10.0.0.1:8765`")
    );
}

#[test]
fn what_is_no_base_url_is_refused() {
    for text in [
        "",
        "gate:8765",
        "ftp://gate",
        "http://",
        "http://a@b",
        "http://a/?x",
        "http://a b",
    ] {
        assert!(parse_base_url(text).is_err(), "{text}");
    }
}

#[test]
fn the_token_comes_from_what_open_printed() {
    let id: RolloutId = "r-1".parse().unwrap();
    let one = json!({"rollout": "r-1", "token": "aaa"});
    let many = json!({"rollouts": [{"rollout": "r-0", "token": "no"}, one.clone()]});
    for value in [&one, &many] {
        let tokens = tokens_of(value, &id).unwrap();
        assert_eq!(tokens.model.unwrap().reveal(), "aaa");
    }
    let split = json!({"rollout": "r-1", "tokens": {"model": "mmm", "state": "sss"}});
    let tokens = tokens_of(&split, &id).unwrap();
    assert_eq!(tokens.model.unwrap().reveal(), "mmm");
    assert_eq!(tokens.state.unwrap().reveal(), "sss");
    for value in [
        json!({"rollout": "r-2", "token": "aaa"}),
        json!({"rollout": "r-1"}),
        json!({}),
    ] {
        assert!(tokens_of(&value, &id).is_err(), "{value}");
    }
}

#[test]
fn every_syntax_keeps_the_value_whole() {
    let variables = BTreeMap::from([("A".to_owned(), Secret::new("it's $x".into()))]);
    let rows = [
        (EnvFormat::Shell, "export A='it'\\''s $x'\n"),
        (EnvFormat::Docker, "A=it's $x\n"),
        (EnvFormat::Json, "{\n  \"A\": \"it's $x\"\n}\n"),
    ];
    for (format, want) in rows {
        assert_eq!(written(&variables, format).unwrap(), want);
    }
    let two_lines = BTreeMap::from([("A".to_owned(), Secret::new("x\nB=y".into()))]);
    assert!(written(&two_lines, EnvFormat::Docker).is_err());
}

#[test]
fn another_route_has_its_own_variable() {
    let with = args(&["--with", "real-openai=/openai/"]).with;
    let told = variables("http://g:1", "", &Tokens::default(), &with);
    assert_eq!(
        told["GATE_REAL_OPENAI_BASE_URL"].reveal(),
        "http://g:1/openai"
    );
}
