//! `gated`, the daemon behind the gated port; everything is in `gate_userspace`.

use std::process::ExitCode;

use clap::Parser;
use gate_userspace::{
    app::{self, StartError},
    cli,
    config::{self, Config, EXIT_REFUSED, Flags},
    telemetry,
};

fn main() -> ExitCode {
    match start(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&error, &error.hint());
            EXIT_REFUSED.into()
        }
    }
}

fn start(flags: &Flags) -> Result<(), StartError> {
    let closed = app::private::close();
    let config = config::load(flags)?;
    if flags.print_config {
        return show(&config.shown.to_string());
    }
    if flags.check {
        return show(&report(&config)?);
    }
    telemetry::start(config.log);
    if let Err(cause) = closed {
        tracing::warn!(%cause, "core dumps and /proc of this process stay open to its user");
    }
    app::run(flags, config)
}

fn report(config: &Config) -> Result<String, StartError> {
    let plan = app::plan(&config.settings)?;
    Ok(plan.report(&config.settings, &config.store))
}

fn show(text: &str) -> Result<(), StartError> {
    cli::document(text).map_err(StartError::Output)
}
