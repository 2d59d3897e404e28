//! What the page costs with five hundred features and a thousand windows of history: printed, not judged, because it
//! is time. `PSIREN_BENCH=1 cargo test --release --test browser -- cost` measures what is shipped.

use std::io::Write;
use std::time::Duration;

use super::{Case, play};
use crate::driver::{Driver, Look};
use crate::program::{Feature, Watched};
use crate::sight::Sight;

const FEATURES: usize = 500;
const WINDOWS: i64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn cases() -> Vec<Case> {
    let measured = Case::new(
        "the_cost_of_five_hundred_features",
        the_cost_of_five_hundred_features,
    );
    vec![measured.only_with("PSIREN_BENCH", "a measurement: set PSIREN_BENCH=1")]
}

fn the_cost_of_five_hundred_features(driver: &Driver) {
    let features = (0..FEATURES).map(|i| Feature::Number(format!("feature_{i:03}")));
    let watched = Watched::start(features.collect(), "", "");
    (0..WINDOWS).for_each(|hour| watched.produce_idle_hour(hour));
    watched.produce_hour(WINDOWS, |name| name.ends_with('7'));
    watched.produce_idle_hour(WINDOWS + 1);
    play(async {
        let sight = Sight::of(driver, &watched.program.url("/"), Look::LIGHT).await;
        let history = "return fetch('api/v1/series?monitor=events').then((r) => r.json())
            .then((s) => s.window_end.length > 1000)";
        sight.until_within("the history", PATIENCE, history).await;
        let url = watched.program.url("/?feature=feature_007");
        sight.go(&url).await;
        let loaded = "const files = [performance.getEntriesByType('navigation')[0], ...performance.getEntriesByType('resource')
                .filter((e) => /page[.](css|js)$/.test(e.name))];
            const at = (name) => Math.round(performance.getEntriesByName(name)[0].startTime);
            const bytes = (size) => files.reduce((sum, e) => sum + e[size], 0);
            return [`${bytes('encodedBodySize')} bytes, unpacked ${bytes('decodedBodySize')}`,
                `first paint ${at('first-contentful-paint')} ms`, `all figures ${at('psiren-ready')} ms`].join(', ')";
        say(&sight.run(loaded).await);
        sight
            .until(
                "the line",
                "return document.querySelector('#psi-chart .line')",
            )
            .await;
        let observe = "window.frames_ = [];
            new PerformanceObserver((list) => window.frames_.push(...list.getEntries().map((e) => Math.round(e.duration))))
                .observe({ type: 'long-animation-frame' })";
        sight.run(observe).await;
        watched.produce_hour(WINDOWS + 2, |name| name.ends_with('3'));
        watched.produce_idle_hour(WINDOWS + 3);
        let moved =
            "return document.querySelector('#features tbody tr').dataset.feature.endsWith('3')";
        sight.until_within("the update", PATIENCE, moved).await;
        let update =
            "return `update: frames of more than 50 ms took ${JSON.stringify(window.frames_)} ms`";
        say(&sight.run(update).await);
        sight.close().await;
    });
}

fn say(figures: &serde_json::Value) {
    let figures = figures.as_str().unwrap_or_default();
    // A closed standard output is no reason to fail.
    let _ = writeln!(
        std::io::stdout(),
        "{FEATURES} features, {WINDOWS} windows: {figures}"
    );
}
