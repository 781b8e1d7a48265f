//! Half an answer is not an answer: whatever goes wrong, nothing is proven by it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::proxy::{self, Fault};
use super::scripted::{self, Scripted, Search};
use super::*;

const PEOPLE: usize = 3_000;

fn large(database: &str) -> Slapd {
    Slapd::start(&SlapdOptions {
        ldif: slapd::people(PEOPLE) + &slapd::group("g", 0..10),
        database: database.to_owned(),
        ..SlapdOptions::default()
    })
}

fn at(url: &str, lines: &str) -> Source {
    source_of(&format!(
        "kind = \"ldap\"\nname = \"campus\"\nurls = [\"{url}\"]\n{lines}\n{SECTIONS}"
    ))
    .unwrap()
}

fn as_reader(slapd: &Slapd, lines: &str) -> Source {
    at(&slapd.url(), &format!("bind_dn = \"{READER}\"\n{lines}"))
}

/// Pitfalls 1 and 7: the library calls a search complete whose server has died.
#[tokio::test]
async fn a_server_that_dies_in_the_middle_proves_nothing() {
    let mut slapd = large("");
    let source = source_with(&slapd, "page_size = 100", SECTIONS);
    let (out, mut incoming) = mpsc::channel(1);
    let reading = async {
        let read = source.read_all(None, &out).await;
        drop(out);
        read
    };
    let dying = async {
        let mut seen = incoming.recv().await.unwrap().len();
        slapd.kill();
        while let Some(batch) = incoming.recv().await {
            seen += batch.len();
        }
        seen
    };
    let (read, seen) = tokio::join!(reading, dying);

    let entries = read.as_ref().unwrap().entries;
    let reason = unproven(read);
    assert!(reason.contains("connection"), "{reason}");
    assert!((500..3_000).contains(&seen), "{seen}");
    assert_eq!(entries, seen as u64, "what was received has been told");
}

/// Pitfall 1, at every place where a connection can break.
#[tokio::test]
async fn a_cut_connection_proves_nothing_wherever_it_is_cut() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(30) + &slapd::group("g", 0..10),
        ..SlapdOptions::default()
    });
    let (mut errors, mut unprovens, mut complete) = (0, 0, 0);
    for after in (1..20_000).step_by(83) {
        let url = proxy::start(slapd.port(), Fault::Cut, after);
        let (read, told) = read_all(&at(&url, "page_size = 7")).await;
        match read {
            Err(_) => errors += 1,
            Ok(read) if read.proof == Proof::Complete => {
                assert_eq!((told.people().len(), told.groups().len()), (30, 1));
                complete += 1;
            }
            Ok(read) => {
                assert_eq!(read.checkpoint, None);
                unprovens += 1;
            }
        }
    }
    assert!(
        errors > 1 && unprovens > 10 && complete > 10,
        "{errors} {unprovens} {complete}"
    );
}

/// Pitfalls 5 and 6: the library waits for ever on a server that has gone silent.
#[tokio::test]
async fn a_stalled_connection_ends_in_time() {
    let slapd = large("");
    let began = Instant::now();
    for (after, can_begin) in [(20, false), (100_000, true)] {
        let url = proxy::start(slapd.port(), Fault::Stall, after);
        let source = at(
            &url,
            "connect_timeout = \"300ms\"\nsearch_timeout = \"300ms\"",
        );
        let (read, _) = read_all(&source).await;
        if can_begin {
            let reason = unproven(read);
            assert!(reason.contains("silent"), "{reason}");
        } else {
            assert!(read.is_err());
        }
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// Pitfall 6: the library forgets a search that timed out, and the server works on.
#[tokio::test]
async fn a_search_that_timed_out_is_abandoned() {
    let server = scripted::start(|search| match search.base.as_str() {
        "" => vec![search.done(0)],
        _ => vec![search.entry("uid=a", &[("uid", &[b"a"])])],
    });
    let (read, _) = read_all(&at(&server.url, "search_timeout = \"200ms\"")).await;
    unproven(read);
    let end = Instant::now() + Duration::from_secs(5);
    while !server.abandoned.load(Ordering::SeqCst) {
        assert!(Instant::now() < end, "no abandon came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Pitfall 4: the library buffers without end what nobody takes; only pages hold a server back.
#[tokio::test]
async fn a_slow_mirror_slows_the_server_down() {
    let server = scripted::start(|search| {
        if search.base.is_empty() {
            return vec![search.done(0)];
        }
        let entries = (0..500).map(|n: u32| {
            let id = format!("{n}");
            search.entry(
                "uid=a",
                &[("entryUUID", &[id.as_bytes()]), ("uid", &[b"a"])],
            )
        });
        entries.chain([search.page(b"more")]).collect()
    });
    let (out, incoming) = mpsc::channel(1);
    let source = at(&server.url, "");
    let reading = tokio::spawn(async move { source.read_all(None, &out).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = server.asked.lock().unwrap().len();
    assert!(asked <= 4, "{asked} searches while nothing was taken");
    drop(incoming);
    assert!(matches!(reading.await.unwrap(), Err(SourceError::Stopped)));
}

type Messages = Box<dyn Iterator<Item = Vec<u8>>>;

#[tokio::test]
async fn a_message_that_claims_two_gigabytes_is_not_listened_to_until_its_end() {
    let server = scripted::start(|search| -> Messages {
        if search.base.is_empty() {
            return Box::new([search.done(0)].into_iter());
        }
        let content = std::iter::repeat_n(vec![0; 1 << 20], 2048);
        Box::new([Search::claim(2 << 30)].into_iter().chain(content))
    });
    let source = at(&server.url, "search_timeout = \"20s\"");
    let read = source.read_all(None, &mpsc::channel(1).0).await;
    let reason = read.unwrap_err().to_string();
    assert!(reason.contains("more than 128 MiB"), "{reason}");
    let sent = server.sent.load(Ordering::SeqCst) >> 20;
    assert!((128..192).contains(&sent), "{sent} MiB were taken");
}

/// Pitfall 4, without pages.
#[tokio::test]
async fn entries_without_end_are_not_taken_faster_than_they_are_used() {
    let server = scripted::start(|search| -> Messages {
        if search.base.is_empty() {
            return Box::new([search.done(0)].into_iter());
        }
        let entry = search.entry(
            "uid=a",
            &[
                ("entryUUID", &[b"1"]),
                ("uid", &[b"a"]),
                ("cn", &[&[b'a'; 1000]]),
            ],
        );
        Box::new(std::iter::repeat_n(entry, 1 << 20))
    });
    let (out, incoming) = mpsc::channel(1);
    let source = at(&server.url, "");
    let reading = tokio::spawn(async move { source.read_all(None, &out).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sent = server.sent.load(Ordering::SeqCst) >> 20;
    assert!(sent < 64, "{sent} MiB were taken while nothing was used");
    drop(incoming);
    assert!(matches!(reading.await.unwrap(), Err(SourceError::Stopped)));
}

/// Pitfall 8: the library's decoders panic.
#[tokio::test]
async fn what_is_not_ldap_is_an_error_and_not_a_crash() {
    let slapd = large("");
    let url = proxy::start(slapd.port(), Fault::Garbage, 100_000);
    let lines = "connect_timeout = \"2s\"\nsearch_timeout = \"2s\"";
    let (read, _) = read_all(&at(&url, lines)).await;
    unproven(read);

    let scripted = scripted::start(|search| match search.base.as_str() {
        "" => vec![search.done(0)],
        _ => vec![
            search.entry("uid=a", &[("uid", &[b"a"])]),
            search.nonsense(),
        ],
    });
    let (read, _) = read_all(&at(&scripted.url, lines)).await;
    let reason = unproven(read);
    assert!(reason.contains("not LDAP"), "{reason}");
}

/// Pitfall 2: a limit is no error to the library, and the entries before it look like all.
#[tokio::test]
async fn a_size_limit_proves_nothing() {
    let slapd = large(&format!(
        "limits dn.exact=\"{READER}\" size.soft=250 size.hard=250\n"
    ));

    let (read, told) = read_all(&as_reader(&slapd, "")).await;

    let reason = unproven(read);
    assert!(reason.contains("sizeLimitExceeded"), "{reason}");
    assert_eq!(told.people().len(), 250);
}

#[tokio::test]
async fn a_refused_page_size_is_made_smaller() {
    let slapd = large(&format!(
        "limits dn.exact=\"{READER}\" size=unlimited size.pr=60 size.prtotal=unlimited\n"
    ));

    let (_, told) = read_complete(&as_reader(&slapd, "page_size = 1000")).await;

    assert_eq!(told.people().len(), PEOPLE);
}

/// Another server's part of the tree is not in the answer.
#[tokio::test]
async fn a_reference_to_another_server_proves_nothing() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(3)
            + &slapd::group("g", [0])
            + "dn: ou=far,ou=people,dc=example,dc=edu\nobjectClass: referral\n\
               objectClass: extensibleObject\nou: far\nref: ldap://other.example.edu/ou=far\n\n",
        ..SlapdOptions::default()
    });

    let (read, told) = read_all(&source(&slapd)).await;

    let reason = unproven(read);
    assert!(reason.contains("refers to other servers"), "{reason}");
    assert_eq!(told.people().len(), 3);
}

#[tokio::test]
async fn nothing_at_all_is_no_proof_that_there_is_nothing() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(3),
        ..SlapdOptions::default()
    });
    let (read, _) = read_all(&source(&slapd)).await;
    let reason = unproven(read);
    assert!(reason.contains("no group"), "{reason}");
}

/// Pitfall 6, and a mirror that has stopped: the read ends.
#[tokio::test]
async fn a_read_whose_result_nobody_takes_ends() {
    let slapd = large("");
    let (out, incoming) = mpsc::channel(1);
    drop(incoming);
    let read = source(&slapd).read_all(None, &out).await;
    assert!(matches!(read, Err(SourceError::Stopped)), "{read:?}");
}

const GUID: &[u8] = b"0123456789abcdef";

/// Active Directory as far as we look at it: ranges of two values, GUIDs, pages without entries.
fn active_directory(last_range: &'static str) -> Scripted {
    scripted::start(move |search: &Search| {
        let range = search
            .attributes
            .iter()
            .find_map(|a| a.strip_prefix("member;range="));
        match (search.base.as_str(), range) {
            ("", _) => vec![
                search.entry(
                    "",
                    &[("supportedCapabilities", &[b"1.2.840.113556.1.4.800"])],
                ),
                search.done(0),
            ],
            ("ou=people,dc=example,dc=edu", _) => vec![
                search.entry(
                    "CN=Ada,OU=People,DC=example,DC=edu",
                    &[
                        ("objectGUID", &[GUID]),
                        ("uid", &[b"ada"]),
                        ("whenChanged", &[b"20261121120000.0Z"]),
                    ],
                ),
                search.done(0),
            ],
            ("ou=groups,dc=example,dc=edu", _) => vec![
                search.entry(
                    "CN=G,OU=Groups,DC=example,DC=edu",
                    &[
                        ("objectGUID", &[GUID]),
                        ("cn", &[b"G"]),
                        ("whenChanged", &[b"20261121120000.0Z"]),
                        ("member", &[]),
                        ("member;range=0-1", &[b"cn=a", b"cn=b"]),
                    ],
                ),
                search.done(0),
            ],
            (_, Some("2-*")) => vec![
                search.entry("CN=G", &[("member;range=2-3", &[b"cn=c", b"cn=d"])]),
                search.done(0),
            ],
            (_, Some("4-*")) => vec![
                search.entry("CN=G", &[(last_range, &[b"cn=e"])]),
                search.done(0),
            ],
            other => panic!("{other:?}"),
        }
    })
}

#[tokio::test]
async fn members_in_ranges_are_fetched_to_the_last() {
    let server = active_directory("member;range=4-*");
    let source = at(&server.url, "");

    let (checkpoint, told) = read_complete(&source).await;

    assert_eq!(told.group("G").members.len(), 5);
    assert!(told.group("G").evidence.is_known());
    assert_eq!(
        told.person("ada").id.as_str(),
        "33323130-3534-3736-3839-616263646566"
    );

    let (changes, _) = source.changes_since(&checkpoint, None).await.unwrap();
    assert!(matches!(changes, Changes::Entries(moved) if moved.len() == 2));
    let asked = server.asked.lock().unwrap();
    let filter = &asked.last().unwrap().filter;
    assert!(
        filter.contains("whenchanged") && filter.contains(".0Z"),
        "{filter}"
    );
}

#[tokio::test]
async fn a_group_of_which_a_range_is_missing_is_not_complete() {
    for last_range in ["description", "member;range=2-3"] {
        let server = active_directory(last_range);
        let (_, told) = read_complete(&at(&server.url, "")).await;
        assert!(!told.group("G").evidence.is_known());
        let [(_, EntryProblem::Partial { attribute })] = told.problems()[..] else {
            panic!("{:?}", told.problems());
        };
        assert_eq!(attribute, "member");
    }
}

/// RFC 2696 allows pages without entries; only an empty cookie is the end.
#[tokio::test]
async fn an_empty_page_is_not_the_end() {
    let pages = AtomicUsize::new(0);
    let server = scripted::start(move |search: &Search| {
        let entry = |uid: &str| {
            let uid = uid.as_bytes();
            let dn = format!("uid={}", String::from_utf8_lossy(uid));
            search.entry(
                &dn,
                &[
                    ("entryUUID", &[uid]),
                    ("uid", &[uid]),
                    ("cn", &[uid]),
                    ("member", &[b"uid=a"]),
                ],
            )
        };
        if search.base.is_empty() {
            return vec![search.done(0)];
        }
        match pages.fetch_add(1, Ordering::SeqCst) % 3 {
            0 => vec![entry("a"), search.page(b"1")],
            1 => vec![search.page(b"2")],
            _ => vec![entry("b"), search.page(b"")],
        }
    });
    let (_, told) = read_complete(&at(&server.url, "")).await;
    assert_eq!((told.people().len(), told.groups().len()), (2, 2));
}
