//! Identifiers of reports.

use std::time::{SystemTime, UNIX_EPOCH};

/// Letters, digits and a hyphen; unlike any other of any run of any service here, and not to be
/// guessed: the boundary is made of it. Begins with `r`, and with the time, so that they sort.
pub(super) fn fresh(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let random: u64 = rand::random();
    format!("r{:013x}-{random:016x}", since.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_can_name_files_and_differ() {
        let now = SystemTime::now();
        let (one, other) = (fresh(now), fresh(now));
        assert_ne!(one, other);
        for id in [one, other, fresh(UNIX_EPOCH)] {
            assert_eq!(id.len(), 31);
            let good = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
            assert!(id.bytes().all(good), "{id}");
        }
    }
}
