//! Where the sinks' own figures meet the metrics.

use crate::metrics::Metrics;
use crate::sink::{Delivery, SinkMetrics};

impl SinkMetrics for Metrics {
    fn notified(&self, channel: &str, result: Delivery) {
        let result = match result {
            Delivery::Delivered => "ok",
            Delivery::Retried => "error",
            Delivery::Refused => "refused",
        };
        Metrics::notified(self, channel, result);
    }

    fn csv_rows(&self, rows: u64) {
        Metrics::csv_rows(self, rows);
    }

    fn csv_error(&self) {
        Metrics::csv_error(self);
    }

    fn csv_failing(&self, failing: bool) {
        Metrics::csv_failing(self, failing);
    }
}
