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
