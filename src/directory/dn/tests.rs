use proptest::prelude::*;

use super::*;

fn normal(text: &str) -> String {
    Dn::parse(text).unwrap().as_str().to_owned()
}

/// The spellings that slapd, 389 DS and AD were seen to use for one name each.
#[test]
fn servers_spell_one_name_in_many_ways() {
    for spellings in [
        &[
            r"cn=Smith\2C John,dc=x",
            r"cn=Smith\, John,dc=x",
            r"CN=Smith\2c John, DC=X",
            r#"cn="Smith, John";dc=x"#,
            r"2.5.4.3=smith\,  john , 0.9.2342.19200300.100.1.25=x",
            r"commonName=Smith\, John,OID.0.9.2342.19200300.100.1.25=x",
            r"cn=#0C0B536D6974682C204A6F686E,dc=x",
        ] as &[&str],
        &[r"cn=Quote \22Q\22", r#"cn=quote \"Q\""#],
        &[r"cn=Plus \2B Sign", r"cn=plus \+ sign"],
        &[r"cn=\20lead", r"cn=\ lead", "cn=lead"],
        &[r"cn=trail\20,o=x", r"cn=trail\ ,o=x", "cn=trail,o=x"],
        &[r"cn=\23hash", r"cn=\#hash"],
        &[r"cn=semi\3Bcolon", r"cn=semi\;colon"],
        &[r"cn=a\3Db", "cn=a=b"],
        &["cn=X+uid=y,o=z", "uid=Y + cn=x , o=z"],
        &[r"cn=Zo\C3\AB", "cn=zoë", "CN=ZOË", "cn=zoe\u{308}"],
        &["cn=ΟΔΟΣ", "cn=οδος"],
        &["", " "],
    ] {
        for spelling in spellings {
            assert_eq!(normal(spelling), normal(spellings[0]), "{spelling}");
        }
    }
}

#[test]
fn different_names_stay_different() {
    for (a, b) in [
        (r"cn=a\,b", "cn=a,b=c"),
        (r"cn=a\+b=c", "cn=a+b=c"),
        (r"cn=\#04", "cn=#0402"),
        (r"cn=a\5c\2cb", r"cn=a\2cb"),
        ("cn=a,ou=b", "cn=a,o=b"),
        (r"cn=\ff", r"cn=\fe"),
        ("cn=", ""),
    ] {
        let (a, b) = (Dn::parse(a), Dn::parse(b));
        assert!(a != b, "{a:?} {b:?}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for text in [
        "ada",
        ",",
        "cn=a,",
        "cn=a,,o=b",
        "=a",
        "cn=a+b,o=c",
        r"cn=a\",
        r"cn=a\2",
        r#"cn="a"#,
        r#"cn="a"b"#,
        "cn=#",
        "cn=#0",
        "cn=#04xx",
        "c n=a",
    ] {
        assert_eq!(Dn::parse(text), Err(DnError), "{text}");
    }
}

#[test]
fn an_entry_is_under_its_base_and_not_under_a_lookalike() {
    let under =
        |name: &str, base: &str| Dn::parse(name).unwrap().is_under(&Dn::parse(base).unwrap());
    assert!(under("uid=a,OU=People,dc=x", "ou=people, dc=x"));
    assert!(under("ou=people,dc=x", "ou=people,dc=x"));
    assert!(under("uid=a", ""));
    assert!(!under("uid=a,ou=morepeople,dc=x", "ou=people,dc=x"));
    assert!(!under(r"uid=a\,ou=people", "ou=people"));
    assert!(under(r"uid=a\5c,ou=people", "ou=people"));
    assert!(!under("dc=x", "ou=people,dc=x"));
}

/// A text with each octet in hexadecimal.
fn escaped(text: &str) -> String {
    let octets = text.bytes().map(|byte| format!("\\{byte:02X}"));
    octets.collect::<Vec<_>>().concat()
}

/// A value, and one way to write it: each character as it is where that is allowed, with a
/// backslash, or in hexadecimal.
fn spelled() -> impl Strategy<Value = (String, String)> {
    let character = prop_oneof![
        8 => prop::char::range('a', 'z'),
        4 => prop::sample::select(vec![',', '+', '"', '\\', '<', '>', ';', '=', '#', ' ', 'ë', 'Ω']),
        1 => any::<char>().prop_filter("NUL", |c| *c != '\0'),
    ];
    prop::collection::vec((character, 0..3u8), 1..12).prop_map(|characters| {
        let mut value = String::new();
        let mut spelling = String::new();
        for (c, way) in characters {
            value.push(c);
            let special = matches!(
                c,
                ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#' | ' '
            );
            if special && way == 0 {
                spelling.push('\\');
                spelling.push(c);
            } else if special || way == 1 {
                spelling.push_str(&escaped(&c.to_string()));
            } else {
                spelling.push(c);
            }
        }
        (value, spelling)
    })
}

proptest! {
    #[test]
    fn any_escaping_of_a_value_is_the_same_name((value, spelling) in spelled()) {
        let hex = escaped(&value);
        prop_assert_eq!(
            Dn::parse(&format!("cn={spelling},dc=x")),
            Dn::parse(&format!("CN = {hex} , DC=X"))
        );
    }

    #[test]
    fn the_normal_form_is_its_own_normal_form((_, spelling) in spelled()) {
        let once = Dn::parse(&format!("cn={spelling}+uid=b,dc=x")).unwrap();
        prop_assert_eq!(&Dn::parse(once.as_str()).unwrap(), &once);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        if let Ok(name) = Dn::parse(&text) {
            prop_assert_eq!(&Dn::parse(name.as_str()).unwrap(), &name);
        }
    }

    #[test]
    fn no_text_of_special_characters_makes_it_panic(text in r#"[ac=,;+"\\# 0-9ë]{0,24}"#) {
        if let Ok(name) = Dn::parse(&text) {
            prop_assert_eq!(&Dn::parse(name.as_str()).unwrap(), &name);
        }
    }

    #[test]
    fn the_fast_path_agrees_with_the_parser(text in "[a-zA-Z]{1,6} ?= ?[ a-zA-Z0-9.@-]{0,9}(, ?(ou|OU|dc)=[a-z ]{0,6}){0,2}") {
        if let Some(fast) = plain(&text) {
            prop_assert_eq!(Ok(fast), Parser::new(&text).name());
        }
    }
}
