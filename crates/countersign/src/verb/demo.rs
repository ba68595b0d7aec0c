//! `countersign demo`: the practice exercise.

use super::{Ended, Output};
use crate::cli::DemoArgs;

pub(super) fn demo(_args: &DemoArgs, _output: Output) -> Ended {
    Ended::Failed
}
