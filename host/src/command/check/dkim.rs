//! Whether the keys that sign can be read, and will be believed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::account::Account;
use super::readable;
use crate::command::chain;
use crate::config::{Config, Finding, Level, Loaded, Senders};
use crate::dkim::{Algorithm, Key};

/// Bits that verifiers must take (RFC 8301 section 3.2).
const MOST_BITS: usize = 4096;

/// Adds what is wrong with the keys.
pub(super) fn examine(
    loaded: &Loaded,
    config: &Config,
    account: Option<&Account>,
    findings: &mut Vec<Finding>,
) {
    for (index, one) in config.dkim.iter().enumerate() {
        let at = format!("dkim[{index}].key");
        match Key::load(&one.key) {
            Err(error) => findings.push(loaded.finding(Level::Error, &at, chain(&error))),
            Ok(key) => {
                if key.algorithm() == Algorithm::Rsa && key.bits() > MOST_BITS {
                    let text = format!(
                        "{} has {} bits; verifiers need not take more than {MOST_BITS} (RFC 8301), use 2048",
                        one.key.display(),
                        key.bits()
                    );
                    findings.push(loaded.finding(Level::Warning, &at, text));
                }
                let mode = fs::metadata(&one.key).map_or(0, |data| data.permissions().mode());
                if mode & 0o020 != 0 {
                    let text = format!("the group may write {}; chmod g-w it", one.key.display());
                    findings.push(loaded.finding(Level::Warning, &at, text));
                }
                if let Some(account) = account {
                    readable(loaded, account, &at, &one.key, findings);
                }
            }
        }
    }
    let everybody = config.submission.from == Senders::Any;
    if !config.dkim.is_empty() && everybody && config.submission.senders == Senders::Own {
        let text = "is absent or \"any\": each user can have mail signed whose From is somebody \
                    else's in a domain of [[dkim]]; consider from = \"own\"";
        findings.push(loaded.finding(Level::Warning, "submission.from", text));
    }
}
