//! The same directory from a file.

use std::path::Path;

use super::*;

fn toml(path: &Path, lines: &str) -> String {
    format!(
        "kind = \"ldif\"\nname = \"export\"\npath = {:?}\n{lines}\n{SECTIONS}",
        path.display().to_string()
    )
}

fn filled() -> Slapd {
    Slapd::start(&SlapdOptions {
        ldif: slapd::people(20)
            + &slapd::group("g", 0..10)
            + &format!(
                "dn: cn=Zoë\\, Ö,ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: zoe\nsn: Ö\n\n"
            ),
        ..SlapdOptions::default()
    })
}

/// A person without what only a server's time decides.
fn plain(told: &Told) -> (Vec<Person>, Vec<Group>) {
    let mut people: Vec<_> = told.people().into_iter().cloned().collect();
    people.sort_by(|a, b| a.id.cmp(&b.id));
    (people, told.groups().into_iter().cloned().collect())
}

#[tokio::test]
async fn an_export_tells_the_same_as_its_server() {
    let slapd = filled();
    let (_, from_server) = read_complete(&source(&slapd)).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.ldif");
    for arguments in [&["-LLL"] as &[&str], &[], &["-E", "pr=7/noprompt"]] {
        let arguments = [arguments, &["-b", SUFFIX, "*", "+"]].concat();
        std::fs::write(&path, slapd.ldapsearch(&arguments)).unwrap();
        let source = source_of(&toml(&path, "")).unwrap();

        let (checkpoint, told) = read_complete(&source).await;

        assert_eq!(plain(&told), plain(&from_server), "{arguments:?}");
        let (changes, same) = source.changes_since(&checkpoint, None).await.unwrap();
        assert_eq!((changes, same), (Changes::Nothing, checkpoint.clone()));
        std::fs::write(
            &path,
            [slapd.ldapsearch(&arguments), b"# more\n".to_vec()].concat(),
        )
        .unwrap();
        let (changes, _) = source.changes_since(&checkpoint, None).await.unwrap();
        assert!(matches!(changes, Changes::FullReadNeeded { .. }));
    }
}

#[tokio::test]
async fn a_limited_or_cut_export_proves_nothing() {
    let slapd = filled();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.ldif");
    let limited = slapd.ldapsearch(&["-z", "15", "-b", SUFFIX, "*", "+"]);
    let whole = slapd.ldapsearch(&["-b", SUFFIX, "*", "+"]);
    for text in [
        &limited[..],
        &whole[..whole.len() - 200],
        &whole[..whole.len() / 2],
    ] {
        std::fs::write(&path, text).unwrap();
        let (read, told) = read_all(&source_of(&toml(&path, "")).unwrap()).await;
        let reason = unproven(read);
        assert!(reason.contains("export.ldif"), "{reason}");
        assert!(told.people().len() > 2);
    }
}

#[tokio::test]
async fn an_end_marker_is_the_last_line_or_the_file_is_half() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.ldif");
    let text = slapd::people(3) + &slapd::group("g", [0]);
    let source = source_of(&toml(&path, "end_marker = \"# end\"")).unwrap();
    std::fs::write(&path, &text).unwrap();
    let (read, told) = read_all(&source).await;
    assert!(unproven(read).contains("# end"));
    // Without anything better, the name is the id.
    assert_eq!(
        told.person("p1").id.as_str(),
        "uid=p1,ou=people,dc=example,dc=edu"
    );
    std::fs::write(&path, text + "# end\n").unwrap();
    let (_, told) = read_complete(&source).await;
    assert_eq!(members(&told, "g"), ["p0".to_owned()].into());
}

#[tokio::test]
async fn a_file_that_is_missing_or_no_export_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.ldif");
    let source = source_of(&toml(&path, "")).unwrap();
    let (read, _) = read_all(&source).await;
    assert!(matches!(read, Err(SourceError::File { .. })));
    std::fs::write(&path, "dn: uid=a\nchangetype: delete\n").unwrap();
    let (read, _) = read_all(&source).await;
    let error = read.unwrap_err().to_string();
    assert!(
        error.contains("line 2") && error.contains("changetype"),
        "{error}"
    );
}

#[tokio::test]
async fn a_check_looks_at_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.ldif");
    std::fs::write(&path, slapd::people(120) + &slapd::group("g", [0])).unwrap();
    let report = source_of(&toml(&path, "")).unwrap().check().await.unwrap();
    assert_eq!(report.server, None);
    assert_eq!((report.people.looked_at, report.people.more), (100, true));
    assert_eq!((report.groups.usable, report.groups.with_members), (1, 1));
}

#[tokio::test]
async fn spaces_around_ids_do_not_count_and_member_uid_may_hold_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.ldif");
    // "p2 ", "g ", "P2 " and " p1 ", which only base64 can hold.
    let people = slapd::people(3).replace("uid: p2\n", "uid:: cDIg\n");
    let group = format!(
        "dn: cn=g,ou=groups,{SUFFIX}\nobjectClass: posixGroup\ncn:: ZyA=\n\
         memberUid: uid=p0,ou=people,{SUFFIX}\nmemberUid:: IHAxIA==\nmemberUid:: UDIg\n\n"
    );
    std::fs::write(&path, people + &group).unwrap();
    let sections =
        format!("{SECTIONS}filter = \"(objectClass=posixGroup)\"\nmembers = \"memberUid\"\n");
    let toml = toml(&path, "").replace(SECTIONS, &sections);

    let (_, told) = read_complete(&source_of(&toml).unwrap()).await;

    let expected = ["p0", "p1", "p2"].map(str::to_owned);
    assert_eq!(members(&told, "g"), expected.into());
    assert!(told.group("g").evidence.is_known());
}

#[tokio::test]
async fn the_object_category_of_an_export_is_found_by_its_class() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.ldif");
    let category = |class: &str| {
        format!("\nobjectCategory: CN={class},CN=Schema,CN=Configuration,{SUFFIX}\nobjectClass: ")
    };
    let people = slapd::people(2).replace("\nobjectClass: ", &category("Person"));
    let group = slapd::group("g", 0..2).replace("\nobjectClass: ", &category("Group"));
    std::fs::write(&path, people + &group).unwrap();
    let sections = SECTIONS.replace(
        "user_id",
        "filter = \"(&(objectCategory=person)(uid=*))\"\nuser_id",
    ) + "filter = \"(objectCategory=group)\"\n";
    let toml = toml(&path, "").replace(SECTIONS, &sections);

    let (_, told) = read_complete(&source_of(&toml).unwrap()).await;

    assert_eq!((told.people().len(), told.groups().len()), (2, 1));
}
