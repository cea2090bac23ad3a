# What one does here every day. `just` lists it; https://just.systems has the program, and every line works in a shell as well.

# List the recipes
default:
    @"{{just_executable()}}" --list

# What is fast enough for every save: format, lints
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# Every test, or those with a name: `just test`, `just test --test plan`, `just test --lib domain::policy`
test *ARGS:
    cargo test {{ARGS}}

# Everything that has to pass, as it is done for every change to main
ci:
    bash .ci/run

# Write the files of snapshots anew, not those inside a test; read the difference before you commit it
snapshots *ARGS:
    INSTA_UPDATE=always cargo test {{ARGS}}

# One benchmark, or all: `just bench policy`
bench *NAME:
    cargo bench {{ if NAME == "" { "" } else { "--bench " + NAME } }}

# The documentation of the code, with every warning an error
docs:
    RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

# Licences, sources and known faults of dependencies (fetches the list of faults from GitHub; `.ci/run` does without)
deny:
    cargo deny check

# One hour of random input for a target (needs `cargo install cargo-fuzz` and a nightly compiler): `just fuzz policy`
fuzz TARGET SECONDS="3600":
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time={{SECONDS}}

# What tests do not notice when a decision is changed on purpose (needs `cargo install --locked cargo-mutants`); without an area: job, plan/schedule, gates and policy/decide
mutants *AREAS:
    .ci/mutants {{AREAS}}
