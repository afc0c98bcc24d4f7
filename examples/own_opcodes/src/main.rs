//! Two operations of this program's own in the resident kernel, by three ways: compiled from GLSL by build.rs, compiled
//! from GLSL while the program runs, and as SPIR-V, without a compiler.

use std::error::Error;
use std::sync::atomic::Ordering;

use ringfence::descriptor::{PackedOpDescriptor, SlotDescriptor};
use ringfence::kernel::{Kernel, LANE_OPCODES, Selection};
use ringfence::runtime::{Outcome, Runtime};

/// `kernel()`, `Collatz`, `Saxpy`: what build.rs has made of `glsl/`.
mod kernel {
    include!(concat!(env!("OUT_DIR"), "/kernel.rs"));
}
use kernel::{Collatz, Saxpy};

const NUMBERS: u32 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let built = kernel::kernel()?;
    for operation in built.operations() {
        println!("opcode {:#x}: {operation}", operation.opcode);
    }
    let while_running = Kernel::builder()
        .glsl("collatz.comp", include_str!("../glsl/collatz.comp"))
        .glsl("saxpy.comp", include_str!("../glsl/saxpy.comp"))
        .build()?;
    let spirv =
        built.handlers().fold(Kernel::builder(), |kernel, (name, code)| kernel.spirv(name, code)).build()?;

    // The same words, so that none can be faster.
    let selection = Selection { opcodes: LANE_OPCODES.to_vec(), ..Selection::default() };
    let words = |kernel: &Kernel| kernel.link(&selection).map(|linked| linked.words);
    assert!(words(&built)? == words(&while_running)? && words(&built)? == words(&spirv)?);

    for (way, kernel) in [("build.rs", built), ("while running", while_running), ("SPIR-V", spirv)] {
        // SAFETY: both handlers check what they are given, and reach memory by its handles alone.
        let runtime = unsafe { Runtime::builder().kernel(kernel) }.build()?;
        check(&runtime)?;
        println!("{way}: all answers are right");
    }
    Ok(())
}

/// Both operations against plain Rust.
fn check(runtime: &Runtime) -> Result<(), Box<dyn Error>> {
    // Submitted by name: the arguments are fields.
    let job = runtime.submit(&Collatz { n: 27, most: 200 })?;
    assert_eq!(job.wait()?.outcome, Outcome::Done(111));
    let job = runtime.submit(&Collatz { n: 27, most: 5 })?;
    assert_eq!(job.wait()?.outcome, Outcome::Fault { code: 128, detail: 5 });
    // Several in one slot of 64 bytes.
    let two = [Collatz { n: 6, most: 100 }, Collatz { n: 7, most: 100 }];
    let packed = SlotDescriptor::packed(two.map(PackedOpDescriptor::from).to_vec());
    assert_eq!(runtime.submit(&packed)?.wait()?.outcome, Outcome::Done(2));

    let xs: Vec<f32> = (0..NUMBERS).map(|i| i as f32 * 0.1).collect();
    let ys: Vec<f32> = (0..NUMBERS).map(|i| 1e6 / (i + 1) as f32).collect();
    let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<u32>>();
    let (x, y) = (runtime.table(&bits(&xs))?, runtime.table(&bits(&ys))?);
    let out = runtime.output(NUMBERS)?;
    let saxpy = Saxpy { a: -2.5, x: x.handle(), y: y.handle(), out: out.handle(), count: NUMBERS };
    assert_eq!(runtime.submit(&saxpy)?.wait()?.outcome, Outcome::Done(NUMBERS.into()));
    let words = out.words().ok_or("the host sees what slots write there")?;
    for (i, (x, y)) in xs.iter().zip(&ys).enumerate() {
        assert_eq!(f32::from_bits(words[i].load(Ordering::Relaxed)), -2.5 * x + y, "number {i}");
    }
    Ok(())
}
