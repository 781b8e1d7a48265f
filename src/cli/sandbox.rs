//! `rollbook sandbox`: a sandbox account as a server.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use crate::sandbox::{Account, CHANNELS, FaultRule, Limits, NewCategory, Options, Sandbox, seed};
use crate::source::ldif::exported_groups;
use crate::terminal;

/// What `--help` ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  rollbook sandbox --seed small
      a handful of channels; open http://127.0.0.1:8080/ to watch and to act by hand
  rollbook sandbox --seed export.ldif
      a channel for each group of your own directory's export
  rollbook sandbox --channel \"BIO-101=Biology 101\" --data account.db
      one channel, in an account that is still there tomorrow
  rollbook sandbox --seed university --fault \"latency=50ms..200ms\" \\
      --fault \"categoryUser.add: error=LOCK_TIMED_OUT rate=2%\" --fault \"expire-session after=100 calls\"
      a bad day, the same one each time

Fault rules: [CALLS:] FAULT [next=N] [after=N] [every=N] [rate=P%] [for=TIME], where CALLS is an action
(categoryUser.add), a service (categoryUser.*) or multirequest, and FAULT one of
  latency=TIME[..TIME]  error=CODE  status=NUMBER  empty  cut-before  cut-after  timeout-before=TIME
  timeout-after=TIME  expire-session  index-lag=TIME  short-pages lose=N  short-answers keep=N
  categories-locked  bulk-job=fail|abort|stick|log-lacks|log-adds-cell|log-repeats [rows=N]

Scripts find all that the page shows and does at /sandbox, as JSON.";

/// Serves a made-up Kaltura account that answers as the real server does, to try a configuration
/// against. Prints the [kaltura] section to use. Its page shows what happens and lets you act by hand.
/// Ends with Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen; with the default only this machine is reached.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Keep the account in this file; without one it ends with the server.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// What a new account holds: `small`, `university` (3,000 channels), or an LDIF file, for whose
    /// every group a channel is made (reference ID: the group's cn; name: its description).
    #[arg(long, value_name = "small|university|FILE")]
    seed: Option<String>,
    /// A channel to make, as REFERENCE=NAME; may be given several times.
    #[arg(long, value_name = "REFERENCE=NAME")]
    channel: Vec<String>,
    /// The account's number. Default: 101.
    #[arg(long, value_name = "NUMBER")]
    partner_id: Option<i64>,
    /// The secret that makes and verifies sessions, or @FILE that holds it. Default: made from
    /// --random-seed.
    #[arg(
        long,
        value_name = "SECRET|@FILE",
        env = "ROLLBOOK_SANDBOX_ADMIN_SECRET",
        hide_env_values = true
    )]
    admin_secret: Option<String>,
    /// The secret that starts user sessions, or @FILE that holds it. Default: made from --random-seed.
    #[arg(
        long,
        value_name = "SECRET|@FILE",
        env = "ROLLBOOK_SANDBOX_USER_SECRET",
        hide_env_values = true
    )]
    user_secret: Option<String>,
    /// An account without `FEATURE_ENTITLEMENT`, in which nothing is ever enforced.
    #[arg(long)]
    no_entitlement: bool,
    /// How long background work waits, such as 250ms; with `never`, until it is asked for.
    #[arg(long, value_name = "TIME|never", default_value = "250ms", value_parser = delay)]
    job_delay: Delay,
    /// Active members of a channel at most, its owner counted. Default: 5000.
    #[arg(long, value_name = "NUMBER")]
    max_members: Option<i64>,
    /// Something that goes wrong on purpose; may be given several times. See below.
    #[arg(long, value_name = "RULE")]
    fault: Vec<FaultRule>,
    /// Where secrets, tokens and the chance of faults come from: the same number gives the same ones.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    random_seed: u64,
}

/// How long background work waits; for ever without a time.
#[derive(Debug, Clone, Copy)]
struct Delay(Option<Duration>);

fn delay(text: &str) -> Result<Delay, String> {
    if text == "never" {
        return Ok(Delay(None));
    }
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|time| Duration::try_from(time).ok())
        .map(|time| Delay(Some(time)))
        .ok_or_else(|| "a time such as 250ms or 5s is wanted, or never".to_owned())
}

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let default = Options::default();
    let mut limits = Limits::default();
    if let Some(most) = arguments.max_members {
        limits.users_per_category = most;
    }
    // Before the port is open: whoever is told to stop while it starts must stop.
    let mut terminated = signal(SignalKind::terminate())?;
    let sandbox = Sandbox::start(Options {
        listen: arguments.listen,
        partner_id: arguments.partner_id.unwrap_or(default.partner_id),
        admin_secret: secret(arguments.admin_secret.as_deref())?,
        user_secret: secret(arguments.user_secret.as_deref())?,
        entitlement: !arguments.no_entitlement,
        limits,
        seed: arguments.random_seed,
        job_delay: arguments.job_delay.0,
        data: arguments.data.clone(),
        ..default
    })
    .await?;
    let account = sandbox.account();
    fill(&account, arguments)?;
    for rule in &arguments.fault {
        account.faults().add(rule.clone());
    }
    welcome(&sandbox, arguments, &mut terminal::stdout())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    sandbox.stop().await;
    // Whoever has closed the pipe does not want to read this.
    _ = farewell(&account, &mut terminal::stdout());
    Ok(Exit::Done)
}

/// Makes what the account is to hold. An account from a file is only seeded while it has no channels.
fn fill(account: &Account, arguments: &Arguments) -> anyhow::Result<()> {
    let is_new = account.overview().categories == 0;
    match arguments.seed.as_deref().filter(|_| is_new) {
        None => {}
        Some("small") => account.in_one_go(seed::small),
        Some("university") => account.in_one_go(seed::university),
        Some(path) => {
            let groups = exported_groups(Path::new(path)).with_context(|| {
                format!("--seed {path}: `small`, `university` or an LDIF file is wanted")
            })?;
            if groups.is_empty() {
                bail!("--seed {path}: there is no group in this file");
            }
            account.in_one_go(|account| {
                seed::groups(
                    account,
                    groups.into_iter().map(|group| (group.id, group.name)),
                );
            });
        }
    }
    for channel in &arguments.channel {
        let (reference, name) = channel.split_once('=').unwrap_or((channel, channel));
        account.add_category(&NewCategory {
            path: format!("{CHANNELS}>{name}"),
            reference_id: Some(reference.to_owned()),
            ..NewCategory::default()
        });
    }
    Ok(())
}

/// A secret, or the text of the file behind an `@`.
fn secret(given: Option<&str>) -> anyhow::Result<Option<String>> {
    let Some(given) = given else { return Ok(None) };
    let secret = match given.strip_prefix('@') {
        None => given.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("the secret's file {path} cannot be read"))?
            .trim_end_matches(['\n', '\r'])
            .to_owned(),
    };
    if secret.is_empty() {
        bail!("a secret cannot be empty");
    }
    Ok(Some(secret))
}

/// Says what is served and how to use it. All of it is TOML, so that it can go into a file as it is.
fn welcome(sandbox: &Sandbox, arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let account = sandbox.account();
    let overview = account.overview();
    let secret = sandbox.admin_secret();
    let url = reachable(sandbox.url(), arguments.listen.ip());
    writeln!(
        out,
        "# A sandbox account is served until Ctrl-C. Watch it, and act by hand: {url}/"
    )?;
    writeln!(out, "#   partner ID    {}", overview.partner_id)?;
    writeln!(out, "#   admin secret  {secret}")?;
    writeln!(out, "#   user secret   {}", sandbox.user_secret())?;
    let channels = account.channels(&crate::sandbox::Look::default()).total;
    writeln!(
        out,
        "#   it holds      {channels} channels, {} users",
        overview.users
    )?;
    for fault in account.faults().rules() {
        writeln!(out, "#   fault         {}", fault.line)?;
    }
    if !arguments.listen.ip().is_loopback() {
        writeln!(
            out,
            "#   attention     whoever reaches {} can act on it: it asks nobody for a password",
            arguments.listen
        )?;
    }
    writeln!(out, "# Put the admin secret where only you can read it:")?;
    writeln!(
        out,
        "#   install -m 600 /dev/null sandbox.secret && echo {secret} > sandbox.secret"
    )?;
    writeln!(out, "[kaltura]")?;
    writeln!(out, "url = \"{url}\"")?;
    writeln!(out, "partner_id = {}", overview.partner_id)?;
    writeln!(out, "admin_secret = {{ file = \"sandbox.secret\" }}")?;
    writeln!(out, "root = \"{CHANNELS}\"")?;
    out.flush()
}

/// The address a client on this machine uses.
fn reachable(url: &str, listen: IpAddr) -> String {
    match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => url.replace("0.0.0.0", "127.0.0.1"),
        IpAddr::V6(ip) if ip.is_unspecified() => url.replace("[::]", "[::1]"),
        _ => url.to_owned(),
    }
}

/// Says what was served.
fn farewell(account: &Account, out: &mut impl Write) -> io::Result<()> {
    let calls: u64 = account.calls().by_action().values().sum();
    let requests = account.calls().requests();
    let injected = account.faults().injected();
    let struck: u64 = injected.values().sum();
    writeln!(
        out,
        "# Served {calls} calls in {requests} requests; {struck} faults struck."
    )?;
    for (line, struck) in injected {
        writeln!(out, "#   {struck} × {line}")?;
    }
    out.flush()
}
