//! Settings: defaults < file < `TOS_*` environment < command line, each value with its source.
//!
//! `keys` is the one table of keys; `layers` lays the layers and checks each value, `build` makes the
//! plain structs of `settings` and judges what lies between values. Everything wrong is reported at once,
//! before anything runs. Besides `adapters` this is the only room that reads files.

mod build;
mod checks;
mod discover;
mod error;
mod extend;
mod files;
pub mod gates;
mod json;
pub mod keys;
mod layers;
mod list_shape;
pub mod notify;
mod paths;
pub mod payload;
pub mod reference;
pub mod schedules;
mod settings;
pub mod shape;
mod source;
pub mod tasks;
mod toml_file;

pub use discover::{PLACES, config_in, find_root, usable_config_in};
pub use error::{Error, Fault, Segment, json_path};
pub use extend::with_rules;
pub use layers::{Override, Overrides, env_name};
pub use settings::{
    Api, Limits, ModelSettings, Network, OutputLimits, Paths, PayloadSettings, Provider,
    SandboxLevel, SandboxSettings, Secret, Settings,
};
pub use source::{Source, Sourced, Sources};
