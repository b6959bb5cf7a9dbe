//! Where a password comes from: a terminal that does not show it, or standard input.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// No password is longer; standard input may be anything.
const MOST: u64 = 64 * 1024;

/// Asks twice on the terminal of this process.
pub(super) fn ask(name: &str) -> Result<Zeroizing<String>, String> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| {
        "there is no terminal to ask for a password; give it on standard input with --password-stdin"
            .to_owned()
    })?;
    twice(&terminal, name)
}

fn twice(terminal: &File, name: &str) -> Result<Zeroizing<String>, String> {
    let failed = |error: io::Error| format!("cannot ask for a password: {error}");
    let first = hidden(terminal, &format!("Password for {name}: ")).map_err(failed)?;
    let password = checked(&first)?;
    let second = hidden(terminal, "Again: ").map_err(failed)?;
    if *first != *second {
        return Err("the two passwords differ; nothing was changed".to_owned());
    }
    Ok(password)
}

/// One line of `input`.
pub(super) fn from(input: impl Read) -> Result<Zeroizing<String>, String> {
    let mut octets = Zeroizing::new(Vec::new());
    input
        .take(MOST)
        .read_to_end(&mut octets)
        .map_err(|error| format!("cannot read the password: {error}"))?;
    checked(&octets)
}

/// The line without its end, if it can be a password.
fn checked(line: &[u8]) -> Result<Zeroizing<String>, String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err("an empty password would let nobody in; give one".to_owned());
    }
    if line.contains(&b'\n') {
        return Err("more than one line was given; a password is one line".to_owned());
    }
    // RFC 4616 section 2: a NUL ends the name, not the password.
    if line.contains(&0) || line.contains(&b'\r') {
        return Err("a password must not contain NUL or CR; PLAIN cannot carry them".to_owned());
    }
    match std::str::from_utf8(line) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err("the password is not UTF-8; set a UTF-8 locale, or convert it".to_owned()),
    }
}

/// Echo is off while this lives.
struct Hidden<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Hidden<'t> {
    fn new(terminal: &'t File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        // The end of the line is shown, so that people see that it was taken.
        hidden
            .local_flags
            .insert(LocalFlags::ECHONL | LocalFlags::ICANON);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, SetArg::TCSANOW, &self.before);
    }
}

fn hidden(terminal: &File, prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let _hidden = Hidden::new(terminal)?;
    let mut writer = terminal;
    writer.write_all(prompt.as_bytes())?;
    let mut line = Zeroizing::new(Vec::new());
    // A terminal gives one line at a time, so nothing is lost with the reader.
    BufReader::new(terminal.take(MOST)).read_until(b'\n', &mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use super::*;

    #[test]
    fn one_line_is_a_password() {
        for (given, password) in [
            ("secret\n", "secret"),
            ("secret", "secret"),
            (" a b \r\n", " a b "),
        ] {
            assert_eq!(*from(given.as_bytes()).unwrap(), password);
        }
        for bad in ["", "\n", "\r\n", "one\ntwo\n", "nul\0", "a\rb"] {
            assert!(from(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(from(&b"gr\xfcn\n"[..]).unwrap_err().contains("UTF-8"));
    }

    /// Types `lines`, each after its prompt; what the person saw, and what came of it.
    fn typed(lines: &[&str]) -> (String, Result<Zeroizing<String>, String>, bool) {
        let pty = nix::pty::openpty(None, None).unwrap();
        let (person, terminal) = (File::from(pty.master), File::from(pty.slave));
        let mut person_reads = person.try_clone().unwrap();
        let result = std::thread::scope(|scope| {
            let asked = scope.spawn(|| twice(&terminal, "alice"));
            let mut seen = Vec::new();
            for line in lines {
                // What is typed before the prompt would be shown, and flushed.
                while !seen.ends_with(b": ") {
                    let mut octet = [0];
                    person_reads.read_exact(&mut octet).unwrap();
                    seen.push(octet[0]);
                }
                (&person).write_all(line.as_bytes()).unwrap();
                seen.push(b'|');
            }
            let result = asked.join().unwrap();
            (String::from_utf8(seen).unwrap(), result)
        });
        let echo = tcgetattr(&terminal)
            .unwrap()
            .local_flags
            .contains(LocalFlags::ECHO);
        (result.0, result.1, echo)
    }

    #[test]
    fn a_terminal_asks_twice_and_shows_nothing() {
        let (seen, password, echo) = typed(&["secret\n", "secret\n"]);
        assert_eq!(seen, "Password for alice: |\r\nAgain: |");
        assert_eq!(*password.unwrap(), "secret");
        assert!(echo, "the terminal is as it was");

        let (_, password, echo) = typed(&["secret\n", "sekret\n"]);
        assert!(password.unwrap_err().contains("differ") && echo);

        let (_, password, echo) = typed(&["\n"]);
        assert!(password.unwrap_err().contains("empty") && echo);
    }
}
