//! What happens while the page is open.

use std::time::Duration;

use super::{Case, play};
use crate::driver::{Driver, Look};
use crate::program::{Feature, Watched};
use crate::sight::Sight;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "a_status_that_changes_arrives_without_a_reload",
            a_status_that_changes_arrives_without_a_reload,
        ),
        Case::new(
            "silence_of_the_topic_and_the_end_of_the_server_are_told",
            silence_of_the_topic_and_the_end_of_the_server_are_told,
        ),
        Case::new("a_server_that_hangs_is_told", a_server_that_hangs_is_told).only_with(
            "PSIREN_TORTURE",
            "takes a minute: set PSIREN_TORTURE=ci, or run .ci/torture",
        ),
    ]
}

fn row(feature: &str, status: &str) -> String {
    format!(
        "return document.querySelector('tr[data-feature={feature}]')?.dataset.status === '{status}'"
    )
}

fn a_status_that_changes_arrives_without_a_reload(driver: &Driver) {
    let names = ["calm", "moving"].map(str::to_owned);
    let watched = Watched::start(names.map(Feature::Number).into(), "", "");
    watched.produce_hour(0, |_| false);
    watched.produce_hour(1, |_| false);
    play(async {
        let sight = Sight::of(driver, &watched.program.url("/"), Look::LIGHT).await;
        sight.until("no drift", &row("moving", "no_drift")).await;
        sight.run("window.kept = true").await;
        for hour in 2..4 {
            watched.produce_hour(hour, |name| name == "moving");
        }
        sight
            .until("the drift", &row("moving", "likely_drift"))
            .await;
        assert_eq!(sight.run(&row("calm", "no_drift")).await, true);
        assert!(sight.text("#verdict").await.contains("Likely drift"));
        assert!(sight.text("#headline").await.contains("moving"));
        let first = "return document.querySelector('#features tbody tr').dataset.feature";
        assert_eq!(sight.run(first).await, "moving", "the worst comes first");
        assert_eq!(sight.run("return window.kept").await, true);
        sight.close().await;
    });
}

/// Whether the banner says these words.
fn says(words: &str) -> String {
    format!(
        "const banner = document.querySelector('#stale');
         return !banner.hidden && banner.textContent.includes({words:?})"
    )
}

const NO_ANSWER: &str = "psiren has not answered since";

fn silence_of_the_topic_and_the_end_of_the_server_are_told(driver: &Driver) {
    let features = vec![Feature::Number("x".to_owned())];
    let mut watched = Watched::start(features, "stale_after = \"3s\"", "");
    watched.produce_hour(0, |_| false);
    watched.produce_hour(1, |_| false);
    play(async {
        let sight = Sight::of(driver, &watched.program.url("/"), Look::LIGHT).await;
        let silent = "is silent: the last event was counted";
        sight.until("the topic's silence", &says(silent)).await;
        sight.picture("stale").await;
        watched.program.kill();
        sight.until("the server's end", &says(NO_ANSWER)).await;
        sight.close().await;
    });
}

/// It keeps its connections and says nothing, as a machine does that hangs. The page waits longer for that.
fn a_server_that_hangs_is_told(driver: &Driver) {
    let mut watched = Watched::start(vec![Feature::Number("x".to_owned())], "", "");
    watched.produce_hour(0, |_| false);
    play(async {
        let sight = Sight::of(driver, &watched.program.url("/"), Look::LIGHT).await;
        watched.program.freeze();
        let patience = Duration::from_secs(90);
        sight
            .until_within("the server's silence", patience, &says(NO_ANSWER))
            .await;
        // A connection that is closed then is no news.
        watched.program.kill();
        assert_eq!(sight.run(&says(NO_ANSWER)).await, true);
        sight.close().await;
    });
}
