//! What a client session sees of it.

use super::server::{Server, error, granted};
use super::{Site, Tokens};
use crate::oauth::Bearer;
use crate::outbound::Provider;
use crate::sandbox::v0_1::types::Mechanism;

#[tokio::test]
async fn xoa_1_r7628_3_1_user_and_token() {
    let (server, site) = (Server::new(|_, _| granted("T1")), Site::new());
    let tokens = Tokens::new(site.refresh(&server));
    for mechanism in [Mechanism::Xoauth2, Mechanism::Oauthbearer] {
        let credentials = tokens.credentials(mechanism).await.unwrap();
        assert_eq!(credentials.user, "scanner@example.org");
        assert_eq!(credentials.secret, "T1");
    }
    let error = tokens.credentials(Mechanism::Plain).await.unwrap_err();
    assert!(error.text.contains("XOAUTH2"), "{}", error.text);
}

#[tokio::test]
async fn why_there_is_no_token_is_passed_on() {
    let (server, site) = (Server::new(|_, _| error(400, "invalid_grant")), Site::new());
    let bearer = Bearer::new(Tokens::new(site.refresh(&server)));
    let error = bearer.credentials(Mechanism::Xoauth2).await.unwrap_err();
    assert!(error.text.contains("scanner@example.org"), "{}", error.text);
    assert!(
        error.text.contains("pillarbox oauth login"),
        "{}",
        error.text
    );
}

#[tokio::test]
async fn xoa_3_true_once_for_each_token() {
    let server = Server::new(|number, _| granted(&format!("T{number}")));
    let site = Site::new();
    let tokens = Tokens::new(site.refresh(&server));
    assert!(!tokens.refused().await);
    tokens.credentials(Mechanism::Xoauth2).await.unwrap();
    assert!(tokens.refused().await);
    assert!(!tokens.refused().await);
    let second = tokens.credentials(Mechanism::Xoauth2).await.unwrap();
    assert_eq!(second.secret, "T2");
    assert!(!tokens.refused().await);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn connections_that_had_the_same_token_refused_share_the_next() {
    let server = Server::new(|number, _| granted(&format!("T{number}")));
    let site = Site::new();
    let tokens = Tokens::new(site.refresh(&server));
    let bearers: Vec<_> = (0..5).map(|_| Bearer::new(tokens.clone())).collect();
    for bearer in &bearers {
        let credentials = bearer.credentials(Mechanism::Xoauth2).await.unwrap();
        assert_eq!(credentials.secret, "T1");
    }
    // Each asks at another time: before and after the new token is there.
    for bearer in &bearers {
        assert!(bearer.refused().await);
        let credentials = bearer.credentials(Mechanism::Xoauth2).await.unwrap();
        assert_eq!(credentials.secret, "T2");
    }
    assert_eq!(server.count(), 2);
    for bearer in &bearers {
        assert!(!bearer.refused().await);
    }
    assert_eq!(server.count(), 2);
}
