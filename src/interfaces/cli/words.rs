//! Words that several parts of the command line say.

/// Where everything stands.
pub(super) const HELP: &str = "`tos --help` shows every mode and command";

/// What somebody can do where a configuration is.
pub(super) const NEXT_STEPS: &str = "there is a configuration here; three things to do next:
  tos status     where the job stands
  tos doctor     what is missing, and what to do about it
  tos run        work on the next job";

/// What somebody can do who has done nothing yet.
pub(super) const FIRST_STEPS: &str = "three things to do next:
  tos init --sample DIR    lay out a job that runs without a key, and try it there with `tos run`
  tos init                 begin a job of your own here; then `tos doctor` says what is missing
  tos plan run PLAN.yaml   run a plan, a graph of commands; it needs no configuration";

/// Returns a line of a list.
pub(super) fn row(name: &str, line: &str) -> String {
    format!("  {name:<13} {line}\n")
}
