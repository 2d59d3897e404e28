//! Transactions of the local store, one writer at a time.
//!
//! A transaction that failed may have become durable all the same: its last `fsync` failed, or the
//! disk gave up right after it. Doing it again would put a report into the log twice. So every
//! transaction writes a random token, and the token that is found when the store has been opened
//! again says whether the last one got through. Most are settled on the spot. One that is not,
//! because the disk still fails, has been reported as failed; it is settled before the next
//! transaction begins, and if it did get through, its repetition is answered without being done.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{MutexGuard, PoisonError};

use redb::{ReadTransaction, WriteTransaction};

use super::failure::Failure;
use super::{LocalStore, tables};
use crate::state::StateError;

/// What the one writer at a time has to remember.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The last transaction, when it failed and nobody could tell whether it got through.
    doubt: Option<Doubt>,
    /// By monitor: the content of transactions that were reported as failed but got through.
    landed: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug)]
struct Doubt {
    token: u64,
    monitor: String,
    content: Vec<u8>,
}

/// How a transaction failed.
struct WriteFailure {
    error: StateError,
    /// Its token, when it may have got through nevertheless.
    in_doubt: Option<u64>,
}

impl LocalStore {
    /// Runs `work` in one transaction that is durable when this returns. Repeating `work` that
    /// got through must do no harm.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        let mut writer = self.writer();
        self.settle(&mut writer)?;
        self.transact(work).map_err(|failure| failure.error)
    }

    /// As [`write`](Self::write), for work of which a repetition would do harm. `content` tells
    /// one work of `monitor` from the next; `repeated` answers for work that was done.
    pub(super) fn write_once<T>(
        &self,
        monitor: &str,
        content: impl Fn() -> Vec<u8>,
        repeated: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        let mut writer = self.writer();
        self.settle(&mut writer)?;
        if writer.landed.get(monitor).is_some_and(|c| *c == content()) {
            let answer = self.read(repeated)?;
            writer.landed.remove(monitor);
            return Ok(answer);
        }
        let result = self.transact(work);
        if !matches!(result, Err(WriteFailure { in_doubt: None, .. })) {
            writer.landed.remove(monitor);
        }
        result.map_err(|failure| {
            writer.doubt = failure.in_doubt.map(|token| Doubt {
                token,
                monitor: monitor.to_owned(),
                content: content(),
            });
            failure.error
        })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds out about the transaction in doubt, before another one hides its token.
    fn settle(&self, writer: &mut Writer) -> Result<(), StateError> {
        let Some(doubt) = &writer.doubt else {
            return Ok(());
        };
        let got_through = self.last_write()? == doubt.token;
        if let Some(doubt) = writer.doubt.take().filter(|_| got_through) {
            writer.landed.insert(doubt.monitor, doubt.content);
        }
        Ok(())
    }

    /// To be called with the writer held.
    fn transact<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, WriteFailure> {
        let token = RandomState::new().build_hasher().finish();
        let mut done = None;
        let committed = self.using(|database| {
            let txn = database.begin_write()?;
            let value = work(&txn)?;
            txn.open_table(tables::META)?
                .insert(tables::META_LAST_WRITE, token)?;
            done = Some(value);
            Ok(txn.commit()?)
        });
        let got_through = match (&committed, &done) {
            (Ok(()), _) => Ok(true),
            (Err(_), None) => Ok(false),
            (Err(_), Some(_)) => self.last_write().map(|last| last == token),
        };
        match (committed, done, got_through) {
            (Ok(()), Some(value), Ok(true)) => Ok(value),
            (Err(error), Some(value), Ok(true)) => {
                tracing::warn!("{error}; what was to be written is there nevertheless");
                Ok(value)
            }
            (Err(error), _, Ok(_)) => Err(WriteFailure {
                error,
                in_doubt: None,
            }),
            (Err(error), _, Err(_)) => Err(WriteFailure {
                error,
                in_doubt: Some(token),
            }),
            (Ok(()), _, _) => unreachable!("work that was committed gave a value"),
        }
    }

    fn last_write(&self) -> Result<u64, StateError> {
        self.read(|txn| tables::meta(&txn.open_table(tables::META)?, tables::META_LAST_WRITE))
    }
}
