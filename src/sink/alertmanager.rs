//! Incidents as alerts of an Alertmanager, by its API
//! (<https://prometheus.io/docs/alerting/latest/alerts_api/>). Pure.
//!
//! Alertmanager forgets an alert whose end has passed, and all of them at its restart: it expects to
//! hear of what fires again and again. So an open incident always ends soon, and is sent anew before
//! it does; an alert outlives psiren by five minutes at most.

use std::collections::BTreeMap;

use serde::Serialize;

use super::channel::Around;
use super::facts;
use super::outbox::Pending;
use crate::drift::incident::ChangeKind;
use crate::drift::{IncidentChange, OpenIncident, Reason, words::short};
use crate::state::NoticeKind;
use crate::text::{page_of, rfc3339};

/// How long an alert fires after it was sent last.
const FIRES_MS: i64 = 5 * 60_000;
/// How long a test fires.
const TEST_MS: i64 = 60_000;
/// What `[labels]` may say otherwise.
const SEVERITY: &str = "warning";

/// One alert. Labels are what it is known by: they are the same when it fires and when it has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

/// What `pending` changes. A reminder changes nothing: what is open is sent again anyway.
pub(super) fn news(pending: &Pending, around: &Around<'_>, now_ms: i64) -> Vec<Alert> {
    let changes = pending.changes.iter().map(|change| {
        let change = &change.change;
        match change.kind {
            ChangeKind::Opened => alert(change, around, now_ms, now_ms + FIRES_MS),
            ChangeKind::Resolved => alert(change, around, now_ms, now_ms),
        }
    });
    let summary = pending.notice.as_ref();
    let summary = summary.filter(|notice| notice.kind == NoticeKind::CaughtUp);
    let open = summary.map(|notice| firing(&notice.open, around, now_ms));
    changes.chain(open.into_iter().flatten()).collect()
}

/// What is open, to fire for a while longer.
pub(super) fn firing(open: &[OpenIncident], around: &Around<'_>, now_ms: i64) -> Vec<Alert> {
    let open = open.iter().map(|incident| {
        let change = IncidentChange {
            feature: incident.feature.clone(),
            reason: incident.reason,
            kind: ChangeKind::Opened,
            value: incident.value,
            previous: None,
            since_ms: incident.since_ms,
            silenced: false,
        };
        alert(&change, around, now_ms, now_ms + FIRES_MS)
    });
    open.collect()
}

/// An alert that says it is a test and ends by itself.
pub(super) fn test_alert(labels: &BTreeMap<String, String>, now_ms: i64) -> Alert {
    Alert {
        labels: labelled(labels, &[("alertname", "PsirenTest")]),
        annotations: BTreeMap::from([
            ("summary", "Test message from psiren".to_owned()),
            (
                "description",
                "Nothing has drifted; somebody asked for this test. It ends within a minute."
                    .to_owned(),
            ),
        ]),
        starts_at: rfc3339(now_ms),
        ends_at: rfc3339(now_ms + TEST_MS),
        generator_url: None,
    }
}

/// An incident is opened by event time, an alert must not begin in the future.
fn alert(change: &IncidentChange, around: &Around<'_>, now_ms: i64, ends_ms: i64) -> Alert {
    let monitor = around.definition.monitor.as_str();
    let feature = (!change.feature.is_empty()).then_some(change.feature.as_str());
    let mut own = vec![
        ("alertname", "PsirenIncident"),
        ("monitor", monitor),
        ("reason", change.reason.as_str()),
    ];
    own.extend(feature.map(|feature| ("feature", feature)));
    Alert {
        labels: labelled(around.labels, &own),
        annotations: annotations(change, around),
        starts_at: rfc3339(change.since_ms.min(now_ms)),
        ends_at: rfc3339(ends_ms),
        generator_url: around.public_url.map(|url| page_of(url, monitor, feature)),
    }
}

/// The configured labels with psiren's own, which win.
fn labelled(
    configured: &BTreeMap<String, String>,
    own: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("severity".to_owned(), SEVERITY.to_owned())]);
    labels.extend(configured.clone());
    // Where the incident has no feature, no configured label stands in for it.
    for reserved in ["feature", "monitor", "reason"] {
        labels.remove(reserved);
    }
    labels.extend(own.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    labels
}

/// Words that an incident has while it is open as well as when it opens: each time that it is sent
/// the last ones hold.
fn annotations(change: &IncidentChange, around: &Around<'_>) -> BTreeMap<&'static str, String> {
    let (monitor, feature) = (&around.definition.monitor, &change.feature);
    let (value, threshold) = (change.value, facts::threshold(change, around.definition));
    let (summary, figure) = match change.reason {
        Reason::Psi => (
            format!("{feature} drifted on {monitor}"),
            figure("PSI", &short(value), threshold.map(short)),
        ),
        Reason::Missing => (
            format!("{feature} has missing values on {monitor}"),
            figure("missing", &percent(value), threshold.map(percent)),
        ),
        Reason::Invalid => (
            format!("{feature} has values of a wrong type on {monitor}"),
            figure("of a wrong type", &percent(value), threshold.map(percent)),
        ),
        Reason::Stale => (
            format!("no events on {monitor}"),
            "nothing was counted for a while, so no figure is up to date".to_owned(),
        ),
    };
    let since = rfc3339(change.since_ms);
    let since = since.map(|since| format!("; open since {since}"));
    BTreeMap::from([
        ("summary", summary),
        (
            "description",
            format!("{figure}{}", since.unwrap_or_default()),
        ),
        ("value", value.to_string()),
    ])
}

fn figure(what: &str, value: &str, threshold: Option<String>) -> String {
    let threshold = threshold.map(|threshold| format!(", threshold {threshold}"));
    format!("{what} {value}{}", threshold.unwrap_or_default())
}

fn percent(share: f64) -> String {
    format!("{} %", short(share * 100.0))
}
