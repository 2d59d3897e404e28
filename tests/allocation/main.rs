//! Decoding and counting an event allocates nothing once such events were seen.
//!
//! A program of its own with one test, so that nobody else allocates meanwhile.

#[path = "../../benches/events/mod.rs"]
mod events;

use peak_alloc::PeakAlloc;
use psiren::drift::{Layout, PaneSpec, PartitionPanes};
use psiren::event::Extractor;

use events::Shape;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const PANES: PaneSpec = PaneSpec {
    width_ms: 86_400_000,
    offset_ms: 0,
    lateness_ms: i64::MAX,
    max_future_skew_ms: 0,
};

#[test]
fn an_event_that_is_decoded_and_counted_allocates_nothing() {
    for name in Shape::NAMES {
        let shape = Shape::named(name);
        let (schema, events) = (shape.schema(), shape.events(1_000, 1));
        let layout = Layout::new(schema.features.iter().map(|f| f.binning.buckets()));
        let mut extractor = Extractor::new(&schema);
        let mut panes = PartitionPanes::default();
        let mut offsets = 0..;
        let mut count = |events: &[String]| {
            for (event, offset) in events.iter().zip(&mut offsets) {
                let event = extractor.extract(event.as_bytes()).unwrap();
                let ms = event.event_ms.unwrap();
                panes.record(&PANES, &layout, ms, None, offset, event.cells);
            }
        };
        count(&events);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        count(&events);
        // Nothing is freed either, so that the smallest allocation would be the peak.
        assert_eq!(MEMORY.current_usage(), before, "{name}");
        assert_eq!(MEMORY.peak_usage(), before, "{name}");
    }
}
