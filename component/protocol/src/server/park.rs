//! `park` and `revive`: a waiting session as some hundred octets, so that it holds no sandbox.
//!
//! Settings, the peer, the TLS layer and the identity are not among them: the host gives them
//! again, as it knows them. Content, chunks of it and open questions are not parked.

use super::{
    Session,
    bdat::Refused,
    known::{Greeted, Known},
    settings,
    state::{State, Transaction},
};
use crate::{
    contract::{
        BodyType, DeliverBy, Dismissal, DsnReturn, Fault, ForwardPath, MOST_PARKED, Notify, Reply,
        ReversePathParameters, TlsFacts,
        server::{Peer, Settings},
    },
    parked::{Reader, Writer},
    sasl::ServerExchange,
};
use alloc::{boxed::Box, string::String, vec, vec::Vec};

/// First octet of a parked session; another one is another form.
const FORM: u8 = 1;

impl Session {
    /// Everything that the session knows, as at most [`MOST_PARKED`] octets; none while content or
    /// a question is open, or where it takes more.
    pub fn park(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new();
        writer.u8(FORM);
        write_known(&self.known, &mut writer);
        match &self.state {
            State::Greeting => writer.u8(0),
            State::Unwelcome => writer.u8(1),
            State::Command => writer.u8(2),
            State::Transaction(transaction) => {
                writer.u8(3);
                write_transaction(transaction, &mut writer);
            }
            State::Authentication(exchange) => {
                writer.u8(4);
                exchange.write(&mut writer);
            }
            State::Handshake => writer.u8(5),
            State::Refused(refused) => {
                writer.u8(6);
                write_refused(refused, &mut writer);
            }
            State::Failed => writer.u8(7),
            State::Content(_)
            | State::Chunks(_)
            | State::Chunk(_)
            | State::Passing(_)
            | State::Answer(_)
            | State::Closed => return None,
        }
        let parked = writer.finish();
        (parked.len() <= MOST_PARKED).then_some(parked)
    }

    /// The session again. The host says what TLS and the identity are.
    ///
    /// # Errors
    ///
    /// As `start`; and octets that no session parked.
    pub fn revive(
        settings: Settings,
        peer: Peer,
        facts: Option<TlsFacts>,
        identity: Option<String>,
        parked: &[u8],
    ) -> Result<Self, Fault> {
        settings::check(&settings, &peer)?;
        let mut known = Known::new(settings, peer, facts, identity);
        let mut reader = Reader::new(parked);
        let state = read(&mut known, &mut reader)
            .filter(|_| reader.is_finished())
            .ok_or_else(|| Fault::new("no session parked these octets"))?;
        Ok(Self { known, state })
    }
}

fn read(known: &mut Known, reader: &mut Reader<'_>) -> Option<State> {
    if reader.u8()? != FORM {
        return None;
    }
    read_known(known, reader)?;
    Some(match reader.u8()? {
        0 => State::Greeting,
        1 => State::Unwelcome,
        2 => State::Command,
        3 => State::Transaction(read_transaction(reader)?),
        4 => State::Authentication(Box::new(ServerExchange::read(reader)?)),
        5 => State::Handshake,
        6 => State::Refused(Box::new(read_refused(reader)?)),
        7 => State::Failed,
        _ => return None,
    })
}

fn write_known(known: &Known, writer: &mut Writer) {
    writer.u32(known.transactions);
    writer.u8(known.bad_commands);
    writer.u8(known.failed_auth);
    writer.u8(known.greetings);
    writer.u8(known.reports);
    writer.bool(known.skips_line);
    writer.option(known.ending.as_ref(), |writer, why| {
        writer.u8(match why {
            Dismissal::Timeout => 0,
            Dismissal::Shutdown => 1,
            Dismissal::Overload => 2,
            Dismissal::Fault => 3,
        });
    });
    writer.option(known.greeted.as_ref(), |writer, greeted| {
        writer.string(&greeted.name);
        writer.bool(greeted.extended);
    });
}

fn read_known(known: &mut Known, reader: &mut Reader<'_>) -> Option<()> {
    known.transactions = reader.u32()?;
    known.bad_commands = reader.u8()?;
    known.failed_auth = reader.u8()?;
    known.greetings = reader.u8()?;
    known.reports = reader.u8()?;
    known.skips_line = reader.bool()?;
    known.ending = reader.option(|reader| {
        Some(match reader.u8()? {
            0 => Dismissal::Timeout,
            1 => Dismissal::Shutdown,
            2 => Dismissal::Overload,
            3 => Dismissal::Fault,
            _ => return None,
        })
    })?;
    known.greeted = reader.option(|reader| {
        Some(Greeted {
            name: reader.string()?,
            extended: reader.bool()?,
        })
    })?;
    Some(())
}

/// Its reply is one of ours: one line and an enhanced status code.
fn write_refused(refused: &Refused, writer: &mut Writer) {
    writer.u64(refused.left);
    writer.bool(refused.fails);
    writer.bool(refused.had_failed);
    writer.u32(refused.reply.code.into());
    let (class, subject, detail) = refused.reply.status.unwrap_or_default();
    writer.u8(class);
    writer.u32(subject.into());
    writer.u32(detail.into());
    writer.string(refused.reply.lines.first().map_or("", String::as_str));
}

fn read_refused(reader: &mut Reader<'_>) -> Option<Refused> {
    Some(Refused {
        left: reader.u64()?,
        fails: reader.bool()?,
        had_failed: reader.bool()?,
        reply: Reply {
            code: u16::try_from(reader.u32()?).ok()?,
            status: Some((
                reader.u8()?,
                u16::try_from(reader.u32()?).ok()?,
                u16::try_from(reader.u32()?).ok()?,
            )),
            lines: vec![reader.string()?],
        },
    })
}

fn write_transaction(transaction: &Transaction, writer: &mut Writer) {
    writer.string(&transaction.id);
    writer.string(&transaction.reverse_path);
    write_parameters(&transaction.parameters, writer);
    writer.bool(transaction.has_refused);
    // The number of recipients is bounded by a u32 in the settings.
    writer.u32(u32::try_from(transaction.forward_paths.len()).unwrap_or(u32::MAX));
    for forward_path in &transaction.forward_paths {
        write_forward_path(forward_path, writer);
    }
}

fn read_transaction(reader: &mut Reader<'_>) -> Option<Transaction> {
    let mut transaction = Transaction {
        id: reader.string()?,
        reverse_path: reader.string()?,
        parameters: read_parameters(reader)?,
        has_refused: reader.bool()?,
        forward_paths: Vec::new(),
    };
    for _ in 0..reader.u32()? {
        transaction.forward_paths.push(read_forward_path(reader)?);
    }
    Some(transaction)
}

fn write_parameters(parameters: &ReversePathParameters, writer: &mut Writer) {
    writer.u8(match parameters.body {
        BodyType::SevenBit => 0,
        BodyType::EightBitMime => 1,
        BodyType::BinaryMime => 2,
    });
    writer.option(parameters.size.as_ref(), |writer, size| writer.u64(*size));
    writer.bool(parameters.smtputf8);
    writer.option(parameters.ret.as_ref(), |writer, ret| {
        writer.bool(*ret == DsnReturn::Full);
    });
    writer.option(parameters.envid.as_ref(), |writer, envid| {
        writer.string(envid);
    });
    writer.option(parameters.auth.as_ref(), |writer, auth| writer.string(auth));
    writer.bool(parameters.require_tls);
    writer.option(parameters.hold_for.as_ref(), |writer, seconds| {
        writer.u32(*seconds);
    });
    writer.option(parameters.deliver_by.as_ref(), |writer, by| {
        writer.u64(by.seconds.cast_unsigned());
        writer.bool(by.notify);
        writer.bool(by.trace);
    });
    writer.option(parameters.priority.as_ref(), |writer, priority| {
        writer.u8(priority.cast_unsigned());
    });
}

fn read_parameters(reader: &mut Reader<'_>) -> Option<ReversePathParameters> {
    Some(ReversePathParameters {
        body: match reader.u8()? {
            0 => BodyType::SevenBit,
            1 => BodyType::EightBitMime,
            2 => BodyType::BinaryMime,
            _ => return None,
        },
        size: reader.option(Reader::u64)?,
        smtputf8: reader.bool()?,
        ret: reader.option(|reader| {
            Some(if reader.bool()? {
                DsnReturn::Full
            } else {
                DsnReturn::Headers
            })
        })?,
        envid: reader.option(Reader::string)?,
        auth: reader.option(Reader::string)?,
        require_tls: reader.bool()?,
        hold_for: reader.option(Reader::u32)?,
        deliver_by: reader.option(|reader| {
            Some(DeliverBy {
                seconds: reader.u64()?.cast_signed(),
                notify: reader.bool()?,
                trace: reader.bool()?,
            })
        })?,
        priority: reader.option(|reader| Some(reader.u8()?.cast_signed()))?,
    })
}

fn write_forward_path(forward_path: &ForwardPath, writer: &mut Writer) {
    writer.string(&forward_path.mailbox);
    writer.option(forward_path.notify.as_ref(), |writer, notify| {
        writer.bool(notify.never);
        writer.bool(notify.success);
        writer.bool(notify.failure);
        writer.bool(notify.delay);
    });
    writer.option(forward_path.orcpt.as_ref(), |writer, (kind, address)| {
        writer.string(kind);
        writer.string(address);
    });
}

fn read_forward_path(reader: &mut Reader<'_>) -> Option<ForwardPath> {
    Some(ForwardPath {
        mailbox: reader.string()?,
        notify: reader.option(|reader| {
            Some(Notify {
                never: reader.bool()?,
                success: reader.bool()?,
                failure: reader.bool()?,
                delay: reader.bool()?,
            })
        })?,
        orcpt: reader.option(|reader| Some((reader.string()?, reader.string()?)))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{peer, settings};
    use proptest::prelude::*;

    fn transaction() -> impl Strategy<Value = Transaction> {
        let deliver_by =
            (any::<i64>(), any::<bool>(), any::<bool>()).prop_map(|(seconds, notify, trace)| {
                DeliverBy {
                    seconds,
                    notify,
                    trace,
                }
            });
        let parameters = (
            (
                0u8..3,
                any::<Option<u64>>(),
                any::<bool>(),
                any::<Option<bool>>(),
            ),
            any::<Option<String>>(),
            any::<Option<String>>(),
            any::<bool>(),
            any::<Option<u32>>(),
            proptest::option::of(deliver_by),
            any::<Option<i8>>(),
        )
            .prop_map(
                |(
                    (body, size, smtputf8, ret),
                    envid,
                    auth,
                    require_tls,
                    hold_for,
                    by,
                    priority,
                )| {
                    ReversePathParameters {
                        body: [
                            BodyType::SevenBit,
                            BodyType::EightBitMime,
                            BodyType::BinaryMime,
                        ][usize::from(body)],
                        size,
                        smtputf8,
                        ret: ret.map(|full| {
                            if full {
                                DsnReturn::Full
                            } else {
                                DsnReturn::Headers
                            }
                        }),
                        envid,
                        auth,
                        require_tls,
                        hold_for,
                        deliver_by: by,
                        priority,
                    }
                },
            );
        let notify = any::<[bool; 4]>().prop_map(|[never, success, failure, delay]| Notify {
            never,
            success,
            failure,
            delay,
        });
        let forward_path = (
            any::<String>(),
            proptest::option::of(notify),
            any::<Option<(String, String)>>(),
        )
            .prop_map(|(mailbox, notify, orcpt)| ForwardPath {
                mailbox,
                notify,
                orcpt,
            });
        (
            any::<String>(),
            any::<String>(),
            parameters,
            proptest::collection::vec(forward_path, 0..4),
            any::<bool>(),
        )
            .prop_map(
                |(id, reverse_path, parameters, forward_paths, has_refused)| Transaction {
                    id,
                    reverse_path,
                    parameters,
                    forward_paths,
                    has_refused,
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(transaction in transaction(), extended: bool) {
            let mut session = Session::start(settings(), peer()).unwrap();
            session.known.greeted = Some(Greeted { name: "printer".into(), extended });
            session.known.transactions = 7;
            session.known.bad_commands = 19;
            session.known.failed_auth = 4;
            session.known.greetings = 5;
            session.known.reports = 3;
            session.known.skips_line = extended;
            session.known.ending = Some(Dismissal::Shutdown);
            session.state = State::Transaction(transaction.clone());
            let parked = session.park().unwrap();
            let revived = Session::revive(settings(), peer(), None, None, &parked).unwrap();
            prop_assert_eq!(revived.known.greeted, session.known.greeted);
            prop_assert_eq!(revived.known.transactions, 7);
            prop_assert_eq!(revived.known.bad_commands, 19);
            prop_assert_eq!(revived.known.failed_auth, 4);
            prop_assert_eq!(revived.known.greetings, 5);
            prop_assert_eq!(revived.known.reports, 3);
            prop_assert_eq!(revived.known.skips_line, extended);
            prop_assert_eq!(revived.known.ending, Some(Dismissal::Shutdown));
            match revived.state {
                State::Transaction(revived) => prop_assert_eq!(revived, transaction),
                other => prop_assert!(false, "{:?}", other),
            }
            // Shorter or longer, it is no parked session.
            for length in 0..parked.len() {
                let cut = Session::revive(settings(), peer(), None, None, &parked[..length]);
                prop_assert!(cut.is_err());
            }
            let longer = [parked, alloc::vec![0]].concat();
            prop_assert!(Session::revive(settings(), peer(), None, None, &longer).is_err());
        }

        #[test]
        fn a_refused_chunk_is_read_as_it_was_written(left: u64, fails: bool, had_failed: bool) {
            let refused = Refused {
                left,
                reply: crate::smtp::reply::out_of_order("MAIL first"),
                fails,
                had_failed,
            };
            let mut session = Session::start(settings(), peer()).unwrap();
            session.state = State::Refused(Box::new(refused.clone()));
            let parked = session.park().unwrap();
            let revived = Session::revive(settings(), peer(), None, None, &parked).unwrap();
            match revived.state {
                State::Refused(revived) => prop_assert_eq!(*revived, refused),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn any_octets_do_no_harm(octets: Vec<u8>) {
            let _ = Session::revive(settings(), peer(), None, None, &octets);
            let _ = Session::revive(settings(), peer(), None, None, &[&[FORM], &octets[..]].concat());
        }
    }

    #[test]
    fn what_takes_more_than_8_kib_is_not_parked() {
        let mut session = Session::start(settings(), peer()).unwrap();
        let forward_path = ForwardPath {
            mailbox: "m".repeat(200),
            notify: None,
            orcpt: None,
        };
        session.state = State::Transaction(Transaction {
            id: "s1-1".into(),
            reverse_path: String::new(),
            parameters: ReversePathParameters::default(),
            forward_paths: alloc::vec![forward_path; 50],
            has_refused: false,
        });
        assert_eq!(session.park(), None);
    }
}
