//! `psiren init`: a commented configuration from a topic and a reference.
//!
//! What is written was tried: the brokers are asked with the settings of the file, the file loads,
//! and its secrets stay in the environment. What was found goes to standard error.

mod draft;
mod events;
mod feature;
mod pace;
mod place;
mod report;
mod toml_text;
mod topic;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::draft::{Column, Draft, Kafka, Timing};
use self::feature::Feature;
use self::pace::Pace;
use self::topic::Looked;
use super::checklist::Checklist;
use super::progress::Progress;
use super::words::time;
use super::{USAGE, is_same_file, say};
use crate::app::now_ms;
use crate::config::{Config, ConfigError, Environment, MonitorConfig, Overrides};
use crate::monitor::Monitor;
use crate::reference::columns::unwatchable;
use crate::reference::parquet::ParquetFile;
use crate::reference::{self, LoadOptions, Profile};

const SERVERS: &str = "PSIREN_KAFKA_BOOTSTRAP_SERVERS";
const DEFAULT_SERVERS: &str = "localhost:9092";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren init --topic flights --reference training.parquet
  psiren init --topic flights --reference reference.json --offline --output -
  psiren init -t flights -r training.parquet -b kafka:9093 --sasl PLAIN --tls

User and password are taken from PSIREN_KAFKA_SASL_USERNAME and
PSIREN_KAFKA_SASL_PASSWORD (or PSIREN_KAFKA_SASL_PASSWORD_FILE), as `run` does,
and never written.")]
pub struct InitArgs {
    /// The topic to watch
    #[arg(short, long, value_name = "TOPIC", value_parser = topic_name)]
    topic: String,
    /// What it should look like: Parquet, or a profile from `psiren reference build`
    #[arg(short, long, value_name = "FILE")]
    reference: PathBuf,
    /// Where to write the configuration; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "psiren.toml")]
    output: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Ask no broker; what only the topic can tell stays open in the comments
    #[arg(long)]
    offline: bool,
    /// The brokers [default: PSIREN_KAFKA_BOOTSTRAP_SERVERS, else localhost:9092]
    #[arg(short, long, value_name = "HOST:PORT,…", help_heading = "Kafka")]
    bootstrap_servers: Option<String>,
    /// Authenticate by SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
    #[arg(long, value_name = "MECHANISM", help_heading = "Kafka")]
    sasl: Option<String>,
    /// Use TLS with the certificate authorities of the system
    #[arg(long, help_heading = "Kafka")]
    tls: bool,
    /// Use TLS with this certificate authority, PEM
    #[arg(long, value_name = "FILE", help_heading = "Kafka")]
    ca_file: Option<PathBuf>,
    /// Show this certificate to the brokers, PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "key_file",
        help_heading = "Kafka"
    )]
    cert_file: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "cert_file",
        help_heading = "Kafka"
    )]
    key_file: Option<PathBuf>,
}

/// A name Kafka takes; a monitor may be called the same.
fn topic_name(name: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let fits = (1..=249).contains(&name.len()) && name != "." && name != "..";
    match fits && name.chars().all(legal) {
        true => Ok(name.to_owned()),
        false => Err("topics have 1 to 249 letters, digits, `.`, `_` and `-`".to_owned()),
    }
}

/// # Errors
/// The reference cannot be used, the topic cannot be looked at, the file cannot be written. What is
/// wrong with the command line is printed, and the exit code is 2.
pub fn run(args: InitArgs) -> Result<ExitCode> {
    if let Err(what) = args.possible() {
        say::error(&what);
        return Ok(ExitCode::from(USAGE));
    }
    let mut list = Checklist::new(true);
    let environment = Environment::from_process()?;
    let reading = Progress::reference(true);
    let profile = args.profile()?;
    reading.done();
    let mut draft = args.draft(&environment, &profile)?;
    let overrides = Overrides {
        bootstrap_servers: Some(draft.kafka.servers.clone()),
        ..Overrides::from(environment.clone())
    };
    let config = args.parsed(&draft, &overrides)?;
    report::reference(&args.reference, &draft, &mut list)?;
    if !args.offline {
        let looked = topic::look(&config.kafka, &args.topic)?;
        args.complete(&mut draft, &looked, &profile);
        report::topic(&draft, &looked, &mut list)?;
    }
    // Once more as `run` will read it, which knows nothing of --bootstrap-servers.
    let config = args.parsed(&draft, &Overrides::from(environment.clone()))?;
    if !args.is_parquet() {
        reference::load(&args.reference, &LoadOptions::from(&config.monitors[0]))?;
    }
    args.write(&draft.render())?;
    report::next(&args.output, &environment, &draft.kafka.servers)?;
    Ok(ExitCode::SUCCESS)
}

impl InitArgs {
    fn to_stdout(&self) -> bool {
        self.output.as_os_str() == "-"
    }

    /// Refuses what cannot be written, before anything is read or asked.
    fn possible(&self) -> Result<(), String> {
        let shown = self.output.display();
        if self.to_stdout() {
            return Ok(());
        }
        if is_same_file(&self.output, &self.reference) {
            return Err(format!(
                "{shown} is the reference; give --output another name"
            ));
        }
        let secrets = [&self.ca_file, &self.cert_file, &self.key_file];
        if let Some(file) = secrets
            .into_iter()
            .flatten()
            .find(|f| is_same_file(&self.output, f))
        {
            return Err(format!(
                "{shown} is {}, which the configuration is to name; give --output another name",
                file.display()
            ));
        }
        if self.output.is_dir() {
            return Err(format!(
                "{shown} is a folder; name a file in it, such as --output {}",
                self.output.join("psiren.toml").display()
            ));
        }
        if self.output.exists() && !self.force {
            return Err(format!(
                "{shown} is there already; --force replaces it, --output names another file"
            ));
        }
        Ok(())
    }

    fn is_parquet(&self) -> bool {
        ParquetFile::open(&self.reference).is_ok()
    }

    /// The reference as it is: a profile keeps the buckets it was built with.
    fn profile(&self) -> Result<Profile> {
        let options = LoadOptions {
            as_built: true,
            ..LoadOptions::default()
        };
        Ok(reference::load(&self.reference, &options)?)
    }

    /// What is known without the topic.
    fn draft(&self, environment: &Environment, profile: &Profile) -> Result<Draft> {
        let kafka = self.kafka(environment)?;
        let features = profile.features.iter();
        let features = features.map(|of| Feature {
            of: of.clone(),
            place: None,
        });
        let mut draft = Draft {
            written: time(now_ms()),
            topic: self.topic.clone(),
            kafka,
            reference: self.beside_output(&self.reference)?,
            features: features.collect(),
            left_out: self.left_out(profile),
            timing: Timing {
                reasons: vec!["The topic was not looked at.".to_owned()],
                ..Timing::default()
            },
            proposal: pace::propose(None, &[]),
        };
        draft.proposal = pace::propose(None, &self.needed(&draft, profile));
        Ok(draft)
    }

    fn left_out(&self, profile: &Profile) -> Vec<Column> {
        let columns = ParquetFile::open(&self.reference).map(|file| file.columns().to_vec());
        let columns = columns.unwrap_or_default();
        let watchable = |name: &str| {
            let mut same = columns.iter().filter(|c| c.name == name);
            same.next().is_some_and(|c| unwatchable(c).is_none()) && same.next().is_none()
        };
        let left_out = profile.left_out.iter().map(|column| Column {
            watchable: watchable(&column.column),
            name: column.column.clone(),
            reason: column.reason.clone(),
        });
        let problems = profile.problems.iter().map(|column| Column {
            watchable: false,
            name: column.column.clone(),
            reason: format!("cannot be watched: {}", column.reason),
        });
        left_out.chain(problems).collect()
    }

    /// The values each feature needs for a verdict.
    fn needed(&self, draft: &Draft, profile: &Profile) -> Vec<u64> {
        let window = draft.proposal.window;
        let config = MonitorConfig::new(&self.topic, &self.topic, self.reference.clone(), window);
        let monitor = Monitor::with_profile(&config, profile.clone());
        let features = monitor.definition.features.iter();
        features.map(|feature| feature.min_events).collect()
    }

    /// Puts in what the topic tells.
    fn complete(&self, draft: &mut Draft, looked: &Looked, profile: &Profile) {
        let events = &looked.events;
        draft.timing = report::timing(events);
        if let Some([column]) = draft.timing.field.as_deref().filter(|path| path.len() == 1) {
            let (time, features) = std::mem::take(&mut draft.features)
                .into_iter()
                .partition::<Vec<_>, _>(|f| f.of.reference.column == *column);
            draft.features = features;
            draft.left_out.extend(time.into_iter().map(|f| Column {
                name: f.of.reference.column,
                reason: "it is the events' timestamp".to_owned(),
                watchable: false,
            }));
        }
        if events.objects > 0 {
            for feature in &mut draft.features {
                feature.place = Some(events.place(&feature.of.reference.name));
            }
        }
        let span = match &draft.timing.field {
            Some(field) => events.times().into_iter().find(|t| t.path == *field),
            None => None,
        };
        let span = span.and_then(|time| time.span).or(events.stamps);
        let pace = span.and_then(|span| Pace::new(looked.between, span));
        draft.proposal = pace::propose(pace, &self.needed(draft, profile));
    }

    fn kafka(&self, environment: &Environment) -> Result<Kafka> {
        const USERNAME: &str = "PSIREN_KAFKA_SASL_USERNAME";
        const PASSWORD: &str = "PSIREN_KAFKA_SASL_PASSWORD";
        const PASSWORD_FILE: &str = "PSIREN_KAFKA_SASL_PASSWORD_FILE";
        let has = |name: &&str| environment.get(name).is_some();
        match &self.sasl {
            Some(mechanism) if !has(&USERNAME) || !(has(&PASSWORD) || has(&PASSWORD_FILE)) => {
                bail!(
                    "--sasl {mechanism} needs a user and a password: put {USERNAME}, and {PASSWORD} or \
                 {PASSWORD_FILE}, into the environment or into .env, where `psiren run` looks too"
                )
            }
            None => {
                if let Some(name) = [USERNAME, PASSWORD].iter().find(|name| has(name)) {
                    bail!(
                        "{name} is set; say how to authenticate by --sasl, such as \
                         --sasl SCRAM-SHA-512, or unset it"
                    );
                }
            }
            Some(_) => {}
        }
        let servers = self.bootstrap_servers.as_deref();
        let servers = servers.or_else(|| environment.get(SERVERS));
        let file = |path: &Option<PathBuf>| -> Result<Option<String>> {
            path.as_deref().map(|p| self.beside_output(p)).transpose()
        };
        Ok(Kafka {
            servers: servers.unwrap_or(DEFAULT_SERVERS).to_owned(),
            sasl: self.sasl.clone(),
            tls: self.tls || self.ca_file.is_some() || self.cert_file.is_some(),
            ca_file: file(&self.ca_file)?,
            cert_file: file(&self.cert_file)?,
            key_file: file(&self.key_file)?,
        })
    }

    /// `path` as the file that is written names it.
    fn beside_output(&self, path: &Path) -> Result<String> {
        let folder = match self.output.parent() {
            Some(folder) if !self.to_stdout() => folder,
            _ => Path::new(""),
        };
        place::seen_from(folder, path)
    }

    /// The draft as `run` would read it.
    fn parsed(&self, draft: &Draft, overrides: &Overrides) -> Result<Config> {
        let parsed = Config::parse(&draft.render(), &self.output, overrides);
        parsed.map_err(|error| refused(&error))
    }

    fn write(&self, text: &str) -> Result<()> {
        if self.to_stdout() {
            super::print(text.as_bytes())?;
            return Ok(());
        }
        place::write(&self.output, text, self.force)
            .with_context(|| format!("cannot write {}", self.output.display()))
    }
}

/// The problems without their places, which are in a file that nobody has yet.
fn refused(error: &ConfigError) -> anyhow::Error {
    let problems = error.problems().iter().map(|problem| {
        let help = match problem.help.as_str() {
            "" => String::new(),
            help => format!("; {help}"),
        };
        format!("{}{help}", problem.message)
    });
    anyhow::anyhow!("{}", problems.collect::<Vec<_>>().join("\n"))
        .context("no configuration can be written that `psiren run` would take")
}
