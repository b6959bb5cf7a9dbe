//! The one thread that writes to the database, and commits what waits together.
//!
//! A commit costs a sync of the disk however much is in it. While one runs, operations gather; the
//! next takes all of them, up to 256, into one transaction. Each is answered after that commit, so
//! an answer means that it is on the disk. If one of them fails, the transaction is rolled back and
//! each is done again in its own: only those that fail by themselves are told so. That costs nothing
//! as long as all goes well, where a savepoint for each would.
//!
//! If this thread panics, which is a bug, the process ends: a service that cannot store must not
//! look alive, and whoever started it starts it again.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::SpoolError;

/// Most operations of one transaction.
const MOST_OPERATIONS: usize = 256;
/// Most octets of content of one transaction, so that the write-ahead log stays small.
const MOST_OCTETS: usize = 8 * 1024 * 1024;

/// Something to do in a transaction.
pub(super) trait Operation: Send + 'static {
    /// What it finds out.
    type Answer: Send + 'static;

    /// For errors: `append message x`.
    fn doing(&self) -> String;

    /// Does it. Called again after a rollback.
    fn run(
        &mut self,
        connection: &Connection,
    ) -> rusqlite::Result<Result<Self::Answer, SpoolError>>;

    /// Whether it is not to be done if nobody waits for the answer when its transaction begins.
    fn only_if_awaited(&self) -> bool {
        false
    }

    /// After the commit, before the answer: what must not happen without it.
    fn committed(&mut self, _answer: &Self::Answer) {}

    /// Octets that it writes, where there can be many.
    fn octets(&self) -> usize {
        0
    }
}

/// The thread's handle. Dropping it ends the thread once all is done that waits.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on this connection.
    pub(super) fn start(connection: Connection) -> Result<Self, SpoolError> {
        let (jobs, waiting) = channel();
        let thread = Builder::new()
            .name("spool-writer".to_owned())
            .spawn(move || serve_or_abort(&connection, &waiting))
            .map_err(|error| SpoolError::io("start the spool's writer", error))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Does the operation in the next transaction; returns once that is committed. If the caller is
    /// dropped meanwhile, the operation is done nevertheless, unless it is
    /// [only for its waiter](Operation::only_if_awaited) and the transaction has not begun.
    pub(super) async fn run<O: Operation>(&self, operation: O) -> Result<O::Answer, SpoolError> {
        let doing = operation.doing();
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Waiting {
            operation,
            found: None,
            answer,
        });
        let sent = self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(SpoolError::gone(&doing));
        }
        answered.await.map_err(|_| SpoolError::gone(&doing))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked: then there would be no process.
            let _ = thread.join();
        }
    }
}

/// An operation of any kind, with whoever waits for it.
trait Job: Send {
    fn run(&mut self, connection: &Connection) -> Result<(), SpoolError>;
    fn octets(&self) -> usize;
    fn is_abandoned(&self) -> bool;
    fn answer(self: Box<Self>, outcome: Result<(), SpoolError>);
    fn failed(&self, error: rusqlite::Error) -> SpoolError;
}

struct Waiting<O: Operation> {
    operation: O,
    found: Option<O::Answer>,
    answer: oneshot::Sender<Result<O::Answer, SpoolError>>,
}

impl<O: Operation> Job for Waiting<O> {
    fn run(&mut self, connection: &Connection) -> Result<(), SpoolError> {
        let found = self.operation.run(connection);
        self.found = Some(found.map_err(|error| self.failed(error))??);
        Ok(())
    }

    fn octets(&self) -> usize {
        self.operation.octets()
    }

    fn is_abandoned(&self) -> bool {
        self.operation.only_if_awaited() && self.answer.is_closed()
    }

    fn answer(mut self: Box<Self>, outcome: Result<(), SpoolError>) {
        let answer = match (outcome, self.found) {
            (Ok(()), Some(found)) => {
                self.operation.committed(&found);
                Ok(found)
            }
            (Ok(()), None) => Err(SpoolError::gone(&self.operation.doing())),
            (Err(error), _) => Err(error),
        };
        // The operation goes first: what it had not committed (a file) is gone before the answer.
        drop(self.operation);
        // Nobody may be waiting any more.
        let _ = self.answer.send(answer);
    }

    fn failed(&self, error: rusqlite::Error) -> SpoolError {
        SpoolError::sqlite(self.operation.doing(), error)
    }
}

fn serve_or_abort(connection: &Connection, waiting: &Receiver<Box<dyn Job>>) {
    // Nothing of what is shared is looked at again.
    let served = catch_unwind(AssertUnwindSafe(|| serve(connection, waiting)));
    if served.is_err() {
        tracing::error!("the spool's writer panicked, which is a bug: nothing can be stored");
        let _ = std::io::stderr().flush();
        abort();
    }
}

fn serve(connection: &Connection, waiting: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = waiting.recv() {
        let mut octets = first.octets();
        let mut batch = vec![first];
        while batch.len() < MOST_OPERATIONS && octets < MOST_OCTETS {
            let Ok(next) = waiting.try_recv() else { break };
            octets += next.octets();
            batch.push(next);
        }
        finish(connection, batch);
    }
}

/// Does all of the batch and answers each.
fn finish(connection: &Connection, mut batch: Vec<Box<dyn Job>>) {
    match together(connection, &mut batch) {
        Ok(()) => batch.into_iter().for_each(|job| job.answer(Ok(()))),
        Err(Failed::One(error)) if batch.len() == 1 => {
            batch
                .into_iter()
                .for_each(|job| job.answer(Err(error.clone())));
        }
        Err(Failed::One(_)) => {
            for job in batch {
                finish(connection, vec![job]);
            }
        }
        // Nothing was tried: trying each would wait for the lock once for each.
        Err(Failed::All(error)) => {
            batch
                .into_iter()
                .for_each(|job| job.answer(Err(error.clone())));
        }
    }
}

/// Why a transaction was not committed.
enum Failed {
    /// At an operation, or at the end.
    One(SpoolError),
    /// It did not begin.
    All(SpoolError),
}

fn together(connection: &Connection, batch: &mut Vec<Box<dyn Job>>) -> Result<(), Failed> {
    execute(connection, "BEGIN IMMEDIATE").map_err(|error| {
        Failed::All(SpoolError::sqlite(
            "begin a transaction of the spool",
            error,
        ))
    })?;
    // After the wait for the lock. What they had not committed (a file) goes with them.
    batch.retain(|job| !job.is_abandoned());
    let done = batch
        .iter_mut()
        .try_for_each(|job| job.run(connection))
        .and_then(|()| {
            execute(connection, "COMMIT").map_err(|error| match batch.first() {
                Some(job) => job.failed(error),
                None => SpoolError::sqlite("commit to the spool", error),
            })
        });
    done.map_err(|error| {
        // SQLite rolls back by itself on some errors.
        if !connection.is_autocommit()
            && let Err(error) = execute(connection, "ROLLBACK")
        {
            tracing::error!(%error, "cannot roll back a transaction of the spool");
        }
        Failed::One(error)
    })
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(statement)?
        .execute([])
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Inserts a number; a number that is there already fails.
    struct Insert {
        number: i64,
        committed: Arc<AtomicUsize>,
    }

    impl Operation for Insert {
        type Answer = ();

        fn doing(&self) -> String {
            format!("insert {}", self.number)
        }

        fn run(&mut self, connection: &Connection) -> rusqlite::Result<Result<(), SpoolError>> {
            connection.execute("INSERT INTO numbers VALUES (?1)", [self.number])?;
            Ok(Ok(()))
        }

        fn committed(&mut self, _: &()) {
            self.committed.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn one_failing_operation_does_not_take_the_others_along() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE numbers (number INTEGER PRIMARY KEY); INSERT INTO numbers VALUES (3)",
            )
            .unwrap();
        let committed = Arc::new(AtomicUsize::new(0));
        let mut answers = Vec::new();
        let batch = (1..=5)
            .map(|number| {
                let (answer, answered) = oneshot::channel();
                answers.push(answered);
                let operation = Insert {
                    number,
                    committed: committed.clone(),
                };
                Box::new(Waiting {
                    operation,
                    found: None,
                    answer,
                }) as Box<dyn Job>
            })
            .collect();
        finish(&connection, batch);
        let answers: Vec<_> = answers
            .into_iter()
            .map(|mut one| one.try_recv().unwrap())
            .collect();
        let good: Vec<_> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, true, false, true, true]);
        assert_eq!(
            answers[2].as_ref().unwrap_err().to_string(),
            "cannot insert 3"
        );
        assert_eq!(committed.load(Ordering::SeqCst), 4);
        let sum: i64 = connection
            .query_row("SELECT sum(number) FROM numbers", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sum, 15);
    }

    struct Panic;

    impl Operation for Panic {
        type Answer = ();

        fn doing(&self) -> String {
            "panic".to_owned()
        }

        fn run(&mut self, _: &Connection) -> rusqlite::Result<Result<(), SpoolError>> {
            panic!("as a bug would")
        }
    }

    /// Runs itself once more, as the process that is to end.
    #[test]
    fn a_panic_of_the_writer_ends_the_process() {
        use std::os::unix::process::ExitStatusExt;
        const INNER: &str = "PILLARBOX_TEST_WRITER_PANIC";
        if std::env::var_os(INNER).is_some() {
            let writer = Writer::start(Connection::open_in_memory().unwrap()).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread();
            let _ = { runtime }.build().unwrap().block_on(writer.run(Panic));
            return;
        }
        let (_, module) = module_path!().split_once("::").unwrap();
        let ended = std::process::Command::new(std::env::current_exe().unwrap())
            .arg("--exact")
            .arg(format!("{module}::a_panic_of_the_writer_ends_the_process"))
            .arg("--nocapture")
            .env(INNER, "1")
            .output()
            .unwrap();
        // SIGABRT.
        assert_eq!(ended.status.signal(), Some(6), "{ended:?}");
        let printed = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(printed.contains("as a bug would"), "{printed}");
    }

    #[tokio::test]
    async fn what_waits_when_the_writer_is_dropped_is_done() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
            .unwrap();
        let writer = Writer::start(connection).unwrap();
        let committed = Arc::new(AtomicUsize::new(0));
        for number in 0..10 {
            let operation = Insert {
                number,
                committed: committed.clone(),
            };
            let mut run = std::pin::pin!(writer.run(operation));
            // Begun, then forgotten by its caller.
            let _ =
                std::future::poll_fn(|context| std::task::Poll::Ready(run.as_mut().poll(context)))
                    .await;
        }
        drop(writer);
        assert_eq!(committed.load(Ordering::SeqCst), 10);
    }
}
