//! SHUTDOWN: drain, then `control[SHUTDOWN] = 1`. Twin of `glsl/op/shutdown.glsl`.

use super::{Machine, Outcome};
use crate::protocol::SlotArgs;

/// Result: 0. The word follows when everything published before has ended, which the machine knows.
/// To its batch this slot counts as ended at once, since the batch's fence is among those that it
/// waits for. A second SHUTDOWN changes nothing more.
pub fn execute(m: &mut Machine, _: &SlotArgs) -> Outcome {
    m.draining = true;
    Ok(0)
}
