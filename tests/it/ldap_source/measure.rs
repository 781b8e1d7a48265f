//! How long a large directory takes, beside OpenLDAP's own client. Not run by default:
//! `cargo test --release --test it measure -- --ignored --nocapture`.

#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

use std::time::Instant;

use super::*;

const PEOPLE: usize = 100_000;
const GROUPS: usize = 10_000;
const MEMBERS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: a minute, and a gigabyte"]
async fn a_hundred_thousand_people_in_ten_thousand_groups() {
    let mut ldif = slapd::people(PEOPLE);
    for n in 0..GROUPS {
        let members = (0..MEMBERS).map(|m| (n * 37 + m * 991) % PEOPLE);
        ldif += &slapd::group(&format!("g{n}"), members);
    }
    let slapd = Slapd::start(&SlapdOptions {
        ldif,
        ..SlapdOptions::default()
    });
    let source = source(&slapd);
    let mut checkpoint = None;
    for _ in 0..5 {
        let began = Instant::now();
        let people = slapd.ldapsearch(&[
            "-LLL",
            "-E",
            "pr=1000/noprompt",
            "-b",
            "ou=people,dc=example,dc=edu",
            "(objectClass=person)",
            "uid",
            "givenName",
            "sn",
            "mail",
            "entryUUID",
            "entryCSN",
            "modifyTimestamp",
        ]);
        let groups = slapd.ldapsearch(&[
            "-LLL",
            "-E",
            "pr=1000/noprompt",
            "-b",
            "ou=groups,dc=example,dc=edu",
            "(objectClass=groupOfNames)",
            "cn",
            "description",
            "member",
            "entryUUID",
            "entryCSN",
            "modifyTimestamp",
        ]);
        let octets = people.len() + groups.len();
        println!(
            "ldapsearch  {:?} for {octets} octets of LDIF",
            began.elapsed()
        );
        let began = Instant::now();
        let (out, mut incoming) = tokio::sync::mpsc::channel(4);
        let reading = async {
            let read = source.read_all(&out).await;
            drop(out);
            read.unwrap()
        };
        let counting = async {
            let mut members = 0;
            while let Some(batch) = incoming.recv().await {
                for observation in batch {
                    if let Observation::Group(group, _) = observation {
                        members += group.members.len();
                    }
                }
            }
            members
        };
        let before = cpu_time();
        let (read, members) = tokio::join!(reading, counting);
        println!("            {} ms of CPU time", cpu_time() - before);
        println!(
            "read_all    {:?} for {} entries, {members} members",
            began.elapsed(),
            read.entries
        );
        assert_eq!(read.proof, Proof::Complete);
        checkpoint = read.checkpoint;
    }
    let began = Instant::now();
    for n in 0..PEOPLE {
        let name = format!("uid=p{n},ou=people,dc=example,dc=edu");
        std::hint::black_box(rollbook::directory::Dn::parse(&name)).unwrap();
    }
    println!(
        "Dn::parse   {:?} each, with its text",
        began.elapsed() / 100_000
    );
    let mut checkpoint = checkpoint.unwrap();
    for _ in 0..4 {
        let began = Instant::now();
        let (changes, next) = source.changes_since(&checkpoint).await.unwrap();
        let listed = match changes {
            Changes::Entries(moved) => moved.len(),
            other => panic!("{other:?}"),
        };
        println!(
            "changes     {:?} for {listed} entries listed",
            began.elapsed()
        );
        checkpoint = next;
    }
}

/// Milliseconds of CPU time of this process so far, by the kernel's hundredths of a second.
fn cpu_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> = stat
        .split(' ')
        .skip(13)
        .take(2)
        .map(|f| f.parse().unwrap())
        .collect();
    fields.iter().sum::<u64>() * 10
}
