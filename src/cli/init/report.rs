//! What was found, in words: for the comments of the file, and on standard error.

use std::path::Path;

use anyhow::Result;

use super::SERVERS;
use super::draft::{Draft, Timing};
use super::events::{Events, Place, Span};
use super::topic::Looked;
use crate::app::now_ms;
use crate::cli::checklist::Checklist;
use crate::cli::terminal::{QUIET, TITLE};
use crate::cli::words::{distance, listed, time};
use crate::config::Environment;
use crate::drift::FeatureKind;
use crate::text::{counted, grouped};

/// Fields that are named at most, and columns that are left out.
const NAMED: usize = 5;
const LEFT_OUT: usize = 10;

/// The one field that can be event time, or why it is the record's.
pub(super) fn timing(events: &Events) -> Timing {
    let now = now_ms();
    let seen = |span: Option<Span>| match span {
        Some(span) => format!(
            "{} to {}, the latest {}",
            time(span.from_ms),
            time(span.to_ms),
            distance(span.to_ms, now)
        ),
        None => "text without an offset from UTC; which time zone is it?".to_owned(),
    };
    let own = match events.stamps {
        Some(span) => format!("Timestamps of the records: {}.", seen(Some(span))),
        None => "The records have no timestamp of their own.".to_owned(),
    };
    if events.objects == 0 {
        return Timing {
            reasons: vec!["No event was there to look for it in.".to_owned()],
            ..Timing::default()
        };
    }
    let times = events.times();
    let mut usable = times.iter().filter(|t| t.span.is_some());
    if let (Some(field), None) = (usable.next(), usable.next()) {
        let name = field.path.join(".");
        return Timing {
            field: Some(field.path.clone()),
            reasons: vec![
                format!(
                    "{name:?} is the one field that is a time: {}.",
                    seen(field.span)
                ),
                own,
            ],
            others: Vec::new(),
        };
    }
    let why = match times.len() {
        0 => "No field of the events is a time in nearly all of them.",
        1 => "One field of the events could be it:",
        _ => "Several fields of the events are times; choose the one the windows are about:",
    };
    let others = times.into_iter().take(NAMED);
    Timing {
        field: None,
        reasons: vec![own, why.to_owned()],
        others: others
            .map(|t| (t.path, t.span.is_none(), seen(t.span)))
            .collect(),
    }
}

pub(super) fn reference(path: &Path, draft: &Draft, list: &mut Checklist) -> Result<()> {
    let kind = |wanted| {
        let kinds = draft.features.iter().map(|f| f.of.reference.binning.kind());
        grouped(kinds.filter(|kind| *kind == wanted).count() as u64)
    };
    let title = format!(
        "reference {}: {}, {} numeric and {} categorical",
        path.display(),
        counted(draft.features.len() as u64, "feature"),
        kind(FeatureKind::Numeric),
        kind(FeatureKind::Categorical)
    );
    let left_out = draft.left_out.iter();
    let left_out = left_out.map(|c| format!("left out: {}: {}", c.name, c.reason));
    let more = draft.left_out.len().saturating_sub(LEFT_OUT);
    let more = (more > 0).then(|| format!("and {more} more, which the file names"));
    list.ok(title, left_out.take(LEFT_OUT).chain(more))
}

pub(super) fn topic(draft: &Draft, looked: &Looked, list: &mut Checklist) -> Result<()> {
    let events = &looked.events;
    let title = format!(
        "topic {:?} at {}: {}, up to {}; looked at {}",
        draft.topic,
        draft.kafka.servers,
        counted(looked.partitions as u64, "partition"),
        counted(looked.log, "record"),
        grouped(events.records),
    );
    list.judged(looked.silent.is_empty(), title, looked.silent.clone())?;
    if events.records == 0 {
        let todo = "it is empty: fields and times stay open; try again when there are events";
        return list.warning("events", [todo.to_owned()]);
    }
    if events.objects < events.records {
        list.warning("events", unread(events))?;
    }
    if events.objects == 0 {
        return Ok(());
    }
    event_time(&draft.timing, list)?;
    features(draft, list)?;
    let window = draft.proposal.window;
    let title = format!(
        "windows of {} every {}",
        crate::config::durations::show(window.size_ms),
        crate::config::durations::show(window.slide_ms)
    );
    list.judged(draft.proposal.enough, title, draft.proposal.reasons.clone())
}

fn unread(events: &Events) -> Vec<String> {
    let mut lines = vec![format!(
        "no JSON objects, which is what psiren reads: {} of {}",
        grouped(events.records - events.objects),
        counted(events.records, "record")
    )];
    if events.framed {
        lines.push(
            "one begins as Avro or Protobuf of a Schema Registry does; those are not read"
                .to_owned(),
        );
    }
    lines
}

fn event_time(timing: &Timing, list: &mut Checklist) -> Result<()> {
    let mut lines = timing.reasons.clone();
    let others = timing.others.iter();
    lines.extend(others.map(|(path, _, why)| format!("{:?}: {why}", path.join("."))));
    match &timing.field {
        Some(field) => list.ok(format!("event time: field {:?}", field.join(".")), lines),
        None => {
            let good = timing.others.is_empty();
            list.judged(good, "event time: the record's timestamp", lines)
        }
    }
}

fn features(draft: &Draft, list: &mut Checklist) -> Result<()> {
    let mut lines = Vec::new();
    let mut nowhere = Vec::new();
    let mut open = 0;
    for feature in &draft.features {
        let name = &feature.of.reference.name;
        match &feature.place {
            Some(Place::Elsewhere(paths)) => {
                let found: Vec<String> =
                    paths.iter().map(|p| format!("{:?}", p.join("."))).collect();
                open += usize::from(found.len() > 1);
                let choose = match found.len() {
                    1 => "",
                    _ => "; choose one by `path`",
                };
                lines.push(format!("{name} is at {}{choose}", listed(&found)));
            }
            Some(Place::Nowhere) => nowhere.push(name.clone()),
            Some(Place::Top { .. }) | None => {
                let wrong = feature.wrong_types();
                if !wrong.is_empty() {
                    open += 1;
                    lines.push(format!(
                        "{name} is found as {}, which is invalid for it",
                        wrong.join(" and ")
                    ));
                }
            }
        }
    }
    let total = draft.features.len() as u64;
    let found = total - nowhere.len() as u64;
    if !nowhere.is_empty() {
        open += nowhere.len();
        lines.push(format!("in no event: {}", nowhere.join(", ")));
        lines.push("are they elsewhere? Set `path`, or `exclude` them".to_owned());
    }
    let title = format!("{} of {} found", grouped(found), counted(total, "feature"));
    list.judged(open == 0, title, lines)
}

/// What was written, and what to do with it.
pub(super) fn next(output: &Path, environment: &Environment, servers: &str) -> Result<()> {
    let (written, file) = match output.to_str() {
        Some("-") => (
            "save it, as psiren.toml for instance".to_owned(),
            "psiren.toml".to_owned(),
        ),
        _ => (format!("{} is written", output.display()), quoted(output)),
    };
    anstream::eprintln!(
        "\n{TITLE}{written}{TITLE:#}; next:\n  psiren validate --config {file}   {QUIET}# everything `run` would refuse{QUIET:#}\n  psiren run --config {file}"
    );
    if environment.get(SERVERS).is_some_and(|own| own != servers) {
        anstream::eprintln!(
            "{SERVERS} is set to other brokers than {servers}, and beats the file: unset it"
        );
    }
    Ok(())
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
