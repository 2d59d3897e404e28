//! When drift becomes an incident, and when it is over.
//!
//! One incident per feature and reason, opened after `for_windows` consecutive final windows and
//! resolved after `resolve_windows`. A window without a verdict (filling, too few values) breaks
//! both runs and changes nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::{Definition, DriftReport, FeatureDefinition, FeatureReport};
use super::status::DriftStatus;

/// Why an incident is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The PSI is above the threshold.
    Psi,
    /// More values are missing than in the reference.
    Missing,
    /// More values are of a wrong type than in the reference, which has none.
    Invalid,
    /// The monitor has counted nothing for `stale_after`; its feature is empty.
    Stale,
}

impl Reason {
    pub const FEATURE: [Self; 3] = [Self::Psi, Self::Missing, Self::Invalid];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Stale => "stale",
        }
    }
}

/// When incidents open and end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IncidentRules {
    /// The least status that opens one: possible or likely drift.
    pub alert_on: DriftStatus,
    /// Consecutive final windows, at least 1.
    pub for_windows: u32,
    /// A `psi` incident ends at or below this; by default 0.8 of the threshold that opens it.
    pub resolve_below: Option<f64>,
    /// Consecutive final windows, at least 1.
    pub resolve_windows: u32,
    /// How far the missing share may rise above the reference's, as a share in [0, 1].
    pub missing_above: f64,
    /// How far the invalid share may rise above 0.
    pub invalid_above: f64,
}

impl Default for IncidentRules {
    fn default() -> Self {
        Self {
            alert_on: DriftStatus::LikelyDrift,
            for_windows: 1,
            resolve_below: None,
            resolve_windows: 1,
            missing_above: 0.1,
            invalid_above: 0.1,
        }
    }
}

/// What became of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Opened,
    Resolved,
}

/// An incident that opened or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentChange {
    /// Empty for `stale`.
    pub feature: String,
    pub reason: Reason,
    pub kind: ChangeKind,
    /// The figure that decided: a PSI, or a share in [0, 1]; for `stale` seconds of silence.
    pub value: f64,
    /// The figure of the window before, when there was one; for one that ended, the last figure.
    pub previous: Option<f64>,
    /// When the incident opened: the end of that window, event time.
    pub since_ms: i64,
    /// Nobody is told of it: the incident opened under a [silence](super::silence).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silenced: bool,
}

/// An incident that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIncident {
    pub feature: String,
    pub reason: Reason,
    pub since_ms: i64,
    /// The latest figure, as in [`IncidentChange::value`].
    pub value: f64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Entry {
    since_ms: Option<i64>,
    /// Consecutive windows that point the other way: above while closed, below while open.
    run: u32,
    value: Option<f64>,
}

/// The incidents of one monitor; durable between restarts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IncidentBook {
    entries: BTreeMap<String, BTreeMap<Reason, Entry>>,
}

/// What a window says about one reason.
enum Verdict {
    Above(f64),
    Below(f64),
    /// Between the two bars: keeps an open incident open and opens none.
    Between(f64),
    None(Option<f64>),
}

impl IncidentBook {
    /// Takes in a final report and says what opened and what ended, in the report's order.
    pub fn observe(
        &mut self,
        definition: &Definition,
        report: &DriftReport,
    ) -> Vec<IncidentChange> {
        if report.is_filling() {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (feature, judged) in definition.features.iter().zip(&report.features) {
            for reason in Reason::FEATURE {
                let verdict = verdict(&definition.incidents, feature, judged, reason);
                let entry = self.entry(feature.name(), reason);
                let (rules, end) = (&definition.incidents, report.window.end_ms);
                if let Some(change) = entry.step(rules, verdict, end) {
                    changes.push(change.named(feature.name(), reason));
                }
            }
        }
        changes
    }

    /// Takes in a manual report: it may open incidents where one window is enough; it ends none
    /// and counts towards nothing.
    pub fn observe_manual(
        &mut self,
        definition: &Definition,
        report: &DriftReport,
    ) -> Vec<IncidentChange> {
        if report.is_filling() || definition.incidents.for_windows > 1 {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (feature, judged) in definition.features.iter().zip(&report.features) {
            for reason in Reason::FEATURE {
                let verdict = verdict(&definition.incidents, feature, judged, reason);
                let entry = self.entry(feature.name(), reason);
                if let (Verdict::Above(value), None) = (verdict, entry.since_ms) {
                    let change = entry.open(value, report.window.end_ms);
                    changes.push(change.named(feature.name(), reason));
                }
            }
        }
        changes
    }

    /// Opens or ends the monitor's `stale` incident. `silent_s` is how long nothing was counted.
    pub fn set_stale(&mut self, stale: bool, silent_s: f64, at_ms: i64) -> Option<IncidentChange> {
        let entry = self.entry("", Reason::Stale);
        let change = match (stale, entry.since_ms) {
            (true, None) => entry.open(silent_s, at_ms),
            (false, Some(_)) => entry.resolve(silent_s)?,
            _ => return None,
        };
        Some(change.named("", Reason::Stale))
    }

    /// Everything open, by feature name, then reason.
    #[must_use]
    pub fn open(&self) -> Vec<OpenIncident> {
        let mut open = Vec::new();
        for (feature, reasons) in &self.entries {
            for (reason, entry) in reasons {
                if let Some(since_ms) = entry.since_ms {
                    open.push(OpenIncident {
                        feature: feature.clone(),
                        reason: *reason,
                        since_ms,
                        value: entry.value.unwrap_or_default(),
                    });
                }
            }
        }
        open
    }

    #[must_use]
    pub fn is_open(&self, feature: &str, reason: Reason) -> bool {
        self.entries
            .get(feature)
            .and_then(|reasons| reasons.get(&reason))
            .is_some_and(|entry| entry.since_ms.is_some())
    }

    /// Forgets features that are watched no more.
    pub fn retain(&mut self, definition: &Definition) {
        self.entries
            .retain(|name, _| name.is_empty() || definition.feature(name).is_some());
    }

    fn entry(&mut self, feature: &str, reason: Reason) -> &mut Entry {
        self.entries
            .entry(feature.to_owned())
            .or_default()
            .entry(reason)
            .or_default()
    }
}

fn verdict(
    rules: &IncidentRules,
    feature: &FeatureDefinition,
    judged: &FeatureReport,
    reason: Reason,
) -> Verdict {
    let share = |count: u64| count as f64 / judged.records() as f64;
    let above_share = |share: f64, limit: f64| match share > limit {
        true => Verdict::Above(share),
        false => Verdict::Below(share),
    };
    match reason {
        Reason::Psi => match (judged.psi, judged.status) {
            (psi, DriftStatus::InsufficientData) => Verdict::None(psi),
            (None, _) => Verdict::None(None),
            (Some(psi), status) if status >= rules.alert_on => Verdict::Above(psi),
            (Some(psi), _) if psi <= resolve_below(rules, feature) => Verdict::Below(psi),
            (Some(psi), _) => Verdict::Between(psi),
        },
        _ if judged.records() < feature.min_events.max(1) => Verdict::None(None),
        Reason::Missing => {
            let limit = feature.reference.missing_share() + rules.missing_above;
            above_share(share(judged.missing), limit)
        }
        Reason::Invalid => above_share(share(judged.invalid), rules.invalid_above),
        Reason::Stale => Verdict::None(None),
    }
}

fn resolve_below(rules: &IncidentRules, feature: &FeatureDefinition) -> f64 {
    let opens_at = match rules.alert_on {
        DriftStatus::PossibleDrift => feature.thresholds.possible,
        _ => feature.thresholds.likely,
    };
    rules.resolve_below.unwrap_or(0.8 * opens_at).min(opens_at)
}

/// A change that does not know yet whose it is.
struct Unnamed {
    kind: ChangeKind,
    value: f64,
    previous: Option<f64>,
    since_ms: i64,
}

impl Unnamed {
    fn named(self, feature: &str, reason: Reason) -> IncidentChange {
        IncidentChange {
            feature: feature.to_owned(),
            reason,
            kind: self.kind,
            value: self.value,
            previous: self.previous,
            since_ms: self.since_ms,
            silenced: false,
        }
    }
}

impl Entry {
    fn step(&mut self, rules: &IncidentRules, verdict: Verdict, end_ms: i64) -> Option<Unnamed> {
        let (value, against) = match (&verdict, self.since_ms) {
            (Verdict::Above(v), None) => (Some(*v), true),
            (Verdict::Below(v), Some(_)) => (Some(*v), true),
            (Verdict::Above(v) | Verdict::Below(v) | Verdict::Between(v), _) => (Some(*v), false),
            (Verdict::None(v), _) => (*v, false),
        };
        self.run = if against { self.run + 1 } else { 0 };
        let needed = match self.since_ms {
            None => rules.for_windows,
            Some(_) => rules.resolve_windows,
        };
        let turned = against && self.run >= needed.max(1);
        match (turned, value, self.since_ms) {
            (true, Some(value), None) => Some(self.open(value, end_ms)),
            (true, Some(value), Some(_)) => self.resolve(value),
            _ => {
                // An incident that is open has a figure, if not of the last window.
                if value.is_some() || self.since_ms.is_none() {
                    self.value = value;
                }
                None
            }
        }
    }

    fn open(&mut self, value: f64, since_ms: i64) -> Unnamed {
        self.since_ms = Some(since_ms);
        self.run = 0;
        Unnamed {
            kind: ChangeKind::Opened,
            value,
            previous: self.value.replace(value),
            since_ms,
        }
    }

    fn resolve(&mut self, value: f64) -> Option<Unnamed> {
        let since_ms = self.since_ms.take()?;
        self.run = 0;
        Some(Unnamed {
            kind: ChangeKind::Resolved,
            value,
            previous: self.value.replace(value),
            since_ms,
        })
    }
}

#[cfg(test)]
mod tests;
