//! The options of `sendmail`, as programs have called it for decades: letters may stand together,
//! values may follow at once, and what says nothing here is taken and ignored.

use super::Ret;
use super::hand_over::Dsn;
use super::report;

/// Letters with a value.
const WITH_VALUE: &str = "ABCFLNORVXbdefhopr";
/// Letters without one.
const ALONE: &str = "GIUcimntvx";

/// One call of `sendmail`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Call {
    /// Of the command line.
    pub(super) recipients: Vec<String>,
    /// `-t`: those of the header section too.
    pub(super) extract: bool,
    /// `-i`: a line with a dot alone is a line.
    pub(super) ignore_dots: bool,
    /// `-f`, `-r`.
    pub(super) sender: Option<String>,
    /// `-F`.
    pub(super) full_name: Option<String>,
    pub(super) dsn: Dsn,
    /// `-v`.
    pub(super) trace: bool,
}

/// Reads the words after the program's name; an error is for a person.
pub(super) fn parse(words: impl IntoIterator<Item = String>) -> Result<Call, String> {
    let mut call = Call::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            call.recipients.extend(words);
            break;
        }
        match word.strip_prefix('-') {
            Some(letters) if !letters.is_empty() => cluster(&mut call, letters, &mut words)?,
            _ => call.recipients.push(word),
        }
    }
    Ok(call)
}

fn cluster(
    call: &mut Call,
    letters: &str,
    words: &mut impl Iterator<Item = String>,
) -> Result<(), String> {
    let mut letters = letters.chars();
    while let Some(letter) = letters.next() {
        if WITH_VALUE.contains(letter) {
            let attached = letters.as_str();
            let value = match attached {
                "" => words
                    .next()
                    .ok_or_else(|| format!("option -{letter} needs a value"))?,
                attached => attached.to_owned(),
            };
            return with_value(call, letter, value);
        }
        match letter {
            't' => call.extract = true,
            'i' => call.ignore_dots = true,
            'v' => call.trace = true,
            'q' => return Err("-q: there is no queue here; see pillarbox queue".into()),
            other if ALONE.contains(other) => {}
            other => return Err(format!("option -{other} is not known")),
        }
    }
    Ok(())
}

fn with_value(call: &mut Call, letter: char, value: String) -> Result<(), String> {
    let bad = |what: String| format!("option -{letter}: {what}");
    match letter {
        'f' | 'r' => call.sender = Some(value),
        'F' => call.full_name = Some(value),
        'N' => call.dsn.notify = Some(report::notify(&value).map_err(bad)?),
        'V' => call.dsn.envid = Some(report::envid(&value).map_err(bad)?),
        'R' => {
            call.dsn.ret = Some(match value.to_ascii_lowercase().as_str() {
                "full" => Ret::Full,
                "hdrs" => Ret::Hdrs,
                _ => return Err(bad(format!("\"{value}\" is neither full nor hdrs"))),
            });
        }
        // What the content is, the component sees for itself.
        'B' if matches!(value.to_ascii_uppercase().as_str(), "7BIT" | "8BITMIME") => {}
        'B' => return Err(bad(format!("\"{value}\" is neither 7BIT nor 8BITMIME"))),
        'b' if value == "m" => {}
        'b' => {
            return Err(format!(
                "mode -b{value} is not done here; only -bm, sending a message, is"
            ));
        }
        'o' if value == "i" => call.ignore_dots = true,
        // Error modes, delivery modes, hop counts, tags, logs: nothing of it is there.
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::v0_1::types::Notify;
    use proptest::prelude::*;

    fn call(words: &str) -> Result<Call, String> {
        parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn programs_call_it_in_many_ways() {
        // PHP, cron, mutt, git send-email.
        let php = call("-t -i").unwrap();
        assert!(php.extract && php.ignore_dots);
        let cron = call("-FCronDaemon -i -B8BITMIME -oem root").unwrap();
        assert_eq!(cron.full_name.as_deref(), Some("CronDaemon"));
        assert_eq!(cron.recipients, ["root"]);
        let mutt = call("-oem -oi -f a@x.org -- b@x.org -c").unwrap();
        assert!(mutt.ignore_dots && !mutt.extract);
        assert_eq!(mutt.sender.as_deref(), Some("a@x.org"));
        assert_eq!(mutt.recipients, ["b@x.org", "-c"]);
        let git = call("-i b@x.org -fa@x.org").unwrap();
        assert_eq!(git.sender.as_deref(), Some("a@x.org"));
        let together = call("-tir a@x.org -v -bm").unwrap();
        assert!(together.extract && together.ignore_dots && together.trace);
        assert_eq!(together.sender.as_deref(), Some("a@x.org"));
    }

    #[test]
    fn r3461_options_are_read() {
        let call = call("-N success,failure -R hdrs -V id+1 a@x.org").unwrap();
        assert_eq!(call.dsn.notify, Some(Notify::SUCCESS | Notify::FAILURE));
        assert_eq!(call.dsn.ret, Some(Ret::Hdrs));
        assert_eq!(call.dsn.envid.as_deref(), Some("id+2B1"));
    }

    #[test]
    fn what_is_not_done_is_said() {
        for words in [
            "-bs", "-bp", "-bi", "-bd", "-q", "-q15m", "-Z", "-f", "-N x", "-R x", "-B x",
        ] {
            assert!(call(words).is_err(), "{words}");
        }
    }

    proptest! {
        #[test]
        fn options_never_panic(words in proptest::collection::vec("-?.{0,6}", 0..6)) {
            let _ = parse(words);
        }
    }
}
