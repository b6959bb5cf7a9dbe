//! The library's types to those of the host's bindings, and back.
//!
//! The component's binding does the same on its side of the boundary; what is lost on one of the
//! two sides shows in a transcript.

use pillarbox::sandbox::v0_1::{client as wit_client, server as wit_server, types as wit};
use pillarbox_protocol::contract as own;
use pillarbox_protocol::contract::{client as own_client, server as own_server};

/// The other side's form of a value.
pub(crate) trait Convert<T> {
    /// Converts.
    fn convert(self) -> T;
}

impl<A: Convert<B>, B> Convert<Option<B>> for Option<A> {
    fn convert(self) -> Option<B> {
        self.map(Convert::convert)
    }
}

impl<A: Convert<B>, B> Convert<Vec<B>> for Vec<A> {
    fn convert(self) -> Vec<B> {
        self.into_iter().map(Convert::convert).collect()
    }
}

/// Types that both sides share.
macro_rules! shared {
    ($($shared:ty),+ $(,)?) => {
        $(impl Convert<$shared> for $shared {
            fn convert(self) -> $shared {
                self
            }
        })+
    };
}
shared!(String, bool, i8, i64, u8, u16, u32, u64);
shared!((String, String), (u8, u16, u16));

/// Both directions of an enum whose cases have the same names and hold nothing.
macro_rules! cases {
    ($wit:path, $own:path, $($case:ident)+) => {
        const _: () = {
            use $own as Own;
            use $wit as Wit;
            impl Convert<Own> for Wit {
                fn convert(self) -> Own {
                    match self { $(Wit::$case => Own::$case),+ }
                }
            }
            impl Convert<Wit> for Own {
                fn convert(self) -> Wit {
                    match self { $(Own::$case => Wit::$case),+ }
                }
            }
        };
    };
}

/// Both directions of a record whose fields have the same names.
macro_rules! fields {
    ($wit:path, $own:path, $($field:ident)+) => {
        const _: () = {
            use $own as Own;
            use $wit as Wit;
            impl Convert<Own> for Wit {
                fn convert(self) -> Own {
                    Own { $($field: self.$field.convert()),+ }
                }
            }
            impl Convert<Wit> for Own {
                fn convert(self) -> Wit {
                    Wit { $($field: self.$field.convert()),+ }
                }
            }
        };
    };
}

/// Both directions of flags, which the library has as a record.
macro_rules! flags {
    ($wit:path, $own:path, $($flag:ident $field:ident)+) => {
        const _: () = {
            use $own as Own;
            use $wit as Wit;
            impl Convert<Own> for Wit {
                fn convert(self) -> Own {
                    Own { $($field: self.contains(Self::$flag)),+ }
                }
            }
            impl Convert<Wit> for Own {
                fn convert(self) -> Wit {
                    let mut flags = Wit::empty();
                    $(if self.$field {
                        flags |= Wit::$flag;
                    })+
                    flags
                }
            }
        };
    };
}

/// Both directions of a variant: cases that hold nothing, one value or two.
macro_rules! variants {
    ($wit:path, $own:path, nothing $($none:ident)*, one $($one:ident)+, two $($two:ident)*) => {
        const _: () = {
            use $own as Own;
            use $wit as Wit;
            impl Convert<Own> for Wit {
                fn convert(self) -> Own {
                    match self {
                        $(Wit::$none => Own::$none,)*
                        $(Wit::$one(value) => Own::$one(value.convert()),)+
                        $(Wit::$two((one, two)) => Own::$two(one.convert(), two.convert()),)*
                    }
                }
            }
            impl Convert<Wit> for Own {
                fn convert(self) -> Wit {
                    match self {
                        $(Own::$none => Wit::$none,)*
                        $(Own::$one(value) => Wit::$one(value.convert()),)+
                        $(Own::$two(one, two) => Wit::$two((one.convert(), two.convert())),)*
                    }
                }
            }
        };
    };
}

fields!(wit::Span, own::Span, offset length);
fields!(wit::Reply, own::Reply, code status lines);
cases!(wit::BodyType, own::BodyType, SevenBit EightBitMime BinaryMime);
cases!(wit::DsnReturn, own::DsnReturn, Full Headers);
fields!(wit::DeliverBy, own::DeliverBy, seconds notify trace);
fields!(
    wit::ReversePathParameters,
    own::ReversePathParameters,
    body size smtputf8 ret envid auth require_tls hold_for deliver_by priority
);
flags!(wit::Notify, own::Notify, NEVER never SUCCESS success FAILURE failure DELAY delay);
fields!(wit::ForwardPath, own::ForwardPath, mailbox notify orcpt);
fields!(
    wit::Envelope,
    own::Envelope,
    id reverse_path parameters forward_paths protocol greeted
);
fields!(
    wit::ContentFacts,
    own::ContentFacts,
    size header_eight_bit body_eight_bit binary bare signed message_id tls_waived authors
);
cases!(
    wit::Mechanism,
    own::Mechanism,
    Login Ntlm Plain CramMd5 ScramSha1 ScramSha1Plus ScramSha256 ScramSha256Plus Xoauth2
    Oauthbearer External
);
fields!(
    wit::NtlmResponse,
    own::NtlmResponse,
    user domain workstation server_challenge nt_response negotiate challenge authenticate
);
fields!(wit::ScramSalt, own::ScramSalt, salt iterations);
fields!(wit::TlsFacts, own::TlsFacts, version cipher verified server_end_point exporter);
cases!(
    wit::Phase,
    own::Phase,
    Greeting Command Authentication DataInitiation Content EndOfContent Answer Quit Closed
);
cases!(wit::Dismissal, own::Dismissal, Timeout Shutdown Overload Fault);

// The server role.

cases!(
    wit_server::TlsPolicy,
    own_server::TlsPolicy,
    Absent Offered RequiredForAuth Required Established
);
cases!(wit_server::Admission, own_server::Admission, Welcome Unwanted);
cases!(wit_server::BareLf, own_server::BareLf, Reject Convert);
flags!(
    wit_server::Extensions,
    own_server::Extensions,
    CHUNKING chunking BINARYMIME binarymime SMTPUTF8 smtputf8 REQUIRETLS requiretls
    FUTURERELEASE futurerelease DELIVERBY deliverby MT_PRIORITY mt_priority
);
fields!(
    wit_server::Settings,
    own_server::Settings,
    hostname serial admission tls mechanisms clear_text authentication_required extensions
    max_message_size max_recipients max_hold min_deliver_by ntlm_domain ntlm_computer ask_sender
    ask_recipient add_date add_message_id add_sender check_header_domains keep_bcc bare_lf
    legacy_auth_line local_domain certificate_required
);
fields!(wit_server::Peer, own_server::Peer, address port);
fields!(wit_server::PasswordCheck, own_server::PasswordCheck, authorization user password);
fields!(wit_server::CramMd5Check, own_server::CramMd5Check, user challenge digest);
fields!(wit_server::ScramStart, own_server::ScramStart, mechanism authorization user);
fields!(wit_server::ScramProof, own_server::ScramProof, messages proof);
fields!(wit_server::TokenCheck, own_server::TokenCheck, mechanism authorization user token);
variants!(
    wit_server::Question,
    own_server::Question,
    nothing,
    one Password CramMd5 ScramFirst ScramFinal Ntlm Token External Recipient Store,
    two Sender
);
variants!(
    wit_server::Action,
    own_server::Action,
    nothing StartTls Abandon Close,
    one Send Content Insert Pass Report,
    two
);
fields!(
    wit_server::Progress,
    own_server::Progress,
    consumed actions envelope question waiting_for
);

variants!(
    wit_server::Answer,
    own_server::Answer,
    nothing Refused Disabled Unprepared Unavailable Accepted Stored,
    one Scram Rejected,
    two Granted
);

// The client role.

cases!(
    wit_client::TlsPolicy,
    own_client::TlsPolicy,
    Off Opportunistic Required Established
);
cases!(wit_client::EightBit, own_client::EightBit, Refuse Convert);
fields!(
    wit_client::Settings,
    own_client::Settings,
    hostname server port tls mechanisms clear_text eight_bit chunking proven lmtp
);
fields!(wit_client::Credentials, own_client::Credentials, user domain workstation secret);
fields!(
    wit_client::Offer,
    own_client::Offer,
    max_size max_recipients max_messages extensions
);
cases!(wit_client::Verdict, own_client::Verdict, Accepted Deferred Failed Again Unknown);
fields!(wit_client::Outcome, own_client::Outcome, verdict reply said notifies);
cases!(
    wit_client::Stage,
    own_client::Stage,
    Connect Tls Authentication Envelope Content Ended
);
cases!(wit_client::Loss, own_client::Loss, Closed Timeout Handshake);
fields!(wit_client::Failure, own_client::Failure, stage reply text temporary);
variants!(
    wit_client::Action,
    own_client::Action,
    nothing StartTls Hungry Rewind Done Close,
    one Send Authenticate Derive Ready Content Insert Pass Failed Report,
    two Confide Settled
);
fields!(wit_client::Progress, own_client::Progress, consumed actions waiting_for);
