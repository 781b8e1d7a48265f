//! Exports that are damaged, joined, or written for another purpose.

use std::path::PathBuf;

use super::*;

const PEOPLE: &str = "ou=people,dc=example,dc=edu";
const GROUPS: &str = "ou=groups,dc=example,dc=edu";

/// A file in a folder of its own.
struct Export {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Export {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("export.ldif");
        std::fs::write(&path, text).unwrap();
        Self { _dir: dir, path }
    }

    fn source(&self, sections: &str) -> Source {
        let path = self.path.display().to_string();
        let toml = format!("kind = \"ldif\"\nname = \"export\"\npath = {path:?}\n{sections}");
        source_of(&toml).unwrap()
    }

    async fn read(&self) -> (Result<Read, SourceError>, Told) {
        read_all(&self.source(SECTIONS)).await
    }

    async fn complete(&self) -> Told {
        read_complete(&self.source(SECTIONS)).await.1
    }
}

fn names(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(|n| format!("p{n}")).collect()
}

#[tokio::test]
async fn a_photo_that_cannot_be_read_is_ignored_and_a_member_that_cannot_is_told() {
    let photo = "jpegPhoto:: /9j/4AAQSkZJRg\nAAAAAAAAAAAAAA\n\n";
    let people = slapd::people(3).replacen("\n\n", &format!("\n{photo}"), 1);
    let told = Export::new(people.clone() + &slapd::group("g", 0..2))
        .complete()
        .await;
    assert_eq!(told.people().len(), 3);
    assert_eq!(told.problems(), []);
    assert!(told.group("g").evidence.is_known());

    let group =
        slapd::group("g", 0..2).replace("\n\n", "\nmember:: dWlkPXAy\nLG91PXBlb3BsZQ==\n\n");
    let told = Export::new(people + &group + &slapd::group("h", [2]))
        .complete()
        .await;
    assert_eq!(members(&told, "g"), names(0..2));
    assert!(!told.group("g").evidence.is_known() && told.group("h").evidence.is_known());
    let [(dn, EntryProblem::Unreadable { attribute })] = told.problems()[..] else {
        panic!("{:?}", told.problems());
    };
    assert_eq!(
        (dn, attribute.as_str()),
        (&*format!("cn=g,{GROUPS}"), "member")
    );
}

#[tokio::test]
async fn an_entry_whose_class_or_user_id_cannot_be_read_is_told_as_unusable() {
    for attribute in ["objectClass", "uid"] {
        let spoilt = slapd::people(1)
            + &format!("dn: cn=x,{PEOPLE}\n{attribute}:< file:///x\nobjectClass: person\n\n");
        let told = Export::new(spoilt + &slapd::group("g", [0]))
            .complete()
            .await;
        assert_eq!(told.people().len(), 1);
        let [(_, EntryProblem::Unreadable { attribute: found })] = told.problems()[..] else {
            panic!("{:?}", told.problems());
        };
        assert!(found.eq_ignore_ascii_case(attribute));
    }
}

#[tokio::test]
async fn a_cut_file_with_another_one_behind_it_removes_nobody() {
    let groups = slapd::group("f", [0]) + &slapd::group("g", 0..3);
    let people = slapd::people(3);
    let from = groups.find("dn: cn=g").unwrap();
    let header = "# extended LDIF\n#\n# LDAPv3\n#\n\n# p0, people, example.edu\n";
    let trailer = "# search result\nsearch: 2\nresult: 0 Success\n";
    for (head, tail) in [
        ("", ""),
        ("version: 1\n\n", ""),
        ("# people\n", ""),
        (header, trailer),
    ] {
        for cut in from + 1..groups.trim_end().len() {
            let text = format!("{}{head}{people}{tail}", &groups[..cut]);
            let (read, told) = Export::new(&text).read().await;
            assert_ne!(read.as_ref().unwrap().proof, Proof::Complete, "{text}");
            assert!(unproven(read).contains("line "), "{text}");
            let mut groups = told.groups().into_iter();
            assert!(groups.all(|group| !group.evidence.is_known()), "{text}");
            assert!(told.people().len() >= 2, "{text}");
        }
    }
}

#[tokio::test]
async fn values_with_the_state_of_replication_are_read_and_deleted_ones_are_not() {
    let person = format!(
        "# entry-id: 3\ndn: uid=p0,{PEOPLE}\nobjectClass;vucsn-665dc0aa000000010000: top\n\
         objectClass;vucsn-665dc0aa000000010000: person\nuid;vucsn-665dc0aa000000010000;mdcsn-665dc0aa000000010000: p0\n\
         mail;adcsn-665dc0ab000100020002;vdcsn-665dc0ab000100020002;deletedattribute;deleted: old@example.edu\n\
         sn;lang-de: Müller\nsn;vucsn-665dc0aa000000010000: Miller\n\n"
    );
    let tombstone = format!(
        "dn: nsuniqueid=7dc516b6-21aa11ef-9ce18df7-a8612860,uid=p9,{PEOPLE}\n\
         objectClass;vucsn-665dc0aa000000010000: person\nobjectClass;vucsn-665dc0aa000000010000: nsTombstone\nuid: p9\n\n"
    );
    let group = format!(
        "dn: cn=g,{GROUPS}\nobjectClass;vucsn-665dc0aa000000010000: groupOfNames\ncn;vucsn-1;mdcsn-1: g\n\
         member;vucsn-665dc0aa000000010001: uid=p0,{PEOPLE}\nmember;vucsn-665dc0aa000000010002: uid=p1,{PEOPLE}\n\
         member;vdcsn-665dc0aa000000010009;vucsn-665dc0aa000000010003;deleted: uid=p2,{PEOPLE}\n\n"
    );
    let rest = slapd::people(3).split_once("\n\n").unwrap().1.to_owned();
    let told = Export::new(person + &tombstone + &rest + &group)
        .complete()
        .await;
    assert_eq!(members(&told, "g"), names(0..2));
    assert!(told.group("g").evidence.is_known());
    assert_eq!(told.people().len(), 3);
    let first = told.person("p0");
    assert_eq!(
        (first.last_name.as_deref(), first.mail.as_deref()),
        (Some("Miller"), None)
    );
}

#[tokio::test]
async fn ranges_in_a_file_are_whole_only_together() {
    let group = |second: &str| {
        format!(
            "dn: cn=g,{GROUPS}\nobjectClass: groupOfNames\ncn: g\nmember;range=0-1: uid=p0,{PEOPLE}\n\
             member;range=0-1: uid=p1,{PEOPLE}\n{second}: uid=p2,{PEOPLE}\n\n"
        )
    };
    for (second, whole) in [
        ("member;range=2-*", true),
        ("member;range=3-*", false),
        ("member;range=2-2", false),
    ] {
        let told = Export::new(slapd::people(3) + &group(second))
            .complete()
            .await;
        assert_eq!(members(&told, "g"), names(0..3));
        assert_eq!(told.group("g").evidence.is_known(), whole, "{second}");
    }
}

#[tokio::test]
async fn values_in_records_of_changes_that_add_are_part_of_their_group() {
    let add = |text: &str| text.replace("\nobjectClass", "\nchangetype: add\nobjectClass");
    let more = |name: &str, number: usize| {
        format!(
            "dn: CN={name},{GROUPS}\nchangetype: modify\nadd: member\nmember: uid=p{number},{PEOPLE}\n-\n\n"
        )
    };
    let people = add(&slapd::people(4));
    let (g, h) = (add(&slapd::group("g", [0])), add(&slapd::group("h", [3])));
    for text in [
        format!("{people}{g}{}{}{h}", more("g", 1), more("G", 2)),
        format!("{people}{g}{h}{}{}", more("g", 1), more("g", 2)),
        format!("{}{people}{g}{h}{}", more("g", 1), more("g", 2)),
    ] {
        let told = Export::new(text).complete().await;
        assert_eq!(members(&told, "g"), names(0..3));
        assert_eq!(members(&told, "h"), names([3]));
        assert!(told.group("g").evidence.is_known());
    }
    let (read, _) = Export::new(format!("{people}{g}{}", more("other", 1)))
        .read()
        .await;
    assert!(unproven(read).contains("values are added to an entry"));
    let login = format!("dn: uid=p1,{PEOPLE}\nchangetype: modify\nadd: uid\nuid: q1\n-\n\n");
    let (read, _) = Export::new(format!("{people}{g}{login}")).read().await;
    assert!(unproven(read).contains("values are added to an entry"));
    let delete = more("g", 1).replace("add:", "delete:");
    let (read, told) = Export::new(format!("{people}{g}{delete}")).read().await;
    assert!(unproven(read).contains("changetype"));
    assert!(!told.group("g").evidence.is_known());
}

#[tokio::test]
async fn references_outside_of_the_bases_do_not_matter() {
    let with = |url: &str| {
        let whole = slapd::people(2) + &slapd::group("g", 0..2);
        Export::new(format!("{whole}# ref{url}\n\n"))
    };
    with("ldap://forest.example.edu/dc=other,dc=edu??sub")
        .complete()
        .await;
    let (read, _) = with(&format!("ldap://forest.example.edu/ou=staff,{PEOPLE}"))
        .read()
        .await;
    assert!(unproven(read).contains("refers to other servers"));
}

#[tokio::test]
async fn a_file_that_is_no_ldif_is_named_with_what_to_do() {
    let utf_16: Vec<u8> = slapd::people(1)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (octets, what) in [
        (b"\x1f\x8b\x08\0\0\0".to_vec(), "gzip -d"),
        (utf_16, "UTF-16"),
        (b"<!DOCTYPE html><title>Log in</title>".to_vec(), "HTML"),
        (Vec::new(), "empty"),
    ] {
        let (read, told) = Export::new(octets).read().await;
        let error = read.unwrap_err().to_string();
        assert!(
            error.contains(what) && error.contains("export.ldif"),
            "{error}"
        );
        assert_eq!(told.observations, []);
    }
}

#[tokio::test]
async fn a_file_older_than_max_age_may_add_and_never_removes() {
    let export = Export::new(slapd::people(2) + &slapd::group("g", 0..2));
    let sections = SECTIONS.replace("user_id", "enabled = \"(!(uid=p1))\"\nuser_id");
    let source = export.source(&format!("max_age = \"26h\"\n{sections}"));
    let (checkpoint, told) = read_complete(&source).await;
    assert!(told.group("g").evidence.is_known() && !told.person("p1").enabled);

    let file = std::fs::File::options()
        .write(true)
        .open(&export.path)
        .unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    let then = modified - std::time::Duration::from_hours(27);
    file.set_modified(then).unwrap();

    let (read, told) = read_all(&source).await;
    let reason = unproven(read);
    assert!(
        reason.contains("written 27h ago, and max_age is 26h"),
        "{reason}"
    );
    assert_eq!((told.people().len(), told.group("g").members.len()), (1, 2));
    assert!(!told.group("g").evidence.is_known());
    let (changes, _) = source.changes_since(&checkpoint, None).await.unwrap();
    assert!(
        matches!(changes, Changes::FullReadNeeded { .. }),
        "{changes:?}"
    );
}
