//! `gatectl`, the operator's side of the admin API; everything is in `gate_userspace::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gate_userspace::cli::run(std::env::args_os().collect()).into()
}
