//! The program itself, as a process: its command line, and what must never be found in anything that it writes.

mod canary;
mod command_line;
mod server;
