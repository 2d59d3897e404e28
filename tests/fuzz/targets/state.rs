//! Stored values: any bytes are a value or an error, and a value survives being stored again.
//!
//! A checksum guards what is stored, so the input is also put behind a right one: as the compressed
//! payload, and as what is compressed.

use psiren::drift::Pane;
use psiren::state::codec::{Record, decode, encode};
use psiren::state::{CountsIdentity, EvaluatorState, LogEntry, UnitState};

pub fn judge(bytes: &[u8]) {
    record::<UnitState>(bytes);
    record::<Pane>(bytes);
    record::<EvaluatorState>(bytes);
    record::<LogEntry>(bytes);
    for identity in record::<CountsIdentity>(bytes) {
        let _ = identity.layout();
        let _ = CountsIdentity::compare(&identity, &identity).text();
    }
}

/// The values that `bytes` can be taken for.
fn record<R: Record + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Vec<R> {
    let compressed = zstd::bulk::compress(bytes, 1).expect("memory can be compressed");
    let stored = [bytes.to_vec(), sealed::<R>(bytes), sealed::<R>(&compressed)];
    let values: Vec<R> = stored.iter().filter_map(|s| decode(s).ok()).collect();
    for value in &values {
        let again = encode(value).expect("what was read can be written");
        assert_eq!(
            &decode::<R>(&again).expect("what was written is read"),
            value
        );
    }
    values
}

/// `payload` with the version and checksum that a stored `R` has.
fn sealed<R: Record>(payload: &[u8]) -> Vec<u8> {
    let mut checked = vec![R::VERSION];
    checked.extend(payload);
    let checksum = crc32fast::hash(&checked);
    let mut bytes = vec![R::VERSION];
    bytes.extend(checksum.to_le_bytes());
    bytes.extend(payload);
    bytes
}
