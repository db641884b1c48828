//! The field is found where every parser finds it, and nothing around it moves.

use super::*;
use proptest::prelude::*;

#[test]
fn a_key_is_found_or_is_none() {
    let rows = [
        (r#"{"api_key":"k"}"#, Some("k")),
        (
            r#" { "a" : [1,{"api_key":"x"}] , "api_key" : " k\n" } "#,
            Some("k"),
        ),
        (r#"{"api\u005fkey":"k"}"#, Some("k")),
        (r#"{"api_key":"a\"b"}"#, Some("a\"b")),
        (r#"{"api_key":123}"#, None),
        (r#"{"api_key":null}"#, None),
        (r#"{"api_key":" "}"#, None),
        (r#"{"a":{"api_key":"k"}}"#, None),
        ("{}", None),
    ];
    for (body, key) in rows {
        let field = Field::read(&body.into()).unwrap().unwrap();
        assert_eq!(field.text().as_deref(), key, "{body}");
    }
    for body in [
        "",
        "[]",
        "[{\"api_key\":\"k\"}]",
        "{",
        "\"api_key\"",
        "{\"api_key\":\"k\"} x",
    ] {
        assert!(Field::read(&body.into()).unwrap().is_none(), "{body}");
    }
    for body in [
        r#"{"api_key":"a","api_key":"b"}"#,
        r#"{"api_key":1,"api\u005fkey":"b"}"#,
    ] {
        assert!(Field::read(&body.into()).is_err(), "{body}");
    }
}

#[test]
fn only_the_key_is_changed() {
    let rows = [
        (
            r#"{"a":1, "api_key" : "k" , "b":2}"#,
            r#"{"a":1, "api_key" : "n\"" , "b":2}"#,
            r#"{"a":1,  "b":2}"#,
        ),
        (r#"{"api_key":"k"}"#, r#"{"api_key":"n\""}"#, "{}"),
        (
            r#"{"a":1,"api_key":null}"#,
            r#"{"a":1,"api_key":"n\""}"#,
            r#"{"a":1}"#,
        ),
        (r#"{"a":1}"#, r#"{"api_key":"n\"","a":1}"#, r#"{"a":1}"#),
        ("{ }", "{\"api_key\":\"n\\\"\" }", "{ }"),
    ];
    for (body, with, without) in rows {
        let field = Field::read(&body.into()).unwrap().unwrap();
        assert_eq!(field.with(Some("n\"")), with, "{body}");
        assert_eq!(field.with(None), without, "{body}");
    }
}

#[test]
fn a_querys_key_is_found_and_changed() {
    let rows = [
        ("api_key=k", Some("k"), "api_key=n%22", ""),
        (
            "a=1&api%5Fkey=%6B&b=2",
            Some("k"),
            "a=1&api_key=n%22&b=2",
            "a=1&b=2",
        ),
        ("a=1", None, "a=1", "a=1"),
        ("api_key=", None, "api_key=n%22", ""),
        ("api_key=a&api_key=b", None, "api_key=n%22&api_key=n%22", ""),
    ];
    for (query, key, with, without) in rows {
        assert_eq!(in_query(query).as_deref(), key, "{query}");
        assert_eq!(query_with(query, Some("n\"")), with, "{query}");
        assert_eq!(query_with(query, None), without, "{query}");
    }
}

proptest! {
    /// The walk agrees with the parser on any object.
    #[test]
    fn the_walk_reads_what_the_parser_reads(
        members in prop::collection::vec(("[a-z\\\\\"{}\\[\\],:]{0,6}", any::<Option<i32>>(), ".{0,8}"), 0..5),
        at in 0usize..6,
    ) {
        let mut parts: Vec<String> = members.iter().map(|(name, number, text)| {
            let value = match number {
                Some(number) => format!("[{number},{{\"x\":{}}}]", serde_json::Value::from(text.as_str())),
                None => serde_json::Value::from(text.as_str()).to_string(),
            };
            format!("{}: {value}", serde_json::Value::from(name.as_str()))
        }).collect();
        parts.insert(at.min(parts.len()), "\"api_key\": \"k\"".to_owned());
        let body = format!("{{{}}}", parts.join(" , "));
        let field = Field::read(&body.clone().into()).unwrap().unwrap();
        let text = field.text();
        prop_assert_eq!(text.as_deref(), Some("k"));
        let mut want: serde_json::Value = serde_json::from_str(&body).unwrap();
        want["api_key"] = "n".into();
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&field.with(Some("n"))).unwrap(), want.clone());
        want.as_object_mut().unwrap().remove("api_key");
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&field.with(None)).unwrap(), want);
    }
}
