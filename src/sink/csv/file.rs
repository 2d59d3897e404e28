//! One CSV file: opened and repaired, appended to durably, never holding a row twice.
//!
//! The file is the truth about what it holds: all of it is read when it is opened, and a row that
//! is there already is not written again. So a crash between an append and the cursor that follows
//! it costs nothing. One row is one line (see [`super::line`]), which makes a torn row one without
//! its line end.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::row::HEADER;

/// An open file whose last line is whole and whose first one is our header.
#[derive(Debug)]
pub struct CsvFile {
    path: PathBuf,
    file: File,
    /// What the file's name led to when it was opened.
    identity: (u64, u64),
    len: u64,
    held: HashSet<[u8; 16]>,
    last: Option<Vec<u8>>,
}

/// What a file holds.
struct Content {
    held: HashSet<[u8; 16]>,
    last: Option<Vec<u8>>,
    /// Bytes up to the end of the last whole line.
    whole: u64,
}

impl CsvFile {
    /// Opens the file, or begins it: cuts a torn last line, moves a file with another header aside
    /// under a dated name.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(content) = read(path)? {
            return Self::attach(path, content);
        }
        set_aside(path, Timestamp::now())?;
        let content = read(path)?.ok_or_else(|| io::Error::other("it changes while it is read"))?;
        Self::attach(path, content)
    }

    fn attach(path: &Path, content: Content) -> io::Result<Self> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        if file.metadata()?.len() > content.whole {
            file.set_len(content.whole)?;
            tracing::warn!(path = %path.display(), "cut a torn last line off the csv file");
        }
        let mut len = content.whole;
        if len == 0 {
            file.write_all(header().as_bytes())?;
            len = header().len() as u64;
        }
        file.sync_all()?;
        sync_folder(path);
        Ok(Self {
            path: path.to_owned(),
            identity: identity(&file.metadata()?),
            file,
            len,
            held: content.held,
            last: content.last,
        })
    }

    /// Length in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "an open file has its header at least"
    )]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The last line when the file was opened, unless that is the header.
    pub fn last(&self) -> Option<&[u8]> {
        self.last.as_deref()
    }

    /// Whether the name still leads to this file and nobody else changed its length.
    pub fn is_current(&self) -> bool {
        fs::metadata(&self.path)
            .is_ok_and(|now| identity(&now) == self.identity && now.len() == self.len)
    }

    /// Appends the lines that the file does not hold, durably; gives their number. After an error
    /// the file must be opened again.
    pub fn append(&mut self, lines: &[Vec<u8>]) -> io::Result<u64> {
        let missing: Vec<&[u8]> = lines
            .iter()
            .map(Vec::as_slice)
            .filter(|line| !self.held.contains(&digest(line)))
            .collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let bytes = missing.concat();
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.len += bytes.len() as u64;
        Ok(missing.len() as u64)
    }
}

/// Reads what is there; `None` when it is somebody else's: another header. A file that is missing,
/// or whose header is torn, holds nothing.
fn read(path: &Path) -> io::Result<Option<Content>> {
    let mut content = Content {
        held: HashSet::new(),
        last: None,
        whole: 0,
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(content)),
        Err(error) => return Err(error),
        Ok(found) if !found.is_file() => {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(_) => {}
    }
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line != header().as_bytes() {
        return Ok(header().as_bytes().starts_with(&line).then_some(content));
    }
    loop {
        content.whole += line.len() as u64;
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(Some(content));
        }
        content.held.insert(digest(&line));
        content.last = Some(line.clone());
    }
}

fn header() -> String {
    HEADER.join(",") + "\n"
}

fn digest(line: &[u8]) -> [u8; 16] {
    let full = Sha256::digest(line);
    std::array::from_fn(|i| full[i])
}

/// Renames `psi.csv` to `psi.2026-11-23T220547Z.csv`, or to a numbered name where that is taken.
fn set_aside(path: &Path, now: Timestamp) -> io::Result<()> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path
        .extension()
        .map(|e| format!(".{}", e.to_string_lossy()))
        .unwrap_or_default();
    let date = now.strftime("%Y-%m-%dT%H%M%SZ");
    let aside = (1..)
        .map(|n| match n {
            1 => format!("{stem}.{date}{extension}"),
            n => format!("{stem}.{date}-{n}{extension}"),
        })
        .map(|name| path.with_file_name(name))
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| path.with_extension("old"));
    fs::rename(path, &aside)?;
    tracing::warn!(
        path = %path.display(),
        aside = %aside.display(),
        "the csv file has other columns; it was set aside and a new one begun"
    );
    Ok(())
}

/// Makes a new name durable, where the system lets a folder be synced.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<Vec<u8>> {
        text.iter().map(|t| format!("{t}\n").into_bytes()).collect()
    }

    #[test]
    fn a_new_file_begins_with_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("psi.csv");
        let mut file = CsvFile::open(&path).unwrap();
        assert_eq!(file.append(&lines(&["a", "b"])).unwrap(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap(), header() + "a\nb\n");
        assert!(file.is_current());
    }

    #[test]
    fn a_file_cut_at_any_byte_is_completed_to_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("psi.csv");
        let rows = lines(&["one,1", "two,\"x, y\"", "three,3"]);
        CsvFile::open(&path).unwrap().append(&rows).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut file = CsvFile::open(&path).unwrap();
            file.append(&rows).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole, "cut at byte {cut}");
            assert!(file.is_current());
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_with_another_header_is_set_aside_under_a_dated_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("psi.csv");
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        for text in ["old,1\n", "old,2\n"] {
            fs::write(&path, text).unwrap();
            assert!(read(&path).unwrap().is_none());
            set_aside(&path, now).unwrap();
        }
        let aside = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(aside("psi.2023-11-14T221320Z.csv"), "old,1\n");
        assert_eq!(aside("psi.2023-11-14T221320Z-2.csv"), "old,2\n");

        fs::write(&path, "old,3\n").unwrap();
        CsvFile::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), header());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_file_that_was_renamed_deleted_or_truncated_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("psi.csv");
        let open = || {
            let mut file = CsvFile::open(&path).unwrap();
            file.append(&lines(&["a"])).unwrap();
            assert!(file.is_current());
            file
        };
        let file = open();
        fs::rename(&path, dir.path().join("psi.csv.1")).unwrap();
        assert!(!file.is_current());
        let file = open();
        fs::remove_file(&path).unwrap();
        assert!(!file.is_current());
        let file = open();
        File::create(&path).unwrap();
        assert!(!file.is_current());
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = CsvFile::open(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "it is not a regular file");
    }
}
