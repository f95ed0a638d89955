use super::open::{open_data, open_index};
use super::{RunError, say};
use crate::auth::{PASSWORD_BYTES_MAX, random_password};
use crate::clock::Clock;
use crate::config::{Config, Secret};
use crate::index::{Index, IndexError};
use crate::metrics::Metrics;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where a password that was made is written, in the data directory.
const PASSWORD_FILE: &str = "root-password";

/// Most that is read of a password's file, in bytes: more than any password may have, so that none is cut and taken.
const FILE_BYTES_MAX: u64 = 2 * PASSWORD_BYTES_MAX as u64;

/// `sidewheel init`: makes the data directory and root's password. A second time it changes nothing.
pub(super) async fn init(config: &Config) -> Result<(), RunError> {
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let ground = open_data(config, None).await?;
    let index = open_index(config, ground, &clock, &metrics).await?;
    let data = config.cache.data.display();
    if index.root_has_password() {
        say(&format!("{data}: root has a password already; nothing is changed"));
    } else {
        see_to_root(config, &index).await?;
        say(&format!("{data} is ready"));
    }
    index.close().await;
    Ok(())
}

/// Sees to it that root has a password, and never an empty one: the one that was given, or a strong one that is made
/// and written where only this user reads it.
pub(super) async fn see_to_root(config: &Config, index: &Index) -> Result<(), RunError> {
    if index.root_has_password() {
        return Ok(());
    }
    if let Some(path) = &config.owners.root_password_file {
        index.first_password(&secret_in(path, "root's password")?).await?;
        return Ok(());
    }
    let password = random_password().map_err(IndexError::from)?;
    let path = config.cache.data.join(PASSWORD_FILE);
    // Written first: a password that nobody can read must not be set.
    match write(&path, &password) {
        Ok(()) => {}
        // A directory that cannot be written has no root that could log in; what is there is served.
        Err(why) => {
            tracing::error!(path = %path.display(), %why, "root's password cannot be written; root cannot log in");
            return Ok(());
        }
    }
    index.first_password(&password).await?;
    say(&format!("root's password was made and is in {}; log in with it and delete the file", path.display()));
    Ok(())
}

/// The secret that stands in a file, or comes by standard input: its first line.
pub(super) fn secret_in(path: &Path, what: &str) -> Result<Secret, RunError> {
    let failed = |why: io::Error| RunError::File { path: path.to_owned(), why };
    let mut text = String::new();
    match path == Path::new("-") {
        true => io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?,
        false => {
            let file = std::fs::File::open(path).map_err(failed)?;
            file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?
        }
    };
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        let from = if path == Path::new("-") { PathBuf::from("standard input") } else { path.to_owned() };
        let sentence = format!("{what} in {} is empty; write one in its first line", from.display());
        return Err(RunError::Usage(sentence));
    }
    Ok(Secret::new(password.to_owned()))
}

fn write(path: &Path, password: &Secret) -> io::Result<()> {
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", password.expose())?;
    file.sync_all()
}
