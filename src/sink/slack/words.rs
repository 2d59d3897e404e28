//! One incident in words: a section's text, and a message's headline.

use super::outbox::{Change, Evaluation, Notice, Pending};
use super::text::{duration, name, percent, time};
use crate::drift::incident::ChangeKind;
use crate::drift::{
    Binning, Definition, FeatureDefinition, FeatureReport, OpenIncident, Reason, Trigger,
};
use crate::sink::facts;
use crate::state::NoticeKind;
use crate::text::grouped;

/// The headline without the monitor: `3 features likely drifted, 1 back to normal`.
pub(super) fn headline(pending: &Pending, definition: &Definition) -> String {
    let count =
        |wanted: &dyn Fn(&Change) -> bool| pending.changes.iter().filter(|c| wanted(c)).count();
    let opened = |reason| move |c: &Change| is(c, ChangeKind::Opened) && c.change.reason == reason;
    let likely = |c: &Change| is_likely(c, definition);
    let mut parts = Vec::new();
    parts.extend(pending.changes.iter().find_map(silence));
    let drifted = count(&opened(Reason::Psi));
    let sure = count(&|c| opened(Reason::Psi)(c) && likely(c));
    parts.extend(features(sure, "likely drifted"));
    parts.extend(features(drifted - sure, "possibly drifted"));
    parts.extend(features(
        count(&opened(Reason::Missing)),
        "with missing values",
    ));
    parts.extend(features(
        count(&opened(Reason::Invalid)),
        "with invalid values",
    ));
    let ended = count(&|c| is(c, ChangeKind::Resolved) && c.change.reason != Reason::Stale);
    parts.extend(features(ended, "back to normal"));
    parts.extend(pending.notice.as_ref().map(standing));
    capitalised(&parts.join(", "))
}

fn is(change: &Change, kind: ChangeKind) -> bool {
    change.change.kind == kind
}

fn features(n: usize, what: &str) -> Option<String> {
    match n {
        0 => None,
        1 => Some(format!("1 feature {what}")),
        n => Some(format!("{n} features {what}")),
    }
}

fn silence(change: &Change) -> Option<String> {
    match (change.change.reason, change.change.kind) {
        (Reason::Stale, ChangeKind::Opened) => {
            Some(format!("no events for {}", duration(change.change.value)))
        }
        (Reason::Stale, ChangeKind::Resolved) => Some("events are back".to_owned()),
        _ => None,
    }
}

fn standing(notice: &Notice) -> String {
    let open = match notice.open.len() {
        0 => "nothing is".to_owned(),
        1 => "1 incident is".to_owned(),
        n => format!("{n} incidents are"),
    };
    match notice.kind {
        NoticeKind::CaughtUp => format!("caught up: {open} open"),
        NoticeKind::Reminder | NoticeKind::Stale | NoticeKind::Unsilenced => {
            format!("{open} still open")
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

fn is_likely(change: &Change, definition: &Definition) -> bool {
    match definition.feature(&change.change.feature) {
        Some(feature) => change.change.value > feature.thresholds.likely,
        None => true,
    }
}

/// How bad an incident is, to sort the worst first: reason, then figure over threshold.
pub(super) fn severity(feature: &str, reason: Reason, value: f64, definition: &Definition) -> f64 {
    let likely = definition.feature(feature).map(|f| f.thresholds.likely);
    match reason {
        Reason::Stale => f64::INFINITY,
        Reason::Psi => 10.0 + value / likely.unwrap_or(1.0).max(f64::MIN_POSITIVE),
        Reason::Missing => 1.0 + value,
        Reason::Invalid => value,
    }
}

/// The text of a change's section.
pub(super) fn change(change: &Change, definition: &Definition) -> String {
    let feature = definition.feature(&change.change.feature);
    let mut lines = vec![verdict(change, definition)];
    if is(change, ChangeKind::Opened) && change.evaluation.is_none() {
        // Only the end of a silence tells of a feature without an evaluation.
        match change.change.reason {
            Reason::Stale => {}
            _ => lines.push(format!(
                "open since {}, under a silence that is over",
                time(change.change.since_ms)
            )),
        }
    }
    if let Some(evaluation) = &change.evaluation {
        if is(change, ChangeKind::Opened) && change.change.reason == Reason::Psi {
            lines.extend(moved(evaluation, feature, definition));
        }
        lines.push(place(evaluation));
    }
    lines.join("\n")
}

fn verdict(change: &Change, definition: &Definition) -> String {
    let c = &change.change;
    let feature = definition.feature(&c.feature);
    let name = name(&c.feature);
    let before = |shown: fn(f64) -> String| match (c.previous, &change.evaluation) {
        (Some(previous), _) => format!("before {}", shown(previous)),
        (None, Some(_)) => "no figure before".to_owned(),
        (None, None) => "latest figure".to_owned(),
    };
    let since = format!("open since {}", time(c.since_ms));
    let psi_notes = || match facts::threshold(c, definition) {
        Some(threshold) => format!("threshold {threshold}, {}", before(psi)),
        None => before(psi),
    };
    match (c.reason, c.kind) {
        (Reason::Psi, ChangeKind::Opened) => {
            format!("*{name}* · PSI *{}* ({})", psi(c.value), psi_notes())
        }
        (Reason::Psi, ChangeKind::Resolved) => format!(
            "*{name}* is back to normal · PSI {} ({}) · {since}",
            psi(c.value),
            psi_notes()
        ),
        (Reason::Missing, ChangeKind::Opened) => {
            let usual = feature.map(|f| f.reference.missing_share());
            let usual = usual.map(|u| format!("reference {}, ", percent(u)));
            format!(
                "*{name}* · *{}* missing ({}{})",
                percent(c.value),
                usual.unwrap_or_default(),
                before(percent)
            )
        }
        (Reason::Missing, ChangeKind::Resolved) => format!(
            "*{name}* has its values again · {} missing ({}) · {since}",
            percent(c.value),
            before(percent)
        ),
        (Reason::Invalid, ChangeKind::Opened) => format!(
            "*{name}* · *{}* of a wrong type ({})",
            percent(c.value),
            before(percent)
        ),
        (Reason::Invalid, ChangeKind::Resolved) => format!(
            "*{name}* has the right type again · {} of a wrong one ({}) · {since}",
            percent(c.value),
            before(percent)
        ),
        (Reason::Stale, ChangeKind::Opened) => format!(
            "*No events* counted for {}. No figure is up to date.",
            duration(c.value)
        ),
        (Reason::Stale, ChangeKind::Resolved) => {
            format!("*Events are back* after {}.", duration(c.value))
        }
    }
}

/// The bucket with the greatest term of the PSI: `dep_delay &gt; 32: 10 % → 19 %`.
fn moved(
    evaluation: &Evaluation,
    feature: Option<&FeatureDefinition>,
    definition: &Definition,
) -> Option<String> {
    let feature = feature?;
    let moved = facts::moved(evaluation, feature, definition)?;
    Some(format!(
        "{}: {} → {}",
        bucket(feature, moved.bucket),
        percent(moved.reference),
        percent(moved.production)
    ))
}

/// What bucket `i` holds, as a condition on the feature.
fn bucket(feature: &FeatureDefinition, i: usize) -> String {
    let binning = &feature.reference.binning;
    let shown = name(feature.name());
    if i >= binning.buckets() {
        return format!("{shown} missing");
    }
    match binning {
        Binning::Numeric { .. } => {
            let range = name(&binning.bucket_range(i));
            match range.starts_with(['(', '[']) {
                true => format!("{shown} in {range}"),
                false => format!("{shown} {range}"),
            }
        }
        Binning::Categorical { categories, .. } if i >= categories.len() => {
            format!("{shown} is rare or unseen")
        }
        Binning::Categorical { .. } if feature.redact => format!("{shown} is one of its values"),
        Binning::Categorical { .. } => format!("{shown} = {}", name(&binning.bucket_range(i))),
    }
}

fn place(evaluation: &Evaluation) -> String {
    let events = evaluation.feature.as_ref().map(FeatureReport::records);
    let events = events.map(|n| format!("{} events · ", grouped(n)));
    let manual = match evaluation.trigger {
        Trigger::Manual => " · manual check",
        Trigger::Final | Trigger::Live => "",
    };
    let (start, end) = (evaluation.window.start_ms, evaluation.window.end_ms);
    format!(
        "{}{} – {}{manual}",
        events.unwrap_or_default(),
        time(start),
        time(end)
    )
}

/// The text of the section of an incident that is open.
pub(super) fn open(incident: &OpenIncident) -> String {
    let name = name(&incident.feature);
    let since = format!("since {}", time(incident.since_ms));
    match incident.reason {
        Reason::Psi => format!("*{name}* · PSI *{}* · {since}", psi(incident.value)),
        Reason::Missing => format!("*{name}* · *{}* missing · {since}", percent(incident.value)),
        Reason::Invalid => format!(
            "*{name}* · *{}* of a wrong type · {since}",
            percent(incident.value)
        ),
        Reason::Stale => format!("*No events* · {since}"),
    }
}

/// `dep_delay PSI 0.412`, for the fallback text.
pub(super) fn brief(feature: &str, reason: Reason, value: f64) -> Option<String> {
    let name = name(feature);
    match reason {
        Reason::Psi => Some(format!("{name} PSI {}", psi(value))),
        Reason::Missing => Some(format!("{name} {} missing", percent(value))),
        Reason::Invalid => Some(format!("{name} {} invalid", percent(value))),
        Reason::Stale => None,
    }
}

fn psi(value: f64) -> String {
    format!("{value:.3}")
}
