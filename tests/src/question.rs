//! How questions, answers and envelopes are written in `Q:`, `A:` and `E:` lines.
//!
//! ```text
//! Q: password USER PASSWORD          A: granted IDENTITY
//! Q: password USER PASSWORD as WHOM  A: refused | disabled | unavailable
//! Q: ntlm DOMAIN\USER                A: as above
//! Q: cram-md5 USER DIGEST            A: as above
//! Q: scram-first MECHANISM USER      A: scram SALT-IN-BASE64 ITERATIONS, or refused and so on
//! Q: scram-first MECHANISM USER as WHOM
//! Q: scram-final PROOF-IN-BASE64 MESSAGES
//!                                    A: signed IDENTITY SIGNATURE-IN-BASE64, or as above
//! Q: token MECHANISM TOKEN of USER as WHOM
//!                                    A: as above; what is empty is left out, with its word
//! Q: external WHOM                   A: as above
//! Q: sender REVERSE-PATH             A: accepted | unavailable | rejected 550 5.7.1 not permitted
//! Q: recipient MAILBOX               A: as above
//! Q: store                           A: stored | unavailable | rejected 452 4.3.1 full
//! E: id reverse-path body size smtputf8 ret envid auth protocol greeted   one value each
//! E: recipients a@b, c@d
//! E: recipient 1 MAILBOX notify=SUCCESS,DELAY orcpt=rfc822;a@b
//! ```

use crate::escape::{Pattern, written};
use pillarbox_protocol::contract::server::{Answer, Question};
use pillarbox_protocol::contract::{
    BodyType, Dismissal, DsnReturn, Envelope, ForwardPath, Notify, Reply, ScramSalt,
};
use pillarbox_protocol::smtp::base64;

/// A question in one line.
pub fn text(question: &Question) -> String {
    match question {
        Question::Password(check) => {
            let password = written(&check.password);
            let text = format!("password {} {password}", check.user);
            with(text, "as", &check.authorization)
        }
        Question::CramMd5(check) => format!("cram-md5 {} {}", check.user, check.digest),
        Question::ScramFirst(start) => {
            let text = format!("scram-first {} {}", start.mechanism.name(), start.user);
            with(text, "as", &start.authorization)
        }
        Question::ScramFinal(proof) => {
            let octets = base64::encode(&proof.proof);
            format!("scram-final {octets} {}", proof.messages)
        }
        Question::Token(check) => {
            let text = format!("token {} {}", check.mechanism.name(), check.token);
            with(with(text, "of", &check.user), "as", &check.authorization)
        }
        Question::External(identity) => format!("external {identity}").trim_end().into(),
        Question::Ntlm(response) => format!("ntlm {}\\{}", response.domain, response.user),
        Question::Sender(reverse_path, _) => format!("sender {reverse_path}").trim_end().into(),
        Question::Recipient(path) => format!("recipient {}", path.mailbox),
        Question::Store(_) => "store".into(),
    }
}

/// The text with a word and what it says, if that is not empty.
fn with(text: String, word: &str, what: &str) -> String {
    if what.is_empty() {
        text
    } else {
        format!("{text} {word} {what}")
    }
}

/// Whether the written question is this one.
pub fn fits(expected: &str, came: &str) -> bool {
    Pattern::read(&expected.replace('\\', r"\\")).is_ok_and(|pattern| pattern.fits(came.as_bytes()))
        || expected == came
}

/// A written answer.
///
/// # Errors
///
/// No answer is written so.
pub fn answer(written: &str) -> Result<Answer, String> {
    let (kind, rest) = written.split_once(' ').unwrap_or((written, ""));
    Ok(match kind {
        "granted" => Answer::Granted(rest.into(), Vec::new()),
        "signed" => {
            let (identity, signature) = rest.split_once(' ').ok_or("a signature is missing")?;
            Answer::Granted(identity.into(), decoded(signature)?)
        }
        "scram" => {
            let (salt, iterations) = rest.split_once(' ').ok_or("iterations are missing")?;
            Answer::Scram(ScramSalt {
                salt: decoded(salt)?,
                iterations: iterations
                    .parse()
                    .map_err(|_| format!("{iterations} is no number"))?,
            })
        }
        "refused" => Answer::Refused,
        "disabled" => Answer::Disabled,
        "unprepared" => Answer::Unprepared,
        "unavailable" => Answer::Unavailable,
        "accepted" => Answer::Accepted,
        "stored" => Answer::Stored,
        "rejected" => Answer::Rejected(reply(rest)?),
        _ => return Err(format!("no answer: {written}")),
    })
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    base64::decode(text.as_bytes()).ok_or_else(|| format!("{text} is not base64"))
}

/// `550 5.1.1 text` as a reply of one line.
///
/// # Errors
///
/// The code or the enhanced status code is missing.
pub fn reply(written: &str) -> Result<Reply, String> {
    let wrong = || format!("no reply: {written}");
    let (code, rest) = written.split_once(' ').ok_or_else(wrong)?;
    let (status, line) = rest.split_once(' ').ok_or_else(wrong)?;
    let mut parts = status.split('.').map(str::parse::<u16>);
    let mut part = || parts.next().and_then(Result::ok).ok_or_else(wrong);
    let status = (
        u8::try_from(part()?).map_err(|_| wrong())?,
        part()?,
        part()?,
    );
    Ok(Reply {
        code: code.parse().map_err(|_| wrong())?,
        status: Some(status),
        lines: vec![line.into()],
    })
}

/// A written dismissal.
///
/// # Errors
///
/// There is none of that name.
pub fn dismissal(written: &str) -> Result<Dismissal, String> {
    Ok(match written {
        "timeout" => Dismissal::Timeout,
        "shutdown" => Dismissal::Shutdown,
        "overload" => Dismissal::Overload,
        "fault" => Dismissal::Fault,
        _ => return Err(format!("no dismissal: {written}")),
    })
}

/// Compares one `E:` line with an envelope.
///
/// # Errors
///
/// What the envelope says instead, or an unknown key.
pub fn envelope_has(envelope: &Envelope, line: &str) -> Result<(), String> {
    let (key, expected) = line.split_once(' ').unwrap_or((line, ""));
    let parameters = &envelope.parameters;
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".into());
    let came = match key {
        "id" => envelope.id.clone(),
        "reverse-path" => envelope.reverse_path.clone(),
        "body" => match parameters.body {
            BodyType::SevenBit => "7BIT".into(),
            BodyType::EightBitMime => "8BITMIME".into(),
            BodyType::BinaryMime => "BINARYMIME".into(),
        },
        "size" => or_none(parameters.size.map(|size| size.to_string())),
        "smtputf8" => if parameters.smtputf8 { "yes" } else { "no" }.into(),
        "ret" => or_none(parameters.ret.map(|ret| match ret {
            DsnReturn::Full => "FULL".into(),
            DsnReturn::Headers => "HDRS".into(),
        })),
        "envid" => or_none(parameters.envid.clone()),
        "auth" => or_none(
            parameters
                .auth
                .clone()
                .map(|auth| if auth.is_empty() { "<>".into() } else { auth }),
        ),
        "protocol" => envelope.protocol.clone(),
        "greeted" => envelope.greeted.clone(),
        "recipients" => envelope
            .forward_paths
            .iter()
            .map(|path| path.mailbox.as_str())
            .collect::<Vec<_>>()
            .join(", "),
        "recipient" => {
            let (number, expected) = expected
                .split_once(' ')
                .ok_or("a recipient needs its number")?;
            let index: usize = number
                .parse()
                .map_err(|_| format!("{number} is no number"))?;
            let path = index
                .checked_sub(1)
                .and_then(|index| envelope.forward_paths.get(index))
                .ok_or_else(|| format!("there is no recipient {number}"))?;
            return equal(expected, &recipient(path));
        }
        _ => return Err(format!("unknown: E: {line}")),
    };
    if key == "id" {
        return fits(expected, &came)
            .then_some(())
            .ok_or_else(|| format!("came: {came}"));
    }
    equal(expected, &came)
}

fn equal(expected: &str, came: &str) -> Result<(), String> {
    if expected == came {
        Ok(())
    } else {
        Err(format!("the envelope has: {came}"))
    }
}

fn recipient(path: &ForwardPath) -> String {
    let mut text = path.mailbox.clone();
    if let Some(notify) = path.notify {
        text.push_str(" notify=");
        text.push_str(&notify_text(notify));
    }
    if let Some((kind, address)) = &path.orcpt {
        text.push_str(&format!(" orcpt={kind};{address}"));
    }
    text
}

fn notify_text(notify: Notify) -> String {
    [
        (notify.never, "NEVER"),
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect::<Vec<_>>()
    .join(",")
}
