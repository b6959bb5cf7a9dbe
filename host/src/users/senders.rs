//! Whether a user may send with a reverse-path (RFC 6409 section 6.1), and to whom (section 6.2).

use std::sync::Arc;

use super::{Names, Record, Users};
use crate::config::Senders;

/// `senders = "own"`, asked by identity.
pub struct OwnAddresses {
    users: Arc<dyn Users>,
    names: Names,
}

impl std::fmt::Debug for OwnAddresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnAddresses")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl OwnAddresses {
    /// The addresses of these users; a name without domain has `hostname`.
    pub fn new(users: Arc<dyn Users>, hostname: &str) -> Self {
        let names = Names {
            hostname: hostname.to_owned(),
            ntlm_domain: String::new(),
        };
        Self { users, names }
    }

    /// Whether `identity` may send with `reverse_path`. An identity whose record is gone by now
    /// has its own address still and nothing more.
    pub fn may_send_as(&self, identity: &str, reverse_path: &str) -> bool {
        match self.users.known(identity) {
            Some(record) => may_send_as(&record, &self.names, reverse_path, Senders::Own),
            None => may_send_as(
                &Record::new(identity),
                &self.names,
                reverse_path,
                Senders::Own,
            ),
        }
    }

    /// Whether `identity` may send to this mailbox. One whose record is gone by now reaches all: it
    /// was granted before, and may not log in again.
    pub fn may_send_to(&self, identity: &str, mailbox: &str) -> bool {
        self.users.known(identity).is_none_or(|record| {
            record.recipients.is_empty()
                || record
                    .recipients
                    .iter()
                    .any(|pattern| fits(pattern, mailbox))
        })
    }
}

/// Whether `record` may send with `reverse_path` (a mailbox without angle brackets, or empty).
///
/// With [`Senders::Own`] that is the identity's address (its name, qualified by the hostname if it
/// has no domain) and what the record's `senders` list. Local-parts are compared without regard
/// to ASCII case, as identities are, though RFC 5321 section 2.4 would let them differ.
pub fn may_send_as(record: &Record, names: &Names, reverse_path: &str, policy: Senders) -> bool {
    // RFC 6409 section 3.2 (profile R6409-3.2-a): the null reverse-path is nobody's.
    if reverse_path.is_empty() || policy == Senders::Any {
        return true;
    }
    let own = names.address(&record.name);
    reverse_path.eq_ignore_ascii_case(&own)
        || record
            .senders
            .iter()
            .any(|pattern| fits(pattern, reverse_path))
}

fn fits(pattern: &str, reverse_path: &str) -> bool {
    match pattern.strip_prefix("*@") {
        // The last @: a quoted local-part may have one too.
        Some(domain) => reverse_path
            .rsplit_once('@')
            .is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(reverse_path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(name: &str, senders: &[&str], reverse_path: &str, policy: Senders) -> bool {
        let names = Names {
            hostname: "mail.example.org".into(),
            ntlm_domain: "MAIL".into(),
        };
        let senders = senders.iter().map(ToString::to_string).collect();
        may_send_as(
            &Record {
                senders,
                ..Record::new(name)
            },
            &names,
            reverse_path,
            policy,
        )
    }

    #[test]
    fn r6409_6_1_own_is_ones_address_and_the_listed_ones() {
        let own = |name, senders: &[&str], path| allowed(name, senders, path, Senders::Own);
        assert!(own("alice@example.org", &[], "Alice@EXAMPLE.org"));
        assert!(!own("alice@example.org", &[], "alice@mail.example.org"));
        assert!(own("alice", &[], "alice@mail.example.org"));
        assert!(!own("alice", &[], "alice@example.org"));
        assert!(!own("alice", &[], "alice"));
        assert!(own("alice", &["info@example.org"], "INFO@example.org"));
        assert!(own("alice", &["*@example.net"], "\"a@b\"@Example.NET"));
        assert!(!own("alice", &["*@example.net"], "a@sub.example.net"));
        assert!(!own("alice", &["*@example.net"], "a@notexample.net"));
        assert!(!own(
            "alice",
            &["*@example.net"],
            "\"x@example.net\"@example.com"
        ));
    }

    #[tokio::test]
    async fn r6409_6_2_recipients_are_those_of_the_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("users.toml");
        let text = "[[user]]\nname = \"scanner\"\nrecipients = [\"*@example.org\", \"Fax@example.com\"]\n\
                    [[user]]\nname = \"alice\"\n";
        std::fs::write(&path, text).expect("a file");
        let users: Arc<dyn Users> = Arc::new(crate::users::FileUsers::new(&path));
        assert!(users.find("alice").await.expect("a store").is_some());
        assert!(users.limits_recipients());
        let own = OwnAddresses::new(users, "mail.example.org");
        assert!(own.may_send_to("scanner", "anybody@EXAMPLE.org"));
        assert!(own.may_send_to("scanner", "fax@example.com"));
        assert!(!own.may_send_to("scanner", "bob@example.com"));
        assert!(!own.may_send_to("scanner", "bob@sub.example.org"));
        assert!(own.may_send_to("alice", "bob@example.com"));
    }

    #[test]
    fn r6409_3_2_a_the_null_reverse_path_is_always_allowed() {
        assert!(allowed("alice", &[], "", Senders::Own));
    }

    #[test]
    fn r6409_6_1_any_checks_nothing() {
        assert!(allowed("alice", &[], "bob@example.com", Senders::Any));
    }

    #[tokio::test]
    async fn r6409_6_1_sender_rights_follow_the_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("users.toml");
        let text = "[[user]]\nname = \"alice\"\nsenders = [\"info@example.org\"]\n";
        std::fs::write(&path, text).expect("a file");
        let users: Arc<dyn Users> = Arc::new(crate::users::FileUsers::new(&path));
        let own = OwnAddresses::new(Arc::clone(&users), "mail.example.org");
        assert!(users.find("alice").await.expect("a store").is_some());
        assert!(own.may_send_as("alice", "info@example.org"));
        assert!(own.may_send_as("alice", "alice@mail.example.org"));
        assert!(!own.may_send_as("alice", "bob@mail.example.org"));
        // Removed since the grant: nothing more than the own address.
        assert!(own.may_send_as("bob", "bob@mail.example.org"));
        assert!(!own.may_send_as("bob", "info@example.org"));
    }
}
