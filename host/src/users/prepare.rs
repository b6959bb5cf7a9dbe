//! SASLprep (RFC 4013; R4954-4-o): names and passwords that look the same are the same, whoever
//! typed them on whatever keyboard.

use zeroize::Zeroizing;

/// A name as it is compared (but for case); `None`: it has characters that no name may have, or
/// nothing is left of it.
pub fn name(text: &str) -> Option<String> {
    match stringprep::saslprep(text) {
        Ok(prepared) if !prepared.is_empty() => Some(prepared.into_owned()),
        _ => None,
    }
}

/// A password as SCRAM and PLAIN compare it; `None`: it has characters that SCRAM cannot carry, or
/// nothing is left of it.
pub fn password(text: &str) -> Option<Zeroizing<String>> {
    match stringprep::saslprep(text) {
        Ok(prepared) if !prepared.is_empty() => Some(Zeroizing::new(prepared.into_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r4954_4_o_names_and_passwords_are_prepared() {
        // RFC 4013 section 3.
        for (text, prepared) in [
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}1", None),
            ("\u{ad}", None),
            ("", None),
        ] {
            assert_eq!(name(text).as_deref(), prepared, "{text:?}");
            let password = password(text);
            assert_eq!(password.as_ref().map(|p| p.as_str()), prepared, "{text:?}");
        }
        // Composed and decomposed are one (NFKC).
        assert_eq!(name("u\u{308}"), Some("\u{fc}".to_owned()));
    }
}
