//! What happens while the page is open.

use std::time::Duration;

use super::{Case, play};
use crate::driver::{Driver, Look};
use crate::program::{Feature, Watched};
use crate::sight::Sight;

pub(super) fn cases() -> Vec<Case> {
    vec![
        (
            "a_status_that_changes_arrives_without_a_reload",
            a_status_that_changes_arrives_without_a_reload,
        ),
        (
            "silence_of_the_topic_and_of_the_server_are_told",
            silence_of_the_topic_and_of_the_server_are_told,
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

/// The topic falls silent; then the server stops to answer, as a machine does that hangs; then it is gone.
fn silence_of_the_topic_and_of_the_server_are_told(driver: &Driver) {
    let features = vec![Feature::Number("x".to_owned())];
    let mut watched = Watched::start(features, "stale_after = \"3s\"", "");
    watched.produce_hour(0, |_| false);
    watched.produce_hour(1, |_| false);
    let says = |words: &str| {
        format!(
            "const banner = document.querySelector('#stale');
             return !banner.hidden && banner.textContent.includes({words:?})"
        )
    };
    play(async {
        let sight = Sight::of(driver, &watched.program.url("/"), Look::LIGHT).await;
        sight
            .until("the topic's silence", &says("The topic events is silent"))
            .await;
        sight.picture("stale").await;
        watched.program.freeze();
        let patience = Duration::from_secs(90);
        sight
            .until_within(
                "the server's silence",
                patience,
                &says("psiren has not answered since"),
            )
            .await;
        watched.program.kill();
        assert_eq!(
            sight.run(&says("psiren has not answered since")).await,
            true
        );
        sight.close().await;
    });
}
