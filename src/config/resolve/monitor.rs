//! `[monitor.NAME]`: what one topic is compared with, in which windows, and when that is an alarm.

use std::path::PathBuf;

use toml::Spanned;

use super::Resolver;
use crate::config::raw::{
    RawAlertOn, RawMonitor, RawOnLogChange, RawSmoothing, RawWindow, Typed, Whole,
};
use crate::config::{MonitorConfig, OnLogChange, ReceiverConfig, defaults, durations};
use crate::drift::{DriftStatus, IncidentRules, PaneSpec, Smoothing, Thresholds, WindowSpec};

/// The longest name of a Kafka topic.
const TOPIC_LENGTH: usize = 249;
const A_DAY_MS: i64 = 86_400_000;
/// Panes that lateness may hold open in each partition; all of them are in every checkpoint.
const MOST_OPEN: i64 = 10_000;

impl Resolver<'_> {
    pub(super) fn monitor(
        &mut self,
        name: &Spanned<String>,
        raw: &RawMonitor,
        receivers: &[ReceiverConfig],
    ) -> MonitorConfig {
        self.check_name(name, "monitor");
        let topic = self.topic(name, &raw.topic);
        let reference = self.reference(name, &raw.reference);
        let window = self.window(name, &raw.window);
        let base = MonitorConfig::new(name.get_ref(), &topic, reference, window);
        let thresholds = self.thresholds(raw);
        let incidents = self.incidents(raw, thresholds);
        let binning = self.binning(raw);
        MonitorConfig {
            timestamp: raw.timestamp.as_ref().and_then(|t| self.timestamp(t)),
            filters: raw.r#where.iter().filter_map(|f| self.filter(f)).collect(),
            include: self.globs(raw.include.as_deref()).unwrap_or(base.include),
            exclude: self.globs(raw.exclude.as_deref()).unwrap_or(base.exclude),
            panes: self.panes(raw, base.panes),
            smoothing: self.smoothing(raw),
            features: self.features(raw, &binning, thresholds, &incidents),
            binning,
            thresholds,
            min_events: self.count(&raw.min_events, 1..=u64::MAX),
            missing: raw.missing.unwrap_or(base.missing),
            incidents,
            repeat_after_ms: self.positive(&raw.repeat_after, base.repeat_after_ms),
            alert_max_age_ms: self.positive(&raw.alert_max_age, base.alert_max_age_ms),
            idle_timeout_ms: self.positive(&raw.idle_timeout, base.idle_timeout_ms),
            live_interval_ms: self.positive(&raw.live_interval, base.live_interval_ms),
            stale_after_ms: self.positive(&raw.stale_after, base.stale_after_ms),
            notify: self.notify(raw, receivers),
            heartbeat_url: self.heartbeat_url(raw),
            start: self.start(&raw.start),
            on_log_change: match raw.on_log_change {
                Some(RawOnLogChange::Reset) => OnLogChange::Reset,
                Some(RawOnLogChange::Stop) | None => base.on_log_change,
            },
            strict: raw.strict.unwrap_or(base.strict),
            name: base.name,
            topic: base.topic,
            reference: base.reference,
            window,
        }
    }

    /// Names stand in URLs, series and file names.
    pub(super) fn check_name(&mut self, name: &Spanned<String>, what: &str) {
        let text = name.get_ref();
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if text.is_empty() || !text.chars().all(fits) {
            self.faults.add(
                name.span(),
                format!("found {text:?} as the name of a {what}"),
                "use letters, digits, `_`, `.` and `-`",
            );
        }
    }

    fn missing_key(&mut self, monitor: &Spanned<String>, key: &str, example: &str) {
        let name = monitor.get_ref();
        self.faults.add(
            monitor.span(),
            format!("the monitor `{name}` has no `{key}`"),
            format!("add one, such as {key} = {example}"),
        );
    }

    fn topic(&mut self, monitor: &Spanned<String>, raw: &Typed<String>) -> String {
        let Some(typed) = raw else {
            self.missing_key(monitor, "topic", "\"flights\"");
            return String::new();
        };
        let topic = typed.get_ref();
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let named =
            !topic.is_empty() && topic.len() <= TOPIC_LENGTH && topic != "." && topic != "..";
        if !named || !topic.chars().all(legal) {
            self.faults.add(
                typed.span(),
                format!("found {topic:?}, which cannot be the name of a Kafka topic"),
                format!("topics have 1 to {TOPIC_LENGTH} letters, digits, `.`, `_` and `-`"),
            );
        }
        topic.clone()
    }

    fn reference(&mut self, monitor: &Spanned<String>, raw: &Typed<String>) -> PathBuf {
        match self.text(raw) {
            Some(path) => self.folder.join(path),
            None => {
                self.missing_key(monitor, "reference", "\"reference.parquet\"");
                PathBuf::new()
            }
        }
    }

    fn window(&mut self, monitor: &Spanned<String>, raw: &Typed<RawWindow>) -> WindowSpec {
        let fallback = WindowSpec {
            size_ms: A_DAY_MS,
            slide_ms: A_DAY_MS,
        };
        let Some(table) = raw else {
            self.missing_key(monitor, "window", "{ size = \"7d\", slide = \"1d\" }");
            return fallback;
        };
        let RawWindow { size, slide, .. } = table.get_ref();
        for (key, given) in [("size", size.is_some()), ("slide", slide.is_some())] {
            if !given {
                self.faults.add(
                    table.span(),
                    format!("the window has no `{key}`"),
                    "write it like window = { size = \"7d\", slide = \"1d\" }",
                );
            }
        }
        let size_ms = self.at_least(size, 1, "more than 0");
        let slide_ms = self.at_least(slide, 1, "more than 0");
        let (Some(size_ms), Some(slide_ms), Some(slide)) = (size_ms, slide_ms, slide) else {
            return fallback;
        };
        if size_ms % slide_ms != 0 {
            let (size, slid) = (durations::show(size_ms), durations::show(slide_ms));
            self.faults.add(
                slide.span(),
                format!("the slide of {slid} does not divide the window's size of {size}"),
                divisors(size_ms, slide_ms),
            );
        }
        WindowSpec { size_ms, slide_ms }
    }

    /// An offset counts modulo the pane's width: only where panes begin matters.
    fn panes(&mut self, raw: &RawMonitor, base: PaneSpec) -> PaneSpec {
        let max_future_skew_ms = self.not_negative(&raw.max_future_skew, base.max_future_skew_ms);
        let Some(window) = raw.window.as_ref().map(Spanned::get_ref) else {
            return base;
        };
        let offset_ms = self.signed(&window.offset).unwrap_or(base.offset_ms);
        let lateness_ms = self.not_negative(&window.lateness, base.lateness_ms);
        let open = lateness_ms / base.width_ms;
        if let Some(typed) = window.lateness.as_ref().filter(|_| open > MOST_OPEN) {
            let lateness = durations::show(lateness_ms);
            let slide = durations::show(base.width_ms);
            self.faults.add(
                typed.span(),
                format!(
                    "a lateness of {lateness} holds {open} panes of {slide} open in each partition"
                ),
                format!("at most {MOST_OPEN} fit: choose a shorter lateness or a longer slide"),
            );
        }
        PaneSpec {
            width_ms: base.width_ms,
            offset_ms: offset_ms.rem_euclid(base.width_ms),
            lateness_ms,
            max_future_skew_ms,
        }
    }

    fn thresholds(&mut self, raw: &RawMonitor) -> Thresholds {
        let defaults = Thresholds::default();
        let Some(table) = &raw.thresholds else {
            return defaults;
        };
        let table = table.get_ref();
        self.threshold_pair(&table.possible, &table.likely, defaults)
    }

    fn incidents(&mut self, raw: &RawMonitor, thresholds: Thresholds) -> IncidentRules {
        let base = IncidentRules::default();
        let alert_on = match raw.alert_on {
            Some(RawAlertOn::Possible) => DriftStatus::PossibleDrift,
            Some(RawAlertOn::Likely) | None => base.alert_on,
        };
        let a_share = |share: f64| (0.0..=1.0).contains(&share);
        let mut share = |typed| self.number(typed, "a share from 0 to 1", a_share);
        let missing_above = share(&raw.missing_above).unwrap_or(base.missing_above);
        let invalid_above = share(&raw.invalid_above).unwrap_or(base.invalid_above);
        let rules = IncidentRules {
            alert_on,
            for_windows: self.windows(&raw.for_windows, base.for_windows),
            resolve_below: self.resolve_below(raw),
            resolve_windows: self.windows(&raw.resolve_windows, base.resolve_windows),
            missing_above,
            invalid_above,
        };
        if let Some(typed) = &raw.resolve_below {
            self.check_resolve_below(typed.span(), &rules, thresholds);
        }
        rules
    }

    fn windows(&mut self, raw: &Typed<Whole>, default: u32) -> u32 {
        let count = self.count(raw, 1..=u64::from(u32::MAX));
        count.and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
    }

    fn resolve_below(&mut self, raw: &RawMonitor) -> Option<f64> {
        self.number(&raw.resolve_below, "a PSI of 0 or more", |psi| {
            psi.is_finite() && psi >= 0.0
        })
    }

    fn smoothing(&mut self, raw: &RawMonitor) -> Smoothing {
        let epsilon = self.number(
            &raw.epsilon,
            "a share of at least 1e-100 and below 1",
            |e| (defaults::LEAST_EPSILON..1.0).contains(&e),
        );
        let kind = raw.smoothing.as_ref().map(|s| *s.get_ref());
        if let (Some(RawSmoothing::Half), Some(typed)) = (kind, &raw.epsilon) {
            self.faults.add(
                typed.span(),
                "smoothing = \"half\" has no epsilon",
                "leave `epsilon` out, or choose \"clip\", \"replace\" or \"add\"",
            );
        }
        let epsilon = epsilon.unwrap_or(defaults::EPSILON);
        match kind.unwrap_or(RawSmoothing::Clip) {
            RawSmoothing::Clip => Smoothing::Clip(epsilon),
            RawSmoothing::Replace => Smoothing::Replace(epsilon),
            RawSmoothing::Add => Smoothing::Add(epsilon),
            RawSmoothing::Half => Smoothing::Half,
        }
    }
}

/// The round slides next to `slide_ms`, shorter and longer, that divide the size.
fn divisors(size_ms: i64, slide_ms: i64) -> String {
    const ROUND: [&str; 20] = [
        "100ms", "500ms", "1s", "5s", "10s", "15s", "30s", "1m", "2m", "5m", "10m", "15m", "30m",
        "1h", "2h", "6h", "12h", "1d", "7d", "28d",
    ];
    let round = ROUND.map(|text| durations::parse(text).unwrap_or(1));
    let fits = |ms: &i64| size_ms % ms == 0;
    let shorter = round
        .into_iter()
        .rev()
        .filter(|ms| *ms < slide_ms)
        .find(fits);
    let longer = round.into_iter().filter(|ms| *ms > slide_ms).find(fits);
    let near: Vec<_> = shorter
        .into_iter()
        .chain(longer)
        .map(durations::show)
        .collect();
    match near.as_slice() {
        [] => "choose a slide that goes into the size a whole number of times".to_owned(),
        slides => format!("a slide of {} would", slides.join(" or ")),
    }
}
