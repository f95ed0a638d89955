use super::{MARK, ServiceError};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Service managers read the files as root or as the user, and want nobody else to write them.
const FILE_MODE: u32 = 0o644;

/// Whether a file's text is ours to replace.
pub fn is_ours(text: &str) -> bool {
    text.contains(MARK)
}

/// A file's text; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<String>, ServiceError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(failed(path, "read", why)),
    }
}

/// Writes a file at once or not at all, and only where it differs; whether it did. What is there and not ours stays,
/// unless forced.
pub fn write(path: &Path, text: &str, force: bool) -> Result<bool, ServiceError> {
    match read(path)? {
        Some(present) if present == text => return Ok(false),
        Some(present) if !is_ours(&present) && !force => return Err(ServiceError::Foreign { path: path.to_owned() }),
        _ => {}
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|why| failed(directory, "made", why))?;
    }
    let temporary = beside(path);
    replace(path, &temporary, text).map_err(|why| {
        let _ = fs::remove_file(&temporary);
        failed(path, "written", why)
    })?;
    Ok(true)
}

pub(super) fn remove(path: &Path) -> Result<(), ServiceError> {
    fs::remove_file(path).map_err(|why| failed(path, "removed", why))
}

/// Makes a directory that only its user enters, where there is none.
pub(super) fn make_directory(path: &Path) -> Result<(), ServiceError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|why| failed(path, "made", why))
}

fn replace(path: &Path, temporary: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

/// A name that no service manager reads.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn failed(path: &Path, done: &'static str, why: io::Error) -> ServiceError {
    ServiceError::File { path: path.to_owned(), done, why }
}
