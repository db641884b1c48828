//! Which prefix wins, and what is too odd to be compared.

use super::*;
use crate::settings::ProfileName;

#[test]
fn the_longest_prefix_wins_by_whole_segments() {
    let routes = routes(&[
        ("/rollout/{rollout}", ProfileName::Verifiers),
        ("/v1/messages", ProfileName::Anthropic),
        ("/v1", ProfileName::Openai),
        ("/api/v1", ProfileName::Plain),
    ]);
    let rows = [
        ("/rollout/A/v1/x", "verifiers", Some("A"), "/v1/x"),
        ("/rollout/A", "verifiers", Some("A"), ""),
        ("/v1/messages", "anthropic", None, "/v1/messages"),
        (
            "/v1/messages/count_tokens",
            "anthropic",
            None,
            "/v1/messages/count_tokens",
        ),
        ("/v1/messagesx", "openai", None, "/v1/messagesx"),
        ("/v1", "openai", None, "/v1"),
        ("/api/v1/models", "plain", None, "/v1/models"),
    ];
    for (path, profile, rollout, tail) in rows {
        let matched = routes.find(path).unwrap();
        assert!(!matched.route.is_nowhere, "{path}");
        assert_eq!(matched.route.profile.name().as_str(), profile, "{path}");
        assert_eq!(
            matched.rollout.as_ref().map(RolloutId::as_str),
            rollout,
            "{path}"
        );
        assert_eq!(&path[matched.tail_at..], tail, "{path}");
    }
    for path in ["/", "/rollout", "/v10/x", "/health", "/a/b/c"] {
        assert!(routes.find(path).unwrap().route.is_nowhere, "{path}");
    }
}

#[test]
fn odd_segments_are_refused_where_the_gate_reads() {
    let routes = routes(&[
        ("/rollout/{rollout}", ProfileName::Verifiers),
        ("/", ProfileName::Openai),
    ]);
    for path in [
        "//v1",
        "/v1//x/y",
        "/rollout//v1",
        "/rollout/%41/v1",
        "/rollout/a b",
        "/%76",
    ] {
        assert!(routes.find(path).is_err(), "{path}");
    }
    for path in ["/", "/v1/", "/v1/x/", "/v1/models//", "/v1/models/a%2Fb"] {
        assert!(routes.find(path).is_ok(), "{path}");
    }
}

fn routes(list: &[(&str, ProfileName)]) -> Routes {
    let routes = list.iter().map(|(prefix, profile)| settings::Route {
        prefix: (*prefix).to_owned(),
        profile: *profile,
        upstream: "default".parse().unwrap(),
        strip_prefix: String::new(),
        body_limit: None,
        keepalive: None,
        byok: false,
        global_key: false,
    });
    Routes::compile(&routes.collect::<Vec<_>>(), &[])
}
