//! What Slack is told: a message in its blocks and its markup. How it gets there is the business of
//! the receiver, which is the same for every channel.

mod render;
mod text;
mod words;

use std::collections::BTreeMap;

use serde_json::Value;

use super::channel::Around;
use super::outbox;
use super::outbox::Pending;
use crate::drift::{Definition, Reason};

/// The message of one monitor; `mention` is Slack markup.
pub(super) fn message(pending: &Pending, around: &Around<'_>, mention: Option<&str>) -> Value {
    let surroundings = render::Surroundings {
        definition: around.definition,
        labels: around.labels,
        mention,
        public_url: around.public_url,
        dashboard_url: around.dashboard_url,
    };
    render::message(pending, &surroundings)
}

/// A message that says it is a test.
pub(super) fn test_message(labels: &BTreeMap<String, String>) -> Value {
    render::test_message(labels)
}

/// What happened in a few words, for every channel: they hold no name, and so no markup.
pub(super) fn headline(pending: &Pending, definition: &Definition) -> String {
    words::headline(pending, definition)
}

/// How bad an incident is; greater is worse.
pub(super) fn severity(feature: &str, reason: Reason, value: f64, definition: &Definition) -> f64 {
    words::severity(feature, reason, value, definition)
}
