//! Bounds on what callers may use up, and what is logged.

use std::{io::IsTerminal, time::Duration};

use super::{Log, LogFormat, Origin::File, Refused, Shown, raw, value};
use crate::settings::{FailedAuth, Limits};

pub(super) fn limits(file: &raw::RawLimits, shown: &mut Shown) -> Result<Limits, Refused> {
    shown.section("[limits]");
    let mut duration = |key: &'static str, given: &Option<String>, default: &str| {
        let text = shown.pick(key, [(given.clone(), File)], default.to_owned());
        value::duration(key, &text)
    };
    let head_timeout: Duration = duration("head_timeout", &file.head_timeout, "10s")?;
    let body_idle = duration("body_idle", &file.body_idle, "60s")?;
    let drain = duration("drain", &file.drain, "10m")?;
    let head_size = shown.pick(
        "head_size",
        [(file.head_size.clone(), File)],
        "64KiB".to_owned(),
    );
    let head_size = usize::try_from(value::size("limits.head_size", &head_size)?)
        .map_err(|_why| value::refused("limits.head_size", &head_size, "a size such as 64KiB"))?;
    let usual = raw::RawFailedAuth {
        count: 20,
        per: "60s".to_owned(),
    };
    let raw = shown.pick("failed_auth", [(file.failed_auth.clone(), File)], usual);
    let failed_auth = FailedAuth {
        count: raw.count,
        per: value::duration("limits.failed_auth.per", &raw.per)?,
    };
    let per_source = [(file.connections_per_source, File)];
    let rps = [(file.requests_per_second, File)];
    Ok(Limits {
        connections: shown.pick("connections", [(file.connections, File)], 20_000),
        connections_per_source: shown.pick("connections_per_source", per_source, 2000),
        head_timeout,
        head_size,
        body_idle,
        requests_per_second: shown.pick("requests_per_second", rps, 0),
        concurrency: shown.pick("concurrency", [(file.concurrency, File)], 0),
        failed_auth,
        drain,
    })
}

pub(super) fn log(file: &raw::RawLog, shown: &mut Shown) -> Result<Log, Refused> {
    shown.section("[log]");
    let level = shown.pick("level", [(file.level.clone(), File)], "info".to_owned());
    let words = "trace, debug, info, warn or error";
    let level = level
        .parse()
        .map_err(|_why| value::refused("log.level", &level, words))?;
    let usual = if std::io::stderr().is_terminal() {
        "text"
    } else {
        "json"
    };
    let format = shown.pick("format", [(file.format.clone(), File)], usual.to_owned());
    let format = match format.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => return Err(value::refused("log.format", &format, "text or json")),
    };
    let access = shown.pick("access", [(file.access, File)], true);
    Ok(Log {
        level,
        format,
        access,
    })
}
