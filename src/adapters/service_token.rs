//! The token of the service: made once, in a file that only its owner may read; and secrets out of the machine's randomness.
//!
//! Danger: a token in a file that others can read is everybody's; such a file is refused, not mended in silence.

use std::{
    fmt::Write as _,
    fs, io,
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Returns 64 hexadecimal digits that nobody can guess.
pub fn fresh_secret() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Reads the token of a file; makes file and token where there is none.
pub fn load_or_create_token(file: &Path) -> io::Result<String> {
    match read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let token = fresh_secret()?;
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match made {
        Ok(mut made) => {
            made.write_all(token.as_bytes())?;
            made.sync_all()?;
            Ok(token)
        }
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(file),
        Err(error) => Err(error),
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc_nofollow());
    let mut open = options.open(file)?;
    let about = open.metadata()?;
    let place = file.display();
    if about.mode() & 0o077 != 0 || about.uid() != rustix::process::getuid().as_raw() {
        return Err(io::Error::other(format!(
            "{place} can be read by others, so its token is not safe; remove the file, and a new one is made"
        )));
    }
    let mut text = String::new();
    open.read_to_string(&mut text)?;
    let token = text.trim();
    if token.len() < 32 || !token.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(io::Error::other(format!(
            "{place} holds no token; remove the file, and a new one is made"
        )));
    }
    Ok(token.to_owned())
}

fn libc_nofollow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let token = load_or_create_token(&file).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(load_or_create_token(&file).unwrap(), token);
        let mode = fs::metadata(&file).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = load_or_create_token(&file).unwrap_err().to_string();
        assert!(error.contains("can be read by others"), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "short").unwrap();
        assert!(load_or_create_token(&file).is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(load_or_create_token(&link).is_err());
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(fresh_secret().unwrap(), fresh_secret().unwrap());
    }
}
