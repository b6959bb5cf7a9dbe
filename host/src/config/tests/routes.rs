//! What good routes mean.

use std::time::Duration;

use super::values::good;
use super::*;
use crate::oauth::Grant;
use crate::outbound::Timeouts;
use crate::route::{Connections, DomainPattern, Endpoint, SenderPattern, Upstream};

fn routes(text: &str) -> Vec<Route> {
    good(&format!("hostname = \"mail.example.org\"\n{text}")).routes
}

/// The only route of a file with `keys`.
fn route(keys: &str) -> Route {
    let routes = routes(&format!("[[route]]\ndomains = [\"*\"]\n{keys}"));
    let [route] = <[Route; 1]>::try_from(routes).unwrap();
    route
}

fn warnings(keys: &str) -> Vec<String> {
    let text = format!(
        "hostname = \"mail.example.org\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n\
         [[route]]\ndomains = [\"*\"]\n{keys}"
    );
    let loaded = Config::read(Path::new("p.toml"), &text);
    assert_eq!(loaded.errors().count(), 0, "{:?}", loaded.findings);
    loaded.findings.iter().map(ToString::to_string).collect()
}

fn server(host: &str, port: u16, implicit: bool) -> Upstream {
    let host = host.to_owned();
    Upstream {
        endpoint: Endpoint::Host { host, port },
        implicit,
        lmtp: false,
    }
}

#[test]
fn the_contract_as_far_as_this_version_has_it() {
    let routes = routes(
        "[retry]                                    # for every route; a route may override them\n\
         first      = \"1m\"\nlongest    = \"4h\"\ngive-up    = \"5d\"\ndelay-note = \"4h\"\n\
         [[route]]                                  # first match wins\n\
         domains = [\"example.org\"]\n\
         deliver = \"maildir:/var/mail/{domain}/{local}\"\n\
         [[route]]\n\
         domains = [\"*\"]\n\
         deliver = \"smtp://smarthost.example.net:587\"\n\
         tls     = \"required\"\n\
         auth    = { mechanism = \"xoauth2\", user = \"relay@example.net\", token-command = \"/usr/local/bin/token\" }\n",
    );
    let [own, rest] = <[Route; 2]>::try_from(routes).unwrap();
    assert!(matches!(own.deliver, Deliver::Maildir(_)));
    assert_eq!(own.domains, [DomainPattern::Exactly("example.org".into())]);
    assert_eq!(
        rest.deliver,
        Deliver::Servers(vec![server("smarthost.example.net", 587, false)])
    );
    assert_eq!(rest.tls, RouteTls::Required);
    let auth = rest.auth.unwrap();
    assert_eq!(auth.user, "relay@example.net");
    assert_eq!(auth.mechanisms, [ClientMechanism::Xoauth2]);
    assert!(!auth.clear_text && auth.domain.is_empty());
    assert_eq!(
        auth.secret,
        Secret::Token(Grant::Command("/usr/local/bin/token".into()))
    );
}

#[test]
fn a_relaying_route_has_defaults() {
    let route = route("deliver = \"smtp://a.example\"");
    assert_eq!(route.name, "smtp://a.example");
    assert!(route.senders.is_empty() && route.identities.is_empty());
    assert_eq!(
        (route.tls_name, route.tls_authorities, route.auth),
        (None, None, None)
    );
    assert_eq!(route.connections, Connections::default());
    assert_eq!(route.timeouts, Timeouts::default());
    assert_eq!(route.retry, Retry::default());
}

#[test]
fn tls_depends_on_what_is_to_be_protected() {
    const AUTH: &str = "auth = { user = \"u\", password-file = \"p\" }";
    for (deliver, auth, expected) in [
        ("smtp://a.example", "", RouteTls::Opportunistic),
        ("smtp://a.example", AUTH, RouteTls::Required),
        ("mx", "", RouteTls::Opportunistic),
        ("lmtp://a.example", "", RouteTls::Off),
        ("lmtp:/run/lmtp", "", RouteTls::Off),
    ] {
        let route = route(&format!("deliver = \"{deliver}\"\n{auth}"));
        assert_eq!(route.tls, expected, "{deliver} {auth}");
    }
    // The key says what is wanted, whatever the default would be.
    let route = route(&format!(
        "deliver = \"smtp://a.example\"\ntls = \"opportunistic\"\n{AUTH}"
    ));
    assert_eq!(route.tls, RouteTls::Opportunistic);
}

#[test]
fn whoever_needs_to_know_the_server_verifies_it() {
    const AUTH: &str = "auth = { user = \"u\", password-file = \"p\"";
    for (keys, expected) in [
        ("deliver = \"smtp://a.example\"".to_owned(), false),
        ("deliver = \"mx\"".to_owned(), false),
        ("deliver = \"hold\"".to_owned(), false),
        (
            "deliver = \"smtp://a.example\"\ntls = \"required\"".to_owned(),
            true,
        ),
        ("deliver = \"smtps://a.example\"".to_owned(), true),
        (
            "deliver = [\"smtp://a.example\", \"smtps://a.example\"]".to_owned(),
            true,
        ),
        (format!("deliver = \"smtp://a.example\"\n{AUTH} }}"), true),
        (
            format!("deliver = \"smtp://a.example\"\ntls = \"opportunistic\"\n{AUTH} }}"),
            true,
        ),
        (
            format!(
                "deliver = \"smtp://a.example\"\ntls = \"opportunistic\"\n{AUTH}, clear-text = true }}"
            ),
            false,
        ),
        (
            format!(
                "deliver = \"smtp://a.example\"\ntls = \"opportunistic\"\n{AUTH}, mechanism = \"ntlm\" }}"
            ),
            false,
        ),
    ] {
        assert_eq!(route(&keys).needs_verification(), expected, "{keys}");
    }
}

#[test]
fn every_key_of_a_route_is_read() {
    let route = route(
        "name = \"bulk\"\nsenders = [\"News@Example.org\", \"*.example.net\", \"example.com\", \"<>\"]\n\
         identities = [\"news\"]\ndeliver = [\"smtp://a.example:25\", \"smtps://b.example\"]\n\
         tls = \"required\"\ntls-name = \"Mail.Example\"\ntls-authorities = \"ca.pem\"\n\
         connections = 3\nmessages-per-connection = 7\nidle = \"0s\"\n\
         timeouts = { connect = \"1s\", handshake = \"2s\", command = \"3s\", data = \"4s\", content = \"5s\", end-of-data = \"11m\", quit = \"10ms\", stall = \"20m\" }\n\
         retry = { first = \"2m\", delay-note = \"0s\" }\n",
    );
    assert_eq!(route.name, "bulk");
    assert_eq!(
        route.senders,
        [
            SenderPattern::Mailbox("news@example.org".into()),
            SenderPattern::Domain(DomainPattern::Below(".example.net".into())),
            SenderPattern::Domain(DomainPattern::Exactly("example.com".into())),
            SenderPattern::Null,
        ]
    );
    assert_eq!(route.identities, ["news"]);
    assert_eq!(
        route.deliver,
        Deliver::Servers(vec![
            server("a.example", 25, false),
            server("b.example", 465, true)
        ])
    );
    assert_eq!(route.tls, RouteTls::Required);
    assert_eq!(route.tls_name.as_deref(), Some("mail.example"));
    assert_eq!(
        route.tls_authorities.as_deref(),
        Some(Path::new("/etc/pillarbox/ca.pem"))
    );
    assert_eq!(
        route.connections,
        Connections {
            most: 3,
            messages: 7,
            idle: Duration::ZERO,
            ..Connections::default()
        }
    );
    assert_eq!(
        route.timeouts,
        Timeouts {
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(2),
            command: Duration::from_secs(3),
            data: Duration::from_secs(4),
            content: Duration::from_secs(5),
            end_of_data: Duration::from_secs(660),
            quit: Duration::from_millis(10),
            stall: Duration::from_secs(1_200),
            transaction: Duration::from_secs(3_600),
        }
    );
    assert_eq!(
        route.retry,
        Retry {
            first: Duration::from_secs(120),
            delay_note: None,
            ..Retry::default()
        }
    );
}

#[test]
fn a_route_changes_single_keys_of_retry() {
    let routes = routes(
        "[[route]]\ndomains = [\"a.example\"]\ndeliver = \"maildir:/m/{local}\"\nretry = { longest = \"2h\" }\n\
         [[route]]\ndomains = [\"*\"]\ndeliver = \"hold\"\n\
         [retry]\nfirst = \"10s\"\nlongest = \"1h\"\ngive-up = \"6d\"\ndelay-note = \"1h\"\n",
    );
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let all = Retry {
        first: Duration::from_secs(10),
        longest: hours(1),
        give_up: hours(6 * 24),
        delay_note: Some(hours(1)),
    };
    assert_eq!(routes[1].retry, all);
    assert_eq!(
        routes[0].retry,
        Retry {
            longest: hours(2),
            ..all
        }
    );
}

#[test]
fn names_that_nobody_gave_are_made_unique() {
    let routes = routes(
        "[[route]]\ndomains = [\"a.example\"]\ndeliver = \"hold\"\n\
         [[route]]\ndomains = [\"b.example\"]\ndeliver = \"hold\"\n\
         [[route]]\ndomains = [\"c.example\"]\ndeliver = \"discard\"\nname = \"hold#2\"\n\
         [[route]]\ndomains = [\"d.example\"]\ndeliver = [\"smtp://a.example\", \"smtp://b.example\"]\n\
         [[route]]\ndomains = [\"e.example\"]\ndeliver = \"hold\"\n",
    );
    let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(
        names,
        ["hold", "hold#3", "hold#2", "smtp://a.example", "hold#4"]
    );
}

#[test]
fn the_secret_decides_which_mechanisms_there_are() {
    use ClientMechanism::{CramMd5, Login, Ntlm, Oauthbearer, Plain, Xoauth2};
    use ClientMechanism::{ScramSha1, ScramSha1Plus, ScramSha256, ScramSha256Plus};
    // CL-mech-order
    let with_password = vec![
        ScramSha256Plus,
        ScramSha1Plus,
        ScramSha256,
        ScramSha1,
        Ntlm,
        CramMd5,
        Plain,
        Login,
    ];
    let file = |name: &str| Path::new("/etc/pillarbox").join(name);
    for (source, mechanisms, secret) in [
        (
            "password-file = \"p\"",
            with_password.clone(),
            Secret::PasswordFile(file("p")),
        ),
        (
            "password-command = \"pass show mail\"",
            with_password,
            Secret::PasswordCommand("pass show mail".into()),
        ),
        (
            "mechanisms = [\"login\", \"scram-sha-1\"], password-file = \"/p\"",
            vec![Login, ScramSha1],
            Secret::PasswordFile("/p".into()),
        ),
        (
            "token-command = \"token\"",
            vec![Xoauth2, Oauthbearer],
            Secret::Token(Grant::Command("token".into())),
        ),
        (
            "mechanism = \"oauthbearer\", token-url = \"https://login.example/token\", client-id = \"c\", \
             refresh-token-file = \"r\"",
            vec![Oauthbearer],
            Secret::Token(Grant::RefreshToken {
                token_url: "https://login.example/token".into(),
                client_id: "c".into(),
                client_secret_file: None,
                refresh_token_file: file("r"),
                scope: None,
            }),
        ),
        (
            "token-url = \"https://login.example/token\", client-id = \"c\", client-secret-file = \"s\", \
             refresh-token-file = \"r\", scope = \"a b\"",
            vec![Xoauth2, Oauthbearer],
            Secret::Token(Grant::RefreshToken {
                token_url: "https://login.example/token".into(),
                client_id: "c".into(),
                client_secret_file: Some(file("s")),
                refresh_token_file: file("r"),
                scope: Some("a b".into()),
            }),
        ),
        (
            "token-url = \"http://[::1]:8080/token\", client-id = \"c\", client-secret-file = \"s\"",
            vec![Xoauth2, Oauthbearer],
            Secret::Token(Grant::ClientCredentials {
                token_url: "http://[::1]:8080/token".into(),
                client_id: "c".into(),
                client_secret_file: file("s"),
                scope: None,
            }),
        ),
    ] {
        let route = route(&format!(
            "deliver = \"smtp://a.example\"\nauth = {{ user = \"u\", {source} }}"
        ));
        let auth = route.auth.unwrap();
        assert_eq!(
            (auth.mechanisms, auth.secret),
            (mechanisms, secret),
            "{source}"
        );
    }
}

#[test]
fn token_servers_are_asked_over_tls_or_on_this_machine() {
    for (url, good) in [
        ("https://login.example/token", true),
        ("https://login.example:8443/token?tenant=1", true),
        ("http://localhost:1/token", false),
        ("http://127.0.0.1:8080/", true),
        ("http://[::1]/", true),
        ("http://login.example/token", false),
        ("http://localhost.example/token", false),
        ("http://127.0.0.1@login.example/", false),
        ("https://u:p@login.example/", false),
        ("https://", false),
        ("https:///token", false),
        ("https://login.example/#x", false),
        ("https://login.example/a b", false),
        ("ftp://login.example/", false),
        ("login.example/token", false),
        ("", false),
    ] {
        let text = format!(
            "hostname = \"mail.example.org\"\n[[route]]\ndomains = [\"*\"]\ndeliver = \"smtp://a.example\"\n\
             auth = {{ user = \"u\", token-url = \"{url}\", client-id = \"c\", client-secret-file = \"s\" }}"
        );
        let loaded = Config::read(Path::new("p.toml"), &text);
        assert_eq!(
            loaded.config.is_some(),
            good,
            "{url}: {:?}",
            loaded.findings
        );
    }
}

#[test]
fn cl_mech_clear_and_verified_only_what_is_of_use_is_said() {
    const AUTH: &str = "auth = { user = \"u\", password-file = \"p\"";
    for keys in [
        format!("deliver = \"smtp://a.example\"\n{AUTH} }}"),
        format!("deliver = \"smtps://a.example\"\n{AUTH} }}"),
        format!("deliver = \"smtp://a.example\"\ntls = \"off\"\n{AUTH}, mechanism = \"ntlm\" }}"),
        format!("deliver = \"smtp://127.0.0.1:25\"\ntls = \"off\"\n{AUTH}, clear-text = true }}"),
        format!("deliver = \"lmtp:/run/lmtp\"\n{AUTH}, clear-text = true }}"),
        "deliver = \"smtp://a.example:25\"\ntls = \"off\"".to_owned(),
        "deliver = \"lmtp://a.example\"\ntls = \"required\"\ntls-name = \"192.0.2.1\"".to_owned(),
        "deliver = \"mx\"\ntls-authorities = \"ca.pem\"\nconnections-per-destination = 2".to_owned(),
        "deliver = [\"smtp://a.example\", \"smtps://b.example\"]\ntls = \"off\"\ntls-name = \"x.example\"".to_owned(),
    ] {
        assert_eq!(warnings(&keys), [] as [&str; 0], "{keys}");
    }
}

#[test]
fn further_tables_are_read() {
    let config = good(
        "hostname = \"mail.example.org\"\n\
         [dns]\nservers = [\"192.0.2.53\", \"[2001:db8::53]:5353\", \"[2001:db8::54]\", \"2001:db8::55\"]\n\
         [alarm]\ncommand = \"page-me --now\"\n\
         [report]\nfrom = \"mail-team@example.org\"\nfull-limit = 0\n\
         [spool]\nhistory = \"0s\"\n[retry]\ndelay-note = \"0s\"\n",
    );
    let servers: Vec<String> = config.dns.servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        servers,
        [
            "192.0.2.53:53",
            "[2001:db8::53]:5353",
            "[2001:db8::54]:53",
            "[2001:db8::55]:53"
        ]
    );
    assert_eq!(config.alarm.command.as_deref(), Some("page-me --now"));
    assert_eq!(config.report.from, "mail-team@example.org");
    assert_eq!(config.report.full_limit, 0);
    assert_eq!((config.history, config.retry.delay_note), (None, None));
}

#[test]
fn the_examples_of_the_page_are_good() {
    let page = fs::read_to_string(package().join("../docs/configuration.md")).unwrap();
    let mut examples = 0;
    for block in page.split("```toml\n").skip(1) {
        let example = block.split("```").next().unwrap();
        examples += 1;
        let text = match example.contains("hostname") {
            true => example.to_owned(),
            false => format!(
                "hostname = \"mail.example.org\"\ntls = {{ certificate = \"c\", key = \"k\" }}\n{example}"
            ),
        };
        let loaded = Config::read(Path::new("example.toml"), &text);
        let found: Vec<_> = loaded.findings.iter().map(ToString::to_string).collect();
        assert!(loaded.config.is_some(), "{example}\n{found:#?}");
        assert!(
            example.contains("hostname") || found.is_empty(),
            "{example}\n{found:#?}"
        );
    }
    assert!(examples >= 9, "only {examples}");
}
