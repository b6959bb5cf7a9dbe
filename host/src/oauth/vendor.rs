//! The addresses and scopes that Microsoft and Google document for sending mail.

/// What `pillarbox oauth login` needs to know of a token server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vendor {
    /// Device authorization endpoint (RFC 8628 section 3.1); without it a browser is sent to the
    /// authorization endpoint.
    pub device_url: Option<String>,
    /// Authorization endpoint (RFC 6749 section 3.1).
    pub authorization_url: Option<String>,
    /// Token endpoint (RFC 6749 section 3.2).
    pub token_url: String,
    /// Scopes, with spaces between them.
    pub scope: String,
}

/// Where Microsoft's endpoints begin; the tenant follows.
const MICROSOFT: &str = "https://login.microsoftonline.com/";

/// Google's token endpoint.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";

/// Microsoft 365: `tenant` is the directory's identifier or domain, or `organizations`
/// ("Microsoft identity platform and the OAuth 2.0 device authorization grant flow").
pub fn microsoft(tenant: &str) -> Vendor {
    let base = format!("{MICROSOFT}{tenant}/oauth2/v2.0");
    Vendor {
        device_url: Some(format!("{base}/devicecode")),
        authorization_url: Some(format!("{base}/authorize")),
        token_url: format!("{base}/token"),
        // "Authenticate an IMAP, POP or SMTP connection using OAuth"; offline_access is what a
        // refresh token is given for.
        scope: "https://outlook.office.com/SMTP.Send offline_access".into(),
    }
}

/// Google ("OAuth 2.0 for Mobile & Desktop Apps"). There is a device endpoint too, but the scope
/// of mail is not among the few that it grants.
pub fn google() -> Vendor {
    Vendor {
        device_url: None,
        authorization_url: Some("https://accounts.google.com/o/oauth2/v2/auth".into()),
        token_url: GOOGLE.into(),
        scope: "https://mail.google.com/".into(),
    }
}

/// Whose token endpoint this is.
pub fn of_token_url(token_url: &str) -> Option<Vendor> {
    if token_url == GOOGLE {
        return Some(google());
    }
    let tenant = token_url
        .strip_prefix(MICROSOFT)?
        .strip_suffix("/oauth2/v2.0/token")?;
    is_tenant(tenant).then(|| microsoft(tenant))
}

/// Whether it can be the identifier or a domain of a directory.
pub fn is_tenant(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_endpoint_tells_whose_it_is() {
        for tenant in [
            "organizations",
            "example.org",
            "8eaef023-2b34-4da1-9baa-8bc8c9d6a490",
        ] {
            let vendor = microsoft(tenant);
            assert_eq!(of_token_url(&vendor.token_url), Some(vendor));
        }
        assert_eq!(of_token_url(&google().token_url), Some(google()));
        for other in [
            "https://login.microsoftonline.com//oauth2/v2.0/token",
            "https://login.microsoftonline.com/a/b/oauth2/v2.0/token",
            "https://sso.example.org/token",
        ] {
            assert_eq!(of_token_url(other), None);
        }
    }
}
