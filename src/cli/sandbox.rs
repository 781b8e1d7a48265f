//! `rollbook sandbox`: a sandbox account as a server.

use std::io::Write;
use std::net::SocketAddr;

use super::Exit;
use crate::sandbox::{NewCategory, Options, Sandbox};

/// Serves a made-up Kaltura account that answers as the real server does, in memory, to try a
/// configuration against. Prints the [kaltura] section to use. Ends with Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen; only this machine is reached.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A channel to make, as REFERENCE=NAME; may be given several times.
    #[arg(long, value_name = "REFERENCE=NAME")]
    channel: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let sandbox = Sandbox::start(Options {
        listen: arguments.listen,
        ..Options::default()
    })
    .await?;
    for channel in &arguments.channel {
        let (reference, name) = channel.split_once('=').unwrap_or((channel, channel));
        sandbox.account().add_category(&NewCategory {
            path: format!("MediaSpace>site>channels>{name}"),
            reference_id: Some(reference.to_owned()),
            ..NewCategory::default()
        });
    }
    writeln!(
        std::io::stdout(),
        "# A sandbox account is served until Ctrl-C. Put its secret where only you can read it:
#   install -m 600 /dev/null sandbox.secret && echo {} > sandbox.secret
[kaltura]
url = \"{}\"
partner_id = {}
admin_secret = {{ file = \"sandbox.secret\" }}
root = \"MediaSpace>site>channels\"",
        sandbox.admin_secret(),
        sandbox.url(),
        sandbox.partner_id(),
    )?;
    tokio::signal::ctrl_c().await?;
    sandbox.stop().await;
    Ok(Exit::Done)
}
