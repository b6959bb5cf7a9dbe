//! Domains in ASCII for servers without SMTPUTF8: U-labels become A-labels (RFC 5890 section
//! 2.3.2.1, by the encoding of RFC 3492).
//!
//! A U-label in a mailbox is lower case and normalized already (RFC 5891 section 4.2); upper case
//! is mapped (RFC 5895 section 2), nothing else.

use alloc::{string::String, vec::Vec};

/// Octets of a label at most (RFC 1035 section 2.3.4).
const MOST_LABEL: usize = 63;

/// The domain with each label in ASCII, or `None` where one becomes too long.
pub fn domain(name: &str) -> Option<String> {
    let labels: Option<Vec<String>> = name.split('.').map(label).collect();
    Some(labels?.join("."))
}

fn label(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.into());
    }
    let characters: Vec<u32> = label
        .chars()
        .flat_map(char::to_lowercase)
        .map(u32::from)
        .collect();
    let mut out = String::from("xn--");
    encode(&characters, &mut out)?;
    (out.len() <= MOST_LABEL).then_some(out)
}

// RFC 3492 section 5: the parameters of Punycode.
const BASE: u32 = 36;
const TMIN: u32 = 1;
const TMAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

/// RFC 3492 section 6.3. `None` on overflow.
fn encode(characters: &[u32], out: &mut String) -> Option<()> {
    let basic: String = characters
        .iter()
        .filter(|&&character| character < INITIAL_N)
        .filter_map(|&character| char::from_u32(character))
        .collect();
    out.push_str(&basic);
    let basic = u32::try_from(basic.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let length = u32::try_from(characters.len()).ok()?;
    let (mut n, mut delta, mut bias, mut handled) = (INITIAL_N, 0u32, INITIAL_BIAS, basic);
    while handled < length {
        let next = characters.iter().copied().filter(|&c| c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for &character in characters {
            if character < n {
                delta = delta.checked_add(1)?;
            }
            if character == n {
                variable_length(delta, bias, out);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(())
}

fn variable_length(mut q: u32, bias: u32, out: &mut String) {
    let mut k = BASE;
    loop {
        let threshold = k.saturating_sub(bias).clamp(TMIN, TMAX);
        if q < threshold {
            return out.push(digit(q));
        }
        out.push(digit(threshold + (q - threshold) % (BASE - threshold)));
        q = (q - threshold) / (BASE - threshold);
        k += BASE;
    }
}

/// RFC 3492 section 6.1.
fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > (BASE - TMIN) * TMAX / 2 {
        delta /= BASE - TMIN;
        k += BASE;
    }
    k + (BASE - TMIN + 1) * delta / (delta + SKEW)
}

/// RFC 3492 section 5: 0 to 25 are a to z, 26 to 35 are 0 to 9.
fn digit(value: u32) -> char {
    let value = u8::try_from(value).unwrap_or(0);
    char::from(if value < 26 {
        b'a' + value
    } else {
        b'0' + (value - 26)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Known pairs: RFC 3492 section 7.1 (B, I in lower case, L), IANA's test domain, common names.
    // R6531-3.7.1
    #[test]
    fn cl_utf8_a_domain_becomes_a_labels() {
        for (name, ascii) in [
            ("example.org", "example.org"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("m\u{fc}nchen.de", "xn--mnchen-3ya.de"),
            ("M\u{dc}NCHEN.de", "xn--mnchen-3ya.de"),
            (
                "\u{4ed6}\u{4eec}\u{4e3a}\u{4ec0}\u{4e48}\u{4e0d}\u{8bf4}\u{4e2d}\u{6587}",
                "xn--ihqwcrb4cv8a8dqg056pqjye",
            ),
            (
                "3\u{5e74}b\u{7d44}\u{91d1}\u{516b}\u{5148}\u{751f}",
                "xn--3b-ww4c5e180e575a65lsy2b",
            ),
            (
                "\u{4f8b}\u{5b50}.\u{6d4b}\u{8bd5}",
                "xn--fsqu00a.xn--0zwm56d",
            ),
        ] {
            assert_eq!(domain(name).as_deref(), Some(ascii), "{name}");
        }
    }

    #[test]
    fn cl_utf8_a_label_that_becomes_too_long_is_none() {
        assert_eq!(domain(&"\u{fc}".repeat(100)), None);
        assert_eq!(domain(&"a\u{fc}".repeat(31)), None);
    }
}
