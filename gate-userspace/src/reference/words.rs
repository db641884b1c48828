//! What other programs read: exit statuses, why packets are dropped, and how calls are refused.

use std::fmt::Write as _;

use gate_common::reason::Reason;

use super::{code, keep_part, read};
use crate::{cli::Exit, fault::Type};

/// A table of every reason, those that drop last.
fn reasons() -> String {
    let mut table =
        "| reason | verdict | in `audit` | what it says |\n|---|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let (verdict, audited) = match (reason.passes(), reason.relaxed_by_audit()) {
            (true, _) => ("pass", "pass"),
            (false, true) => ("drop", "pass, counted"),
            (false, false) => ("drop", "drop"),
        };
        let (name, sentence) = (code(reason.name()), reason.sentence());
        writeln!(table, "| {name} | {verdict} | {audited} | {sentence} |").unwrap();
    }
    table
}

/// As declared, which is by number.
fn exit_statuses() -> String {
    let mut table = "| status | meaning |\n|---|---|\n".to_owned();
    let schema = schemars::schema_for!(Exit).to_value();
    let variants = schema["oneOf"].as_array().expect("a list of variants");
    for (status, variant) in variants.iter().enumerate() {
        let meaning = variant["description"].as_str().expect("a doc comment");
        writeln!(table, "| {status} | {} |", meaning.trim_end_matches('.')).unwrap();
    }
    assert_eq!(variants.len(), Exit::Finding as usize + 1);
    table
}

#[test]
fn exit_statuses_in_the_readme_are_those_of_the_code() {
    keep_part("README.md", "exit statuses", &exit_statuses());
}

#[test]
fn reasons_on_the_page_are_those_of_the_code() {
    keep_part("docs/packets.md", "reasons", &reasons());
}

/// The page says more of each than the code does, so it is written by hand.
#[test]
fn every_type_of_refusal_is_on_the_page_with_its_status() {
    let page = read("docs/errors.md");
    for kind in Type::ALL {
        let row = format!("| {} | ", code(kind.as_str()));
        let mut rows = page.lines().filter_map(|line| line.strip_prefix(&row));
        let rest = rows.next().unwrap_or_else(|| panic!("{}", kind.as_str()));
        let is_right = rest.starts_with(&kind.status().to_string()) || kind == Type::Revoked;
        assert!(is_right, "{}: {rest}", kind.as_str());
    }
}
