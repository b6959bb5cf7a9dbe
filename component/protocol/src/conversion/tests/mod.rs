//! Conversion as a whole: nothing is lost, nothing changes that need not.

pub(crate) mod decode;
mod examples;
mod refusals;
mod trees;

use super::{Plan, Rewriter, Survey, Target, Unconvertible};
use alloc::vec::Vec;

/// The message for this target, read in runs of `size`.
fn convert(message: &[u8], target: Target, size: usize) -> Result<Vec<u8>, Unconvertible> {
    let plan = survey(message, target, size)?;
    let mut rewriter = Rewriter::new(plan);
    let mut out = Vec::new();
    for run in message.chunks(size) {
        out.extend(rewriter.take(run)?);
    }
    out.extend(rewriter.finish()?);
    Ok(out)
}

fn survey(message: &[u8], target: Target, size: usize) -> Result<Plan, Unconvertible> {
    let mut survey = Survey::new(target);
    for run in message.chunks(size) {
        survey.take(run)?;
    }
    survey.finish()
}
