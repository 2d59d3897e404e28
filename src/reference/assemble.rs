//! Columns or a stored profile → the profile a monitor is built from. Columns are read one after the
//! other and built on all cores, as long as their values need little memory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::LoadOptions;
use super::build::{self, Names};
use super::columns::{Wanted, column_of, plan, unwatchable};
use super::error::ReferenceError;
use super::identifiers::{growing_note, identifier_reason};
use super::parallel;
use super::parquet::{Column, ColumnClass, ColumnValues, ParquetFile};
use super::profile::{
    BuiltWith, EventTimeSpan, LeftOut, PROFILE_VERSION, Profile, ProfileFeature, Source,
};
use super::time;
use crate::config::{BinningConfig, EdgeRule, FeatureConfig};
use crate::drift::FeatureKind;
use crate::text::rfc3339;

/// What columns that are built at the same time may hold together: 32 MiB as numbers, and some ten
/// times that as texts of which none comes twice. A column that has more is built alone.
const VALUES_AT_ONCE: u64 = 1 << 22;

/// A profile that does not name its sources.
pub(super) fn from_parquet(
    files: &[ParquetFile],
    options: &LoadOptions,
) -> Result<Profile, ReferenceError> {
    let Some(first) = files.first() else {
        let what = "no file was named".to_owned();
        return Err(ReferenceError::Unreadable {
            path: PathBuf::new(),
            what,
        });
    };
    let all = columns_of(first, &files[1..]);
    let plan = plan(first.path(), &all, options)?;
    let mut profile = Profile {
        version: PROFILE_VERSION,
        psiren: env!("CARGO_PKG_VERSION").to_owned(),
        built_at: now(),
        rows: files.iter().map(|f| f.rows).sum(),
        sources: Vec::new(),
        event_time: event_time(files, options.timestamp_column.as_deref())?,
        features: Vec::new(),
        left_out: plan.left_out,
        problems: Vec::new(),
    };
    let at_once = usize::try_from(VALUES_AT_ONCE / profile.rows.max(1)).unwrap_or(usize::MAX);
    let outcomes = parallel::try_map(at_once, &plan.wanted, |wanted| {
        build_feature(files, &all[wanted.column], wanted, options)
    })?;
    for (wanted, outcome) in plan.wanted.iter().zip(outcomes) {
        let column = &all[wanted.column];
        match outcome {
            Outcome::Watched(feature) => profile.features.push(feature),
            Outcome::LeftOut(reason) => profile.left_out.push(left_out(column, reason)),
            Outcome::Refused(reason) => profile.problems.push(left_out(column, reason)),
        }
    }
    finish(first.path(), profile, options)
}

/// A stored profile, with the features `options` asks for, named as it names them.
pub(super) fn from_profile(
    path: &Path,
    mut profile: Profile,
    options: &LoadOptions,
) -> Result<Profile, ReferenceError> {
    let stored = std::mem::take(&mut profile.features);
    let known = stored_columns(&stored, &profile);
    let plan = plan(path, &known, options)?;
    let is_wanted = |name: &str| plan.wanted.iter().any(|w| known[w.column].name == name);
    profile.problems.retain(|p| is_wanted(&p.column));
    for wanted in plan.wanted {
        let column = &known[wanted.column].name;
        let rule = rule_of(&wanted.feature, options);
        match candidate(&stored, &wanted.feature) {
            Some(feature) => {
                let mut feature = feature.clone();
                let differs = feature.differs_from(&rule).filter(|_| !options.as_built);
                if let Some(what) = kind_differs(&feature, &wanted.feature).or(differs) {
                    return Err(ReferenceError::Mismatch {
                        path: path.to_owned(),
                        feature: wanted.feature.name,
                        what,
                    });
                }
                feature.reference.name = wanted.feature.name;
                profile.features.push(feature);
            }
            None if wanted.named => {
                if let Some(entry) = profile.left_out.iter().find(|l| l.column == *column) {
                    return Err(ReferenceError::Mismatch {
                        path: path.to_owned(),
                        feature: wanted.feature.name,
                        what: format!("was left out of it ({})", entry.reason),
                    });
                }
            }
            None => {}
        }
    }
    for out in plan.left_out {
        if !profile
            .left_out
            .iter()
            .chain(&profile.problems)
            .any(|l| l.column == out.column)
        {
            profile.left_out.push(out);
        }
    }
    finish(path, profile, options)
}

/// All columns a profile knows of, watched or not; types were judged when it was built.
fn stored_columns(stored: &[ProfileFeature], profile: &Profile) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let names = stored
        .iter()
        .map(|f| (f.reference.column.as_str(), f.data_type.as_str()))
        .chain(
            profile
                .left_out
                .iter()
                .chain(&profile.problems)
                .map(|l| (l.column.as_str(), "")),
        );
    for (name, data_type) in names {
        if !columns.iter().any(|c| c.name == name) {
            columns.push(Column {
                name: name.to_owned(),
                class: ColumnClass::Text,
                data_type: data_type.to_owned(),
            });
        }
    }
    columns
}

/// The stored feature of that name and column, else any of that column.
fn candidate<'a>(
    stored: &'a [ProfileFeature],
    wanted: &FeatureConfig,
) -> Option<&'a ProfileFeature> {
    let of_column = || {
        stored
            .iter()
            .filter(|f| f.reference.column == column_of(wanted))
    };
    of_column()
        .find(|f| f.reference.name == wanted.name)
        .or_else(|| of_column().next())
}

fn kind_differs(feature: &ProfileFeature, wanted: &FeatureConfig) -> Option<String> {
    let built = feature.reference.binning.kind();
    wanted
        .kind
        .filter(|kind| *kind != built)
        .map(|kind| format!("was built as {built:?}, and {kind:?} is configured").to_lowercase())
}

fn finish(path: &Path, profile: Profile, options: &LoadOptions) -> Result<Profile, ReferenceError> {
    let path = path.to_owned();
    if options.strict && !profile.problems.is_empty() {
        let problems = profile.problems;
        return Err(ReferenceError::Strict { path, problems });
    }
    if profile.features.is_empty() {
        let mut reasons = profile.problems;
        reasons.extend(profile.left_out);
        return Err(ReferenceError::NoFeatures { path, reasons });
    }
    Ok(profile)
}

enum Outcome {
    Watched(ProfileFeature),
    /// By rule.
    LeftOut(String),
    /// It should be watched and cannot be.
    Refused(String),
}

fn build_feature(
    files: &[ParquetFile],
    column: &Column,
    wanted: &Wanted,
    options: &LoadOptions,
) -> Result<Outcome, ReferenceError> {
    let feature = &wanted.feature;
    let stored = match stored_as(files, column, feature) {
        Ok(stored) => stored,
        Err(reason) => return Ok(Outcome::Refused(reason)),
    };
    let mut values = match stored.kind {
        FeatureKind::Numeric => ColumnValues::numbers(),
        FeatureKind::Categorical => ColumnValues::texts(),
    };
    for file in files {
        file.read(&column.name, &mut values)?;
    }
    if stored.single {
        values.narrow();
    }
    let rule = rule_of(feature, options);
    if !wanted.named {
        let most = rule.max_categories;
        let reason = identifier_reason(&column.name, &values.values, stored.integer, most);
        if let Some(reason) = reason {
            return Ok(Outcome::LeftOut(format!(
                "{reason}; name it under features to watch it"
            )));
        }
    }
    let growing = growing_note(&values.values).filter(|_| !wanted.named && stored.integer);
    let names = Names {
        feature: &feature.name,
        column: &column.name,
    };
    Ok(match build::feature(names, values, &rule, stored.single) {
        Err(reason) => Outcome::Refused(reason),
        Ok(mut built) => {
            built.notes.extend(growing);
            if stored.half {
                built
                    .notes
                    .push("it has 16 bits; event values are rounded to 32 only".to_owned());
            }
            Outcome::Watched(ProfileFeature {
                reference: built.reference,
                data_type: column.data_type.clone(),
                built_with: (stored.kind == FeatureKind::Numeric)
                    .then(|| BuiltWith::from(&rule.edges)),
                notes: built.notes,
            })
        }
    })
}

/// The columns of `first`, and those that only `others` have.
fn columns_of(first: &ParquetFile, others: &[ParquetFile]) -> Vec<Column> {
    let mut seen: HashSet<&str> = first.columns().iter().map(|c| &*c.name).collect();
    let more = others.iter().flat_map(ParquetFile::columns);
    let more = more.filter(|column| seen.insert(&column.name));
    first.columns().iter().chain(more).cloned().collect()
}

/// How the files have a column.
struct Stored {
    kind: FeatureKind,
    /// Any of them in 32 bits or fewer.
    single: bool,
    /// Any of them as integers; one value without a number makes fractions of a column of pandas.
    integer: bool,
    /// Any of them in 16 bits.
    half: bool,
}

fn stored_as(
    files: &[ParquetFile],
    column: &Column,
    feature: &FeatureConfig,
) -> Result<Stored, String> {
    if let Some(reason) = unwatchable(column) {
        return Err(reason);
    }
    let kind = kind_of(column, feature)?;
    let mut stored = Stored {
        kind,
        single: false,
        integer: false,
        half: false,
    };
    for file in files {
        let here = file
            .column(&column.name)
            .ok_or_else(|| format!("{} does not have it", file.path().display()))?;
        stored.single |= matches!(here.class, ColumnClass::Fraction { single: true });
        stored.integer |= here.class == ColumnClass::Integer;
        stored.half |= here.data_type == "halffloat";
        let same = unwatchable(here).is_none() && kind_of(here, feature) == Ok(kind);
        if !same {
            return Err(format!(
                "it is {} in {} and {} in {}",
                column.data_type,
                files[0].path().display(),
                here.data_type,
                file.path().display()
            ));
        }
    }
    Ok(stored)
}

fn kind_of(column: &Column, feature: &FeatureConfig) -> Result<FeatureKind, String> {
    use FeatureKind::{Categorical, Numeric};
    let data_type = &column.data_type;
    match (column.class, feature.kind) {
        (ColumnClass::Integer | ColumnClass::Fraction { .. }, None | Some(Numeric)) => Ok(Numeric),
        (ColumnClass::Integer | ColumnClass::Text | ColumnClass::Boolean, Some(Categorical))
        | (ColumnClass::Text | ColumnClass::Boolean, None) => Ok(Categorical),
        (_, Some(Numeric)) => Err(format!(
            "kind = \"numeric\" is configured, but its values are no numbers ({data_type}); \
             leave kind out, or store numbers"
        )),
        (_, Some(Categorical)) => Err(format!(
            "kind = \"categorical\" is configured, but a fraction ({data_type}) has no one text; \
             leave kind out, or store strings or integers"
        )),
        (_, None) => Err(format!("its type is {data_type}")),
    }
}

fn rule_of(feature: &FeatureConfig, options: &LoadOptions) -> BinningConfig {
    let default = &options.binning;
    let edges: &EdgeRule = feature.edges.as_ref().unwrap_or(&default.edges);
    BinningConfig {
        edges: edges.clone(),
        closed: feature.closed.unwrap_or(default.closed),
        max_categories: feature.max_categories.unwrap_or(default.max_categories),
    }
}

/// Names a file by a hash of its bytes.
pub(super) fn source(file: &ParquetFile) -> Result<Source, ReferenceError> {
    Ok(Source {
        path: file.path().display().to_string(),
        sha256: file.sha256()?,
        rows: file.rows,
    })
}

fn event_time(
    files: &[ParquetFile],
    name: Option<&str>,
) -> Result<Option<EventTimeSpan>, ReferenceError> {
    let Some(name) = name else {
        return Ok(None);
    };
    let mut span: Option<(i64, i64)> = None;
    for file in files {
        if let Some(column) = file.column(name)
            && let Some((from, to)) = time::span(file, column)?
        {
            span = Some(span.map_or((from, to), |(a, b)| (a.min(from), b.max(to))));
        }
    }
    Ok(span.and_then(|(from, to)| {
        Some(EventTimeSpan {
            column: name.to_owned(),
            from: rfc3339(from)?,
            to: rfc3339(to)?,
        })
    }))
}

fn left_out(column: &Column, reason: String) -> LeftOut {
    LeftOut {
        column: column.name.clone(),
        reason,
    }
}

fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}
