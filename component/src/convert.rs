//! Generated types to the library's own, and back.
//!
//! Vectors and strings move; nothing is copied but small values.

use crate::bindings::pillarbox::submission::types as wit;
use alloc::vec::Vec;
use pillarbox_protocol::contract as own;

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

/// Both directions of an enum whose cases have the same names.
macro_rules! cases {
    ($wit:path, $own:path, $($case:ident),+ $(,)?) => {
        const _: () = {
            use $wit as Wit;
            use $own as Own;
            impl crate::convert::Convert<Own> for Wit {
                fn convert(self) -> Own {
                    match self { $(Wit::$case => Own::$case),+ }
                }
            }
            impl crate::convert::Convert<Wit> for Own {
                fn convert(self) -> Wit {
                    match self { $(Own::$case => Wit::$case),+ }
                }
            }
        };
    };
}
pub(crate) use cases;

/// Both directions of a record whose fields have the same names: some move, some are converted.
macro_rules! fields {
    ($wit:path, $own:path, moved { $($moved:ident),* }, converted { $($converted:ident),* }) => {
        const _: () = {
            use $wit as Wit;
            use $own as Own;
            impl crate::convert::Convert<Own> for Wit {
                fn convert(self) -> Own {
                    Own {
                        $($moved: self.$moved,)*
                        $($converted: crate::convert::Convert::convert(self.$converted),)*
                    }
                }
            }
            impl crate::convert::Convert<Wit> for Own {
                fn convert(self) -> Wit {
                    Wit {
                        $($moved: self.$moved,)*
                        $($converted: crate::convert::Convert::convert(self.$converted),)*
                    }
                }
            }
        };
    };
}
pub(crate) use fields;

fields!(wit::Span, own::Span, moved { offset, length }, converted {});
fields!(
    wit::Reply,
    own::Reply,
    moved {
        code,
        status,
        lines
    },
    converted {}
);
cases!(
    wit::BodyType,
    own::BodyType,
    SevenBit,
    EightBitMime,
    BinaryMime
);
cases!(wit::DsnReturn, own::DsnReturn, Full, Headers);
fields!(
    wit::DeliverBy,
    own::DeliverBy,
    moved {
        seconds,
        notify,
        trace
    },
    converted {}
);
fields!(
    wit::ReversePathParameters,
    own::ReversePathParameters,
    moved {
        size,
        smtputf8,
        envid,
        auth,
        require_tls,
        hold_for,
        priority
    },
    converted {
        body,
        ret,
        deliver_by
    }
);
fields!(
    wit::ForwardPath,
    own::ForwardPath,
    moved { mailbox, orcpt },
    converted { notify }
);
fields!(
    wit::Envelope,
    own::Envelope,
    moved {
        id,
        reverse_path,
        protocol,
        greeted
    },
    converted {
        parameters,
        forward_paths
    }
);
fields!(
    wit::ContentFacts,
    own::ContentFacts,
    moved {
        size,
        header_eight_bit,
        body_eight_bit,
        binary,
        bare,
        signed,
        message_id,
        tls_waived,
        authors
    },
    converted {}
);
cases!(
    wit::Mechanism,
    own::Mechanism,
    Login,
    Ntlm,
    Plain,
    CramMd5,
    ScramSha1,
    ScramSha1Plus,
    ScramSha256,
    ScramSha256Plus,
    Xoauth2,
    Oauthbearer,
    External
);
fields!(
    wit::NtlmResponse,
    own::NtlmResponse,
    moved {
        user,
        domain,
        workstation,
        server_challenge,
        nt_response,
        negotiate,
        challenge,
        authenticate
    },
    converted {}
);
fields!(
    wit::ScramSalt,
    own::ScramSalt,
    moved { salt, iterations },
    converted {}
);
fields!(
    wit::TlsFacts,
    own::TlsFacts,
    moved {
        version,
        cipher,
        verified,
        server_end_point,
        exporter
    },
    converted {}
);
cases!(
    wit::Phase,
    own::Phase,
    Greeting,
    Command,
    Authentication,
    DataInitiation,
    Content,
    EndOfContent,
    Answer,
    Quit,
    Closed
);
cases!(
    wit::Dismissal,
    own::Dismissal,
    Timeout,
    Shutdown,
    Overload,
    Fault
);
fields!(wit::Fault, own::Fault, moved { text }, converted {});

impl Convert<own::Notify> for wit::Notify {
    fn convert(self) -> own::Notify {
        own::Notify {
            never: self.contains(Self::NEVER),
            success: self.contains(Self::SUCCESS),
            failure: self.contains(Self::FAILURE),
            delay: self.contains(Self::DELAY),
        }
    }
}

impl Convert<wit::Notify> for own::Notify {
    fn convert(self) -> wit::Notify {
        let mut notify = wit::Notify::empty();
        notify.set(wit::Notify::NEVER, self.never);
        notify.set(wit::Notify::SUCCESS, self.success);
        notify.set(wit::Notify::FAILURE, self.failure);
        notify.set(wit::Notify::DELAY, self.delay);
        notify
    }
}
