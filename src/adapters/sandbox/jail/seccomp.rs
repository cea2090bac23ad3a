//! The last part of the stage `inner`, the system call filter: what no command needs and what would open a way around the wall.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::shared::JailError;

/// Refused whatever the arguments: other namespaces, mounts, kernel modules, keys, programs in the
/// kernel, and what gives one process power over another's memory from the kernel's side.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_open_by_handle_at,
];

/// Answered as if the kernel were too old, so that programs take another way: these would hide the
/// arguments that the filter looks at.
const UNKNOWN: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_openat2,
];

/// What gives one process power over another. A Landlock domain keeps it below the command; these are refused where there is none.
const TRACES: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
];

/// Calls that set the mode of a file, and which argument it is. A program that runs with the rights of its owner would
/// outlast the wall; and behind Landlock, which has no rule for modes, it could be any of the user's own.
const SETS_MODE: &[(libc::c_long, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
];

/// Calls that set the mode of a file only where they make one: which argument says so, and which is the mode. `openat2`, whose mode
/// a filter cannot see, is answered as an old kernel would.
const MAY_SET_MODE: &[(libc::c_long, u8, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1, 2),
    (libc::SYS_openat, 2, 3),
];

/// The modes by which a program runs with the rights of its owner or its group.
const RIGHTS_OF_OTHERS: [u32; 2] = [libc::S_ISUID, libc::S_ISGID];
/// Newer than some of the C libraries that tos is built with; the number is the same everywhere.
const FCHMODAT2: libc::c_long = 452;

/// What is refused beyond what every wall refuses.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FilterRequest {
    /// Local sockets, but for pairs that cannot be sent elsewhere; for walls that cover no paths.
    pub(super) no_local: bool,
    /// The families of the internet, for walls without a network of their own.
    pub(super) no_internet: bool,
    /// Tracing other processes, children too; where no Landlock domain keeps it to what the command started.
    pub(super) no_tracing: bool,
}

/// Filters this process and what comes of it.
pub(super) fn apply(request: FilterRequest) -> Result<(), JailError> {
    for program in programs(request)? {
        seccompiler::apply_filter(&program)?;
    }
    Ok(())
}

fn programs(request: FilterRequest) -> Result<Vec<BpfProgram>, JailError> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = whatever_the_arguments(REFUSED);
    if request.no_tracing {
        refused.extend(whatever_the_arguments(TRACES));
    }
    refused.insert(
        libc::SYS_socket,
        sockets(request.no_local, request.no_internet)?,
    );
    refused.insert(libc::SYS_socketpair, socket_pairs(request.no_local)?);
    refused.insert(libc::SYS_prlimit64, vec![others_limits()?]);
    refused.insert(
        libc::SYS_clone,
        vec![rule(
            0,
            SeccompCmpOp::MaskedEq(flag(libc::CLONE_NEWUSER)),
            flag(libc::CLONE_NEWUSER),
        )?],
    );
    // Typing into the terminal of whoever started tos.
    refused.insert(
        libc::SYS_ioctl,
        vec![
            rule(1, SeccompCmpOp::Eq, libc::TIOCSTI)?,
            rule(1, SeccompCmpOp::Eq, TIOCLINUX)?,
        ],
    );
    for (call, argument) in SETS_MODE {
        let rules = RIGHTS_OF_OTHERS.map(|bit| {
            let condition = has_bits(*argument, u64::from(bit))?;
            Ok(SeccompRule::new(vec![condition])?)
        });
        let rules: Result<_, JailError> = rules.into_iter().collect();
        refused.insert(*call, rules?);
    }
    for (call, flags, mode) in MAY_SET_MODE {
        refused.insert(*call, making_with_rights(*flags, *mode)?);
    }
    let mut programs = vec![
        program(refused, libc::EPERM)?,
        program(whatever_the_arguments(UNKNOWN), libc::ENOSYS)?,
    ];
    if cfg!(target_arch = "x86_64") {
        programs.push(without_x32());
    }
    Ok(programs)
}

/// Pastes into the terminal of whoever started tos, on the console.
const TIOCLINUX: u64 = 0x541c;

/// Refuses the calls of the x32 interface: the same calls under other numbers, which no rule above names.
fn without_x32() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let refuse = libc::SECCOMP_RET_ERRNO | (libc::EPERM.unsigned_abs() & libc::SECCOMP_RET_DATA);
    [
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, X32),
        (libc::BPF_RET | libc::BPF_K, 0, refuse),
        (libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ]
    .into_iter()
    .map(|(code, jf, k)| sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt: 0,
        jf,
        k,
    })
    .collect()
}

/// Refuses every family of sockets but those that programs need; kernels learn new ones, which no list would name.
fn sockets(no_local: bool, no_internet: bool) -> Result<Vec<SeccompRule>, JailError> {
    let mut families = vec![libc::AF_UNSPEC, libc::AF_NETLINK];
    if !no_local {
        families.push(libc::AF_UNIX);
    }
    if !no_internet {
        families.extend([libc::AF_INET, libc::AF_INET6]);
    }
    let others = families.into_iter().map(|family| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, flag(family))
    });
    Ok(vec![SeccompRule::new(others.collect::<Result<_, _>>()?)?])
}

/// Refuses pairs of every family but the local one; `no_local`: also those of datagrams, which can be sent to any address.
/// Pairs of the other kinds are connected and stay so.
fn socket_pairs(no_local: bool) -> Result<Vec<SeccompRule>, JailError> {
    /// Which kind a socket is of; the rest of the word are flags.
    const KIND: u64 = 0xf;
    let mut rules = vec![rule(0, SeccompCmpOp::Ne, flag(libc::AF_UNIX))?];
    if no_local {
        // The kernel makes a raw local socket one of datagrams.
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            rules.push(rule(1, SeccompCmpOp::MaskedEq(KIND), flag(kind))?);
        }
    }
    Ok(rules)
}

/// Refuses new limits for another process: a guard outside that may open no files would see nothing any more.
fn others_limits() -> Result<SeccompRule, JailError> {
    let another = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)?;
    let new_limit = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    Ok(SeccompRule::new(vec![another, new_limit])?)
}

/// Refuses to make a file with rights of others. What is no making has no mode: the argument may hold anything.
fn making_with_rights(flags: u8, mode: u8) -> Result<Vec<SeccompRule>, JailError> {
    let makes = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY];
    let mut rules = Vec::new();
    for made in makes {
        for bit in RIGHTS_OF_OTHERS {
            let conditions = vec![
                has_bits(flags, flag(made))?,
                has_bits(mode, u64::from(bit))?,
            ];
            rules.push(SeccompRule::new(conditions)?);
        }
    }
    Ok(rules)
}

fn has_bits(argument: u8, bits: u64) -> Result<SeccompCondition, JailError> {
    let operator = SeccompCmpOp::MaskedEq(bits);
    Ok(SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        operator,
        bits,
    )?)
}

fn flag(value: libc::c_int) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn whatever_the_arguments(calls: &[libc::c_long]) -> BTreeMap<i64, Vec<SeccompRule>> {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, JailError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    errno: libc::c_int,
) -> Result<BpfProgram, JailError> {
    let errno = u32::try_from(errno)?;
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        machine,
    )?;
    Ok(filter.try_into()?)
}
