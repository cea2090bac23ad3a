//! Settings: defaults < file < `TOS_*` environment < command line, each value with its source.
