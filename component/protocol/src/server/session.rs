//! One connection: the calls of the loop contract, and the one place that makes actions.
//!
//! ```text
//! start or revive, (secured,) open, then receive | resume | secured | dismiss, until Close
//! ```
//!
//! A call consumes all that can be consumed unless a question is open or octets go by unseen, so
//! that the host never holds more than an unfinished line. Verbs say what they have to say as a [`Step`]; here it is
//! counted, reported, written, and followed by what the next state brings with it.

use super::{
    auth, bdat, control, data, ehlo,
    known::{Known, MOST_BAD_COMMANDS, MOST_REPORTS},
    mail,
    output::Output,
    rcpt, settings, starttls,
    state::{Asked, Said, State, Step},
};
use crate::{
    contract::{
        Dismissal, Fault, MOST_LINE, MOST_OCTETS, Reply, TlsFacts,
        server::{Admission, Answer, BareLf, Peer, Progress, Settings, TlsPolicy},
    },
    environment::Environment,
    smtp::{
        command::Command,
        line::{self, Line},
        reply,
    },
};
use alloc::{format, string::String, vec::Vec};

/// Octets of a command line at most, CRLF included (R5321-4.5.3.1-b: 512 and all extensions).
const MOST_COMMAND: usize = 2_048;

/// The server role's side of one connection. Whatever the peer sends, no call panics; a call that
/// breaks the loop contract returns a [`Fault`], after which the session is closed.
#[derive(Debug)]
pub struct Session {
    pub(super) known: Known,
    pub(super) state: State,
}

impl Session {
    /// A session before its greeting.
    ///
    /// # Errors
    ///
    /// Settings that make no sense, or ask for what this build does not have; the text names them.
    pub fn start(settings: Settings, peer: Peer) -> Result<Self, Fault> {
        settings::check(&settings, &peer)?;
        Ok(Self {
            known: Known::new(settings, peer, None, None),
            state: State::Greeting,
        })
    }

    /// The greeting (RFC 5321 section 3.1).
    ///
    /// # Errors
    ///
    /// It was said already, or implicit TLS is not there yet.
    pub fn open(&mut self, _env: &mut dyn Environment) -> Result<Progress, Fault> {
        let is_early = self.known.settings.tls == TlsPolicy::Established && !self.known.has_tls();
        if is_early || !matches!(self.state, State::Greeting) {
            return self.misuse("open is not due");
        }
        let hostname = &self.known.settings.hostname;
        let (state, greeting) = match self.known.settings.admission {
            Admission::Welcome => (State::Command, reply::greeting(hostname)),
            // R5321-3.1-b
            Admission::Unwanted => (State::Unwelcome, reply::unwanted(hostname)),
        };
        let mut output = Output::default();
        output.send(&greeting);
        self.state = state;
        Ok(output.finish(0, self.state.phase()))
    }

    /// Octets from the peer: those that were not consumed again, then new ones; at most
    /// [`MOST_OCTETS`].
    ///
    /// # Errors
    ///
    /// Too many octets, or another call is due.
    pub fn receive(&mut self, octets: &[u8], env: &mut dyn Environment) -> Result<Progress, Fault> {
        if octets.len() > MOST_OCTETS {
            return self.misuse("more octets than a call takes");
        }
        if !self.state.is_reading() {
            return self.misuse("receive is not due");
        }
        // What went by unseen has come.
        self.state = match self.state.take() {
            State::Passing(chunk) => State::Chunk(chunk),
            other => other,
        };
        let mut output = Output::default();
        let mut consumed = 0;
        while let Some(taken) = self.advance(&octets[consumed..], consumed, env, &mut output) {
            consumed += taken;
        }
        // RFC 3207 section 4.2 (R3207-4.2-b): what came in clear after STARTTLS is dropped, as is
        // what comes after the end.
        if matches!(self.state, State::Handshake | State::Closed) {
            consumed = octets.len();
        }
        Ok(output.finish(consumed, self.state.phase()))
    }

    /// The answer to the open question.
    ///
    /// # Errors
    ///
    /// No question is open, or the answer does not fit it.
    pub fn resume(
        &mut self,
        answer: Answer,
        _env: &mut dyn Environment,
    ) -> Result<Progress, Fault> {
        let State::Answer(asked) = self.state.take() else {
            return self.misuse("resume is not due");
        };
        let (command, step) = match asked {
            Asked::Credentials(exchange) => {
                ("AUTH", auth::answered(&mut self.known, *exchange, &answer))
            }
            Asked::Sender(transaction, opened) => {
                ("MAIL", mail::answered(transaction, opened, answer))
            }
            Asked::Recipient(transaction, forward_path) => {
                ("RCPT", rcpt::answered(transaction, forward_path, answer))
            }
            Asked::Store(id) => ("end of data", data::answered(&mut self.known, &id, answer)),
        };
        let Some(step) = step else {
            return self.misuse("the answer does not fit the question");
        };
        let mut output = Output::default();
        self.carry_out(command, step, &mut output);
        Ok(output.finish(0, self.state.phase()))
    }

    /// The TLS handshake is done.
    ///
    /// # Errors
    ///
    /// No handshake is due.
    pub fn secured(
        &mut self,
        facts: TlsFacts,
        _env: &mut dyn Environment,
    ) -> Result<Progress, Fault> {
        match self.state {
            // RFC 8314 section 3.3: the greeting comes inside TLS.
            State::Greeting
                if self.known.settings.tls == TlsPolicy::Established && !self.known.has_tls() =>
            {
                self.known.facts = Some(facts);
            }
            State::Handshake => self.state = starttls::secured(&mut self.known, facts),
            _ => return self.misuse("secured is not due"),
        }
        Ok(Output::default().finish(0, self.state.phase()))
    }

    /// The host ends the session: 421 and close. A first `Shutdown` inside a transaction waits for
    /// the transaction's end, a second one (the drain time is over) does not; while `Store` is open
    /// everything waits for its answer (R5321-3.8-b).
    ///
    /// # Errors
    ///
    /// The session is closed already.
    pub fn dismiss(
        &mut self,
        why: Dismissal,
        _env: &mut dyn Environment,
    ) -> Result<Progress, Fault> {
        let mut output = Output::default();
        let may_end = why == Dismissal::Shutdown && self.known.ending.is_none();
        let waits = match &self.state {
            State::Closed => return self.misuse("dismiss after the end"),
            State::Answer(Asked::Store(_)) => true,
            state => may_end && state.is_in_transaction(),
        };
        if waits {
            self.known.ending = Some(why);
            return Ok(output.finish(0, self.state.phase()));
        }
        if self.state.holds_content() {
            output.abandon();
        }
        // RFC 3207 section 4 (R3207-4-d): nothing is said in clear where a handshake is due.
        let is_silent = match self.state {
            State::Handshake => true,
            State::Greeting => {
                self.known.settings.tls == TlsPolicy::Established && !self.known.has_tls()
            }
            _ => false,
        };
        if !is_silent {
            output.send(&self.farewell(why));
        }
        self.state = State::Closed;
        output.close();
        Ok(output.finish(0, self.state.phase()))
    }

    /// The caller broke the loop contract.
    fn misuse(&mut self, text: &str) -> Result<Progress, Fault> {
        self.state = State::Closed;
        Err(Fault::new(text))
    }

    /// Takes the next thing from the front of `octets`, which stand at `base` of the call's buffer:
    /// how many it used; `None` where more are needed, or something else is due.
    fn advance(
        &mut self,
        octets: &[u8],
        base: usize,
        env: &mut dyn Environment,
        output: &mut Output,
    ) -> Option<usize> {
        match &self.state {
            State::Chunk(_) => return self.take_chunk(octets, base, env, output),
            State::Refused(_) => return self.take_refused(octets, output),
            _ if octets.is_empty() => return None,
            State::Content(_) => return Some(self.take_content(octets, base, env, output)),
            state if state.is_reading_lines() => {}
            _ => return None,
        }
        match self.take_line(octets, env, output) {
            0 => None,
            taken => Some(taken),
        }
    }

    /// Takes what is there of the content; returns the octets that it used.
    fn take_content(
        &mut self,
        octets: &[u8],
        base: usize,
        env: &mut dyn Environment,
        output: &mut Output,
    ) -> usize {
        let State::Content(mut receiving) = self.state.take() else {
            return 0;
        };
        let taken = receiving.take(&self.known, octets, base, env, output);
        if taken.end {
            let step = data::end(*receiving);
            self.carry_out("end of data", step, output);
        } else {
            self.state = State::Content(receiving);
        }
        taken.consumed
    }

    /// Takes what is there of a chunk (RFC 3030 section 2), no octet more.
    fn take_chunk(
        &mut self,
        octets: &[u8],
        base: usize,
        env: &mut dyn Environment,
        output: &mut Output,
    ) -> Option<usize> {
        let State::Chunk(mut chunk) = self.state.take() else {
            return None;
        };
        if chunk.left == 0 {
            let name = if chunk.last { "end of data" } else { "BDAT" };
            let step = bdat::end(&self.known, *chunk, env, output);
            self.carry_out(name, step, output);
            return Some(0);
        }
        // RFC 3030 section 3 (R3030-3-a): no rule looks at the rest of it.
        if chunk.receiving.content.passes() {
            output.pass(chunk.left);
            chunk.receiving.content.pass(chunk.left);
            chunk.left = 0;
            self.state = State::Passing(chunk);
            return None;
        }
        let octets = within(octets, chunk.left);
        let taken = match octets {
            [] => None,
            octets => {
                let taken = chunk
                    .receiving
                    .take(&self.known, octets, base, env, output)
                    .consumed;
                chunk.left -= taken as u64;
                Some(taken)
            }
        };
        self.state = State::Chunk(chunk);
        taken
    }

    /// Drops what is there of a refused chunk (R3030-2-c).
    fn take_refused(&mut self, octets: &[u8], output: &mut Output) -> Option<usize> {
        let State::Refused(mut refused) = self.state.take() else {
            return None;
        };
        if refused.left == 0 {
            self.carry_out("BDAT", bdat::refused(*refused), output);
            return Some(0);
        }
        let taken = within(octets, refused.left).len();
        refused.left -= taken as u64;
        self.state = State::Refused(refused);
        (taken > 0).then_some(taken)
    }

    /// Takes a line, or the rest of one that was too long; returns the octets that it used.
    fn take_line(
        &mut self,
        octets: &[u8],
        env: &mut dyn Environment,
        output: &mut Output,
    ) -> usize {
        if self.known.skips_line {
            let (length, is_end) = line::rest_of_line(octets);
            self.known.skips_line = !is_end;
            return length;
        }
        let is_exchange = matches!(self.state, State::Authentication(_));
        // R4954-4-g: an AUTH command may carry an initial response.
        let is_auth = is_exchange || begins_with(octets, b"AUTH");
        // R3030-2-f: what follows a BDAT that is no line is not commands.
        let is_lost =
            !is_exchange && !matches!(self.state, State::Unwelcome) && begins_with(octets, b"BDAT");
        let limit = if is_auth { MOST_LINE } else { MOST_COMMAND };
        let converts = self.known.settings.bare_lf == BareLf::Convert;
        let (content, length) = match line::next_line(octets, limit, converts) {
            Line::Complete { content, length } => (content, length),
            Line::Incomplete => return 0,
            Line::BareLf { length } => {
                // R5321-2.3.8-c: nothing of it is executed.
                self.refuse_line(reply::bare_lf(), is_lost, output);
                return length;
            }
            Line::TooLong => {
                self.known.skips_line = true;
                let refusal = if is_auth {
                    reply::authentication_line_too_long()
                } else {
                    // R5321-4.5.3.1-b
                    reply::line_too_long()
                };
                self.refuse_line(refusal, is_lost, output);
                return limit;
            }
        };
        if is_exchange {
            let step = auth::response(&mut self.known, self.state.take(), content, env);
            self.carry_out("AUTH", step, output);
        } else {
            self.execute(&Command::parse(content), env, output);
        }
        length
    }

    /// A line that is none; an exchange is over with it (R4954-4-g), or the session.
    fn refuse_line(&mut self, refusal: Reply, is_lost: bool, output: &mut Output) {
        let held = self.state.holds_content();
        let (state, refusal) = match self.state.take() {
            // The host has refused already; that counts.
            State::Authentication(exchange) if exchange.has_failed() => {
                (State::Command, reply::authentication_failed())
            }
            State::Authentication(_) => (State::Command, refusal),
            other => (other, refusal),
        };
        self.carry_out("line", state.say(refusal), output);
        if is_lost {
            self.lose_chunk(output);
        }
        if held && !self.state.holds_content() {
            output.abandon();
        }
    }

    /// The end of a chunk is unknown (R3030-2-f).
    fn lose_chunk(&mut self, output: &mut Output) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let hostname = &self.known.settings.hostname;
        let farewell = reply::chunk_unwanted(hostname, "cannot tell where the chunk ends");
        self.report("BDAT", &farewell, output);
        self.end(&farewell, output);
    }

    /// A command (RFC 5321 section 4.1.1).
    fn execute(&mut self, command: &Command<'_>, env: &mut dyn Environment, output: &mut Output) {
        let held = self.state.holds_content();
        let state = self.state.take();
        let is_welcome = !matches!(state, State::Unwelcome);
        let known = &mut self.known;
        let step = match *command {
            Command::Quit(argument) => control::quit(known, state, argument),
            // R5321-3.1-b
            _ if !is_welcome => state.say(reply::out_of_order("only QUIT works")),
            // RFC 3207 section 4.1 (R3207-4.1-a). (BDAT says so after its octets.)
            _ if known.is_below_policy() && !matches!(command, Command::Bdat(_)) => {
                control::below_policy(state, command)
            }
            Command::Ehlo(argument) => ehlo::ehlo(known, state, argument, env),
            Command::Helo(argument) => ehlo::helo(known, state, argument),
            Command::Noop(_) => control::noop(state),
            // Before all that refuses a command: its octets follow all the same.
            Command::Bdat(argument) if known.settings.extensions.chunking => {
                bdat::bdat(known, state, argument, env)
            }
            Command::StartTls(argument) => starttls::starttls(known, state, argument),
            // R5321-4.1.2-d
            Command::Malformed => state.say(reply::syntax_error()),
            // RFC 3207 section 4 (R3207-4-c)
            _ if known.lacks_tls() => state.say(reply::tls_required()),
            Command::Mail(argument) => mail::mail(known, state, argument, env),
            Command::Rcpt(argument) => rcpt::rcpt(known, state, argument),
            Command::Data(argument) => data::data(known, state, argument, env),
            Command::Rset(argument) => control::rset(state, argument),
            Command::Vrfy(argument) => control::vrfy(state, argument),
            Command::Help(_) => control::help(state),
            Command::Auth { mechanism, initial } => {
                auth::auth(known, state, mechanism, initial, env)
            }
            Command::Bdat(_) | Command::Expn(_) | Command::NotImplemented => {
                control::not_implemented(state)
            }
            Command::Unknown => control::unknown(state),
        };
        self.carry_out(command.verb(), step, output);
        if is_welcome && bdat::is_lost(&self.known, command) {
            self.lose_chunk(output);
        }
        // RSET, EHLO and QUIT drop what came of a message (RFC 5321 section 4.1.1.5).
        if held && !self.state.holds_content() {
            output.abandon();
        }
    }

    /// Makes actions of a step.
    fn carry_out(&mut self, command: &str, step: Step, output: &mut Output) {
        let is_welcome = !matches!(step.state, State::Unwelcome);
        self.state = step.state;
        let reply = match step.said {
            Said::Question(question) => return output.ask(question),
            Said::Nothing => return self.end_if_due(output),
            Said::Relayed(reply) | Said::Repeated(reply) => reply,
            Said::Reply(reply) => {
                // A peer that is not welcome may go on until QUIT (R5321-3.1-b).
                let reply = if is_welcome {
                    self.counted(reply)
                } else {
                    reply
                };
                self.report(command, &reply, output);
                reply
            }
        };
        output.send(&reply);
        match self.state {
            State::Closed => output.close(),
            State::Handshake => output.start_tls(),
            // RFC 5321 section 4.2.1: 421 closes, the host's too.
            _ if reply.code == 421 => {
                self.state = State::Closed;
                output.close();
            }
            _ => {}
        }
        self.end_if_due(output);
    }

    /// R5321-3.8-b: the transaction has ended, and the service does.
    fn end_if_due(&mut self, output: &mut Output) {
        if let Some(why) = self.known.ending
            && !self.state.is_in_transaction()
        {
            self.end(&self.farewell(why), output);
        }
    }

    /// A last reply and the end, unless it has come already.
    fn end(&mut self, reply: &Reply, output: &mut Output) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            output.send(reply);
            output.close();
        }
    }

    /// Counts the peer's mistakes; the last one is answered 421 (R5321-3.8-d).
    fn counted(&mut self, reply: Reply) -> Reply {
        let is_mistake = match (reply.code, reply.status) {
            // 5.7.0 in 501 is a cancelled exchange, no mistake; 530 for lack of TLS is one of
            // order, whatever the command, and so is 554 for what the TLS lacks.
            (500..=504 | 555, status) => status != Some((5, 7, 0)),
            (530, _) => self.known.lacks_tls(),
            (554, _) => self.known.is_below_policy(),
            // A 432 tells names apart: who tries many of them guesses.
            (432 | 525 | 534 | 535, _) => {
                return self.known.count_failed_auth().unwrap_or(reply);
            }
            _ => false,
        };
        if !is_mistake {
            return reply;
        }
        self.known.bad_commands = self.known.bad_commands.saturating_add(1);
        if self.known.bad_commands < MOST_BAD_COMMANDS {
            return reply;
        }
        self.too_many("errors")
    }

    fn too_many(&self, what: &str) -> Reply {
        reply::too_many(&self.known.settings.hostname, what)
    }

    /// R6409-5.2: every 4yz and 5yz that the session chooses, with the command and no argument of
    /// it, so that neither secrets nor content get into a log.
    fn report(&mut self, command: &str, reply: &Reply, output: &mut Output) {
        if !reply::is_refusal(reply) || self.known.reports >= MOST_REPORTS {
            return;
        }
        self.known.reports += 1;
        let mut line = Vec::new();
        reply::write(reply, &mut line);
        let line = String::from_utf8_lossy(&line);
        output.report(format!("{command}: {}", line.trim_ascii_end()));
    }

    /// What a dismissed peer is told (RFC 5321 section 3.8).
    fn farewell(&self, why: Dismissal) -> Reply {
        let hostname = &self.known.settings.hostname;
        match why {
            // R5321-3.8-c
            Dismissal::Timeout => reply::timeout(hostname),
            Dismissal::Shutdown => reply::shutting_down(hostname),
            // R5321-3.1-c
            Dismissal::Overload => reply::too_many(hostname, "connections"),
            Dismissal::Fault => reply::internal_error(hostname),
        }
    }
}

/// As many octets as there are of so many.
fn within(octets: &[u8], most: u64) -> &[u8] {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    &octets[..octets.len().min(most)]
}

/// Whether a line begins with this verb and something after it.
fn begins_with(line: &[u8], verb: &[u8]) -> bool {
    match line.split_at_checked(verb.len()) {
        Some((head, [next, ..])) => head.eq_ignore_ascii_case(verb) && next.is_ascii_whitespace(),
        _ => false,
    }
}
