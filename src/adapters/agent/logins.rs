//! Copies of the user's logins in the homes of agents, and the way back of what was renewed there.
//!
//! Which login is newer and what of it may come back is decided in [`crate::domain::agent::login`]. Danger: the copies
//! lie where an agent writes, so nothing there is opened through a link; and two processes of tos may hold copies of one
//! login, so the user's file is compared and replaced under a lock.

use std::{
    fs,
    fs::File,
    io,
    io::{Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use rustix::{
    fd::OwnedFd,
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    adapters::plan::safe_open::open_no_symlinks,
    domain::{
        agent::login::{LoginSync, compare_logins, needs_token_refresh},
        ledger::chain::sha256,
    },
};

/// No login is larger.
const LARGEST: u64 = 1 << 20;
/// How often somebody who waits for another's renewal looks.
const WAIT: Duration = Duration::from_millis(200);

/// Where copies are recorded and locks lie.
#[derive(Debug, Clone)]
pub(in crate::adapters) struct LoginStore {
    /// The home of the user.
    home: Option<PathBuf>,
    /// The folder with one record for each task folder that has copies.
    records: PathBuf,
}

/// The copies in one task folder, as recorded for the case that tos is killed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct LoginCopies {
    /// The home in the task folder.
    home: PathBuf,
    copies: Vec<LoginCopy>,
}

/// One copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LoginCopy {
    /// Its name below both homes.
    name: String,
    /// The digest of the user's file that both agreed on last.
    given: String,
}

/// The right to renew logins while others wait; it ends when it is dropped.
#[derive(Debug)]
pub(in crate::adapters) struct RenewalLock(
    #[expect(dead_code, reason = "held until it is dropped")] Vec<File>,
);

impl LoginStore {
    pub(in crate::adapters) fn new(home: Option<PathBuf>, state: &Path) -> Self {
        Self {
            home,
            records: state.join("logins"),
        }
    }

    /// Copies logins into the home of a task folder. One that the user does not have is an error.
    pub(in crate::adapters) fn copy(
        &self,
        task_folder: &Path,
        home: &Path,
        names: &[String],
    ) -> io::Result<()> {
        // An earlier attempt in this folder may have renewed them.
        self.sync_logins(task_folder);
        let Some(users_home) = &self.home else {
            return Ok(());
        };
        // Its last part is not followed: an agent may have put a link there.
        let parent = home.parent().unwrap_or(home).canonicalize()?;
        let mut record = LoginCopies {
            home: parent.join(home.file_name().unwrap_or_default()),
            copies: Vec::new(),
        };
        for name in names {
            let users = users_home.join(name);
            let text = fs::read(&users)?;
            let mode = fs::metadata(&users)?.permissions().mode();
            replace(&record.home.join(name), &text, mode & 0o700)?;
            record.copies.push(LoginCopy {
                name: name.clone(),
                given: sha256(&text),
            });
        }
        if record.copies.is_empty() {
            return Ok(());
        }
        self.write(task_folder, &record)
    }

    /// Brings copies and the user's files together, whichever is newer. Returns what could not be done.
    pub(in crate::adapters) fn sync_logins(&self, task_folder: &Path) -> Vec<String> {
        let Some(mut record) = recorded(&self.place(task_folder)) else {
            return Vec::new();
        };
        let (lines, changed) = self.meet_all(&mut record);
        if changed && let Err(error) = self.write(task_folder, &record) {
            tracing::warn!(%error, "the copies of logins are not recorded");
        }
        lines
    }

    /// Forgets the copies of a task folder, which are about to be taken away, after a last look.
    pub(in crate::adapters) fn finish(&self, task_folder: &Path) -> Vec<String> {
        let lines = self.sync_logins(task_folder);
        drop(fs::remove_file(self.place(task_folder)));
        lines
    }

    /// Brings back what was renewed in task folders that a dead tos left, and takes their copies away.
    pub(in crate::adapters) fn recover(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for found in fs::read_dir(&self.records).into_iter().flatten().flatten() {
            let path = found.path();
            if let Some(mut record) = recorded(&path) {
                lines.extend(self.meet_all(&mut record).0);
                drop(fs::remove_dir_all(&record.home));
            }
            drop(fs::remove_file(path));
        }
        lines
    }

    /// Waits until nobody else renews the logins that are due in this task folder. `None` = none is due, or it is no longer.
    pub(in crate::adapters) async fn acquire_renewal(
        &self,
        task_folder: &Path,
    ) -> Option<RenewalLock> {
        loop {
            self.sync_logins(task_folder);
            let due = self.due_for_renewal(task_folder);
            if due.is_empty() {
                return None;
            }
            let locks: Vec<Option<File>> = due.iter().map(|users| self.try_lock(users)).collect();
            if let Some(locks) = locks.into_iter().collect() {
                // Whoever had the lock before may have renewed them.
                self.sync_logins(task_folder);
                return (!self.due_for_renewal(task_folder).is_empty())
                    .then_some(RenewalLock(locks));
            }
            tokio::time::sleep(WAIT).await;
        }
    }

    /// Returns the user's files of those logins in a task folder that have to be renewed now.
    pub(in crate::adapters) fn due_for_renewal(&self, task_folder: &Path) -> Vec<PathBuf> {
        let Some(record) = recorded(&self.place(task_folder)) else {
            return Vec::new();
        };
        let now = chrono::Utc::now().timestamp_millis();
        let mut due: Vec<PathBuf> = record
            .copies
            .iter()
            .filter(|copied| {
                let text = read_text(&record.home.join(&copied.name));
                text.is_some_and(|text| needs_token_refresh(&text, now))
            })
            .filter_map(|copied| self.home.as_ref()?.join(&copied.name).canonicalize().ok())
            .collect();
        // Always in one order, or two could wait for each other.
        due.sort();
        due
    }

    /// Takes the lock of whoever renews a login; `None` = somebody else has it.
    fn try_lock(&self, users: &Path) -> Option<File> {
        let lock = self.lock_file(users, "renew")?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .is_ok()
            .then_some(lock)
    }

    fn lock_file(&self, users: &Path, what: &str) -> Option<File> {
        let folder = self.home.as_ref()?.join(".local/state/tos/logins");
        fs::create_dir_all(&folder).ok()?;
        let digest = sha256(users.as_os_str().as_encoded_bytes());
        let name = format!("{}.{what}", digest.get(..16).unwrap_or_default());
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(name));
        file.ok()
    }

    fn meet_all(&self, record: &mut LoginCopies) -> (Vec<String>, bool) {
        let (mut lines, mut changed) = (Vec::new(), false);
        let Some(users_home) = &self.home else {
            return (lines, changed);
        };
        for copied in &mut record.copies {
            let users = users_home.join(&copied.name);
            match self.meet_one(&record.home.join(&copied.name), &users, &copied.given) {
                Ok(Some(given)) => {
                    copied.given = given;
                    changed = true;
                }
                Ok(None) => {}
                Err(error) => lines.push(format!(
                    "the login that an agent renewed could not be written to {}: {error}; log in again if its program asks for it",
                    users.display()
                )),
            }
        }
        (lines, changed)
    }

    /// Returns the digest of what both agree on now, where something changed.
    fn meet_one(&self, copy: &Path, users: &Path, given: &str) -> io::Result<Option<String>> {
        // A link stays a link: what it points to is the file.
        let Ok(target) = users.canonicalize() else {
            return Ok(None);
        };
        let Some(own) = read_text(copy) else {
            return Ok(None);
        };
        if sha256(own.as_bytes()) == given && digest(&target).as_deref() == Some(given) {
            return Ok(None);
        }
        let lock = self.lock_file(&target, "write");
        if let Some(lock) = &lock {
            rustix::fs::flock(lock, FlockOperation::LockExclusive)?;
        }
        let users = fs::read_to_string(&target).ok();
        let is_given = users
            .as_ref()
            .is_some_and(|text| sha256(text.as_bytes()) == given);
        match compare_logins(Some(&own), users.as_deref(), is_given) {
            LoginSync::Nothing => Ok(None),
            LoginSync::WriteBack(text) => {
                write_back(&target, text.as_bytes())?;
                Ok(Some(sha256(text.as_bytes())))
            }
            LoginSync::Refresh => {
                let text = users.unwrap_or_default();
                replace(copy, text.as_bytes(), 0o600)?;
                Ok(Some(sha256(text.as_bytes())))
            }
        }
    }

    fn place(&self, task_folder: &Path) -> PathBuf {
        let digest = sha256(task_folder.as_os_str().as_encoded_bytes());
        let name = format!("{}.json", digest.get(..16).unwrap_or_default());
        self.records.join(name)
    }

    fn write(&self, task_folder: &Path, record: &LoginCopies) -> io::Result<()> {
        fs::create_dir_all(&self.records)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.records)?;
        serde_json::to_writer(&mut file, record)?;
        file.as_file().sync_all()?;
        file.persist(self.place(task_folder))?;
        Ok(())
    }
}

fn recorded(place: &Path) -> Option<LoginCopies> {
    serde_json::from_slice(&fs::read(place).ok()?).ok()
}

/// Reads a copy; nothing that is no plain file of a sensible size, and nothing behind a link.
fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = open_no_symlinks(path).ok()?;
    let length = file.take(LARGEST + 1).read_to_string(&mut text).ok()?;
    (u64::try_from(length).ok()? <= LARGEST).then_some(text)
}

fn digest(path: &Path) -> Option<String> {
    Some(sha256(&fs::read(path).ok()?))
}

/// Replaces the user's file as a whole, or not at all, keeping its mode and owner.
fn write_back(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = fs::metadata(target)?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let made = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        let now = file.as_file().metadata()?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
        }
        file.as_file().set_permissions(before.permissions())?;
        file.as_file().sync_all()?;
        file.persist(target)?;
        Ok(())
    };
    // A file that is mounted by itself cannot be replaced, and some folders take no new files.
    made().or_else(|_| {
        let mut file = fs::OpenOptions::new().write(true).open(target)?;
        file.write_all(bytes)?;
        file.set_len(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
        file.sync_all()
    })
}

/// Writes a file as a whole where an agent writes, too: no link on the way is followed. Folders on the way are made.
pub(in crate::adapters) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = folder_without_links(path.parent().unwrap_or(Path::new("/")))?;
    let name = path.file_name().unwrap_or_default();
    let mut beside = name.to_owned();
    beside.push(".tos-new");
    match rustix::fs::unlinkat(&folder, &beside, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode | 0o600);
    let mut file = File::from(rustix::fs::openat(&folder, &beside, flags, mode)?);
    file.write_all(bytes)?;
    rustix::fs::renameat(&folder, &beside, &folder, name)?;
    Ok(())
}

fn folder_without_links(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::open("/", flags, Mode::empty())?;
    for part in path.components() {
        let Component::Normal(part) = part else {
            continue;
        };
        at = match rustix::fs::openat(&at, part, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o700))?;
                rustix::fs::openat(&at, part, flags, Mode::empty())?
            }
            other => other?,
        };
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const FAR: i64 = 4_000_000_000_000;

    struct Bench(tempfile::TempDir);

    impl Bench {
        fn new(login: &str) -> Self {
            let bench = Self(tempfile::tempdir().unwrap());
            for folder in ["user/.agent", "one/home", "two/home"] {
                fs::create_dir_all(bench.path(folder)).unwrap();
            }
            fs::write(bench.users(), login).unwrap();
            fs::set_permissions(bench.users(), fs::Permissions::from_mode(0o600)).unwrap();
            bench
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(name)
        }

        fn users(&self) -> PathBuf {
            self.path("user/.agent/auth.json")
        }

        fn copy(&self, task_folder: &str) -> PathBuf {
            self.path(task_folder).join("home/.agent/auth.json")
        }

        /// The logins as one tos sees them; each task folder stands for a repository of its own.
        fn logins(&self, task_folder: &str) -> LoginStore {
            LoginStore::new(
                Some(self.path("user")),
                &self.path(task_folder).join("state"),
            )
        }

        fn give(&self, task_folder: &str) -> LoginStore {
            let (logins, place) = (self.logins(task_folder), self.path(task_folder));
            let names = [".agent/auth.json".to_owned()];
            logins.copy(&place, &place.join("home"), &names).unwrap();
            logins
        }

        fn user_has(&self) -> String {
            fs::read_to_string(self.users()).unwrap()
        }
    }

    fn login(token: &str, expires: i64) -> String {
        format!(r#"{{"access":"a-{token}","refresh":"r-{token}","expires":{expires}}}"#)
    }

    #[test]
    fn a_renewed_login_comes_back_with_its_mode_and_through_its_link() {
        let bench = Bench::new("");
        let real = bench.path("elsewhere");
        fs::write(&real, login("1", 1000)).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        fs::remove_file(bench.users()).unwrap();
        symlink(&real, bench.users()).unwrap();
        let logins = bench.give("one");
        fs::write(bench.copy("one"), login("2", FAR)).unwrap();
        assert_eq!(logins.finish(&bench.path("one")), [""; 0]);
        assert_eq!(bench.user_has(), login("2", FAR));
        assert!(bench.users().is_symlink());
        assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_login_that_was_deleted_or_damaged_by_an_agent_stays_the_users() {
        for damage in [None, Some(""), Some("{"), Some("{}")] {
            let bench = Bench::new(&login("1", 1000));
            let logins = bench.give("one");
            match damage {
                None => fs::remove_file(bench.copy("one")).unwrap(),
                Some(text) => fs::write(bench.copy("one"), text).unwrap(),
            }
            logins.finish(&bench.path("one"));
            assert_eq!(bench.user_has(), login("1", 1000));
        }
    }

    #[test]
    fn a_link_in_place_of_a_copy_is_neither_read_nor_written() {
        let bench = Bench::new(&login("1", 1000));
        let logins = bench.give("one");
        let trap = bench.path("trap");
        fs::write(&trap, login("evil", FAR)).unwrap();
        fs::remove_file(bench.copy("one")).unwrap();
        symlink(&trap, bench.copy("one")).unwrap();
        logins.sync_logins(&bench.path("one"));
        assert_eq!(bench.user_has(), login("1", 1000));
        // A second attempt gets a copy of its own, and what the link points to stays.
        bench.give("one");
        assert!(!bench.copy("one").is_symlink());
        assert_eq!(fs::read_to_string(trap).unwrap(), login("evil", FAR));
        // A link in place of the folder is an error, not a way out.
        fs::remove_dir_all(bench.path("one/home/.agent")).unwrap();
        symlink(bench.path("user"), bench.path("one/home/.agent")).unwrap();
        let names = [".agent/auth.json".to_owned()];
        let home = bench.path("one/home");
        assert!(logins.copy(&bench.path("one"), &home, &names).is_err());
    }

    #[test]
    fn what_a_killed_tos_left_comes_back_at_the_next_start() {
        let bench = Bench::new(&login("1", 1000));
        bench.give("one");
        fs::write(bench.copy("one"), login("2", FAR)).unwrap();
        assert_eq!(bench.logins("one").recover(), [""; 0]);
        assert_eq!(bench.user_has(), login("2", FAR));
        assert!(!bench.path("one/home").exists());
        // And only once.
        fs::write(bench.users(), login("3", FAR)).unwrap();
        bench.logins("one").recover();
        assert_eq!(bench.user_has(), login("3", FAR));
    }

    #[test]
    fn a_link_in_place_of_a_home_leads_nowhere() {
        let bench = Bench::new(&login("1", 1000));
        bench.give("one");
        fs::remove_dir_all(bench.path("one/home")).unwrap();
        symlink(bench.path("user"), bench.path("one/home")).unwrap();
        bench.logins("one").recover();
        assert_eq!(bench.user_has(), login("1", 1000));
        assert!(!bench.path("one/home").is_symlink());
    }

    #[tokio::test]
    async fn only_one_renews_at_a_time_and_the_other_gets_what_was_renewed() {
        let bench = Bench::new(&login("1", 1000));
        let (one, two) = (bench.give("one"), bench.give("two"));
        let (first, second) = (bench.path("one"), bench.path("two"));
        let turn = one.acquire_renewal(&first).await.unwrap();
        let mut waiting = std::pin::pin!(two.acquire_renewal(&second));
        assert!(futures_none(&mut waiting).await, "the second must wait");
        fs::write(bench.copy("one"), login("2", FAR)).unwrap();
        one.sync_logins(&first);
        assert!(one.due_for_renewal(&first).is_empty());
        drop(turn);
        assert!(waiting.await.is_none(), "nothing is left to renew");
        assert_eq!(
            fs::read_to_string(bench.copy("two")).unwrap(),
            login("2", FAR)
        );
        assert_eq!(bench.user_has(), login("2", FAR));
    }

    /// Polls once; whether it is not ready.
    async fn futures_none<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        })
        .await
    }

    #[tokio::test]
    async fn whoever_ended_without_renewing_lets_the_next_one() {
        let bench = Bench::new(&login("1", 1000));
        let (one, two) = (bench.give("one"), bench.give("two"));
        drop(one.acquire_renewal(&bench.path("one")).await.unwrap());
        assert!(two.acquire_renewal(&bench.path("two")).await.is_some());
    }

    #[tokio::test]
    async fn a_login_that_is_not_due_makes_nobody_wait() {
        let bench = Bench::new(&login("1", FAR));
        assert!(
            bench
                .give("one")
                .acquire_renewal(&bench.path("one"))
                .await
                .is_none()
        );
    }

    #[test]
    fn a_newer_login_of_the_user_reaches_a_home_in_use() {
        let bench = Bench::new(&login("1", 1000));
        let logins = bench.give("one");
        fs::write(bench.users(), login("2", FAR)).unwrap();
        logins.sync_logins(&bench.path("one"));
        assert_eq!(
            fs::read_to_string(bench.copy("one")).unwrap(),
            login("2", FAR)
        );
    }
}
