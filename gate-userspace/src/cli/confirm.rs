//! Proof that somebody meant it: destructive commands take a [`Confirmed`], which only `--yes` or an
//! answered prompt can make.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::{fault::Fault, say};

/// Somebody said yes. The private unit keeps other modules from forging it.
#[derive(Debug)]
pub(super) struct Confirmed(());

/// Asks on the terminal unless `--yes` was given; without a terminal there is nobody to ask.
///
/// `what` says what is about to be done and `effect` what that ends, as in "revoking client `x`"
/// "ends its tokens".
pub(super) fn confirm(
    yes: bool,
    what: &str,
    effect: &str,
    command: &str,
) -> Result<Confirmed, Fault> {
    if yes {
        return Ok(Confirmed(()));
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() || !io::stderr().is_terminal() {
        return Err(
            Fault::usage(format!("{what} takes a confirmation: it {effect}"))
                .hint(format!("say it on the command line: `{command} --yes`")),
        );
    }
    say::ask(&format!("{what} {effect}. Go on? [y/N] "));
    let mut line = String::new();
    stdin
        .lock()
        .read_line(&mut line)
        .map_err(|cause| Fault::refused("cannot read the confirmation").because(cause))?;
    if matches!(line.trim(), "y" | "Y" | "yes") {
        Ok(Confirmed(()))
    } else {
        Err(Fault::refused("not confirmed, nothing was changed"))
    }
}
