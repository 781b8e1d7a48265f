//! Memberships by file: 100,000 actions, from writes to bytes, beside the bare `csv` crate with the same cells.
//!
//! Both make their writes one by one as they go and write to nowhere. What a row must not be is checked, pieces are
//! packed into files, and each file has its heading. The figures are printed, not asserted.
//!
//! Then the whole route, by files and by calls, against a sandbox account.
//!
//! `cargo bench --bench csv` takes a minute or two; `ROLLBOOK_BENCH_ACTIONS=1000000` makes it larger.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use rollbook::category::{CategoryId, PermissionLevel, UpdateMethod, UserId};
use rollbook::kaltura::Write;
use rollbook::kaltura::csv::{Heading, Style};

mod csv_route;
mod measure;

use measure::{median, peak_of};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 9;
const ACTIONS_PER_CATEGORY: usize = 130;

fn main() -> Result<()> {
    let actions =
        std::env::var("ROLLBOOK_BENCH_ACTIONS").map_or(Ok(100_000), |text| text.parse())?;
    // Once each before anything is measured, so that what is loaded only once is.
    bare(1000)?;
    rollbook(1000)?;
    println!("{actions} actions, to nowhere (median of {ROUNDS})\n");
    println!(
        "  {:34} {:>9} {:>12} {:>6} {:>7} {:>19}",
        "", "time", "rows/s", "", "files", "memory, at most"
    );
    let before = peak()?;
    let (bare_time, _) = measure(|| bare(actions))?;
    let after_bare = peak()?;
    line("the csv crate alone", actions, bare_time, bare_time, 1);
    println!("{:>10} MiB more", after_bare - before);
    let (time, files) = measure(|| rollbook(actions))?;
    line("Rollbook", actions, time, bare_time, files);
    println!("{:>10} MiB more", peak()? - after_bare);
    csv_route::run()
}

fn peak() -> Result<u64> {
    peak_of(std::process::id()).ok_or_else(|| "the kernel does not tell the peak".into())
}

fn measure(run: impl Fn() -> Result<usize>) -> Result<(Duration, usize)> {
    let mut times = Vec::new();
    let mut files = 0;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        files = run()?;
        times.push(begin.elapsed());
    }
    Ok((median(times), files))
}

fn line(what: &str, rows: usize, time: Duration, reference: Duration, files: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    let rate = rows as f64 / time.as_secs_f64();
    print!(
        "  {what:34} {:6.1} ms {rate:12.0} {:5.2}× {files:7}",
        time.as_secs_f64() * 1000.0,
        time.as_secs_f64() / reference.as_secs_f64(),
    );
}

/// One write after the other: of seven one is a removal, one a change, one a deactivation.
fn writes(actions: usize) -> impl Iterator<Item = (CategoryId, Write)> {
    (0..actions).map(|number| {
        let category = CategoryId(10_000 + (number / ACTIONS_PER_CATEGORY).cast_signed() as i64);
        let user = UserId::new(format!("user{}@example.edu", number * 7919 % 100_003));
        let method = UpdateMethod::Automatic;
        let write = match number % 7 {
            0 => Write::Remove { category, user },
            1 => Write::SetLevel {
                category,
                user,
                level: PermissionLevel::Moderator,
                method,
                over_manual: false,
                extra_permissions: Vec::new(),
            },
            2 => Write::Deactivate { category, user },
            _ => Write::Add {
                category,
                user,
                level: PermissionLevel::Member,
                method,
            },
        };
        (category, write)
    })
}

fn rollbook(actions: usize) -> Result<usize> {
    let style = Style::default();
    let mut unfit = 0;
    let pieces = writes(actions).filter_map(|(category, write)| {
        let piece = style.piece(std::slice::from_ref(&write), None, category);
        piece.inspect_err(|_| unfit += 1).ok()
    });
    let mut files = 0;
    for file in style.pack(pieces) {
        files += 1;
        let heading = Heading::new([format!("Rollbook run 1; file {files}")]);
        let rows = file.iter().flat_map(|piece| &piece.rows);
        style.write(io::sink(), &heading, rows)?;
    }
    if unfit > 0 {
        return Err(format!("{unfit} writes do not fit a file").into());
    }
    Ok(files)
}

/// The same cells, as somebody would write them who trusts them.
fn bare(actions: usize) -> Result<usize> {
    let mut writer = csv::Writer::from_writer(io::sink());
    writer.write_record([
        "*action",
        "categoryId",
        "userId",
        "permissionLevel",
        "updateMethod",
        "status",
    ])?;
    for (category, write) in writes(actions) {
        let category = category.to_string();
        let (_, user) = write.pair();
        let (action, level, method, status) = match &write {
            Write::Remove { .. } => ("3", "", "", ""),
            Write::SetLevel { .. } => ("2", "1", "1", ""),
            Write::Deactivate { .. } => ("2", "", "1", "3"),
            _ => ("1", "3", "1", ""),
        };
        writer.write_record([action, &category, user.as_str(), level, method, status])?;
    }
    writer.flush()?;
    Ok(black_box(1))
}
