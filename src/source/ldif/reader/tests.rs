use super::*;

fn records(text: &str) -> (Result<Vec<Record>, String>, Reader<&[u8]>) {
    let mut reader = Reader::new(text.as_bytes());
    let mut records = Vec::new();
    let read = loop {
        match reader.next() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => break Ok(records),
            Err(error) => break Err(error.to_string()),
        }
    };
    (read, reader)
}

type Entries = Result<Vec<Entry>, String>;

/// The entries, and what keeps the file from being all of `dc=edu`, given an end marker.
fn read(text: &str) -> (Entries, impl Fn(Option<&str>) -> Option<String>) {
    let (read, reader) = records(text);
    let read = read.map(|records| records.into_iter().map(|record| record.entry).collect());
    let base = Dn::parse("dc=edu").unwrap();
    (read, move |marker: Option<&str>| {
        reader.problem(marker, &[&base])
    })
}

fn problem(text: &str) -> Option<String> {
    read(text).1(None)
}

#[test]
fn folded_lines_base64_comments_and_line_breaks_of_windows() {
    let (entries, ending) = read(
        "version: 1\r\n# a comment\r\n  that goes on\r\ndn:: dWlkPVpvw6s=\r\nuid: Zo\r\n  e\r\n\
         surname;lang-en: King\r\nmail:\r\nmember: a\r\nMember: b\r\n\r\n\r\ndn: cn=x\r\ncn: x\r\n\r\n",
    );
    let entries = entries.unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].dn, "uid=Zoë");
    assert_eq!(entries[0].text("uid"), Ok(Some("Zo e")));
    assert_eq!(entries[0].text("sn"), Ok(Some("King")));
    assert_eq!(entries[0].text("mail"), Ok(None));
    assert_eq!(entries[0].values("member").iter().count(), 2);
    assert_eq!(ending(None), None);
}

#[test]
fn half_a_file_is_told_from_a_whole_one() {
    let whole = "dn: cn=a\ncn: a\n\ndn: cn=b\ncn: b\n\n";
    assert_eq!(read(whole).1(None), None);
    for cut in whole.len() - 15..whole.len() {
        let (_, ending) = read(&whole[..cut]);
        let at_a_record = whole[..cut].ends_with("\n\n");
        assert_eq!(ending(None).is_none(), at_a_record, "{cut}");
        assert!(ending(Some("# end")).is_some());
    }
    let marked = format!("{whole}# end of export\n");
    assert_eq!(read(&marked).1(Some("# end of export")), None);
    assert!(read(whole).1(Some("# end of export")).is_some());
    let cut = marked.trim_end();
    assert!(read(cut).1(Some("# end of export")).is_some());
}

#[test]
fn what_ldapsearch_says_at_the_end_is_believed() {
    let head = "# extended LDIF\n#\n# LDAPv3\n\ndn: cn=a\ncn: a\n\n";
    let problem = |tail: &str| read(&format!("{head}{tail}")).1(None);
    let good = "# search result\nsearch: 2\nresult: 0 Success\n\n# numResponses: 2\n";
    assert_eq!(problem(good), None);
    assert!(problem("").unwrap().contains("last lines are missing"));
    let limited = good.replace("0 Success", "4 Size limit exceeded");
    assert!(problem(&limited).unwrap().contains("4 Size limit exceeded"));
    assert!(problem(&format!("# search reference\nref: ldap://x\n\n{good}")).is_some());
    let paged = |cookie: &str| {
        good.replace(
            "Success\n",
            &format!("Success\npagedresults: cookie={cookie}\n"),
        )
    };
    assert_eq!(problem(&paged("")), None);
    assert!(problem(&paged("AAAA")).is_some());
    let cut_later = format!("{good}dn: cn=b\ncn: b\n\n");
    assert!(problem(&cut_later).is_some());
}

#[test]
fn what_is_no_export_is_refused_with_its_line() {
    for (text, line, reason) in [
        ("dn: cn=a\nchangetype: delete\n\n", 2, "changetype"),
        (
            "dn: cn=a\nchangetype: modify\nreplace: cn\n",
            3,
            "changetype",
        ),
        (
            "dn: cn=a\nchangetype: modify\nadd: cn\nsn: x\n",
            4,
            "changes",
        ),
        ("\n\ncn: a\n", 3, "begin with its dn"),
        ("\nDN,objectClass\n", 2, "colon"),
        ("{}\n", 1, "JSON"),
        ("", 1, "empty"),
    ] {
        let error = read(text).0.unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert!(error.starts_with(&format!("line {line}:")), "{error}");
    }
}

#[test]
fn a_value_that_cannot_be_read_concerns_its_attribute_alone() {
    let (entries, ending) = read(
        "dn: cn=a\ncn: a\njpegPhoto:: /9j/4AAQ\nAAAAAAAA\nAAAAAAA=\nmember: x\nmember:: %%%\n\
         mail:< file:///x\nsn: A\n\ndn: cn=b\ncn: b\n\n",
    );
    let entries = entries.unwrap();
    assert_eq!(entries.len(), 2);
    let a = &entries[0];
    let unreadable = |name: &str| a.incomplete(name).is_some();
    assert!(unreadable("jpegPhoto") && unreadable("member") && unreadable("mail"));
    assert!(!unreadable("cn") && !unreadable("sn"));
    assert_eq!(a.values("member").iter().count(), 1);
    assert!(a.values("jpegPhoto").is_empty());
    assert_eq!(ending(None), None);
}

#[test]
fn a_record_whose_name_cannot_be_read_makes_the_file_doubtful_and_the_next_one_is_read() {
    for name in ["dn:: %%%", "dn: cn=a\nou=folded", "dn:< file:///x"] {
        let text = format!("dn: cn=z\ncn: z\n\n{name}\ncn: a\n\ndn: cn=b\ncn: b\n\n");
        let (entries, ending) = read(&text);
        let names: Vec<_> = entries.unwrap().into_iter().map(|e| e.dn).collect();
        assert_eq!(names, ["cn=z", "cn=b"], "{name}");
        assert!(ending(None).unwrap().starts_with("line "), "{name}");
    }
    assert!(
        problem("dn: cn=z\ncn: z\n\nnonsense\nx: y\n\n")
            .unwrap()
            .starts_with("line 4: ")
    );
}

#[test]
fn records_that_run_together_are_suspect_and_the_next_ones_are_read() {
    for (first, line) in [
        ("dn: cn=a\nmember: x\n", 3),
        ("dn: cn=a\nmember: x", 2),
        ("dn: cn=a\nmemb", 1),
        ("dn: cn=a\nmember: x\nmember:", 3),
        ("dn: cn=a\njpegPhoto:: /9j/4AAQ", 2),
        ("dn: cn=a\nmember: x\nversion: 1\n\n", 3),
        ("dn: cn=a\nmember: xversion: 1\n\n", 2),
        ("dn: cn=a\nmember: x# extended LDIF\n#\n# LDAPv3\n\n", 2),
        ("dn: cn=a\nmember: x\n# extended LDIF\n#\n# LDAPv3\n\n", 3),
    ] {
        let text = format!("{first}dn: ou=x,dc=edu\nou: x\n\ndn: cn=b\ncn: b\n\n");
        let (all, reader) = records(&text);
        let all = all.unwrap();
        assert_eq!(all[0].kind, RecordKind::Cut, "{first}");
        assert_eq!(all[0].entry.dn, "cn=a");
        let last = all.last().unwrap();
        assert_eq!(
            (last.kind, &*last.entry.dn),
            (RecordKind::Entry, "cn=b"),
            "{first}"
        );
        let problem = reader.problem(None, &[]).unwrap();
        assert!(
            problem.starts_with(&format!("line {line}: ")),
            "{first}: {problem}"
        );
    }
}

#[test]
fn each_export_in_a_joined_file_needs_its_end() {
    let head = "# extended LDIF\n#\n# LDAPv3\n# base <dc=edu> with scope subtree\n#\n\n";
    let entry = "# a\ndn: cn=a\ncn: a\n\n";
    let end = "# search result\nsearch: 2\nresult: 0 Success\n\n# numEntries: 1\n";
    let one = format!("{head}{entry}{end}");
    assert_eq!(problem(&format!("{one}{one}")), None);
    assert_eq!(problem(&format!("{one}\n{one}")), None);
    let cut = format!("{head}{entry}{one}");
    assert!(problem(&cut).unwrap().starts_with("line 11: "));
    let refused = end.replace("0 Success", "4 Size limit exceeded");
    assert!(problem(&format!("{head}{entry}{refused}{one}")).is_some());

    let short = "version: 1\n\n#\n# LDAPv3\n#\n\n";
    let short_end = "# search result\n\n# numEntries: 1\n";
    let short_one = format!("{short}{entry}{short_end}");
    assert_eq!(problem(&format!("{short_one}{short_one}")), None);
    assert!(problem(&format!("{short}{entry}{short_one}")).is_some());
    assert!(problem(&format!("{head}{entry}version: 1\n\n{entry}")).is_some());

    let plain = "version: 1\n\ndn: cn=a\ncn: a\n\n";
    assert_eq!(problem(&format!("{plain}{plain}")), None);
    let cut = "version: 1\n\ndn: cn=a\ncn: a\n\n# b\nversion: 1\n\ndn: cn=b\ncn: b\n\n";
    assert!(problem(cut).unwrap().starts_with("line 7: "));
}

#[test]
fn pages_go_on_until_the_empty_cookie() {
    let page = |name: &str, cookie: &str| {
        format!("dn: cn={name}\ncn: {name}\n\n# pagedresults: cookie={cookie}\n")
    };
    let whole = page("a", "AgAA") + &page("b", "BAAA") + &page("c", "");
    assert_eq!(problem(&whole), None);
    assert_eq!(problem(&whole.replace("dn:", "version: 1\n\ndn:")), None);
    assert_eq!(problem(&format!("{whole}{whole}")), None);
    assert!(problem(&(page("a", "AgAA") + &page("b", "BAAA"))).is_some());
    assert!(problem(&(page("a", "AgAA") + "dn: cn=b\ncn: b\n\n")).is_some());
    assert!(problem(whole.trim_end()).is_some());

    let head = "# extended LDIF\n#\n# LDAPv3\n#\n\n";
    let page = |operation: u64, cookie: &str| {
        format!(
            "{head}dn: cn=a\ncn: a\n\n# search result\nsearch: {operation}\nresult: 0 Success\n\
             pagedresults: cookie={cookie}\n"
        )
    };
    let whole = page(2, "AgAA") + &page(3, "BAAA") + &page(4, "");
    assert_eq!(problem(&whole), None);
    assert_eq!(problem(&format!("{whole}{whole}")), None);
    let cut_between_pages = page(2, "AgAA") + &page(3, "BAAA") + &whole;
    assert!(problem(&cut_between_pages).is_some());
}

#[test]
fn references_elsewhere_do_not_matter() {
    let text = |url: &str| {
        format!("dn: cn=a\ncn: a\n\n# ref{url}\n\n")
            + &format!("# search reference\nref: {url}\n\n")
    };
    assert_eq!(problem(&text("ldap://x/dc=com??sub")), None);
    assert!(
        problem(&text("ldap://x/dc=sub,dc=edu??sub"))
            .unwrap()
            .contains("parts of the tree (2)")
    );
    assert!(problem(&text("ldap://x")).is_some());
}

#[test]
fn records_that_add_are_entries_or_values_of_one() {
    let (all, reader) = records(
        "dn: cn=a\nchangetype: add\ncn: a\nmember: x\n\n\
         dn: cn=a\nchangetype: modify\nadd: member\nmember: y\nmember:: eg==\n-\n\n",
    );
    let all = all.unwrap();
    let kinds: Vec<_> = all.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [RecordKind::Entry, RecordKind::Additions]);
    assert_eq!(all[1].entry.values("member").iter().count(), 2);
    assert_eq!(reader.problem(None, &[]), None);
    let cut = "dn: cn=a\nchangetype: modify\nadd: member\nmember: y\n\n";
    assert!(problem(cut).unwrap().contains("\"-\""));
}
