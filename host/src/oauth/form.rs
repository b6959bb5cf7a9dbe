//! Requests to a token server: `application/x-www-form-urlencoded` (RFC 6749 appendix B), wiped
//! from memory after use.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The parameters of a request.
#[derive(Default)]
pub(crate) struct Form {
    fields: Vec<(&'static str, Value)>,
}

enum Value {
    Plain(String),
    Secret(SecretString),
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose_secret(),
        }
    }
}

impl Form {
    /// A request of this grant type (RFC 6749 section 4.4.2).
    pub(super) fn grant(grant_type: &str) -> Self {
        Self::default().with("grant_type", grant_type)
    }

    /// With this parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, Value::Plain(value.into())));
        self
    }

    /// With this parameter if there is a value; an empty one means the same as none (RFC 6749
    /// section 3.2).
    pub(super) fn with_some(self, name: &'static str, value: Option<&str>) -> Self {
        match value.filter(|value| !value.is_empty()) {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With this parameter, which nobody else may see.
    pub(crate) fn with_secret(mut self, name: &'static str, value: SecretString) -> Self {
        self.fields.push((name, Value::Secret(value)));
        self
    }

    /// All of it, encoded.
    pub(super) fn encoded(&self) -> Zeroizing<String> {
        // Room for the worst case: what grows moves, and leaves its octets behind.
        let most = self
            .fields
            .iter()
            .map(|(name, value)| name.len() + 3 * value.text().len() + 2)
            .sum();
        let mut text = Zeroizing::new(String::with_capacity(most));
        for (name, value) in &self.fields {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            encode(value.text(), &mut text);
        }
        text
    }

    /// `text` without this request's secrets, should the server have repeated one.
    pub(super) fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (_, value) in &self.fields {
            if let Value::Secret(secret) = value
                && !secret.expose_secret().is_empty()
            {
                text = text.replace(secret.expose_secret(), "***");
            }
        }
        text
    }
}

/// Appends `text` in the encoding of forms.
pub(super) fn encode(text: &str, to: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                to.push(char::from(octet));
            }
            b' ' => to.push('+'),
            _ => {
                to.push('%');
                to.push(char::from(DIGITS[usize::from(octet >> 4)]));
                to.push(char::from(DIGITS[usize::from(octet & 15)]));
            }
        }
    }
}

/// The opposite of `encode`, for the query of a redirect (RFC 6749 section 4.1.2); `None`: it is
/// not such a text.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            octet => octet,
        });
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_6749_appendix_b() {
        // U+0020, U+0025, U+0026, U+002B, U+00A3, U+20AC
        let mut text = String::new();
        encode(" %&+£€", &mut text);
        assert_eq!(text, "+%25%26%2B%C2%A3%E2%82%AC");
    }

    #[test]
    fn fields_are_in_order_and_empty_ones_are_left_out() {
        let form = Form::grant("client_credentials")
            .with_some("scope", Some("a b"))
            .with_some("state", Some(""))
            .with_secret("client_secret", SecretString::from("x&y"));
        assert_eq!(
            form.encoded().as_str(),
            "grant_type=client_credentials&scope=a+b&client_secret=x%26y"
        );
        assert_eq!(form.hidden("no such secret: x&y!"), "no such secret: ***!");
    }

    proptest! {
        #[test]
        fn what_is_encoded_can_be_decoded(text in ".*") {
            let mut encoded = String::new();
            encode(&text, &mut encoded);
            prop_assert!(encoded.bytes().all(|octet| octet.is_ascii_graphic()));
            prop_assert!(!encoded.contains(['&', '=']));
            prop_assert_eq!(decode(&encoded), Some(text));
        }

        #[test]
        fn nothing_breaks_the_decoder(text in "[%+0-9a-fA-F&=\u{e9}]*") {
            let _ = decode(&text);
        }
    }
}
