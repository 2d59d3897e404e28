//! Buckets and thresholds, of a monitor and of single features.

use toml::Spanned;

use super::Resolver;
use crate::config::error::Span;
use crate::config::raw::{RawEdges, RawFeature, RawMonitor, Typed, Whole};
use crate::config::{BinningConfig, EdgeRule, FeatureConfig, defaults};
use crate::drift::{DriftStatus, IncidentRules, Thresholds};

const MOST_BUCKETS: u64 = 1_000;
const MOST_CATEGORIES: u64 = 10_000;

impl Resolver<'_> {
    pub(super) fn binning(&mut self, raw: &RawMonitor) -> BinningConfig {
        let base = BinningConfig::default();
        let rule = self.edge_rule(&raw.edges, &raw.buckets, &base.edges);
        BinningConfig {
            edges: rule.unwrap_or(base.edges),
            closed: raw.closed.unwrap_or(base.closed),
            max_categories: self
                .categories(&raw.max_categories)
                .unwrap_or(base.max_categories),
        }
    }

    fn categories(&mut self, raw: &Typed<Whole>) -> Option<usize> {
        let count = self.count(raw, 1..=MOST_CATEGORIES)?;
        usize::try_from(count).ok()
    }

    /// The rule of `edges` and `buckets`, where either is given; the other is that of `base`.
    fn edge_rule(
        &mut self,
        edges: &Typed<RawEdges>,
        buckets: &Typed<Whole>,
        base: &EdgeRule,
    ) -> Option<EdgeRule> {
        let count = self.count(buckets, 2..=MOST_BUCKETS);
        let count = count.and_then(|n| usize::try_from(n).ok());
        let base_count = match base {
            EdgeRule::Quantile { buckets } | EdgeRule::Uniform { buckets } => *buckets,
            EdgeRule::Explicit(_) => defaults::BUCKETS,
        };
        let n = count.unwrap_or(base_count);
        match edges.as_ref().map(Spanned::get_ref) {
            Some(RawEdges::Quantile) => Some(EdgeRule::Quantile { buckets: n }),
            Some(RawEdges::Uniform) => Some(EdgeRule::Uniform { buckets: n }),
            Some(RawEdges::Explicit(list)) => {
                if let Some(buckets) = buckets {
                    self.faults.add(
                        buckets.span(),
                        format!("`buckets` next to {} edges of your own", list.len()),
                        "leave `buckets` out: there is one more than edges",
                    );
                }
                let span = edges.as_ref().map(Spanned::span);
                Some(EdgeRule::Explicit(self.explicit(span, list)))
            }
            None => count.map(|buckets| match base {
                EdgeRule::Uniform { .. } => EdgeRule::Uniform { buckets },
                EdgeRule::Quantile { .. } | EdgeRule::Explicit(_) => EdgeRule::Quantile { buckets },
            }),
        }
    }

    fn explicit(&mut self, span: Option<Span>, list: &[Spanned<f64>]) -> Vec<f64> {
        if list.is_empty() || list.len() as u64 >= MOST_BUCKETS {
            let found = list.len();
            let most = MOST_BUCKETS - 1;
            self.faults.add(
                span,
                format!("found {found} edges, expected 1 to {most}"),
                "",
            );
        }
        for edge in list.iter().filter(|edge| !edge.get_ref().is_finite()) {
            self.faults.add(
                edge.span(),
                format!(
                    "found {} as an edge, expected a finite number",
                    edge.get_ref()
                ),
                "the outer buckets are open to infinity as they are",
            );
        }
        for pair in list.windows(2) {
            let (a, b) = (pair[0].get_ref(), pair[1].get_ref());
            if a.is_finite() && b.is_finite() && a >= b {
                self.faults.add(
                    pair[1].span(),
                    format!("the edge {b} comes after {a}, expected ascending edges"),
                    "sort them and leave out repetitions",
                );
            }
        }
        list.iter().map(|edge| *edge.get_ref()).collect()
    }

    /// Both thresholds, each from `base` where it is not given: 0 < possible ≤ likely.
    pub(super) fn threshold_pair(
        &mut self,
        possible: &Typed<f64>,
        likely: &Typed<f64>,
        base: Thresholds,
    ) -> Thresholds {
        let positive = |psi: f64| psi.is_finite() && psi > 0.0;
        let mut one = |typed| self.number(typed, "a PSI greater than 0", positive);
        let pair = Thresholds {
            possible: one(possible).unwrap_or(base.possible),
            likely: one(likely).unwrap_or(base.likely),
        };
        if pair.possible > pair.likely
            && let Some(typed) = likely.as_ref().or(possible.as_ref())
        {
            self.faults.add(
                typed.span(),
                format!(
                    "`likely` is {} and `possible` is {}, expected possible ≤ likely",
                    pair.likely, pair.possible
                ),
                "raise `likely` or lower `possible`",
            );
        }
        pair
    }

    /// An incident must not end at a PSI that opens it.
    pub(super) fn check_resolve_below(
        &mut self,
        span: Span,
        rules: &IncidentRules,
        thresholds: Thresholds,
    ) {
        let opening = match rules.alert_on {
            DriftStatus::PossibleDrift => thresholds.possible,
            _ => thresholds.likely,
        };
        if let Some(below) = rules.resolve_below.filter(|below| *below > opening) {
            self.faults.add(
                span,
                format!("`resolve_below` is {below}, above the {opening} that opens an incident"),
                "lower `resolve_below`, or raise the threshold",
            );
        }
    }

    pub(super) fn features(
        &mut self,
        raw: &RawMonitor,
        binning: &BinningConfig,
        thresholds: Thresholds,
        rules: &IncidentRules,
    ) -> Vec<FeatureConfig> {
        raw.features
            .iter()
            .map(|(name, feature)| {
                let own = self.threshold_pair(&feature.possible, &feature.likely, thresholds);
                if let Some(typed) = feature.likely.as_ref().or(feature.possible.as_ref()) {
                    self.check_resolve_below(typed.span(), rules, own);
                }
                self.feature(name, feature, &binning.edges)
            })
            .collect()
    }

    fn feature(
        &mut self,
        name: &Spanned<String>,
        raw: &RawFeature,
        edges: &EdgeRule,
    ) -> FeatureConfig {
        if name.get_ref().is_empty() || name.get_ref().contains(char::is_control) {
            self.faults.add(
                name.span(),
                format!("found {:?} as the name of a feature", name.get_ref()),
                "give it a name without control characters",
            );
        }
        FeatureConfig {
            name: name.get_ref().clone(),
            path: raw.path.as_ref().map(|path| self.event_path(path)),
            column: self.text(&raw.column),
            kind: raw.kind,
            edges: self.edge_rule(&raw.edges, &raw.buckets, edges),
            closed: raw.closed,
            max_categories: self.categories(&raw.max_categories),
            possible: raw.possible.as_ref().map(|psi| *psi.get_ref()),
            likely: raw.likely.as_ref().map(|psi| *psi.get_ref()),
            min_events: self.count(&raw.min_events, 1..=u64::MAX),
            missing: raw.missing,
            redact: raw.redact.unwrap_or(false),
        }
    }
}
