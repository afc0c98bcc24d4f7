//! Kernels that were cut and linked before, kept on disk: a program that starts again has its kernel in a tenth of the time.

use super::builder::Kernel;
use super::link::{LinkError, Linked};
use super::selection::Selection;
use crate::disk::{cache_dir, get, keep_newest, name_of, put};

/// A hash of this folder's sources: what another version of the linker made counts for nothing.
const LINKER: &str = env!("RINGFENCE_LINKER");

/// What the names of the files end in, and how many there are at most: a program has one, as a rule.
const ENDING: &str = "kernel";
const MOST: usize = 64;

impl Kernel {
    /// What [`link`](Self::link) makes, or made before of the same in this user's name. Whoever can write to the user's
    /// cache folder can change what runs; the same is true of the driver's cache.
    pub(crate) fn link_or_kept(&self, selection: &Selection) -> Result<Linked, LinkError> {
        let base = self.base(selection)?;
        let parts: Vec<u8> =
            base.parts.0.iter().flat_map(|(spec, value)| [*spec as u8, *value as u8]).collect();
        let mut content = vec![LINKER.as_bytes(), &parts, base.kernel];
        content.extend(base.services);
        let opcodes: Vec<_> = self.given().iter().map(|operation| operation.opcode.to_le_bytes()).collect();
        for ((name, code), opcode) in self.handlers().zip(&opcodes) {
            content.extend([name.as_bytes(), opcode, code]);
        }
        let Some(folder) = cache_dir() else { return self.link(selection) };
        let path = folder.join(name_of(&content)).with_extension(ENDING);
        // Its loops come first.
        if let Some((loops, words)) = get(&path).as_deref().and_then(<[u8]>::split_first_chunk::<4>) {
            return Ok(Linked {
                words: words.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect(),
                loops: u32::from_le_bytes(*loops),
                operations: self.operations().to_vec(),
                parts: base.parts,
            });
        }
        let linked = self.link(selection)?;
        let words = [linked.loops].into_iter().chain(linked.words.iter().copied());
        put(&path, &words.flat_map(u32::to_le_bytes).collect::<Vec<_>>());
        keep_newest(&folder, ENDING, MOST);
        Ok(linked)
    }
}
