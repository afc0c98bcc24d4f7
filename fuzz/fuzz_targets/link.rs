//! Any bytes as a handler: an error, or a module; never a panic.
//!
//! `tools/fuzz` runs it, from the handlers in `spirv/` on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence::kernel::{Kernel, disassemble, operations_of, reflect};

fuzz_target!(|data: &[u8]| {
    let _ = operations_of(data);
    let _ = reflect(data);
    let _ = disassemble(data);
    if let Ok(kernel) = Kernel::builder().spirv("fuzzed", data).build() {
        let _ = kernel.operations()[0].to_string();
    }
});
