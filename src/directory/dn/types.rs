//! The several names of one attribute type (RFC 4519).

/// The short name of an attribute type given in lower case: `cn` for `commonname` and for `2.5.4.3`.
/// Names that have no shorter one are returned as they are.
pub(crate) fn short_name(name: &str) -> &str {
    match name {
        "commonname" | "2.5.4.3" => "cn",
        "surname" | "2.5.4.4" => "sn",
        "2.5.4.5" => "serialnumber",
        "countryname" | "2.5.4.6" => "c",
        "localityname" | "2.5.4.7" => "l",
        "stateorprovincename" | "2.5.4.8" => "st",
        "streetaddress" | "2.5.4.9" => "street",
        "organizationname" | "2.5.4.10" => "o",
        "organizationalunitname" | "2.5.4.11" => "ou",
        "2.5.4.12" => "title",
        "gn" | "2.5.4.42" => "givenname",
        "userid" | "0.9.2342.19200300.100.1.1" => "uid",
        "rfc822mailbox" | "0.9.2342.19200300.100.1.3" => "mail",
        "domaincomponent" | "0.9.2342.19200300.100.1.25" => "dc",
        "e" | "emailaddress" | "pkcs9email" | "1.2.840.113549.1.9.1" => "email",
        other => other,
    }
}
