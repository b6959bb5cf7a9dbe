//! AUTH and TLS: what is wrong between us and a server that an administrator named is our own fault.
//! It defers, pauses the route, raises one alarm and never makes a report (CL-route); `queue retry`
//! sets it going after the repair.

use pillarbox_tests::relaying::Row;
use pillarbox_tests::scripted::Act::{self, Close, Raw, Silence, Usual};
use pillarbox_tests::scripted::{At, Authority, Script, Seen};

const LOGIN: &str = "auth = { user = \"alice\", mechanisms = [\"plain\", \"login\"], \
                     password-command = \"echo secret\", clear-text = true }";
const PLAIN: &str = "auth = { user = \"alice\", mechanism = \"plain\", \
                     password-command = \"echo secret\", clear-text = true }";
const CLEAR: &str = "tls = \"off\"";
const REQUIRED: &str = "tls = \"required\"";
const OPPORTUNISTIC: &str = "tls = \"opportunistic\"";
const NAME: &str = "tls-name = \"peer.test\"";
const AUTHORITY: &str = "tls-authorities = \"{folder}/ca.pem\"";

pub fn rows(authority: &Authority) -> Result<Vec<Row>, String> {
    let mut rows = passwords();
    rows.extend(starttls(authority)?);
    rows.extend(certificates(authority)?);
    Ok(rows)
}

fn auth(keyword: &str) -> Script {
    Script::good().offers(&["PIPELINING", keyword])
}

fn login(name: &'static str, script: Script) -> Row {
    Row::new(name, script).route(CLEAR).route(LOGIN)
}

fn passwords() -> Vec<Row> {
    vec![
        login("AUTH PLAIN", auth("AUTH PLAIN LOGIN"))
            .attempts(1..=1)
            .check(logged_in),
        login("AUTH LOGIN", auth("AUTH LOGIN"))
            .attempts(1..=1)
            .check(logged_in),
        login(
            "AUTH PLAIN is unknown after all, LOGIN is not",
            auth("AUTH PLAIN LOGIN").says(At::Auth("PLAIN"), "504 5.5.4 no such mechanism"),
        )
        .attempts(1..=1),
        login(
            "535 to AUTH",
            auth("AUTH PLAIN").says(At::Auth(""), "535 5.7.8 wrong password"),
        )
        .messages(3)
        .paused("535 & wrong password")
        .check(never_past_auth),
        login(
            "504 to AUTH",
            auth("AUTH PLAIN").says(At::Auth(""), "504 5.5.4 no such mechanism"),
        )
        .paused("504 & no such mechanism"),
        login(
            "534 to AUTH",
            auth("AUTH PLAIN").says(At::Auth(""), "534 5.7.9 too weak"),
        )
        .paused("534"),
        login("AUTH is not offered", auth("SIZE")).paused("AUTH"),
        login("no common mechanism", auth("AUTH GSSAPI EXTERNAL")).paused("GSSAPI"),
        login(
            "454 to AUTH",
            auth("AUTH PLAIN").says(At::Auth(""), "454 4.7.0 directory is away"),
        )
        .deferred("454 & directory is away"),
        login(
            "421 to AUTH",
            auth("AUTH PLAIN").says(At::Auth(""), "421 4.7.0 too many failures"),
        )
        .deferred("421 & too many failures"),
        login(
            "closes at AUTH",
            auth("AUTH PLAIN").at(At::Auth(""), [Close]),
        )
        .deferred(""),
        login(
            "closes after 334",
            auth("AUTH LOGIN").at(At::Response, [Close]),
        )
        .deferred(""),
        login(
            "silent at AUTH",
            auth("AUTH PLAIN").at(At::Auth(""), [Silence]),
        )
        .deferred(""),
        login(
            "closes after 235",
            auth("AUTH PLAIN").at(At::Auth(""), [Usual, Close]),
        )
        .deferred(""),
        login(
            "challenges without an end",
            auth("AUTH LOGIN").says(At::Response, "334 QWdhaW46"),
        )
        .deferred(""),
        login(
            "250 to AUTH",
            auth("AUTH PLAIN").says(At::Auth(""), "250 ok"),
        )
        .attempts(1..=1),
        Row::new("530 to MAIL, and no password here", {
            Script::good().says(At::Mail(0), "530 5.7.0 authentication required")
        })
        .paused("530 & authentication required"),
        Row::new("530 to RCPT, and no password here", {
            Script::good().says(At::Rcpt(""), "530 5.7.0 authentication required")
        })
        .to(&["a", "b"])
        .paused("530 & authentication required"),
    ]
}

fn starttls(authority: &Authority) -> Result<Vec<Row>, String> {
    let good = authority.server("peer.test")?;
    let tls = || {
        let mut script = Script::good().offers(&["PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN"]);
        script.tls = Some([good.clone(), good.clone()]);
        script
    };
    let required = |name, script| {
        Row::new(name, script)
            .route(REQUIRED)
            .route(NAME)
            .route(AUTHORITY)
    };
    let injected = b"220 2.0.0 go on\r\n250 injected\r\n".to_vec();
    Ok(vec![
        Row::new("PLAIN without TLS is not allowed", tls().offers(&["AUTH PLAIN"]))
            .route(OPPORTUNISTIC)
            .route(NAME)
            .route(AUTHORITY)
            .route(
                "auth = { user = \"alice\", mechanism = \"plain\", password-command = \"echo secret\" }",
            )
            .paused("PLAIN")
            .check(no_mail_in_clear),
        required("STARTTLS", tls()).attempts(1..=1).check(by_name),
        required("STARTTLS and AUTH PLAIN", tls())
            .route(PLAIN)
            .attempts(1..=1)
            .check(logged_in),
        required("STARTTLS is not offered", tls().offers(&["PIPELINING"]))
            .paused("STARTTLS")
            .check(no_mail_in_clear),
        required(
            "502 to STARTTLS",
            tls().says(At::Starttls, "502 5.5.1 what?"),
        )
        .paused("502")
        .check(no_mail_in_clear),
        required(
            "454 to STARTTLS",
            tls().says(At::Starttls, "454 4.7.0 not just now"),
        )
        .deferred("454 & not just now")
        .check(no_mail_in_clear),
        Row::new(
            "502 to STARTTLS, TLS is optional",
            tls().says(At::Starttls, "502 5.5.1 what?"),
        )
        .route(OPPORTUNISTIC)
        .attempts(1..=1),
        Row::new(
            "454 to STARTTLS, TLS is optional",
            tls().says(At::Starttls, "454 4.7.0 no"),
        )
        .route(OPPORTUNISTIC)
        .attempts(1..=1),
        required("closes at STARTTLS", tls().at(At::Starttls, [Close])).deferred(""),
        required("silent at STARTTLS", tls().at(At::Starttls, [Silence])).deferred(""),
        required("closes in the handshake", tls().at(At::Handshake, [Close])).deferred(""),
        required(
            "silent in the handshake",
            tls().at(At::Handshake, [Silence]),
        )
        .deferred(""),
        required(
            "no TLS in the handshake",
            tls().at(At::Handshake, [hello(), noise(), Silence]),
        )
        .deferred(""),
        Row::new(
            "no TLS in the handshake, TLS is optional",
            tls().at(At::Handshake, [hello(), noise(), Silence]),
        )
        .route(OPPORTUNISTIC)
        .deferred("")
        .check(no_mail_in_clear),
        required(
            "a TLS alert in the handshake",
            tls().at(At::Handshake, [hello(), alert(), Close]),
        )
        .deferred("")
        .check(no_mail_in_clear),
        Row::new(
            "a TLS alert in the handshake, TLS is optional",
            tls().at(At::Handshake, [hello(), alert(), Close]),
        )
        .route(OPPORTUNISTIC)
        .attempts(1..=1),
        required(
            "octets in clear after 220",
            tls().at(At::Starttls, [Raw(injected), Silence]),
        )
        .deferred("")
        .check(no_mail_in_clear),
        required("another EHLO within TLS", tls().at(At::Ehlo, [Usual])).attempts(1..=1),
        required("TLS from the first octet", {
            let mut script = tls();
            script.implicit = true;
            script
        })
        .with(|row| {
            row.route.retain(|key| *key != REQUIRED);
        })
        .attempts(1..=1)
        .check(by_name),
    ])
}

fn certificates(authority: &Authority) -> Result<Vec<Row>, String> {
    let good = authority.server("peer.test")?;
    let other_name = authority.server("other.test")?;
    let other_authority = Authority::new()?.server("peer.test")?;
    let showing = |first: &std::sync::Arc<_>| {
        let mut script = Script::good().offers(&["PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN"]);
        script.tls = Some([std::sync::Arc::clone(first), good.clone()]);
        script
    };
    let required = |name, script| {
        Row::new(name, script)
            .route(REQUIRED)
            .route(NAME)
            .route(AUTHORITY)
            .route(PLAIN)
    };
    Ok(vec![
        required(
            "a certificate of a strange authority",
            showing(&other_authority),
        )
        .paused("")
        .check(no_mail_in_clear),
        required("a certificate for another name", showing(&other_name))
            .paused("")
            .check(no_mail_in_clear),
        required("TLS from the first octet, and a strange certificate", {
            let mut script = showing(&other_authority);
            script.implicit = true;
            script
        })
        .with(|row| row.route.retain(|key| *key != REQUIRED))
        .paused(""),
        Row::new(
            "a certificate of a strange authority, TLS is optional",
            showing(&other_authority),
        )
        .route(OPPORTUNISTIC)
        .attempts(1..=1),
    ])
}

/// Time for the client's first record: octets that come with the 220 are an attack.
fn hello() -> Act {
    Act::Pause(std::time::Duration::from_millis(300))
}

/// RFC 5246 section 7.2: fatal, handshake_failure.
fn alert() -> Act {
    Raw(b"\x15\x03\x03\x00\x02\x02\x28".to_vec())
}

fn noise() -> Act {
    Raw(b"this is no TLS record at all, and it is long enough\r\n".to_vec())
}

fn logged_in(seen: &Seen) -> Result<(), String> {
    match (seen.logins, seen.contents.len()) {
        (1, 1) => Ok(()),
        (logins, contents) => Err(format!("{logins} logins, {contents} contents")),
    }
}

fn by_name(seen: &Seen) -> Result<(), String> {
    match seen.server_name.as_deref() {
        Some("peer.test") => Ok(()),
        other => Err(format!("the server name was {other:?}")),
    }
}

/// Nothing was said of a message before the login had succeeded.
fn never_past_auth(seen: &Seen) -> Result<(), String> {
    let mut welcome = false;
    for line in &seen.lines {
        welcome |= line.contains(" S: 235");
        if line.contains(" C: MAIL") && !welcome {
            return Err("MAIL came before AUTH had succeeded".into());
        }
    }
    Ok(())
}

/// R3207-6-a: neither MAIL nor AUTH before TLS.
fn no_mail_in_clear(seen: &Seen) -> Result<(), String> {
    let mut secure = std::collections::BTreeSet::new();
    for line in &seen.lines {
        let connection = line.split(' ').next().unwrap_or_default();
        if line.contains(" -: (TLS)") {
            secure.insert(connection);
        }
        let private = line.contains(" C: MAIL") || line.contains(" C: AUTH");
        if private && !secure.contains(connection) {
            return Err(format!("in clear: {line}"));
        }
    }
    Ok(())
}
