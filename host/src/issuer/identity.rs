//! Who the user of a token is here: somebody of the users file, or of a domain whose users need no
//! record.

use std::sync::Arc;

use super::refusal::Refusal;
use super::{Denial, Presented};
use crate::users::names::folded;
use crate::users::{Names, Record, Users, UsersError};

/// Longest name, in octets: a local-part, `@` and a domain (RFC 5321 section 4.5.3.1).
const MOST: usize = 64 + 1 + 255;

/// The identity of `user`, which a token names, if what stands beside the token means the same.
pub(super) async fn of(
    users: &dyn Users,
    names: &Names,
    domains: &[String],
    user: &str,
    presented: &Presented<'_>,
) -> Result<String, Denial> {
    // A backslash parts NTLM's domain from a name: what stands before it in a token is not ours to
    // judge, and must not be dropped.
    let bad = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if user.len() > MOST || user.chars().any(bad) {
        return Err(Refusal::Stranger.into());
    }
    let record = find(users, names, user).await?;
    for asked in [presented.user, presented.authorization] {
        // RFC 7628 section 3.1: without one it is the token's own.
        if asked.is_empty() || asked.eq_ignore_ascii_case(user) {
            continue;
        }
        let same = match (&record, find(users, names, asked).await?) {
            (Some(own), Some(other)) => own.name == other.name,
            _ => false,
        };
        if !same {
            return Err(Refusal::Other(user.to_owned()).into());
        }
    }
    match record {
        // An issuer whose domains are named speaks for nobody else, listed or not.
        Some(record) if !domains.is_empty() && !is_of(&names.address(&record.name), domains) => {
            Err(Refusal::Stranger.into())
        }
        Some(record) if record.disabled => Err(Denial::Disabled),
        Some(record) => Ok(record.name.clone()),
        None if is_of(user, domains) => Ok(folded(user)),
        None => Err(Refusal::Stranger.into()),
    }
}

async fn find(users: &dyn Users, names: &Names, name: &str) -> Result<Option<Arc<Record>>, Denial> {
    for candidate in names.candidates(name, "") {
        let found = users.find(&candidate).await.map_err(unavailable)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn unavailable(error: UsersError) -> Denial {
    Denial::Unavailable(error.into())
}

/// Whether it is a mailbox of one of these domains, as a reverse-path may have it without quoting
/// (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
fn is_of(user: &str, domains: &[String]) -> bool {
    let Some((local, domain)) = user.split_once('@') else {
        return false;
    };
    let atom = |atom: &str| {
        !atom.is_empty()
            && atom.chars().all(|c| {
                !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
            })
    };
    local.len() <= 64
        && local.split('.').all(atom)
        && domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_mailboxes_of_our_domains_need_no_record() {
        let domains = ["example.org".to_owned()];
        for good in [
            "alice@example.org",
            "A.b+c@Example.ORG",
            "jos\u{e9}@example.org",
        ] {
            assert!(is_of(good, &domains), "{good}");
        }
        for bad in [
            "alice",
            "@example.org",
            "alice@example.org.example.net",
            "alice@example.net",
            "alice@example.net@example.org",
            "a..b@example.org",
            ".a@example.org",
            "\"a b\"@example.org",
            "<alice@example.org",
            "a,b@example.org",
            "a(b)@example.org",
        ] {
            assert!(!is_of(bad, &domains), "{bad}");
        }
        assert!(!is_of("alice@example.org", &[]));
    }
}
