//! Whole reports, written by hand from the RFCs.

use super::*;
use crate::spool::{Body, Ret};

const ORIGINAL: &str = "Message-ID: <1@example.org>\r\nSubject: Test\r\n\r\nHello\r\n";

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

// R3464-2-b, R3464-2-c, R3464-2-d, R3464-2-e, R3461-6.1
#[test]
fn r3464_2_a_a_failure_with_the_message() {
    let mut failed = notice(
        NoticeKind::Failed,
        "bob@example.net",
        said(
            550,
            Some((5, 1, 1)),
            &["no such mailbox", "ask the postmaster"],
        ),
    );
    failed.recipient.orcpt = Some(("rfc822".into(), "bob+2Bx@example.com".into()));
    let parameters = Parameters {
        envid: Some("QQ+20314159".into()),
        ..Parameters::default()
    };
    let owed = owed(parameters, ORIGINAL.len(), vec![failed]);
    let report = composed(&owed, &[None], &Original::Whole(ORIGINAL.into()));
    let expected = r#"From: Mail Delivery System <postmaster@mail.example.org>
To: <alice@example.org>
Subject: Not delivered: bob@example.net
Date: Sun, 09 Sep 2001 01:46:51 +0000
Message-ID: <r1-1@mail.example.org>
In-Reply-To: <1@example.org>
References: <1@example.org>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="=_0_r1-1"

--=_0_r1-1
Content-Type: text/plain; charset=us-ascii

This is the mail service at mail.example.org. It writes about your message
of Sun, 09 Sep 2001 01:46:40 +0000.

It was NOT delivered to:

    bob@example.net

The server mx.example.net said:

    550-5.1.1 no such mailbox
    550 5.1.1 ask the postmaster

What you can do: look for a mistake in the address, ask the recipient for
the present one, and send the message again.

Your message is attached.

If you need help, send this report to postmaster@mail.example.org. The
message is known there as a-1.

--=_0_r1-1
Content-Type: message/delivery-status

Original-Envelope-Id: QQ 314159
Reporting-MTA: dns; mail.example.org
Arrival-Date: Sun, 09 Sep 2001 01:46:40 +0000

Original-Recipient: rfc822; bob+x@example.com
Final-Recipient: rfc822; bob@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550-5.1.1 no such mailbox
 550 5.1.1 ask the postmaster
Last-Attempt-Date: Sun, 09 Sep 2001 01:46:50 +0000

--=_0_r1-1
Content-Type: message/rfc822

Message-ID: <1@example.org>
Subject: Test

Hello

--=_0_r1-1--
"#;
    assert_eq!(text(&report), crlf(expected));
    // R3461-6.1
    assert_eq!(report.envelope.reverse_path, "");
    assert_eq!(report.envelope.parameters, Parameters::default());
    assert_eq!(report.recipient.mailbox, "alice@example.org");
    assert_eq!(
        (report.recipient.notify, &report.recipient.orcpt),
        (None, &None)
    );
    assert_eq!(report.message_id, "<r1-1@mail.example.org>");
    assert_eq!(report.facts, ContentFacts::default());
}

#[test]
fn r3464_2_d_a_delay_and_what_was_handed_on() {
    let delayed = |mailbox| {
        notice(
            NoticeKind::Delayed,
            mailbox,
            said(451, None, &["come back later"]),
        )
    };
    let relayed = notice(
        NoticeKind::Relayed,
        "erin@example.com",
        said(250, Some((2, 6, 0)), &["queued"]),
    );
    let owed = owed(
        Parameters {
            ret: Some(Ret::Full),
            ..Parameters::default()
        },
        ORIGINAL.len(),
        vec![
            relayed,
            delayed("carol@example.net"),
            delayed("dave@example.net"),
        ],
    );
    let until = [None, Some(at(432_000)), Some(at(432_000))];
    let report = composed(&owed, &until, &Original::Beginning(ORIGINAL.into()));
    let expected = r#"From: Mail Delivery System <postmaster@mail.example.org>
To: <alice@example.org>
Subject: Delayed, still being tried: carol@example.net and 1 other
Date: Sun, 09 Sep 2001 01:46:51 +0000
Message-ID: <r1-1@mail.example.org>
In-Reply-To: <1@example.org>
References: <1@example.org>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="=_0_r1-1"

--=_0_r1-1
Content-Type: text/plain; charset=us-ascii

This is the mail service at mail.example.org. It writes about your message
of Sun, 09 Sep 2001 01:46:40 +0000.

It has not been delivered so far to the following, but is tried again until
Fri, 14 Sep 2001 01:46:40 +0000. You need not do anything: if it fails for
good, you get another report.

    carol@example.net
    dave@example.net

The server mx.example.net said:

    451 come back later

It was handed on, as you wanted to know, to the next server, which sends no
such confirmations; so this is the last one about:

    erin@example.com

The header of your message is attached.

If you need help, send this report to postmaster@mail.example.org. The
message is known there as a-1.

--=_0_r1-1
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org
Arrival-Date: Sun, 09 Sep 2001 01:46:40 +0000

Final-Recipient: rfc822; erin@example.com
Action: relayed
Status: 2.6.0
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 250 2.6.0 queued
Last-Attempt-Date: Sun, 09 Sep 2001 01:46:50 +0000

Final-Recipient: rfc822; carol@example.net
Action: delayed
Status: 4.0.0
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 451 come back later
Last-Attempt-Date: Sun, 09 Sep 2001 01:46:50 +0000
Will-Retry-Until: Fri, 14 Sep 2001 01:46:40 +0000

Final-Recipient: rfc822; dave@example.net
Action: delayed
Status: 4.0.0
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 451 come back later
Last-Attempt-Date: Sun, 09 Sep 2001 01:46:50 +0000
Will-Retry-Until: Fri, 14 Sep 2001 01:46:40 +0000

--=_0_r1-1
Content-Type: text/rfc822-headers

Message-ID: <1@example.org>
Subject: Test

--=_0_r1-1--
"#;
    assert_eq!(text(&report), crlf(expected));
}

#[test]
fn r6533_4_an_internationalized_failure() {
    let mut failed = notice(
        NoticeKind::Failed,
        "βοβ@example.net",
        said(550, Some((5, 1, 1)), &["unbekannte Adresse: βοβ"]),
    );
    failed.recipient.orcpt = Some(("utf-8".into(), "\\x{3B2}@example.com".into()));
    let original = "Message-ID: <1@example.org>\r\nSubject: Prüfung\r\n\r\nHallo\r\n";
    let parameters = Parameters {
        smtputf8: true,
        body: Body::EightBitMime,
        ..Parameters::default()
    };
    let mut owed = owed(parameters, original.len(), vec![failed]);
    Arc::get_mut(&mut owed.message)
        .unwrap()
        .envelope
        .reverse_path = "ålice@example.org".into();
    let report = composed(&owed, &[None], &Original::Whole(original.into()));
    let expected = r#"From: Mail Delivery System <postmaster@mail.example.org>
To: <ålice@example.org>
Subject: Not delivered
Date: Sun, 09 Sep 2001 01:46:51 +0000
Message-ID: <r1-1@mail.example.org>
In-Reply-To: <1@example.org>
References: <1@example.org>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="=_0_r1-1"
Content-Transfer-Encoding: 8bit

--=_0_r1-1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

This is the mail service at mail.example.org. It writes about your message
of Sun, 09 Sep 2001 01:46:40 +0000.

It was NOT delivered to:

    =CE=B2=CE=BF=CE=B2@example.net

The server mx.example.net said:

    550 5.1.1 unbekannte Adresse: =CE=B2=CE=BF=CE=B2

What you can do: look for a mistake in the address, ask the recipient for
the present one, and send the message again.

Your message is attached.

If you need help, send this report to postmaster@mail.example.org. The
message is known there as a-1.

--=_0_r1-1
Content-Type: message/global-delivery-status
Content-Transfer-Encoding: 8bit

Reporting-MTA: dns; mail.example.org
Arrival-Date: Sun, 09 Sep 2001 01:46:40 +0000

Original-Recipient: utf-8; β@example.com
Final-Recipient: utf-8; βοβ@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 unbekannte Adresse: βοβ
Last-Attempt-Date: Sun, 09 Sep 2001 01:46:50 +0000

--=_0_r1-1
Content-Type: message/global
Content-Transfer-Encoding: 8bit

Message-ID: <1@example.org>
Subject: Prüfung

Hallo

--=_0_r1-1--
"#;
    assert_eq!(text(&report), crlf(expected));
    assert!(report.envelope.parameters.smtputf8);
    assert_eq!(report.envelope.parameters.body, Body::EightBitMime);
    assert!(report.facts.header_eight_bit && report.facts.body_eight_bit);
}

#[test]
fn a_message_that_was_given_up_and_cannot_be_read() {
    let attempt = Attempt {
        text: "no answer from mx.example.net within 60 s".into(),
        status: Some((4, 4, 1)),
        at: at(432_010),
        ..Attempt::default()
    };
    let owed = owed(
        Parameters::default(),
        10,
        vec![notice(NoticeKind::Failed, "bob@example.net", attempt)],
    );
    let why = Original::Unreadable("what is stored of it here is damaged".into());
    let report = composed(&owed, &[Some(at(432_000))], &why);
    let (_, parts) = parts(&report.octets);
    assert_eq!(parts.len(), 2);
    let people = crlf(
        "This is the mail service at mail.example.org. It writes about your message
of Sun, 09 Sep 2001 01:46:40 +0000.

It was NOT delivered to:

    bob@example.net

The reason:

    no answer from mx.example.net within 60 s

It was tried for 5 days, and is given up now. What you can do: send the
message again later, or reach the recipient in another way.

Your message cannot be attached: what is stored of it here is damaged.

If you need help, send this report to postmaster@mail.example.org. The
message is known there as a-1.
",
    );
    assert_eq!(String::from_utf8_lossy(&parts[0].body), people);
    let programs = crlf(
        "Reporting-MTA: dns; mail.example.org
Arrival-Date: Sun, 09 Sep 2001 01:46:40 +0000

Final-Recipient: rfc822; bob@example.net
Action: failed
Status: 4.4.1
Last-Attempt-Date: Fri, 14 Sep 2001 01:46:50 +0000
",
    );
    assert_eq!(String::from_utf8_lossy(&parts[1].body), programs);
}

#[test]
fn r2852_4_what_was_not_delivered_in_time_is_told_with_5_4_7() {
    let late = Attempt {
        route: "smarthost".into(),
        status: Some((5, 4, 7)),
        text: "not delivered by 2001-09-09T01:47:40Z, the time that its sender gave".into(),
        at: at(60),
        ..Attempt::default()
    };
    let failed = notice(NoticeKind::Failed, "bob@example.net", late.clone());
    let parameters = Parameters {
        ret: Some(Ret::Headers),
        ..Parameters::default()
    };
    let report = composed(
        &owed(parameters.clone(), ORIGINAL.len(), vec![failed]),
        &[None],
        &Original::Beginning(ORIGINAL.into()),
    );
    let report = text(&report);
    for part in [
        "Action: failed\r\nStatus: 5.4.7\r\n",
        "the time that its sender gave",
        "it was not to arrive any later",
    ] {
        // However the lines are folded.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&report).contains(&words(part)), "{part}: {report}");
    }
    // Mode N: a delay.
    let delayed = Attempt {
        status: Some((4, 4, 7)),
        ..late
    };
    let delayed = notice(NoticeKind::Delayed, "bob@example.net", delayed);
    let report = composed(
        &owed(parameters, ORIGINAL.len(), vec![delayed]),
        &[None],
        &Original::Beginning(ORIGINAL.into()),
    );
    let report = text(&report);
    assert!(
        report.contains("Action: delayed\r\nStatus: 4.4.7\r\n"),
        "{report}"
    );
}
