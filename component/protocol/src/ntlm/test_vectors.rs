//! Messages and values that others published or computed: [MS-NLMP] section 4.2.4, and the
//! exchange of our own in the protocol profile, section 2.7.

use crate::smtp::base64;
use alloc::vec::Vec;

pub const SERVER_CHALLENGE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF];
pub const NT_PROOF: [u8; 16] = 0x68cd_0ab8_51e5_1c96_aabc_927b_ebef_6a1c_u128.to_be_bytes();
pub const ENCRYPTED_SESSION_KEY: [u8; 16] =
    0xc5da_d254_4fc9_7990_94ce_1ce9_0bc9_d03e_u128.to_be_bytes();
pub const OWN_PROOF: [u8; 16] = 0x6bd3_a28c_6022_fa7e_f4cf_a0d5_5fa4_169d_u128.to_be_bytes();
pub const OWN_BINDINGS: [u8; 16] = 0x8f12_14c9_c9ca_b8dc_3bf8_66da_9aba_57a7_u128.to_be_bytes();
pub const OWN_MIC: [u8; 16] = 0x31f8_8374_0273_d6b7_30c5_9951_e146_7bb2_u128.to_be_bytes();

/// The octets of hex digits, spaces ignored.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|octet| *octet != b' ').collect();
    let (pairs, []) = digits.as_chunks::<2>() else {
        panic!("an odd number of digits");
    };
    pairs
        .iter()
        .map(|pair| {
            let pair = core::str::from_utf8(pair).expect("ascii");
            u8::from_str_radix(pair, 16).expect("hex digits")
        })
        .collect()
}

/// [MS-NLMP] section 4.2.4.3.
pub fn published_challenge() -> Vec<u8> {
    hex(concat!(
        "4e544c4d53535000 02000000 0c000c0038000000 33828ae2 0123456789abcdef 0000000000000000",
        "2400240044000000 060070170000000f 530065007200760065007200",
        "02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000",
    ))
}

/// [MS-NLMP] section 4.2.4.3: user User, domain Domain, password Password, key exchange.
pub fn published_authenticate() -> Vec<u8> {
    hex(concat!(
        "4e544c4d53535000 03000000 180018006c000000 5400540084000000 0c000c0048000000",
        "0800080054000000 100010005c000000 10001000d8000000 358288e2 0501280a0000000f",
        "44006f006d00610069006e00 5500730065007200 43004f004d00500055005400450052 00",
        "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa",
        "68cd0ab851e51c96aabc927bebef6a1c 0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000",
        "02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000 00000000",
        "c5dad2544fc9799094ce1ce90bc9d03e",
    ))
}

fn octets(text: &str) -> Vec<u8> {
    base64::decode(text.as_bytes()).expect("base64")
}

/// Our own NEGOTIATE.
pub fn negotiate() -> Vec<u8> {
    octets("TlRMTVNTUAABAAAABYIIoAAAAAAAAAAAAAAAAAAAAAA=")
}

/// Our own CHALLENGE: server mail.example.org, NetBIOS Domain and MAIL.
pub fn challenge() -> Vec<u8> {
    octets(concat!(
        "TlRMTVNTUAACAAAACAAIADgAAAAFgoqgASNFZ4mrze8AAAAAAAAAAGoAagBAAAAAAAAAAAAAAABNAEEASQBMAAIA",
        "DABEAG8AbQBhAGkAbgABAAgATQBBAEkATAAEABYAZQB4AGEAbQBwAGwAZQAuAG8AcgBnAAMAIABtAGEAaQBsAC4A",
        "ZQB4AGEAbQBwAGwAZQAuAG8AcgBnAAcACAAAAAAAAADZAQAAAAA=",
    ))
}

/// Our own AUTHENTICATE: user User, domain Domain, password Password, workstation COPIER, with
/// MIC, and bound to a certificate with the hash 00 01 ... 1f.
pub fn authenticate() -> Vec<u8> {
    octets(concat!(
        "TlRMTVNTUAADAAAAGAAYAHgAAADkAOQAkAAAAAwADABYAAAACAAIAGQAAAAMAAwAbAAAAAAAAAB0AQAABYKIoAAA",
        "AAAAAAAAMfiDdAJz1rcwxZlR4UZ7skQAbwBtAGEAaQBuAFUAcwBlAHIAQwBPAFAASQBFAFIAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAa9OijGAi+n70z6DVX6QWnQEBAAAAAAAAAAAAAAAA2QGqqqqqqqqqqgAAAAACAAwARABvAG0A",
        "YQBpAG4AAQAIAE0AQQBJAEwABAAWAGUAeABhAG0AcABsAGUALgBvAHIAZwADACAAbQBhAGkAbAAuAGUAeABhAG0A",
        "cABsAGUALgBvAHIAZwAHAAgAAAAAAAAA2QEGAAQAAgAAAAoAEACPEhTJycq43Dv4ZtqaulenCQAqAHMAbQB0AHAA",
        "LwBtAGEAaQBsAC4AZQB4AGEAbQBwAGwAZQAuAG8AcgBnAAAAAAAAAAAA",
    ))
}

/// An exchange of pyspnego 0.12 with our CHALLENGE: user EXAMPLE\\jürgen, password Pässword, key
/// exchange, MIC, bound to a certificate with the hash 00 01 ... 1f.
pub fn pyspnego() -> [Vec<u8>; 3] {
    [
        octets("TlRMTVNTUAABAAAAN4II4gAAAAAoAAAAAAAAACgAAAAADAQAAAAADw=="),
        octets(concat!(
            "TlRMTVNTUAACAAAACAAIADgAAAAVgorigVMKLC2V3DYAAAAAAAAAAGwAbABAAAAABgEAAAAAAA9NAEEASQBMAAIA",
            "DgBFAFgAQQBNAFAATABFAAEACABNAEEASQBMAAQAFgBlAHgAYQBtAHAAbABlAC4AbwByAGcAAwAgAG0AYQBpAGwA",
            "LgBlAHgAYQBtAHAAbABlAC4AbwByAGcABwAIAPA980x9fN0BAAAAAA==",
        )),
        octets(concat!(
            "TlRMTVNTUAADAAAAGAAYAFgAAADmAOYAcAAAAA4ADgBWAQAADAAMAGQBAAAEAAQAcAEAABAAEAB0AQAAFYKK4gAM",
            "BAAAAAAPokVRKHaK6ko2OM3D5gIGwQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAep/9gjoj3cF3DYwB2U7q0BAQAA",
            "AAAAAPA980x9fN0B5aSZT7xFaMYAAAAAAgAOAEUAWABBAE0AUABMAEUAAQAIAE0AQQBJAEwABAAWAGUAeABhAG0A",
            "cABsAGUALgBvAHIAZwADACAAbQBhAGkAbAAuAGUAeABhAG0AcABsAGUALgBvAHIAZwAHAAgA8D3zTH183QEKABAA",
            "jxIUycnKuNw7+GbamrpXpwkAKgBzAG0AdABwAC8AbQBhAGkAbAAuAGUAeABhAG0AcABsAGUALgBvAHIAZwAGAAQA",
            "AgAAAAAAAAAAAAAARQBYAEEATQBQAEwARQBqAPwAcgBnAGUAbgBWAE0AF0yEo7yh+2ZNL2YKXQIpaA==",
        )),
    ]
}
