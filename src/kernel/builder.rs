//! Operations of users, on their way into the kernel.

use std::sync::Arc;

use super::family::services;
use super::link::{Base, Handler, LinkError, Linked, Operation, link, linked_operations, operation};
use super::parse::parse;
use super::{Module, module};

/// A handler as it was given.
#[derive(Clone, Debug)]
struct Source {
    name: String,
    opcode: Option<u32>,
    code: Vec<u8>,
}

impl Source {
    fn as_handler(&self) -> Handler<'_> {
        Handler { name: &self.name, opcode: self.opcode, code: &self.code }
    }
}

/// Operations of users that have been checked: what a runtime links into its kernel, see
/// [`RuntimeBuilder::kernel`](crate::runtime::RuntimeBuilder::kernel). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kernel {
    sources: Arc<[Source]>,
    operations: Arc<[Operation]>,
}

impl Kernel {
    /// No operations yet.
    pub fn builder() -> KernelBuilder {
        KernelBuilder::default()
    }

    /// What it adds to the kernel, sorted by opcode.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The embedded module `place` with the operations linked into it.
    ///
    /// # Errors
    /// Where the module has no place for handlers: those of the modules that are named `handlers` have.
    pub fn link(&self, place: &Module) -> Result<Linked, LinkError> {
        let [step, print] = services(place).ok_or_else(|| LinkError {
            handler: "kernel".into(),
            problem: format!("the module '{}' has no place for handlers; 'handlers' has", place.name),
        })?;
        let base = Base { kernel: place.bytes(), services: [step.bytes(), print.bytes()] };
        let handlers: Vec<_> = self.sources.iter().map(Source::as_handler).collect();
        link(&base, &handlers)
    }
}

/// The operations that were linked into a module: what a [`Linked`] says of itself in its words.
///
/// # Errors
/// What is wrong with a malformed module. No input panics.
pub fn operations_of(code: &[u8]) -> Result<Vec<Operation>, String> {
    Ok(linked_operations(&parse(code)?.instructions))
}

/// Collects the operations of a [`Kernel`].
#[derive(Clone, Debug, Default)]
pub struct KernelBuilder {
    sources: Vec<Source>,
}

impl KernelBuilder {
    /// Adds a handler in SPIR-V, little-endian: a compute shader that includes `glsl/handler.glsl`, which also says what
    /// a handler may do. `name` is what errors call it.
    pub fn spirv(mut self, name: impl Into<String>, code: impl Into<Vec<u8>>) -> Self {
        self.sources.push(Source { name: name.into(), opcode: None, code: code.into() });
        self
    }

    /// Gives the handler that was added last another opcode than it declares: one of a user's, 8 to 0xFFEF or 0x1_0000
    /// to 0x7FFF_FFFF. Those up to 255 can stand in packed slots, too.
    pub fn opcode(mut self, opcode: u32) -> Self {
        if let Some(last) = self.sources.last_mut() {
            last.opcode = Some(opcode);
        }
        self
    }

    /// Checks them, and that they can be linked.
    ///
    /// # Errors
    /// Names the first handler that cannot, what is wrong with it, and how to mend it. No input panics.
    pub fn build(self) -> Result<Kernel, LinkError> {
        let mut operations = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            let told = operation(&source.as_handler());
            operations.push(told.map_err(|problem| LinkError { handler: source.name.clone(), problem })?);
        }
        operations.sort_by_key(|operation| operation.opcode);
        let kernel = Kernel { sources: self.sources.into(), operations: operations.into() };
        if let Some(place) = module("handlers") {
            kernel.link(place)?;
        }
        Ok(kernel)
    }
}
