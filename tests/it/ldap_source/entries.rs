//! What entries become.

use std::fmt::Write as _;

use super::*;

#[tokio::test]
async fn people_and_groups_are_read_over_three_pages() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(25) + &slapd::group("bio-101", 0..5) + &slapd::group("bio-102", [7]),
        ..SlapdOptions::default()
    });
    let source = source_with(&slapd, "page_size = 10", SECTIONS);

    let (_, told) = read_complete(&source).await;

    assert_eq!(told.people().len(), 25);
    let p3 = told.person("p3");
    assert_eq!(p3.first_name.as_deref(), Some("Given3"));
    assert_eq!(p3.last_name.as_deref(), Some("Family3"));
    assert_eq!(p3.mail.as_deref(), Some("p3@example.edu"));
    assert_eq!(p3.login, None, "no group names people by login");
    assert!(p3.enabled);
    assert_eq!(told.groups().len(), 2);
    assert_eq!(members(&told, "bio-101").len(), 5);
    assert!(told.group("bio-101").evidence.is_known());
    assert_eq!(told.problems(), []);
}

/// Each name is spelled by the server in one way in the entry and in another in the group.
#[tokio::test]
async fn escaped_names_find_their_people() {
    let names = [
        ("a", r"Smith\, John"),
        ("b", r#"Quote \"Q\""#),
        ("c", r"Plus \+ Sign"),
        ("d", r"\ lead"),
        ("e", r"trail\ "),
        ("f", r"\#hash"),
        ("g", r"semi\;colon"),
        ("h", r"a\=b"),
        ("i", r"Zoë Ünïcode"),
        ("j", r"back\\slash"),
    ];
    let mut ldif = String::new();
    let mut group = String::from(
        "dn: cn=all,ou=groups,dc=example,dc=edu\nobjectClass: groupOfNames\ncn: all\n",
    );
    for (uid, name) in names {
        let dn = format!("cn={name},ou=people,{SUFFIX}");
        write!(
            ldif,
            "dn: {dn}\nobjectClass: inetOrgPerson\nuid: {uid}\nsn: x\n\n"
        )
        .unwrap();
        writeln!(group, "member: CN={name}, OU=People , {SUFFIX}").unwrap();
    }
    // A name and a number in one RDN, in either order.
    write!(
        ldif,
        "dn: cn=X+uid=k,ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nsn: x\n\n"
    )
    .unwrap();
    writeln!(group, "member: uid=K+cn=x,ou=people,{SUFFIX}").unwrap();
    let slapd = Slapd::start(&SlapdOptions {
        ldif,
        ..SlapdOptions::default()
    });
    slapd.modify(&group);

    let (_, told) = read_complete(&source(&slapd)).await;

    let expected: BTreeSet<_> = "abcdefghijk".chars().map(String::from).collect();
    assert_eq!(members(&told, "all"), expected);
    assert_eq!(told.problems(), []);
}

#[tokio::test]
async fn groups_of_logins_are_read() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(3)
            + "dn: cn=staff,ou=groups,dc=example,dc=edu\nobjectClass: posixGroup\ncn: staff\n\
               gidNumber: 7\nmemberUid: P1\nmemberUid: p2\nmemberUid: nobody\n\n",
        ..SlapdOptions::default()
    });
    let sections =
        format!("{SECTIONS}filter = \"(objectClass=posixGroup)\"\nmembers = \"memberUid\"\n");

    let (_, told) = read_complete(&source_with(&slapd, "", &sections)).await;

    assert_eq!(told.group("staff").members.len(), 3);
    assert_eq!(
        members(&told, "staff"),
        ["p1", "p2"].map(String::from).into()
    );
}

#[tokio::test]
async fn unique_members_are_read_with_and_without_their_number() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(3)
            + "dn: cn=u,ou=groups,dc=example,dc=edu\nobjectClass: groupOfUniqueNames\ncn: u\n\
               uniqueMember: uid=p0,ou=people,dc=example,dc=edu\n\
               uniqueMember: uid=p1,ou=people,dc=example,dc=edu#'0101'B\n\n",
        ..SlapdOptions::default()
    });
    let sections = format!(
        "{SECTIONS}filter = \"(objectClass=groupOfUniqueNames)\"\nmembers = \"uniqueMember\"\n"
    );

    let (_, told) = read_complete(&source_with(&slapd, "", &sections)).await;

    assert_eq!(members(&told, "u"), ["p0", "p1"].map(String::from).into());
}

#[tokio::test]
async fn people_name_their_groups_where_member_of_is_configured() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(3),
        memberof: true,
        ..SlapdOptions::default()
    });
    slapd.modify(&(slapd::group("one", [0, 2]) + &slapd::group("none", [])));
    let source = source_with(&slapd, "", &format!("{SECTIONS}members = \"memberOf\"\n"));

    let (checkpoint, told) = read_complete(&source).await;

    assert_eq!(members(&told, "one"), ["p0", "p2"].map(String::from).into());
    assert_eq!(members(&told, "none"), BTreeSet::new());
    let (changes, same) = source.changes_since(&checkpoint, None).await.unwrap();
    assert!(matches!(changes, Changes::FullReadNeeded { reason } if reason.contains("memberOf")));
    assert_eq!(same, checkpoint);
}

#[tokio::test]
async fn roles_come_from_further_attributes() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(3)
            + &slapd::group("g", [0, 1]).replace(
                "\n\n",
                &format!("\nowner: uid=p2,ou=people,{SUFFIX}\ndescription: not a name\n\n"),
            ),
        ..SlapdOptions::default()
    });
    let sections = format!("{SECTIONS}roles = {{ owner = \"manager\" }}\n");

    let (_, told) = read_complete(&source_with(&slapd, "", &sections)).await;

    let roles: Vec<_> = told
        .group("g")
        .members
        .iter()
        .map(|m| m.role.as_str())
        .collect();
    assert_eq!(roles, ["member", "member", "manager"]);
    assert_eq!(told.group("g").name.as_deref(), Some("not a name"));
}

#[tokio::test]
async fn a_member_that_is_no_name_spoils_only_its_group() {
    let described = |name: &str, text: &str| {
        slapd::group(name, [0]).replace("\n\n", &format!("\ndescription:: {text}\n\n"))
    };
    let slapd = Slapd::start(&SlapdOptions {
        // "no name", and two groups without.
        ldif: slapd::people(1) + &described("bad", "bm8gbmFtZQ==") + &slapd::group("good", [0]),
        ..SlapdOptions::default()
    });
    let sections = format!("{SECTIONS}roles = {{ description = \"x\" }}\n");

    let (_, told) = read_complete(&source_with(&slapd, "", &sections)).await;

    assert!(told.group("good").evidence.is_known());
    assert!(!told.group("bad").evidence.is_known());
    assert_eq!(members(&told, "bad"), ["p0".to_owned()].into());
    assert_eq!(
        told.problems(),
        [(
            "cn=bad,ou=groups,dc=example,dc=edu",
            &EntryProblem::NotADn {
                attribute: "description".to_owned()
            }
        )]
    );
}

#[tokio::test]
async fn the_placeholder_of_an_emptied_group_is_an_ordinary_name() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(2) + &slapd::group("g", [0]),
        memberof: true,
        ..SlapdOptions::default()
    });
    slapd.delete("uid=p0,ou=people,dc=example,dc=edu");

    let (_, told) = read_complete(&source(&slapd)).await;

    assert_eq!(told.group("g").members.len(), 1, "cn=nothing");
    assert!(told.group("g").evidence.is_known());
    assert_eq!(members(&told, "g"), BTreeSet::new());
    assert_eq!(told.problems(), []);
}

/// Pitfall 9: values that are not text are somewhere else in the library's entries.
#[tokio::test]
async fn values_that_are_not_text_are_named_and_stop_nobody_else() {
    let octets = "userPassword:: //4=\n";
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(2)
            + &format!(
                "dn: uid=odd,ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: odd\ncn: o\nsn: o\n{octets}\n"
            )
            + &slapd::group("g", [0]),
        ..SlapdOptions::default()
    });
    let odd = "uid=odd,ou=people,dc=example,dc=edu";
    let not_text = EntryProblem::NotText {
        attribute: "userpassword".to_owned(),
    };

    // In an attribute that may be missing it is a flaw; in the user ID it is the end of the entry.
    let as_name = SECTIONS.replace("[groups]", "last_name = \"userPassword\"\n[groups]");
    let (_, told) = read_complete(&source_with(&slapd, "", &as_name)).await;
    assert_eq!(told.people().len(), 3);
    assert_eq!(told.person("odd").last_name, None);
    assert_eq!(told.problems(), [(odd, &not_text)]);

    let as_id = SECTIONS.replace("user_id = \"uid\"", "user_id = \"userPassword\"");
    let (_, told) = read_complete(&source_with(&slapd, "", &as_id)).await;
    assert_eq!(told.people().len(), 0);
    assert!(told.problems().contains(&(odd, &not_text)));
}

#[tokio::test]
async fn bad_records_are_named_and_the_others_are_read() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(2).replacen(
            "uid: p1\n",
            "uid: p1\nuid: second\nemployeeNumber: 7\n",
            1,
        ) + &slapd::group("g", [0]).replace("cn: g\n", "cn: g\nseeAlso: cn=x\n"),
        ..SlapdOptions::default()
    });

    let (_, told) = read_complete(&source(&slapd)).await;
    let several = EntryProblem::Several {
        attribute: "uid".to_owned(),
        count: 2,
    };
    assert_eq!(
        told.problems(),
        [("uid=p1,ou=people,dc=example,dc=edu", &several)]
    );
    assert_eq!(told.people().len(), 1);

    // Nobody in the groups has an id of this kind: that proves nothing about groups.
    let numbered = SECTIONS.replace("user_id = \"uid\"", "user_id = \"mail\"");
    let source = source_with(&slapd, "stable_id = \"employeeNumber\"", &numbered);
    let (read, told) = read_all(&source).await;
    assert!(unproven(read).contains("no group"));
    assert_eq!(told.person("p1@example.edu").id.as_str(), "7");
    let missing = EntryProblem::Missing {
        attribute: "employeenumber".to_owned(),
    };
    assert!(
        told.problems()
            .contains(&("uid=p0,ou=people,dc=example,dc=edu", &missing))
    );
}

#[tokio::test]
async fn user_ids_are_transformed_and_accounts_out_of_use_are_marked() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(3).replacen("uid: p2\n", "uid: p2\nemployeeType: left\n", 1)
            + &slapd::group("g", [0]),
        ..SlapdOptions::default()
    });
    let sections = SECTIONS.replace(
        "user_id = \"uid\"",
        "user_id = \"mail\"\nenabled = \"(!(employeeType=LEFT))\"\n\
         user_id_transform = { pattern = \"p(?<id>[12]@.*)\", strip_domain = true }",
    );

    let (_, told) = read_complete(&source_with(&slapd, "", &sections)).await;

    assert!(told.person("1").enabled);
    assert!(!told.person("2").enabled);
    let [(dn, EntryProblem::NoMatch { .. })] = told.problems()[..] else {
        panic!("{:?}", told.problems());
    };
    assert_eq!(dn, "uid=p0,ou=people,dc=example,dc=edu");
}

/// Pitfall 14: a huge entry is one message.
#[tokio::test]
async fn a_group_of_a_hundred_thousand_is_one_entry() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(1) + &slapd::group("all", 0..100_000),
        ..SlapdOptions::default()
    });

    let (_, told) = read_complete(&source(&slapd)).await;

    assert_eq!(told.group("all").members.len(), 100_000);
    assert!(told.group("all").evidence.is_known());
}

#[tokio::test]
async fn a_check_tells_what_is_there() {
    let slapd = Slapd::start(&SlapdOptions {
        ldif: slapd::people(150) + &slapd::group("g", [0]) + &slapd::group("empty", []),
        ..SlapdOptions::default()
    });

    let report = source(&slapd).check().await.unwrap();

    let server = report.server.unwrap();
    assert_eq!(server.kind, "OpenLDAP");
    assert_eq!(server.bound_as.as_deref(), Some(ADMIN));
    assert!(!server.private);
    assert_eq!((report.people.looked_at, report.people.more), (100, true));
    assert_eq!((report.groups.looked_at, report.groups.more), (2, false));
    assert_eq!((report.groups.usable, report.groups.with_members), (2, 2));
    assert_eq!(
        (report.people.stamped, report.people.problems.len()),
        (100, 0)
    );
}
