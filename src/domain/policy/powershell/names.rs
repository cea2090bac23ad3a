//! Names PowerShell knows: aliases, automatic variables, which parameters are switches.

use std::{collections::BTreeMap, sync::OnceLock};

/// Aliases that come with PowerShell: target, then its aliases.
const ALIASES: &str = "
remove-item ri rm rmdir del erase rd
rename-item ren rni
move-item mi mv move
copy-item ci cp copy cpi
new-item ni
mkdir md
set-item si
clear-item cli
clear-content clc
set-content sc
add-content ac
get-content gc cat type
get-item gi
get-childitem gci ls dir
set-location sl cd chdir
push-location pushd
pop-location popd
get-location gl pwd
invoke-expression iex
invoke-command icm
invoke-item ii
invoke-webrequest iwr curl wget
invoke-restmethod irm
start-process saps start
stop-process spps kill
start-job sajb
start-service sasv
stop-service spsv
foreach-object % foreach
where-object ? where
write-output echo write
tee-object tee
select-object select
sort-object sort
measure-object measure
compare-object compare diff
group-object group
select-string sls
get-command gcm
get-alias gal
set-alias sal
new-alias nal
get-help help man
get-member gm
get-process gps ps
get-service gsv
get-variable gv
set-variable sv
new-variable nv
remove-variable rv
get-itemproperty gp
set-itemproperty sp
remove-itemproperty rp
rename-itemproperty rnp
move-itemproperty mp
copy-itemproperty cpp
clear-itemproperty clp
remove-psdrive rdr
new-psdrive ndr mount
new-pssession nsn
enter-pssession etsn
remove-pssession rsn
import-module ipmo
remove-module rmo
import-csv ipcsv
export-csv epcsv
export-alias epal
import-alias ipal
invoke-wmimethod iwmi
remove-wmiobject rwmi
get-wmiobject gwmi
set-wmiinstance swmi
invoke-cimmethod icim
get-ciminstance gcim
remove-ciminstance rcim
start-sleep sleep
out-host oh
out-printer lp
format-table ft
format-list fl
format-wide fw
convert-path cvpa
resolve-path rvpa
get-history h history ghy
invoke-history r ihy
clear-history clhy
trace-command trcm
start-threadjob
get-unique gu
test-path
expand-archive
";

/// Returns the command a name stands for.
pub(super) fn command(name: &str) -> &str {
    static TABLE: OnceLock<BTreeMap<&'static str, &'static str>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let lines = ALIASES.lines().filter_map(|line| line.split_once(' '));
        let pairs = |(target, aliases): (&'static str, &'static str)| {
            aliases
                .split_ascii_whitespace()
                .map(move |alias| (alias, target))
        };
        lines.flat_map(pairs).collect()
    });
    table.get(name).copied().unwrap_or(name)
}

/// Returns the commands that fit a pattern.
pub(super) fn matching(pattern: &str) -> Option<&'static str> {
    const MORE: &str = "remove-item invoke-expression invoke-webrequest invoke-restmethod start-process remove-itemproperty clear-content clear-item stop-process restart-computer stop-computer format-volume clear-disk set-content out-file move-item rename-item invoke-command";
    MORE.split_ascii_whitespace()
        .find(|name| crate::domain::policy::shell::wild_fits(pattern, name))
}

/// Returns the value of an automatic variable.
pub(super) fn variable(name: &str) -> Option<&'static str> {
    Some(match name {
        "null" => "",
        "true" => "True",
        "false" => "False",
        "shellid" => "Microsoft.PowerShell",
        "pshome" | "env:pshome" => "C:\\Windows\\System32\\WindowsPowerShell\\v1.0",
        "env:comspec" => "C:\\Windows\\system32\\cmd.exe",
        "env:systemroot" | "env:windir" => "C:\\Windows",
        "env:systemdrive" | "env:homedrive" => "C:",
        "env:programfiles" => "C:\\Program Files",
        "env:programdata" | "env:allusersprofile" => "C:\\ProgramData",
        "env:public" => "C:\\Users\\Public",
        "env:pathext" => ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC;.CPL",
        "verbosepreference" | "debugpreference" | "informationpreference" => "SilentlyContinue",
        "erroractionpreference" | "warningpreference" | "progresspreference" => "Continue",
        "confirmpreference" => "High",
        "env:username"
        | "env:computername"
        | "env:user"
        | "env:processor_architecture"
        | "env:number_of_processors"
        | "lastexitcode"
        | "pid"
        | "psversiontable"
        | "host"
        | "error"
        | "?"
        | "matches"
        | "isLinux"
        | "islinux"
        | "iswindows"
        | "psculture"
        | "env:path"
        | "env:os" => "\u{F0001}",
        _ => return None,
    })
}

const SWITCHES: &str = "recurse force whatif confirm verbose passthru nonewline append hidden file directory wait nonewwindow asjob raw leaf parent quiet usebasicparsing noclobber asplaintext casesensitive simplematch list notmatch allmatches unique descending ascending line word character usenewenvironment loaduserprofile autosize wrap debug resolve isvalid isabsolute leafbase extension qualifier system readonly followsymlink disablekeepalive uselocalscope noelement";

/// Returns whether a shortened parameter is a switch, which takes no value.
pub(super) fn is_switch(name: &str) -> bool {
    // `-Verb` is a beginning of `-Verbose`, and matters more.
    if "verb".starts_with(name) {
        return false;
    }
    SWITCHES
        .split_ascii_whitespace()
        .any(|long| long.starts_with(name))
}
