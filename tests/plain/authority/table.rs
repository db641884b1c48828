//! Reads rows, makes their calls and says which row a gate does not keep.

use std::{cell::RefCell, collections::BTreeMap, net::SocketAddr, path::PathBuf};

use super::callers::Callers;
use crate::support::{Connection, Reply, Upstream};

pub(super) enum Door {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

pub(super) struct Table<'a> {
    upstream: &'a Upstream,
    callers: &'a Callers,
    /// The first 401 of each place: all others there must look like it.
    refusals: RefCell<BTreeMap<String, String>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(upstream: &'a Upstream, callers: &'a Callers) -> Self {
        Self {
            upstream,
            callers,
            refusals: RefCell::default(),
        }
    }

    /// Makes every row's call, then fails with all the rows that came out otherwise.
    pub(super) fn check(&self, door: &Door, rows: &str) {
        let mut section = "";
        let mut wrong = Vec::new();
        for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
            if let Some(title) = row.strip_prefix('#') {
                section = title.trim();
            } else if let Err(why) = self.row(door, row) {
                wrong.push(format!("{section}\n  {row}\n  {why}"));
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    /// No token, and nothing that only gates understand, ever came through.
    pub(super) fn saw_no_secret(&self) {
        let everything = self.upstream.everything();
        for (name, token) in self.callers {
            assert!(
                token == "intercepted" || !everything.contains(token.as_str()),
                "the upstream saw `{name}`"
            );
        }
        assert!(!everything.to_ascii_lowercase().contains("x-gate-"));
    }

    fn row(&self, door: &Door, row: &str) -> Result<(), String> {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [who, line, headers, want] = cells[..] else {
            panic!("this is no row: {row}");
        };
        let before = self.upstream.seen().len();
        let reply = self.call(door, who, line, headers);
        let seen = self.upstream.seen().len() - before;
        let passed = reply.header("x-gate-source").as_deref() == Some("upstream");
        if passed != (want == "200") || seen != usize::from(passed) {
            return Err(format!(
                "came out as {} and the upstream saw {seen} calls",
                reply.status
            ));
        }
        let mut words = want.split(' ');
        let status: u16 = words.next().unwrap().parse().unwrap();
        let kind = reply.header("x-gate-error").unwrap_or_default();
        let ordinary = match status {
            400 => "INVALID_REQUEST",
            401 => "UNAUTHORIZED",
            403 => "FORBIDDEN",
            404 => "ROLLOUT_NOT_FOUND",
            409 => "ROLLOUT_CONCLUDED",
            413 => "BODY_TOO_LARGE",
            429 => "RATE_LIMIT",
            503 => "SERVICE_UNAVAILABLE",
            _ => "",
        };
        let want_kind = words
            .next()
            .map_or(ordinary, |word| word.trim_start_matches("gate"));
        if (reply.status, kind.as_str()) != (status, want_kind) {
            return Err(format!("came out as {} {kind}", reply.status));
        }
        if status == 401 {
            return self.looks_alike(line, &reply);
        }
        Ok(())
    }

    fn call(&self, door: &Door, who: &str, line: &str, headers: &str) -> Reply {
        let (line, headers) = (self.filled(line), self.filled(headers));
        let (method, path) = line.split_once(' ').unwrap();
        let bearer = self.filled(&format!("Bearer {{{who}}}"));
        let given = headers.split(';').filter_map(|one| one.split_once(':'));
        let mut all: Vec<(&str, &str)> = given.map(|(n, v)| (n.trim(), v.trim())).collect();
        if who != "-" {
            all.push(("authorization", &bearer));
        }
        let body = if method == "GET" { "" } else { "{}" };
        let mut connection = match door {
            Door::Tcp(address) => Connection::open(*address),
            Door::Unix(path) => Connection::unix(path),
        };
        connection.call(method, path, &all, body)
    }

    fn filled(&self, text: &str) -> String {
        self.callers
            .iter()
            .fold(text.to_owned(), |text, (name, token)| {
                text.replace(&format!("{{{name}}}"), token)
            })
    }

    /// A refusal must not tell which check failed.
    fn looks_alike(&self, line: &str, reply: &Reply) -> Result<(), String> {
        let path = line.split(' ').nth(1).unwrap();
        // The words of `session` follow the path, those of all others the route.
        let place = match path.split('/').nth(1).unwrap() {
            "session" => path,
            "v1" if path.starts_with("/v1/messages") => "/v1/messages",
            first => first,
        };
        let mut refusals = self.refusals.borrow_mut();
        let first = refusals
            .entry(place.to_owned())
            .or_insert_with(|| reply.text().to_owned());
        if first == reply.text() {
            Ok(())
        } else {
            Err(format!("says {}, others there {first}", reply.text()))
        }
    }
}
