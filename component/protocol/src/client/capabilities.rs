//! What the server says it can do: the reply to EHLO or LHLO (RFC 5321 section 4.1.1.1).

use crate::contract::{Mechanism, Reply, client::Offer};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};

/// The keywords of one EHLO reply, and the parameters that we read. Empty after HELO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Keywords in upper case, each once, in the server's order.
    keywords: Vec<String>,
    /// Names of the AUTH lines in upper case, each once.
    mechanisms: Vec<String>,
    /// SIZE (RFC 1870 section 3), if it is a limit.
    pub max_size: Option<u64>,
    /// LIMITS (RFC 9422).
    pub limits: Limits,
}

/// Mechanisms that are remembered: a server that lists thousands costs no more than one that lists
/// all there are.
const MOST_MECHANISMS: usize = 64;

/// Limits of a session (RFC 9422 section 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// RCPTMAX: recipients of a transaction.
    pub recipients: Option<u32>,
    /// MAILMAX: transactions of a session.
    pub messages: Option<u32>,
    /// RCPTDOMAINMAX: domains among the recipients of a transaction.
    pub domains: Option<u32>,
}

impl Capabilities {
    /// Reads the lines after the first, which is the greeting (CL-caps).
    pub fn read(reply: &Reply) -> Self {
        let mut capabilities = Self::default();
        for line in reply.lines.iter().skip(1) {
            capabilities.line(line);
        }
        capabilities
    }

    fn line(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { return };
        // CL-caps: old servers write `AUTH=LOGIN PLAIN`, many beside the line of RFC 4954.
        let (keyword, glued) = match first.split_once('=') {
            Some((keyword, value)) if keyword.eq_ignore_ascii_case("AUTH") => {
                (keyword, Some(value))
            }
            _ => (first, None),
        };
        if !is_keyword(keyword) {
            return;
        }
        let keyword = keyword.to_ascii_uppercase();
        let mut parameters = glued
            .into_iter()
            .chain(words)
            .filter(|word| !word.is_empty());
        match keyword.as_str() {
            "AUTH" => {
                for name in parameters.filter(|name| is_mechanism(name)) {
                    if self.mechanisms.len() < MOST_MECHANISMS {
                        add(&mut self.mechanisms, name.to_ascii_uppercase());
                    }
                }
            }
            // R1870-4: 0 and no number are no limit that could be checked.
            "SIZE" => {
                self.max_size = parameters
                    .next_back()
                    .and_then(|limit| limit.parse().ok())
                    .filter(|&limit| limit > 0);
            }
            // R9422-5: a malformed line is ignored as a whole.
            "LIMITS" => self.limits = Limits::read(parameters).unwrap_or_default(),
            _ => {}
        }
        add(&mut self.keywords, keyword);
    }

    /// Whether this keyword was listed; `keyword` in upper case.
    pub fn has(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|listed| listed == keyword)
    }

    /// Whether an AUTH line names this mechanism.
    pub fn has_mechanism(&self, mechanism: Mechanism) -> bool {
        self.mechanisms.iter().any(|name| name == mechanism.name())
    }

    /// The names on the AUTH lines, for a report.
    pub fn mechanisms(&self) -> String {
        self.mechanisms.join(" ")
    }

    /// What the host may know before it submits.
    pub fn offer(&self) -> Offer {
        Offer {
            max_size: self.max_size,
            max_recipients: self.limits.recipients,
            max_messages: self.limits.messages,
            extensions: self.keywords.clone(),
        }
    }
}

impl Limits {
    fn read<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut limits = Self::default();
        for parameter in parameters {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (parameter, None),
            };
            let limit = match name.to_ascii_uppercase().as_str() {
                "RCPTMAX" => &mut limits.recipients,
                "MAILMAX" => &mut limits.messages,
                "RCPTDOMAINMAX" => &mut limits.domains,
                // RFC 9422 section 3: limits that are not known are ignored.
                _ => continue,
            };
            // RFC 9422 section 4: one to six digits, the first not zero.
            let value = value.filter(|value| {
                (1..=6).contains(&value.len())
                    && value.bytes().all(|octet| octet.is_ascii_digit())
                    && !value.starts_with('0')
            })?;
            *limit = Some(value.parse().ok()?);
        }
        Some(limits)
    }
}

/// RFC 4422 section 3.1: sasl-mech, in any case.
fn is_mechanism(word: &str) -> bool {
    word.len() <= 20
        && word
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// RFC 5321 section 4.1.1.1: ehlo-keyword.
fn is_keyword(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphanumeric())
        && word
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

fn add(list: &mut Vec<String>, word: impl ToString) {
    let word = word.to_string();
    if !list.contains(&word) {
        list.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn cl_caps_thousands_of_names_cost_little_and_controls_are_no_name() {
        let names: Vec<String> = (0..1_000)
            .map(|number| alloc::format!("M{number}"))
            .collect();
        let line = alloc::format!("AUTH \u{1b}]0;X\u{7} LOGIN {}", names.join(" "));
        let capabilities = read(&vec![line.as_str(); 127]);
        assert!(capabilities.has_mechanism(Mechanism::Login));
        assert_eq!(capabilities.mechanisms.len(), MOST_MECHANISMS);
        assert!(!capabilities.mechanisms().contains('\u{1b}'));
    }

    fn read(lines: &[&str]) -> Capabilities {
        let mut all = vec!["mail.example.org greets you".to_string()];
        all.extend(lines.iter().map(ToString::to_string));
        Capabilities::read(&Reply {
            code: 250,
            status: None,
            lines: all,
        })
    }

    #[test]
    fn cl_caps_keywords_are_read_in_any_case_and_unknown_ones_do_no_harm() {
        let capabilities = read(&[
            "pipelining",
            "8BitMime",
            "X-ODD 1 2",
            "",
            "=",
            "-x",
            "caf\u{e9}",
        ]);
        assert!(capabilities.has("PIPELINING") && capabilities.has("8BITMIME"));
        assert_eq!(
            capabilities.offer().extensions,
            vec!["PIPELINING", "8BITMIME", "X-ODD"]
        );
        // The first line is the greeting, whatever it says.
        assert!(!read(&[]).has("MAIL"));
    }

    #[test]
    fn cl_caps_auth_lines_are_merged() {
        let capabilities = read(&["AUTH=LOGIN PLAIN", "auth ntlm login", "AUTH"]);
        for mechanism in [Mechanism::Login, Mechanism::Plain, Mechanism::Ntlm] {
            assert!(capabilities.has_mechanism(mechanism));
        }
        assert!(!capabilities.has_mechanism(Mechanism::CramMd5));
        assert_eq!(capabilities.mechanisms(), "LOGIN PLAIN NTLM");
        assert_eq!(capabilities.offer().extensions, vec!["AUTH"]);
        assert_eq!(read(&["AUTH= LOGIN"]).mechanisms(), "LOGIN");
    }

    #[test]
    fn r1870_4_zero_or_no_number_is_no_limit() {
        assert_eq!(read(&["SIZE 52428800"]).max_size, Some(52_428_800));
        for line in [
            "SIZE",
            "SIZE 0",
            "SIZE x",
            "SIZE -1",
            "SIZE 99999999999999999999",
        ] {
            let capabilities = read(&[line]);
            assert_eq!(capabilities.max_size, None, "{line}");
            assert!(capabilities.has("SIZE"));
        }
    }

    #[test]
    fn r9422_5_limits_are_read() {
        let limits = read(&["LIMITS RCPTMAX=20 mailmax=5 RCPTDOMAINMAX=1 FUTURE=x"]).limits;
        assert_eq!(
            limits,
            Limits {
                recipients: Some(20),
                messages: Some(5),
                domains: Some(1)
            }
        );
    }

    #[test]
    fn r9422_5_a_malformed_line_is_ignored_as_a_whole() {
        for line in [
            "LIMITS RCPTMAX=20 MAILMAX=0",
            "LIMITS RCPTMAX=20 MAILMAX=1234567",
            "LIMITS RCPTMAX=20 MAILMAX=",
            "LIMITS RCPTMAX=20 MAILMAX",
            "LIMITS RCPTMAX=20 MAILMAX=+5",
            "LIMITS RCPTMAX=20 MAILMAX=05",
            "LIMITS",
        ] {
            assert_eq!(read(&[line]).limits, Limits::default(), "{line}");
        }
    }
}
