//! The GS2 header, and names in it and in SCRAM (RFC 5801 section 4, RFC 5802 sections 5.1 and 7).

use alloc::string::String;

/// The name with its commas and equals signs escaped.
pub(super) fn escaped(name: &str) -> String {
    // `=` first: the other escape has one.
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The name that was escaped: not empty, no NUL, and no `=` but of the two escapes.
pub(super) fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = String::from(parts.next()?);
    for part in parts {
        // RFC 5802 section 5.1: any other escape fails the authentication.
        let (escape, rest) = part.split_at_checked(2)?;
        plain.push(match escape {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        plain.push_str(rest);
    }
    (!plain.is_empty() && !plain.contains('\0')).then_some(plain)
}

/// What the client says of channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding<'a> {
    /// `n`: it cannot bind.
    Unsupported,
    /// `y`: it could, and believes that we cannot.
    NotOffered,
    /// `p=`: it binds, in this way.
    Bound(&'a str),
}

/// gs2-header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// gs2-cb-flag.
    pub binding: Binding<'a>,
    /// gs2-authzid, or empty.
    pub authorization: String,
    /// All of it, with its last comma.
    pub text: &'a str,
}

impl<'a> Header<'a> {
    /// The header at the front of a message, and what follows it.
    pub fn parse(message: &'a str) -> Option<(Self, &'a str)> {
        let mut parts = message.splitn(3, ',');
        let (flag, authorization, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let binding = match flag {
            "n" => Binding::Unsupported,
            "y" => Binding::NotOffered,
            // `F,` is for mechanisms of GSS-API.
            _ => Binding::Bound(flag.strip_prefix("p=").filter(|name| is_name(name))?),
        };
        let authorization = match authorization {
            "" => String::new(),
            // saslname holds a character at least.
            named => unescaped(named.strip_prefix("a=")?)?,
        };
        let text = message.strip_suffix(rest)?;
        let header = Self {
            binding,
            authorization,
            text,
        };
        Some((header, rest))
    }
}

/// cb-name.
fn is_name(name: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-');
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r5802_5_a_commas_and_equals_signs_are_escaped() {
        assert_eq!(escaped("a=b,c=2C"), "a=3Db=2Cc=3D2C");
        assert_eq!(escaped("jürgen"), "jürgen");
    }

    #[test]
    fn r5802_5_a_other_escapes_are_none() {
        assert_eq!(unescaped("a=3Db=2Cc=3D2C").as_deref(), Some("a=b,c=2C"));
        assert_eq!(unescaped("jürgen").as_deref(), Some("jürgen"));
        for bad in ["", "a=", "a=3", "a=3d", "a=2c", "a=41", "=", "a=ä", "a\0"] {
            assert_eq!(unescaped(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn r5802_5_a_header_is_flag_and_identity() {
        let parsed = |message| {
            Header::parse(message).map(|(header, rest)| {
                (
                    header.binding,
                    header.authorization,
                    String::from(header.text),
                    String::from(rest),
                )
            })
        };
        let owned = String::from;
        let expected = (
            Binding::Unsupported,
            owned(""),
            owned("n,,"),
            owned("n=user,r=x"),
        );
        assert_eq!(parsed("n,,n=user,r=x"), Some(expected));
        let expected = (
            Binding::Bound("tls-server-end-point"),
            owned("a,b"),
            owned("p=tls-server-end-point,a=a=2Cb,"),
            owned(""),
        );
        assert_eq!(parsed("p=tls-server-end-point,a=a=2Cb,"), Some(expected));
        let expected = (Binding::NotOffered, owned(""), owned("y,,"), owned(","));
        assert_eq!(parsed("y,,,"), Some(expected));
        for bad in [
            "",
            "n",
            "n,",
            "n=user",
            "N,,",
            "x,,",
            "p,,",
            "p=,,",
            "p=tls_x,,",
            "F,n,,",
            "n,a=,",
            "n,user,",
            "n,n=user,r=x",
            "n,a=a=b,",
            " n,,",
        ] {
            assert_eq!(parsed(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn r5802_5_a_what_is_escaped_comes_back(name in "[^\0]{1,20}") {
            let escaped = escaped(&name);
            prop_assert!(!escaped.contains(','));
            prop_assert_eq!(unescaped(&escaped), Some(name));
        }

        #[test]
        fn r5802_5_a_any_header_is_the_front_of_its_message(message in "[nyp]?=?[a-z,=2C]{0,12}") {
            if let Some((header, rest)) = Header::parse(&message) {
                prop_assert_eq!(alloc::format!("{}{rest}", header.text), message.clone());
            }
        }
    }
}
