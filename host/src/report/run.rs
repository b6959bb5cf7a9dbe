//! The task that pays notices: what is owed becomes reports in the spool.
//!
//! There is no state in memory. A notice is owed until the transaction that takes its report over, so
//! a crash makes no report twice and loses none. What cannot be done now is put off.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::compose::{Composed, Reporter, Request, compose};
use super::id;
use super::original::{HEADER_LIMIT, Original, whole};
use crate::alarm::Alarm;
use crate::alias::Aliases;
use crate::alias::expand::Context;
use crate::dkim::{Digest, Signers};
use crate::relay::CurrentRoutes;
use crate::route::{Query, domain};
use crate::spool::{
    Attempt, Envelope, Message, NewMessage, NewRecipient, NewState, NoticeKind, Outcome, Owed,
    Parameters, Recipient, Ret, Settlement, Spool, SpoolError,
};

/// How often the spool is asked without a reason: for what was put off, and after trouble.
const LOOK: Duration = Duration::from_secs(1);
/// Messages whose reports are composed before the spool is asked again.
const BATCH: usize = 32;
/// How long to leave a report alone that could not be stored, and the spool if it cannot be used.
const PUT_OFF: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(5);
/// Age of a notice at which its report no longer waits for content that cannot be read.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Who reports, at this moment. Called for each report.
pub type CurrentReporter = Arc<dyn Fn() -> Arc<Reporter> + Send + Sync>;

/// Keys that sign, at this moment. Called for each report.
pub type CurrentSigners = Arc<dyn Fn() -> Arc<Signers> + Send + Sync>;

/// The aliases of this moment.
pub type CurrentAliases = Arc<dyn Fn() -> Arc<Aliases> + Send + Sync>;

/// What the task works with.
pub struct Reports {
    /// Where notices come from and reports go.
    pub spool: Arc<dyn Spool>,
    /// The routes in force.
    pub routes: CurrentRoutes,
    /// The aliases in force: a sender's address may be one.
    pub aliases: CurrentAliases,
    /// Who reports.
    pub reporter: CurrentReporter,
    /// Keys for the domain that reports come from.
    pub signers: CurrentSigners,
    /// Who is told that a report has no way to go.
    pub alarm: Arc<dyn Alarm>,
}

/// Pays what is owed until `shutdown` is ready.
///
/// `due` says that a notice was recorded; `wake` is told that a report is to be delivered.
pub async fn run(
    reports: Reports,
    due: Arc<Notify>,
    wake: Arc<Notify>,
    shutdown: impl Future<Output = ()>,
) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut not_before = Instant::now();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            () = due.notified() => {}
            _ = look.tick() => {}
        }
        if Instant::now() < not_before {
            continue;
        }
        // Between two batches, so that a queue of notices cannot keep the service from ending.
        let paid = tokio::select! {
            () = &mut shutdown => return,
            paid = reports.pay(&wake) => paid,
        };
        match paid {
            // There may be more.
            Ok(BATCH..) => due.notify_one(),
            Ok(_) => {}
            Err(error) => {
                not_before = Instant::now() + PAUSE;
                tracing::error!(error = with_causes(&error), "no reports for the moment");
            }
        }
    }
}

impl Reports {
    /// Pays a batch. Returns how many messages were in it.
    pub(super) async fn pay(&self, wake: &Notify) -> Result<usize, SpoolError> {
        let batch = self.spool.owed(BATCH, SystemTime::now()).await?;
        let number = batch.len();
        for owed in batch {
            match self.pay_one(&owed).await {
                Ok(waiting) => {
                    if waiting {
                        wake.notify_one();
                    }
                }
                // Removed meanwhile.
                Err(SpoolError::NotFound { .. }) => {}
                Err(error) => {
                    tracing::error!(
                        id = owed.message.id,
                        error = with_causes(&error),
                        "cannot make a report; tried again in a minute"
                    );
                    let until = SystemTime::now() + PUT_OFF;
                    self.spool.put_off(&owed.message.id, until).await?;
                }
            }
        }
        Ok(number)
    }

    /// Composes and stores one report. Whether it is due.
    async fn pay_one(&self, owed: &Owed) -> Result<bool, SpoolError> {
        let id = &owed.message.id;
        let notices: Vec<(u32, NoticeKind)> = owed
            .notices
            .iter()
            .map(|notice| (notice.ordinal, notice.kind))
            .collect();
        let reverse_path = &owed.message.envelope.reverse_path;
        // R5321-4.5.5-a: nobody records such notices, and nobody pays them.
        if reverse_path.is_empty() || notices.is_empty() {
            tracing::warn!(id, "no report: the reverse-path is null");
            self.spool.reported(id, &notices, None).await?;
            return Ok(false);
        }
        let reporter = (self.reporter)();
        let now = SystemTime::now();
        let original = self.original(owed, reporter.full_limit, now).await?;
        let report = id::fresh(now);
        let until = self.until(owed);
        let composed = compose(
            &reporter,
            &Request {
                owed,
                until: &until,
                original: &original,
                id: &report,
                now,
            },
        );
        let way = self.way(reverse_path, &reporter);
        let new = self
            .message(&report, &reporter.from, composed, &way, now)
            .await?;
        self.spool.reported(id, &notices, Some(new)).await?;
        tracing::info!(
            id,
            report,
            to = reverse_path,
            recipients = notices.len(),
            "reported"
        );
        self.settled(&report, reverse_path, &way).await;
        let mut waits = way.waits();
        if reporter.copies
            && owed
                .notices
                .iter()
                .any(|one| one.kind == NoticeKind::Failed)
            && !reverse_path.eq_ignore_ascii_case(&reporter.from)
        {
            // The message may be gone by now, so what was read of it serves once more.
            waits |= self.copy(owed, &original, &until, now).await;
        }
        Ok(waits)
    }

    /// The copy for postmaster. It is for his information: what goes wrong with it is logged, no more.
    /// Whether it is due.
    async fn copy(
        &self,
        owed: &Owed,
        original: &Original,
        until: &[Option<SystemTime>],
        now: SystemTime,
    ) -> bool {
        let reporter = (self.reporter)();
        // What others wrote to each other is not his business.
        let header_only = Owed {
            message: Arc::new(Message {
                envelope: Envelope {
                    parameters: Parameters {
                        ret: Some(Ret::Headers),
                        ..owed.message.envelope.parameters.clone()
                    },
                    ..owed.message.envelope.clone()
                },
                ..Message::clone(&owed.message)
            }),
            notices: owed.notices.clone(),
        };
        let way = self.way(&reporter.from, &reporter);
        let copied = async {
            let id = id::fresh(now);
            let composed = compose(
                &reporter,
                &Request {
                    owed: &header_only,
                    until,
                    original,
                    id: &id,
                    now,
                },
            );
            let copy = self
                .message(&id, &reporter.from, composed, &way, now)
                .await?;
            self.spool.append(copy).await
        };
        match copied.await {
            Ok(()) => way.waits(),
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(
                    id = owed.message.id,
                    error,
                    "no copy of a report for postmaster"
                );
                false
            }
        }
    }

    /// Reads what the report may return. All of it is read in any case: only at its end one knows
    /// that it is what was stored.
    async fn original(
        &self,
        owed: &Owed,
        full_limit: u64,
        now: SystemTime,
    ) -> Result<Original, SpoolError> {
        let whole = whole(owed, full_limit);
        let most = if whole { usize::MAX } else { HEADER_LIMIT };
        match self.read(&owed.message.id, most).await {
            Ok(content) if whole => Ok(Original::Whole(content)),
            Ok(content) => Ok(Original::Beginning(content)),
            Err(SpoolError::Corrupt { .. }) => Ok(Original::Unreadable(
                "what is stored of it here is damaged".to_owned(),
            )),
            Err(SpoolError::NotFound { .. }) => {
                Ok(Original::Unreadable("it is no longer here".to_owned()))
            }
            Err(error) => {
                let waited = owed
                    .notices
                    .iter()
                    .filter_map(|notice| now.duration_since(notice.attempt.at).ok())
                    .max();
                if waited.is_some_and(|waited| waited < PATIENCE) {
                    return Err(error);
                }
                tracing::error!(
                    id = owed.message.id,
                    error = with_causes(&error),
                    "a report goes without the message, which cannot be read"
                );
                Ok(Original::Unreadable(
                    "what is stored of it here cannot be read".to_owned(),
                ))
            }
        }
    }

    async fn read(&self, id: &str, most: usize) -> Result<Vec<u8>, SpoolError> {
        let mut reader = self.spool.read_content(id).await?;
        let mut content = Vec::new();
        while let Some(piece) = reader.next().await? {
            let room = most - content.len();
            content.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        Ok(content)
    }

    /// Until when the recipients are tried, by the routes in force.
    fn until(&self, owed: &Owed) -> Vec<Option<SystemTime>> {
        let routes = (self.routes)();
        let message = &owed.message;
        owed.notices
            .iter()
            .map(|notice| {
                let route = routes.find(&Query {
                    reverse_path: &message.envelope.reverse_path,
                    identity: message.identity.as_deref(),
                    mailbox: &notice.recipient.mailbox,
                })?;
                message.released().checked_add(route.retry.give_up)
            })
            .collect()
    }

    /// Where a report to this mailbox goes: it may be an alias.
    fn way(&self, mailbox: &str, reporter: &Reporter) -> Way {
        let (aliases, routes) = ((self.aliases)(), (self.routes)());
        let context = Context {
            aliases: &aliases,
            routes: &routes,
            hostname: &reporter.hostname,
            reverse_path: "",
            identity: None,
        };
        // RFC 3461 section 6.1 (R3461-6.1): NOTIFY absent. The null reverse-path says enough.
        let mut recipients = context.recipients(vec![Recipient {
            mailbox: mailbox.to_owned(),
            ..Recipient::default()
        }]);
        // Only what has a route has a lane.
        let lost = recipients.iter().all(|one| one.lane.is_empty());
        if lost {
            for one in &mut recipients {
                one.state = NewState::Held;
            }
        }
        Way { recipients, lost }
    }

    async fn message(
        &self,
        id: &str,
        from: &str,
        mut composed: Composed,
        way: &Way,
        now: SystemTime,
    ) -> Result<NewMessage, SpoolError> {
        // R6409-8.5: they come from a domain of ours as other mail does.
        let signers = (self.signers)();
        let signatures = match Digest::of(&composed.octets) {
            Some(digest) if !signers.of(from).is_empty() => {
                let from = from.to_owned();
                tokio::task::spawn_blocking(move || signers.fields(&from, &digest, now))
                    .await
                    .unwrap_or_default()
            }
            _ => String::new(),
        };
        composed.facts.signed |= !signatures.is_empty();
        let mut writer = self.spool.content(id);
        writer.write(&composed.octets).await?;
        Ok(NewMessage {
            id: id.to_owned(),
            envelope: composed.envelope,
            identity: None,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            received: now,
            message_id: composed.message_id,
            facts: composed.facts,
            recipients: way.recipients.clone(),
            content: writer.finish_after(signatures.into_bytes()).await?,
        })
    }

    /// Tells of a report that has no way to go, or that there is one again.
    async fn settled(&self, report: &str, reverse_path: &str, way: &Way) {
        let subject = format!("no route for reports to {}", domain(reverse_path));
        if !way.lost {
            self.alarm.clear(&subject);
            return;
        }
        let reason = format!(
            "no [[route]] is for {reverse_path}, the sender of the message that it reports on; add \
             one, then: pillarbox queue release {report}"
        );
        // So that `queue show` says it too.
        let held = |ordinal| Settlement {
            ordinal,
            outcome: Outcome::Held,
            attempt: Attempt {
                status: Some((5, 4, 4)),
                text: reason.clone(),
                at: SystemTime::now(),
                ..Attempt::default()
            },
            counted: false,
            lane: String::new(),
            notices: Vec::new(),
            overdue: false,
        };
        let held = (0..).zip(&way.recipients).map(|(ordinal, _)| held(ordinal));
        if let Err(error) = self.spool.settle(report, held.collect()).await {
            tracing::error!(id = report, error = with_causes(&error), "cannot say why");
        }
        let text = format!("report {report} is held: {reason}");
        self.alarm.raise(&subject, &text);
    }
}

/// Where a report goes.
struct Way {
    recipients: Vec<NewRecipient>,
    /// No route is for any of them.
    lost: bool,
}

impl Way {
    /// Whether any of it is due at once.
    fn waits(&self) -> bool {
        self.recipients
            .iter()
            .any(|one| one.state == NewState::Waiting)
    }
}

/// An error with what lies below it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text.push_str(": ");
        text.push_str(&below.to_string());
        cause = below.source();
    }
    text
}
