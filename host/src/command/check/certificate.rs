//! Whether certificate and key can be read, fit together, and will be believed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::config::{Finding, Level, Loaded, TlsFiles};

/// Renewals come at a third of a certificate's life, and short ones live for 45 days.
const SOON: Duration = Duration::from_hours(14 * 24);

const CERTIFICATE: &str = "tls.certificate";
const KEY: &str = "tls.key";

/// Adds what is wrong with the files.
pub(super) fn examine(
    loaded: &Loaded,
    files: &TlsFiles,
    hostname: &str,
    now: SystemTime,
    findings: &mut Vec<Finding>,
) {
    let mut found =
        |level, key: &str, text: String| findings.push(loaded.finding(level, key, text));
    let certificate = match certificate(files) {
        Ok(certificate) => Some(certificate),
        Err(why) => {
            found(Level::Error, CERTIFICATE, why);
            None
        }
    };
    let key = match key(files) {
        Ok(key) => Some(key),
        Err(why) => {
            found(Level::Error, KEY, why);
            None
        }
    };
    if let Ok(metadata) = fs::metadata(&files.key)
        && metadata.permissions().mode() & 0o007 != 0
    {
        let text = format!(
            "everybody on this host can read {}; chmod o= it",
            files.key.display()
        );
        found(Level::Warning, KEY, text);
    }
    let Some(der) = certificate else { return };
    let parsed = match X509Certificate::from_der(&der) {
        Ok((_, parsed)) => parsed,
        Err(error) => {
            let text = format!(
                "cannot read the certificate in {}: {error}",
                files.certificate.display()
            );
            found(Level::Error, CERTIFICATE, text);
            return;
        }
    };
    if let Some(public) = key
        .and_then(|key| any_supported_type(&key).ok())
        .as_ref()
        .and_then(|k| k.public_key())
        && public.as_ref() != parsed.public_key().raw
    {
        let text = format!(
            "{} is not the key of the certificate in {}; name the one that it was made with",
            files.key.display(),
            files.certificate.display()
        );
        found(Level::Error, KEY, text);
    }
    validity(&parsed, now, &mut found);
    let name = ServerName::try_from(hostname);
    if let (Ok(name), Ok(parsed)) = (name, ParsedCertificate::try_from(&der))
        && verify_server_name(&parsed, &name).is_err()
    {
        let text = format!("is not for {hostname}: clients that connect to that name refuse it");
        found(Level::Warning, CERTIFICATE, text);
    }
}

/// The first certificate of the file, the server's own.
fn certificate(files: &TlsFiles) -> Result<CertificateDer<'static>, String> {
    let path = files.certificate.display();
    let octets =
        fs::read(&files.certificate).map_err(|error| format!("cannot read {path}: {error}"))?;
    match CertificateDer::pem_slice_iter(&octets).next() {
        Some(Ok(certificate)) => Ok(certificate),
        Some(Err(error)) => Err(format!("{path} is broken: {error}")),
        None => Err(format!(
            "there is no certificate in {path}; it must be PEM (BEGIN CERTIFICATE)"
        )),
    }
}

fn key(files: &TlsFiles) -> Result<PrivateKeyDer<'static>, String> {
    let path = files.key.display();
    let octets = zeroize::Zeroizing::new(
        fs::read(&files.key).map_err(|error| format!("cannot read {path}: {error}"))?,
    );
    let key = PrivateKeyDer::from_pem_slice(&octets).map_err(|_| {
        format!(
            "there is no private key in {path}; it must be PEM, PKCS#8, PKCS#1 or SEC1, unencrypted"
        )
    })?;
    match any_supported_type(&key) {
        Ok(_) => Ok(key),
        Err(error) => Err(format!(
            "the key in {path} cannot be used: {error}; use RSA, ECDSA or Ed25519"
        )),
    }
}

fn validity(
    certificate: &X509Certificate<'_>,
    now: SystemTime,
    found: &mut dyn FnMut(Level, &str, String),
) {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |span| span.as_secs());
    let now = i64::try_from(seconds).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    let (from, until) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let shown = |at: i64| {
        let at = u64::try_from(at).unwrap_or_default();
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at)).to_string()
    };
    if now > until {
        found(
            Level::Error,
            CERTIFICATE,
            format!("has been out of date since {}; renew it", shown(until)),
        );
    } else if now < from {
        let text = format!(
            "is not valid before {}; wait, or set the clock",
            shown(from)
        );
        found(Level::Error, CERTIFICATE, text);
    } else if u64::try_from(until - now).is_ok_and(|left| left < SOON.as_secs()) {
        let text = format!("is valid only until {}; renew it", shown(until));
        found(Level::Warning, CERTIFICATE, text);
    }
}
