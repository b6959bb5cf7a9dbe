//! What becomes of recipients and their parameters.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use super::*;
use crate::alias::file;
use crate::relay::Retry;
use crate::route::Route;

fn routes() -> Routes {
    let route = |name: &str, pattern: &str, delivery| Route {
        name: name.to_owned(),
        domains: vec![pattern.parse().unwrap()],
        senders: Vec::new(),
        identities: Vec::new(),
        delivery,
        retry: Retry::default(),
    };
    let maildir = Delivery::Maildir("/mail/{domain}/{local}".parse().unwrap());
    Routes::new(vec![
        route("here", "example.org", maildir),
        route("held", "example.edu", Delivery::Hold),
        route("away", "*", Delivery::Discard),
    ])
}

/// `mailbox NOTIFY ORCPT`, as recipients become them; `-`: none.
fn become_of(aliases: &str, reverse_path: &str, wanted: &[(&str, &str)]) -> Vec<String> {
    let aliases = Aliases::new(file::read(aliases).entries);
    let routes = routes();
    let context = Context {
        aliases: &aliases,
        routes: &routes,
        hostname: "mail.example.org",
        reverse_path,
        identity: None,
    };
    let wanted = wanted
        .iter()
        .map(|(mailbox, notify)| Recipient {
            mailbox: (*mailbox).to_owned(),
            notify: asked(notify),
            orcpt: None,
        })
        .collect();
    let all = context.recipients(wanted);
    all.iter()
        .map(|one| {
            let mut shown = format!(
                "{} {} {} {}",
                one.recipient.mailbox,
                words(one.recipient.notify),
                one.recipient
                    .orcpt
                    .as_ref()
                    .map_or("-".to_owned(), |(kind, address)| format!(
                        "{kind};{address}"
                    )),
                if one.lane.is_empty() { "-" } else { &one.lane },
            );
            match one.state {
                NewState::Waiting => {}
                NewState::Held => shown.push_str(" held"),
                NewState::Expanded(count) => shown.push_str(&format!(" expanded {count}")),
            }
            shown
        })
        .collect()
}

fn asked(words: &str) -> Option<Notify> {
    let has = |word| words.split(',').any(|one| one == word);
    (words != "-").then(|| Notify {
        never: has("NEVER"),
        success: has("SUCCESS"),
        failure: has("FAILURE"),
        delay: has("DELAY"),
    })
}

fn words(notify: Option<Notify>) -> String {
    let Some(notify) = notify else {
        return "-".to_owned();
    };
    let all = [
        (notify.never, "NEVER"),
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ];
    let words: Vec<_> = all
        .iter()
        .filter_map(|(on, word)| on.then_some(*word))
        .collect();
    words.join(",")
}

#[test]
fn r3461_5_2_7_with_one_target_the_parameters_go_on() {
    for notify in ["-", "NEVER", "SUCCESS", "SUCCESS,FAILURE,DELAY"] {
        let expected = format!("bob@example.net {notify} rfc822;info@example.org away");
        assert_eq!(
            become_of(
                "info: bob@example.net",
                "alice@example.com",
                &[("info@example.org", notify)]
            ),
            [expected]
        );
    }
}

#[test]
fn r3461_5_2_7_with_several_targets_success_is_answered_here() {
    for (notify, rest, expanded) in [
        ("-", "-", false),
        ("NEVER", "NEVER", false),
        ("FAILURE", "FAILURE", false),
        ("DELAY", "DELAY", false),
        // Nothing else was asked for, and an absent NOTIFY would ask for failures.
        ("SUCCESS", "NEVER", true),
        ("SUCCESS,DELAY", "DELAY", true),
        ("SUCCESS,FAILURE,DELAY", "FAILURE,DELAY", true),
    ] {
        let alias = format!("info@example.org {notify} - - expanded 2");
        let mut expected = vec![
            format!("bob@example.net {rest} rfc822;info@example.org away"),
            format!("carol@example.org {rest} rfc822;info@example.org here example.org"),
        ];
        let quiet = expected.clone();
        if expanded {
            expected.insert(0, alias);
        }
        let wanted = [("info@example.org", notify)];
        let aliases = "info: bob@example.net, carol";
        assert_eq!(become_of(aliases, "alice@example.com", &wanted), expected);
        // R5321-4.5.5-a: nobody is told.
        assert_eq!(become_of(aliases, "", &wanted), quiet);
    }
}

#[test]
fn r6409_8_7_nobody_gets_a_message_twice() {
    let aliases = "all: bob, carol, dave\nboard: carol, eve@example.net\n";
    assert_eq!(
        become_of(
            aliases,
            "alice@example.com",
            &[
                ("all@example.org", "FAILURE"),
                ("board@example.org", "DELAY"),
                ("bob@example.org", "NEVER"),
            ]
        ),
        [
            // What is said of a mailbox itself holds.
            "bob@example.org NEVER - here example.org",
            "carol@example.org FAILURE,DELAY rfc822;all@example.org here example.org",
            "dave@example.org FAILURE rfc822;all@example.org here example.org",
            "eve@example.net DELAY rfc822;board@example.org away",
        ]
    );
    // What a sender lists twice is left to him, and so is the case of a local part.
    assert_eq!(
        become_of(
            "x: Bob",
            "alice@example.com",
            &[
                ("bob@example.org", "-"),
                ("bob@example.org", "-"),
                ("x@example.org", "-")
            ]
        ),
        [
            "bob@example.org - - here example.org",
            "bob@example.org - - here example.org",
            "Bob@example.org - rfc822;x@example.org here example.org",
        ]
    );
}

#[test]
fn this_host_itself_has_its_aliases_and_a_held_domain_stays_held() {
    let aliases = "postmaster: admin@example.edu";
    assert_eq!(
        become_of(aliases, "", &[("postmaster@mail.example.org", "-")]),
        ["admin@example.edu - rfc822;postmaster@mail.example.org held held"]
    );
    assert_eq!(
        become_of(aliases, "", &[("postmaster@example.net", "-")]),
        ["postmaster@example.net - - away"]
    );
}

#[test]
fn r3461_4_the_original_address_is_written_as_xtext() {
    let original = |mailbox| {
        let (kind, address) = original(mailbox);
        format!("{kind};{address}")
    };
    assert_eq!(original("bob@example.org"), "rfc822;bob@example.org");
    assert_eq!(
        original("a+b=c d\\@example.org"),
        "rfc822;a+2Bb+3Dc+20d\\@example.org"
    );
    // RFC 6533 section 3
    assert_eq!(
        original("gr\u{fc}n+\\@example.org"),
        "utf-8;gr\\x{FC}n\\x{2B}\\x{5C}@example.org"
    );
}
