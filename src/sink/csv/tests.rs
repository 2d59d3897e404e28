use std::fs;
use std::path::Path;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::testing::{CountingMetrics, MemoryLog, entry, feature_report, report};
use super::*;

struct Running {
    metrics: Arc<CountingMetrics>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(log: &Arc<MemoryLog>, path: &Path) -> Self {
        let ctx = log.context();
        let metrics = CountingMetrics::new();
        let shutdown = ctx.shutdown.clone();
        let config = CsvConfig {
            path: path.to_owned(),
        };
        let task = tokio::spawn(run_csv(ctx, config, Arc::clone(&metrics) as _));
        Self {
            metrics,
            shutdown,
            task,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn push(log: &MemoryLog, day: i64) {
    let features = vec![
        feature_report("dep_delay", 0.25 + day as f64, &[1, 2]),
        feature_report("carrier, \"x\"", 0.1, &[3, 4]),
    ];
    log.push(entry(LogBody::Report(report("flights", day, features))));
}

/// What an uninterrupted run writes for days 0 to `days`.
async fn expected(days: i64) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("psi.csv");
    let log = MemoryLog::new();
    (0..days).for_each(|day| push(&log, day));
    Running::start(&log, &path).stop().await;
    fs::read(&path).unwrap()
}

#[tokio::test]
async fn reports_become_rows_in_the_order_of_the_log() {
    let text = String::from_utf8(expected(2).await).unwrap();
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_file_cut_at_any_byte_of_its_rows_is_completed_from_the_log() {
    let whole = expected(2).await;
    let header = row::HEADER.join(",").len() + 1;
    let first_row = header + whole[header..].iter().position(|b| *b == b'\n').unwrap() + 1;
    for cut in first_row..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("psi.csv");
        let log = MemoryLog::new();
        (0..2).for_each(|day| push(&log, day));
        Running::start(&log, &path).stop().await;
        fs::write(&path, &whole[..cut]).unwrap();
        Running::start(&log, &path).stop().await;
        assert_eq!(fs::read(&path).unwrap(), whole, "cut at byte {cut}");
    }
}

#[tokio::test]
async fn a_crash_between_append_and_cursor_repeats_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("psi.csv");
    let log = MemoryLog::new();
    push(&log, 0);
    Running::start(&log, &path).stop().await;
    let before = log.cursor(NAME).unwrap();
    push(&log, 1);
    Running::start(&log, &path).stop().await;
    log.set_cursor(NAME, &before);
    push(&log, 2);
    Running::start(&log, &path).stop().await;
    assert_eq!(fs::read(&path).unwrap(), expected(3).await);
}

#[tokio::test]
async fn a_torn_append_is_completed_whatever_byte_it_ended_at() {
    let (before, whole) = (expected(1).await, expected(2).await);
    for torn in before.len()..=whole.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("psi.csv");
        let log = MemoryLog::new();
        push(&log, 0);
        Running::start(&log, &path).stop().await;
        push(&log, 1);
        fs::write(&path, &whole[..torn]).unwrap();
        Running::start(&log, &path).stop().await;
        assert_eq!(fs::read(&path).unwrap(), whole, "torn at byte {torn}");
    }
}

#[tokio::test]
async fn rows_that_are_there_without_a_cursor_are_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("psi.csv");
    let whole = expected(3).await;
    fs::write(&path, &whole).unwrap();
    let log = MemoryLog::new();
    (0..3).for_each(|day| push(&log, day));
    Running::start(&log, &path).stop().await;
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[tokio::test]
async fn a_file_renamed_while_running_starts_anew_with_later_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("psi.csv");
    let log = MemoryLog::new();
    let running = Running::start(&log, &path);
    push(&log, 0);
    running.metrics.until("rows", 2).await;
    fs::rename(&path, dir.path().join("psi.csv.1")).unwrap();
    push(&log, 1);
    running.metrics.until("rows", 4).await;
    running.stop().await;
    let (new, old) = (
        fs::read_to_string(&path).unwrap(),
        fs::read_to_string(dir.path().join("psi.csv.1")).unwrap(),
    );
    let header = row::HEADER.join(",") + "\n";
    let rows = new.strip_prefix(&header).unwrap();
    assert_eq!((old + rows).into_bytes(), expected(2).await);
}

#[tokio::test]
async fn a_file_deleted_while_stopped_starts_anew_with_later_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("psi.csv");
    let log = MemoryLog::new();
    push(&log, 0);
    Running::start(&log, &path).stop().await;
    fs::remove_file(&path).unwrap();
    push(&log, 1);
    Running::start(&log, &path).stop().await;
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3, "header and two rows: {text}");
    assert!(text.starts_with("window_start,"));
}

#[tokio::test]
async fn rows_wait_for_a_missing_folder_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("later");
    let path = folder.join("psi.csv");
    let log = MemoryLog::new();
    push(&log, 0);
    let running = Running::start(&log, &path);
    running.metrics.until("errors", 2).await;
    push(&log, 1);
    fs::create_dir(&folder).unwrap();
    running.metrics.until("rows", 4).await;
    running.stop().await;
    assert_eq!(fs::read(&path).unwrap(), expected(2).await);
}

#[tokio::test]
async fn a_date_in_the_path_gives_one_file_per_date_of_the_window_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("psi-{date}.csv");
    let log = MemoryLog::new();
    (0..20).for_each(|day| push(&log, day));
    for _ in 0..2 {
        Running::start(&log, &path).stop().await;
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 20);
    for name in ["psi-2013-03-01.csv", "psi-2013-03-20.csv"] {
        let text = fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(text.lines().count(), 3, "{name}");
    }
}

#[test]
fn a_line_end_in_a_name_does_not_end_the_line() {
    let report = report("flights", 0, vec![feature_report("a\r\nb", 0.1, &[1])]);
    let lines: Vec<_> = row::rows(&report).map(line).collect();
    assert_eq!(lines[0].iter().filter(|b| **b == b'\n').count(), 1);
    assert!(!lines[0].contains(&b'\r'));
}
