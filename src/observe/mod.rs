//! A running program as seen from outside: what a runtime counts, offered to other programs.
//!
//! [`Observer`] serves snapshots from a thread of its own: over a Unix-domain socket to programs of the same user,
//! a line of JSON for each line that asks, and over HTTP as OpenMetrics text. [`processes`] finds who offers the
//! former.
//!
//! Nothing here knows of Vulkan or of jobs; snapshots come from a closure.

mod client;
mod folder;
mod http;
mod lines;
mod observer;
mod openmetrics;
mod server;
mod snapshot;
mod source;

pub use self::client::{FetchError, Process, processes};
pub use self::observer::{ObserveError, ObserveOptions, Observer};
pub use self::snapshot::{
    DEPARTED, LEVEL_NAMES, LevelSnapshot, Snapshot, TenantSnapshot, TenantState, VERSION,
};
