//! Making a Kaltura session (KS, version 2) on this side.
//!
//! *Its one idea: the secret signs, and never travels.* A session is the account's number and an
//! encrypted list of privileges; who holds the administrator secret can write one.

use aes::Aes128;
use aes::cipher::{Block, BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};

const RANDOM_BYTES: usize = 16;

/// What a session says.
#[derive(Debug, Clone)]
pub(super) struct Claims<'a> {
    /// The account.
    pub(super) partner_id: i64,
    /// In whose name.
    pub(super) user_id: &'a str,
    /// 2 for an administrator's session.
    pub(super) kind: u8,
    /// When it ends, in Unix seconds by the server's clock.
    pub(super) expiry: i64,
    /// `name` or `name:value`, with commas between.
    pub(super) privileges: &'a str,
}

/// Writes a session.
pub(super) fn sign(claims: &Claims<'_>, secret: &SecretString) -> SecretString {
    // It need not be secret: it only keeps two sessions with the same claims from looking alike.
    let mut random = [0; RANDOM_BYTES];
    fastrand::fill(&mut random);
    sign_with(claims, secret, random)
}

fn sign_with(
    claims: &Claims<'_>,
    secret: &SecretString,
    random: [u8; RANDOM_BYTES],
) -> SecretString {
    let mut signed = random.to_vec();
    signed.extend_from_slice(fields(claims).as_bytes());
    let mut clear = Sha1::digest(&signed).to_vec();
    clear.extend_from_slice(&signed);

    let digest = Sha1::digest(secret.expose_secret().as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    // The initial vector is sixteen zero bytes: the random part in front does its work.
    let mut cipher = cbc::Encryptor::<Aes128>::new(&key.into(), &[0; 16].into());

    let mut session = format!("v2|{}|", claims.partner_id).into_bytes();
    for part in clear.chunks(16) {
        // The last one is filled up with zeros; a whole one needs no filling.
        let mut block = Block::<Aes128>::default();
        block[..part.len()].copy_from_slice(part);
        cipher.encrypt_block(&mut block);
        session.extend_from_slice(&block);
    }
    URL_SAFE.encode(session).into()
}

/// The fields in the order in which the server writes them: privileges, expiry, type, user.
fn fields(claims: &Claims<'_>) -> String {
    let mut fields = form_urlencoded::Serializer::new(String::new());
    for privilege in claims
        .privileges
        .split(',')
        .map(str::trim)
        .filter(|p| !p.is_empty())
    {
        let privilege = if privilege == "*" { "all:*" } else { privilege };
        let (name, value) = privilege.split_once(':').unwrap_or((privilege, ""));
        fields.append_pair(name, value);
    }
    fields
        .append_pair("_e", &claims.expiry.to_string())
        .append_pair("_t", &claims.kind.to_string())
        .append_pair("_u", claims.user_id)
        .finish()
        // PHP's http_build_query escapes the asterisk, the WHATWG form encoding does not.
        .replace('*', "%2A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ks(claims: &Claims<'_>, secret: &str, random: [u8; 16]) -> String {
        sign_with(claims, &secret.into(), random)
            .expose_secret()
            .to_owned()
    }

    #[test]
    fn the_documented_vector() {
        let claims = Claims {
            partner_id: 101,
            user_id: "sync-daemon@example.org",
            kind: 2,
            expiry: 1_900_000_000,
            privileges: "disableentitlement",
        };
        let random = std::array::from_fn(|n| u8::try_from(n).unwrap());
        assert_eq!(
            ks(&claims, "0123456789abcdef0123456789abcdef", random),
            "djJ8MTAxfFrtYJRRp0EGQ4_LZREXbAHf8f7SvMBhBJu2K-jZR9iKUKP_IuEQLWx545IFFoVbklvLDGCUlj7hzHe3nJvftC8RGph77-ZiRG8-tXaa7_2Kgw_n4zy-IQ9DRpmLBVNTEA3PCMINkZkUvsE9Tb7k_Xc="
        );
    }

    /// Made by the real server's own generator (`kSessionBase::generateKsV2`).
    #[test]
    fn the_servers_vectors() {
        let vectors: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../tests/fixtures/client/ks-vectors.json"))
                .unwrap();
        assert!(vectors.len() > 4);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let claims = Claims {
                partner_id: vector["partnerId"].as_i64().unwrap(),
                user_id: text("userId"),
                kind: u8::try_from(vector["type"].as_u64().unwrap()).unwrap(),
                expiry: vector["expiryUnix"].as_i64().unwrap(),
                privileges: text("privileges"),
            };
            assert_eq!(fields(&claims), text("v2_fields"));
            let hex = text("v2_random_hex");
            let random =
                std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap());
            assert_eq!(ks(&claims, text("secret"), random), text("v2"));
        }
    }

    #[test]
    fn a_session_cannot_be_printed() {
        let claims = Claims {
            partner_id: 1,
            user_id: "u",
            kind: 2,
            expiry: 1,
            privileges: "",
        };
        assert!(!format!("{:?}", sign(&claims, &"secret".into())).contains("djJ8"));
    }
}
