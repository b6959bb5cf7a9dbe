//! Which route it is.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use super::*;

fn route(name: &str, domains: &[&str], senders: &[&str], identities: &[&str]) -> Route {
    Route {
        name: name.to_owned(),
        domains: domains.iter().map(|one| one.parse().unwrap()).collect(),
        senders: senders.iter().map(|one| one.parse().unwrap()).collect(),
        identities: identities.iter().map(|one| (*one).to_owned()).collect(),
        delivery: Delivery::Discard,
        retry: Retry::default(),
    }
}

fn to(mailbox: &str) -> Query<'_> {
    Query {
        reverse_path: "who@example.org",
        identity: None,
        mailbox,
    }
}

fn found<'r>(routes: &'r Routes, query: &Query<'_>) -> Option<&'r str> {
    routes.find(query).map(|route| route.name.as_str())
}

#[test]
fn the_first_matching_route_wins() {
    let routes = Routes::new(vec![
        route("exactly", &["example.org", "[192.0.2.1]"], &[], &[]),
        route("below", &["*.Example.org"], &[], &[]),
        route("rest", &["special.example.org", "*"], &[], &[]),
    ]);
    for (mailbox, expected) in [
        ("a@example.org", "exactly"),
        ("a@EXAMPLE.org", "exactly"),
        ("a@[192.0.2.1]", "exactly"),
        ("a@b.example.org", "below"),
        ("a@special.example.ORG", "below"),
        ("a@badexample.org", "rest"),
        ("a@example.org.net", "rest"),
        ("\"a@example.org\"@example.net", "rest"),
        ("a", "rest"),
    ] {
        assert_eq!(found(&routes, &to(mailbox)), Some(expected), "{mailbox}");
    }
    let two = Routes::new(vec![
        route("exactly", &["example.org"], &[], &[]),
        route("below", &["*.example.org"], &[], &[]),
    ]);
    assert_eq!(found(&two, &to("a@example.net")), None);
    assert_eq!(found(&two, &to("a@.example.org")), None);
    assert_eq!(found(&Routes::default(), &to("a@example.net")), None);
}

#[test]
fn senders_and_identities_choose_too() {
    let routes = Routes::new(vec![
        route("reports", &["*"], &["<>"], &[]),
        route("news", &["*"], &["News@example.org"], &["alice"]),
        route(
            "shops",
            &["example.net"],
            &["*.shop.example", "shop.example"],
            &[],
        ),
        route("alice", &["*"], &[], &["alice", "bob"]),
        route("known", &["*"], &["*"], &[]),
    ]);
    let find = |reverse_path, identity, mailbox| {
        let query = Query {
            reverse_path,
            identity,
            mailbox,
        };
        found(&routes, &query)
    };
    for (reverse_path, identity, mailbox, expected) in [
        ("", None, "a@example.net", "reports"),
        ("", Some("alice"), "a@example.net", "reports"),
        ("news@EXAMPLE.org", Some("Alice"), "a@example.net", "news"),
        ("news@example.org", Some("carol"), "a@example.net", "known"),
        ("news@example.org", None, "a@example.net", "known"),
        ("x@shop.example", None, "a@example.net", "shops"),
        ("x@a.shop.example", None, "a@example.net", "shops"),
        ("x@workshop.example", None, "a@example.net", "known"),
        ("x@shop.example", None, "a@example.com", "known"),
        ("x@example.org", Some("BOB"), "a@example.com", "alice"),
    ] {
        let got = find(reverse_path, identity, mailbox);
        assert_eq!(got, Some(expected), "{reverse_path} {identity:?} {mailbox}");
    }
}

#[test]
fn lanes_are_one_a_route_or_one_a_domain() {
    let relay = |hops| {
        Delivery::Relay(Arc::new(NextHop {
            hops,
            security: crate::outbound::Security::Off,
            tls_name: None,
            trust: Arc::new(crate::outbound::Trust::anybody()),
            login: crate::outbound::Login::default(),
            tokens: None,
            transfer: crate::outbound::Transfer::default(),
            connections: Connections {
                most: 4,
                ..Connections::default()
            },
            timeouts: crate::outbound::Timeouts::default(),
        }))
    };
    let smarthost = relay(Hops::Configured(vec![Upstream {
        endpoint: Endpoint::Unix("/run/lmtp".into()),
        implicit: false,
        lmtp: true,
    }]));
    let mx = relay(Hops::Mx { port: 25 });
    for (delivery, lane, local, per_lane) in [
        (Delivery::Hold, "r", true, None),
        (Delivery::Discard, "r", false, None),
        (
            Delivery::Maildir("/m/{local}".parse().unwrap()),
            "r example.org",
            true,
            None,
        ),
        (smarthost, "r", true, Some(4)),
        (mx, "r example.org", false, Some(4)),
    ] {
        if let Delivery::Relay(next_hop) = &delivery {
            assert_eq!(Some(next_hop.per_lane()), per_lane);
            assert_eq!(next_hop.is_configured(), next_hop.is_lmtp());
        }
        assert_eq!(delivery.is_local(), local);
        let route = Route {
            delivery,
            ..route("r", &["*"], &[], &[])
        };
        assert_eq!(route.lane("a@Example.org"), lane);
    }
}

#[test]
fn everybody_is_taken_if_one_route_is_for_all_and_all_are_local() {
    let local = |mut route: Route| {
        route.delivery = Delivery::Hold;
        route
    };
    let any = || route("any", &["*"], &[], &[]);
    for (routes, expected) in [
        (vec![local(any())], true),
        (
            vec![
                local(route("a", &["example.org"], &["<>"], &[])),
                local(any()),
            ],
            true,
        ),
        (vec![any()], false),
        (vec![local(route("a", &["example.org"], &[], &[]))], false),
        (vec![local(route("a", &["*"], &["*"], &[]))], false),
        (vec![local(route("a", &["*"], &[], &["alice"]))], false),
        (
            vec![route("a", &["example.org"], &[], &[]), local(any())],
            false,
        ),
        (vec![], false),
    ] {
        let names: Vec<_> = routes.iter().map(|route| route.name.clone()).collect();
        assert_eq!(Routes::new(routes).takes_everybody(), expected, "{names:?}");
    }
}

#[test]
fn patterns_that_match_nothing_are_refused() {
    for pattern in [
        "", "*.", "*foo", "a*.org", "a..b", ".org", "org.", "a b", "a@b", "**",
    ] {
        assert!(pattern.parse::<DomainPattern>().is_err(), "{pattern:?}");
    }
    assert!("[IPv6:2001:db8::1]".parse::<DomainPattern>().is_ok());
    for pattern in [
        "",
        "@example.org",
        "a@",
        "a@*",
        "a@*.example.org",
        "a@b@",
        "<",
        "<a@b>",
    ] {
        assert!(pattern.parse::<SenderPattern>().is_err(), "{pattern:?}");
    }
}

#[test]
fn a_pattern_covers_what_it_matches_always() {
    for (wide, narrow, expected) in [
        ("*", "*", true),
        ("*", "*.example.org", true),
        ("*", "example.org", true),
        ("*.example.org", "a.example.org", true),
        ("*.example.org", "*.a.example.org", true),
        ("*.example.org", "*.example.org", true),
        ("*.example.org", "example.org", false),
        ("*.example.org", "*.badexample.org", false),
        ("*.a.example.org", "*.example.org", false),
        ("*.example.org", "*", false),
        ("example.org", "EXAMPLE.org", true),
        ("example.org", "*.example.org", false),
        ("example.org", "a.example.org", false),
    ] {
        let (wide_domain, narrow_domain): (DomainPattern, DomainPattern) =
            (wide.parse().unwrap(), narrow.parse().unwrap());
        assert_eq!(
            wide_domain.covers(&narrow_domain),
            expected,
            "{wide} {narrow}"
        );
        let (wide_sender, narrow_sender): (SenderPattern, SenderPattern) =
            (wide.parse().unwrap(), narrow.parse().unwrap());
        assert_eq!(
            wide_sender.covers(&narrow_sender),
            expected,
            "{wide} {narrow}"
        );
    }
    let sender = |text: &str| text.parse::<SenderPattern>().unwrap();
    assert!(sender("<>").covers(&sender("<>")));
    assert!(!sender("*").covers(&sender("<>")) && !sender("<>").covers(&sender("*")));
    assert!(sender("example.org").covers(&sender("a@Example.org")));
    assert!(sender("A@example.org").covers(&sender("a@example.org")));
    assert!(!sender("a@example.org").covers(&sender("example.org")));
}

proptest::proptest! {
    #[test]
    fn what_is_covered_is_matched(
        wide in "(\\*|\\*\\.[ab](\\.[ab]){0,2}|[ab](\\.[ab]){0,2})",
        narrow in "(\\*|\\*\\.[ab](\\.[ab]){0,2}|[ab](\\.[ab]){0,2})",
        domain in "[ab](\\.[ab]){0,3}",
    ) {
        let (wide, narrow): (DomainPattern, DomainPattern) =
            (wide.parse().unwrap(), narrow.parse().unwrap());
        if wide.covers(&narrow) && narrow.matches(&domain) {
            proptest::prop_assert!(wide.matches(&domain));
        }
    }
}
