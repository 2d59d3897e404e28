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
use crate::drift::Definition;
use crate::drift::incident::ChangeKind;
use crate::text::dashboard_of;

/// Sections of one feature each. Where there are more, the message is a digest.
const SECTIONS: usize = 10;
/// Of these a digest has a section each for the worst, and a line for others.
const WORST: usize = 3;
const LINES: usize = 40;
const LINES_PER_SECTION: usize = 10;
/// Characters all sections of features may have as JSON.
const BUDGET: usize = 10_000;
const HEADER: usize = 150;
const LABELS: usize = 600;
const FALLBACK: usize = 600;
const URL: usize = 1000;

/// What a message says besides its news.
pub(super) struct Surroundings<'a> {
    pub(super) definition: &'a Definition,
    pub(super) labels: &'a BTreeMap<String, String>,
    /// Slack markup.
    pub(super) mention: Option<&'a str>,
    pub(super) public_url: Option<&'a str>,
    pub(super) dashboard_url: Option<&'a str>,
}

/// One line of news.
struct Item {
    text: String,
    brief: Option<String>,
    /// Greater comes first.
    rank: (u8, f64),
}

const OPENED: u8 = 2;
const OPEN: u8 = 1;
const ENDED: u8 = 0;

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
    blocks.extend(match items.len() > SECTIONS {
        true => digest(&items, around),
        false => sections(&items),
    });
    blocks.extend(context(&notes(pending.may_repeat, around)));
    let briefs: Vec<&str> = items.iter().filter_map(|i| i.brief.as_deref()).collect();
    json!({ "text": fallback(&title, &briefs), "blocks": blocks })
}

/// A message that says it is a test.
pub(super) fn test_message(labels: &BTreeMap<String, String>) -> Value {
    let title = "Test message from psiren";
    let text =
        "Messages about drift will arrive here. Nothing has drifted; somebody asked for this test.";
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
                if opened { OPENED } else { ENDED },
                words::severity(&c.feature, c.reason, c.value, definition),
            ),
        }
    });
    let open = pending.notice.iter().flat_map(|notice| &notice.open);
    let open = open.map(|incident| Item {
        text: words::open(incident),
        brief: words::brief(&incident.feature, incident.reason, incident.value),
        rank: (
            OPEN,
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
    items.iter().map(|item| section(&item.text)).collect()
}

/// Many at once: the worst at length, the next in a line each, the rest as a number.
fn digest(items: &[Item], around: &Surroundings<'_>) -> Vec<Value> {
    let mut blocks = Vec::new();
    let opened = items.iter().filter(|item| item.rank.0 == OPENED).count();
    if 2 * opened >= around.definition.features.len() {
        blocks.push(section(
            "Half of the features or more at once: look at the pipeline first. A release, a join or a unit that changed is likelier than the world.",
        ));
    }
    let (worst, others) = items.split_at(WORST.min(items.len()));
    blocks.extend(sections(worst));
    let mut spent: usize = blocks.iter().map(|b| b.to_string().chars().count()).sum();
    let mut shown = worst.len();
    for few in others[..LINES.min(others.len())].chunks(LINES_PER_SECTION) {
        let lines: Vec<String> = few.iter().map(Item::line).collect();
        let block = section(&lines.join("\n"));
        spent += block.to_string().chars().count();
        if spent > BUDGET {
            break;
        }
        blocks.push(block);
        shown += few.len();
    }
    let left_out = items.len() - shown;
    if left_out > 0 {
        blocks.push(section(&match around.public_url {
            Some(url) => format!(
                "+ {left_out} more, {}",
                page_link(url, "all on psiren's page")
            ),
            None => format!("+ {left_out} more"),
        }));
    }
    blocks
}

impl Item {
    /// What a digest says of it: the verdict, which is its first line.
    fn line(&self) -> String {
        format!("• {}", self.text.lines().next().unwrap_or_default())
    }
}

fn page_link(public_url: &str, words: &str) -> String {
    link(&format!("{}/", public_url.trim_end_matches('/')), words)
}

/// The lines of the context block.
fn notes(may_repeat: bool, around: &Surroundings<'_>) -> Vec<String> {
    let mut notes = label_notes(around.labels);
    if let Some(url) = around.public_url {
        notes.push(page_link(url, "Open psiren"));
    }
    if let Some(url) = around.dashboard_url {
        let url = dashboard_of(url, &around.definition.monitor);
        notes.push(link(&url, "Open the dashboard"));
    }
    if may_repeat {
        notes.push("May repeat a message that already arrived.".to_owned());
    }
    notes
}

fn link(url: &str, words: &str) -> String {
    format!("<{}|{words}>", escaped(&url.replace('|', "%7C"), URL))
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

#[cfg(test)]
mod tests {
    use super::super::super::testing::{
        categorical, change, definition, entry, feature_report, numeric, report,
    };
    use super::super::outbox::Outbox;
    use super::*;
    use crate::drift::incident::ChangeKind::{Opened, Resolved};
    use crate::drift::{FeatureDefinition, IncidentChange, OpenIncident, Reason, Trigger};
    use crate::state::{LogBody, LogEntry, NoticeKind};

    fn render(entry: &LogEntry, features: Vec<FeatureDefinition>) -> Value {
        let mut outbox = Outbox::default();
        outbox.absorb(1, entry, true);
        let (_, pending) = outbox.next().unwrap();
        let labels = [("env", "prod"), ("region", "eu<1>")];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let around = Surroundings {
            definition: &definition(&entry.monitor, features),
            labels: &labels,
            mention: Some("<!subteam^S1>"),
            public_url: Some("https://psiren.example/drift/"),
            dashboard_url: Some("https://grafana.example/d/psiren-drift/psiren"),
        };
        let message = message(pending, &around);
        expect_limits(&message);
        message
    }

    /// Slack's limits, of which each refuses the whole message, and that no mark-up is of a name.
    #[track_caller]
    fn expect_limits(message: &Value) {
        let blocks = message["blocks"].as_array().unwrap();
        assert!((1..=50).contains(&blocks.len()));
        assert!(message["blocks"].to_string().chars().count() < 13_000);
        let length = |text: &Value| {
            let text = text["text"].as_str().unwrap();
            let n = text.chars().count();
            assert!(
                n > 0 && !text.chars().any(|c| c.is_control() && c != '\n'),
                "{text}"
            );
            n
        };
        for block in blocks {
            match block["type"].as_str().unwrap() {
                "header" => assert!(length(&block["text"]) <= HEADER, "{block:#}"),
                "section" => assert!(length(&block["text"]) <= 3000, "{block:#}"),
                "context" => {
                    let elements = block["elements"].as_array().unwrap();
                    assert!((1..=10).contains(&elements.len()), "{block:#}");
                    assert!(elements.iter().all(|e| length(e) <= 3000), "{block:#}");
                }
                other => panic!("a block of type {other}"),
            }
        }
        let text = message["text"].as_str().unwrap();
        assert!((1..=FALLBACK).contains(&text.chars().count()), "{text}");
    }

    fn of(feature: &str, reason: Reason, value: f64) -> IncidentChange {
        IncidentChange {
            reason,
            ..change(feature, Opened, value)
        }
    }

    fn notice(kind: NoticeKind, changes: Vec<IncidentChange>, open: Vec<OpenIncident>) -> LogEntry {
        entry(LogBody::Notice {
            kind,
            changes,
            open,
        })
    }

    fn open(feature: &str, value: f64) -> OpenIncident {
        OpenIncident {
            feature: feature.to_owned(),
            reason: Reason::Psi,
            since_ms: 1_362_096_000_000,
            value,
        }
    }

    #[test]
    fn an_evaluation_names_what_opened_and_what_ended_the_worst_first() {
        let mut report = report(
            "flights",
            1,
            vec![
                feature_report("dep_delay", 0.41, &[4000, 4000, 4345]),
                feature_report("carrier", 0.9, &[900, 90, 10]),
                feature_report("air_time", 0.1, &[500, 400, 100]),
                feature_report("temp", 0.1, &[300, 200, 100]),
            ],
        );
        report.changes = vec![
            change("dep_delay", Opened, 0.41),
            change("air_time", Resolved, 0.1),
            change("carrier", Opened, 0.9),
            of("temp", Reason::Missing, 0.42),
            of("dep_delay", Reason::Invalid, 0.2),
        ];
        let features = ["dep_delay", "air_time", "temp"].map(numeric).into();
        let mut features: Vec<FeatureDefinition> = features;
        features.push(categorical("carrier"));
        let message = render(&entry(LogBody::Report(report)), features);
        insta::assert_snapshot!(format!("{message:#}"));
    }

    #[test]
    fn a_redacted_feature_shows_no_category() {
        let mut report = report(
            "flights",
            1,
            vec![feature_report("carrier", 0.9, &[900, 90, 10])],
        );
        report.trigger = Trigger::Manual;
        report.changes = vec![change("carrier", Opened, 0.9)];
        let feature = FeatureDefinition {
            redact: true,
            ..categorical("carrier")
        };
        let text = render(&entry(LogBody::Report(report)), vec![feature]).to_string();
        assert!(
            text.contains("carrier is one of its values: 49 % → 9 %"),
            "{text}"
        );
        assert!(!text.contains("AA") && !text.contains("UA"), "{text}");
        assert!(text.contains("manual check"));
    }

    #[test]
    fn counts_of_another_reference_name_no_bucket() {
        let mut report = report("flights", 1, vec![feature_report("x", 0.9, &[900, 90, 10])]);
        report.reference = "another".to_owned();
        report.changes = vec![change("x", Opened, 0.9)];
        let text = render(&entry(LogBody::Report(report)), vec![numeric("x")]).to_string();
        assert!(!text.contains('→'), "{text}");
    }

    #[test]
    fn many_hostile_names_stay_within_the_limits() {
        let name = |i: usize| format!("<{i}&>\u{7}{}", "<&>".repeat(200));
        let features: Vec<String> = (0..60).map(name).collect();
        let judged = features.iter().map(|f| feature_report(f, 0.4, &[1, 2, 3]));
        let mut report = report(&"<m>".repeat(100), 1, judged.collect());
        report.changes = features.iter().map(|f| change(f, Opened, 0.4)).collect();
        let definitions = features.iter().map(|f| numeric(f)).collect();
        let message = render(&entry(LogBody::Report(report)), definitions);
        let header = message["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(header.starts_with("60 features likely drifted · &lt;m&gt;"));
        assert!(
            message
                .to_string()
                .contains("+ 17 more, <https://psiren.example/drift/|"),
            "{message:#}"
        );
    }

    #[test]
    fn many_at_once_are_a_digest() {
        let names: Vec<String> = (0..12).map(|i| format!("x{i:02}")).collect();
        let judged = names.iter().map(|f| feature_report(f, 0.4, &[1, 2, 3]));
        let mut report = report("flights", 1, judged.collect());
        let psi = |i: usize| 0.3 + 0.1 * i as f64;
        let changes = names.iter().enumerate();
        report.changes = changes.map(|(i, f)| change(f, Opened, psi(i))).collect();
        let definitions = names.iter().map(|f| numeric(f)).collect();
        let message = render(&entry(LogBody::Report(report)), definitions);
        insta::assert_snapshot!(format!("{message:#}"));
    }

    #[test]
    fn what_a_silence_hid_is_told_after_it_as_opened() {
        let entry = notice(
            NoticeKind::Unsilenced,
            vec![IncidentChange {
                previous: None,
                ..of("a", Reason::Psi, 0.4)
            }],
            vec![],
        );
        insta::assert_snapshot!(format!("{:#}", render(&entry, vec![numeric("a")])));
    }

    #[test]
    fn what_is_silenced_is_in_no_message() {
        let mut report = report("flights", 1, vec![feature_report("a", 0.4, &[1, 2, 3])]);
        report.changes = vec![IncidentChange {
            silenced: true,
            ..change("a", Opened, 0.4)
        }];
        let mut outbox = Outbox::default();
        outbox.absorb(1, &entry(LogBody::Report(report)), true);
        assert!(outbox.is_empty());
    }

    #[test]
    fn notices_say_what_is_open() {
        let texts = [
            notice(
                NoticeKind::Reminder,
                vec![],
                vec![open("a", 0.3), open("b", 0.6)],
            ),
            notice(NoticeKind::CaughtUp, vec![], vec![open("a", 0.3)]),
            notice(NoticeKind::CaughtUp, vec![], vec![]),
            notice(
                NoticeKind::Stale,
                vec![of("", Reason::Stale, 900.0)],
                vec![],
            ),
            notice(
                NoticeKind::Stale,
                vec![IncidentChange {
                    kind: Resolved,
                    ..of("", Reason::Stale, 5400.0)
                }],
                vec![],
            ),
        ]
        .map(|entry| format!("{:#}", render(&entry, vec![numeric("a"), numeric("b")])));
        insta::assert_snapshot!(texts.join("\n"));
    }
}
