//! Language models: the providers behind the `Model` port.
