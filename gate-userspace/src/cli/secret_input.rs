//! Reads a secret from where nobody else can see it: a pipe, a terminal without echo, or a named
//! environment variable.
//!
//! Threat: what stands in argv is readable by every user through `/proc`, and stays in the shell's
//! history. So there is no flag that takes a secret, only flags that say where it comes from. The
//! text is wiped on drop and never repeated in an error.

mod hidden;

use std::{
    env::VarError,
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    path::Path,
};

use serde_json::Value;
use zeroize::Zeroizing;

use hidden::Hidden;

use super::{fault::Fault, say};
use crate::admin::wire::Secret;

/// More than any key or list of keys; guards against a wrong pipe.
const LONGEST: u64 = 64 * 1024 * 1024;

/// One secret from stdin: what is piped, or one line typed without echo.
pub(super) fn from_stdin(what: &str) -> Result<Secret, Fault> {
    one_line(text_from_stdin(what)?, what)
}

/// As [`from_stdin`], of any number of lines.
pub(super) fn text_from_stdin(what: &str) -> Result<Secret, Fault> {
    let stdin = io::stdin();
    let text = if stdin.is_terminal() {
        // Hidden before it is asked for: what is typed early must not show either.
        let hidden = Hidden::start(&stdin)?;
        say::ask(&format!("{what}: "));
        let line = hidden.read_line();
        drop(hidden);
        say::end_line();
        line?
    } else {
        read_all()?
    };
    present(&text, what, "stdin")
}

/// One secret from the environment variable of that name.
pub(super) fn from_env(what: &str, name: &str) -> Result<Secret, Fault> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the operator named this variable on the command line; it is no setting"
    )]
    let text = std::env::var(name).map_err(|cause| {
        // The error's own words quote a value that is not text.
        let why = match cause {
            VarError::NotPresent => "is not set",
            VarError::NotUnicode(_) => "is not text",
        };
        Fault::refused(format!("{what} cannot be had: ${name} {why}"))
            .hint(format!("set it first: `read -rs {name} && export {name}`"))
    })?;
    let text = present(&Zeroizing::new(text), what, &format!("${name}"))?;
    one_line(text, what)
}

/// A JSON document with secrets in it, from stdin.
pub(super) fn json_from_stdin(what: &str) -> Result<Value, Fault> {
    json_from(&read_all()?, what, "stdin")
}

/// The text of a file, or of stdin for `-`.
pub(super) fn text_of(file: &Path, what: &str) -> Result<Secret, Fault> {
    let place = place(file);
    let text = if file == Path::new("-") {
        read_all()?
    } else {
        let opened = File::open(file)
            .map_err(|cause| Fault::refused(format!("cannot read {place}")).because(cause))?;
        read_from(opened, &place)?
    };
    present(&text, what, &place)
}

/// What a file is called in words.
pub(super) fn place(file: &Path) -> String {
    if file == Path::new("-") {
        "stdin".to_owned()
    } else {
        file.display().to_string()
    }
}

/// A JSON document with secrets in it.
pub(super) fn json_from(text: &str, what: &str, place: &str) -> Result<Value, Fault> {
    let text = present(text, what, place)?;
    serde_json::from_str(text.reveal()).map_err(|cause| not_json(&cause, what, place))
}

/// One JSON document after the other, as in a file with one a line.
pub(super) fn documents(text: &Secret, what: &str, place: &str) -> Result<Vec<Value>, Fault> {
    let documents = serde_json::Deserializer::from_str(text.reveal()).into_iter();
    let documents: Result<_, _> = documents.collect();
    documents.map_err(|cause| not_json(&cause, what, place))
}

/// The parser's own words could quote the document.
fn not_json(cause: &serde_json::Error, what: &str, place: &str) -> Fault {
    let (line, column) = (cause.line(), cause.column());
    Fault::refused(format!(
        "{what} from {place} is not JSON at line {line} column {column}"
    ))
}

/// The trimmed text, if any is left: an empty secret is a mistake, never "no secret".
fn present(text: &str, what: &str, place: &str) -> Result<Secret, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::refused(format!("{what} from {place} is empty"))
            .hint("nothing was changed; pipe it in: `pass show provider/key | gatectl ...`"));
    }
    Ok(Secret::new(text.to_owned()))
}

/// A secret that stands in a header has no line ends or other control characters in it.
fn one_line(secret: Secret, what: &str) -> Result<Secret, Fault> {
    if secret.reveal().chars().any(char::is_control) {
        return Err(Fault::refused(format!(
            "{what} has more than one line or a control character"
        ))
        .hint("nothing was changed; pipe in the secret alone"));
    }
    Ok(secret)
}

fn read_all() -> Result<Zeroizing<String>, Fault> {
    read_from(io::stdin().lock(), "stdin")
}

/// The whole text; a longer one is refused, not cut.
fn read_from(from: impl io::Read, place: &str) -> Result<Zeroizing<String>, Fault> {
    let mut text = Zeroizing::new(String::new());
    let length = from
        .take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(|cause| Fault::refused(format!("cannot read {place}")).because(cause))?;
    if u64::try_from(length).is_ok_and(|length| length <= LONGEST) {
        Ok(text)
    } else {
        Err(Fault::refused(format!("{place} holds more than 64 MiB")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acceptance 119.
    #[test]
    fn an_empty_secret_is_refused_and_never_repeated() {
        for text in ["", "  \n", "\t"] {
            assert!(present(text, "the key", "stdin").is_err(), "{text:?}");
        }
        assert_eq!(present(" k \n", "the key", "stdin").unwrap().reveal(), "k");
    }

    #[test]
    fn a_secret_is_one_line() {
        assert!(one_line(Secret::new("sk-1".into()), "the key").is_ok());
        for text in ["a\nb", "a\u{1b}b", "a\0b"] {
            let fault = one_line(Secret::new(text.into()), "the key").unwrap_err();
            assert!(!fault.to_string().contains(text), "{fault}");
        }
    }
}
