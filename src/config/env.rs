//! The environment, `.env` in the working directory, and secrets kept in files.
//!
//! The process environment is read once, by [`Environment::from_process`]; everything else gets it
//! as a value, so that tests need none.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use secrecy::SecretString;

use super::error::{ConfigError, Problem};

/// A file of a secret may be a device or a pipe that never ends.
const MOST_SECRET_BYTES: u64 = 64 * 1024;

/// Environment variables. A variable that is empty counts as not set.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The variables of this process, then those of `.env` in the working directory that it does
    /// not have; and the host's name as `HOSTNAME`, where the shell does not export it.
    ///
    /// # Errors
    /// A `.env` that cannot be read or parsed. Its lines are not shown: they may hold secrets.
    pub fn from_process() -> Result<Self, ConfigError> {
        let mut environment: Self = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        environment.add_file(Path::new(".env"))?;
        if environment.get("HOSTNAME").is_none()
            && let Some(name) = host_name()
        {
            environment.variables.insert("HOSTNAME".to_owned(), name);
        }
        Ok(environment)
    }

    /// Adds what a `.env` file sets and this environment does not; a missing file adds nothing.
    ///
    /// # Errors
    /// A file that cannot be read or parsed.
    pub fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let variables = match dotenvy::from_path_iter(path) {
            Ok(variables) => variables,
            Err(error) if error.not_found() => return Ok(()),
            Err(error) => return Err(bad_file(path, &error)),
        };
        for variable in variables {
            let (name, value) = variable.map_err(|error| bad_file(path, &error))?;
            if self.get(&name).is_none() {
                self.variables.insert(name, value);
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The secret in the variable `name`, or in the file that `name` + `_FILE` names.
    pub(super) fn secret(&self, name: &str) -> Option<Result<SecretString, String>> {
        if let Some(value) = self.get(name) {
            return Some(Ok(SecretString::from(value)));
        }
        let path = self.get(&format!("{name}_FILE"))?;
        Some(read_secret(Path::new(path)).map_err(|e| format!("{name}_FILE: {e}")))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

/// Values may be secrets, so only the names are shown.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// A secret from a file; line ends after it do not belong to it.
pub(super) fn read_secret(path: &Path) -> Result<SecretString, String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_SECRET_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if text.len() as u64 > MOST_SECRET_BYTES {
        return Err(format!(
            "{} is longer than {MOST_SECRET_BYTES} bytes, expected a secret in it",
            path.display()
        ));
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!(
            "{} is empty, expected a secret in it",
            path.display()
        )),
        secret => Ok(SecretString::from(secret)),
    }
}

fn bad_file(path: &Path, error: &dotenvy::Error) -> ConfigError {
    let message = match error {
        dotenvy::Error::Io(error) => format!("cannot read it: {error}"),
        dotenvy::Error::LineParse(line, _) => match line_number(path, line) {
            Some(number) => format!("line {number} cannot be parsed"),
            None => "a line cannot be parsed".to_owned(),
        },
        _ => "it cannot be parsed".to_owned(),
    };
    let problem = Problem {
        message,
        help: "write NAME=value, with single quotes around a value that holds spaces, $ or #"
            .to_owned(),
        place: None,
    };
    ConfigError::single(path, problem)
}

fn line_number(path: &Path, line: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let at = text.lines().position(|l| l.trim() == line.trim())?;
    Some(at + 1)
}

fn host_name() -> Option<String> {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_real_variable_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "PSIREN_A=file\nPSIREN_B='from $file'\n").unwrap();
        let mut environment: Environment = [("PSIREN_A", "real")].into_iter().collect();
        environment.add_file(&path).unwrap();
        assert_eq!(environment.get("PSIREN_A"), Some("real"));
        assert_eq!(environment.get("PSIREN_B"), Some("from $file"));
    }

    #[test]
    fn a_broken_env_file_is_named_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "A=1\nTOKEN hunter2\n").unwrap();
        let error = Environment::default()
            .add_file(&path)
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2 cannot be parsed"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn the_line_end_of_a_secret_file_is_no_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, " s e\n").unwrap();
        assert_eq!(read_secret(&path).unwrap().expose_secret(), " s e");
        std::fs::write(&path, "\n").unwrap();
        assert!(read_secret(&path).unwrap_err().contains("is empty"));
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_file_without_end_is_refused() {
        let error = read_secret(Path::new("/dev/zero")).unwrap_err();
        assert!(error.contains("longer than 65536 bytes"), "{error}");
    }
}
