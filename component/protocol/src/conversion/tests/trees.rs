//! Random messages: decoding what comes out gives what went in, however it is cut.

use super::super::Target;
use super::{convert, decode::leaves, survey};
use crate::content::scanner::Scanner;
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Tree {
    Leaf {
        header: &'static str,
        body: Vec<u8>,
    },
    Multipart {
        subtype: &'static str,
        preamble: &'static str,
        parts: Vec<Tree>,
        epilogue: &'static str,
    },
    Message(&'static str, Box<Tree>),
}

/// Fields of a leaf; what they say need not be true.
const HEADERS: &[&str] = &[
    "",
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
    "Content-Transfer-Encoding: binary\r\nContent-Type: text/html;\r\n charset=iso-8859-1\r\n",
    "Content-Type: image/png; name=x\r\nContent-Transfer-Encoding: BINARY\r\nX-Other: y\r\n",
    "Content-Type: application/octet-stream\r\n",
    "X-Only: this\r\nContent-Transfer-Encoding: 7bit\r\n",
];

/// What bodies are made of.
const PIECES: &[&[u8]] = &[
    b"text",
    b" ",
    b"\t",
    b"=",
    b"--",
    b"-",
    b".",
    b"\r\n",
    b"\r\n",
    b"caf\xc3\xa9",
    b"\xff\xfe",
    b"From here",
    b"0123456789012345678901234567890123456789012345678901234567890123456789",
];
/// The same for binary content.
const BINARY: &[&[u8]] = &[b"\0", b"\r", b"\n", b"\r\r\n", b"\xff", b"text", b"\r\n"];

/// Structure without any sense.
const SOUP: &[&[u8]] = &[
    b"Content-Type: multipart/mixed; boundary=a\r\n",
    b"Content-Type: multipart/digest; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: 8bit\r\n",
    b"--a",
    b"--b",
    b"--",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"\xe9",
    b"text: ",
    b" ",
];

fn body(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(pieces), 0..20)
        .prop_map(|parts| parts.concat())
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = (
        proptest::sample::select(HEADERS),
        prop_oneof![3 => body(PIECES), 1 => body(BINARY), 1 => Just(vec![b'z'; 2_000])],
    )
        .prop_map(|(header, body)| Tree::Leaf { header, body });
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (
                proptest::sample::select(&["mixed", "alternative", "related"][..]),
                proptest::sample::select(&["", "For old readers.\r\n"][..]),
                proptest::collection::vec(inner.clone(), 1..4),
                proptest::sample::select(&["", "\r\n", "The end.\r\n"][..]),
            )
                .prop_map(|(subtype, preamble, parts, epilogue)| Tree::Multipart {
                    subtype,
                    preamble,
                    parts,
                    epilogue
                }),
            (
                proptest::sample::select(&["7bit", "8bit", "binary"][..]),
                inner
            )
                .prop_map(|(label, inner)| Tree::Message(label, Box::new(inner))),
        ]
    })
}

/// The tree as a message or a part; `count` makes boundaries differ.
fn render(tree: &Tree, count: &mut u32, out: &mut Vec<u8>) {
    match tree {
        Tree::Leaf { header, body } => {
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(body);
        }
        Tree::Multipart {
            subtype,
            preamble,
            parts,
            epilogue,
        } => {
            *count += 1;
            let boundary = format!("=_{count}_");
            out.extend(
                format!("Content-Type: multipart/{subtype}; boundary=\"{boundary}\"\r\n\r\n")
                    .into_bytes(),
            );
            out.extend_from_slice(preamble.as_bytes());
            for part in parts {
                out.extend(format!("--{boundary}\r\n").into_bytes());
                render(part, count, out);
                out.extend_from_slice(b"\r\n");
            }
            out.extend(format!("--{boundary}--\r\n").into_bytes());
            out.extend_from_slice(epilogue.as_bytes());
        }
        Tree::Message(label, inner) => {
            let header = format!(
                "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {label}\r\n\r\n\
                 Subject: inner\r\n"
            );
            out.extend(header.into_bytes());
            render(inner, count, out);
        }
    }
}

/// Fields and body, without what conversion adds where nobody said what it is.
fn essence(message: &[u8]) -> Vec<(Vec<String>, Vec<u8>)> {
    leaves(message)
        .into_iter()
        .map(|mut leaf| {
            leaf.fields.retain(|field| !field.contains("unknown-8bit"));
            (leaf.fields, leaf.body)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn cl_8bit_decoding_gives_the_octets_that_were_there(
        tree in tree(),
        size in 1_usize..200,
        eight_bit in any::<bool>(),
    ) {
        let target = if eight_bit { Target::EightBit } else { Target::SevenBit };
        let mut message = b"From: a@example.org\r\nMIME-Version: 1.0\r\n".to_vec();
        render(&tree, &mut 0, &mut message);
        let converted = convert(&message, target, 65_536);
        prop_assert_eq!(&convert(&message, target, size), &converted);
        let converted = converted.unwrap();
        // The server can take it.
        let mut scanner = Scanner::new();
        scanner.take(&converted);
        let facts = scanner.finish();
        prop_assert!(!facts.binary && !facts.bare);
        prop_assert!(eight_bit || converted.is_ascii());
        // And finds in it what was there.
        prop_assert_eq!(essence(&converted), essence(&message));
        // What need not change has not.
        for (before, after) in core::iter::zip(leaves(&message), leaves(&converted)) {
            let mut scanner = Scanner::new();
            scanner.take(b"\r\n");
            scanner.take(&before.raw);
            let facts = scanner.finish();
            if !facts.binary && !facts.bare && (eight_bit || !facts.body_eight_bit) {
                prop_assert_eq!(before.raw, after.raw);
            }
        }
        // Once is enough.
        prop_assert_eq!(&convert(&converted, target, 65_536), &Ok(converted.clone()));
    }

    #[test]
    fn cl_8bit_no_octets_do_harm(
        pieces in proptest::collection::vec(proptest::sample::select(SOUP), 0..40),
        size in 1_usize..50,
    ) {
        let message = pieces.concat();
        let converted = convert(&message, Target::SevenBit, 65_536);
        prop_assert_eq!(&convert(&message, Target::SevenBit, size), &converted);
        prop_assert_eq!(
            survey(&message, Target::SevenBit, size).is_ok(),
            converted.is_ok()
        );
        if let Ok(converted) = converted {
            let mut scanner = Scanner::new();
            scanner.take(&converted);
            let facts = scanner.finish();
            prop_assert!(converted.is_ascii() && !facts.binary && !facts.bare);
            prop_assert_eq!(&convert(&converted, Target::SevenBit, size), &Ok(converted.clone()));
        }
    }
}
