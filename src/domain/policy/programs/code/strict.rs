//! What in a code string is not followed, so that nobody can say what it does.
//!
//! Calls with consequences are looked at one by one (see [`super::words`]). Here stands the other half: names through which
//! any function can be reached without being called by its own, members of the modules that have such functions, and
//! modules that are only there to run something. Code that uses one of them in a way that is not described is not
//! understood, whatever it would do.

use crate::domain::policy::programs::code::{Language, lex::Token, words};

/// Names through which any function can be reached.
const PYTHON_NAMES: &str = "
__import__ getattr globals locals vars breakpoint __builtins__ builtins __dict__ __class__ __bases__ __base__ __mro__
__subclasses__ __globals__ __code__ __loader__ __spec__ __getattribute__ __reduce__ __reduce_ex__ execfile reload
attrgetter methodcaller gi_frame f_globals f_builtins tb_frame
";
/// Modules of Python whose members are only understood one by one.
const PYTHON_GUARDED: &str = "os shutil subprocess sys io";
/// Members of these modules without consequences.
const PYTHON_MEMBERS: &str = "
os.path os.getcwd os.listdir os.walk os.fwalk os.scandir os.environ os.getenv os.sep os.linesep os.name os.getpid os.cpu_count os.stat
os.lstat os.access os.fspath os.fsdecode os.fsencode os.curdir os.pardir os.pathsep os.devnull os.uname os.urandom os.isatty
os.get_terminal_size os.getuid os.getgid os.getlogin os.R_OK os.W_OK os.X_OK os.F_OK os.readlink os.PathLike os.DirEntry os.extsep
os.altsep os.SEEK_SET os.SEEK_END os.error os.strerror os.times os.getloadavg os.chdir os.mkdir os.umask os.utime os._exit os.getppid
shutil.which shutil.disk_usage shutil.get_terminal_size shutil.ignore_patterns shutil.Error shutil.SameFileError
subprocess.PIPE subprocess.DEVNULL subprocess.STDOUT subprocess.CalledProcessError subprocess.TimeoutExpired
subprocess.CompletedProcess subprocess.SubprocessError
sys.argv sys.exit sys.stdin sys.stdout sys.stderr sys.version sys.version_info sys.path sys.platform sys.executable sys.maxsize
sys.byteorder sys.getsizeof sys.getrecursionlimit sys.setrecursionlimit sys.flags sys.float_info sys.implementation sys.exc_info
sys.prefix sys.base_prefix sys.getdefaultencoding sys.maxunicode sys.intern sys.hexversion sys.api_version sys.path_importer_cache
io.StringIO io.BytesIO io.TextIOWrapper io.DEFAULT_BUFFER_SIZE io.SEEK_SET io.SEEK_END
";
/// Modules of Python that are there to run something, or to reach what cannot be followed.
const PYTHON_REFUSED: &str = "
ctypes cffi _ctypes pty posix nt _posixsubprocess multiprocessing runpy code codeop imp importlib pkgutil zipimport
timeit cProfile profile pdb bdb trace doctest pickle cPickle _pickle marshal shelve dill cloudpickle joblib webbrowser antigravity
site venv ensurepip pip distutils setuptools sh plumbum fabric invoke pexpect ptyprocess paramiko psutil delegator envoy py
resource fcntl mmap signal faulthandler gc inspect types operator dis ast symtable test idlelib lib2to3 wsgiref xmlrpc
smtplib ftplib telnetlib poplib imaplib nntplib socketserver asyncore asynchat send2trash dbm crypt spwd pwd grp nis syslog
pyautogui pynput keyboard mouse docker kubernetes boto3 botocore google azure ansible salt execnet rpyc Pyro4 cython numba cppyy jpype
";
/// Modules of which only what runs something matters, and that is looked at by name.
const PYTHON_KNOWN: &str = "inspect types operator ast gc dis pwd grp signal resource";

const JS_NAMES: &str = "
constructor __proto__ binding mainModule _load _compile _extensions globalThis global Reflect WebAssembly dlopen _linkedBinding
createRequire getBuiltinModule openStdin reallyExit _debugProcess
";
const JS_GUARDED: &str = "fs promises child_process process require module";
const JS_MEMBERS: &str = "
fs.readFileSync fs.readFile fs.existsSync fs.statSync fs.lstatSync fs.stat fs.readdirSync fs.readdir fs.promises fs.constants fs.accessSync
fs.access fs.createReadStream fs.realpathSync fs.readlinkSync fs.openSync fs.closeSync fs.readSync fs.mkdirSync fs.mkdtempSync
fs.promises.readFile fs.promises.readdir fs.promises.stat fs.promises.access promises.readFile promises.readdir promises.stat
promises.access promises.mkdir fs.mkdir fs.watch fs.watchFile fs.Stats fs.utimesSync
process.argv process.env process.exit process.cwd process.stdout process.stdin process.stderr process.version process.versions
process.platform process.arch process.hrtime process.uptime process.memoryUsage process.on process.once process.nextTick
process.exitCode process.pid process.execPath process.title process.chdir process.emitWarning process.release process.features
process.argv0 process.execArgv process.cpuUsage process.config
require.main require.resolve module.exports module.id module.paths
";
const JS_REFUSED: &str = "
vm module worker_threads cluster inspector repl wasi v8 node:vm node:module node:worker_threads node:cluster node:inspector node:repl
node:wasi node:v8 shelljs execa zx cross-spawn node-pty shx del trash sudo-prompt npm-run concurrently spawn-sync child-process-promise
ffi-napi ffi ref-napi koffi node-ssh ssh2 dockerode puppeteer playwright bun:ffi
";

const RUBY_NAMES: &str = "
send __send__ public_send method instance_method define_method const_get instance_variable_get binding ObjectSpace Fiddle DL
syscall instance_exec class_exec module_eval module_exec method_missing singleton_class TOPLEVEL_BINDING RubyVM
";
const RUBY_GUARDED: &str = "FileUtils Process Kernel";
const RUBY_MEMBERS: &str = "
FileUtils.pwd FileUtils.cd FileUtils.uptodate? FileUtils.compare_file Process.pid Process.clock_gettime Process::CLOCK_MONOTONIC
Process.ppid Kernel.puts Kernel.rand Kernel.sleep Kernel.format
";
const PERL_NAMES: &str = "
syscall can UNIVERSAL symtable __PACKAGE__ fork dbmopen sysopen dump Opcode Safe Inline DynaLoader XSLoader
";
const PHP_NAMES: &str = "
call_user_func call_user_func_array array_map array_walk array_filter usort uasort uksort preg_replace_callback register_shutdown_function
set_error_handler ob_start iterator_apply forward_static_call ReflectionFunction ReflectionMethod ReflectionClass FFI dl putenv
ini_set pcntl_fork include include_once require require_once extract parse_str unserialize mail imap_open
";
const LUA_NAMES: &str = "_G _ENV package debug ffi vim getfenv setfenv rawget rawset require";
/// Calls that the small languages may make.
const FEW: &str = "
print println puts inspect IO.puts IO.inspect cat paste paste0 sum mean max min length nchar rev sort c seq rep round sqrt abs toupper
tolower sprintf format str summary head tail map filter reduce range to_string String.upcase String.downcase String.length Enum.map
Enum.sum Enum.join Enum.each Enum.to_list List.first version putStrLn printf show div mod not and or if for while function return
string typeof collect zeros ones rand data.frame matrix vector as.numeric as.character is.na library nrow ncol colnames table unique
";

fn is_in(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|own| own == name)
}

/// Returns the part of the code that is not understood, if there is one.
pub(super) fn unfollowed(language: Language, tokens: &[Token]) -> Option<String> {
    (0..tokens.len()).find_map(|at| match tokens.get(at) {
        Some(Token::Word(word)) => unfollowed_word(language, tokens, at, word),
        Some(Token::Text(text)) => unfollowed_text(language, tokens, at, text),
        _ => None,
    })
}

fn unfollowed_word(language: Language, tokens: &[Token], at: usize, word: &str) -> Option<String> {
    let called = matches!(tokens.get(at + 1), Some(Token::Sign('(')));
    let plain = word.trim_start_matches(['$', '@']);
    match language {
        Language::Python => python(tokens, at, word, called),
        Language::JavaScript => javascript(tokens, at, word, called),
        Language::Ruby => named(RUBY_NAMES, word)
            .or_else(|| member(RUBY_GUARDED, RUBY_MEMBERS, language, word, true))
            .or_else(|| symbol(tokens, at, word)),
        Language::Perl => {
            let used = before(tokens, at).is_some_and(|word| word == "use" || word == "require");
            let runs = word.starts_with("IPC::") || word.starts_with("Inline");
            (used && runs)
                .then(|| module(word))
                .or_else(|| named(PERL_NAMES, plain))
        }
        Language::Php => {
            let variable = word.starts_with('$') && called && !word.contains('.');
            variable
                .then(|| format!("a call of whatever `{word}` names"))
                .or_else(|| named(PHP_NAMES, plain))
        }
        Language::Lua => named(LUA_NAMES, word),
        Language::R if called || is_member(word) => {
            let number = word.starts_with(|c: char| c.is_ascii_digit());
            (!number && !is_in(FEW, word)).then(|| format!("the call of `{word}`"))
        }
        Language::R | Language::Awk | Language::Tcl | Language::C => None,
    }
}

/// Returns whether the word is a member of a module, which some languages call without brackets.
fn is_member(word: &str) -> bool {
    word.contains('.') && word.starts_with(|c: char| c.is_ascii_uppercase())
}

fn python(tokens: &[Token], at: usize, word: &str, called: bool) -> Option<String> {
    let root = word.split('.').next().unwrap_or(word);
    if is_imported(tokens, at) {
        let refused = is_in(PYTHON_REFUSED, root) && !is_in(PYTHON_KNOWN, root);
        return refused.then(|| module(word));
    }
    let everything = before(tokens, at).is_some_and(|word| word == "import") || word == "import";
    if everything && matches!(tokens.get(at + 1), Some(Token::Sign('*'))) {
        return Some("everything of a module without its name".to_owned());
    }
    let is_keyword = matches!(tokens.get(at + 1), Some(Token::Sign('='))) && !word.contains('.');
    if is_keyword {
        return None;
    }
    let refused = is_in(PYTHON_REFUSED, root) && !is_in(PYTHON_KNOWN, root) && word.contains('.');
    if refused {
        return Some(module(word));
    }
    named(PYTHON_NAMES, word).or_else(|| {
        member(
            PYTHON_GUARDED,
            PYTHON_MEMBERS,
            Language::Python,
            word,
            called,
        )
    })
}

/// Returns whether the word is a module behind `import` or `from`.
fn is_imported(tokens: &[Token], at: usize) -> bool {
    let mut at = at;
    loop {
        match at.checked_sub(1).and_then(|at| tokens.get(at)) {
            Some(Token::Word(word)) if word == "import" || word == "from" => return true,
            Some(Token::Word(word)) if word == "as" => at = at.saturating_sub(2),
            Some(Token::Sign(',')) => at = at.saturating_sub(2),
            Some(Token::Sign('(')) => at = at.saturating_sub(1),
            _ => return false,
        }
        if at == 0 {
            return false;
        }
    }
}

fn javascript(tokens: &[Token], at: usize, word: &str, called: bool) -> Option<String> {
    let last = word.rsplit('.').next().unwrap_or(word);
    if (last == "require" || last == "import") && called {
        let end = super::fold::call_end(tokens, at + 1);
        let by_index = matches!(tokens.get(end), Some(Token::Sign('[')));
        return by_index.then(|| "a function whose name is computed".to_owned());
    }
    let next = tokens.get(at + 1);
    let assigned = matches!(next, Some(Token::Sign('='))) && !word.contains('.');
    let declares =
        before(tokens, at).is_some_and(|word| ["const", "let", "var", "import"].contains(&word));
    let from = matches!(next, Some(Token::Word(word)) if word == "from");
    // `{ promises: fs }` and `key: value` name nothing.
    let is_key = matches!(next, Some(Token::Sign(':')));
    if assigned || declares || from || is_key {
        return None;
    }
    named(JS_NAMES, word)
        .or_else(|| member(JS_GUARDED, JS_MEMBERS, Language::JavaScript, word, called))
}

/// Returns a symbol of Ruby that names a function with consequences.
fn symbol(tokens: &[Token], at: usize, word: &str) -> Option<String> {
    let is_symbol = at.checked_sub(1).and_then(|at| tokens.get(at)) == Some(&Token::Sign(':'));
    (is_symbol && ["system", "exec", "spawn", "eval", "popen", "fork"].contains(&word))
        .then(|| format!("the name of `{word}` as a value"))
}

/// Finds one of the names, as the whole word or as one of its parts.
fn named(list: &str, word: &str) -> Option<String> {
    word.split(['.', ':'])
        .find(|part| !part.is_empty() && is_in(list, part))
        .map(|part| format!("`{part}`, through which anything can be reached"))
}

/// Finds a member of a guarded module that is neither described nor called as one that is.
fn member(
    guarded: &str,
    members: &str,
    language: Language,
    word: &str,
    called: bool,
) -> Option<String> {
    let root = word.split(['.', ':']).next().unwrap_or(word);
    if !is_in(guarded, root) {
        return None;
    }
    if root == word {
        return Some(format!("`{word}` as a value"));
    }
    let known = members.split_ascii_whitespace().any(|own| {
        word == own
            || word
                .strip_prefix(own)
                .is_some_and(|rest| rest.starts_with('.'))
    });
    if known || (called && words::call(language, word).is_some()) {
        return None;
    }
    Some(format!("`{word}`"))
}

fn module(word: &str) -> String {
    format!("the module of `{word}`")
}

fn unfollowed_text(language: Language, tokens: &[Token], at: usize, text: &str) -> Option<String> {
    let loaded = at.checked_sub(2).and_then(|at| tokens.get(at));
    let loads = matches!(loaded, Some(Token::Word(word)) if words::is_loader(word));
    let from = before(tokens, at).is_some_and(|word| word == "from" || word == "import");
    if language == Language::JavaScript && (loads || from) && is_in(JS_REFUSED, text) {
        return Some(module(text));
    }
    let runs = [
        "system",
        "exec",
        "passthru",
        "shell_exec",
        "popen",
        "proc_open",
        "assert",
        "eval",
    ];
    (language == Language::Php && runs.contains(&text))
        .then(|| format!("the name of `{text}` as a value"))
}

fn before(tokens: &[Token], at: usize) -> Option<&str> {
    match at.checked_sub(1).and_then(|at| tokens.get(at)) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}
