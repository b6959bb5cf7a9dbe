//! LIMITS: what a server takes at most (RFC 9422).

use alloc::{format, string::String};

/// The EHLO keyword.
pub const LIMITS: &str = "LIMITS";

/// A server's limits; `None`: not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// MAILMAX: transactions in one session.
    pub mail: Option<u32>,
    /// RCPTMAX: recipients of one transaction.
    pub rcpt: Option<u32>,
    /// RCPTDOMAINMAX: different domains of recipients in one session.
    pub rcpt_domain: Option<u32>,
}

/// The EHLO line with the recipient limit (R9422-4).
pub fn keyword(max_recipients: u32) -> String {
    format!("{LIMITS} RCPTMAX={max_recipients}")
}

/// Reads a server's line, given what follows the keyword (R9422-5). Unknown limits are passed
/// over; a malformed line tells nothing at all.
pub fn parse(parameters: &str) -> Option<Limits> {
    let mut limits = Limits::default();
    for word in parameters.split_ascii_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let slot = match name.to_ascii_uppercase().as_str() {
            "MAILMAX" => &mut limits.mail,
            "RCPTMAX" => &mut limits.rcpt,
            "RCPTDOMAINMAX" => &mut limits.rcpt_domain,
            other if is_name(other) => continue,
            _ => return None,
        };
        if slot.replace(limit(value)?).is_some() {
            return None;
        }
    }
    Some(limits)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// 1 to 6 digits, not zero.
fn limit(value: &str) -> Option<u32> {
    let digits = value.bytes().all(|octet| octet.is_ascii_digit()) && value.len() <= 6;
    let number = value.parse().ok().filter(|_| digits)?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r9422_4_the_line() {
        assert_eq!(keyword(1000), "LIMITS RCPTMAX=1000");
    }

    #[test]
    fn r9422_5_limits_are_read() {
        let all = Limits {
            mail: Some(20),
            rcpt: Some(100),
            rcpt_domain: Some(999_999),
        };
        assert_eq!(
            parse("MAILMAX=20 rcptmax=100 RCPTDOMAINMAX=999999 OTHER=x"),
            Some(all)
        );
        assert_eq!(parse(""), Some(Limits::default()));
    }

    #[test]
    fn r9422_5_a_malformed_line_is_ignored_as_a_whole() {
        for bad in [
            "RCPTMAX",
            "RCPTMAX=",
            "RCPTMAX=0",
            "RCPTMAX=1234567",
            "RCPTMAX=+5",
            "RCPTMAX=x",
            "MAILMAX=1 RCPTMAX=0",
            "RCPTMAX=1 RCPTMAX=2",
            "=1",
            "A(=1",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn r9422_5_any_text_does_no_harm(text: String) {
            let _ = parse(&text);
        }
    }
}
