//! The `rollbook` command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    rollbook::cli::main().await
}
