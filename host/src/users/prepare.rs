//! SASLprep (RFC 4013): names and passwords that look alike become alike.
//!
//! The mechanisms of the component pass on what the peer sent; here it is prepared before a user is
//! looked up and before a verifier is derived or compared (RFC 4616 section 2, RFC 5802 section
//! 5.1, RFC 4954 section 4). Not for NTLM, which has rules of its own, nor for what is no UTF-8:
//! old devices send passwords in Latin-1 (XLOGIN-2-c), which argon2id takes as octets.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// Why a text cannot be prepared. It says nothing of the text: that may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unprepared {
    /// Nothing is left of it.
    #[error(
        "it is empty, or has only characters that are mapped to nothing (RFC 4013 section 2.1)"
    )]
    Empty,
    /// Prohibited output, mixed directions, or a code point that Unicode 3.2 does not have.
    #[error("it has characters that RFC 4013 prohibits (sections 2.3 to 2.5)")]
    Prohibited,
}

/// The text, prepared. ASCII without controls stays as it is.
///
/// Unassigned code points are refused in queries too: as no stored name or password has one, a
/// query that does fits nothing (RFC 3454 section 7).
///
/// # Errors
///
/// It cannot be prepared: nobody has this name or this password (R4954-4-o: 535).
pub fn prepared(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    match stringprep::saslprep(text) {
        Ok(prepared) if prepared.is_empty() => Err(Unprepared::Empty),
        Ok(prepared) => Ok(prepared),
        Err(_) => Err(Unprepared::Prohibited),
    }
}

/// A name as it is compared (but for case); `None`: nobody has it.
pub fn name(text: &str) -> Option<String> {
    prepared(text).ok().map(Cow::into_owned)
}

/// A password as SCRAM and PLAIN compare it; `None`: SCRAM cannot carry it.
pub fn password(text: &str) -> Option<Zeroizing<String>> {
    prepared(text)
        .ok()
        .map(|prepared| Zeroizing::new(prepared.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4013 section 3.
    #[test]
    fn r4954_4_o_published_examples() {
        for (text, expected) in [
            ("I\u{ad}X", Ok("IX")),
            ("user", Ok("user")),
            ("USER", Ok("USER")),
            ("\u{aa}", Ok("a")),
            ("\u{2168}", Ok("IX")),
            ("\u{7}", Err(Unprepared::Prohibited)),
            ("\u{627}\u{31}", Err(Unprepared::Prohibited)),
        ] {
            assert_eq!(prepared(text), expected.map(Cow::Borrowed), "{text:?}");
        }
    }

    #[test]
    fn r4954_4_o_each_rule_of_rfc_4013() {
        for (text, expected) in [
            // Section 2.1: other spaces become SPACE; some characters nothing.
            ("a\u{a0}b", Ok("a b")),
            ("a\u{200d}b", Ok("ab")),
            // Section 2.2: NFKC, so that one way to type an umlaut is the other.
            ("ju\u{308}rgen", Ok("j\u{fc}rgen")),
            // Section 2.3: private use, replacement character, tags, controls.
            ("a\u{e000}", Err(Unprepared::Prohibited)),
            ("a\u{fffd}", Err(Unprepared::Prohibited)),
            ("a\u{e0001}", Err(Unprepared::Prohibited)),
            ("a\u{0}", Err(Unprepared::Prohibited)),
            ("a\u{7f}", Err(Unprepared::Prohibited)),
            // Section 2.4: right-to-left from end to end, or not at all.
            ("\u{5d0}\u{5d1}", Ok("\u{5d0}\u{5d1}")),
            ("\u{5d0}1\u{5d1}", Ok("\u{5d0}1\u{5d1}")),
            ("\u{5d0}a\u{5d1}", Err(Unprepared::Prohibited)),
            ("1\u{5d0}", Err(Unprepared::Prohibited)),
            // Section 2.5: Unicode 3.2 has no such code point.
            ("\u{221}", Err(Unprepared::Prohibited)),
            ("\u{1f600}", Err(Unprepared::Prohibited)),
            ("", Err(Unprepared::Empty)),
            ("\u{ad}", Err(Unprepared::Empty)),
        ] {
            assert_eq!(prepared(text), expected.map(Cow::Borrowed), "{text:?}");
        }
    }

    #[test]
    fn r4954_4_o_what_is_prepared_stays() {
        for text in [
            "I\u{ad}X",
            "\u{2168}",
            "ju\u{308}rgen",
            "a\u{a0}b",
            " a ",
            "\u{5d0}",
        ] {
            let once = prepared(text).unwrap();
            assert_eq!(prepared(&once), Ok(Cow::Borrowed(&*once)));
        }
    }
}
