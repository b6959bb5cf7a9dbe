//! EXTERNAL (RFC 4422 appendix A): who we are, the TLS layer has shown; the message says who to
//! be, or nothing.

use crate::contract::client::Credentials;
use alloc::vec::Vec;

/// The client's only message: the authorization identity, empty for that of the certificate.
pub(super) fn message(credentials: &Credentials) -> Result<Vec<u8>, &'static str> {
    // RFC 4422 section A.2: UTF-8 without NUL.
    if credentials.user.contains('\0') {
        return Err("the user name has a NUL");
    }
    Ok(credentials.user.clone().into_bytes())
}
