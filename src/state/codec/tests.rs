use proptest::prelude::*;

use super::*;
use crate::drift::incident::ChangeKind;
use crate::drift::{Binning, Closed, IncidentChange, Reason};
use crate::state::LogBody;
use crate::state::fixtures::{any_pane, any_unit, evaluator, notice, pane, report, unit};
use crate::state::identity::{CommonIdentity, FeatureIdentity};

/// An encoded postcard value with any version and any payload under a right checksum.
fn sealed_bytes(version: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![version];
    bytes.extend(checksum(version, payload).to_le_bytes());
    bytes.extend(payload);
    bytes
}

fn damaged_bytes_are_errors<R: Record>(bytes: &[u8]) {
    for end in 0..bytes.len() {
        assert!(decode::<R>(&bytes[..end]).is_err(), "cut at {end}");
    }
    let mut flipped = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode::<R>(&flipped).is_err(), "bit {bit}");
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_an_error() {
    damaged_bytes_are_errors::<UnitState>(&encode(&unit(10)).unwrap());
    damaged_bytes_are_errors::<Pane>(&encode(&pane(3, 9)).unwrap());
    damaged_bytes_are_errors::<LogEntry>(&encode(&report("m", 10, 1)).unwrap());
    damaged_bytes_are_errors::<LogEntry>(&encode(&notice("m", 1)).unwrap());
    damaged_bytes_are_errors::<EvaluatorState>(&encode(&evaluator(3)).unwrap());
    damaged_bytes_are_errors::<CountsIdentity>(&encode(&identity()).unwrap());
}

fn identity() -> CountsIdentity {
    let binning = Binning::Numeric {
        edges: vec![0.1, 0.2, f64::MAX],
        closed: Closed::Right,
        float32: false,
    };
    CountsIdentity {
        common: CommonIdentity {
            topic: "flights".to_owned(),
            timestamp: "the record's timestamp".to_owned(),
            pane_width_ms: 1000,
            pane_offset_ms: 0,
            lateness_ms: 0,
            max_future_skew_ms: 0,
            filters: vec!["a = 1".to_owned()],
        },
        features: vec![FeatureIdentity::new("a", &["a".to_owned()], &binning)],
    }
}

/// The checksum is right and the content damaged, which only a program could do.
fn flips_behind_the_checksum_end<R: Record + PartialEq + std::fmt::Debug>(record: &R) {
    let plain = match R::FORM {
        Form::Postcard => postcard::to_stdvec(record).unwrap(),
        Form::Json => serde_json::to_vec(record).unwrap(),
    };
    for (damaged, compressed) in [(plain.clone(), false), (compress(&plain).unwrap(), true)] {
        for bit in 0..damaged.len() * 8 {
            let mut bytes = damaged.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let payload = match compressed {
                true => bytes,
                false => compress(&bytes).unwrap(),
            };
            // Whatever comes, it comes: no panic, and what is read can be written.
            if let Ok(read) = decode::<R>(&sealed_bytes(R::VERSION, &payload)) {
                assert!(encode(&read).is_ok());
            }
        }
    }
}

#[test]
fn damage_behind_a_right_checksum_does_no_harm() {
    flips_behind_the_checksum_end(&unit(10));
    flips_behind_the_checksum_end(&pane(3, 9));
    flips_behind_the_checksum_end(&report("m", 10, 1));
    flips_behind_the_checksum_end(&notice("m", 1));
    flips_behind_the_checksum_end(&evaluator(3));
    flips_behind_the_checksum_end(&identity());
}

#[test]
fn reports_come_back_with_every_bit_of_their_figures() {
    let mut entry = report("flüge", i64::MAX, i64::MIN);
    if let LogBody::Report(report) = &mut entry.body {
        report.changes.push(IncidentChange {
            feature: "dep_delay".to_owned(),
            reason: Reason::Psi,
            kind: ChangeKind::Opened,
            value: 0.1 + 0.2,
            previous: Some(f64::MAX),
            since_ms: 0,
            silenced: true,
        });
    }
    assert_eq!(decode::<LogEntry>(&encode(&entry).unwrap()).unwrap(), entry);
    let notice = notice("m", 1);
    assert_eq!(
        decode::<LogEntry>(&encode(&notice).unwrap()).unwrap(),
        notice
    );
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let bytes = encode(&unit(10)).unwrap();
    let newer = sealed_bytes(3, &bytes[HEADER..]);
    assert_eq!(
        decode::<UnitState>(&newer),
        Err(CodecError::Newer {
            found: 3,
            supported: 2
        })
    );
    let older = sealed_bytes(0, &bytes[HEADER..]);
    assert_eq!(
        decode::<UnitState>(&older),
        Err(CodecError::Older { found: 0 })
    );
}

#[test]
fn a_unit_of_the_first_version_goes_on_with_its_counts() {
    let now = unit(10);
    let old = UnitStateV1 {
        next_offset: now.next_offset,
        greatest_ms: now.greatest_ms,
        open: now.open.clone(),
        outcomes: vec![3, 0, 1, 0, 0, 2],
        splice: now.splice,
    };
    let plain = postcard::to_stdvec(&old).unwrap();
    let read: UnitState = decode(&sealed_bytes(1, &compress(&plain).unwrap())).unwrap();
    let expected = UnitState {
        outcomes: old.outcomes,
        began_at: 4,
        log_id: None,
        ..now
    };
    assert_eq!(read, expected);
    assert_eq!(read.unaccounted(), 0);
    let cut = sealed_bytes(1, &compress(&plain[..plain.len() - 1]).unwrap());
    assert!(matches!(
        decode::<UnitState>(&cut),
        Err(CodecError::Content { .. })
    ));
}

#[test]
fn bytes_after_the_value_are_an_error() {
    let mut plain = postcard::to_stdvec(&unit(10)).unwrap();
    plain.push(0);
    let bytes = sealed_bytes(UnitState::VERSION, &compress(&plain).unwrap());
    assert!(matches!(
        decode::<UnitState>(&bytes),
        Err(CodecError::Content { .. })
    ));
}

#[test]
fn a_frame_that_claims_an_absurd_size_is_refused() {
    // Magic, a descriptor for one segment with an 8-byte size, and 2^60 as that size.
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0b1110_0000];
    frame.extend((1u64 << 60).to_le_bytes());
    frame.extend([0x01, 0, 0]);
    let bytes = sealed_bytes(UnitState::VERSION, &frame);
    assert_eq!(decode::<UnitState>(&bytes), Err(CodecError::TooLarge));
}

#[test]
fn a_vector_that_claims_an_absurd_length_is_an_error() {
    let plain = [vec![0, 0, 0], vec![0xFF; 9], vec![0x01]].concat();
    let bytes = sealed_bytes(UnitState::VERSION, &compress(&plain).unwrap());
    assert!(decode::<UnitState>(&bytes).is_err());
}

#[test]
fn evaluator_state_of_an_older_program_lacks_fields() {
    let bytes = sealed_bytes(1, &compress(br#"{"closed_through":4,"gone":1}"#).unwrap());
    let state: EvaluatorState = decode(&bytes).unwrap();
    assert_eq!(state.closed_through, Some(crate::drift::PaneId(4)));
    assert_eq!(state.first, None);
}

proptest! {
    #[test]
    fn units_come_back_as_they_were(unit in any_unit()) {
        prop_assert_eq!(decode::<UnitState>(&encode(&unit).unwrap()).unwrap(), unit);
    }

    #[test]
    fn panes_come_back_as_they_were(pane in any_pane()) {
        prop_assert_eq!(decode::<Pane>(&encode(&pane).unwrap()).unwrap(), pane);
    }

    /// A CRC notices every burst of up to 32 bits.
    #[test]
    fn a_burst_of_wrong_bits_is_an_error(
        unit in any_unit(), place in any::<prop::sample::Index>(), burst in 1u32..,
    ) {
        let mut bytes = encode(&unit).unwrap();
        let place = place.index(bytes.len());
        for (byte, wrong) in bytes[place..].iter_mut().zip(burst.to_le_bytes()) {
            *byte ^= wrong;
        }
        let damaged = bytes != encode(&unit).unwrap();
        prop_assert_eq!(decode::<UnitState>(&bytes).is_err(), damaged);
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode::<UnitState>(&bytes).is_err());
        prop_assert!(decode::<LogEntry>(&bytes).is_err());
    }

    /// The checksum is right, so that what lies behind it is reached.
    #[test]
    fn no_payload_makes_decoding_panic(plain in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<UnitState>(&sealed_bytes(1, &plain));
        let _ = decode::<UnitState>(&sealed_bytes(UnitState::VERSION, &compress(&plain).unwrap()));
        let _ = decode::<LogEntry>(&sealed_bytes(UnitState::VERSION, &compress(&plain).unwrap()));
    }
}
