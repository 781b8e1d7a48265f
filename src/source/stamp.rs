//! Time stamps as directories write them (generalized time: RFC 4517, section 3.3.13).

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// Reads a time stamp and drops its fraction, in Unix seconds. `None` where it is none.
///
/// `20261121205735Z`, `20261121205020.0Z` (Active Directory), `202611212157,5+0100`.
pub(super) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let zone_at = text.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = text.split_at_checked(zone_at)?;
    let (digits, fraction) = match clock.split_once(['.', ',']) {
        Some((digits, fraction)) => (digits, Some(fraction)),
        None => (clock, None),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i8>().ok();
    let year: i16 = digits.get(..4)?.parse().ok()?;
    let (month, day, hour) = (number(4, 6)?, number(6, 8)?, number(8, 10)?);
    let (minute, second, unit) = match digits.len() {
        10 => (0, 0, 3600),
        12 => (number(10, 12)?, 0, 60),
        // A leap second is the last one of its minute to us.
        14 => (number(10, 12)?, number(12, 14)?.min(59), 1),
        _ => return None,
    };
    // A fraction is one of the last unit given.
    let extra = match fraction {
        None => 0,
        Some(fraction) => share_of(fraction, unit)?,
    };
    let local = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let utc = local.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(utc.as_second() + extra - offset(zone)?)
}

fn share_of(fraction: &str, unit: i64) -> Option<i64> {
    let digits = fraction.get(..fraction.len().min(9))?;
    let value: i64 = digits.parse().ok().filter(|value| *value >= 0)?;
    Some(value * unit / 10_i64.pow(u32::try_from(digits.len()).ok()?))
}

fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' | b'z' => return (zone.len() == 1).then_some(0),
        b'-' => -1,
        _ => 1,
    };
    let digits = zone.get(1..)?;
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..4).map_or(Some(0), |m| m.parse().ok())?;
    Some(sign * (hours * 3600 + minutes * 60))
}

/// Writes a time stamp in the form that every server takes in a filter: `20261121205735Z`.
pub(super) fn write(seconds: i64) -> String {
    let at = Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_secs(seconds));
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH).max(year_zero());
    at.strftime("%Y%m%d%H%M%SZ").to_string()
}

/// Years of four digits are all that the form can hold.
fn year_zero() -> Timestamp {
    Timestamp::from_second(-62_167_219_200).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_that_servers_use_is_read() {
        let noon = parse("20261121120000Z").unwrap();
        assert_eq!(noon, 1_795_262_400);
        for same in [
            "20261121120000.0Z",
            "20261121120000.999Z",
            "20261121120000,5Z",
            "202611211200Z",
            "2026112112Z",
            "20261121130000+01",
            "20261121063000-0530",
        ] {
            assert_eq!(parse(same), Some(noon), "{same}");
        }
        assert_eq!(parse("2026112112.5Z"), Some(noon + 1800));
        assert_eq!(parse("202611211200.5Z"), Some(noon + 30));
        assert_eq!(write(noon), "20261121120000Z");
    }

    #[test]
    fn what_is_no_stamp_is_refused() {
        for text in [
            "",
            "Z",
            "2026",
            "20261121",
            "20261321120000Z",
            "20261121120000",
            "20261121120000.xZ",
            "20261121120000+1",
            "20261121120000.Z",
            "é0261121120000Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
