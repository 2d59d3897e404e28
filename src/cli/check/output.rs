//! Writes the result in the format asked for, to standard output or a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::settings::Settings;
use super::{CheckArgs, CheckError, Checked, OutputFormat, csv, explain, json, openmetrics, table};
use crate::cli::{is_same_file, terminal};
use crate::monitor::Monitor;

/// Refuses what cannot be written in this format, before anything is read.
pub(super) fn possible(
    args: &CheckArgs,
    settings: &Settings,
    monitor: &Monitor,
) -> Result<(), CheckError> {
    let usage = |what: String| Err(CheckError::Usage(what));
    let features = &monitor.definition.features;
    if args.counts && args.format != OutputFormat::Csv {
        return usage(
            "--counts goes with --format csv; --format json always has counts".to_owned(),
        );
    }
    let read = [&settings.input, &settings.monitor.reference];
    if let Some(output) = &args.output
        && read.iter().any(|file| is_same_file(file, output))
    {
        return usage(format!(
            "{} is both read and written; give --output another name",
            output.display()
        ));
    }
    match args.format {
        OutputFormat::Value | OutputFormat::Explain if features.len() != 1 => usage(format!(
            "this --format is about the PSI of one feature; choose one of the {} with --feature NAME",
            features.len()
        )),
        OutputFormat::Openmetrics if settings.monitor.timestamp.is_none() => usage(
            "--format openmetrics needs --timestamp FIELD: each sample stands at a time".to_owned(),
        ),
        _ => Ok(()),
    }
}

pub(super) fn write(
    args: &CheckArgs,
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
) -> Result<(), CheckError> {
    let text = render(args, settings, monitor, checked)?;
    match &args.output {
        None => to_stdout(&text).map_err(|source| CheckError::Output {
            name: "to standard output".to_owned(),
            source,
        }),
        Some(path) => {
            let plain = anstream::adapter::strip_bytes(&text).into_vec();
            let written = File::create(path).and_then(|mut file| file.write_all(&plain));
            written.map_err(|source| CheckError::Output {
                name: path.display().to_string(),
                source,
            })
        }
    }
}

fn render(
    args: &CheckArgs,
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
) -> Result<Vec<u8>, CheckError> {
    let columns = args.output.is_none().then(terminal::columns).flatten();
    let rendered = match args.format {
        OutputFormat::Table => table::render(settings, monitor, checked, columns),
        OutputFormat::Json => json::render(settings, monitor, checked),
        OutputFormat::Csv => csv::render(monitor, checked, args.counts),
        OutputFormat::Openmetrics => openmetrics::render(monitor, checked),
        OutputFormat::Value => return value(checked),
        OutputFormat::Explain => Ok(explain::render(settings, monitor, checked, columns)),
    };
    rendered.map_err(|source| CheckError::Output {
        name: "the result".to_owned(),
        source,
    })
}

/// The PSI of the one feature in the last window.
fn value(checked: &Checked) -> Result<Vec<u8>, CheckError> {
    let last = checked.reports.last().and_then(|r| r.features.first());
    match last.and_then(|f| f.psi) {
        Some(psi) => Ok(format!("{psi}\n").into_bytes()),
        None => Err(CheckError::NoValue {
            feature: last.map(|f| f.feature.to_string()).unwrap_or_default(),
        }),
    }
}

/// A reader that has seen enough, such as `head`, is no failure.
fn to_stdout(text: &[u8]) -> io::Result<()> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
