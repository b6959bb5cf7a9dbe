//! A command line: verb and argument (RFC 5321 section 4.1.1, RFC 4954 section 4, RFC 3030
//! section 2, RFC 3207 section 4).
//!
//! Not here: the argument's own grammar (`path`, `extension`), and what may come when (`server`).

use crate::smtp::{is_white_space, trim_end, trim_start};

/// A command with its argument, without the white space around it; an empty argument is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// EHLO (section 4.1.1.1).
    Ehlo(&'a [u8]),
    /// HELO (section 4.1.1.1).
    Helo(&'a [u8]),
    /// MAIL (section 4.1.1.2): `FROM:<…>` and parameters.
    Mail(&'a [u8]),
    /// RCPT (section 4.1.1.3): `TO:<…>` and parameters.
    Rcpt(&'a [u8]),
    /// DATA (section 4.1.1.4); takes no argument.
    Data(&'a [u8]),
    /// BDAT (RFC 3030 section 2): `extension::chunking` reads the argument. Control octets are
    /// left to it, because what follows a BDAT is not a command.
    Bdat(&'a [u8]),
    /// RSET (section 4.1.1.5); takes no argument.
    Rset(&'a [u8]),
    /// NOOP (section 4.1.1.9).
    Noop(&'a [u8]),
    /// VRFY (section 4.1.1.6).
    Vrfy(&'a [u8]),
    /// EXPN (section 4.1.1.7).
    Expn(&'a [u8]),
    /// HELP (section 4.1.1.8).
    Help(&'a [u8]),
    /// QUIT (section 4.1.1.10); takes no argument.
    Quit(&'a [u8]),
    /// STARTTLS (RFC 3207 section 4); takes no argument.
    StartTls(&'a [u8]),
    /// AUTH (RFC 4954 section 4).
    Auth {
        /// Name of the mechanism in any case; empty if there is none.
        mechanism: &'a [u8],
        /// Initial response, in base64; `=` means empty.
        initial: Option<&'a [u8]>,
    },
    /// Known, never implemented here (R5321-4.1.5, R6409-7-NOT, R6409-7-OTHER).
    NotImplemented,
    /// Any other verb.
    Unknown,
    /// An octet 0 to 31 or 127, save tabs that separate words (R5321-4.1.2-d).
    Malformed,
}

impl<'a> Command<'a> {
    /// Reads a line without its end.
    pub fn parse(line: &'a [u8]) -> Self {
        // R5321-4.1.1-a: white space before CRLF is ignored.
        let line = trim_end(line);
        let end = line.iter().position(|octet| is_white_space(*octet));
        let (verb, argument) = line.split_at(end.unwrap_or(line.len()));
        let argument = trim_start(argument);
        let bdat = verb.eq_ignore_ascii_case(b"BDAT");
        if !bdat && line.iter().any(|octet| is_control(*octet)) {
            return Self::Malformed;
        }
        // R5321-2.4: verbs in any case. All known ones fit; longer ones are unknown.
        let mut upper = [0; 8];
        let Some(upper) = upper.get_mut(..verb.len()) else {
            return Self::Unknown;
        };
        upper.copy_from_slice(verb);
        upper.make_ascii_uppercase();
        match &*upper {
            b"EHLO" => Self::Ehlo(argument),
            b"HELO" => Self::Helo(argument),
            b"MAIL" => Self::Mail(argument),
            b"RCPT" => Self::Rcpt(argument),
            b"DATA" => Self::Data(argument),
            b"BDAT" => Self::Bdat(argument),
            b"RSET" => Self::Rset(argument),
            b"NOOP" => Self::Noop(argument),
            b"VRFY" => Self::Vrfy(argument),
            b"EXPN" => Self::Expn(argument),
            b"HELP" => Self::Help(argument),
            b"QUIT" => Self::Quit(argument),
            b"STARTTLS" => Self::StartTls(argument),
            b"AUTH" => Self::auth(argument),
            b"SEND" | b"SOML" | b"SAML" | b"TURN" | b"ETRN" | b"ATRN" | b"BURL" => {
                Self::NotImplemented
            }
            _ => Self::Unknown,
        }
    }

    fn auth(argument: &'a [u8]) -> Self {
        let end = argument.iter().position(|octet| is_white_space(*octet));
        let (mechanism, initial) = argument.split_at(end.unwrap_or(argument.len()));
        // Windows Mail sends two spaces before the initial response.
        let initial = trim_start(initial);
        Self::Auth {
            mechanism,
            initial: (!initial.is_empty()).then_some(initial),
        }
    }

    /// The verb, for the log.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Ehlo(_) => "EHLO",
            Self::Helo(_) => "HELO",
            Self::Mail(_) => "MAIL",
            Self::Rcpt(_) => "RCPT",
            Self::Data(_) => "DATA",
            Self::Bdat(_) => "BDAT",
            Self::Rset(_) => "RSET",
            Self::Noop(_) => "NOOP",
            Self::Vrfy(_) => "VRFY",
            Self::Expn(_) => "EXPN",
            Self::Help(_) => "HELP",
            Self::Quit(_) => "QUIT",
            Self::StartTls(_) => "STARTTLS",
            Self::Auth { .. } => "AUTH",
            Self::NotImplemented => "command not implemented",
            Self::Unknown => "unknown command",
            Self::Malformed => "malformed command",
        }
    }
}

/// An initial response is a secret: only the verb is shown.
impl core::fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.verb())
    }
}

fn is_control(octet: u8) -> bool {
    octet.is_ascii_control() && !is_white_space(octet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{format, vec::Vec};

    #[test]
    fn r5321_2_4_verbs_are_known_in_any_case() {
        assert_eq!(Command::parse(b"eHlO printer"), Command::Ehlo(b"printer"));
        assert_eq!(Command::parse(b"starttls"), Command::StartTls(b""));
        assert_eq!(
            Command::parse(b"Mail From:<A@b.example>"),
            Command::Mail(b"From:<A@b.example>")
        );
    }

    #[test]
    fn r5321_4_1_1_a_trailing_white_space_is_ignored() {
        assert_eq!(Command::parse(b"QUIT  \t "), Command::Quit(b""));
        assert_eq!(Command::parse(b"EHLO a b \t"), Command::Ehlo(b"a b"));
        assert_eq!(Command::parse(b"NOOP\tx"), Command::Noop(b"x"));
    }

    #[test]
    fn r5321_4_1_1_b_an_argument_is_kept() {
        assert_eq!(Command::parse(b"DATA now"), Command::Data(b"now"));
        assert_eq!(Command::parse(b"RSET  x"), Command::Rset(b"x"));
        assert_eq!(Command::parse(b"QUIT x"), Command::Quit(b"x"));
        assert_eq!(Command::parse(b"STARTTLS x"), Command::StartTls(b"x"));
    }

    #[test]
    fn r5321_4_1_2_d_control_octets_are_malformed() {
        for octet in (0..32).chain([127]).filter(|octet| *octet != b'\t') {
            let line = [b'E', b'H', b'L', b'O', b' ', octet, b'x'];
            assert_eq!(Command::parse(&line), Command::Malformed, "{octet}");
            assert_eq!(Command::parse(&[octet]), Command::Malformed, "{octet}");
        }
        assert_eq!(Command::parse(b"EHLO \xc3\xa9"), Command::Ehlo(b"\xc3\xa9"));
    }

    #[test]
    fn r5321_4_1_5_other_verbs() {
        for line in [
            "SEND",
            "soml FROM:<a@b.c>",
            "SAML",
            "TURN",
            "ETRN x",
            "ATRN",
            "BURL x",
        ] {
            assert_eq!(
                Command::parse(line.as_bytes()),
                Command::NotImplemented,
                "{line}"
            );
        }
        for line in [
            "",
            " ",
            " NOOP",
            "XCLIENT a",
            "MAILFROM:<a@b.c>",
            "STARTTLSX",
            "LHLO x",
            "\u{e9}",
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Command::Unknown, "{line}");
        }
    }

    #[test]
    fn r4954_4_auth_has_mechanism_and_initial_response() {
        let auth = |mechanism, initial| Command::Auth { mechanism, initial };
        assert_eq!(Command::parse(b"AUTH"), auth(b"", None));
        assert_eq!(Command::parse(b"auth login"), auth(b"login", None));
        assert_eq!(Command::parse(b"AUTH PLAIN "), auth(b"PLAIN", None));
        assert_eq!(Command::parse(b"AUTH PLAIN ="), auth(b"PLAIN", Some(b"=")));
        assert_eq!(
            Command::parse(b"AUTH PLAIN  AHQAcA=="),
            auth(b"PLAIN", Some(b"AHQAcA=="))
        );
        // Not base64: the exchange says so.
        assert_eq!(
            Command::parse(b"AUTH PLAIN QQ== QQ=="),
            auth(b"PLAIN", Some(b"QQ== QQ=="))
        );
    }

    #[test]
    fn cl_secrets_debug_hides_the_initial_response() {
        let shown = format!("{:?}", Command::parse(b"AUTH PLAIN AHQAcA=="));
        assert_eq!(shown, "AUTH");
    }

    #[test]
    fn r3030_2_f_a_malformed_bdat_is_still_a_bdat() {
        assert_eq!(
            Command::parse(b"BDAT 5\x01 LAST"),
            Command::Bdat(b"5\x01 LAST")
        );
    }

    proptest! {
        #[test]
        fn r5321_4_1_1_any_octets_do_no_harm(line: Vec<u8>) {
            let _ = Command::parse(&line);
        }

        #[test]
        fn r5321_4_1_1_a_white_space_around_the_argument_changes_nothing(
            argument in "[!-~]([ -~]{0,20}[!-~])?", before in "[ \t]{1,4}", after in "[ \t]{0,4}",
        ) {
            let line = format!("VRFY{before}{argument}{after}");
            prop_assert_eq!(Command::parse(line.as_bytes()), Command::Vrfy(argument.as_bytes()));
        }
    }
}
