//! A message as psiren's own JSON, for whatever takes it; `docs/webhook.md` describes it. Pure.
//!
//! Names are what they are in the event, and figures are numbers: nothing is escaped or rounded
//! for people. Within a version fields are only added.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::channel::Around;
use super::facts;
use super::outbox::{Attempt, Change, Evaluation, Pending};
use super::slack;
use crate::drift::incident::ChangeKind;
use crate::drift::{Definition, FeatureReport, OpenIncident, Reason, Trigger};
use crate::state::NoticeKind;
use crate::text::{dashboard_of, hex, page_of, rfc3339};

const VERSION: u32 = 1;

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    version: u32,
    id: String,
    kind: Kind,
    may_repeat: bool,
    monitor: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    sent_at: Option<String>,
    title: String,
    #[serde(flatten)]
    news: News<'a>,
    links: Links,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Incidents,
    Reminder,
    Summary,
    Test,
}

#[derive(Debug, Default, Serialize)]
struct News<'a> {
    opened: Vec<Incident<'a>>,
    resolved: Vec<Incident<'a>>,
    open: Vec<Incident<'a>>,
}

/// One incident; what is not known is null.
#[derive(Debug, Serialize)]
struct Incident<'a> {
    feature: Option<&'a str>,
    reason: Reason,
    value: f64,
    previous: Option<f64>,
    threshold: Option<f64>,
    since: Option<String>,
    trigger: Option<Trigger>,
    window: Option<Window>,
    events: Option<u64>,
    missing: Option<u64>,
    invalid: Option<u64>,
    reference: Option<&'a str>,
    definition: Option<&'a str>,
    moved: Option<Moved>,
}

#[derive(Debug, Serialize)]
struct Window {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Debug, Serialize)]
struct Moved {
    bucket: Option<String>,
    reference_share: f64,
    production_share: f64,
}

#[derive(Debug, Default, Serialize)]
struct Links {
    page: Option<String>,
    dashboard: Option<String>,
}

/// The document that tells `pending`.
pub(super) fn document<'a>(
    attempt: &'a Attempt,
    pending: &'a Pending,
    around: &Around<'a>,
    now_ms: i64,
) -> Document<'a> {
    let definition = around.definition;
    let news = news(pending, definition);
    Document {
        version: VERSION,
        id: id(attempt, pending),
        kind: kind(pending),
        may_repeat: pending.may_repeat,
        monitor: Some(&definition.monitor),
        labels: around.labels,
        sent_at: rfc3339(now_ms),
        title: format!(
            "{} · {}",
            slack::headline(pending, definition),
            definition.monitor
        ),
        news,
        links: Links {
            page: around
                .public_url
                .map(|url| page_of(url, &definition.monitor, None)),
            dashboard: around
                .dashboard_url
                .map(|url| dashboard_of(url, &definition.monitor)),
        },
    }
}

/// A document that says it is a test.
pub(super) fn test_document(labels: &BTreeMap<String, String>, now_ms: i64) -> Document<'_> {
    Document {
        version: VERSION,
        id: format!("test-{now_ms}"),
        kind: Kind::Test,
        may_repeat: false,
        monitor: None,
        labels,
        sent_at: rfc3339(now_ms),
        title: "Test message from psiren".to_owned(),
        news: News::default(),
        links: Links::default(),
    }
}

/// The same for every attempt to tell the same, also after a reload, and for no other news: sequence
/// numbers begin anew with a new state, so which incidents are told of is part of it.
fn id(attempt: &Attempt, pending: &Pending) -> String {
    let changes = pending.changes.iter().map(|change| &change.change);
    let changes = changes.map(|c| (&c.feature, c.reason, Some(c.kind), c.since_ms));
    let open = pending.notice.iter().flat_map(|notice| &notice.open);
    let open = open.map(|i| (&i.feature, i.reason, None, i.since_ms));
    let told: Vec<_> = changes.chain(open).collect();
    let told = serde_json::to_vec(&told).expect("there are no keys");
    let digest = hex(&Sha256::digest(told)[..6]);
    format!("{}-{}-{digest}", attempt.monitor, attempt.through)
}

fn kind(pending: &Pending) -> Kind {
    let notice = pending.notice.as_ref().map(|notice| notice.kind);
    match notice {
        _ if !pending.changes.is_empty() => Kind::Incidents,
        Some(NoticeKind::Reminder) => Kind::Reminder,
        Some(NoticeKind::CaughtUp) => Kind::Summary,
        Some(NoticeKind::Stale | NoticeKind::Unsilenced) | None => Kind::Incidents,
    }
}

/// Each list the worst first, as in every message.
fn news<'a>(pending: &'a Pending, definition: &'a Definition) -> News<'a> {
    let of = |kind: ChangeKind| {
        let changes = pending.changes.iter();
        let changes = changes.filter(move |c| c.change.kind == kind);
        worst_first(changes.map(|c| changed(c, definition)), definition)
    };
    let open = pending.notice.iter().flat_map(|notice| &notice.open);
    News {
        opened: of(ChangeKind::Opened),
        resolved: of(ChangeKind::Resolved),
        open: worst_first(open.map(still_open), definition),
    }
}

fn worst_first<'a>(
    incidents: impl Iterator<Item = Incident<'a>>,
    definition: &Definition,
) -> Vec<Incident<'a>> {
    let severity = |i: &Incident<'_>| {
        slack::severity(i.feature.unwrap_or_default(), i.reason, i.value, definition)
    };
    let mut incidents: Vec<_> = incidents.collect();
    incidents.sort_by(|a, b| severity(b).total_cmp(&severity(a)));
    incidents
}

fn changed<'a>(change: &'a Change, definition: &Definition) -> Incident<'a> {
    let c = &change.change;
    let evaluation = change.evaluation.as_ref();
    let report = evaluation.and_then(|e| e.feature.as_ref());
    Incident {
        previous: c.previous,
        threshold: facts::threshold(c, definition),
        trigger: evaluation.map(|e| e.trigger),
        window: evaluation.map(|e| Window {
            start: rfc3339(e.window.start_ms),
            end: rfc3339(e.window.end_ms),
        }),
        events: report.map(FeatureReport::records),
        missing: report.map(|r| r.missing),
        invalid: report.map(|r| r.invalid),
        reference: evaluation.map(|e| e.reference.as_str()),
        definition: evaluation.map(|e| e.definition.as_str()),
        moved: evaluation
            .filter(|_| c.reason == Reason::Psi)
            .and_then(|e| moved(&c.feature, e, definition)),
        ..incident(&c.feature, c.reason, c.value, c.since_ms)
    }
}

fn still_open(open: &OpenIncident) -> Incident<'_> {
    incident(&open.feature, open.reason, open.value, open.since_ms)
}

fn incident(feature: &str, reason: Reason, value: f64, since_ms: i64) -> Incident<'_> {
    Incident {
        feature: (!feature.is_empty()).then_some(feature),
        reason,
        value,
        previous: None,
        threshold: None,
        since: rfc3339(since_ms),
        trigger: None,
        window: None,
        events: None,
        missing: None,
        invalid: None,
        reference: None,
        definition: None,
        moved: None,
    }
}

fn moved(feature: &str, evaluation: &Evaluation, definition: &Definition) -> Option<Moved> {
    let moved = facts::moved(evaluation, definition.feature(feature)?, definition)?;
    Some(Moved {
        bucket: moved.words,
        reference_share: moved.reference,
        production_share: moved.production,
    })
}
