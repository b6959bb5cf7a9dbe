//! Of whom a refresh token is asked, and where it goes: from a route, from a preset, from
//! arguments; what is said more closely counts.

use std::path::{Path, PathBuf};

use super::{Refusal, load, of_route};
use crate::config::USUAL_PLACE;
use crate::oauth::device::Login;
use crate::oauth::endpoint::Patience;
use crate::oauth::vendor::{self, Vendor};
use crate::oauth::{Grant, Settings, secret_file};
use clap::ValueEnum;

/// Arguments of `oauth login`.
#[derive(Debug, Default, clap::Args)]
pub struct Arguments {
    /// The configuration whose route is to have the token. Read unless all that is needed is named
    /// by the other options.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The route. May be left out if only one has a refresh token.
    #[arg(long, value_name = "NAME")]
    pub(super) route: Option<String>,
    /// Whose server it is: for its addresses and scope.
    #[arg(long)]
    pub(super) provider: Option<Provider>,
    /// Microsoft: the directory, by its identifier or domain. Default: organizations.
    #[arg(long, value_name = "TENANT")]
    pub(super) tenant: Option<String>,
    /// Client identifier.
    #[arg(long, value_name = "ID")]
    pub(super) client_id: Option<String>,
    /// File of the client secret, if the client has one.
    #[arg(long, value_name = "FILE")]
    pub(super) client_secret_file: Option<PathBuf>,
    /// Device authorization endpoint (RFC 8628).
    #[arg(long, value_name = "URL")]
    pub(super) device_url: Option<String>,
    /// Authorization endpoint, for servers that have no other: a browser comes back from it to this
    /// machine (RFC 8252).
    #[arg(long, value_name = "URL", conflicts_with = "device_url")]
    pub(super) authorization_url: Option<String>,
    /// Token endpoint.
    #[arg(long, value_name = "URL")]
    pub(super) token_url: Option<String>,
    /// Scopes, with spaces between them.
    #[arg(long)]
    pub(super) scope: Option<String>,
    /// Where the refresh token goes.
    #[arg(long, value_name = "FILE")]
    pub(super) refresh_token_file: Option<PathBuf>,
    /// Port of 127.0.0.1 that a browser comes back to. Default: any that is free.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(super) port: u16,
}

/// Whose documentation is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Microsoft 365.
    Microsoft,
    /// Google Workspace and Gmail.
    Google,
}

/// All that is needed.
pub(super) struct Request {
    pub(super) login: Login,
    pub(super) refresh_token_file: PathBuf,
    /// Who is to log in, if a route says it.
    pub(super) user: Option<String>,
    /// The account of the service, if a configuration names one.
    pub(super) account: Option<String>,
}

impl Arguments {
    pub(super) fn request(&self) -> Result<Request, Refusal> {
        let complete = self.client_id.is_some()
            && self.refresh_token_file.is_some()
            && (self.token_url.is_some() || self.provider.is_some());
        let wanted = self.config.is_some() || self.route.is_some();
        let (settings, account) = if wanted || !complete {
            let place = self.config.as_deref().unwrap_or(Path::new(USUAL_PLACE));
            let config = load(place).map_err(|refusal| self.hint(refusal))?;
            let settings = of_route(&config, self.route.as_deref(), |settings| {
                matches!(settings.grant, Grant::RefreshToken { .. })
            })?;
            (Some(settings), config.user)
        } else {
            (None, None)
        };
        self.merge(settings, account)
    }

    /// Without a configuration, the other way should be known.
    fn hint(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::Failed(text) if self.config.is_none() => Refusal::Failed(format!(
                "{text}\nname it by --config, or do without: --provider, --client-id and \
                 --refresh-token-file"
            )),
            refusal => refusal,
        }
    }

    fn merge(
        &self,
        settings: Option<Settings>,
        account: Option<String>,
    ) -> Result<Request, Refusal> {
        let missing = |option: &str| Refusal::Usage(format!("{option} is missing"));
        let mut route = Route::default();
        if let Some(settings) = settings {
            route = Route::from(settings);
        }
        let token_url = self.token_url.clone().or(route.token_url);
        let mut vendor = self.vendor(token_url.as_deref())?;
        if let Some(url) = token_url {
            vendor.token_url = url;
        }
        if let Some(url) = &self.device_url {
            vendor.device_url = Some(url.clone());
        }
        if let Some(url) = &self.authorization_url {
            vendor.authorization_url = Some(url.clone());
            vendor.device_url = None;
        }
        if let Some(scope) = self.scope.clone().or(route.scope) {
            vendor.scope = scope;
        }
        if vendor.token_url.is_empty() {
            return Err(missing("--token-url (or --provider)"));
        }
        if vendor.device_url.is_none() && vendor.authorization_url.is_none() {
            return Err(Refusal::Usage(format!(
                "where to log in is not known for {}; add --device-url, or --authorization-url if \
                 that server has no device authorization endpoint",
                vendor.token_url
            )));
        }
        let secret_file = self.client_secret_file.clone().or(route.client_secret_file);
        let client_secret = secret_file
            .map(|path| secret_file::read("client secret", &path))
            .transpose()?;
        let client_id = self.client_id.clone().or(route.client_id);
        let refresh_token_file = self.refresh_token_file.clone().or(route.refresh_token_file);
        Ok(Request {
            login: Login {
                vendor,
                client_id: client_id.ok_or_else(|| missing("--client-id"))?,
                client_secret,
                patience: Patience::default(),
            },
            refresh_token_file: refresh_token_file
                .ok_or_else(|| missing("--refresh-token-file"))?,
            user: route.user,
            account,
        })
    }

    /// What is known beforehand.
    fn vendor(&self, token_url: Option<&str>) -> Result<Vendor, Refusal> {
        let tenant = self.tenant.as_deref();
        match self.provider {
            Some(Provider::Microsoft) => match tenant.unwrap_or("organizations") {
                tenant if vendor::is_tenant(tenant) => Ok(vendor::microsoft(tenant)),
                tenant => Err(Refusal::Usage(format!(
                    "\"{}\" is no directory; use its identifier or domain, such as example.org",
                    tenant.escape_debug()
                ))),
            },
            _ if tenant.is_some() => Err(Refusal::Usage(
                "--tenant is for --provider microsoft".into(),
            )),
            Some(Provider::Google) => Ok(vendor::google()),
            None => Ok(token_url.and_then(vendor::of_token_url).unwrap_or_default()),
        }
    }
}

/// What a route says.
#[derive(Default)]
struct Route {
    user: Option<String>,
    token_url: Option<String>,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    refresh_token_file: Option<PathBuf>,
    scope: Option<String>,
}

impl From<Settings> for Route {
    fn from(settings: Settings) -> Self {
        let user = Some(settings.user);
        match settings.grant {
            Grant::RefreshToken {
                token_url,
                client_id,
                client_secret_file,
                refresh_token_file,
                scope,
            } => Self {
                user,
                token_url: Some(token_url),
                client_id: Some(client_id),
                client_secret_file,
                refresh_token_file: Some(refresh_token_file),
                scope,
            },
            Grant::Command(_) | Grant::ClientCredentials { .. } => Self {
                user,
                ..Self::default()
            },
        }
    }
}
