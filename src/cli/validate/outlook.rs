//! What to expect of a run: how many series, and when a first verdict can be final.

use anyhow::Result;

use super::sample::Sample;
use crate::app::now_ms;
use crate::cli::checklist::Checklist;
use crate::cli::words::{distance, span, time};
use crate::config::{Config, StartPosition};
use crate::drift::{
    ClosedBy, Definition, PaneCounts, PaneId, Trigger, WindowBounds, WindowSnapshot,
};
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::sink;
use crate::text::{counted, grouped};

/// Tells how many series `/metrics` will have once every feature has a score. `partitions` is the
/// number of them per monitor, as far as it is known.
pub(super) fn series(
    config: &Config,
    monitors: &[(&Monitor, usize)],
    list: &mut Checklist,
) -> Result<()> {
    let metrics = Metrics::new(&config.labels, config.http.bucket_metrics);
    for (monitor, partitions) in monitors {
        show(&metrics, monitor, *partitions);
    }
    for channel in sink::channels(config) {
        metrics.channel(&channel);
    }
    let text = metrics.render();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    let title = format!("about {} series at /metrics", grouped(series as u64));
    let buckets = text.matches("\npsiren_bucket_events{").count();
    let all: usize = monitors.iter().map(|(m, _)| terms(&m.definition)).sum();
    if buckets == all || config.http.bucket_metrics == Some(false) {
        return list.ok(title, []);
    }
    let why = "the buckets of some monitors are left out, because they would be too many; \
               set http.bucket_metrics = true to have them, or false to silence this";
    list.warning(title, [why.to_owned()])
}

fn terms(definition: &Definition) -> usize {
    definition
        .features
        .iter()
        .map(|f| f.bucket_names().len())
        .sum()
}

/// Shows a made-up report with values in every bucket.
fn show(metrics: &Metrics, monitor: &Monitor, partitions: usize) {
    let topic = &monitor.config.topic;
    let name = &monitor.definition.monitor;
    let handle = metrics.monitor(&monitor.definition, topic);
    let layout = &monitor.layout;
    let cells = vec![1_000_000; layout.cells()];
    let Some(counts) = PaneCounts::from_cells(layout, 1_000_000, cells) else {
        return;
    };
    let snapshot = WindowSnapshot {
        bounds: WindowBounds {
            start_ms: 0,
            end_ms: monitor.config.window.size_ms,
        },
        counts,
        coverage: 1.0,
    };
    for trigger in [Trigger::Final, Trigger::Live] {
        let report = monitor.definition.evaluate(
            &monitor.scoring,
            snapshot.clone(),
            trigger,
            ClosedBy::Watermark,
            None,
        );
        handle.show(&report);
    }
    handle.incidents(&[]);
    handle.caught_up(true);
    for partition in (0..partitions).filter_map(|p| i32::try_from(p).ok()) {
        metrics.lag(topic, partition, 0);
        metrics.watermark(name, topic, partition, 0);
    }
}

/// Tells when a window without a gap at its beginning can close first, and whether it would hold
/// enough values. `ends_ms`: the greatest event time; events are taken to go on as they are.
pub(super) fn first_verdict(
    monitor: &Monitor,
    sample: &Sample<'_>,
    list: &mut Checklist,
) -> Result<()> {
    let now = now_ms();
    let title = format!(
        "monitor {:?}: first final verdict",
        monitor.definition.monitor
    );
    let (Some(oldest), Some(newest)) = (sample.oldest_ms(), sample.newest_ms()) else {
        return list.warning(title, ["unknown, for want of events".to_owned()]);
    };
    let due = due(monitor, begins_at(monitor, oldest, now));
    let mut details = vec![format!(
        "without stored state: a full window of {} and {} of lateness; it closes with event time {}",
        span(monitor.config.window.size_ms),
        span(monitor.config.panes.lateness_ms),
        time(due)
    )];
    let when = match newest >= due {
        true => "as soon as the log is read".to_owned(),
        false if now.saturating_sub(newest) > monitor.config.stale_after_ms => {
            details.push(format!(
                "the latest event is of {}, so that depends on events to come",
                distance(newest, now)
            ));
            format!("with the first event of {} or later", time(due))
        }
        false => distance(due, now),
    };
    let mut good = true;
    if let Some(expected) = expected(monitor, sample) {
        details.push(format!(
            "at the rate of the sample a window holds about {}",
            counted(expected, "event")
        ));
        let few = monitor.definition.features.iter();
        let few = few.filter(|f| f.min_events > expected).count();
        if few > 0 {
            good = false;
            let most = monitor.definition.features.iter().map(|f| f.min_events);
            details.push(format!(
                "too few for a verdict on {}, which need up to {}: widen `window.size` or lower `min_events`",
                counted(few as u64, "feature"),
                grouped(most.max().unwrap_or_default())
            ));
        }
    }
    list.judged(good, format!("{title}: {when}"), details)
}

/// The event time counting begins with.
fn begins_at(monitor: &Monitor, oldest: i64, now: i64) -> i64 {
    let config = &monitor.config;
    let back = config
        .window
        .size_ms
        .saturating_add(config.panes.lateness_ms);
    match config.start {
        StartPosition::Earliest => oldest,
        StartPosition::Latest => now,
        StartPosition::Window => oldest.max(now.saturating_sub(back)),
        StartPosition::At { ms } => oldest.max(ms),
        StartPosition::Ago { ms } => oldest.max(now.saturating_sub(ms)),
    }
}

/// The event time at which the first full window closes when the first event is of `first_ms`.
fn due(monitor: &Monitor, first_ms: i64) -> i64 {
    let (panes, window) = (&monitor.config.panes, &monitor.config.window);
    let first = panes.pane(first_ms);
    let last = PaneId(first.0.saturating_add(window.panes(panes) - 1));
    let end = window.first_end_covering(panes, last);
    panes.start_ms(end).saturating_add(panes.lateness_ms)
}

/// Events a window holds when they go on as in the sample; `None` when that cannot be told.
fn expected(monitor: &Monitor, sample: &Sample<'_>) -> Option<u64> {
    let per_ms: f64 = sample
        .times()
        .filter(|t| t.n > 1 && t.greatest_ms > t.least_ms)
        .map(|t| (t.n - 1) as f64 / (t.greatest_ms - t.least_ms) as f64)
        .sum();
    (per_ms > 0.0).then_some((per_ms * monitor.config.window.size_ms as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::sample::tests::{monitor, record};
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn the_first_full_window_ends_on_a_slide_and_waits_for_lateness() {
        let monitor = monitor();
        let start = 24 * HOUR * 15_000;
        let lateness = monitor.config.panes.lateness_ms;
        assert_eq!(due(&monitor, start), start + 24 * HOUR + lateness);
        assert_eq!(due(&monitor, start + HOUR), start + 24 * HOUR + lateness);
        assert_eq!(due(&monitor, start - HOUR), start + 18 * HOUR + lateness);
    }

    #[test]
    fn the_rate_of_the_sample_is_that_of_a_window() {
        let monitor = monitor();
        let mut sample = Sample::new(&monitor, false);
        for n in 0..11 {
            let event = format!(r#"{{"ts": {}}}"#, 1_362_000_000_000 + n * HOUR);
            sample.take(&record(n, &event));
        }
        assert_eq!(expected(&monitor, &sample), Some(24));
    }
}
