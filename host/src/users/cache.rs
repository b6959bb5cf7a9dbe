//! Verifications remembered for minutes, so that a device that logs in for each message does not cost
//! an argon2id run each time.
//!
//! What is remembered is a tag: HMAC-SHA256 (RFC 2104) of record and password under a key that only
//! this process has. Any change of the record changes the tag, so it voids what was remembered.
//! Only successes are: a wrong password always costs its argon2id run.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Record;
use super::bounded::Bounded;

/// How long a verification is believed: a batch of messages fits, and a stolen memory image says
/// little.
const LIFE: Duration = Duration::from_secs(5 * 60);
/// How many are kept, 100 octets each.
const MOST: usize = 8_192;

type Tag = [u8; 32];

/// Verifications remembered for minutes.
pub struct Cache {
    key: Hmac<Sha256>,
    life: Duration,
    tags: Mutex<Bounded<Tag, Instant>>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(LIFE, MOST)
    }
}

impl Cache {
    /// An empty cache under a fresh key.
    pub fn new(life: Duration, most: usize) -> Self {
        let key: [u8; 64] = rand::random();
        Self {
            key: Hmac::new(&key.into()),
            life,
            tags: Mutex::new(Bounded::new(most)),
        }
    }

    /// Whether `password` was right for exactly this `record` a moment ago.
    pub fn remembers(&self, now: Instant, record: &Record, password: &[u8]) -> bool {
        let tag = self.tag(record, password);
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        match tags.get(tag) {
            Some(until) if now < *until => true,
            Some(_) => {
                tags.remove(tag);
                false
            }
            None => false,
        }
    }

    /// Remembers that it was.
    pub fn remember(&self, now: Instant, record: &Record, password: &[u8]) {
        let tag = self.tag(record, password);
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.insert(tag, now + self.life);
    }

    fn tag(&self, record: &Record, password: &[u8]) -> Tag {
        let mut mac = self.key.clone();
        let mut part = |octets: &[u8]| {
            // Lengths keep the parts apart.
            mac.update(&octets.len().to_be_bytes());
            mac.update(octets);
        };
        part(record.name.as_bytes());
        part(record.password.as_deref().unwrap_or_default().as_bytes());
        part(record.nt.as_ref().map_or(&[][..], |nt| nt.octets()));
        part(
            record
                .cram_md5
                .as_ref()
                .map_or(&[][..], |kept| kept.octets()),
        );
        for scram in [&record.scram_sha_1, &record.scram_sha_256] {
            part(
                scram
                    .as_ref()
                    .map_or(&[][..], |keys| keys.stored_key.as_slice()),
            );
        }
        part(&[u8::from(record.disabled)]);
        for list in [&record.senders, &record.certificates] {
            part(&list.len().to_be_bytes());
            for entry in list {
                part(entry.as_bytes());
            }
        }
        part(password);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            password: Some("$argon2id$x".into()),
            ..Record::new("alice")
        }
    }

    #[test]
    fn only_the_same_password_of_the_same_record_is_remembered() {
        let (cache, now) = (Cache::default(), Instant::now());
        assert!(!cache.remembers(now, &record(), b"secret"));
        cache.remember(now, &record(), b"secret");
        assert!(cache.remembers(now, &record(), b"secret"));
        assert!(!cache.remembers(now, &record(), b"secret "));
        let changes: [fn(&mut Record); 5] = [
            |record| record.name.push('x'),
            |record| record.password = Some("$argon2id$y".into()),
            |record| record.nt = Some([0; 16].into()),
            |record| record.disabled = true,
            |record| record.senders.push("*@example.org".into()),
        ];
        for change in changes {
            let mut other = record();
            change(&mut other);
            assert!(!cache.remembers(now, &other, b"secret"), "{other:?}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.remember(now, &Record::new("alice"), b"secret");
        assert!(!cache.remembers(now, &Record::new("alices"), b"ecret"));
    }

    #[test]
    fn it_forgets_after_its_time_and_when_full() {
        let (cache, now) = (Cache::new(Duration::from_secs(60), 2), Instant::now());
        cache.remember(now, &record(), b"secret");
        assert!(cache.remembers(now + Duration::from_secs(59), &record(), b"secret"));
        assert!(!cache.remembers(now + Duration::from_secs(60), &record(), b"secret"));
        for password in [b"a", b"b", b"c"] {
            cache.remember(now, &record(), password);
        }
        assert!(!cache.remembers(now, &record(), b"a"));
        assert!(cache.remembers(now, &record(), b"b") && cache.remembers(now, &record(), b"c"));
    }
}
