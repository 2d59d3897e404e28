//! The checks that single values share: durations, counts, shares, paths, secrets.

use std::ops::RangeInclusive;

use secrecy::SecretString;
use toml::Spanned;

use super::Resolver;
use crate::config::raw::{RawDuration, RawPath, RawSecret, Typed, Whole};
use crate::config::{durations, env};

impl Resolver<'_> {
    /// What a flag or else an environment variable says.
    pub(super) fn outside(&self, flag: Option<&str>, name: &str) -> Option<String> {
        flag.or_else(|| self.overrides.environment.get(name))
            .map(str::to_owned)
    }

    /// A text that is not blank.
    pub(super) fn text(&mut self, raw: &Typed<String>) -> Option<String> {
        raw.as_ref().map(|typed| self.not_blank(typed))
    }

    pub(super) fn texts(&mut self, raw: &[Spanned<String>]) -> Vec<String> {
        raw.iter().map(|typed| self.not_blank(typed)).collect()
    }

    fn not_blank(&mut self, typed: &Spanned<String>) -> String {
        if typed.get_ref().trim().is_empty() {
            self.faults.add(
                typed.span(),
                "found an empty text",
                "give it a value or leave the key out",
            );
        }
        typed.get_ref().clone()
    }

    /// Milliseconds, of either sign.
    pub(super) fn signed(&mut self, raw: &Typed<RawDuration>) -> Option<i64> {
        let typed = raw.as_ref()?;
        match durations::parse(&typed.get_ref().0) {
            Ok(ms) => Some(ms),
            Err(message) => {
                self.faults.add(typed.span(), message, "");
                None
            }
        }
    }

    /// Milliseconds > 0; the default where there are none or wrong ones.
    pub(super) fn positive(&mut self, raw: &Typed<RawDuration>, default: i64) -> i64 {
        self.at_least(raw, 1, "more than 0").unwrap_or(default)
    }

    /// Milliseconds ≥ 0; the default where there are none or wrong ones.
    pub(super) fn not_negative(&mut self, raw: &Typed<RawDuration>, default: i64) -> i64 {
        self.at_least(raw, 0, "0 or more").unwrap_or(default)
    }

    /// Milliseconds ≥ `least`.
    pub(super) fn at_least(
        &mut self,
        raw: &Typed<RawDuration>,
        least: i64,
        words: &str,
    ) -> Option<i64> {
        let ms = self.signed(raw)?;
        let typed = raw.as_ref()?;
        if ms >= least {
            return Some(ms);
        }
        self.faults.add(
            typed.span(),
            format!(
                "found {:?}, expected a duration of {words}",
                typed.get_ref().0
            ),
            "",
        );
        None
    }

    /// A count within `range`.
    pub(super) fn count(&mut self, raw: &Typed<Whole>, range: RangeInclusive<u64>) -> Option<u64> {
        let typed = raw.as_ref()?;
        let Whole(count) = *typed.get_ref();
        if range.contains(&count) {
            return Some(count);
        }
        let (least, most) = range.into_inner();
        let expected = match most {
            most if most >= u64::from(u32::MAX) => format!("at least {least}"),
            _ => format!("{least} to {most}"),
        };
        self.faults.add(
            typed.span(),
            format!("found {count}, expected {expected}"),
            "",
        );
        None
    }

    /// A number that `fits`; `expected` says which do.
    pub(super) fn number(
        &mut self,
        raw: &Typed<f64>,
        expected: &str,
        fits: impl Fn(f64) -> bool,
    ) -> Option<f64> {
        let typed = raw.as_ref()?;
        let value = *typed.get_ref();
        if fits(value) {
            return Some(value);
        }
        self.faults.add(
            typed.span(),
            format!("found {value}, expected {expected}"),
            "",
        );
        None
    }

    /// The keys from the event's root to a value; none is empty.
    pub(super) fn event_path(&mut self, typed: &Spanned<RawPath>) -> Vec<String> {
        let RawPath(keys) = typed.get_ref();
        if keys.is_empty() || keys.iter().any(String::is_empty) {
            self.faults.add(
                typed.span(),
                "found an empty key in a path, expected one such as \"payload.price\"",
                "where keys hold dots, write a list: [\"payload\", \"unit.price\"]",
            );
        }
        keys.clone()
    }

    /// A secret from the environment, the file or the file it names, in this order.
    pub(super) fn secret(
        &mut self,
        name: Option<&str>,
        typed: &Typed<RawSecret>,
        file: &Typed<String>,
    ) -> Option<SecretString> {
        if let (Some(_), Some(file)) = (typed, file) {
            self.faults.add(
                file.span(),
                "the secret is given twice, here and in the configuration itself",
                "keep one of the two",
            );
        }
        let outside = name.and_then(|name| self.overrides.environment.secret(name));
        if let Some(secret) = outside {
            return match secret {
                Ok(secret) => Some(secret),
                Err(message) => {
                    self.faults
                        .add(None, message, "mount the file or unset the variable");
                    None
                }
            };
        }
        if let Some(typed) = typed {
            return Some(typed.get_ref().0.clone());
        }
        let file = file.as_ref()?;
        match env::read_secret(&self.folder.join(file.get_ref())) {
            Ok(secret) => Some(secret),
            Err(message) => {
                self.faults.add(
                    file.span(),
                    message,
                    match name {
                        Some(name) => format!("mount the file, or set {name} in the environment"),
                        None => "mount the file or name another".to_owned(),
                    },
                );
                None
            }
        }
    }
}
