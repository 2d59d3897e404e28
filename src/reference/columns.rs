//! Which columns are watched.
//!
//! Every column is, except the monitor's timestamp, times, nested and binary columns, and (decided
//! once its values are known, see [`identifier_reason`](super::identifiers::identifier_reason)) those that look like identifiers. A column
//! named by a feature or, letter for letter, by `include` is watched in any case. The strongest
//! statement wins: a feature, `exclude` letter for letter, `include` letter for letter, a pattern of
//! `exclude`, a pattern of `include`.

use std::collections::HashSet;
use std::path::Path;

use globset::{Glob, GlobMatcher};

use super::LoadOptions;
use super::error::ReferenceError;
use super::parquet::{Column, ColumnClass};
use super::profile::LeftOut;
use crate::config::FeatureConfig;

/// One feature to build: its settings and where its column is.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Index into the columns the plan was made for.
    pub column: usize,
    pub feature: FeatureConfig,
    /// Somebody named it, so it is watched whatever it looks like.
    pub named: bool,
}

/// What is built, in the order of the columns, and what is not.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub wanted: Vec<Wanted>,
    pub left_out: Vec<LeftOut>,
}

/// Chooses among `columns` of the file at `path`.
///
/// # Errors
/// A feature or `include` names a column that does not exist; a pattern is no glob.
pub fn plan(
    path: &Path,
    columns: &[Column],
    options: &LoadOptions,
) -> Result<Plan, ReferenceError> {
    let chooser = Chooser::new(options)?;
    check_names(path, columns, options)?;
    let mut plan = Plan::default();
    let mut seen = HashSet::new();
    for (i, column) in columns.iter().enumerate() {
        let features: Vec<&FeatureConfig> = options
            .features
            .iter()
            .filter(|f| column_of(f) == column.name)
            .collect();
        if !seen.insert(&column.name) {
            plan.leave_out(column, "a column of this name came before it".to_owned());
        } else if !features.is_empty() {
            let named = features.into_iter().map(|f| Wanted {
                column: i,
                feature: f.clone(),
                named: true,
            });
            plan.wanted.extend(named);
        } else if let Some(other) = namesake(column, options) {
            let other = column_of(other);
            plan.leave_out(
                column,
                format!("the feature of this name is column {other:?}"),
            );
        } else {
            match chooser.choose(column) {
                Ok(named) => plan.wanted.push(Wanted {
                    column: i,
                    feature: FeatureConfig {
                        name: column.name.clone(),
                        ..FeatureConfig::default()
                    },
                    named,
                }),
                Err(reason) => plan.leave_out(column, reason),
            }
        }
    }
    Ok(plan)
}

impl Plan {
    fn leave_out(&mut self, column: &Column, reason: String) {
        self.left_out.push(LeftOut {
            column: column.name.clone(),
            reason,
        });
    }
}

/// A feature that has this column's name and another column.
fn namesake<'a>(column: &Column, options: &'a LoadOptions) -> Option<&'a FeatureConfig> {
    let mut features = options.features.iter();
    features.find(|f| f.name == column.name && column_of(f) != column.name)
}

/// The reference's column of a feature.
#[must_use]
pub fn column_of(feature: &FeatureConfig) -> &str {
    feature.column.as_deref().unwrap_or(&feature.name)
}

fn check_names(
    path: &Path,
    columns: &[Column],
    options: &LoadOptions,
) -> Result<(), ReferenceError> {
    let exists = |name: &str| columns.iter().any(|c| c.name == name);
    let unknown = |name: &str, wanted_by: String| {
        let names = columns.iter().map(|c| c.name.clone()).collect();
        Err(ReferenceError::unknown_column(path, name, wanted_by, names))
    };
    for feature in &options.features {
        if !exists(column_of(feature)) {
            return unknown(column_of(feature), format!("feature {:?}", feature.name));
        }
    }
    for pattern in &options.include {
        if !is_pattern(pattern) && !exists(pattern) {
            return unknown(pattern, "include".to_owned());
        }
    }
    Ok(())
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

struct Chooser<'a> {
    options: &'a LoadOptions,
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
}

impl<'a> Chooser<'a> {
    fn new(options: &'a LoadOptions) -> Result<Self, ReferenceError> {
        Ok(Self {
            options,
            include: globs("include", &options.include)?,
            exclude: globs("exclude", &options.exclude)?,
        })
    }

    /// Whether the column was named, or why it is left out.
    fn choose(&self, column: &Column) -> Result<bool, String> {
        let name = &column.name;
        let Self {
            options,
            include,
            exclude,
        } = self;
        if name.is_empty() {
            return Err("it has no name; give it one to have it watched".to_owned());
        }
        if options.exclude.contains(name) {
            return Err("excluded by name".to_owned());
        }
        if options.include.contains(name) {
            return Ok(true);
        }
        if let Some(glob) = exclude.iter().find(|g| g.is_match(name)) {
            return Err(format!("excluded by {:?}", glob.glob().glob()));
        }
        if !include.is_empty() && !include.iter().any(|g| g.is_match(name)) {
            return Err("no pattern of include matches it".to_owned());
        }
        if options.timestamp_column.as_ref() == Some(name) {
            return Err("it is the events' timestamp".to_owned());
        }
        match unwatchable(column) {
            Some(reason) => Err(reason),
            None => Ok(false),
        }
    }
}

fn globs(option: &'static str, patterns: &[String]) -> Result<Vec<GlobMatcher>, ReferenceError> {
    let compile = |pattern: &String| {
        Glob::new(pattern)
            .map(|glob| glob.compile_matcher())
            .map_err(|e| ReferenceError::Pattern {
                option,
                pattern: pattern.clone(),
                what: e.kind().to_string(),
            })
    };
    patterns.iter().map(compile).collect()
}

/// Why the values of a column of this type cannot be compared, whoever asks for it.
#[must_use]
pub fn unwatchable(column: &Column) -> Option<String> {
    let data_type = &column.data_type;
    match column.class {
        ColumnClass::Time => Some(format!(
            "it is a time ({data_type}), which always moves on; store what matters about it, such \
             as the hour, as a number"
        )),
        ColumnClass::Nested => Some(format!(
            "it is nested ({data_type}); write its parts as columns of their own"
        )),
        ColumnClass::Null => Some("it has no type and no values".to_owned()),
        ColumnClass::Other => Some(format!(
            "its type is {data_type}; only numbers, strings and booleans are compared"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, class: ColumnClass) -> Column {
        Column {
            name: name.into(),
            class,
            data_type: "t".into(),
        }
    }

    fn watched(options: &LoadOptions) -> Vec<String> {
        let columns = [
            column("ts", ColumnClass::Time),
            column("age", ColumnClass::Integer),
            column("age_group", ColumnClass::Text),
            column("tags", ColumnClass::Nested),
        ];
        let plan = plan(Path::new("r"), &columns, options).unwrap();
        assert_eq!(plan.wanted.len() + plan.left_out.len(), columns.len());
        plan.wanted.into_iter().map(|w| w.feature.name).collect()
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).into()).collect()
    }

    #[test]
    fn times_and_nested_columns_are_left_out() {
        assert_eq!(watched(&LoadOptions::default()), ["age", "age_group"]);
    }

    #[test]
    fn an_exact_include_is_stronger_than_a_pattern_of_exclude() {
        let mut options = LoadOptions {
            include: strings(&["age*", "age"]),
            exclude: strings(&["a*"]),
            ..LoadOptions::default()
        };
        assert_eq!(watched(&options), ["age"]);
        options.exclude = strings(&["age"]);
        assert_eq!(watched(&options), ["age_group"]);
        options.features = vec![FeatureConfig {
            name: "age".into(),
            ..FeatureConfig::default()
        }];
        assert_eq!(watched(&options), ["age", "age_group"]);
    }

    #[test]
    fn the_timestamp_is_left_out_unless_named() {
        let mut options = LoadOptions {
            timestamp_column: Some("age".into()),
            ..LoadOptions::default()
        };
        assert_eq!(watched(&options), ["age_group"]);
        options.include = strings(&["age"]);
        assert_eq!(watched(&options), ["age"]);
    }

    #[test]
    fn a_feature_under_another_name_takes_its_columns_place() {
        let options = LoadOptions {
            features: vec![FeatureConfig {
                name: "years".into(),
                column: Some("age".into()),
                ..FeatureConfig::default()
            }],
            ..LoadOptions::default()
        };
        assert_eq!(watched(&options), ["years", "age_group"]);
    }

    #[test]
    fn two_features_never_have_one_name() {
        let options = LoadOptions {
            features: vec![FeatureConfig {
                name: "age_group".into(),
                column: Some("age".into()),
                ..FeatureConfig::default()
            }],
            ..LoadOptions::default()
        };
        assert_eq!(watched(&options), ["age_group"]);
    }

    #[test]
    fn a_column_that_does_not_exist_is_an_error() {
        let options = LoadOptions {
            include: strings(&["agee"]),
            ..LoadOptions::default()
        };
        let error = plan(
            Path::new("r"),
            &[column("age", ColumnClass::Integer)],
            &options,
        );
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("did you mean \"age\"")
        );
    }
}
