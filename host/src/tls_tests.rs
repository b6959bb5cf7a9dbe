//! Certificates and channel binding by behaviour.

use super::*;

#[test]
fn a_self_signed_certificate_is_made_once_and_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = self_signed("mail.example.org", folder.path()).unwrap();
    let first = fs::read(&certificate).unwrap();
    let mode = fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    self_signed("mail.example.org", folder.path()).unwrap();
    assert_eq!(fs::read(&certificate).unwrap(), first);
    let certificates = Certificates::load(&certificate, &key).unwrap();
    // ecdsa-with-SHA256: 32 octets.
    assert_eq!(
        certificates
            .current()
            .server_end_point
            .as_ref()
            .map(Vec::len),
        Some(32)
    );
    assert!(!certificates.refresh().unwrap());
}

#[test]
fn an_error_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.pem");
    let error = read_chain(&path).unwrap_err().to_string();
    assert!(error.contains("none.pem"), "{error}");
    fs::write(&path, "nothing").unwrap();
    for error in [
        read_chain(&path).unwrap_err().to_string(),
        read_key(&path).unwrap_err().to_string(),
    ] {
        assert!(error.contains("none.pem"), "{error}");
    }
}

/// A certificate by a key of this algorithm; its DER.
fn signed_with(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let params = rcgen::CertificateParams::new(vec!["mail.example.org".to_owned()]).unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn r5929_4_the_hash_is_that_of_the_certificates_signature() {
    let der = signed_with(&rcgen::PKCS_ECDSA_P256_SHA256);
    assert_eq!(end_point(&der), Some(Sha256::digest(&der).to_vec()));
    let der = signed_with(&rcgen::PKCS_ECDSA_P384_SHA384);
    assert_eq!(end_point(&der), Some(Sha384::digest(&der).to_vec()));
    // Ed25519 names no hash.
    assert_eq!(end_point(&signed_with(&rcgen::PKCS_ED25519)), None);
    assert_eq!(end_point(b"nothing"), None);
}

#[test]
fn r5929_4_md5_and_sha_1_become_sha_256() {
    let der = signed_with(&rcgen::PKCS_RSA_SHA256);
    // sha256WithRSAEncryption is 1.2.840.113549.1.1.11; the hashes differ in the last number (RFC 8017
    // appendix A.2.4). The signature itself is not looked at.
    let oid = |last: u8| [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last];
    let with = |last: u8| replaced(&der, &oid(11), &oid(last));
    for (last, expected) in [
        (4, Sha256::digest(with(4)).to_vec()),
        (5, Sha256::digest(with(5)).to_vec()),
        (11, Sha256::digest(&der).to_vec()),
        (12, Sha384::digest(with(12)).to_vec()),
        (13, Sha512::digest(with(13)).to_vec()),
        (14, Sha224::digest(with(14)).to_vec()),
    ] {
        assert_eq!(end_point(&with(last)), Some(expected), "{last}");
    }
}

/// RSASSA-PSS with SHA-384, by OpenSSL.
const PSS: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIICfDCCAbGgAwIBAgIUH879wjOBJpaLnnBdbZnRDrJDlc0wQQYJKoZIhvcNAQEK\n\
MDSgDzANBglghkgBZQMEAgIFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgIF\n\
AKIDAgEwMBsxGTAXBgNVBAMMEG1haWwuZXhhbXBsZS5vcmcwIBcNMjYxMTI1MTAw\n\
MDE3WhgPMjEyNjExMDExMDAwMTdaMBsxGTAXBgNVBAMMEG1haWwuZXhhbXBsZS5v\n\
cmcwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAM5frOd7UxyPhHSET9XYwMu2\n\
rQLWd7JE9ZE+XrTnz9MXWlzwIRBcuqVRlyEAyUGJP3eDJXvhdHd/Gr4oUZVs+ynl\n\
UO5VYt0pKM4xEmVJSXKw5Q/JLnLjh7E3TQAG+yRrf0LnUAdFq/wF7t4d94WC7YYa\n\
Mr7GdruUqarIq0fsMgOBAgMBAAGjUzBRMB0GA1UdDgQWBBSI9cNq6tICco0rwRbS\n\
6BI5GymlPzAfBgNVHSMEGDAWgBSI9cNq6tICco0rwRbS6BI5GymlPzAPBgNVHRMB\n\
Af8EBTADAQH/MEEGCSqGSIb3DQEBCjA0oA8wDQYJYIZIAWUDBAICBQChHDAaBgkq\n\
hkiG9w0BAQgwDQYJYIZIAWUDBAICBQCiAwIBMAOBgQDIJ02T+dbbtKfzauSXtDKG\n\
xx1UmiTiOUtv1ZTcBkdWSwBgC7pOSmxC85Wkv/yBE6gdyslOLcOBeCjrrm7zhaO+\n\
zshbHJEm9qQboafM98SexzJsZXjj8lvYv931uXALjtATuzg64mK+aj8xH+b6Dh4t\n\
mpYdOGvsQQ/KjMVArMHObw==\n\
-----END CERTIFICATE-----";

#[test]
fn r5929_4_the_hash_of_rsassa_pss_is_among_its_parameters() {
    let der = CertificateDer::from_pem_slice(PSS.as_bytes()).unwrap();
    assert_eq!(end_point(&der), Some(Sha384::digest(&der).to_vec()));
}

fn replaced(octets: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut changed = octets.to_vec();
    let mut at = 0;
    while at + old.len() <= changed.len() {
        if changed[at..].starts_with(old) {
            changed[at..at + old.len()].copy_from_slice(new);
        }
        at += 1;
    }
    changed
}

/// A certificate of its own for `mail.example.org`, in files.
fn pair(folder: &Path) -> Certificates {
    let (certificate, key) = self_signed("mail.example.org", folder).unwrap();
    Certificates::load(&certificate, &key).unwrap()
}

/// A handshake in memory, and the facts of both ends.
fn shake(
    server: &Arc<ServerConfig>,
    versions: &[&'static SupportedProtocolVersion],
    trusted: &Path,
) -> Result<(ServerConnection, rustls::ClientConnection), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(trusted).unwrap() {
        roots.add(certificate)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "mail.example.org".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut octets = Vec::new();
        client.write_tls(&mut octets).unwrap();
        server.read_tls(&mut octets.as_slice()).unwrap();
        server.process_new_packets()?;
        octets.clear();
        server.write_tls(&mut octets).unwrap();
        client.read_tls(&mut octets.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok((server, client))
}

#[test]
fn r9266_2_both_ends_export_the_same_32_octets_under_tls_1_3() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = pair(folder.path());
    let identity = certificates.current();
    let trusted = folder.path().join("mail.example.org.cert.pem");
    let (server, client) = shake(&identity.config, &[&TLS13], &trusted).unwrap();
    let (here, there) = (
        server_facts(&server, &identity),
        client_facts(&client, true),
    );
    assert_eq!(here.exporter.as_ref().map(Vec::len), Some(32));
    assert_eq!(here.exporter, there.exporter);
    // R5929-4: the client hashes what it was shown.
    assert!(here.server_end_point.is_some());
    assert_eq!(here.server_end_point, there.server_end_point);
    assert_eq!((&*here.version, here.verified), ("TLSv1.3", false));

    // Under TLS 1.2 it would need the extended master secret (RFC 9266 section 4.2), of which nothing
    // is known here.
    let (server, _) = shake(&identity.config, &[&TLS12], &trusted).unwrap();
    let facts = server_facts(&server, &identity);
    assert_eq!((&*facts.version, facts.exporter), ("TLSv1.2", None));
    assert!(facts.server_end_point.is_some());
}

#[test]
fn r8314_4_1_nothing_before_tls_1_2_is_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = pair(folder.path());
    // A ClientHello of TLS 1.1 (RFC 4346 section 7.4.1.2): version 3.2, a random, no session,
    // TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    let hello = [&[3, 2], &[7; 32][..], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let length = u8::try_from(hello.len()).unwrap();
    let record = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], &*hello].concat();
    let mut server = ServerConnection::new(Arc::clone(&certificates.current().config)).unwrap();
    server.read_tls(&mut record.as_slice()).unwrap();
    let refused = server.process_new_packets().unwrap_err();
    assert!(
        matches!(refused, rustls::Error::PeerIncompatible(_)),
        "{refused}"
    );
    let mut alert = Vec::new();
    server.write_tls(&mut alert).unwrap();
    // RFC 5246 section 7.2: an alert, fatal.
    assert_eq!((alert[0], alert[5]), (21, 2));
}

#[test]
fn client_authorities_are_reloaded_and_must_be_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = self_signed("mail.example.org", folder.path()).unwrap();
    let authorities = folder.path().join("ca.pem");
    let load = || Certificates::load_with(&certificate, &key, vec![authorities.clone()]);
    let Err(missing) = load() else {
        panic!("there is no file")
    };
    assert!(missing.to_string().contains("ca.pem"), "{missing}");
    fs::copy(&certificate, &authorities).unwrap();
    let certificates = load().unwrap();
    let before = certificates.current();
    assert!(before.config(Some(&authorities)).is_some());
    assert!(before.config(Some(&certificate)).is_none());
    assert!(before.config(None).is_some());
    let later = SystemTime::now() + std::time::Duration::from_secs(5);
    let touch = || fs::File::open(&authorities).unwrap().set_modified(later);
    fs::write(&authorities, "nothing").unwrap();
    touch().unwrap();
    assert!(certificates.refresh().is_err());
    assert!(Arc::ptr_eq(&certificates.current(), &before));
    fs::copy(&certificate, &authorities).unwrap();
    assert!(certificates.refresh().unwrap());
    assert!(!Arc::ptr_eq(&certificates.current(), &before));
}
