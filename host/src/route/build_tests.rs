//! What becomes of configured routes.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::route::Query;

fn config(routes: &str) -> Config {
    let text = format!("hostname = \"mail.example.org\"\n{routes}");
    let loaded = Config::read(Path::new("/etc/pillarbox/pillarbox.toml"), &text);
    assert_eq!(loaded.errors().count(), 0, "{:?}", loaded.findings);
    loaded.config.unwrap()
}

fn built(routes: &str) -> Result<Routes, String> {
    build(&config(routes), &Registry::default())
}

/// The next hop of the only route.
fn hop(keys: &str) -> Arc<NextHop> {
    let routes = built(&format!("[[route]]\ndomains = [\"*\"]\n{keys}")).unwrap();
    match &routes.all()[0].delivery {
        Delivery::Relay(next_hop) => Arc::clone(next_hop),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_routes_all_goes_to_maildirs() {
    let routes = built("state-dir = \"/srv/{odd}\"\n").unwrap();
    assert!(routes.takes_everybody());
    let query = Query {
        reverse_path: "",
        identity: None,
        mailbox: "alice@example.org",
    };
    let Delivery::Maildir(template) = &routes.find(&query).unwrap().delivery else {
        panic!("no Maildir")
    };
    assert_eq!(
        template.folder("alice@example.org"),
        Path::new("/srv/{odd}/mail/example.org/alice")
    );
}

#[test]
fn a_route_is_as_configured() {
    let routes = built(
        "[[route]]\nname = \"first\"\ndomains = [\"*.example.org\"]\nsenders = [\"<>\"]\nidentities = [\"bob\"]\n\
         deliver = \"hold\"\n\
         [[route]]\ndomains = [\"*\"]\ndeliver = \"discard\"\n\
         [retry]\nfirst = \"3s\"\ndelay-note = \"1h\"\n",
    )
    .unwrap();
    let [first, second] = routes.all() else {
        panic!("two routes")
    };
    assert_eq!(
        (first.name.as_str(), second.name.as_str()),
        ("first", "discard")
    );
    assert_eq!((first.senders.len(), first.identities.len()), (1, 1));
    assert!(matches!(first.delivery, Delivery::Hold));
    assert!(matches!(second.delivery, Delivery::Discard));
    assert_eq!(second.retry.first, Duration::from_secs(3));
    assert_eq!(second.retry.delay_note, Some(Duration::from_secs(3_600)));
}

#[test]
fn tls_is_what_the_route_and_its_servers_say() {
    for (keys, security, verifies) in [
        (
            "deliver = \"smtp://a.example\"\ntls = \"required\"",
            Security::Required,
            true,
        ),
        (
            "deliver = \"smtp://a.example\"\ntls = \"off\"",
            Security::Off,
            false,
        ),
        ("deliver = \"mx\"", Security::Opportunistic, true),
        ("deliver = \"smtps://a.example\"", Security::Implicit, true),
        (
            "deliver = [\"smtps://a.example\", \"smtp://b.example\"]\ntls = \"off\"",
            Security::Off,
            true,
        ),
        ("deliver = \"lmtp:/run/lmtp\"", Security::Off, false),
    ] {
        let next_hop = hop(keys);
        assert_eq!(next_hop.security, security, "{keys}");
        assert_eq!(next_hop.trust.verifies(), verifies, "{keys}");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_named_with_their_route() {
    let why = built(
        "[[route]]\nname = \"up\"\ndomains = [\"*\"]\ndeliver = \"smtp://a.example\"\ntls-authorities = \"/no/such.pem\"",
    )
    .err()
    .unwrap();
    assert!(
        why.starts_with("route up cannot be used: tls-authorities: "),
        "{why}"
    );
    assert!(why.contains("/no/such.pem"), "{why}");
}

#[tokio::test]
async fn credentials_come_from_the_configured_source() {
    let password = hop(
        "deliver = \"smtp://a.example\"\nauth = { user = \"CORP\\\\relay\", password-command = \"echo s3cret\", mechanisms = [\"login\", \"ntlm\"] }",
    );
    assert!(password.tokens.is_none());
    let login = password.session_login();
    assert_eq!(login.mechanisms, [Mechanism::Login, Mechanism::Ntlm]);
    assert!(!login.clear_text);
    let credentials = login
        .provider
        .unwrap()
        .credentials(Mechanism::Ntlm)
        .await
        .unwrap();
    assert_eq!(
        (
            credentials.domain.as_str(),
            credentials.user.as_str(),
            credentials.secret.as_str()
        ),
        ("CORP", "relay", "s3cret")
    );
    let none = hop("deliver = \"smtp://a.example\"").session_login();
    assert!(none.provider.is_none() && none.mechanisms.is_empty());
}

#[test]
fn tokens_are_those_of_the_registry_and_each_connection_has_its_bearer() {
    let text = "[[route]]\ndomains = [\"*\"]\ndeliver = \"smtp://a.example\"\n\
                auth = { user = \"relay@example.net\", token-command = \"token\", clear-text = true }\ntls = \"off\"";
    let next_hop = hop(text.split_once("[\"*\"]\n").unwrap().1);
    let tokens = next_hop.tokens.as_ref().unwrap();
    assert_eq!(tokens.settings().user, "relay@example.net");
    assert_eq!(
        tokens.settings().grant,
        oauth::Grant::Command("token".into())
    );
    let (one, two) = (next_hop.session_login(), next_hop.session_login());
    assert_eq!(one.mechanisms, [Mechanism::Xoauth2, Mechanism::Oauthbearer]);
    assert!(one.clear_text);
    assert!(!Arc::ptr_eq(&one.provider.unwrap(), &two.provider.unwrap()));
}

#[test]
fn a_reload_goes_on_with_the_same_tokens() {
    let config = config(
        "[[route]]\ndomains = [\"*\"]\ndeliver = \"smtp://a.example\"\nauth = { user = \"u\", token-command = \"token\" }",
    );
    let registry = Registry::default();
    let tokens = |routes: &Routes| match &routes.all()[0].delivery {
        Delivery::Relay(next_hop) => next_hop.tokens.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    let (old, new) = (
        build(&config, &registry).unwrap(),
        build(&config, &registry).unwrap(),
    );
    assert!(Arc::ptr_eq(&tokens(&old), &tokens(&new)));
}
