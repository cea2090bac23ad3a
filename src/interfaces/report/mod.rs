//! What people read while and after something runs.

pub mod live;
pub mod night;
pub mod night_html;
pub mod plain;
pub mod plan;
pub mod plan_html;
pub mod plan_live;
pub mod plan_svg;
pub mod printer;

pub use printer::Printer;
