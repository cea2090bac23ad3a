//! Settings: defaults < file < `TOS_*` environment < command line, each value with its source.
//!
//! `keys` is the one table of keys; `layers` lays the layers and checks each value, `build` makes the
//! plain structs of `settings` and judges what lies between values. Everything wrong is reported at once,
//! before anything runs. Besides `adapters` this is the only module that reads files.

mod add_rules;
pub mod agent_hooks;
pub mod agent_trust;
mod discover;
mod done_checks;
mod error;
mod files;
pub mod gates;
pub mod guard;
mod json;
pub mod keys;
mod layers;
mod list_shape;
mod load;
pub mod notify;
mod paths;
pub mod payload;
pub mod reference;
pub mod schedules;
pub mod service;
pub mod service_models;
mod settings;
pub mod settings_dialect;
mod settings_insertion;
mod settings_reader;
mod source;
pub mod task_list;
mod toml_file;
pub mod value_error;
pub mod value_shape;

pub use add_rules::with_rules;
pub use discover::{CONFIG_PATHS, config_in, find_root, usable_config_in};
pub use error::{ConfigFault, Error, PathSegment, json_path};
pub use layers::{FlagOverride, FlagOverrides, env_name};
pub use settings::{
    CommandLimits, JobInputSettings, ModelSettings, Network, OutputLimits, Paths, SandboxLevel,
    SandboxSettings, Settings,
};
pub use source::{EffectiveValues, SourcedValue, ValueSource};
