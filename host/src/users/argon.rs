//! argon2id, for PLAIN and LOGIN: slow on purpose, so it runs off the connection threads and only
//! so many at a time.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordVerifier, Version};
use argon2::{CustomizedPasswordHasher, password_hash};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::backoff::machine;
use super::turns::Turns;

/// KiB of memory: with `PASSES`, the least that OWASP's password storage guide recommends. 19 MiB
/// is about 20 ms on a small server, and a device that logs in for each message is remembered.
const MEMORY: u32 = 19 * 1024;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Lanes: one, since other logins use the other cores.
const LANES: u32 = 1;
/// Octets of a salt (RFC 9106 section 4).
const SALT: usize = 16;
/// Octets of a hash.
const HASH: usize = 32;
/// Checks that may wait for their turn: at 50 a second a core, the last one waits well below the
/// 100 seconds in which an answer must come (profile, section 4).
const MOST_WAITING: usize = 1_000;
/// Of these and the running ones, so many for one peer: the others find their turn whatever it does.
const MOST_OF_A_PEER: usize = 8;
/// Checks that one peer may have in all; those beyond `MOST_OF_A_PEER` wait in a line of their own,
/// because a whole office may log in at once behind one address.
const LINE_OF_A_PEER: usize = 64;

/// Why a password could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum ArgonError {
    /// Too many checks wait already.
    #[error("{waiting} password checks wait already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// Too many checks of this peer wait already.
    #[error("too many password checks of {peer} wait already")]
    BusyPeer {
        /// Whose: an address, or a network of IPv6.
        peer: IpAddr,
    },
    /// The hash function would not run.
    #[error("cannot hash the password")]
    Hash(#[from] password_hash::Error),
    /// Parameters of ours are out of its range.
    #[error("cannot set up argon2id")]
    Setup(#[from] argon2::Error),
    /// The check was lost (it panicked, or the service ends).
    #[error("the password check was lost")]
    Lost,
}

/// How expensive a hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            memory: MEMORY,
            passes: PASSES,
        }
    }
}

impl Cost {
    fn params(self) -> Result<Params, ArgonError> {
        Ok(Params::new(self.memory, self.passes, LANES, Some(HASH))?)
    }

    /// Hashes a password with a fresh salt; PHC form. Takes its time on this thread.
    pub fn hash(self, password: &[u8]) -> Result<String, ArgonError> {
        let salt: [u8; SALT] = rand::random();
        let hash: PasswordHash = Argon2::default().hash_password_customized(
            password,
            &salt,
            Some(Algorithm::Argon2id.as_str()),
            Some(Version::V0x13.into()),
            self.params()?,
        )?;
        Ok(hash.to_string())
    }

    /// A hash that no password fits, as expensive to check as a real one: unknown users cost the
    /// same as known ones (profile R4954-6-a).
    pub fn nobody(self) -> Result<String, ArgonError> {
        let salt: [u8; SALT] = rand::random();
        let output: [u8; HASH] = rand::random();
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: password_hash::phc::ParamsString::try_from(&self.params()?)?,
            salt: Some(password_hash::phc::Salt::new(&salt).map_err(password_hash::Error::from)?),
            hash: Some(
                password_hash::phc::Output::new(&output).map_err(password_hash::Error::from)?,
            ),
        };
        Ok(hash.to_string())
    }
}

/// Checks passwords off the connection threads.
#[derive(Debug)]
pub struct Argon {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    /// The lines of the peers.
    peers: Turns<IpAddr>,
}

impl Default for Argon {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Two a core: while one waits for memory the other computes.
        Self::new(2 * cores, MOST_WAITING)
    }
}

impl Argon {
    /// At most `running` checks at a time, and `most_waiting` more that wait.
    pub fn new(running: usize, most_waiting: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(running.max(1))),
            waiting: AtomicUsize::new(0),
            most_waiting,
            peers: Turns::new(MOST_OF_A_PEER, LINE_OF_A_PEER),
        }
    }

    /// Whether `password` fits `hash` (PHC form; its own parameters hold), asked for by `peer`.
    pub async fn verify(
        &self,
        peer: IpAddr,
        password: Zeroizing<Vec<u8>>,
        hash: &str,
    ) -> Result<bool, ArgonError> {
        let hash = PasswordHash::new(hash).map_err(password_hash::Error::from)?;
        let peer = machine(peer);
        let of_peer = self.peers.take(peer).await;
        let of_peer = of_peer.ok_or(ArgonError::BusyPeer { peer })?;
        let turns = Arc::clone(&self.turns);
        let turn = match Arc::clone(&turns).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let _place = Place::take(&self.waiting, self.most_waiting)?;
                turns.acquire_owned().await.map_err(|_| ArgonError::Lost)?
            }
        };
        let check = tokio::task::spawn_blocking(move || {
            // The turns end with the work, also when nobody waits for it any more.
            let _turns = (turn, of_peer);
            Argon2::default().verify_password(&password, &hash)
        });
        match check.await.map_err(|_| ArgonError::Lost)? {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A place among those that wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Result<Self, ArgonError> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting);
        if before >= most {
            Err(ArgonError::Busy { waiting: before })
        } else {
            Ok(place)
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "argon_tests.rs"]
mod tests;
