//! Arguments → command → exit code.

use std::process::ExitCode;

use clap::Parser;
use psiren::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
