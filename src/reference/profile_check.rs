//! What a profile must fulfil before other code may rely on it.

use std::collections::BTreeSet;

use super::profile::{Profile, ProfileFeature};
use crate::drift::Binning;

/// Everything that holds for a profile this program wrote.
///
/// # Errors
/// What is wrong, in words that name the feature.
pub(super) fn check(profile: &Profile) -> Result<(), String> {
    if profile.rows == 0 {
        return Err("has 0 rows".to_owned());
    }
    let mut names = BTreeSet::new();
    for feature in &profile.features {
        let name = &feature.reference.name;
        if name.is_empty() {
            return Err("has a feature without a name".to_owned());
        }
        if !names.insert(name) {
            return Err(format!("has the feature {name:?} twice"));
        }
        check_feature(feature, profile.rows).map_err(|what| format!("feature {name:?}: {what}"))?;
    }
    Ok(())
}

fn check_feature(feature: &ProfileFeature, rows: u64) -> Result<(), String> {
    let reference = &feature.reference;
    match &reference.binning {
        Binning::Numeric { edges, .. } => {
            check_edges(edges)?;
            check_range(reference.min, reference.max)?;
        }
        Binning::Categorical { categories, pooled } => check_categories(categories, pooled)?,
    }
    let (counts, buckets) = (reference.counts.len(), reference.binning.buckets());
    if counts != buckets {
        return Err(format!("has {counts} counts for {buckets} buckets"));
    }
    let values = reference
        .counts
        .iter()
        .try_fold(0u64, |sum, n| sum.checked_add(*n))
        .filter(|values| values.checked_add(reference.missing) == Some(rows))
        .ok_or_else(|| format!("its counts and missing values do not add up to {rows} rows"))?;
    match values {
        0 => Err("has no values".to_owned()),
        _ => Ok(()),
    }
}

fn check_edges(edges: &[f64]) -> Result<(), String> {
    if edges.is_empty() {
        return Err("has no edges".to_owned());
    }
    if !edges.iter().all(|edge| edge.is_finite()) {
        return Err("has an edge that is not finite".to_owned());
    }
    match edges.windows(2).find(|w| w[0] >= w[1]) {
        Some(w) => Err(format!(
            "its edges must ascend, but {} does not come before {}",
            w[0], w[1]
        )),
        None => Ok(()),
    }
}

fn check_range(min: Option<f64>, max: Option<f64>) -> Result<(), String> {
    match (min, max) {
        (Some(min), Some(max)) if min.is_finite() && max.is_finite() && min <= max => Ok(()),
        (None, None) => Ok(()),
        _ => Err("its min and max are no range".to_owned()),
    }
}

fn check_categories(categories: &[String], pooled: &[String]) -> Result<(), String> {
    if categories.is_empty() {
        return Err("has no categories".to_owned());
    }
    for list in [categories, pooled] {
        if let Some(w) = list.windows(2).find(|w| w[0] >= w[1]) {
            return Err(format!(
                "its categories must be in byte order without repetition, but {:?} does not come before {:?}",
                w[0], w[1]
            ));
        }
    }
    match pooled.iter().find(|p| categories.binary_search(p).is_ok()) {
        Some(both) => Err(format!("{both:?} is both a category and pooled")),
        None => Ok(()),
    }
}
