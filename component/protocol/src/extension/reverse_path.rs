//! The argument of MAIL (RFC 5321 section 4.1.1.2).

use super::{
    Defect, Offered, auth, body, deliver_by, dsn, future_release, mt_priority,
    parameter::{self, once},
    require_tls, size, smtputf8,
};
use crate::{contract::ReversePathParameters, environment::Moment, smtp::path::Path};
use alloc::string::{String, ToString};

/// Reads `argument`, everything after `MAIL`: the mailbox with the least quoting, or an empty
/// string for the null reverse-path, and what was asked for.
///
/// `now` is what HOLDUNTIL counts from; `local_domain`, unless empty, completes a domain of one label
/// (R6409-4.2-b). Refused in this order: the path's syntax, each parameter
/// as it comes, the lack of SMTPUTF8 (which may be the last parameter), an unqualified domain.
pub fn reverse_path(
    argument: &[u8],
    offered: &Offered,
    now: Moment,
    local_domain: &str,
) -> Result<(String, ReversePathParameters), Defect> {
    let (path, rest) = parameter::path(argument, b"FROM:", Defect::MissingFrom, Defect::BadSender)?;
    let parameters = parameters(rest, offered, now)?;
    match path {
        Path::Null => Ok((String::new(), parameters)),
        // R5321-4.1.1.2-c: only a forward-path may lack its domain.
        Path::Postmaster => Err(Defect::BadSender),
        // R6531-3.5-a
        Path::Mailbox(mailbox) if !mailbox.is_ascii() && !parameters.smtputf8 => {
            Err(Defect::SenderNeedsSmtputf8)
        }
        Path::Mailbox(mailbox) => {
            // RFC 6409 section 4.2 (R6409-4.2-b)
            let mailbox = mailbox.completed(local_domain);
            // R6409-4.2-a
            if !mailbox.domain().is_qualified() {
                return Err(Defect::SenderNotQualified);
            }
            Ok((mailbox.to_string(), parameters))
        }
    }
}

fn parameters(
    text: &[u8],
    offered: &Offered,
    now: Moment,
) -> Result<ReversePathParameters, Defect> {
    let mut asked = ReversePathParameters::default();
    let (mut body, mut smtputf8, mut require_tls) = (None, None, None);
    let (mut hold_for, mut hold_until) = (None, None);
    for parameter in parameter::parameters(text)? {
        let parameter = parameter?;
        let value = parameter.value;
        // R5321-2.4: keywords in any case. R5321-4.1.1.11-a: not offered is not known.
        match parameter.keyword.to_ascii_uppercase().as_str() {
            auth::AUTH => once(&mut asked.auth, auth::AUTH, auth::mailbox(value)?)?,
            body::BODY => once(&mut body, body::BODY, body::parse(value, offered)?)?,
            deliver_by::BY => {
                let least = offered.deliver_by.ok_or_else(|| parameter.unsupported())?;
                let by = deliver_by::parse(value, least)?;
                once(&mut asked.deliver_by, deliver_by::BY, by)?;
            }
            dsn::ENVID => once(&mut asked.envid, dsn::ENVID, dsn::envid(value)?)?,
            future_release::HOLDFOR => {
                let most = offered
                    .future_release
                    .ok_or_else(|| parameter.unsupported())?;
                let seconds = future_release::hold_for(value, most)?;
                once(&mut hold_for, future_release::HOLDFOR, seconds)?;
            }
            future_release::HOLDUNTIL => {
                let most = offered
                    .future_release
                    .ok_or_else(|| parameter.unsupported())?;
                let seconds = future_release::hold_until(value, most, now)?;
                once(&mut hold_until, future_release::HOLDUNTIL, seconds)?;
            }
            mt_priority::MT_PRIORITY if offered.mt_priority => {
                // R6710-4.1-a: twice has the same code as a bad value.
                once(
                    &mut asked.priority,
                    mt_priority::MT_PRIORITY,
                    mt_priority::parse(value)?,
                )
                .map_err(|_| Defect::BadPriority)?;
            }
            require_tls::REQUIRETLS if offered.require_tls => once(
                &mut require_tls,
                require_tls::REQUIRETLS,
                require_tls::parse(value)?,
            )?,
            dsn::RET => once(&mut asked.ret, dsn::RET, dsn::ret(value)?)?,
            size::SIZE => once(&mut asked.size, size::SIZE, size::parse(value, offered)?)?,
            smtputf8::SMTPUTF8 if offered.smtputf8 => {
                once(&mut smtputf8, smtputf8::SMTPUTF8, smtputf8::parse(value)?)?
            }
            _ => return Err(parameter.unsupported()),
        }
    }
    // R4865-4: both.
    if hold_for.is_some() && hold_until.is_some() {
        return Err(Defect::TwoHolds);
    }
    asked.body = body.unwrap_or_default();
    asked.smtputf8 = smtputf8.unwrap_or_default();
    asked.require_tls = require_tls.unwrap_or_default();
    asked.hold_for = hold_for.or(hold_until);
    Ok(asked)
}

#[cfg(test)]
mod tests;
