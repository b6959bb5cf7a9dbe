//! EXTERNAL: a client certificate that the TLS layer has verified (RFC 4422 appendix A).

use std::net::IpAddr;
use std::sync::Arc;

use super::super::{ClientCertificate, Record, UsersError, refusal};
use super::{Authenticator, Verdict};

impl Authenticator {
    /// May the holder of `certificate` act as `authorization` (empty: as himself)? Nobody guesses a
    /// certificate, so nothing is counted or slowed down.
    pub async fn external(
        &self,
        peer: IpAddr,
        certificate: &ClientCertificate,
        authorization: &str,
    ) -> Verdict {
        let shown = certificate.shown();
        let holders = match self.holders(certificate).await {
            Ok(holders) => holders,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%peer, certificate = shown, %error, cause, "cannot authenticate");
                return Verdict::Unavailable;
            }
        };
        let refused = |reason: &str| {
            refusal::note(authorization, &format!("certificate {shown}: {reason}"));
        };
        let Some(first) = holders.first() else {
            refused("no user has this certificate: `certificates` in the users file");
            return Verdict::Refused;
        };
        // R4422-A: the certificate's own identity, or one that its holder also is.
        let holder = if authorization.is_empty() {
            Some(first)
        } else {
            let asked = match self.find(authorization, "").await {
                Ok(asked) => asked,
                Err(error) => {
                    tracing::error!(%peer, certificate = shown, %error, "cannot authenticate");
                    return Verdict::Unavailable;
                }
            };
            holders.iter().find(|holder| {
                asked
                    .as_ref()
                    .is_some_and(|asked| asked.name == holder.name)
            })
        };
        match holder {
            None => {
                refused("may not act as the authorization identity");
                Verdict::Refused
            }
            Some(holder) if holder.disabled => {
                refused("account disabled");
                Verdict::Disabled
            }
            Some(holder) => Verdict::Granted(holder.name.clone()),
        }
    }

    /// Who lists the certificate; if nobody does, the users whose names are among its mailboxes.
    async fn holders(
        &self,
        certificate: &ClientCertificate,
    ) -> Result<Vec<Arc<Record>>, UsersError> {
        if let Some(record) = self.users.of_certificate(certificate).await? {
            return Ok(vec![record]);
        }
        let mut holders: Vec<Arc<Record>> = Vec::new();
        // What looks like DOMAIN\user elsewhere is no mailbox.
        let mailboxes = certificate.mailboxes.iter();
        for mailbox in mailboxes.filter(|name| name.contains('@') && !name.contains('\\')) {
            if let Some(record) = self.find(mailbox, "").await?
                && !holders.iter().any(|holder| holder.name == record.name)
            {
                holders.push(record);
            }
        }
        Ok(holders)
    }
}
