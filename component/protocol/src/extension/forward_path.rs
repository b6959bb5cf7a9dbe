//! The argument of RCPT (RFC 5321 section 4.1.1.3).

use super::{
    Defect, Offered, dsn,
    parameter::{self, once},
};
use crate::{contract::ForwardPath, smtp::path::Path};
use alloc::{
    format,
    string::{String, ToString},
};

/// Reads `argument`, everything after `RCPT`: the recipient with its parameters.
///
/// `smtputf8`: MAIL had SMTPUTF8. `hostname` is where `<Postmaster>` lives; `local_domain`, unless
/// empty, completes a domain of one label (R6409-4.2-b). Refused in the same order as in
/// `reverse_path`.
pub fn forward_path(
    argument: &[u8],
    offered: &Offered,
    smtputf8: bool,
    hostname: &str,
    local_domain: &str,
) -> Result<ForwardPath, Defect> {
    let smtputf8 = smtputf8 && offered.smtputf8;
    let (path, rest) = parameter::path(argument, b"TO:", Defect::MissingTo, Defect::BadRecipient)?;
    let mut recipient = ForwardPath {
        mailbox: String::new(),
        notify: None,
        orcpt: None,
    };
    for parameter in parameter::parameters(rest)? {
        let parameter = parameter?;
        let value = parameter.value;
        match parameter.keyword.to_ascii_uppercase().as_str() {
            dsn::NOTIFY => once(&mut recipient.notify, dsn::NOTIFY, dsn::notify(value)?)?,
            dsn::ORCPT => once(
                &mut recipient.orcpt,
                dsn::ORCPT,
                dsn::orcpt(value, smtputf8)?,
            )?,
            _ => return Err(parameter.unsupported()),
        }
    }
    recipient.mailbox = match path {
        // R5321-4.1.1.3-d
        Path::Null => return Err(Defect::BadRecipient),
        // R5321-4.1.1.3-b; R6409-4.2-a does not hold for it.
        Path::Postmaster => format!("postmaster@{hostname}"),
        // R6531-3.5-a
        Path::Mailbox(mailbox) if !mailbox.is_ascii() && !smtputf8 => {
            return Err(Defect::RecipientNeedsSmtputf8);
        }
        Path::Mailbox(mailbox) => {
            // RFC 6409 section 4.2 (R6409-4.2-b)
            let mailbox = mailbox.completed(local_domain);
            // R6409-4.2-a
            if !mailbox.domain().is_qualified() {
                return Err(Defect::RecipientNotQualified);
            }
            mailbox.to_string()
        }
    };
    Ok(recipient)
}

#[cfg(test)]
mod tests;
