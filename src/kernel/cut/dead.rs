//! Takes out what has neither an effect nor a use. Marked from the entry points, since values that only use
//! each other are as useless as those that nothing uses.

use std::collections::HashMap;

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{BuiltIn, Decoration, Op, StorageClass};

use super::constants::Constants;
use super::effects::{is_volatile, removable};
use super::flow::{Function, Module, ids};

/// What is used, by id.
struct Marks<'a> {
    constants: &'a Constants,
    /// GLSL.std.450, or 0.
    glsl: u32,
    live: Vec<bool>,
    defined: Vec<Option<&'a Instruction>>,
    /// The functions, by id.
    functions: HashMap<u32, &'a Function>,
    /// Decorations, which may name ids, by target.
    decorations: HashMap<u32, Vec<&'a Instruction>>,
    /// Stores of functions that are called to variables of an invocation's own, by variable: they have an
    /// effect if anything else uses that.
    stores: HashMap<u32, Vec<&'a Instruction>>,
    next: Vec<u32>,
}

/// Takes out functions, instructions, declarations, names and decorations; of an `open` module no buffers.
pub(super) fn sweep(module: &mut Module, constants: &Constants, open: bool) {
    let Marks { live, glsl, .. } = mark(module, constants, open);
    let is_live = |id: u32| live.get(id as usize).copied().unwrap_or_default();
    let kept: Vec<Vec<Vec<bool>>> = {
        let defined = definitions(module, live.len());
        let stays = |step: &Instruction| match (step.result_id, dead_store(step, &defined)) {
            (_, Some(variable)) => is_live(variable),
            (Some(id), None) => is_live(id) || !removable(step, constants, glsl),
            (None, None) => true,
        };
        let kept = |function: &Function| {
            function.blocks.iter().map(|block| block.body.iter().map(stays).collect()).collect()
        };
        module.functions.iter().map(kept).collect()
    };
    for (function, kept) in module.functions.iter_mut().zip(kept) {
        for (block, kept) in function.blocks.iter_mut().zip(kept) {
            let mut kept = kept.into_iter();
            block.body.retain(|_| kept.next().unwrap_or(true));
        }
    }
    module.functions.retain(|function| is_live(function_id(function)));
    for entry in module.outside.iter_mut().filter(|entry| entry.class.opcode == Op::EntryPoint) {
        let mut place = 0;
        entry.operands.retain(|operand| {
            place += 1;
            place <= 2 || operand.id_ref_any().is_none_or(is_live)
        });
    }
    module.outside.retain(|declaration| match (declaration.class.opcode, declaration.result_id) {
        (op, _) if names(op) => ids(declaration).next().is_none_or(is_live),
        (op, Some(id)) => is_live(id) || !declares(op),
        _ => true,
    });
}

fn mark<'a>(module: &'a Module, constants: &'a Constants, open: bool) -> Marks<'a> {
    let size = constants.bound() as usize;
    let mut marks = Marks {
        constants,
        glsl: 0,
        live: vec![false; size],
        defined: definitions(module, size),
        functions: module.functions.iter().map(|function| (function_id(function), function)).collect(),
        decorations: HashMap::new(),
        stores: HashMap::new(),
        next: Vec::new(),
    };
    for declaration in &module.outside {
        match (declaration.class.opcode, &declaration.operands[..], declaration.result_id) {
            (Op::ExtInstImport, [Operand::LiteralString(name)], Some(id)) if name == "GLSL.std.450" => {
                marks.glsl = id;
            }
            // The variables are no use by themselves.
            (Op::EntryPoint, [_, Operand::IdRef(function), ..], _) => marks.mark(*function),
            // Sets the size of a workgroup, whether the shader asks for it or not.
            (Op::Decorate, [Operand::IdRef(id), Operand::Decoration(Decoration::BuiltIn), built_in], _) => {
                marks.decorations.entry(*id).or_default().push(declaration);
                if *built_in == Operand::BuiltIn(BuiltIn::WorkgroupSize) {
                    marks.mark(*id);
                }
            }
            (op, [Operand::IdRef(id), rest @ ..], None) if names(op) => {
                marks.decorations.entry(*id).or_default().push(declaration);
                if open && rest.first() == Some(&Operand::Decoration(Decoration::Binding)) {
                    marks.mark(*id);
                }
            }
            (op, _, Some(_)) if declares(op) => {}
            (_, _, id) => {
                marks.mark_operands(declaration);
                id.into_iter().for_each(|id| marks.mark(id));
            }
        }
    }
    marks.finish();
    marks
}

impl<'a> Marks<'a> {
    fn mark(&mut self, id: u32) {
        if let Some(live @ false) = self.live.get_mut(id as usize) {
            *live = true;
            self.next.push(id);
        }
    }

    fn is_live(&self, id: u32) -> bool {
        self.live.get(id as usize).copied().unwrap_or_default()
    }

    fn mark_operands(&mut self, instruction: &'a Instruction) {
        for id in instruction.result_type.into_iter().chain(ids(instruction)) {
            self.mark(id);
        }
    }

    fn finish(&mut self) {
        while let Some(id) = self.next.pop() {
            if let Some(definition) = self.defined.get(id as usize).copied().flatten() {
                self.mark_operands(definition);
            }
            for store in self.stores.remove(&id).unwrap_or_default() {
                self.mark_operands(store);
            }
            for decoration in self.decorations.remove(&id).unwrap_or_default() {
                self.mark_operands(decoration);
            }
            if let Some(function) = self.functions.remove(&id) {
                self.mark_effects(function);
            }
        }
    }

    /// Marks what has an effect when the function is called.
    fn mark_effects(&mut self, function: &'a Function) {
        function.head.iter().for_each(|instruction| self.mark_operands(instruction));
        for block in &function.blocks {
            for step in &block.body {
                match dead_store(step, &self.defined) {
                    Some(variable) if !self.is_live(variable) => {
                        self.stores.entry(variable).or_default().push(step);
                    }
                    None if removable(step, self.constants, self.glsl) => {}
                    _ => {
                        self.mark_operands(step);
                        step.result_id.into_iter().for_each(|id| self.mark(id));
                    }
                }
            }
            block.merge.iter().chain([&block.end]).for_each(|instruction| self.mark_operands(instruction));
        }
    }
}

fn function_id(function: &Function) -> u32 {
    function.head.first().and_then(|first| first.result_id).unwrap_or_default()
}

fn definitions(module: &Module, size: usize) -> Vec<Option<&Instruction>> {
    let mut defined = vec![None; size];
    let inside = module.functions.iter().flat_map(|function| {
        function.head.iter().chain(function.blocks.iter().flat_map(|block| &block.body))
    });
    for instruction in module.outside.iter().chain(inside) {
        if let Some(place) = instruction.result_id.and_then(|id| defined.get_mut(id as usize)) {
            *place = Some(instruction);
        }
    }
    defined
}

/// The variable of the invocation's own that an instruction does nothing but store to.
fn dead_store(step: &Instruction, defined: &[Option<&Instruction>]) -> Option<u32> {
    if step.class.opcode != Op::Store || is_volatile(step) {
        return None;
    }
    let mut pointer = ids(step).next()?;
    // A pointer has few chains behind it; one that leads to itself is malformed.
    for _ in 0..64 {
        let definition = defined.get(pointer as usize).copied().flatten()?;
        match (definition.class.opcode, &definition.operands[..]) {
            (Op::Variable, [Operand::StorageClass(StorageClass::Private | StorageClass::Function), ..]) => {
                return Some(pointer);
            }
            (Op::AccessChain | Op::InBoundsAccessChain | Op::CopyObject, [Operand::IdRef(base), ..]) => {
                pointer = *base;
            }
            _ => return None,
        }
    }
    None
}

/// Whether an instruction says something of its first operand, which is of no use by itself.
fn names(op: Op) -> bool {
    matches!(
        op,
        Op::Name
            | Op::MemberName
            | Op::Decorate
            | Op::MemberDecorate
            | Op::DecorateId
            | Op::DecorateString
            | Op::MemberDecorateString
            | Op::TypeForwardPointer
    )
}

/// Whether an instruction outside functions only declares its result.
fn declares(op: Op) -> bool {
    (Op::TypeVoid as u32..=Op::TypeFunction as u32).contains(&(op as u32))
        || (Op::ConstantTrue as u32..=Op::SpecConstantOp as u32).contains(&(op as u32))
        || matches!(op, Op::Undef | Op::Variable | Op::String | Op::ExtInstImport)
}
