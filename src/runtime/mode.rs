//! How the kernel is kept running.

use serde::{Deserialize, Serialize};

/// The two modes, and the choice between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Live where the probe's litmus tests passed on this device, else epoch.
    #[default]
    Auto,
    /// A bounded dispatch is in flight whenever there is work; the kernel sees slots as they are
    /// published. Outside the letter of the Vulkan memory model, so only where the probe passed.
    Live,
    /// Publish, submit one bounded dispatch, wait for it. Within the specification.
    Epoch,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Live => "live",
            Self::Epoch => "epoch",
        })
    }
}
