//! A readback: the kernel's buffers as the published protocol shows them.
//!
//! On the live path nobody writes CLAIMED or DONE into slots, which would cost a quarter of the
//! throughput (DESIGN fact 22). The host knows which slots are on their way, and fills the rest in.

use std::sync::atomic::Ordering;

use super::error::RuntimeError;
use super::shared::{Shared, lock};
use super::transfer::download;
use crate::io::queue::IoQueue;
use crate::protocol::abi::io::IO_SLOT_COUNT;
use crate::protocol::abi::slot::{
    SLOT_WORDS, STATUS_DONE, STATUS_PUBLISHED, STATUS_REQUEUE, STATUS_WAIT_IO, STATUS_WORD, STATUS_YIELD,
};
use crate::readback::Readback;

impl Shared {
    /// The words of a tenant's debug log, as they are now.
    pub fn debug_log(&self, tenant: u32) -> Vec<u32> {
        let words = self.layout.log_words() as usize;
        let all = self.buffers.log_words().iter();
        all.skip(words * tenant as usize).take(words).map(|w| w.load(Ordering::Acquire)).collect()
    }

    /// Takes all records out of a tenant's debug log. Only while no dispatch is in flight.
    pub fn clear_debug_log(&self, tenant: u32) {
        let words = self.layout.log_words() as usize;
        let all = self.buffers.log_words().iter().skip(words * tenant as usize).take(words);
        all.for_each(|word| word.store(0, Ordering::Release));
    }

    /// All buffers. Only while no dispatch is in flight.
    pub fn take_readback(&self) -> Result<Readback, RuntimeError> {
        let shape = |e: &dyn std::fmt::Display| RuntimeError::Host {
            what: "the device's buffers make no readback",
            error: e.to_string(),
        };
        let io_queue = IoQueue::new(IO_SLOT_COUNT).map_err(|e| shape(&e))?;
        let outputs = vec![
            bytes(&download(&self.gpu, &self.buffers.control)?),
            bytes(&self.ring_words()?),
            bytes(&self.debug_log(0)),
            io_queue.as_bytes().to_vec(),
        ];
        Readback::from_outputs(outputs, self.layout.host_slots).map_err(|e| shape(&e))
    }

    /// The slab with its status words brought up to date.
    fn ring_words(&self) -> Result<Vec<u32>, RuntimeError> {
        // Jobs lose their slots under the first lock and get them under the second; in this order, since
        // a ring's closure, which runs under the first, may submit.
        let _reaper = lock(&self.reaper);
        let _submission = self.submission();
        let mut words = download(&self.gpu, self.buffers.slots())?;
        words.truncate((self.layout.host_slots * SLOT_WORDS) as usize);
        for (slot, owner) in words.chunks_exact_mut(SLOT_WORDS as usize).zip(&self.owners) {
            let job = owner.job.take();
            let on_its_way = job.is_some() || owner.ring.load(Ordering::Acquire) != 0;
            owner.job.store(job);
            let status = &mut slot[STATUS_WORD as usize];
            // The device leaves behind what it wrote into slots that waited, gave way or were passed over, and ended.
            let left = matches!(*status, STATUS_PUBLISHED | STATUS_WAIT_IO | STATUS_YIELD | STATUS_REQUEUE);
            if left && !on_its_way {
                *status = STATUS_DONE;
            }
        }
        Ok(words)
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
