//! Reverse-paths and forward-paths (RFC 5321 sections 4.1.1.2, 4.1.1.3 and 4.1.2), with what
//! devices send instead (R5321-4.1.1.2-b).
//!
//! ```text
//! Reverse-path = Path / "<>"
//! Forward-path = Path / "<Postmaster>"
//! Path         = "<" [ A-d-l ":" ] Mailbox ">"
//! A-d-l        = "@" Domain *( "," "@" Domain )
//! ```

use crate::smtp::{
    domain::name,
    is_white_space,
    mailbox::{Mailbox, mailbox, plain_mailbox},
};
use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, tag_no_case},
    combinator::{map, opt, value},
    multi::fold_many0,
    sequence::{delimited, preceded, terminated},
};

/// Octets of a path at most, brackets included (RFC 5321 section 4.5.3.1.3).
pub const MOST_OCTETS: usize = 256;

/// What stands between the brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `<>`: only a reverse-path may be null (section 4.5.5).
    Null,
    /// `<Postmaster>` in any case: only a forward-path may lack its domain (section 4.1.1.3).
    Postmaster,
    /// A mailbox; a source route before it is dropped (R5321-4.1.1.3-c).
    Mailbox(Mailbox),
}

/// The path at the front of `input`, and what follows it; `None` where there is none, or one that
/// is longer than [`MOST_OCTETS`] (R5321-4.5.3.1-a).
pub fn path(input: &[u8]) -> Option<(Path, &[u8])> {
    let (rest, path) = alt((bracketed, bare)).parse(input).ok()?;
    let brackets = if input.starts_with(b"<") { 0 } else { 2 };
    let length = input.len() - rest.len() + brackets;
    (length <= MOST_OCTETS).then_some((path, rest))
}

fn bracketed(input: &[u8]) -> IResult<&[u8], Path> {
    alt((
        value(Path::Null, tag("<>")),
        value(Path::Postmaster, tag_no_case("<postmaster>")),
        map(
            delimited(tag("<"), preceded(opt(source_route), mailbox), tag(">")),
            Path::Mailbox,
        ),
    ))
    .parse(input)
}

/// R5321-4.1.1.3-c: `A-d-l ":"`.
fn source_route(input: &[u8]) -> IResult<&[u8], ()> {
    let at_domain = || preceded(tag("@"), name);
    let more = fold_many0(preceded(tag(","), at_domain()), || (), |(), _| ());
    value((), terminated((at_domain(), more), tag(":"))).parse(input)
}

/// R5321-4.1.1.2-b: a plain `local@domain` without brackets, up to white space or the end.
fn bare(input: &[u8]) -> IResult<&[u8], Path> {
    let (rest, mailbox) = plain_mailbox(input)?;
    match rest.first() {
        Some(octet) if !is_white_space(*octet) => Err(nom::Err::Error(nom::error::Error::new(
            rest,
            nom::error::ErrorKind::Space,
        ))),
        _ => Ok((rest, Path::Mailbox(mailbox))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        format,
        string::{String, ToString},
        vec::Vec,
    };

    fn read(text: &str) -> Option<(String, &str)> {
        let (path, rest) = path(text.as_bytes())?;
        let path = match path {
            Path::Null => String::new(),
            Path::Postmaster => "postmaster".into(),
            Path::Mailbox(mailbox) => mailbox.to_string(),
        };
        Some((path, std::str::from_utf8(rest).expect("UTF-8")))
    }

    #[test]
    fn r5321_4_1_1_2_a_paths_in_brackets() {
        assert_eq!(read("<>"), Some((String::new(), "")));
        assert_eq!(read("<a@b.c> SIZE=1"), Some(("a@b.c".into(), " SIZE=1")));
        assert_eq!(read("<\"a>b\"@b.c>X"), Some(("\"a>b\"@b.c".into(), "X")));
    }

    #[test]
    fn r5321_4_1_1_2_b_brackets_may_be_missing_round_a_plain_mailbox() {
        assert_eq!(read("a@b.c"), Some(("a@b.c".into(), "")));
        assert_eq!(read("a@b.c SIZE=1"), Some(("a@b.c".into(), " SIZE=1")));
        for bad in [
            "a@b.c>",
            "a@b.c,d@e.f",
            "\"a\"@b.c",
            "a@[192.0.2.1]",
            "a",
            "postmaster",
            "@x.y:a@b.c",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn r5321_4_1_1_2_c_what_is_no_path() {
        for bad in [
            "",
            "<",
            ">",
            "< >",
            "<a>",
            "<a@b.c",
            "< a@b.c>",
            "<a@b.c >",
            "<<a@b.c>>",
            "<@b.c>",
            "<a@>",
            "<a@b_c.d>",
            "<a@b.c.>",
            "<a@b..c>",
            "SIZE=1",
            "name <a@b.c>",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn r5321_4_1_1_3_b_postmaster_in_any_case() {
        for text in ["<Postmaster>", "<postmaster>", "<POSTMASTER>"] {
            assert_eq!(path(text.as_bytes()), Some((Path::Postmaster, &b""[..])));
        }
        assert_eq!(
            read("<postmaster@b.c>"),
            Some(("postmaster@b.c".into(), ""))
        );
        assert_eq!(read("<@b.c:postmaster>"), None);
    }

    #[test]
    fn r5321_4_1_1_3_c_a_source_route_is_dropped() {
        assert_eq!(read("<@x.y:a@b.c>"), Some(("a@b.c".into(), "")));
        assert_eq!(read("<@x.y,@z.w:a@b.c> X"), Some(("a@b.c".into(), " X")));
        for bad in [
            "<@x.y,z.w:a@b.c>",
            "<@x.y,:a@b.c>",
            "<@x.y a@b.c>",
            "<:a@b.c>",
            "<@x_y.z:a@b.c>",
            "<@x.y:>",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn r5321_4_5_3_1_a_a_path_has_up_to_256_octets_with_brackets() {
        let domain = "d".repeat(60) + ".example.org";
        let local = "l".repeat(256 - 2 - 1 - domain.len());
        let text = format!("<{local}@{domain}>");
        assert_eq!(text.len(), 256);
        assert!(read(&text).is_some());
        assert!(read(&text[1..255]).is_some());
        assert_eq!(read(&format!("<l{local}@{domain}>")), None);
        assert_eq!(read(&format!("l{local}@{domain}")), None);
    }

    proptest! {
        #[test]
        fn r5321_4_1_2_any_octets_do_no_harm(octets in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            "[<>@,:\"\\\\a. \\[\\]\u{e9}]{0,20}".prop_map(String::into_bytes),
        ]) {
            if let Some((_, rest)) = path(&octets) {
                prop_assert!(octets.ends_with(rest) && rest.len() < octets.len());
            }
        }

        #[test]
        fn r5321_4_1_1_3_c_any_route_gives_the_same_mailbox(
            route in proptest::collection::vec("[a-z]{1,5}(\\.[a-z]{1,5}){0,2}", 0..4),
        ) {
            let route: Vec<String> = route.iter().map(|name| format!("@{name}")).collect();
            let colon = if route.is_empty() { "" } else { ":" };
            let text = format!("<{}{colon}a@b.c>", route.join(","));
            prop_assert_eq!(read(&text), Some(("a@b.c".into(), "")));
        }
    }
}
