//! The footer of a Parquet file: what it says of its columns, before a value is read.

use std::fs::File;
use std::thread;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::schema::types::Type;

use crate::unwind;

/// The decoder calls itself for each level of a nested column, on whatever thread reads it.
const MOST_LEVELS: usize = 100;
/// Enough for some ten thousand levels, before they are known to be too many.
const STACK: usize = 256 << 20;

/// Reads the footer of `file`.
///
/// # Errors
/// In words: it is damaged, or its columns are nested deeper than 100 levels.
pub(crate) fn load(file: &File) -> Result<ArrowReaderMetadata, String> {
    let load = || -> Result<ArrowReaderMetadata, String> {
        let metadata = unwind::quietly(|| ArrowReaderMetadata::load(file, Default::default()))?;
        match levels(metadata.parquet_schema().root_schema()) {
            0..=MOST_LEVELS => Ok(metadata),
            levels => Err(format!(
                "its columns are nested {levels} levels deep; at most {MOST_LEVELS} are read"
            )),
        }
    };
    thread::scope(|scope| {
        let large = thread::Builder::new().name("footer".to_owned());
        let large = large.stack_size(STACK);
        match large.spawn_scoped(scope, load) {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // Without memory for it: as deep as this thread goes.
            Err(_) => load(),
        }
    })
}

/// Levels of columns below `group`.
fn levels(group: &Type) -> usize {
    if !group.is_group() {
        return 0;
    }
    let fields = group.get_fields().iter();
    1 + fields.map(|field| levels(field)).max().unwrap_or(0)
}
