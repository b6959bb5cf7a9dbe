//! What addresses stand for.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use super::*;
use proptest::prelude::*;

fn aliases(text: &str) -> Aliases {
    let file = file::read(text);
    assert_eq!(file.mistakes, []);
    Aliases::new(file.entries)
}

fn local(mailbox: &str) -> bool {
    mailbox.to_lowercase().ends_with("@example.org")
}

fn expand(aliases: &Aliases, mailbox: &str) -> Option<String> {
    Some(aliases.expand(mailbox, local)?.join(" "))
}

#[test]
fn r6409_8_7_an_alias_becomes_what_it_stands_for_in_the_end() {
    let aliases = aliases(
        "postmaster: root\n\
         root: alice@example.com, bob\n\
         bob: bob, copies@example.net\n\
         sales@example.org: carol, root, alice@EXAMPLE.com\n\
         remote@example.com: dave\n",
    );
    for (mailbox, expected) in [
        ("alice@example.org", None),
        (
            "PostMaster@Example.ORG",
            Some("alice@example.com bob@Example.ORG copies@example.net"),
        ),
        (
            "root@example.org",
            Some("alice@example.com bob@example.org copies@example.net"),
        ),
        // One that is among its own targets is a mailbox, too.
        (
            "bob@example.org",
            Some("bob@example.org copies@example.net"),
        ),
        // A local part alone is an alias only where mail is delivered here.
        ("root@example.com", None),
        // A full address is one wherever it is, and its bare targets are in its domain.
        ("remote@example.com", Some("dave@example.com")),
        (
            "sales@example.org",
            Some("carol@example.org alice@example.com bob@example.org copies@example.net"),
        ),
        ("sales@example.com", None),
    ] {
        assert_eq!(expand(&aliases, mailbox).as_deref(), expected, "{mailbox}");
        assert_eq!(aliases.has(mailbox, local), expected.is_some());
    }
}

#[test]
fn a_circle_is_found_and_leads_nowhere() {
    let aliases = aliases("a: b\nb: c@example.org\nc: a, x@example.net\nd: e\ne: d\nf: f\n");
    let circle = |name: &str| aliases.circle(&Address::of(name), local);
    assert_eq!(circle("a@example.org").as_deref(), Some("c@example.org"));
    assert_eq!(circle("d@example.org").as_deref(), Some("e@example.org"));
    assert_eq!(circle("f@example.org"), None);
    assert_eq!(circle("x@example.net"), None);
    assert_eq!(
        expand(&aliases, "a@example.org").as_deref(),
        Some("x@example.net")
    );
    assert_eq!(
        expand(&aliases, "d@example.org").as_deref(),
        Some("d@example.org")
    );
}

#[test]
fn a_long_chain_and_a_wide_alias_take_no_stack() {
    let mut text = String::new();
    for number in 0..20_000 {
        text.push_str(&format!("a{number}: a{}\n", number + 1));
    }
    let many: Vec<String> = (0..5_000).map(|n| format!("u{n}@example.net")).collect();
    text.push_str(&format!("a20000: {}\n", many.join(",")));
    let aliases = aliases(&text);
    let all = aliases.expand("a0@example.org", local).unwrap();
    assert_eq!(all, many);
}

#[test]
fn an_unreadable_file_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aliases");
    let source = Source::File(path.clone());
    let error = Aliases::load(&source).unwrap_err();
    assert!(matches!(error, AliasError::Unreadable { .. }), "{error}");
    std::fs::write(&path, "a: b\nb: |c\n").unwrap();
    let error = Aliases::load(&source).unwrap_err().to_string();
    assert!(error.contains("aliases:2: |c is a program"), "{error}");
    std::fs::write(&path, "a: b\n").unwrap();
    let aliases = Aliases::load(&source).unwrap();
    assert!(aliases.has("a@example.org", local));
}

proptest! {
    /// Whatever leads where: it ends, and nobody is named twice.
    #[test]
    fn every_expansion_ends(edges in prop::collection::vec((0u8..8, prop::collection::vec(0u8..12, 1..4)), 0..8)) {
        let text: String = edges
            .iter()
            .map(|(name, targets)| {
                let targets: Vec<String> = targets.iter().map(|one| format!("n{one}")).collect();
                format!("n{name}: {}\n", targets.join(","))
            })
            .collect();
        let aliases = aliases(&text);
        for number in 0..12 {
            let mailbox = format!("n{number}@example.org");
            if let Some(mut all) = aliases.expand(&mailbox, local) {
                prop_assert!(!all.is_empty());
                let count = all.len();
                all.sort();
                all.dedup();
                prop_assert_eq!(all.len(), count);
            }
        }
    }
}
