//! Events of a known shape for benchmarks: the same ones for the same seed.

use fastrand::Rng;
use psiren::config::TimestampField;
use psiren::drift::{Binning, Closed};
use psiren::event::{EventSchema, FeatureField};

/// What a batch of events looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Fields beside the event time, a third of them texts.
    pub(crate) fields: usize,
    /// How many of these are watched, spread evenly.
    pub(crate) watched: usize,
    pub(crate) order: Order,
    pub(crate) numbers: Numbers,
    pub(crate) nested: bool,
    /// Texts have escapes, as Python writes what is not ASCII.
    pub(crate) escaped: bool,
    /// Blanks after commas and colons, as Python writes them.
    pub(crate) spaced: bool,
    /// The last field is a text of so many bytes that nobody watches.
    pub(crate) ballast: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Fixed,
    /// Each event has its keys in another order.
    Shuffled,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Numbers {
    /// Up to five digits before the point and two behind it.
    Short,
    /// The 16 to 17 digits that name a double.
    Long,
}

impl Shape {
    pub(crate) const NAMES: [&str; 9] = [
        "flat",
        "wide",
        "nested",
        "shuffled",
        "escaped",
        "spaced",
        "long_numbers",
        "1kB",
        "10kB",
    ];

    /// 20 fields and an event time in about 330 bytes, 12 watched.
    pub(crate) const FLAT: Self = Self {
        fields: 20,
        watched: 12,
        order: Order::Fixed,
        numbers: Numbers::Short,
        nested: false,
        escaped: false,
        spaced: false,
        ballast: 0,
    };
    pub(crate) const WIDE: Self = Self {
        fields: 300,
        ..Self::FLAT
    };

    /// The shape that a benchmark names.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "flat" => Self::FLAT,
            "wide" => Self::WIDE,
            "nested" => Self {
                nested: true,
                ..Self::FLAT
            },
            "shuffled" => Self {
                order: Order::Shuffled,
                ..Self::FLAT
            },
            "escaped" => Self {
                escaped: true,
                ..Self::FLAT
            },
            "spaced" => Self {
                spaced: true,
                ..Self::FLAT
            },
            "long_numbers" => Self {
                numbers: Numbers::Long,
                ..Self::FLAT
            },
            "1kB" => Self {
                ballast: 660,
                ..Self::FLAT
            },
            "10kB" => Self {
                ballast: 9_660,
                ..Self::FLAT
            },
            other => panic!("no shape is called {other}"),
        }
    }

    fn is_text(field: usize) -> bool {
        field % 3 == 2
    }

    fn path(self, field: usize) -> Vec<String> {
        let name = format!("fld{field:03}");
        match self.nested {
            true => vec![format!("part{}", field / 5), name],
            false => vec![name],
        }
    }

    /// Ten buckets for each watched number, eight categories for each watched text.
    pub(crate) fn schema(self) -> EventSchema {
        let watched = (0..self.watched).map(|i| i * self.fields / self.watched);
        let features = watched.map(|field| FeatureField {
            path: self.path(field),
            binning: match Self::is_text(field) {
                true => Binning::Categorical {
                    categories: (0..8).map(|i| self.category(i)).collect(),
                    pooled: Vec::new(),
                },
                false => Binning::Numeric {
                    edges: (1..10).map(|i| f64::from(i) * 100.0).collect(),
                    closed: Closed::Right,
                    float32: false,
                },
            },
        });
        EventSchema {
            features: features.collect(),
            timestamp: Some(TimestampField {
                path: vec!["ts".to_owned()],
                unit: None,
                timezone: None,
            }),
            filters: Vec::new(),
        }
    }

    /// So many events, one second apart.
    pub(crate) fn events(self, count: usize, seed: u64) -> Vec<String> {
        let mut rng = Rng::with_seed(seed);
        (0..count).map(|i| self.event(i, &mut rng)).collect()
    }

    fn event(self, index: usize, rng: &mut Rng) -> String {
        let fields: Vec<usize> = (0..self.fields).collect();
        let mut members = vec![self.member("ts", &time(index))];
        if self.nested {
            for part in fields.chunks(5) {
                let inner = part.iter().map(|field| self.field(*field, rng)).collect();
                let name = format!("part{}", part[0] / 5);
                members.push(self.member(&name, &self.object(inner)));
            }
        } else {
            members.extend(fields.iter().map(|field| self.field(*field, rng)));
        }
        if self.ballast > 0 {
            let text: String = (0..self.ballast).map(|_| rng.lowercase()).collect();
            members.push(self.member("text", &format!("\"{text}\"")));
        }
        if let Order::Shuffled = self.order {
            rng.shuffle(&mut members);
        }
        self.object(members)
    }

    fn field(self, field: usize, rng: &mut Rng) -> String {
        let value = match (Self::is_text(field), self.numbers) {
            (true, _) => {
                let category = self.category(rng.usize(..8));
                match self.escaped {
                    true => format!("\"{}\"", category.replace('ü', "\\u00fc")),
                    false => format!("\"{category}\""),
                }
            }
            (false, Numbers::Short) if field.is_multiple_of(3) => rng.u32(..1_000).to_string(),
            (false, Numbers::Short) => format!("{:.2}", rng.f64() * 1_000.0),
            (false, Numbers::Long) => format!("{:?}", rng.f64() * 1_000.0),
        };
        self.member(&format!("fld{field:03}"), &value)
    }

    fn category(self, i: usize) -> String {
        let name = if self.escaped { "grün" } else { "kind" };
        format!("{name}{i}")
    }

    fn member(self, name: &str, value: &str) -> String {
        let blank = if self.spaced { " " } else { "" };
        format!("\"{name}\":{blank}{value}")
    }

    fn object(self, members: Vec<String>) -> String {
        let comma = if self.spaced { ", " } else { "," };
        format!("{{{}}}", members.join(comma))
    }
}

fn time(index: usize) -> String {
    let (minute, second) = (index / 60 % 60, index % 60);
    format!("\"2024-05-01T12:{minute:02}:{second:02}.123Z\"")
}
