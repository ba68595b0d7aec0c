//! What the agent of a workload decides, without doing any of it: what a template says, what an answer of the vault holds and how long it is good for, what is
//! due next, and where a file with a secret may be written.
//!
//! Not here: the calls, the files and the signals; the program's own agent makes them. Nothing of this crate reads a file, an environment or a clock.

pub mod answer;
pub mod place;
pub mod request;
pub mod schedule;
pub mod template;

pub use answer::{Answer, AnswerError, Lifetime, Login, Renewable, Renewed};
pub use place::{Facts, FileKind, PlaceError, SafePlace, Trusted};
pub use request::{Request, RequestError, Verb};
pub use schedule::{Failure, RequestId, Schedule, Step};
pub use template::{RenderError, Template, TemplateError};
