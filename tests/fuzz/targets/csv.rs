//! A CSV file of any bytes is opened, repaired and appended to: whole lines stay, no row twice.
//!
//! The input is the file's content, with and without the header before it.

use std::fs;
use std::path::Path;

use psiren::sink::csv::file::CsvFile;
use psiren::sink::csv::row::HEADER;

const NEW: &[u8] = b"2013-03-01T00:00:00Z,2013-03-02T00:00:00Z,m,,\"a,b\",final,0.1,no_drift,9,0,0,1,watermark,r,d,\n";

pub fn judge(bytes: &[u8]) {
    let header = HEADER.join(",") + "\n";
    written(bytes, header.as_bytes());
    written(&[header.as_bytes(), bytes].concat(), header.as_bytes());
}

fn written(before: &[u8], header: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("psi.csv");
    fs::write(&path, before).expect("the file can be written");
    let whole = whole_lines(before, header);
    let held = whole.split_inclusive(|b| *b == b'\n').skip(1);
    let rows: Vec<Vec<u8>> = held
        .chain([NEW])
        .take(3)
        .chain([NEW])
        .map(<[u8]>::to_vec)
        .collect();
    let rows = without_repetition(rows);
    let is_new = !whole
        .split_inclusive(|b| *b == b'\n')
        .any(|line| line == NEW);

    let mut file = CsvFile::open(&path).expect("any file can be opened");
    assert!(file.is_current());
    let appended = file.append(&rows).expect("rows can be appended");
    assert_eq!(appended, u64::from(is_new));
    let mut expected = whole.clone();
    if is_new {
        expected.extend(NEW);
    }
    assert_eq!(content(&path), expected);
    assert_eq!(file.len(), expected.len() as u64);

    let mut again = CsvFile::open(&path).expect("a repaired file can be opened");
    let last = expected.split_inclusive(|b| *b == b'\n').next_back();
    assert_eq!(again.last(), last);
    assert_eq!(again.append(&rows).expect("nothing is to be written"), 0);
    assert_eq!(content(&path), expected);
    parsed(&whole, &expected);
    set_aside(folder.path(), before, header);
}

/// What stays of a file: all of it up to the last line end when its header is ours, else the header.
fn whole_lines(before: &[u8], header: &[u8]) -> Vec<u8> {
    if !before.starts_with(header) {
        return header.to_vec();
    }
    let end = before
        .iter()
        .rposition(|b| *b == b'\n')
        .expect("the header's");
    before[..=end].to_vec()
}

fn without_repetition(rows: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for row in rows {
        if !kept.contains(&row) {
            kept.push(row);
        }
    }
    kept
}

/// A file that could be read as CSV before can be read after.
fn parsed(whole: &[u8], after: &[u8]) {
    let rows = |bytes: &[u8]| {
        let mut reader = csv::Reader::from_reader(bytes);
        reader.byte_records().collect::<Result<Vec<_>, _>>()
    };
    let lines = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
    if let Ok(before) = rows(whole)
        && before.len() + 1 == lines(whole)
        && is_closed(whole)
    {
        let read = rows(after).expect("a whole file with a row more is a whole file");
        assert_eq!(read.len() + 1, lines(after));
    }
}

/// Whether a line that follows is one: a reader takes a quote that nobody closes for closed at the end
/// of the file.
fn is_closed(whole: &[u8]) -> bool {
    let followed = [whole, b"next\n"].concat();
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.flexible(true).from_reader(&followed[..]);
    let last = reader.byte_records().last();
    last.is_some_and(|row| row.is_ok_and(|row| row.iter().eq([b"next"])))
}

/// Somebody else's file is kept as it was, under another name.
fn set_aside(folder: &Path, before: &[u8], header: &[u8]) {
    let ours = before.starts_with(header) || header.starts_with(before);
    let others: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_none_or(|name| name != "psi.csv"))
        .collect();
    assert_eq!(others.len(), usize::from(!ours), "{others:?}");
    if let [other] = &others[..] {
        assert_eq!(content(other), before);
    }
}

fn content(path: &Path) -> Vec<u8> {
    fs::read(path).expect("the file can be read")
}
