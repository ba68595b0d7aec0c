//! Countersign as one program: command line, configuration, and the wiring of every part.

pub mod agent;
pub mod backup;
mod classified;
pub mod cli;
pub mod config;
mod demo;
pub mod pkcs11;
pub mod run;
pub mod verb;
