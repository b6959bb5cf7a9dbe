//! A whole table whose feature does not exist in this version: checked, and refused with a sentence
//! that says what to use meanwhile. Single keys and values are refused where they are read.

use std::net::SocketAddr;

use super::keys;
use super::reader::Section;

/// `[admin]`.
pub(super) fn refuse(top: &Section<'_>) {
    let admin = top.section("admin", &keys::ADMIN);
    if let Some(value) = admin.value("address")
        && let Some(text) = value.text()
    {
        match text.parse::<SocketAddr>() {
            Ok(_) => value.error(
                "not in this version: there is no status page yet; remove [admin] and use \
                 `pillarbox queue list`",
            ),
            Err(_) => value.error(format!(
                "\"{text}\" is no address with a port, and [admin] is not in this version; remove it"
            )),
        }
    }
}
