//! Kaltura's session strings, read and written.
//!
//! *Its one idea: a KS is proof, not a ticket*: whoever knows the account's admin secret can make
//! one, and the server believes it because it verifies, not because it remembers.
//!
//! | version | text |
//! |---|---|
//! | 1 | base64(hex(sha1(secret ‖ info)) `\|` info), info = `partner;partner;expiry;type;random;user;privileges;master;data` |
//! | 2 | base64url(`v2\|partner\|` ‖ AES-128-CBC(sha1(random ‖ fields) ‖ random ‖ fields)), key = sha1(secret)[..16], IV 0, zero padding |
//!
//! (`alpha/apps/kaltura/lib/request/kSessionBase.class.php`; the tests hold vectors made by it.)

use aes::Aes128;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a session string says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ks {
    /// The account.
    pub partner_id: i64,
    /// The user it speaks for; empty for none.
    pub user_id: String,
    /// 0 for a user, 2 for an administrator.
    pub kind: i64,
    /// When it ends, in unix seconds.
    pub expiry: i64,
    /// The privileges as `session.start` takes them: `a,b:v`.
    pub privileges: String,
}

impl Ks {
    /// The account a session string claims to be of, before anything is verified.
    pub fn claimed_partner(text: &str) -> Option<i64> {
        let raw = decode(text)?;
        let head = if let Some(rest) = raw.strip_prefix(b"v2|") {
            rest.split(|b| *b == b'|').next()?
        } else {
            let info = raw.splitn(2, |b| *b == b'|').nth(1)?;
            info.split(|b| *b == b';').next()?
        };
        std::str::from_utf8(head).ok()?.parse().ok()
    }

    /// Reads a session string; nothing when it does not verify with this secret.
    pub fn open(text: &str, secret: &str) -> Option<Self> {
        let raw = decode(text)?;
        match raw.strip_prefix(b"v2|") {
            Some(rest) => Self::open_v2(rest, secret),
            None => Self::open_v1(&raw, secret),
        }
    }

    fn open_v2(rest: &[u8], secret: &str) -> Option<Self> {
        let bar = rest.iter().position(|b| *b == b'|')?;
        let partner_id = std::str::from_utf8(&rest[..bar]).ok()?.parse().ok()?;
        let mut body = rest[bar + 1..].to_vec();
        let clear = cbc::Decryptor::<Aes128>::new_from_slices(&key(secret), &[0; 16])
            .ok()?
            .decrypt_padded::<NoPadding>(&mut body)
            .ok()?;
        let end = clear.iter().rposition(|b| *b != 0)? + 1;
        let (proof, signed) = clear[..end].split_at_checked(20)?;
        if Sha1::digest(signed)[..] != *proof {
            return None;
        }
        let mut ks = Self {
            partner_id,
            user_id: String::new(),
            kind: 0,
            expiry: 0,
            privileges: String::new(),
        };
        let mut privileges = Vec::new();
        for (name, value) in form_urlencoded::parse(signed.get(16..)?) {
            match name.as_ref() {
                "_e" => ks.expiry = value.parse().ok()?,
                "_t" => ks.kind = value.parse().ok()?,
                "_u" => ks.user_id = value.into_owned(),
                "_m" | "_d" => {}
                "all" if value == "*" => privileges.push("*".to_owned()),
                _ if value.is_empty() => privileges.push(name.into_owned()),
                _ => privileges.push(format!("{name}:{value}")),
            }
        }
        ks.privileges = privileges.join(",");
        Some(ks)
    }

    fn open_v1(raw: &[u8], secret: &str) -> Option<Self> {
        let text = std::str::from_utf8(raw).ok()?;
        let (proof, info) = text.split_once('|')?;
        if hex(&Sha1::digest(format!("{secret}{info}"))) != proof {
            return None;
        }
        let fields: Vec<&str> = info.split(';').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        Some(Self {
            partner_id: field(0).parse().ok()?,
            expiry: field(2).parse().ok()?,
            kind: field(3).parse().ok()?,
            user_id: field(5).to_owned(),
            privileges: field(6).to_owned(),
        })
    }

    /// Writes a session string of version 2 with these random bytes.
    pub fn seal(&self, secret: &str, random: [u8; 16]) -> String {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        for privilege in self.privileges.split(',').map(str::trim) {
            match privilege.split_once(':') {
                _ if privilege.is_empty() => {}
                _ if privilege == "*" => _ = fields.append_pair("all", "*"),
                Some((name, value)) => _ = fields.append_pair(name, value),
                None => _ = fields.append_pair(privilege, ""),
            }
        }
        fields.append_pair("_e", &self.expiry.to_string());
        fields.append_pair("_t", &self.kind.to_string());
        fields.append_pair("_u", &self.user_id);
        // PHP's `http_build_query` escapes the asterisk, the WHATWG serialiser does not.
        let fields = fields.finish().replace('*', "%2A");

        let signed = [&random[..], fields.as_bytes()].concat();
        let mut body = [&Sha1::digest(&signed)[..], &signed].concat();
        body.resize(body.len().next_multiple_of(16), 0);
        let length = body.len();
        if let Ok(cipher) = cbc::Encryptor::<Aes128>::new_from_slices(&key(secret), &[0; 16]) {
            // Cannot fail: the body was padded to whole blocks above.
            _ = cipher.encrypt_padded::<NoPadding>(&mut body, length);
        }
        let whole = [format!("v2|{}|", self.partner_id).as_bytes(), &body].concat();
        LENIENT.encode(whole).replace('+', "-").replace('/', "_")
    }

    /// Writes a session string of version 1 with this random text.
    pub fn seal_v1(&self, secret: &str, random: &str) -> String {
        let info = format!(
            "{partner};{partner};{};{};{random};{};{};;",
            self.expiry,
            self.kind,
            self.user_id,
            self.privileges,
            partner = self.partner_id,
        );
        let proof = hex(&Sha1::digest(format!("{secret}{info}")));
        LENIENT.encode(format!("{proof}|{info}"))
    }

    /// The value of a privilege; an empty text when it has none.
    pub fn privilege(&self, name: &str) -> Option<&str> {
        self.privileges.split(',').map(str::trim).find_map(|one| {
            let (key, value) = one.split_once(':').unwrap_or((one, ""));
            (key == name).then_some(value)
        })
    }
}

fn key(secret: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha1::digest(secret)[..16]);
    key
}

fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT
        .decode(text.replace('-', "+").replace('_', "/"))
        .ok()
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "dbd0c6d82cd6ad045446f28fc70c8bc9";
    const RANDOM: [u8; 16] = [
        0xe2, 0xe5, 0x1d, 0x81, 0xa4, 0xa9, 0xfe, 0x7e, 0x65, 0x22, 0x1d, 0x01, 0x76, 0x71, 0x3b,
        0x8e,
    ];

    fn ks(user: &str, kind: i64, privileges: &str) -> Ks {
        Ks {
            partner_id: 103,
            user_id: user.to_owned(),
            kind,
            expiry: 2_000_000_000,
            privileges: privileges.to_owned(),
        }
    }

    /// The vectors of recording 19, made by the real server's own class.
    fn vectors() -> Vec<(Ks, String, String)> {
        let text = include_str!("../../tests/fixtures/kaltura/19-ks-vectors.json");
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        file["vectors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| {
                let text = |name: &str| v[name].as_str().unwrap().to_owned();
                let ks = ks(
                    &text("userId"),
                    v["type"].as_i64().unwrap(),
                    &text("privileges"),
                );
                (ks, text("v2"), text("v1"))
            })
            .collect()
    }

    #[test]
    fn every_recorded_vector_is_written_byte_for_byte() {
        for (ks, v2, v1) in vectors() {
            assert_eq!(ks.seal(SECRET, RANDOM), v2, "{ks:?}");
            assert_eq!(ks.seal_v1(SECRET, "0.5"), v1, "{ks:?}");
        }
    }

    #[test]
    fn every_recorded_vector_is_read() {
        for (ks, v2, v1) in vectors() {
            assert_eq!(Ks::open(&v2, SECRET).as_ref(), Some(&ks));
            assert_eq!(Ks::open(&v1, SECRET).as_ref(), Some(&ks));
            assert_eq!(Ks::claimed_partner(&v2), Some(103));
            assert_eq!(Ks::claimed_partner(&v1), Some(103));
        }
    }

    #[test]
    fn another_secret_opens_nothing() {
        for (_, v2, v1) in vectors() {
            assert_eq!(Ks::open(&v2, "other"), None);
            assert_eq!(Ks::open(&v1, "other"), None);
        }
    }

    #[test]
    fn garbage_is_no_session() {
        for text in ["", "garbage", "djJ8", "djJ8MTAzfA==", "%%%"] {
            assert_eq!(Ks::open(text, SECRET), None, "{text}");
        }
    }

    #[test]
    fn a_privilege_has_its_value() {
        let ks = ks("", 2, "disableentitlement, setrole:7,uri:a:b");
        assert_eq!(ks.privilege("disableentitlement"), Some(""));
        assert_eq!(ks.privilege("setrole"), Some("7"));
        assert_eq!(ks.privilege("uri"), Some("a:b"));
        assert_eq!(ks.privilege("enableentitlement"), None);
    }
}
