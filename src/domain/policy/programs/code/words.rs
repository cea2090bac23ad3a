//! Which functions of other languages have consequences.

use crate::domain::policy::programs::code::Language;

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallEffect {
    /// Runs a command.
    Run,
    /// Removes files.
    Delete,
    /// Moves files: takes the first away, writes the second.
    Move,
    /// Writes the file named first.
    Write,
    /// Writes the file named second.
    WriteSecond,
    /// Writes the file whose name the call hangs on.
    WriteReceiver,
    /// Opens a file, perhaps for writing.
    Open,
    /// Changes the mode of a file.
    Mode,
    /// Talks to another machine.
    Network,
    /// Talks to a server, which its arguments name.
    Database,
    /// Takes other rights.
    Privilege,
    /// Runs text as code.
    Evaluate,
    /// Loads a module.
    Load,
    /// Loads a file with code.
    Source,
    /// Ends processes.
    Kill,
    /// Changes the folder that relative paths start from.
    Folder,
}

/// Functions by their last name that mean the same wherever they come from.
const ANYWHERE: &[(&str, CallEffect)] = &[
    (
        "system popen popen2 popen3 popen4 getoutput getstatusoutput Popen check_output check_call execSync execFileSync spawnSync execFile \
      shell_exec passthru proc_open pcntl_exec execl execlp execle execv execvp execve execvpe posix_spawn posix_spawnp spawnl spawnlp \
      spawnv spawnvp spawnve create_subprocess_shell create_subprocess_exec capture2 capture2e capture3 pipeline_r system2 shell fork_exec ShellExecute \
      do_shell_script",
        CallEffect::Run,
    ),
    (
        "rmtree unlink removedirs rmdir rmSync rmdirSync unlinkSync rm_rf rm_r remove_tree remove_entry remove_dir remove_entry_secure \
      remove_file safe_unlink rm_f unlink_recursive emptyDirSync removeSync rimraf truncateSync ftruncate delete_dir rmtree_p deltree \
      remove_dir_all rm_rf_p unlinkat",
        CallEffect::Delete,
    ),
    ("renameSync move_file", CallEffect::Move),
    (
        "writeFileSync writeFile appendFile appendFileSync createWriteStream write_text write_bytes file_put_contents \
      makedirs mkdirSync mknod mkfifo binwrite writeLines write_csv touch extractall unpack_archive make_archive FileHandler \
      RotatingFileHandler writeTextFileSync to_csv to_parquet to_excel savefig extract_all to_json to_html to_markdown to_latex to_feather to_pickle imwrite",
        CallEffect::Write,
    ),
    (
        "copyfile copy2 copyFileSync copyFile copytree symlink symlinkSync linkSync cpSync cp_r ln_s ln_sf",
        CallEffect::WriteSecond,
    ),
    (
        "chmod chmodSync fchmod lchmod chown chownSync",
        CallEffect::Mode,
    ),
    (
        "urlopen urlretrieve HTTPConnection HTTPSConnection create_connection open_connection create_server FTP SMTP Telnet SSHClient \
      XMLHttpRequest fetch createConnection fsockopen pfsockopen curl_init curl_exec stream_socket_client gethostbyname getaddrinfo \
      connect_ex WebSocket ClientSession TCPSocket UDPSocket UNIXSocket TCPServer socket sendto getstore mirror URLopener open_url download_file",
        CallEffect::Network,
    ),
    (
        "setuid setgid seteuid setreuid setresuid setegid setregid setcap chroot",
        CallEffect::Privilege,
    ),
    (
        "eval exec_code compile_eval runInThisContext runInNewContext runInContext instance_eval class_eval create_function \
      loadstring evaluate exec_module runpy run_code",
        CallEffect::Evaluate,
    ),
    ("__import__ import_module require import", CallEffect::Load),
    ("killpg", CallEffect::Kill),
    ("chdir fchdir", CallEffect::Folder),
];

/// Functions that only mean something by their full name, or behind these beginnings.
const QUALIFIED: &[(&str, &str, CallEffect)] = &[
    ("subprocess", "run call", CallEffect::Run),
    ("child_process cp", "exec spawn fork", CallEffect::Run),
    ("os", "startfile", CallEffect::Run),
    ("pty", "spawn", CallEffect::Run),
    (
        "Kernel Process IO Open3 PTY",
        "exec spawn popen",
        CallEffect::Run,
    ),
    ("os io", "execute", CallEffect::Run),
    ("Deno Bun", "run Command spawn spawnSync $", CallEffect::Run),
    (
        "Deno Bun",
        "write writeFile writeFileSync writeTextFile writeTextFileSync create createSync",
        CallEffect::Write,
    ),
    (
        "Deno",
        "removeSync truncate truncateSync",
        CallEffect::Delete,
    ),
    ("Deno", "renameSync", CallEffect::Move),
    ("Deno", "copyFile symlink link", CallEffect::WriteSecond),
    ("Deno", "chmod chown", CallEffect::Mode),
    (
        "Deno Bun",
        "connect listen listenTls serve connectTls listenDatagram",
        CallEffect::Network,
    ),
    (
        "psycopg2 psycopg pymysql MySQLdb asyncpg pyodbc cx_Oracle oracledb mysql.connector connector pymongo redis",
        "connect MongoClient Redis StrictRedis from_url create_pool",
        CallEffect::Database,
    ),
    ("sqlite3", "connect", CallEffect::Write),
    ("fs promises", "truncate rmdir unlink", CallEffect::Delete),
    ("Pathname", "rmtree delete unlink", CallEffect::Delete),
    ("Dir FileUtils", "chdir cd", CallEffect::Folder),
    (
        "os fs shutil File FileUtils Dir pathlib Deno fsp promises",
        "remove delete rm unlink truncate removeSync",
        CallEffect::Delete,
    ),
    (
        "os fs shutil File FileUtils pathlib fsp Deno",
        "rename move mv replace renames",
        CallEffect::Move,
    ),
    (
        "shutil FileUtils fs os File",
        "copy cp link install",
        CallEffect::WriteSecond,
    ),
    (
        "os Dir FileUtils fs Deno",
        "mkdir mkdir_p writeTextFile",
        CallEffect::Write,
    ),
    ("File IO Pathname", "write", CallEffect::Write),
    (
        "requests httpx session s",
        "get post put delete head patch request Session",
        CallEffect::Network,
    ),
    (
        "http https net tls http2 dgram",
        "get request connect createConnection createSocket createServer",
        CallEffect::Network,
    ),
    (
        "Net::HTTP Net::FTP Net::SSH URI HTTP::Tiny LWP::UserAgent IO::Socket::INET IO::Socket Socket LWP::Simple Faraday HTTParty",
        "get post new start open tcp connect get_response request getprint",
        CallEffect::Network,
    ),
    ("os process POSIX", "kill", CallEffect::Kill),
    (
        "builtins __builtins__",
        "exec compile eval execfile",
        CallEffect::Evaluate,
    ),
    ("timeit", "timeit repeat", CallEffect::Evaluate),
    ("cProfile profile", "run runctx", CallEffect::Evaluate),
    ("fileinput", "input", CallEffect::Write),
    (
        "compileall",
        "compile_dir compile_file compile_path",
        CallEffect::Write,
    ),
    ("process", "dlopen binding", CallEffect::Evaluate),
    ("ctypes", "CDLL cdll.LoadLibrary", CallEffect::Evaluate),
    ("torch joblib", "load", CallEffect::Source),
    ("marshal pickle", "loads", CallEffect::Evaluate),
];

/// Modules that are only there to talk to other machines.
const NETWORK_MODULES: &[&str] = &[
    "net",
    "http",
    "https",
    "tls",
    "dgram",
    "http2",
    "node:net",
    "node:http",
    "node:https",
    "node:tls",
    "node:dgram",
    "axios",
    "node-fetch",
    "LWP::Simple",
    "LWP::UserAgent",
    "HTTP::Tiny",
    "IO::Socket::INET",
    "IO::Socket::SSL",
    "Net::FTP",
    "Net::HTTP",
    "open-uri",
    "net/http",
];

/// Returns whether a function loads the module named first.
pub(super) fn is_loader(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    ["require", "import", "__import__", "import_module"].contains(&last)
}

/// Returns whether a module is only there to talk to other machines.
pub(super) fn is_network_module(name: &str) -> bool {
    NETWORK_MODULES.contains(&name)
}

/// Returns what calling a function does, if it has consequences.
pub(super) fn call(language: Language, name: &str) -> Option<CallEffect> {
    let last = name.rsplit(['.', ':']).next().unwrap_or(name);
    let head = name
        .get(..name.len() - last.len())
        .unwrap_or("")
        .trim_end_matches(['.', ':']);
    if let Some(call) = own(language, name, last) {
        return Some(call);
    }
    let module = head.rsplit('.').next().unwrap_or(head);
    let qualified = QUALIFIED.iter().find(|(heads, lasts, _)| {
        let fits = |names: &str, name: &str| names.split_ascii_whitespace().any(|own| own == name);
        (fits(heads, head) || fits(heads, module)) && fits(lasts, last)
    });
    if let Some((_, _, call)) = qualified {
        return Some(*call);
    }
    if ["new", "open", "start", "connect"].contains(&last) && !head.is_empty() {
        let made = ANYWHERE
            .iter()
            .find(|(names, _)| names.split_ascii_whitespace().any(|own| own == module));
        if let Some((_, call)) = made {
            return Some(*call);
        }
    }
    let found = ANYWHERE
        .iter()
        .find(|(names, _)| names.split_ascii_whitespace().any(|own| own == last))?;
    Some(found.1)
}

/// Functions that belong to one language.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each name, and an arm is a line or two"
)]
fn own(language: Language, name: &str, last: &str) -> Option<CallEffect> {
    match (language, name) {
        (Language::Perl | Language::Ruby | Language::Php | Language::C, "exec") => {
            Some(CallEffect::Run)
        }
        (Language::JavaScript, _) if last == "exec" || last == "spawn" => {
            // `regex.exec(text)` is everywhere; a module or a bare name runs commands.
            (name == "exec" || name == "spawn" || name.starts_with('.')).then_some(CallEffect::Run)
        }
        (Language::Python, _)
            if name.starts_with('.')
                && [
                    "write_text",
                    "write_bytes",
                    "symlink_to",
                    "hardlink_to",
                    "touch",
                    "mkdir",
                ]
                .contains(&last) =>
        {
            Some(CallEffect::WriteReceiver)
        }
        (Language::Python, _) if last == "save" => Some(CallEffect::Write),
        (Language::Python, ".rename" | ".rename_to" | ".replace_with") => Some(CallEffect::Move),
        (Language::Python, "exec" | "compile") => Some(CallEffect::Evaluate),
        (Language::JavaScript, "Function") => Some(CallEffect::Evaluate),
        (Language::Php, "assert") => Some(CallEffect::Evaluate),
        (Language::Lua, "load") => Some(CallEffect::Evaluate),
        (Language::Lua, "dofile" | "loadfile")
        | (Language::Ruby, "load" | "require_relative")
        | (Language::R, "source" | "sys.source" | "Code.require_file" | "Code.eval_file") => {
            Some(CallEffect::Source)
        }
        (Language::Python | Language::Perl | Language::Ruby | Language::Lua, _)
            if last == "open" && !head_is_harmless(name) =>
        {
            Some(CallEffect::Open)
        }
        (Language::Python, "zipfile.ZipFile" | "ZipFile" | "tarfile.TarFile") => {
            Some(CallEffect::Open)
        }
        (Language::Php | Language::C, "fopen" | "SplFileObject") => Some(CallEffect::Open),
        (Language::JavaScript, _)
            if last == "openSync"
                || name == "fs.open"
                || name == "promises.open"
                || name == "Deno.open" =>
        {
            Some(CallEffect::Open)
        }
        (Language::Ruby, "IO.popen" | "Kernel.open" | "sh") => Some(CallEffect::Run),
        (Language::Ruby, _) if [".rmtree", ".unlink"].contains(&name) => Some(CallEffect::Delete),
        (Language::Perl | Language::Php | Language::C, "rename" | "link") => Some(CallEffect::Move),
        (
            Language::C,
            "Command::new"
            | "std::process::Command::new"
            | "process::Command::new"
            | "exec.Command",
        ) => Some(CallEffect::Run),
        (
            Language::C,
            "fs::remove_dir_all"
            | "std::fs::remove_dir_all"
            | "fs::remove_file"
            | "std::fs::remove_file"
            | "os.RemoveAll"
            | "os.Remove",
        ) => Some(CallEffect::Delete),
        (
            Language::C,
            "fs::write"
            | "std::fs::write"
            | "File::create"
            | "fs::File::create"
            | "std::fs::File::create"
            | "os.WriteFile"
            | "ioutil.WriteFile"
            | "os.Create"
            | "fs::create_dir_all"
            | "os.MkdirAll",
        ) => Some(CallEffect::Write),
        (Language::C, "open" | ".open") => Some(CallEffect::Write),
        (Language::C, "fs::rename" | "std::fs::rename" | "os.Rename") => Some(CallEffect::Move),
        (Language::C, "fs::copy" | "std::fs::copy" | "os.Symlink" | "os.Link") => {
            Some(CallEffect::WriteSecond)
        }
        (
            Language::C,
            "TcpStream::connect"
            | "net::TcpStream::connect"
            | "std::net::TcpStream::connect"
            | "UdpSocket::bind"
            | "std::net::UdpSocket::bind"
            | "net.Dial"
            | "net.DialTimeout"
            | "http.Get"
            | "http.Post"
            | "http.PostForm"
            | "http.NewRequest"
            | "ureq::get"
            | "ureq::post",
        ) => Some(CallEffect::Network),
        (Language::C, "syscall" | "dlsym" | "asm!" | "mprotect") => Some(CallEffect::Evaluate),
        (Language::C, "remove") | (Language::Perl | Language::Php, "truncate") => {
            Some(CallEffect::Delete)
        }
        (Language::R, "file.remove" | "dir.remove") => Some(CallEffect::Delete),
        (Language::Perl | Language::Php | Language::C, "mkdir") => Some(CallEffect::Write),
        (Language::Perl, "do") => Some(CallEffect::Source),
        (
            Language::R,
            "writeLines" | "write.csv" | "write.table" | "saveRDS" | "write" | "write_csv"
            | "write_json",
        ) => Some(CallEffect::WriteSecond),
        (Language::Perl | Language::Php, "copy") => Some(CallEffect::WriteSecond),
        (Language::Perl | Language::C, "kill") => Some(CallEffect::Kill),
        (Language::JavaScript, _) if last == "rm" && name != "rm" => Some(CallEffect::Delete),
        (Language::Php, "file_get_contents") => None,
        _ => None,
    }
}

fn head_is_harmless(name: &str) -> bool {
    ["Image.open", "webbrowser.open", "URI.open", "wave.open"].contains(&name)
}
