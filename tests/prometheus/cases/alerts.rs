//! An incident reaches the person on call, and so does its end.

use std::time::Duration;

use serde_json::Value;

use crate::stage::Stage;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn alertmanager_hears_of_an_incident_and_of_its_end(stage: &mut Stage) {
    let alert = wait::some("the alert", LIMIT, || late_departures(stage, "firing"));
    assert_eq!(alert["labels"]["severity"], "critical", "{alert}");
    assert_eq!(alert["labels"]["monitor"], "flights", "{alert}");
    let said = &alert["annotations"];
    assert_eq!(said["summary"], "flights: dep_delay has likely drifted");
    let description = said["description"].as_str().unwrap_or_default();
    assert!(
        description.contains("PSI of the last closed window: 0."),
        "{alert}"
    );
    let runbook = said["runbook_url"].as_str().unwrap_or_default();
    assert!(
        runbook.ends_with("docs/runbook.md#psirenfeaturedrift"),
        "{alert}"
    );

    // In July departures are as they were.
    stage.replay("2013-07-03", "2013-07-09");
    wait::some("its end", LIMIT, || late_departures(stage, "resolved"));
}

/// The alert about `dep_delay` in this state, where it was sent.
fn late_departures(stage: &Stage, status: &str) -> Option<Value> {
    let about = |alert: &Value| {
        let labels = &alert["labels"];
        alert["status"] == status
            && labels["alertname"] == "PsirenFeatureDrift"
            && labels["feature"] == "dep_delay"
    };
    stage.alerts().into_iter().find(about)
}
