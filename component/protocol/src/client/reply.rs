//! Reading the server's replies (RFC 5321 section 4.2), tolerantly where nothing is at stake.
//!
//! Taken as they come: a code without text, lines that end with LF alone, trailing white space,
//! text that is not ASCII, codes that differ between the lines (CL-reply-a). Everything else that
//! is no reply ends the session, because what belongs to which command can then no longer be
//! known (CL-reply-b).

use crate::contract::Reply;
use alloc::{string::String, vec::Vec};

/// Octets of one line at most, its end included (CL-reply-b).
pub const MOST_LINE: usize = 4_096;
/// Lines of one reply at most (CL-reply-b).
pub const MOST_LINES: usize = 128;

/// Why octets are no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A line over 4,096 octets.
    #[error("a reply line over 4096 octets")]
    LongLine,
    /// More than 128 lines.
    #[error("a reply of more than 128 lines")]
    ManyLines,
    /// No three digits, the first of them 2 to 5, then a space, a hyphen or the end.
    #[error("a line that is no reply")]
    NotAReply,
}

/// What reading came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many octets were taken; the reply's end has not come.
    More(usize),
    /// So many octets were taken, and the reply is complete.
    Reply(usize, Reply),
}

/// A reply in the making: its complete lines. At most 128 lines of 4,096 octets.
#[derive(Debug, Default)]
pub struct Reader {
    lines: Vec<String>,
}

impl Reader {
    /// Takes whole lines from the start of `octets`, up to the end of the reply.
    pub fn take(&mut self, octets: &[u8]) -> Result<Taken, Unreadable> {
        let mut taken = 0;
        loop {
            let rest = octets.get(taken..).unwrap_or_default();
            // CL-reply-a: LF alone ends a line too.
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return if rest.len() >= MOST_LINE {
                    Err(Unreadable::LongLine)
                } else {
                    Ok(Taken::More(taken))
                };
            };
            taken += end + 1;
            if end >= MOST_LINE {
                return Err(Unreadable::LongLine);
            }
            let (code, last, text) = line(&rest[..end]).ok_or(Unreadable::NotAReply)?;
            if self.lines.len() == MOST_LINES {
                return Err(Unreadable::ManyLines);
            }
            self.lines.push(String::from_utf8_lossy(text).into_owned());
            if last {
                let lines = core::mem::take(&mut self.lines);
                return Ok(Taken::Reply(taken, reply(code, lines)));
            }
        }
    }
}

/// Code, whether it is the reply's last line, and text.
fn line(octets: &[u8]) -> Option<(u16, bool, &[u8])> {
    let octets = octets.trim_ascii_end();
    let (code, rest) = octets.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) || !matches!(code[0], b'2'..=b'5') {
        return None;
    }
    let code = code
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// RFC 2034 section 4 (R2034-4-b): an enhanced status code counts only where its class is the
/// first digit of the reply code. It is the same on each line; one that is not stays in the text.
fn reply(code: u16, mut lines: Vec<String>) -> Reply {
    let status = lines
        .iter()
        .rev()
        .find_map(|line| status(code, line).map(|(status, _)| status));
    for line in &mut lines {
        if let Some((found, length)) = self::status(code, line)
            && Some(found) == status
        {
            line.drain(..length);
        }
    }
    Reply {
        code,
        status,
        lines,
    }
}

/// The enhanced status code at the start of `text` (RFC 3463 section 2), and how many octets it
/// and the space after it take.
fn status(code: u16, text: &str) -> Option<((u8, u16, u16), usize)> {
    let word = text.split(' ').next()?;
    let mut parts = word.split('.');
    let class = number(parts.next()?)?;
    let subject = number(parts.next()?)?;
    let detail = number(parts.next()?)?;
    if parts.next().is_some() || class != code / 100 || class == 3 {
        return None;
    }
    let length = (word.len() + 1).min(text.len());
    Some(((u8::try_from(class).ok()?, subject, detail), length))
}

fn number(text: &str) -> Option<u16> {
    if (1..=3).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use proptest::prelude::*;

    fn read(octets: &[u8]) -> Reply {
        match Reader::default().take(octets) {
            Ok(Taken::Reply(taken, reply)) if taken == octets.len() => reply,
            other => panic!("{other:?}"),
        }
    }

    fn text(reply: &Reply) -> Vec<&str> {
        reply.lines.iter().map(String::as_str).collect()
    }

    #[test]
    fn cl_reply_a_tolerates_what_servers_do() {
        let plain = read(b"250-one\r\n250-two\r\n250 three\r\n");
        assert_eq!(
            (plain.code, text(&plain)),
            (250, vec!["one", "two", "three"])
        );
        assert_eq!(read(b"250\r\n").lines, vec![String::new()]);
        assert_eq!(read(b"250 ok  \t\r\n"), read(b"250 ok\n"));
        assert_eq!(read(b"250-one\n250\n").lines.len(), 2);
        // The last line decides.
        assert_eq!(read(b"250-one\r\n550 two\r\n").code, 550);
        assert_eq!(
            read(b"250 gr\xfc\xdfe\r\n").lines,
            vec!["gr\u{fffd}\u{fffd}e"]
        );
        assert_eq!(
            read("250 gr\u{fc}\u{df}e\r\n".as_bytes()).lines,
            vec!["gr\u{fc}\u{df}e"]
        );
    }

    #[test]
    fn cl_reply_b_what_is_no_reply_is_refused() {
        for bad in [
            &b"\r\n"[..],
            b"25\r\n",
            b"abc\r\n",
            b"150 wait\r\n",
            b"650 what\r\n",
            b"2500 ok\r\n",
            b"250_ok\r\n",
            b" 250 ok\r\n",
            b"250-one\r\nHTTP/1.1 400\r\n",
        ] {
            assert_eq!(
                Reader::default().take(bad),
                Err(Unreadable::NotAReply),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn cl_reply_b_a_line_has_4096_octets_at_most() {
        let mut line = format!("250 {}\r\n", "x".repeat(4_090)).into_bytes();
        assert_eq!(line.len(), 4_096);
        assert_eq!(read(&line).lines[0].len(), 4_090);
        line.insert(4, b'x');
        assert_eq!(Reader::default().take(&line), Err(Unreadable::LongLine));
        assert_eq!(Reader::default().take(&line[..4_095]), Ok(Taken::More(0)));
        assert_eq!(
            Reader::default().take(&line[..4_096]),
            Err(Unreadable::LongLine)
        );
    }

    #[test]
    fn cl_reply_b_a_reply_has_128_lines_at_most() {
        let lines = "250-x\r\n".repeat(127);
        assert_eq!(
            read(format!("{lines}250 y\r\n").as_bytes()).lines.len(),
            128
        );
        let many = format!("{lines}250-x\r\n250 y\r\n");
        assert_eq!(
            Reader::default().take(many.as_bytes()),
            Err(Unreadable::ManyLines)
        );
    }

    #[test]
    fn r2034_4_b_a_status_of_another_class_is_text() {
        let reply = read(b"550 5.1.1 no such user\r\n");
        assert_eq!(
            (reply.status, text(&reply)),
            (Some((5, 1, 1)), vec!["no such user"])
        );
        let reply = read(b"550 4.1.1 no such user\r\n");
        assert_eq!(
            (reply.status, text(&reply)),
            (None, vec!["4.1.1 no such user"])
        );
        assert_eq!(read(b"354 3.0.0 go\r\n").status, None);
        assert_eq!(read(b"250 2.0.0\r\n").status, Some((2, 0, 0)));
        assert_eq!(read(b"250 2.0.0.1 x\r\n").status, None);
        assert_eq!(read(b"250 2.1234.0 x\r\n").status, None);
        assert_eq!(read(b"250 192.0.2.1 x\r\n").status, None);
    }

    #[test]
    fn cl_reply_d_the_text_stays_whole() {
        let reply = read(b"550-5.7.1 one\r\n550-two\r\n550 5.7.1  three\r\n");
        assert_eq!(reply.status, Some((5, 7, 1)));
        assert_eq!(text(&reply), vec!["one", "two", " three"]);
        // Lines that differ: the last one decides, the other stays readable.
        let reply = read(b"550-5.7.1 one\r\n550 5.1.1 two\r\n");
        assert_eq!(reply.status, Some((5, 1, 1)));
        assert_eq!(text(&reply), vec!["5.7.1 one", "two"]);
    }

    const PIECES: &[&[u8]] = &[
        b"250-", b"250 ", b"\r\n", b"\n", b"5.1.1 ", b"550", b"x", b"\xff", b"-",
    ];

    proptest! {
        #[test]
        fn cl_reply_any_split_reads_the_same(
            octets in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)
                .prop_map(|parts| parts.concat()),
            split in 0usize..200,
        ) {
            let whole = all(&[&octets]);
            let split = split.min(octets.len());
            prop_assert_eq!(whole, all(&[&octets[..split], &octets[split..]]));
        }
    }

    fn all(reads: &[&[u8]]) -> (Vec<Reply>, Option<Unreadable>) {
        let (mut reader, mut buffer, mut replies) = (Reader::default(), Vec::new(), Vec::new());
        for read in reads {
            buffer.extend_from_slice(read);
            loop {
                match reader.take(&buffer) {
                    Ok(Taken::Reply(taken, reply)) => {
                        buffer.drain(..taken);
                        replies.push(reply);
                    }
                    Ok(Taken::More(taken)) => {
                        buffer.drain(..taken);
                        break;
                    }
                    Err(unreadable) => return (replies, Some(unreadable)),
                }
            }
        }
        (replies, None)
    }
}
