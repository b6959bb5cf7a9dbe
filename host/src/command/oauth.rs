//! `pillarbox oauth login|token`: access tokens for servers that want them.
//!
//! ```text
//!   login       a first refresh token: a person logs in with a browser
//!   request     of whom it is asked, from arguments and a route
//! ```

mod login;
mod request;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::{failed, small_runtime};
use crate::config::{Config, Secret, USUAL_PLACE};
use crate::oauth::{Options, Settings, Token, Tokens};
use clap::Subcommand;
use secrecy::ExposeSecret;

/// Wrong usage.
const USAGE: u8 = 2;

/// Arguments of `oauth`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Get a refresh token: a person logs in with a browser and allows it.
    Login(Box<request::Arguments>),
    /// Fetch an access token as the service does, and tell all about it but the token.
    Token {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = USUAL_PLACE)]
        config: PathBuf,
        /// The route whose server wants it. May be left out if only one does.
        #[arg(long, value_name = "NAME")]
        route: Option<String>,
    },
}

/// Why it failed.
#[derive(Debug)]
enum Refusal {
    /// The arguments.
    Usage(String),
    /// The world.
    Failed(String),
}

impl From<crate::oauth::OauthError> for Refusal {
    fn from(error: crate::oauth::OauthError) -> Self {
        Self::Failed(error.line())
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.verb {
        Verb::Login(arguments) => login::run(arguments),
        Verb::Token { config, route } => token(config, route.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal::Usage(text)) => {
            eprintln!("pillarbox: {text}");
            ExitCode::from(USAGE)
        }
        Err(Refusal::Failed(text)) => failed(text),
    }
}

fn token(config: &Path, route: Option<&str>) -> Result<(), Refusal> {
    let config = load(config)?;
    let settings = of_route(&config, route, |_| true)?;
    let runtime = small_runtime()
        .map_err(|error| Refusal::Failed(format!("cannot start a runtime: {error}")))?;
    let options = Options {
        show_command: true,
        ..Options::default()
    };
    let tokens = Tokens::with(settings.clone(), options);
    let token = runtime
        .block_on(tokens.token())
        .map_err(|error| Refusal::Failed(error.line()))?;
    println!("{}", shown(&settings, &token));
    if token.unsaved {
        return Err(Refusal::Failed(
            "the token server replaced the refresh token, and the new one could not be written: \
             run this as an account that can write its file; if the old one is refused from now \
             on, run `pillarbox oauth login`"
                .into(),
        ));
    }
    Ok(())
}

/// All about a token but the token.
fn shown(settings: &Settings, token: &Token) -> String {
    let mut text = format!(
        "{}: a token of {} octets from {}, good for {}",
        settings.user,
        token.secret.expose_secret().len(),
        settings.grant,
        span(token.life)
    );
    if token.assumed {
        text.push_str(" (assumed: its source does not tell)");
    }
    if let Some(scope) = &token.scope {
        text.push_str(&format!(", scope {scope}"));
    }
    text
}

/// A time for a person, in whole seconds.
fn span(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

fn load(path: &Path) -> Result<Config, Refusal> {
    let loaded = Config::load(path);
    let errors: Vec<String> = loaded
        .errors()
        .map(|error| format!("\n  {error}"))
        .collect();
    loaded.config.ok_or_else(|| {
        Refusal::Failed(format!(
            "the configuration cannot be used, nothing was done:{}",
            errors.concat()
        ))
    })
}

/// The tokens of a route: of the one with this name, or of the only one that has `suitable` ones.
fn of_route(
    config: &Config,
    name: Option<&str>,
    suitable: impl Fn(&Settings) -> bool,
) -> Result<Settings, Refusal> {
    let file = config.file.display();
    let with_tokens: Vec<(&str, Settings)> = config
        .routes
        .iter()
        .filter_map(|route| {
            let auth = route.auth.as_ref()?;
            let Secret::Token(grant) = &auth.secret else {
                return None;
            };
            let settings = Settings {
                user: auth.user.clone(),
                grant: grant.clone(),
            };
            suitable(&settings).then_some((route.name.as_str(), settings))
        })
        .collect();
    let names = || {
        let names: Vec<&str> = with_tokens.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let Some(wanted) = name else {
        let mut different: Vec<&Settings> = Vec::new();
        for (_, settings) in &with_tokens {
            if !different.contains(&settings) {
                different.push(settings);
            }
        }
        return match different[..] {
            [] => Err(Refusal::Failed(format!(
                "no route in {file} has such tokens; add auth with token-url or token-command"
            ))),
            [only] => Ok(only.clone()),
            _ => Err(Refusal::Usage(format!(
                "several routes in {file} have tokens; say which by --route: {}",
                names()
            ))),
        };
    };
    let found = with_tokens.iter().find(|(name, _)| *name == wanted);
    match found {
        Some((_, settings)) => Ok(settings.clone()),
        None if config.routes.iter().any(|route| route.name == wanted) => {
            Err(Refusal::Usage(format!(
                "the route {wanted} in {file} has no such tokens; those that have some: {}",
                or_none(names())
            )))
        }
        None => Err(Refusal::Usage(format!(
            "there is no route {wanted} in {file}; those with tokens: {}",
            or_none(names())
        ))),
    }
}

fn or_none(names: String) -> String {
    if names.is_empty() {
        "none".into()
    } else {
        names
    }
}

#[cfg(test)]
#[path = "oauth/tests.rs"]
mod tests;
