//! What good files mean.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::users::Kind;

pub(super) fn good(text: &str) -> Config {
    let loaded = Config::read(Path::new("/etc/pillarbox/pillarbox.toml"), text);
    let errors: Vec<_> = loaded.errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    loaded.config.unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_hostname_is_enough() {
    let text = "hostname = \"Mail.Example.org\"";
    let loaded = Config::read(Path::new("/etc/pillarbox/pillarbox.toml"), text);
    let keys: Vec<_> = loaded
        .findings
        .iter()
        .map(|finding| finding.key.as_str())
        .collect();
    assert_eq!(
        keys,
        ["tls"],
        "only the warning about the self-signed certificate"
    );

    let config = loaded.config.unwrap();
    assert_eq!(config.hostname, "mail.example.org");
    assert_eq!(config.state_dir, Path::new("/var/lib/pillarbox"));
    assert_eq!(config.user, None);
    assert_eq!(config.component.path, None);
    assert_eq!(config.limits.connections, 20_000);
    assert_eq!(config.limits.connections_per_peer, 100);
    assert_eq!(config.limits.session_memory, 8_388_608);
    assert_eq!(config.limits.sandboxes, 2_000);
    assert_eq!(config.limits.session_slice, Duration::from_millis(10));
    assert_eq!(config.limits.message_size, 52_428_800);
    assert_eq!(config.limits.recipients, 1_000);
    assert_eq!(config.tls, None);
    let [submission, submissions] = config.listeners.as_slice() else {
        panic!("two listeners")
    };
    assert_eq!(submission.address, SocketAddr::from(([0_u16; 8], 587)));
    assert_eq!(submission.tls, ListenerTls::Starttls);
    assert_eq!(submissions.address, SocketAddr::from(([0_u16; 8], 465)));
    assert_eq!(submissions.tls, ListenerTls::Implicit);
    for listener in &config.listeners {
        assert_eq!(listener.auth, ListenerAuth::Required);
        assert_eq!(
            listener.mechanisms,
            [
                Mechanism::ScramSha256Plus,
                Mechanism::ScramSha256,
                Mechanism::Ntlm,
                Mechanism::Login,
                Mechanism::Plain
            ]
        );
        assert!(listener.networks.is_none() && listener.relay_networks.is_empty());
        assert!(!listener.clear_text && !listener.bare_lf_convert);
        assert!(!listener.legacy_auth_line && !listener.keep_bcc);
        let extensions = listener.extensions;
        assert!(extensions.chunking && extensions.smtputf8 && extensions.requiretls);
        assert!(!extensions.binarymime && !extensions.mt_priority);
        assert_eq!(
            (extensions.futurerelease, extensions.deliverby),
            (None, None)
        );
        assert!(listener.admits(ip("203.0.113.9")) && !listener.lets_relay(ip("203.0.113.9")));
    }
    assert_eq!(config.auth.path, Path::new("/var/lib/pillarbox/users.toml"));
    assert!(!config.auth.ntlm_mic_required);
    assert_eq!(
        (&*config.auth.ntlm_domain, &*config.auth.ntlm_computer),
        ("MAIL", "MAIL")
    );
    assert_eq!(config.submission.senders, Senders::Own);
    assert!(config.submission.add_date && config.submission.add_message_id);
    assert_eq!(config.retry.first, Duration::from_secs(60));
    assert_eq!(config.retry.longest, Duration::from_secs(4 * 3_600));
    assert_eq!(config.retry.give_up, Duration::from_secs(5 * 86_400));
    assert_eq!(
        config.retry.delay_note,
        Some(Duration::from_secs(4 * 3_600))
    );
    assert_eq!(config.history, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(config.report.from, "postmaster@mail.example.org");
    assert_eq!(config.report.full_limit, 65_536);
    assert_eq!(config.alarm.command, None);
    assert!(config.dns.servers.is_empty() && !config.dns.trusted);
    assert!(!config.report.copy_postmaster);
    assert!(config.routes.is_empty());
    let [route] = <[Route; 1]>::try_from(config.routes_or_default()).unwrap();
    assert_eq!(
        route.name,
        "maildir:/var/lib/pillarbox/mail/{domain}/{local}"
    );
    let Deliver::Maildir(template) = &route.deliver else {
        panic!("{:?}", route.deliver)
    };
    assert_eq!(
        template.folder("alice@example.org"),
        Path::new("/var/lib/pillarbox/mail/example.org/alice")
    );
    assert_eq!(route.domains, [crate::route::DomainPattern::Any]);
    assert_eq!(
        (config.log.format, config.log.level),
        (LogFormat::Auto, tracing::Level::INFO)
    );
}

#[test]
fn relative_paths_count_from_the_file() {
    let config = good(
        "hostname = \"mail.example.org\"\nstate-dir = \"state\"\n\
         [tls]\ncertificate = \"cert.pem\"\nkey = \"/keys/key.pem\"\n[component]\npath = \"c.wasm\"",
    );
    assert_eq!(config.state_dir, Path::new("/etc/pillarbox/state"));
    assert_eq!(
        config.auth.path,
        Path::new("/etc/pillarbox/state/users.toml")
    );
    assert_eq!(
        config.component.path.as_deref(),
        Some(Path::new("/etc/pillarbox/c.wasm"))
    );
    let tls = config.tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/pillarbox/cert.pem"));
    assert_eq!(tls.key, Path::new("/keys/key.pem"));
}

#[test]
fn a_listener_without_keys_is_submission_with_starttls() {
    let config = good("hostname = \"mail.example.org\"\n[[listener]]");
    let defaults = Listener::defaults(&config.auth, Extensions::default());
    assert_eq!(config.listeners, defaults[..1]);
    let config = good("hostname = \"mail.example.org\"\n[[listener]]\ntls = \"implicit\"");
    assert_eq!(config.listeners, defaults[1..]);
    // RFC 8314 section 3.3
    let config = good("hostname = \"mail.example.org\"\n[[listener]]\naddress = \"127.0.0.1:465\"");
    assert_eq!(config.listeners[0].tls, ListenerTls::Implicit);
}

#[test]
fn r6409_3_3_only_listed_networks_relay_without_an_identity() {
    let config = good(
        "hostname = \"mail.example.org\"\n\
         [[listener]]\naddress = \"[::]:587\"\nrelay-networks = [\"192.0.2.0/28\", \"2001:db8::7\"]\n\
         [[listener]]\naddress = \"[::]:25\"\ntls = \"none\"\nauth = \"off\"\nnetworks = [\"192.0.2.0/24\"]\n",
    );
    let [submission, devices] = config.listeners.as_slice() else {
        panic!("two listeners")
    };
    assert!(submission.admits(ip("203.0.113.9")));
    assert!(submission.lets_relay(ip("192.0.2.15")) && !submission.lets_relay(ip("192.0.2.16")));
    assert!(submission.lets_relay(ip("2001:db8::7")) && !submission.lets_relay(ip("2001:db8::8")));
    assert!(devices.admits(ip("192.0.2.200")) && !devices.admits(ip("203.0.113.9")));
    assert!(devices.lets_relay(ip("192.0.2.200")) && !devices.lets_relay(ip("203.0.113.9")));
    // How a dual-stack socket shows an IPv4 peer.
    assert!(devices.admits(ip("::ffff:192.0.2.200")) && !devices.admits(ip("::ffff:203.0.113.9")));
}

#[test]
fn r4954_4_l_login_and_plain_need_tls_or_permission() {
    let config = good(
        "hostname = \"mail.example.org\"\n\
         [[listener]]\naddress = \"127.0.0.1:1\"\ntls = \"none\"\n\
         [[listener]]\naddress = \"127.0.0.1:2\"\ntls = \"none\"\nclear-text = true\n\
         [[listener]]\naddress = \"127.0.0.1:3\"\ntls = \"none\"\nauth = \"off\"\nnetworks = [\"127.0.0.1\"]\n",
    );
    let offered = |index: usize| {
        let listener = &config.listeners[index];
        Mechanism::ALL
            .into_iter()
            .filter(|mechanism| listener.offers(*mechanism))
            .collect::<Vec<_>>()
    };
    // Channel binding needs TLS whatever is allowed.
    assert_eq!(offered(0), [Mechanism::ScramSha256, Mechanism::Ntlm]);
    assert_eq!(offered(1), Mechanism::DEFAULT[1..]);
    assert_eq!(offered(2), []);
    assert!(config.offers(Mechanism::Plain));
}

#[test]
fn r4422_a_external_is_for_listeners_that_ask_for_certificates() {
    let config = good(
        "hostname = \"mail.example.org\"\n\
         [[listener]]\naddress = \"127.0.0.1:1\"\nclient-certificate = \"asked\"\nclient-authorities = \"ca.pem\"\n\
         [[listener]]\naddress = \"127.0.0.1:2\"\nclient-certificate = \"required\"\nclient-authorities = \"/ca.pem\"\n\
         mechanisms = [\"external\"]\nrelay-certificates = true\n\
         [[listener]]\naddress = \"127.0.0.1:3\"\n",
    );
    let [asked, required, usual] = config.listeners.as_slice() else {
        panic!("three listeners")
    };
    assert_eq!(asked.mechanisms[0], Mechanism::External);
    assert_eq!(asked.mechanisms[1..], Mechanism::DEFAULT);
    assert_eq!(
        asked.client_authorities.as_deref(),
        Some(Path::new("/etc/pillarbox/ca.pem"))
    );
    assert!(asked.offers(Mechanism::External) && !asked.relay_certificates);
    assert_eq!(required.client_certificate, ClientCertificates::Required);
    assert!(required.relay_certificates);
    assert!(!usual.offers(Mechanism::External));
}

#[test]
fn r7628_3_1_tokens_are_offered_under_tls_where_somebody_can_judge_them() {
    const ISSUER: &str =
        "[[auth.issuer]]\nissuer = \"https://login.example.org\"\naudience = \"mail\"\n";
    let tokens = [Mechanism::Oauthbearer, Mechanism::Xoauth2];
    let config = good(&format!("hostname = \"mail.example.org\"\n{ISSUER}"));
    for listener in &config.listeners {
        let all = [&Mechanism::DEFAULT[..], &tokens].concat();
        assert_eq!(listener.mechanisms, all);
        assert!(tokens.iter().all(|token| listener.offers(*token)));
    }
    // Whatever is allowed for passwords.
    let config = good(&format!(
        "hostname = \"mail.example.org\"\n[[listener]]\naddress = \"127.0.0.1:1\"\n\
         tls = \"none\"\nclear-text = true\n{ISSUER}"
    ));
    assert!(!tokens.iter().any(|token| config.offers(*token)));
    let config = good(&format!(
        "hostname = \"mail.example.org\"\n[auth]\nbackend = \"oauth\"\n{ISSUER}\
         domains = [\"Example.ORG\"]"
    ));
    assert_eq!(config.listeners[0].mechanisms, tokens);
    assert_eq!(config.auth.backend, Backend::Oauth);
    assert!(config.kinds().is_empty());
    let [issuer] = config.auth.issuers.as_slice() else {
        panic!("one issuer")
    };
    assert_eq!(issuer.domains, ["example.org"]);
    let issuer::Judge::Signature {
        keys,
        algorithms,
        refresh,
    } = &issuer.judge
    else {
        panic!("judged by signature")
    };
    assert_eq!(*keys, issuer::KeySource::Discovery);
    assert_eq!(*refresh, Duration::from_secs(3600));
    // Nine of them, and no HS.
    assert_eq!(algorithms.len(), 9);
    assert!(
        algorithms
            .iter()
            .all(|one| !format!("{one:?}").starts_with("HS"))
    );
}

#[test]
fn users_need_what_the_mechanisms_check_against() {
    let kinds = |mechanisms: &str| {
        let text =
            format!("hostname = \"mail.example.org\"\n[[listener]]\nmechanisms = {mechanisms}");
        good(&text).kinds()
    };
    assert_eq!(
        good("hostname = \"mail.example.org\"").kinds(),
        [Kind::Password, Kind::Nt, Kind::ScramSha256]
    );
    assert_eq!(
        kinds("[\"scram-sha-1-plus\", \"cram-md5\"]"),
        [Kind::CramMd5, Kind::ScramSha1]
    );
    assert_eq!(kinds("[\"ntlm\"]"), [Kind::Nt]);
}

#[test]
fn sizes_and_times_have_units() {
    let config = good(
        "hostname = \"mail.example.org\"\n[limits]\nmessage-size = \"10 MB\"\nsession-memory = 1_048_576\n\
         session-slice = \"1s\"\n[retry]\nfirst = \"1m 30s\"\ngive-up = \"1week\"",
    );
    assert_eq!(config.limits.message_size, 10_000_000);
    assert_eq!(config.limits.session_memory, 1_048_576);
    assert_eq!(config.limits.session_slice, Duration::from_secs(1));
    assert_eq!(config.retry.first, Duration::from_secs(90));
    assert_eq!(config.retry.give_up, Duration::from_secs(604_800));
}

#[test]
fn extensions_of_ours_are_read() {
    let config = good(
        "hostname = \"mail.example.org\"\n[[listener]]\nkeep-bcc = true\n\
         [auth]\nntlm-domain = \"EXAMPLE\"\nntlm-computer = \"BOX\"\nntlm-mic = \"required\"\n\
         [log]\nformat = \"json\"\nlevel = \"debug\"",
    );
    assert!(config.listeners[0].keep_bcc && config.auth.ntlm_mic_required);
    assert_eq!(
        (&*config.auth.ntlm_domain, &*config.auth.ntlm_computer),
        ("EXAMPLE", "BOX")
    );
    assert_eq!(
        (config.log.format, config.log.level),
        (LogFormat::Json, tracing::Level::DEBUG)
    );
}

#[test]
fn clear_text_on_loopback_is_nobodys_business() {
    let text = "hostname = \"mail.example.org\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n\
                [[listener]]\naddress = \"127.0.0.1:2525\"\ntls = \"none\"\nclear-text = true\n";
    let loaded = Config::read(Path::new("p.toml"), text);
    assert_eq!(loaded.findings, []);
    let loaded = Config::read(
        Path::new("p.toml"),
        &text.replace("127.0.0.1:", "192.0.2.1:"),
    );
    assert_eq!(loaded.findings.len(), 1);
    assert_eq!(
        (loaded.findings[0].level, loaded.findings[0].line),
        (Level::Warning, Some(8))
    );
}

#[test]
fn a_missing_or_binary_file_is_one_finding() {
    let loaded = Config::load(Path::new("/nowhere/pillarbox.toml"));
    assert!(loaded.config.is_none());
    let text = loaded.findings[0].to_string();
    assert!(
        text.starts_with("/nowhere/pillarbox.toml: cannot read the configuration"),
        "{text}"
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    fs::write(&file, b"hostname = \"mail.example.org\"\nuser = \"\xff\"\n").unwrap();
    let loaded = Config::load(&file);
    assert!(loaded.config.is_none());
    assert_eq!(
        (loaded.findings.len(), loaded.findings[0].line),
        (1, Some(2))
    );
}

#[test]
fn later_findings_know_their_line() {
    let text = "hostname = \"mail.example.org\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n";
    let loaded = Config::read(Path::new("p.toml"), text);
    let finding = loaded.finding(Level::Error, "tls.key", "cannot be read");
    assert_eq!(finding.to_string(), "p.toml:4: tls.key: cannot be read");
    let finding = loaded.finding(Level::Warning, "auth.path", "has no users");
    assert_eq!(finding.to_string(), "p.toml: auth.path: has no users");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", lines in proptest::collection::vec(
        "(hostname|tls|\\[tls\\]|\\[\\[listener\\]\\]|address|deliver|domains|\\[\\[route\\]\\]) ?=? ?[\\[\\]{}\"a-z*:0-9./ ]{0,24}", 0..12)
    ) {
        for text in [text, lines.join("\n")] {
            let loaded = Config::read(Path::new("p.toml"), &text);
            let errors = loaded.errors().count();
            proptest::prop_assert_eq!(loaded.config.is_none(), errors > 0, "{:?}", loaded.findings);
            let lines = text.lines().count().max(1) + 1;
            for finding in &loaded.findings {
                proptest::prop_assert!(finding.line.is_none_or(|line| (1..=lines).contains(&line)));
            }
        }
    }
}

#[test]
fn r6409_8_7_aliases_are_a_file_or_a_table() {
    let config = good("hostname = \"mail.example.org\"\naliases = \"aliases\"");
    let file = Path::new("/etc/pillarbox/aliases").to_path_buf();
    assert_eq!(config.aliases, alias::Source::File(file));
    let config = good(
        "hostname = \"mail.example.org\"\n[aliases]\npostmaster = \"root\"\n\
         root = [\"alice@example.org\", \"bob\"]\n\"sales@example.org\" = \"carol\"",
    );
    let alias::Source::Table(entries) = &config.aliases else {
        panic!("{:?}", config.aliases)
    };
    let shown: Vec<_> = entries
        .iter()
        .map(|one| {
            let targets: Vec<_> = one.targets.iter().map(ToString::to_string).collect();
            format!("{} {}: {}", one.line, one.name, targets.join(" "))
        })
        .collect();
    let mut shown = shown;
    shown.sort();
    assert_eq!(
        shown,
        [
            "3 postmaster: root",
            "4 root: alice@example.org bob",
            "5 sales@example.org: carol"
        ]
    );
}

#[test]
fn r8689_4_2_1_name_servers_are_trusted_only_where_that_is_said() {
    use crate::outbound::resolve::Word;
    let config = good("hostname = \"mail.example.org\"\n[dns]\ntrusted = true");
    assert_eq!(config.dns.word(), Word::Trusted);
    assert!(config.dns.servers.is_empty(), "the system's");
    let config = good("hostname = \"mail.example.org\"");
    assert_eq!(config.dns.word(), Word::Untrusted);
}
