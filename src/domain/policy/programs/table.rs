//! The table: which family a program belongs to, how wrappers are peeled, which variables are dangerous.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::domain::policy::programs::{Language, is_in};

/// What kind of thing a program is.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProgramFamily {
    /// Runs the command in its arguments.
    Wrapper(&'static WrapperSpec),
    /// Runs the command in its arguments with other rights.
    Privilege(&'static WrapperSpec),
    /// Reads shell text.
    Shell,
    /// Runs code of another language.
    Language(Language),
    /// Only prints; what it prints may be known.
    Print,
    /// Changes files named in its arguments.
    Files,
    /// Packs, unpacks and copies files.
    Transfer,
    /// git.
    Git,
    /// Talks to other machines.
    Network,
    /// Brings programs onto the machine.
    Install,
    /// Changes the machine.
    System,
    /// Can run commands through an option or a little language of its own.
    Tool,
    /// Changes what lies on other machines.
    Remote,
}

/// How to peel a wrapper off.
#[derive(Debug, Default)]
pub(super) struct WrapperSpec {
    /// Letters of options that take a value.
    pub(super) short: &'static str,
    /// Long options that take a value.
    pub(super) long: Vec<&'static str>,
    /// Arguments before the command.
    pub(super) skip: usize,
    /// Options whose value is shell text.
    pub(super) code: Vec<&'static str>,
    /// Whether the arguments together are shell text.
    pub(super) joined: bool,
    /// Whether `NAME=value` may stand before the command.
    pub(super) assigns: bool,
    /// Whether every argument is a shell text of its own.
    pub(super) each: bool,
}

/// The wrappers: names | letters with a value | long options with a value | arguments before the command |
/// options with shell text | what else. Lines without a bar name wrappers that have none of these.
const WRAPPERS: &str = "
nohup setsid linux32 linux64 uname26 ccache sccache distcc valgrind unbuffer dbus-launch command builtin coproc
noglob nocorrect eatmydata torsocks torify tsocks chronic ifne errno systemd-inhibit
catchsegv entr xdotool bwrap firejail setpriv ld.so ld-linux-x86-64.so.2
ld-linux-aarch64.so.1 ld-musl-x86_64.so.1 poetry pipenv bundle direnv dotenv asdf mise sem
perf run-parts cmd wsl
env | uC | unset chdir | 0 |  | assigns
nice | n | adjustment | 0
ionice | cnpPu | class classdata | 0
time gtime | fo | format output | 0
timeout | sk | signal kill-after | 1
gtimeout | sk | signal kill-after | 1
stdbuf | ioe | input output error | 0
chrt | TPD | sched-runtime sched-period sched-deadline | 1
taskset |  |  | 1
numactl | CNmp | cpunodebind membind | 0
strace | oepEsSPaIbOu | output trace | 0
ltrace | oepnsulAaFx | output | 0
unshare | RwSG | root wd setuid setgid | 0
flock | wE | timeout wait conflict-exit-code | 1 | c command
watch | nq | interval equexit | 0 |  | joined
script | cIOBTmoE | command log-in log-out log-io log-timing | 1 | c command
xvfb-run | enspfw | server-args server-num error-file | 0
dbus-run-session |  | config-file dbus-daemon | 0
exec | a |  | 0
caffeinate | tw |  | 0
fakeroot | lsif |  | 0
faketime | f |  | 1
proxychains | f |  | 0
proxychains4 | f |  | 0
rlwrap | abcCfHlpPSt |  | 0
cpulimit | lpe | limit pid exe | 0
prlimit | p | pid | 0
choom | np |  | 0
uclampset | mMp |  | 0
systemd-run | puHME | property unit uid gid setenv description slice working-directory | 0
systemd-cat | tp |  | 0
hyperfine | wmMrpcsLN | warmup min-runs max-runs runs prepare cleanup setup export-json | 0 | p prepare cleanup c setup s | joined
tmux | LSfctsnx |  | 0
screen | Sc |  | 0
dtach | AcnN |  | 0
proot | rbwqkv |  | 0
nix-shell | pIA | run command | 0 | run command
start-stop-daemon | xapncu | exec startas pidfile name chuid | 0
daemonize | ceopluE |  | 0
expect | cf |  | 0 | c
xonsh nu elvish oil osh ion | c | commands command | 0 | c commands command
nix |  |  | 0
volta pixi rye hatch pdm devbox toolbox flox doppler op infisical chamber aws-vault teller dotenvx conda-run | e | env-file env | 0
micromamba mamba | npr | name prefix root-prefix cwd | 0
rbenv pyenv nodenv goenv jenv plenv phpenv |  |  | 0
nodemon | xwe | exec watch ext delay ignore signal | 0 | x exec
watchexec | ewfdsiIo | exts watch filter delay signal ignore shell | 0 |  | joined
chokidar | c | command initial | 0 | c command
concurrently | ncsmplt | names name-separator success max-processes prefix prefix-colors prefix-length timestamp-format restart-tries restart-after default-input-target hide cwd teardown | 0 | teardown | each
onchange | dk | delay | 0
start-server-and-test |  |  | 0 |  | each
cross-env cross-env-shell env-cmd | f |  | 0 |  | assigns
tini dumb-init catatonit s6-setuidgid setuidgid chpst softlimit envuidgid | geup |  | 0
shx |  |  | 0
retry | td | times delay sleep max | 0
ansible | miaebuUlfTtBP | module-name args inventory extra-vars become-user user limit | 0 | a args
pssh parallel-ssh pdsh dsh | hHlptowe | hosts host user par | 0 |  | joined
arch |  |  | 0
xcrun |  | sdk toolchain | 0
rr heaptrack samply flamegraph py-spy scalene kcov pyinstrument viztracer austin | o | output | 0
guix distrobox | n | name | 0
";

/// Wrappers that hand out other rights, in the same form.
const PRIVILEGED: &str = "
newgrp machinectl sudoedit visudo runas gsudo gksu pfexec calife super dzdo
sudo | ugpCDhRrtTU | user group prompt chdir host | 0 |  | assigns
doas | uC |  | 0
su | csgwG | command shell group | 1 | c command
pkexec |  | user | 0
run0 | ug | user unit property | 0
runuser | ucsgG | command user | 0 | c command
chroot |  | userspec groups | 1
nsenter | tSG | target | 0
capsh |  | user uid gid | 0
sg | c |  | 1 | c
gosu |  |  | 1
su-exec |  |  | 1
kdesu | cu |  | 0 | c
";

const SHELLS: &str = "
sh bash dash zsh ksh ksh93 mksh ash rbash fish yash csh tcsh rc posh busybox toybox xargs
find parallel fd fdfind setarch i386 x86_64
";

const PRINTERS: &str = "
echo printf type cat tac rev tr base64 base32 xxd od hexdump head tail cut grep egrep fgrep rg ag
ls basename dirname realpath readlink mktemp date seq which whereis whoami id hostname uname
nproc wc stat file diff cmp md5sum sha1sum sha256sum cksum strings man info apropos whatis
tput tty jq yq column fold fmt nl expand uniq comm paste join expr yes sleep df du ps
top free uptime printenv pidof locale less more bat pgrep lsof openssl uudecode zcat iconv factor
numfmt shuf envsubst getconf groups pwd tree lsblk cal bc dc logger clear reset stty tsort xmllint
shellcheck eza exa delta
";

const FILES: &str = "
rm rmdir unlink shred srm wipe trash trash-put gio rimraf truncate mv cp ln link install dd
tee touch mkdir mkfifo mknod chmod chown chgrp chattr setfacl setcap setfattr rename prename
patch sponge split csplit sort fallocate ditto xattr tmpreaper tmpwatch logrotate fuser
dos2unix unix2dos update-alternatives mmv vidir symlinks pee
";

const TRANSFER: &str = "
tar gtar bsdtar star zip unzip 7z 7za 7zr rar unrar gzip gunzip bzip2 bunzip2 xz unxz lzma
zstd unzstd lz4 compress uncompress pigz pbzip2 cpio pax ar rsync unlzma brotli lzip lzop
";

const NETWORK: &str = "
curl wget wget2 aria2c axel nc ncat netcat nc.openbsd nc.traditional socat telnet ftp lftp
ncftp tftp sftp scp ssh ssh-copy-id autossh sshpass mosh sshfs rclone http https httpie xh
curlie dig nslookup host drill ping ping6 traceroute tracepath mtr nmap masscan whois finger
lynx links w3m elinks rsh rlogin rcp smbclient mail mailx sendmail msmtp mutt swaks websocat
wscat grpcurl aws gcloud gsutil az doctl heroku vercel netlify fly flyctl gh glab hub
kubectl helm docker podman nerdctl ngrok cloudflared tailscale ipfs magic-wormhole wormhole
croc transmission-cli youtube-dl yt-dlp svn hg bzr cvs redis-cli mongo mongosh mysqldump
pg_dump fetch openvpn wg-quick tcpdump bitsadmin s3cmd mc iperf3 curl-impersonate telnet-ssl
socat2
";

const INSTALL: &str = "
pip pip3 pipx uv uvx npm npx pnpm pnpx yarn bun bunx corepack apt apt-get aptitude dpkg dnf
yum rpm zypper pacman apk brew port snap flatpak gem cargo go composer conda mamba
micromamba easy_install cpan cpanm luarocks choco scoop winget nix nix-env guix emerge
xbps-install opkg rustup nvm volta deb alien pip2 opam stack cabal mix rebar3 dart flutter
dotnet nuget mvn gradle sdk fisher code
";

const SYSTEM: &str = "
mkfs mke2fs mkswap wipefs fdisk sfdisk parted gdisk sgdisk mount umount losetup shutdown
reboot poweroff halt init telinit systemctl service chkconfig update-rc.d rc-update initctl
launchctl crontab at batch anacron kill pkill killall xkill iptables ip6tables nft ufw
firewall-cmd sysctl modprobe insmod rmmod useradd adduser userdel deluser usermod groupadd
groupdel groupmod gpasswd passwd chpasswd chsh chfn swapoff swapon hdparm blkdiscard dmsetup
lvremove vgremove pvremove lvcreate cryptsetup mdadm zfs zpool btrfs badblocks debugfs fsck
e2fsck tune2fs resize2fs efibootmgr grub-install update-grub ip ifconfig route hostnamectl
timedatectl loginctl localectl setenforce semanage chcon auditctl journalctl dmesg
ssh-keygen ssh-add gpg security defaults diskutil hdiutil csrutil nvram spctl tmutil pmset
dscl kextload wall loadkeys ldconfig insserv quotaon mkinitcpio dracut kexec rtcwake
pm-suspend bpftool incrontab fcrontab schtasks reg
";

const TOOLS: &str = "
sed gsed awk gawk mawk nawk original-awk vim vi nvim view ex rvim vimdiff emacs emacsclient
ed red nano gdb lldb make gmake bmake ninja just task cmake meson rake gcc g++ cc c++ clang
clang++ tcc rustc javac java sqlite3 duckdb psql mysql mariadb powershell pwsh tclsh wish m4 cpp as
ld busctl pandoc gpg2 ctags git-shell cscope nsupdate dpkg-deb latex pdflatex xelatex
lualatex gs convert ffmpeg pager rst2html byebug irb jrunscript jjs jshell cscript wscript
mshta rundll32 regsvr32 msiexec kotlinc scala groovy erl elixir iex swift ghc runghc ocaml
guile racket sbcl clisp gnuplot octave dwgrep
";

const REMOTE: &str = "
terraform tofu terragrunt pulumi cdk sam serverless sls wrangler firebase supabase railway stripe vault restic borg rustic kopia
duplicity twine eb ecs-cli copilot amplify ibmcloud oci linode-cli hcloud scw flyctl2 render dokku cap cap2 nomad consul packer
vagrant multipass argocd flux istioctl eksctl kops kubeadm minikube kind k3d velero skaffold tilt garden okteto ansible-playbook
ansible-galaxy ansible-vault ansible-pull salt salt-call chef-client knife puppet bolt mgmt sentry-cli snyk codecov newman k6
pscale planetscale neonctl turso atlas mongocli confluent rpk circleci travis bitrise eas expo lerna semantic-release release-it
goreleaser np auto jfrog cosign crane skopeo oras regctl dagger earthly akamai cloudflare doctl2 dvc lakectl huggingface-cli hf kaggle
wandb openai anthropic replicate modal sentinel b2 rbd ceph etcdctl influx influxd clickhouse-client cqlsh mongorestore mongoimport
mongoexport pg_restore pg_isready pgbench createdb dropdb createuser dropuser mysqladmin mysqlimport cockroach snowsql bq
";

const LANGUAGES: [(&str, Language); 7] = [
    (
        "python python2 python3 pypy pypy3 ipython ipython3 py",
        Language::Python,
    ),
    ("perl perl5", Language::Perl),
    ("ruby jruby", Language::Ruby),
    ("node nodejs deno ts-node tsx qjs", Language::JavaScript),
    ("php", Language::Php),
    ("lua luajit lua5.3 lua5.4", Language::Lua),
    ("rscript r julia osascript", Language::R),
];

/// How many programs are looked up one by one before the whole table is laid out: the hook of an agent judges one command and
/// ends, and laying it out costs more than all the rest of that.
const FEW: u32 = 32;

static TABLE: OnceLock<BTreeMap<&'static str, ProgramFamily>> = OnceLock::new();

fn table() -> &'static BTreeMap<&'static str, ProgramFamily> {
    TABLE.get_or_init(built)
}

fn known(name: &str) -> Option<ProgramFamily> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    if TABLE.get().is_none() && ASKED.fetch_add(1, Ordering::Relaxed) < FEW {
        return searched(name);
    }
    table().get(name).copied()
}

/// The families without an entry of their own, in the order in which later ones win.
const GROUPS: [(&str, ProgramFamily); 10] = [
    (PRINTERS, ProgramFamily::Print),
    (FILES, ProgramFamily::Files),
    (TRANSFER, ProgramFamily::Transfer),
    (NETWORK, ProgramFamily::Network),
    (INSTALL, ProgramFamily::Install),
    (SYSTEM, ProgramFamily::System),
    (TOOLS, ProgramFamily::Tool),
    (SHELLS, ProgramFamily::Shell),
    ("git", ProgramFamily::Git),
    (REMOTE, ProgramFamily::Remote),
];

fn built() -> BTreeMap<&'static str, ProgramFamily> {
    let mut table = BTreeMap::new();
    let mut add = |names: &'static str, family: ProgramFamily| {
        table.extend(names.split_ascii_whitespace().map(|name| (name, family)));
    };
    for (names, family) in GROUPS {
        add(names, family);
    }
    for (names, language) in LANGUAGES {
        add(names, ProgramFamily::Language(language));
    }
    for (names, spec) in specs(wrappers()) {
        add(names, ProgramFamily::Wrapper(spec));
    }
    for (names, spec) in specs(privileged()) {
        add(names, ProgramFamily::Privilege(spec));
    }
    table
}

/// Finds what the table says of a name without the table.
fn searched(name: &str) -> Option<ProgramFamily> {
    let has_it = |text: &str| {
        let mut names = text
            .lines()
            .map(|line| line.split('|').next().unwrap_or(""));
        text.contains(name) && names.any(|names| is_among(name, names))
    };
    let of = |specs: &'static Specs| {
        let mut found = specs.iter().rev();
        found.find_map(|(names, spec)| is_among(name, names).then_some(spec))
    };
    if has_it(PRIVILEGED) {
        return of(privileged()).map(ProgramFamily::Privilege);
    }
    if has_it(WRAPPERS) {
        return of(wrappers()).map(ProgramFamily::Wrapper);
    }
    let mut languages = LANGUAGES.iter().rev();
    let language = languages.find(|(names, _)| is_among(name, names));
    if let Some((_, language)) = language {
        return Some(ProgramFamily::Language(*language));
    }
    let mut groups = GROUPS.iter().rev();
    let group = groups.find(|(names, _)| is_among(name, names));
    group.map(|(_, family)| *family)
}

/// Returns whether a name is one of several.
fn is_among(name: &str, names: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
    let bytes = names.as_bytes();
    let mut places = names.match_indices(name);
    !name.is_empty()
        && !name.contains(|one: char| one.is_ascii_whitespace())
        && places.any(|(at, _)| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            is_end(before) && is_end(bytes.get(at + name.len()))
        })
}

type Specs = Vec<(&'static str, WrapperSpec)>;

fn wrappers() -> &'static Specs {
    static SPECS: OnceLock<Specs> = OnceLock::new();
    SPECS.get_or_init(|| WRAPPERS.lines().map(spec).collect())
}

fn privileged() -> &'static Specs {
    static SPECS: OnceLock<Specs> = OnceLock::new();
    SPECS.get_or_init(|| PRIVILEGED.lines().map(spec).collect())
}

fn specs(specs: &'static Specs) -> impl Iterator<Item = (&'static str, &'static WrapperSpec)> {
    specs.iter().map(|(names, spec)| (*names, spec))
}

/// Reads one line of the table of wrappers.
fn spec(line: &'static str) -> (&'static str, WrapperSpec) {
    let mut parts = line.split('|').map(str::trim);
    let mut next = || parts.next().unwrap_or("");
    let names = next();
    let spec = WrapperSpec {
        short: next(),
        long: next().split_ascii_whitespace().collect(),
        skip: next().parse().unwrap_or(0),
        code: next().split_ascii_whitespace().collect(),
        ..WrapperSpec::default()
    };
    let flags = next();
    let (joined, assigns) = (flags.contains("joined"), flags.contains("assigns"));
    (
        names,
        WrapperSpec {
            joined,
            assigns,
            each: flags.contains("each"),
            ..spec
        },
    )
}

/// Returns whether a name is that of a program of which something is known.
pub(in crate::domain::policy) fn is_known_program(name: &str) -> bool {
    family(name).is_some()
}

/// Returns the family of a program by its usual name; versions and `.exe` at its end do not matter.
pub(super) fn family(name: &str) -> Option<ProgramFamily> {
    if let Some(family) = known(name) {
        return Some(family);
    }
    let bare = name.strip_suffix(".exe").unwrap_or(name);
    if bare.starts_with("mkfs.") {
        return Some(ProgramFamily::System);
    }
    let unversioned = bare.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    [bare, unversioned].into_iter().find_map(known)
}

/// Returns whether a program runs code that it is given.
pub(super) fn reads_code(name: &str) -> bool {
    matches!(
        family(name),
        Some(ProgramFamily::Shell | ProgramFamily::Language(_))
    ) && !["xargs", "find", "fd", "fdfind", "parallel"].contains(&name)
}

/// Returns whether a program takes any words as names of files or as text.
pub(super) fn takes_names(name: &str) -> bool {
    let others = [
        "git", "sed", "gsed", "awk", "find", "sh", "bash", "python3", "python", "perl", "node",
        "ruby",
    ];
    matches!(
        family(name),
        Some(
            ProgramFamily::Print
                | ProgramFamily::Files
                | ProgramFamily::Transfer
                | ProgramFamily::Install
        )
    ) || others.contains(&name)
}

/// Returns whether a tool may be given any file to read, and is looked at for what it does with it.
pub(super) fn reads_anything(name: &str) -> bool {
    let tools = "sed gsed awk gawk mawk nawk original-awk ed red sqlite3 psql mysql mariadb powershell pwsh busctl dwgrep ctags
        cscope apt apt-get dpkg rpm dnf yum brew pacman apk";
    is_in(tools, name)
}

/// Returns whether a tool runs what lies in the project.
pub(super) fn runs_project(name: &str) -> bool {
    let tools = "make gmake bmake ninja just task cmake meson rake scala groovy swift";
    is_in(tools, name)
}

/// Returns whether a program of the table acts by itself: all families but printers, tools, package managers and remote programs.
pub(super) fn has_consequences(name: &str) -> bool {
    family(name).is_some_and(is_consequential)
}

const fn is_consequential(family: ProgramFamily) -> bool {
    !matches!(
        family,
        ProgramFamily::Print | ProgramFamily::Tool | ProgramFamily::Install | ProgramFamily::Remote
    )
}

/// Returns the names of programs for which `has_consequences` holds.
pub(super) fn with_consequences() -> impl Iterator<Item = &'static str> {
    table()
        .iter()
        .filter(|(_, family)| is_consequential(**family))
        .map(|(name, _)| *name)
}

/// What the value of an environment variable is used for by other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VariableUse {
    /// Nothing dangerous.
    Harmless,
    /// It is run as a command.
    Command,
    /// Substitutions in it are run.
    Prompt,
    /// It names a file that is loaded or run.
    File,
    /// It holds options of an interpreter.
    Options,
    /// It is a function definition.
    Function,
}

const COMMAND_VARIABLES: &str = "
PAGER GIT_PAGER MANPAGER EDITOR VISUAL GIT_EDITOR GIT_SEQUENCE_EDITOR FCEDIT SUDO_EDITOR
GIT_SSH_COMMAND GIT_SSH GIT_EXTERNAL_DIFF GIT_ASKPASS SSH_ASKPASS SUDO_ASKPASS BROWSER
RUSTC RUSTDOC RUSTFMT RUSTC_WORKSPACE_WRAPPER LESSKEYIN LESSKEY LESSKEY_CONTENT LESSOPEN LESSCLOSE PROMPT_COMMAND RSYNC_RSH CVS_RSH GIT_PROXY_COMMAND MANROFFOPT
SYSTEMD_PAGER PSQL_EDITOR PSQL_PAGER BAT_PAGER AWS_PAGER CARGO_BUILD_RUSTC_WRAPPER
RUSTC_WRAPPER HGEDITOR SVN_EDITOR SVN_SSH TEXEDIT CC CXX LD AR CPP CONFIG_SHELL KUBE_EDITOR CRONTAB_EDITOR
";
const PROMPT_VARIABLES: &str = "
PS0 PS1 PS2 PS3 PS4
";
const FILE_VARIABLES: &str = "
LD_PRELOAD LD_AUDIT BASH_ENV ENV PYTHONSTARTUP PYTHONHOME PERL5DB GIT_EXEC_PATH
GIT_TEMPLATE_DIR DYLD_INSERT_LIBRARIES GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM ZDOTDIR INPUTRC
VIMINIT EXINIT LD_DEBUG_OUTPUT GCONV_PATH OPENSSL_CONF PYTHONINSPECT
";
const OPTIONS_VARIABLES: &str = "
NODE_OPTIONS PERL5OPT RUBYOPT JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS
";

/// Returns what a variable is used for.
pub(super) fn variable(name: &str) -> VariableUse {
    static TABLE: OnceLock<BTreeMap<&'static str, VariableUse>> = OnceLock::new();
    let groups = [
        (COMMAND_VARIABLES, VariableUse::Command),
        (PROMPT_VARIABLES, VariableUse::Prompt),
        (FILE_VARIABLES, VariableUse::File),
        (OPTIONS_VARIABLES, VariableUse::Options),
    ];
    let table = TABLE.get_or_init(|| {
        let named = |(names, use_): (&'static str, VariableUse)| {
            names.split_ascii_whitespace().map(move |name| (name, use_))
        };
        groups.into_iter().flat_map(named).collect()
    });
    if name.starts_with("BASH_FUNC_") {
        return VariableUse::Function;
    }
    if name.starts_with("GIT_CONFIG_VALUE") || name == "GIT_CONFIG_PARAMETERS" {
        return VariableUse::Command;
    }
    table.get(name).copied().unwrap_or(VariableUse::Harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_windows_endings_do_not_hide_a_program() {
        for name in ["python3.12", "python", "git.exe", "mkfs.ext4", "gcc-13"] {
            assert!(family(name).is_some(), "{name}");
        }
        assert!(family("my-own-tool").is_none());
    }

    #[test]
    fn a_name_is_found_alike_with_the_table_and_without_it() {
        let table = built();
        let others = [
            "",
            " ",
            "i",
            "it",
            "git ",
            "sh\n",
            "my-own-tool",
            "|",
            "-n",
            "bash sh",
            "a",
        ];
        for name in table.keys().copied().chain(others) {
            let (one, other) = (table.get(name).copied(), searched(name));
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{name}");
        }
    }
}
