//! Which calls a token is good for: `METHOD:PATTERN` rules, matched behind the route's prefix.
//!
//! Does not know the default lists: those belong to the profiles. A final `*` matches the whole
//! rest, any other `*` one segment, and `HEAD` counts as `GET`.

use std::{fmt, str::FromStr};

/// One `METHOD:PATTERN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    method: Box<str>,
    pattern: Box<str>,
}

/// The calls a token may make. Empty is not possible: no rules = the profile's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(Box<[Rule]>);

/// Why a text is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not METHOD:PATTERN, such as POST:/v1/messages or *:/v1/models/*")]
pub struct BadRule(String);

impl Scope {
    /// `None` when there are no rules.
    pub fn new(rules: Vec<Rule>) -> Option<Self> {
        (!rules.is_empty()).then(|| Self(rules.into()))
    }

    pub fn allows(&self, method: &str, path: &str) -> bool {
        self.0.iter().any(|rule| rule.allows(method, path))
    }

    pub fn rules(&self) -> &[Rule] {
        &self.0
    }
}

impl Rule {
    pub fn allows(&self, method: &str, path: &str) -> bool {
        matches_rule(&self.method, &self.pattern, method, path)
    }
}

/// Whether `method` and `path` fit a rule; also serves the profiles' constant lists.
pub fn matches_rule(rule_method: &str, pattern: &str, method: &str, path: &str) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    (rule_method == "*" || rule_method == method) && matches_path(pattern, path)
}

fn matches_path(mut pattern: &str, mut path: &str) -> bool {
    loop {
        if pattern == "*" {
            return true;
        }
        if let Some(rest) = pattern.strip_suffix('*')
            && !rest.contains(['*', '/'])
        {
            return path.starts_with(rest);
        }
        let (want, pattern_rest) = pattern.split_once('/').unwrap_or((pattern, ""));
        let (have, path_rest) = path.split_once('/').unwrap_or((path, ""));
        let fits = if want == "*" {
            !have.is_empty()
        } else {
            want == have
        };
        if !fits || pattern.contains('/') != path.contains('/') {
            return false;
        }
        if !pattern.contains('/') {
            return true;
        }
        (pattern, path) = (pattern_rest, path_rest);
    }
}

impl FromStr for Rule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let bad = || BadRule(text.to_owned());
        let (method, pattern) = text.split_once(':').ok_or_else(bad)?;
        let method = method.to_ascii_uppercase();
        let is_method = method == "*"
            || (!method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()));
        let is_pattern = pattern.starts_with('/') && pattern.bytes().all(|b| b.is_ascii_graphic());
        if !is_method || !is_pattern {
            return Err(bad());
        }
        Ok(Self {
            method: method.into(),
            pattern: pattern.into(),
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.method, self.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say_and_no_more() {
        let rows = [
            ("POST:/v1/messages", "POST", "/v1/messages", true),
            ("POST:/v1/messages", "GET", "/v1/messages", false),
            ("POST:/v1/messages", "POST", "/v1/messages/", false),
            ("POST:/v1/messages", "POST", "/v1/messages/batches", false),
            ("GET:/v1/models", "HEAD", "/v1/models", true),
            ("GET:/v1/models/*", "GET", "/v1/models/org%2Fm/x", true),
            ("GET:/v1/models/*", "GET", "/v1/models", false),
            ("GET:/v1/models*", "GET", "/v1/models", true),
            ("GET:/v1/models*", "GET", "/v1/models/x", true),
            ("GET:/v1/*/files", "GET", "/v1/a/files", true),
            ("GET:/v1/*/files", "GET", "/v1/a/b/files", false),
            ("GET:/v1/*/files", "GET", "/v1//files", false),
            ("*:/*", "DELETE", "/anything/at/all", true),
        ];
        for (rule, method, path, fits) in rows {
            let rule: Rule = rule.parse().unwrap();
            assert_eq!(rule.allows(method, path), fits, "{rule} {method} {path}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            "POST",
            "POST:",
            "POST:v1",
            ":/v1",
            "PO ST:/v1",
            "POST:/v 1",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text:?}");
        }
    }
}
