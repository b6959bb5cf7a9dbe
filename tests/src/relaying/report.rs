//! Reports to senders (RFC 3464), read as a mail program would.

/// What a report says of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Final-Recipient, without its type.
    pub recipient: String,
    /// Action, in lower case.
    pub action: String,
    /// Status.
    pub status: String,
    /// Diagnostic-Code, unfolded, with its type.
    pub diagnostic: String,
}

/// What a report says, and what is wrong with its form.
pub fn read(octets: &[u8]) -> Result<Vec<Told>, String> {
    if octets
        .iter()
        .any(|octet| *octet < 32 && !b"\t\r\n".contains(octet))
    {
        return Err("the report has control octets".into());
    }
    let text = String::from_utf8_lossy(octets).replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").ok_or("the report has no body")?;
    let head = fields(head);
    // RFC 3461 section 6.1
    if field(&head, "Return-Path") != Some("<>") {
        return Err(format!("the report has no null reverse-path: {head:?}"));
    }
    // RFC 3834 section 5; R3464-2-e
    for name in [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
    ] {
        field(&head, name).ok_or_else(|| format!("the report has no {name}"))?;
    }
    if field(&head, "Auto-Submitted") != Some("auto-replied") {
        return Err("the report has no Auto-Submitted: auto-replied".into());
    }
    let kind = field(&head, "Content-Type").unwrap_or_default();
    if !kind.starts_with("multipart/report") || !kind.contains("report-type=delivery-status") {
        return Err(format!("the report is {kind}"));
    }
    let boundary = parameter(kind, "boundary").ok_or("the report has no boundary")?;
    // RFC 2046 section 5.1.1: a delimiter stands at the start of a line.
    let body = format!("\n{body}");
    let parts: Vec<&str> = body.split(&format!("\n--{boundary}")).skip(1).collect();
    if parts.last().is_none_or(|last| !last.starts_with("--")) {
        return Err("the report has no end".into());
    }
    if parts.len() != 4 {
        return Err(format!("the report has {} parts", parts.len() - 1));
    }
    let status = part(parts[1], "message/delivery-status")?;
    let mut groups = status
        .split("\n\n")
        .filter(|group| !group.trim().is_empty());
    let message = fields(groups.next().unwrap_or_default());
    // RFC 3464 section 2.2.2
    if field(&message, "Reporting-MTA") != Some("dns; relay.test") {
        return Err(format!("no Reporting-MTA: {message:?}"));
    }
    groups.map(|group| told(&fields(group))).collect()
}

fn told(group: &[(String, String)]) -> Result<Told, String> {
    let must = |name| field(group, name).ok_or_else(|| format!("no {name} in {group:?}"));
    let recipient = must("Final-Recipient")?;
    let (_, recipient) = recipient
        .split_once(';')
        .ok_or_else(|| format!("Final-Recipient: {recipient}"))?;
    Ok(Told {
        recipient: recipient.trim().to_owned(),
        action: must("Action")?.to_lowercase(),
        status: must("Status")?.to_owned(),
        diagnostic: field(group, "Diagnostic-Code")
            .unwrap_or_default()
            .to_owned(),
    })
}

fn part<'a>(part: &'a str, kind: &str) -> Result<&'a str, String> {
    let part = part.trim_start_matches(['\n', ' ', '\t']);
    let (head, body) = part.split_once("\n\n").unwrap_or((part, ""));
    match field(&fields(head), "Content-Type") {
        Some(own) if own.starts_with(kind) => Ok(body),
        own => Err(format!("a part is {own:?}, not {kind}")),
    }
}

/// Header fields, unfolded.
fn fields(head: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    fields
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = value.split_once(&format!("{name}="))?;
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([';', ' ']).next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3464 appendix E.1, cut short.
    const REPORT: &str = "Return-Path: <>\r\nDate: Thu, 7 Jul 1994 17:16:05 -0400\r\n\
        From: <postmaster@relay.test>\r\nMessage-Id: <1@relay.test>\r\nSubject: failure\r\n\
        To: <owner@sender.test>\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n\
        Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"x/y\"\r\n\r\n\
        --x/y\r\n\r\nThe original message was received.\r\n\r\n--x/y\r\n\
        Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.test\r\n\r\n\
        Final-Recipient: rfc822;louisl@larry.slip.umd.edu\r\nAction: failed\r\nStatus: 4.0.0\r\n\
        Diagnostic-Code: smtp; 426 connection timed\r\n out\r\n\r\n--x/y\r\n\
        content-type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n--x/y--\r\n";

    #[test]
    fn r3464_2_c_a_report_is_read() {
        assert_eq!(
            read(REPORT.as_bytes()),
            Ok(vec![Told {
                recipient: "louisl@larry.slip.umd.edu".into(),
                action: "failed".into(),
                status: "4.0.0".into(),
                diagnostic: "smtp; 426 connection timed out".into(),
            }])
        );
    }

    #[test]
    fn what_is_no_report_is_told_apart() {
        for (right, wrong) in [
            ("Return-Path: <>", "Return-Path: <a@b>"),
            ("report-type=delivery-status", "report-type=other"),
            ("--x/y--", "--x/y"),
            (
                "Reporting-MTA: dns; relay.test",
                "Reporting-MTA: dns; other",
            ),
            ("Auto-Submitted: auto-replied", "X: y"),
            ("timed", "tim\u{1b}[2Jed"),
        ] {
            assert!(
                read(REPORT.replace(right, wrong).as_bytes()).is_err(),
                "{wrong}"
            );
        }
    }
}
