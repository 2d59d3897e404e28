//! Where logs end, asked of the broker off the consuming loop.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::assigner::AssignerCommand;

const ANSWER: Duration = Duration::from_secs(30);

/// Asks the assigner, which has a client of its own.
#[derive(Clone)]
pub(crate) struct Ends {
    pub commands: Sender<AssignerCommand>,
    /// Ends the wait for an answer.
    pub shutdown: CancellationToken,
}

impl Ends {
    /// The end offset of each partition now; `None` when the broker does not answer for all.
    pub(crate) async fn ask(&self, topic: &str, partitions: &[i32]) -> Option<BTreeMap<i32, i64>> {
        let (reply, answer) = oneshot::channel();
        let command = AssignerCommand::Ends {
            topic: topic.to_owned(),
            partitions: partitions.to_vec(),
            reply,
        };
        self.commands.send(command).ok()?;
        tokio::select! {
            () = self.shutdown.cancelled() => None,
            answered = tokio::time::timeout(ANSWER, answer) => answered.ok()?.ok()?,
        }
    }
}
