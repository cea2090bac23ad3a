//! Part of the stage `init`, the file system behind the wall: everything as it is but read-only, the root writable, keys and
//! services covered, devices and processes of its own.

use std::{
    ffi::CString,
    fs, io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::symlink,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
        mount_change, mount_remount, unmount,
    },
    process::{chdir, fchdir, pivot_root},
};

use super::{
    super::spec::{FolderAccess, INNER_PROXY, KEPT_IN_RUN, SandboxSpec, TOS_PATH_IN_SANDBOX},
    shared::JailError,
};
use crate::domain::sandbox::{ConfinementLevel, NetworkAccess, RepositoryAccess};

const OLD: &str = "/old";
const NEW: &str = "/new";

/// Parts of `/proc` through which the machine can be changed.
const PROC_LEVERS: &[&str] = &["sys", "sysrq-trigger", "irq", "bus"];

/// Builds the inside and moves into it.
pub(super) fn build(spec: &SandboxSpec) -> Result<(), JailError> {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    step_aside()?;
    at("binding the system", mount_bind_recursive(OLD, NEW))?;
    read_only_below(Path::new(NEW))?;
    own_processes()?;
    own_devices()?;
    own_folders(spec)?;
    for kept in KEPT_IN_RUN.map(Path::new) {
        if in_old(kept).exists() {
            bind(kept, kept, true)?;
        }
    }
    lay(spec)?;
    for path in &spec.protected {
        bind(path, path, true)?;
    }
    for (path, access) in &spec.pinned_repository() {
        bind(path, path, *access == RepositoryAccess::Read)?;
    }
    // Last, so that nothing brings back what lies in a protected place.
    for path in &spec.hidden {
        hide(path)?;
    }
    bind(&spec.program, Path::new(TOS_PATH_IN_SANDBOX), true)?;
    if let Some(proxy) = &spec.proxy {
        bind(proxy, Path::new(INNER_PROXY), true)?;
    }
    if spec.network == NetworkAccess::Full {
        keep_resolver()?;
    }
    // Only now, for places to mount on are made in covered folders.
    for (path, _) in spec
        .layers
        .iter()
        .filter(|(_, layer)| *layer == FolderAccess::Cover)
    {
        let name = path.display().to_string();
        at(
            &name,
            remount_read_only(&in_new(path), no_rights_or_devices()),
        )?;
    }
    // Devices are written through, and nothing can be put beside them.
    at(
        "devices",
        remount_read_only(&in_new(Path::new("/dev")), MountFlags::NOSUID),
    )?;
    move_in()?;
    chdir(&spec.directory)?;
    Ok(())
}

/// Covers folders and brings back what is shown in them.
fn lay(spec: &SandboxSpec) -> Result<(), JailError> {
    for (path, layer) in &spec.layers {
        match layer {
            FolderAccess::Cover => cover(path)?,
            FolderAccess::Show => bind(path, path, true)?,
            FolderAccess::Root => {
                bind(path, path, spec.level == ConfinementLevel::ReadOnly)?;
                for pin in spec.pinned() {
                    bind(&pin, &pin, false)?;
                }
            }
        }
    }
    for (link, target) in &spec.links {
        let link = in_new(link);
        fs::create_dir_all(link.parent().unwrap_or(Path::new(NEW)))?;
        at(&link.display().to_string(), symlink(target, &link))?;
    }
    Ok(())
}

/// Puts an empty folder in the place of a folder.
fn cover(path: &Path) -> Result<(), JailError> {
    let target = in_new(path);
    fs::create_dir_all(&target)?;
    let name = path.display().to_string();
    at(
        &name,
        mount(
            "tmpfs",
            &target,
            "tmpfs",
            no_rights_or_devices(),
            c"mode=755",
        ),
    )
}

/// Makes a small root of our own from which both the old and the new one can be reached, so that a
/// folder that gets covered (such as `/tmp`) can still be bound from where it really is.
fn step_aside() -> Result<(), JailError> {
    at(
        "a root of our own",
        mount(
            "tmpfs",
            "/tmp",
            "tmpfs",
            no_rights_or_devices(),
            c"mode=755",
        ),
    )?;
    chdir("/tmp")?;
    fs::create_dir("/tmp/old")?;
    fs::create_dir("/tmp/new")?;
    at("stepping aside", pivot_root(".", "old"))?;
    chdir("/")?;
    Ok(())
}

/// Makes the new root the root and lets everything else go.
fn move_in() -> Result<(), JailError> {
    let old_root = rustix::fs::open("/", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    chdir(NEW)?;
    at("moving in", pivot_root(".", "."))?;
    fchdir(&old_root)?;
    at(
        "letting go of the old root",
        unmount(".", UnmountFlags::DETACH),
    )?;
    chdir("/")?;
    Ok(())
}

fn own_processes() -> Result<(), JailError> {
    let proc = in_new(Path::new("/proc"));
    at(
        "processes",
        mount("proc", &proc, "proc", no_rights_or_devices(), None),
    )?;
    for lever in PROC_LEVERS {
        let path = proc.join(lever);
        if path.exists() {
            at("a lever of the machine", mount_bind(&path, &path))?;
            at(
                "a lever of the machine",
                remount_read_only(&path, no_rights_or_devices()),
            )?;
        }
    }
    Ok(())
}

fn own_devices() -> Result<(), JailError> {
    let dev = in_new(Path::new("/dev"));
    let flags = MountFlags::NOSUID;
    at("devices", mount("tmpfs", &dev, "tmpfs", flags, c"mode=755"))?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let target = dev.join(name);
        fs::write(&target, "")?;
        at(
            "a device",
            mount_bind(Path::new(OLD).join("dev").join(name), &target),
        )?;
    }
    fs::create_dir(dev.join("shm"))?;
    fs::create_dir(dev.join("pts"))?;
    let options = c"newinstance,ptmxmode=0666,mode=620";
    at(
        "terminals",
        mount(
            "devpts",
            dev.join("pts"),
            "devpts",
            flags | MountFlags::NOEXEC,
            options,
        ),
    )?;
    symlink("pts/ptmx", dev.join("ptmx"))?;
    symlink("/proc/self/fd", dev.join("fd"))?;
    for (number, name) in ["stdin", "stdout", "stderr"].into_iter().enumerate() {
        symlink(format!("/proc/self/fd/{number}"), dev.join(name))?;
    }
    Ok(())
}

fn own_folders(spec: &SandboxSpec) -> Result<(), JailError> {
    let bytes = spec.limits.temporary_bytes;
    for folder in ["/tmp", "/var/tmp", "/dev/shm", "/run"] {
        let target = in_new(Path::new(folder));
        if !target.is_dir() || target.is_symlink() {
            continue;
        }
        if let Some(lasting) = spec.temporary.as_deref().filter(|_| folder == "/tmp") {
            at(folder, mount_bind(in_old(lasting), &target))?;
            at(folder, without_devices(&target))?;
            continue;
        }
        let mode = if folder == "/run" { "755" } else { "1777" };
        let options = CString::new(format!("mode={mode},size={bytes}"))?;
        at(
            folder,
            mount(
                "tmpfs",
                &target,
                "tmpfs",
                no_rights_or_devices(),
                options.as_c_str(),
            ),
        )?;
    }
    Ok(())
}

/// Binds a path of the outside to a place inside, which is made where it was covered.
fn bind(source: &Path, target: &Path, read_only: bool) -> Result<(), JailError> {
    let from = in_old(source);
    let to = in_new(target);
    if !to.exists() {
        if from.is_dir() {
            fs::create_dir_all(&to)?;
        } else {
            fs::create_dir_all(to.parent().unwrap_or(Path::new(NEW)))?;
            fs::write(&to, "")?;
        }
    }
    let name = target.display().to_string();
    at(&name, mount_bind_recursive(&from, &to))?;
    if read_only {
        read_only_below(&to)
    } else {
        Ok(())
    }
}

fn hide(path: &Path) -> Result<(), JailError> {
    let target = in_new(path);
    let name = path.display().to_string();
    match fs::symlink_metadata(&target) {
        // Covered already, or out of reach for this user anyway.
        Err(_) => Ok(()),
        Ok(found) if found.is_dir() => at(
            &name,
            mount(
                "tmpfs",
                &target,
                "tmpfs",
                no_rights_or_devices() | MountFlags::RDONLY,
                c"mode=555",
            ),
        ),
        Ok(_) => at(&name, mount_bind(Path::new(OLD).join("dev/null"), &target)),
    }
}

/// With the network open, names must be found: the resolver's file may lie in the covered `/run`.
fn keep_resolver() -> Result<(), JailError> {
    let linked = fs::read_link(in_old(Path::new("/etc/resolv.conf")));
    let Ok(linked) = linked.map(|link| Path::new("/etc").join(link)) else {
        return Ok(());
    };
    let target = normalized(&linked);
    if target.starts_with("/run") && in_old(&target).exists() {
        bind(&target, &target, true)?;
    }
    Ok(())
}

/// Resolves `..` by name, for paths that cannot be looked up from where we stand.
fn normalized(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, part| {
        match part {
            std::path::Component::ParentDir => drop(path.pop()),
            std::path::Component::CurDir => {}
            other => path.push(other),
        }
        path
    })
}

/// Adds to what is said about a mount, or about it and all below, in one call of kernels from 5.12 on; returns whether it was done.
fn add_attributes(place: &Path, attributes: u64, is_deep: bool) -> bool {
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let Ok(path) = CString::new(place.as_os_str().as_bytes()) else {
        return false;
    };
    let depth = if is_deep { libc::AT_RECURSIVE } else { 0 };
    #[expect(unsafe_code, reason = "no safe form of this call is at hand")]
    // SAFETY: both the path and the change live until the call returns, and the length is that of the change.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            depth,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    done == 0
}

/// Makes every mount at and below `top` read-only, keeping what else was said about it.
fn read_only_below(top: &Path) -> Result<(), JailError> {
    if add_attributes(top, libc::MOUNT_ATTR_RDONLY, true) {
        return Ok(());
    }
    let table =
        fs::read("/old/proc/self/mountinfo").or_else(|_| fs::read("/proc/self/mountinfo"))?;
    let mut failed = Vec::new();
    for (place, flags) in table.split(|byte| *byte == b'\n').filter_map(mounted) {
        if place.starts_with(top)
            && let Err(error) = remount_read_only(&place, flags)
        {
            failed.push((place, error));
        }
    }
    // Only when all are done, for what covers a mount comes after it in the table.
    let open = failed
        .into_iter()
        .find(|(place, error)| !is_out_of_reach(error) && !is_read_only(place));
    match open {
        None => Ok(()),
        Some((place, error)) => {
            let place = place.strip_prefix(NEW).unwrap_or(&place).display();
            Err(format!(
                "`/{place}` would stay writable behind the wall: {error}; unmount it, or mount it read-only"
            )
            .into())
        }
    }
}

/// Says whether an error means that nobody can get to a place by its path, and so cannot write there either. That
/// something is not permitted (`EPERM`) does not mean that.
fn is_out_of_reach(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [libc::ENOENT, libc::ENOTDIR, libc::EACCES]
        .map(Some)
        .contains(&code)
}

/// Says whether what is found at a place now, be it the mount or what covers it, is read-only.
fn is_read_only(place: &Path) -> bool {
    rustix::fs::statvfs(place)
        .is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Keeps devices and programs with rights of their own from being used below a mount; what else was said of it stays.
fn without_devices(place: &Path) -> io::Result<()> {
    if add_attributes(
        place,
        libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        false,
    ) {
        return Ok(());
    }
    let table =
        fs::read("/old/proc/self/mountinfo").or_else(|_| fs::read("/proc/self/mountinfo"))?;
    let mut lines = table.split(|byte| *byte == b'\n').filter_map(mounted);
    let flags = lines.rfind(|(known, _)| known == place);
    let flags = flags.map_or(MountFlags::empty(), |(_, flags)| flags);
    Ok(mount_remount(
        place,
        MountFlags::BIND | flags | no_rights_or_devices(),
        c"",
    )?)
}

fn remount_read_only(place: &Path, flags: MountFlags) -> io::Result<()> {
    Ok(mount_remount(
        place,
        MountFlags::BIND | MountFlags::RDONLY | flags,
        c"",
    )?)
}

/// Reads one line of `mountinfo`: where, and which flags must not get lost.
fn mounted(line: &[u8]) -> Option<(PathBuf, MountFlags)> {
    let mut fields = line.split(|byte| *byte == b' ').skip(4);
    let place = PathBuf::from(std::ffi::OsString::from_vec(unescaped(fields.next()?)));
    let options = std::str::from_utf8(fields.next()?).ok()?;
    // What is not said about times of access is a setting, too, and must not get lost either.
    let says = |wanted: &str| options.split(',').any(|option| option == wanted);
    let times = if says("noatime") || says("relatime") {
        MountFlags::empty()
    } else {
        MountFlags::STRICTATIME
    };
    let flags = options.split(',').map(|option| match option {
        "nosuid" => MountFlags::NOSUID,
        "nodev" => MountFlags::NODEV,
        "noexec" => MountFlags::NOEXEC,
        "noatime" => MountFlags::NOATIME,
        "nodiratime" => MountFlags::NODIRATIME,
        "relatime" => MountFlags::RELATIME,
        "nosymfollow" => MountFlags::NOSYMFOLLOW,
        _ => MountFlags::empty(),
    });
    Some((place, flags.chain([times]).collect()))
}

/// Blanks, tabs, line ends and backslashes stand as `\` and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                rest = &tail[3..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

fn in_new(path: &Path) -> PathBuf {
    below(NEW, path)
}

fn in_old(path: &Path) -> PathBuf {
    below(OLD, path)
}

fn below(top: &str, path: &Path) -> PathBuf {
    Path::new(top).join(path.strip_prefix("/").unwrap_or(path))
}

fn no_rights_or_devices() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV
}

fn at<E: std::fmt::Display>(what: &str, result: Result<(), E>) -> Result<(), JailError> {
    result.map_err(|error| format!("{what}: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_mount_table_is_read_with_its_escapes() {
        let line = br"36 35 98:0 / /mnt/a\040b\134c rw,nosuid,noatime shared:1 - ext4 /dev/x rw";
        let (place, flags) = mounted(line).unwrap();
        assert_eq!(place, Path::new(r"/mnt/a b\c"));
        assert_eq!(flags, MountFlags::NOSUID | MountFlags::NOATIME);
    }

    #[test]
    fn times_of_access_stay_as_they_were_also_where_nothing_is_said_of_them() {
        let line = |options: &str| format!("36 35 0:40 / /mnt/a {options} - tmpfs none rw");
        let flags = |options: &str| mounted(line(options).as_bytes()).unwrap().1;
        assert_eq!(flags("rw"), MountFlags::STRICTATIME);
        assert_eq!(flags("rw,relatime"), MountFlags::RELATIME);
        assert_eq!(
            flags("rw,noatime,nosymfollow"),
            MountFlags::NOATIME | MountFlags::NOSYMFOLLOW
        );
    }

    #[test]
    fn what_is_not_permitted_is_not_out_of_reach() {
        let error = |code| is_out_of_reach(&io::Error::from_raw_os_error(code));
        assert!(error(libc::ENOENT) && error(libc::EACCES));
        assert!(!error(libc::EPERM) && !error(libc::EINVAL) && !error(libc::EBUSY));
    }

    #[test]
    fn a_link_is_resolved_by_name() {
        let link = Path::new("/etc/../run/./systemd/resolve/stub-resolv.conf");
        assert_eq!(
            normalized(link),
            Path::new("/run/systemd/resolve/stub-resolv.conf")
        );
    }
}
