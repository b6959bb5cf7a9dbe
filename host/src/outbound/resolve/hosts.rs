//! The system's file of names (hosts(5)).

use super::watched::Watched;
use hickory_resolver::Hosts;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use std::io::Cursor;
use std::net::IpAddr;
use std::path::Path;

/// Where it is.
const SYSTEM: &str = "/etc/hosts";

/// A hosts file; one that is not there has no names.
pub(super) struct HostsFile {
    file: Watched<Hosts>,
}

impl HostsFile {
    /// The system's.
    pub(super) fn system() -> Self {
        Self::at(Path::new(SYSTEM))
    }

    /// Another one.
    pub(super) fn at(path: &Path) -> Self {
        Self {
            file: Watched::new(path, |octets| {
                let mut hosts = Hosts::default();
                // Lines that cannot be read are left out.
                let _ = hosts.read_hosts_conf(Cursor::new(octets));
                hosts
            }),
        }
    }

    /// The addresses that it has for a name: all there is to know then, whichever their family.
    pub(super) fn addresses(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let hosts = self.file.current();
        let addresses: Vec<IpAddr> = [RecordType::AAAA, RecordType::A]
            .into_iter()
            .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)))
            .flat_map(|lookup| {
                let records = lookup.answers().iter();
                let addresses: Vec<_> =
                    records.filter_map(|record| record.data.ip_addr()).collect();
                addresses
            })
            .collect();
        (!addresses.is_empty()).then_some(addresses)
    }
}
