//! The sandbox with a million memberships: 10,000 channels of 100 members each, of 100,000 users.
//!
//! The release binary starts with the account's file; clients on this machine add memberships and list
//! them over HTTP. Server and clients share the machine's cores. The figures are printed beside their
//! limits, not asserted; a call that is not answered as it should be ends the benchmark.
//!
//! `cargo bench --bench sandbox` takes some minutes; `ROLLBOOK_BENCH_CHANNELS=1000` makes it smaller.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rollbook::sandbox::{Account, NewCategory, Options, Sandbox};
use serde_json::{Value, json};

mod measure;

use measure::{median, peak_of};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ROUNDS: usize = 3;
const MEMBERS: usize = 100;
const USERS_PER_CHANNEL: usize = 10;
const CONNECTIONS: [usize; 3] = [1, 2, 4];
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Calls of one multirequest.
const BATCH: usize = 50;

/// Multirequests of a round, over all connections.
const REQUESTS: usize = 240;

/// Pages of a round, over all connections.
const PAGES: usize = 400;

/// Rows of a page.
const ROWS: usize = 500;

/// Channels of a list: as many as fill what one filter can reach, 10,000 rows.
const CHANNELS_PER_LIST: usize = 100;

/// What was promised.
const START: Duration = Duration::from_secs(10);
const PEAK_MIB: u64 = 1024;
const ADDS_PER_SECOND: f64 = 3000.0;

fn main() -> Result<()> {
    let channels =
        std::env::var("ROLLBOOK_BENCH_CHANNELS").map_or(Ok(10_000), |text| text.parse())?;
    let account = Made {
        channels,
        users: channels * USERS_PER_CHANNEL,
        ids: Vec::new(),
    };
    let cores = thread::available_parallelism()?;
    println!(
        "{} channels, {} users, {} memberships; {cores} cores for server and clients together; median of {ROUNDS}\n",
        account.channels,
        account.users,
        account.channels * MEMBERS
    );
    println!("  {:54} {:>12}  limit", "", "measured");
    in_memory(account.clone())?;
    with_file(account)
}

/// The account that is made: its size, and the numbers its channels have.
#[derive(Debug, Clone)]
struct Made {
    channels: usize,
    users: usize,
    ids: Vec<i64>,
}

impl Made {
    /// A user for a channel; no two of its first 200 are the same. The first 100 are members.
    fn user(&self, channel: usize, place: usize) -> String {
        let mut random = fastrand::Rng::with_seed(channel as u64);
        let first = random.usize(..self.users);
        let stride = random.usize(1..=(self.users / (2 * MEMBERS)).max(1));
        format!("user{}", (first + place * stride) % self.users)
    }

    fn fill(&mut self, account: &Account) {
        account.in_one_go(|account| {
            for user in 0..self.users {
                let mail = format!("user{user}@example.edu");
                account.add_user(&format!("user{user}"), Some(&mail));
            }
            for channel in 0..self.channels {
                let id = account.add_category(&NewCategory {
                    path: format!("MediaSpace>site>channels>Course {channel}"),
                    reference_id: Some(format!("course-{channel}")),
                    ..NewCategory::default()
                });
                for place in 0..MEMBERS {
                    account.set_membership(id, &self.user(channel, place), 3, 1, 1);
                }
                self.ids.push(id);
            }
        });
    }
}

/// Adds to an account that no file keeps. The server is in this process: the binary of an account
/// without a file starts empty.
fn in_memory(mut made: Made) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let options = Options {
        admin_secret: Some(SECRET.to_owned()),
        ..Options::default()
    };
    let sandbox = runtime.block_on(Sandbox::start(options))?;
    made.fill(&sandbox.account());
    let address = sandbox.url().trim_start_matches("http://").to_owned();
    adding(&made, &address, "in memory")?;
    runtime.block_on(sandbox.stop());
    Ok(())
}

/// The real binary with the account's file.
fn with_file(mut made: Made) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("account.db");
    let runtime = tokio::runtime::Runtime::new()?;
    let options = Options {
        admin_secret: Some(SECRET.to_owned()),
        data: Some(file.clone()),
        ..Options::default()
    };
    let sandbox = runtime.block_on(Sandbox::start(options))?;
    made.fill(&sandbox.account());
    runtime.block_on(sandbox.stop());
    let size = std::fs::metadata(&file)?.len() >> 20;

    let mut starts = Vec::new();
    for _ in 1..ROUNDS {
        starts.push(Program::start(&file)?.took);
    }
    let program = Program::start(&file)?;
    starts.push(program.took);
    let took = median(starts);
    let limit = format!("under {} s", START.as_secs());
    let what = format!("start with a file of {size} MiB, until the first answer");
    let seconds = format!("{:.2} s", took.as_secs_f64());
    line(&what, &seconds, &limit, took < START);
    program.print_peak("peak memory by then");

    let address = &program.address;
    for connections in CONNECTIONS {
        let per_second = rate(connections, |round, at| list(&made, address, round, at))?;
        let what = format!("categoryUser.list, pages of {ROWS}, {connections} connections");
        line(&what, &format!("{per_second:.0}/s"), "", true);
    }
    adding(&made, address, "with a file")?;
    program.print_peak("peak memory after all that");
    Ok(())
}

fn adding(made: &Made, address: &str, how: &str) -> Result<()> {
    for (case, connections) in CONNECTIONS.into_iter().enumerate() {
        let per_second = rate(connections, |round, at| {
            // Each case has channels of its own, so that nobody is added twice.
            add(made, address, case * ROUNDS + round, at)
        })?;
        let what = format!("categoryUser.add {how}, {BATCH} a request, {connections} connections");
        let limit = format!("{ADDS_PER_SECOND:.0}/s");
        let per_second = per_second.round();
        line(
            &what,
            &format!("{per_second}/s"),
            &limit,
            per_second >= ADDS_PER_SECOND,
        );
    }
    Ok(())
}

fn line(what: &str, measured: &str, limit: &str, is_kept: bool) {
    let verdict = if is_kept { "" } else { "  MISSED" };
    println!("  {what:54} {measured:>12}  {limit}{verdict}");
}

/// What one client of a round sends and how often that counts; it is made before the time begins.
struct Load {
    connection: Connection,
    bodies: Vec<String>,
    counts: usize,
    is_right: fn(&str) -> bool,
}

/// Which of how many clients one is.
#[derive(Debug, Clone, Copy)]
struct Nth {
    client: usize,
    of: usize,
}

/// How often a second something is done by so many clients at a time: the middle one of some rounds.
fn rate(connections: usize, load: impl Fn(usize, Nth) -> Result<Load>) -> Result<f64> {
    let mut times = Vec::new();
    let mut count = 0;
    for round in 0..ROUNDS {
        let loads = (0..connections)
            .map(|client| {
                let of = connections;
                load(round, Nth { client, of })
            })
            .collect::<Result<Vec<Load>>>()?;
        count = loads.iter().map(|it| it.bodies.len() * it.counts).sum();
        let ready = Barrier::new(connections + 1);
        let time = thread::scope(|scope| {
            let clients: Vec<_> = loads
                .into_iter()
                .map(|load| scope.spawn(|| load.send(&ready)))
                .collect();
            ready.wait();
            let begin = Instant::now();
            for client in clients {
                client.join().map_err(|_| "a client has panicked")??;
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(begin.elapsed())
        })?;
        times.push(time);
    }
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    Ok(count as f64 / median(times).as_secs_f64())
}

impl Load {
    fn send(mut self, ready: &Barrier) -> Result<()> {
        ready.wait();
        for body in &self.bodies {
            let answer = self.connection.ask(body)?;
            if !(self.is_right)(&answer) {
                let start: String = answer.chars().take(500).collect();
                return Err(format!("not as it should be: {start}").into());
            }
        }
        Ok(())
    }
}

/// Adds people who are in no channel of the round yet.
fn add(made: &Made, address: &str, round: usize, at: Nth) -> Result<Load> {
    let mut connection = Connection::open(address)?;
    let ks = connection.session()?;
    let requests = (0..REQUESTS).filter(|request| request % at.of == at.client);
    let bodies = requests.map(|request| {
        // Two requests fill a channel.
        let request = round * REQUESTS + request;
        let channel = (request / 2) % made.channels;
        let first = MEMBERS + (request % 2) * BATCH;
        let mut body = json!({"service": "multirequest", "format": 1, "ks": ks});
        for place in 0..BATCH {
            body[(place + 1).to_string()] = json!({
                "service": "categoryUser", "action": "add",
                "categoryUser": {
                    "objectType": "KalturaCategoryUser", "categoryId": made.ids[channel],
                    "userId": made.user(channel, first + place),
                    "permissionLevel": 3, "updateMethod": 1,
                },
            });
        }
        body.to_string()
    });
    let bodies = bodies.collect();
    Ok(Load {
        connection,
        bodies,
        counts: BATCH,
        is_right: |answer| answer.matches("\"KalturaCategoryUser\"").count() == BATCH,
    })
}

/// Lists the members of channels to whom nobody is added.
fn list(made: &Made, address: &str, round: usize, at: Nth) -> Result<Load> {
    let mut connection = Connection::open(address)?;
    let ks = connection.session()?;
    let pages_per_list = CHANNELS_PER_LIST * MEMBERS / ROWS;
    let pages = (0..PAGES).filter(|page| page % at.of == at.client);
    let bodies = pages.map(|page| {
        let first = (round * PAGES + page) / pages_per_list * CHANNELS_PER_LIST;
        let ids: Vec<String> = (first..first + CHANNELS_PER_LIST)
            .map(|channel| made.ids[channel % made.channels].to_string())
            .collect();
        json!({
            "service": "categoryUser", "action": "list", "format": 1, "ks": ks,
            "filter": {"objectType": "KalturaCategoryUserFilter", "categoryIdIn": ids.join(",")},
            "pager": {"objectType": "KalturaFilterPager", "pageSize": ROWS, "pageIndex": page % pages_per_list + 1},
        })
        .to_string()
    });
    let bodies = bodies.collect();
    Ok(Load {
        connection,
        bodies,
        counts: 1,
        is_right: |answer| answer.matches("\"KalturaCategoryUser\"").count() == ROWS,
    })
}

/// The real binary, until it is dropped.
struct Program {
    child: Child,
    address: String,
    took: Duration,
}

impl Program {
    /// Starts it, and waits for its first answer.
    fn start(file: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let begin = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_rollbook"))
            .args(["sandbox", "--listen", &address, "--data"])
            .arg(file)
            .env_remove("ROLLBOOK_CONFIG")
            .stdout(Stdio::null())
            .spawn()?;
        let mut program = Self {
            child,
            address,
            took: Duration::ZERO,
        };
        let ping = json!({"service": "system", "action": "ping", "format": 1}).to_string();
        loop {
            let answer = Connection::open(&program.address).and_then(|mut it| it.ask(&ping));
            match answer {
                Ok(answer) if answer == "true" => break,
                Ok(answer) => return Err(format!("ping: {answer}").into()),
                Err(_) if program.child.try_wait()?.is_none() => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(error),
            }
        }
        program.took = begin.elapsed();
        Ok(program)
    }

    fn print_peak(&self, what: &str) {
        let peak = peak_of(self.child.id()).unwrap_or(0);
        let limit = format!("under {PEAK_MIB} MiB");
        line(what, &format!("{peak} MiB"), &limit, peak < PEAK_MIB);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A client that does as little as it can: the server is what is measured.
struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            address: address.to_owned(),
        })
    }

    fn session(&mut self) -> Result<String> {
        let start = json!({
            "service": "session", "action": "start", "format": 1, "secret": SECRET,
            "userId": "bench", "type": 2, "partnerId": 101, "privileges": "disableentitlement",
        });
        let ks: Value = serde_json::from_str(&self.ask(&start.to_string())?)?;
        Ok(ks.as_str().ok_or("no session")?.to_owned())
    }

    /// Sends a body of JSON and answers the body that comes back.
    fn ask(&mut self, body: &str) -> Result<String> {
        let mut request = String::with_capacity(body.len() + 200);
        write!(
            request,
            "POST /api_v3/index.php HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err("the connection has ended".into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(String::from_utf8(answer)?)
    }
}
