//! Operations of users, on their way into the kernel.

use std::fmt;
use std::sync::Arc;

use super::link::{Base, Handler, LinkError, Linked, Operation, link, linked_operations, operation};
use super::parse::parse;
use super::selection::Selection;

/// A handler in SPIR-V.
#[derive(Clone)]
struct Source {
    name: String,
    opcode: Option<u32>,
    code: Vec<u8>,
}

/// A handler as it was given.
#[derive(Clone, Debug)]
enum Given {
    Spirv(Vec<u8>),
    /// And where its own includes are.
    #[cfg(feature = "shaderc")]
    Glsl(String, Option<std::path::PathBuf>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.name, self.code.len())
    }
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
    /// Of each source.
    given: Arc<[Operation]>,
    /// The same, sorted by opcode.
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

    /// Each handler in SPIR-V, by the name that it was added with, in the order in which they were.
    pub fn handlers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.sources.iter().map(|source| (&source.name[..], &source.code[..]))
    }

    /// Whether slots of some may publish others.
    pub(crate) fn publishes(&self) -> bool {
        self.operations.iter().any(|operation| operation.publishes)
    }

    /// What each of them is.
    pub(crate) fn given(&self) -> &[Operation] {
        &self.given
    }

    /// The kernel cut to what is selected, with the operations linked into it.
    ///
    /// # Errors
    /// As of [`KernelBuilder::build`].
    pub fn link(&self, selection: &Selection) -> Result<Linked, LinkError> {
        let handlers: Vec<_> = self.sources.iter().map(Source::as_handler).collect();
        link(self.base(selection)?, &handlers)
    }

    /// What they are linked into.
    pub(super) fn base(&self, selection: &Selection) -> Result<Base<'static>, LinkError> {
        let (kernel, services) = selection.modules().ok_or_else(|| LinkError {
            handler: "kernel".into(),
            problem: "is not embedded; the build left spirv/ out".into(),
        })?;
        let parts = selection.parts(&self.operations);
        Ok(Base { kernel: kernel.bytes(), services: services.map(|service| service.bytes()), parts })
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
    given: Vec<(String, Option<u32>, Given)>,
}

impl KernelBuilder {
    /// Adds a handler in SPIR-V, little-endian: a compute shader that includes `glsl/handler.glsl`, which also says what
    /// a handler may do. `name` is what errors call it.
    pub fn spirv(mut self, name: impl Into<String>, code: impl Into<Vec<u8>>) -> Self {
        self.given.push((name.into(), None, Given::Spirv(code.into())));
        self
    }

    /// Adds a handler in GLSL, which is compiled by [`build`](Self::build). It includes `handler.glsl` and the files that
    /// this one includes, and no others. `name` is what messages call it.
    #[cfg(feature = "shaderc")]
    pub fn glsl(mut self, name: impl Into<String>, source: impl Into<String>) -> Self {
        self.given.push((name.into(), None, Given::Glsl(source.into(), None)));
        self
    }

    /// The same from a file, beside which its own includes are looked up as well.
    ///
    /// # Errors
    /// When the file cannot be read.
    #[cfg(feature = "shaderc")]
    pub fn glsl_file(mut self, file: impl AsRef<std::path::Path>) -> Result<Self, LinkError> {
        let file = file.as_ref();
        let name = file.display().to_string();
        let source = std::fs::read_to_string(file)
            .map_err(|e| LinkError { handler: name.clone(), problem: format!("cannot be read: {e}") })?;
        let folder = file.parent().map(std::path::Path::to_path_buf);
        self.given.push((name, None, Given::Glsl(source, folder)));
        Ok(self)
    }

    /// Gives the handler that was added last another opcode than it declares: one of a user's, 8 to 0xFFEF or 0x1_0000
    /// to 0x7FFF_FFFF. Those up to 255 can stand in packed slots, too.
    pub fn opcode(mut self, opcode: u32) -> Self {
        if let Some((_, last, _)) = self.given.last_mut() {
            *last = Some(opcode);
        }
        self
    }

    /// Checks them, and that they can be linked.
    ///
    /// # Errors
    /// Names the first handler that cannot, what is wrong with it, and how to mend it. No input panics.
    pub fn build(self) -> Result<Kernel, LinkError> {
        let mut operations = Vec::with_capacity(self.given.len());
        let mut sources = Vec::with_capacity(self.given.len());
        for (name, opcode, given) in self.given {
            let named = |problem| LinkError { handler: name.clone(), problem };
            // Without the compiler there is but one kind.
            #[cfg_attr(not(feature = "shaderc"), allow(clippy::infallible_destructuring_match))]
            let code = match given {
                Given::Spirv(code) => code,
                #[cfg(feature = "shaderc")]
                Given::Glsl(source, folder) => {
                    super::glsl::compile(&name, &source, folder.as_deref()).map_err(named)?
                }
            };
            operations.push(operation(&Handler { name: &name, opcode, code: &code }).map_err(named)?);
            sources.push(Source { name, opcode, code });
        }
        let given = operations.clone().into();
        operations.sort_by_key(|operation| operation.opcode);
        let kernel = Kernel { sources: sources.into(), given, operations: operations.into() };
        if !kernel.sources.is_empty() {
            kernel.link(&Selection::default())?;
        }
        Ok(kernel)
    }
}
