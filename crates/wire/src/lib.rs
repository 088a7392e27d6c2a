//! The formats of the outside, to and from the model.

pub mod exposition;
