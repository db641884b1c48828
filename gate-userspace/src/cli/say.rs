//! Talk: everything `gatectl` says that is not data goes to standard error here.
//!
//! A failed write is ignored: there is nobody left to tell.

use std::{
    error::Error,
    io::{self, Write as _},
};

use super::{clean::clean, fault::Fault};

/// One remark, such as what is missing from the data on standard output.
pub(super) fn note(text: &str) {
    write_line(&format!("note: {}", clean(text)));
}

/// A question, without a line end.
pub(super) fn ask(text: &str) {
    let mut err = io::stderr().lock();
    let _gone = write!(err, "{}", clean(text)).and_then(|()| err.flush());
}

/// Ends the line on which a hidden answer was typed.
pub(super) fn end_line() {
    write_line("");
}

/// `error: what: cause: cause`, and what to try.
pub(super) fn fault(fault: &Fault) {
    write_line(&complaint(fault));
}

/// As [`fault`], for an error that is not one of ours.
pub(super) fn complain(error: &(dyn Error + 'static), hint: &str) {
    write_line(&told(error, Some(hint)));
}

/// What clap has to say; it is laid out already.
pub(super) fn laid_out(text: &str) {
    let mut err = io::stderr().lock();
    let _gone = write!(err, "{text}").and_then(|()| err.flush());
}

fn complaint(fault: &Fault) -> String {
    told(fault, fault.hint_text())
}

fn told(error: &(dyn Error + 'static), hint: Option<&str>) -> String {
    let mut text = format!("error: {}", clean(&error.to_string()));
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&clean(&error.to_string()));
        cause = error.source();
    }
    if let Some(hint) = hint {
        text.push_str("\n\nhint: ");
        text.push_str(&clean(hint));
    }
    text
}

fn write_line(text: &str) {
    let _gone = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_chain_a_blank_line_and_a_hint() {
        let cause = io::Error::new(
            io::ErrorKind::PermissionDenied,
            "permission\u{1b}[2J denied",
        );
        let fault = Fault::unreachable("cannot reach the gate")
            .because(cause)
            .hint("try `sudo -g gate gatectl status`");
        assert_eq!(
            complaint(&fault),
            "error: cannot reach the gate: permission[2J denied\n\nhint: try `sudo -g gate gatectl status`"
        );
        assert_eq!(complaint(&Fault::refused("no")), "error: no");
    }
}
