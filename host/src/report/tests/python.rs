//! Reports as another program reads them: Python's email package.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::spool::Ret;

/// One report of the corpus: its name, and what must be found in it.
struct Case {
    name: &'static str,
    report: Composed,
    third: &'static str,
    recipients: Vec<[String; 3]>,
}

fn case(
    name: &'static str,
    third: &'static str,
    parameters: Parameters,
    reverse_path: &str,
    original: &Original,
    notices: Vec<(Notice, &str)>,
) -> Case {
    let recipients = notices
        .iter()
        .map(|(notice, status)| {
            let action = format!("{:?}", notice.kind).to_lowercase();
            [
                notice.recipient.mailbox.clone(),
                action,
                (*status).to_owned(),
            ]
        })
        .collect();
    let notices = notices.into_iter().map(|(notice, _)| notice).collect();
    let mut owed = owed(parameters, 100, notices);
    Arc::get_mut(&mut owed.message)
        .unwrap()
        .envelope
        .reverse_path = reverse_path.into();
    Case {
        name,
        report: composed(&owed, &[Some(at(1000))], original),
        third,
        recipients,
    }
}

fn corpus() -> Vec<Case> {
    use NoticeKind::{Delayed, Delivered, Failed, Relayed};
    let plain = Original::Whole(b"Message-ID: <1@example.org>\r\nSubject: a\r\n\r\nb\r\n".to_vec());
    let eight_bit = Original::Whole("Subject: a\r\n\r\nä\r\n".into());
    let raw_header = Original::Whole(b"Subject: \xe4\r\n\r\nb\r\n".to_vec());
    let utf8_header = Original::Whole("Subject: ä\r\n\r\nb\r\n".into());
    let binary = Original::Whole(b"Subject: a\r\n\r\nb\0\n\r\n".to_vec());
    let endless = Original::Beginning("X-A: b\r\n".repeat(40_000).into());
    let nested = Original::Whole(
        b"Content-Type: multipart/mixed; boundary=\"=_0_r1-1\"\r\n\r\n--=_0_r1-1\r\n\r\na\r\n--=_0_r1-1--\r\n"
            .to_vec(),
    );
    let alice = "alice@example.org";
    let none = Parameters::default;
    let utf8 = || Parameters {
        smtputf8: true,
        ..Parameters::default()
    };
    let failed = |mailbox: &str| {
        let attempt = said(
            550,
            Some((5, 1, 1)),
            &["no such mailbox", "grüße\u{7}  and \u{202e}more"],
        );
        (notice(Failed, mailbox, attempt), "5.1.1")
    };
    let long = "a very long reply ".repeat(200);
    vec![
        case(
            "plain",
            "message/rfc822",
            none(),
            alice,
            &plain,
            vec![failed("bob@example.net")],
        ),
        case(
            "headers",
            "text/rfc822-headers",
            Parameters {
                ret: Some(Ret::Headers),
                envid: Some("a+2Bb".into()),
                ..none()
            },
            alice,
            &plain,
            vec![failed("bob@example.net")],
        ),
        case(
            "mixed",
            "message/rfc822",
            none(),
            alice,
            &plain,
            vec![
                failed("bob@example.net"),
                (
                    notice(Delayed, "carol@example.net", said(451, None, &["later"])),
                    "4.0.0",
                ),
                (
                    notice(Relayed, "dave@example.net", said(250, None, &["ok"])),
                    "2.1.5",
                ),
                (
                    notice(Delivered, "erin@example.net", Attempt::default()),
                    "2.1.5",
                ),
            ],
        ),
        case(
            "quoted",
            "message/rfc822",
            none(),
            "\"a b, c\"@example.org",
            &plain,
            vec![failed("\"x (y) \\\"z\"@example.net")],
        ),
        case(
            "long",
            "message/rfc822",
            none(),
            alice,
            &plain,
            vec![(
                notice(
                    Failed,
                    "bob@example.net",
                    said(554, None, &[&long, &"x".repeat(4000)]),
                ),
                "5.0.0",
            )],
        ),
        case(
            "eight-bit",
            "message/rfc822",
            none(),
            alice,
            &eight_bit,
            vec![failed("bob@example.net")],
        ),
        case(
            "raw-header",
            "text/rfc822-headers",
            none(),
            alice,
            &raw_header,
            vec![failed("bob@example.net")],
        ),
        case(
            "binary",
            "text/rfc822-headers",
            none(),
            alice,
            &binary,
            vec![failed("bob@example.net")],
        ),
        case(
            "endless",
            "text/rfc822-headers",
            none(),
            alice,
            &endless,
            vec![failed("bob@example.net")],
        ),
        case(
            "nested",
            "message/rfc822",
            none(),
            alice,
            &nested,
            vec![failed("bob@example.net")],
        ),
        case(
            "utf8",
            "message/global",
            utf8(),
            "ålice@example.org",
            &utf8_header,
            vec![failed("βοβ@example.net")],
        ),
        case(
            "utf8-headers",
            "message/global-headers",
            Parameters {
                ret: Some(Ret::Headers),
                ..utf8()
            },
            alice,
            &utf8_header,
            vec![failed("βοβ@example.net")],
        ),
        case(
            "utf8-ascii-sender",
            "message/global",
            utf8(),
            alice,
            &utf8_header,
            vec![failed("bob@example.net")],
        ),
        case(
            "unreadable",
            "",
            none(),
            alice,
            &Original::Unreadable("it is damaged".into()),
            vec![failed("bob@example.net")],
        ),
    ]
}

#[test]
fn python_reads_every_report_without_a_defect() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = String::new();
    for case in corpus() {
        let file = folder.path().join(format!("{}.eml", case.name));
        std::fs::write(file, &case.report.octets).unwrap();
        writeln!(expected, "{}\t{}", case.name, case.third).unwrap();
        for recipient in case.recipients {
            writeln!(expected, "\t{}", recipient.join("\t")).unwrap();
        }
    }
    std::fs::write(folder.path().join("expected"), expected).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop/reports.py");
    let done = Command::new("python3")
        .arg(script)
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(told.contains("14 reports without a defect"), "{told}");
}
