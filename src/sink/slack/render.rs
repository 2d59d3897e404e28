//! A message as Slack takes it: `{"text": fallback, "blocks": […]}`. Pure.
//!
//! Limits are Slack's: 50 blocks, 150 characters in a header, 3,000 in a section
//! (<https://docs.slack.dev/reference/block-kit/blocks>), and about 13,000 in all blocks, above
//! which an incoming webhook answers `invalid_blocks`. Names are text, never markup: they are
//! escaped, and `verbatim` keeps Slack from making links of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::outbox::Pending;
use super::text::{escaped, name};
use super::words;
use crate::drift::incident::ChangeKind;
use crate::drift::Definition;

/// Sections of one feature each.
const SECTIONS: usize = 10;
/// Characters all sections of features may have as JSON.
const BUDGET: usize = 10_000;
const HEADER: usize = 150;
const LABELS: usize = 600;
const FALLBACK: usize = 600;

/// What a message says besides its news.
pub(super) struct Surroundings<'a> {
    pub(super) definition: &'a Definition,
    pub(super) labels: &'a BTreeMap<String, String>,
    /// Slack markup.
    pub(super) mention: Option<&'a str>,
    pub(super) public_url: Option<&'a str>,
}

/// One line of news.
struct Item {
    text: String,
    brief: Option<String>,
    /// Greater comes first.
    rank: (u8, f64),
}

/// The message of one monitor.
pub(super) fn message(pending: &Pending, around: &Surroundings<'_>) -> Value {
    let definition = around.definition;
    let headline = words::headline(pending, definition);
    let title = format!("{headline} · {}", name(&definition.monitor));
    let items = items(pending, definition);
    let mut blocks = vec![header(&title)];
    let opens = pending
        .changes
        .iter()
        .any(|c| c.change.kind == ChangeKind::Opened);
    if let (true, Some(mention)) = (opens, around.mention) {
        blocks.push(section(mention));
    }
    blocks.extend(sections(&items));
    blocks.extend(context(&notes(pending.may_repeat, around)));
    let briefs: Vec<&str> = items.iter().filter_map(|i| i.brief.as_deref()).collect();
    json!({ "text": fallback(&title, &briefs), "blocks": blocks })
}

/// A message that says it is a test.
pub(super) fn test_message(labels: &BTreeMap<String, String>) -> Value {
    let title = "Test message from psiren";
    let text = "Messages about drift will arrive here. Nothing has drifted; somebody asked for this test.";
    let mut blocks = vec![header(title), section(text)];
    blocks.extend(context(&label_notes(labels)));
    json!({ "text": title, "blocks": blocks })
}

/// What opened, then what is open, then what ended; each the worst first.
fn items(pending: &Pending, definition: &Definition) -> Vec<Item> {
    let changes = pending.changes.iter().map(|change| {
        let c = &change.change;
        let opened = c.kind == ChangeKind::Opened;
        Item {
            text: words::change(change, definition),
            brief: words::brief(&c.feature, c.reason, c.value),
            rank: (
                if opened { 2 } else { 0 },
                words::severity(&c.feature, c.reason, c.value, definition),
            ),
        }
    });
    let open = pending.notice.iter().flat_map(|notice| &notice.open);
    let open = open.map(|incident| Item {
        text: words::open(incident),
        brief: words::brief(&incident.feature, incident.reason, incident.value),
        rank: (
            1,
            words::severity(
                &incident.feature,
                incident.reason,
                incident.value,
                definition,
            ),
        ),
    });
    let mut items: Vec<Item> = changes.chain(open).collect();
    items.sort_by(|a, b| (b.rank.0.cmp(&a.rank.0)).then(b.rank.1.total_cmp(&a.rank.1)));
    items
}

fn sections(items: &[Item]) -> Vec<Value> {
    let mut blocks = Vec::new();
    let mut spent = 0;
    for item in items.iter().take(SECTIONS) {
        let block = section(&item.text);
        spent += block.to_string().chars().count();
        if spent > BUDGET {
            break;
        }
        blocks.push(block);
    }
    let left_out = items.len() - blocks.len();
    if left_out > 0 {
        blocks.push(section(&format!("+ {left_out} more")));
    }
    blocks
}

/// The lines of the context block.
fn notes(may_repeat: bool, around: &Surroundings<'_>) -> Vec<String> {
    let mut notes = label_notes(around.labels);
    if let Some(url) = around.public_url {
        let url = url.trim_end_matches('/').replace('|', "%7C");
        notes.push(format!("<{}/|Open psiren>", escaped(&url, 500)));
    }
    if may_repeat {
        notes.push("May repeat a message that already arrived.".to_owned());
    }
    notes
}

fn label_notes(labels: &BTreeMap<String, String>) -> Vec<String> {
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    match labels.is_empty() {
        true => Vec::new(),
        false => vec![escaped(&labels.join(" · "), LABELS)],
    }
}

fn header(title: &str) -> Value {
    let title = clipped(title, HEADER);
    json!({ "type": "header", "text": { "type": "plain_text", "text": title, "emoji": false } })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": markup(text) })
}

fn context(notes: &[String]) -> Option<Value> {
    let elements: Vec<Value> = notes.iter().map(|note| markup(note)).collect();
    (!elements.is_empty()).then(|| json!({ "type": "context", "elements": elements }))
}

fn markup(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

fn fallback(title: &str, briefs: &[&str]) -> String {
    match briefs.is_empty() {
        true => title.to_owned(),
        false => clipped(&format!("{title}: {}", briefs.join(", ")), FALLBACK),
    }
}

/// At most `limit` characters of escaped text, no entity cut in half.
fn clipped(escaped: &str, limit: usize) -> String {
    if escaped.chars().count() <= limit {
        return escaped.to_owned();
    }
    let kept: String = escaped.chars().take(limit - 1).collect();
    let whole = match kept.rsplit_once('&') {
        Some((before, entity)) if !entity.contains(';') => before,
        _ => &kept,
    };
    format!("{whole}…")
}
