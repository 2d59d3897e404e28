//! What a receiver was sent, held against what the report log says is news.
//!
//! A message is known by the incidents in it: monitor, feature, reason, opened or ended, end of the window.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use psiren::drift::incident::ChangeKind;
use psiren::drift::{IncidentChange, Reason};
use psiren::state::{LogBody, LogEntry};
use serde_json::Value;

/// The mark of a message that may have arrived before.
const MARK: &str = "May repeat a message that already arrived.";

/// Every change in the log was told, in one message, in the order of the log. One that was told again says that it may
/// repeat, and that happens at most once for each time psiren was killed.
pub(super) fn expect_told(entries: &[LogEntry], delivered: &[Value], kills: usize) -> Told {
    let expected = expected(entries);
    let mut told: BTreeMap<&str, Vec<&BTreeSet<String>>> = BTreeMap::new();
    let mut repeated = 0;
    let messages: Vec<Message> = delivered.iter().map(Message::read).collect();
    for message in &messages {
        let before = told.entry(&message.monitor).or_default();
        if before.last() == Some(&&message.changes) {
            let text = &message.text;
            assert!(message.marked, "told again without the mark: {text}");
            repeated += 1;
        } else {
            before.push(&message.changes);
        }
    }
    for (monitor, expected) in &expected {
        let told = told.remove(monitor.as_str()).unwrap_or_default();
        let differing = told
            .iter()
            .zip(expected)
            .find(|(told, news)| **told != *news);
        assert_eq!(differing, None, "messages of {monitor}");
        assert_eq!(told.len(), expected.len(), "messages of {monitor}");
    }
    assert!(told.is_empty(), "messages without news: {told:?}");
    assert!(repeated <= kills, "{repeated} repeated in {kills} kills");
    Told {
        messages: messages.len(),
        repeated,
    }
}

/// What the receiver heard.
pub(super) struct Told {
    pub(super) messages: usize,
    repeated: usize,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, repeated } = self;
        write!(f, "{messages} messages, {repeated} of them marked repeats")
    }
}

/// The changes of each message that is to be sent, by monitor.
fn expected(entries: &[LogEntry]) -> BTreeMap<String, Vec<BTreeSet<String>>> {
    let mut expected: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
    for entry in entries {
        let LogBody::Report(report) = &entry.body else {
            panic!("nothing but windows is told in these tests: {entry:?}");
        };
        assert!(entry.news, "no window is history in these tests");
        if !report.changes.is_empty() {
            let end = time(report.window.end_ms);
            let changes = report.changes.iter().map(|change| change_key(change, &end));
            let monitor = expected.entry(entry.monitor.clone()).or_default();
            monitor.push(changes.collect());
        }
    }
    expected
}

fn change_key(change: &IncidentChange, end: &str) -> String {
    let kind = match change.kind {
        ChangeKind::Opened => "opened",
        ChangeKind::Resolved => "resolved",
    };
    let reason = change.reason.as_str();
    format!("{} {reason} {kind} {end}", change.feature)
}

/// As messages write it.
fn time(ms: i64) -> String {
    let format = match ms.rem_euclid(60_000) {
        0 => "%Y-%m-%d %H:%M",
        _ => "%Y-%m-%d %H:%M:%S",
    };
    let time = Timestamp::from_millisecond(ms).expect("an instant");
    time.strftime(format).to_string()
}

struct Message {
    monitor: String,
    changes: BTreeSet<String>,
    marked: bool,
    text: String,
}

impl Message {
    fn read(message: &Value) -> Self {
        let text = message.to_string();
        let blocks = message["blocks"].as_array().expect("blocks");
        let of_type = |kind: &'static str| blocks.iter().filter(move |b| b["type"] == kind);
        let header = of_type("header").next().expect("a header");
        let header = header["text"]["text"].as_str().expect("a title");
        let (_, monitor) = header.rsplit_once(" · ").expect("a monitor's name");
        let sections = of_type("section").map(|b| b["text"]["text"].as_str().expect("text"));
        Self {
            monitor: monitor.to_owned(),
            changes: sections.map(read_section).collect(),
            marked: text.contains(MARK),
            text,
        }
    }
}

/// A section as [`change_key`] names it.
fn read_section(section: &str) -> String {
    let feature = section.split('*').nth(1).expect("a name in bold");
    let verdict = section.lines().next().expect("a verdict");
    let phrases = [
        (" is back to normal", Reason::Psi, "resolved"),
        (" has its values again", Reason::Missing, "resolved"),
        (" has the right type again", Reason::Invalid, "resolved"),
        (" · PSI *", Reason::Psi, "opened"),
        ("* missing (", Reason::Missing, "opened"),
        ("* of a wrong type (", Reason::Invalid, "opened"),
    ];
    let said = phrases.iter().find(|(phrase, ..)| verdict.contains(phrase));
    let (_, reason, kind) = said.unwrap_or_else(|| panic!("what is this? {section}"));
    let (_, end) = section.rsplit_once(" – ").expect("a window");
    let (_, end) = end.split_once('|').expect("a time for every reader");
    let end = end.strip_suffix(" UTC>").expect("a window in UTC");
    format!("{feature} {} {kind} {end}", reason.as_str())
}
