//! Which records a client may mean (profile NLMP-3.2.5-i).
//!
//! | the record's name | found by |
//! | --- | --- |
//! | `a@b` | `a@b` with any NTLM domain; `a` with NTLM domain `b`; `b\a` |
//! | `a` | `a`; `a@` the hostname; `a` with any NTLM domain; `ANY\a` |
//! | `a@` the hostname | also `a` with the configured NTLM domain |
//!
//! The longer name is tried first. All that is needed can be looked up by exact name, so that
//! any backend can do it, and an unknown name takes as many steps as a known one.

use crate::config::Config;

/// Names are compared without regard to ASCII case: this form of them is compared.
pub fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// What a name can be short for on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The domain of names that have none.
    pub hostname: String,
    /// The NetBIOS name that stands for it in NTLM.
    pub ntlm_domain: String,
}

impl Names {
    /// The names of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            hostname: config.hostname.clone(),
            ntlm_domain: config.auth.ntlm_domain.clone(),
        }
    }

    /// Names of the records that `user` may mean, the best first. `domain` is NTLM's, or empty.
    pub fn candidates(&self, user: &str, domain: &str) -> Vec<String> {
        let (domain, user) = match user.split_once('\\') {
            Some((before, after)) if domain.is_empty() => (before, after),
            _ => (domain, user),
        };
        let mut candidates = Vec::with_capacity(3);
        match user.rsplit_once('@') {
            Some((local, host)) => {
                candidates.push(folded(user));
                if host.eq_ignore_ascii_case(&self.hostname) {
                    candidates.push(folded(local));
                }
            }
            None => {
                if !domain.is_empty() {
                    candidates.push(folded(&format!("{user}@{domain}")));
                }
                if domain.eq_ignore_ascii_case(&self.ntlm_domain) {
                    candidates.push(folded(&format!("{user}@{}", self.hostname)));
                }
                candidates.push(folded(user));
            }
        }
        candidates.dedup();
        candidates
    }

    /// Under which name failures are counted: the same for all ways to write it that need no
    /// look-up, so that the delay does not tell which of them exists.
    pub fn counted(&self, user: &str) -> String {
        let user = user.split_once('\\').map_or(user, |(_, user)| user);
        let host = |(local, host): (&str, &str)| {
            host.eq_ignore_ascii_case(&self.hostname)
                .then(|| folded(local))
        };
        user.rsplit_once('@')
            .and_then(host)
            .unwrap_or_else(|| folded(user))
    }

    /// The address of an identity: itself if it has a domain.
    pub fn address(&self, identity: &str) -> String {
        if identity.contains('@') {
            identity.to_owned()
        } else {
            format!("{identity}@{}", self.hostname)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            hostname: "mail.example.org".into(),
            ntlm_domain: "MAIL".into(),
        }
    }

    #[test]
    fn nlmp_3_2_5_i_ways_to_write_a_name_lead_to_the_same_record() {
        let names = names();
        assert_eq!(
            names.candidates("Alice@Example.ORG", ""),
            ["alice@example.org"]
        );
        assert_eq!(
            names.candidates("alice@example.org", "WORKGROUP"),
            ["alice@example.org"]
        );
        assert_eq!(
            names.candidates("ALICE", "example.org"),
            ["alice@example.org", "alice"]
        );
        assert_eq!(
            names.candidates("EXAMPLE.ORG\\alice", ""),
            ["alice@example.org", "alice"]
        );
        assert_eq!(names.candidates("alice", ""), ["alice"]);
        assert_eq!(
            names.candidates("alice@mail.example.org", ""),
            ["alice@mail.example.org", "alice"]
        );
        assert_eq!(
            names.candidates("alice", "mail"),
            ["alice@mail", "alice@mail.example.org", "alice"]
        );
    }

    #[test]
    fn failures_of_one_account_count_together() {
        let names = names();
        for user in ["alice", "ALICE", "X\\alice", "alice@MAIL.example.org"] {
            assert_eq!(names.counted(user), "alice", "{user}");
        }
        assert_eq!(names.counted("Alice@example.org"), "alice@example.org");
    }

    #[test]
    fn an_identity_without_domain_has_the_hostname() {
        assert_eq!(names().address("alice"), "alice@mail.example.org");
        assert_eq!(names().address("alice@example.org"), "alice@example.org");
    }
}
