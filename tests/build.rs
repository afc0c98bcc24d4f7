//! The build script's checks, each shown to fail on a copy of the tree with that fault in it.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ringfence::{kernel, protocol::abi};

#[path = "../src/kernel/build/mod.rs"]
#[allow(dead_code, reason = "the build script uses the rest")]
mod shaders;

use shaders::{Result, Table, abi_glsl, contract, lock, manifest, reflect};

/// A private copy of `glsl/` and `spirv/`.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let tree =
            Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("build-{name}-{}", std::process::id())));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["glsl", "spirv"] {
            for file in lock::files(&root.join(folder)).unwrap() {
                let copy = tree.0.join(file.strip_prefix(root).unwrap());
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                fs::copy(file, copy).unwrap();
            }
        }
        tree
    }

    /// What `build.rs` checks before it embeds, in its order.
    fn build(&self, tables: &[Table]) -> Result<()> {
        let (glsl, spirv) = (self.0.join("glsl"), self.0.join("spirv"));
        abi_glsl::check(&glsl, tables)?;
        let entries = manifest::parse(&shaders::read_text(&glsl.join("modules"))?)?;
        for module in lock::read_locked(&glsl, &spirv, &entries)? {
            contract::check(&module.name, &reflect::reflect(&module.code)?, tables)?;
        }
        Ok(())
    }

    fn edit(&self, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let path = self.0.join(file);
        fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn append(text: &'static str) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |mut bytes| {
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }
}

fn remove(line_start: &'static str) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with(line_start)).collect();
        (kept.join("\n") + "\n").into_bytes()
    }
}

type Fault = fn(&Tree);

/// Each fault, and what the message must contain: what is wrong, and what to do.
const FAULTS: &[(&str, Fault, &[&str])] = &[
    (
        "edited-glsl",
        |t| t.edit("glsl/modules", append("# a comment\n")),
        &["--features shaderc", "tools/spirv"],
    ),
    (
        "new-glsl",
        |t| fs::write(t.0.join("glsl/new.glsl"), "").unwrap(),
        &["--features shaderc", "tools/spirv"],
    ),
    (
        "edited-abi",
        |t| t.edit("glsl/abi.glsl", append("// more\n")),
        &["abi.glsl line", "// more", "tools/spirv"],
    ),
    ("flipped-bit", |t| t.edit("spirv/kernel.spv", flip), &["kernel.spv", "damaged", "tools/spirv"]),
    ("cut-module", |t| t.edit("spirv/kernel.spv", |mut b| (b.pop(), b).1), &["kernel.spv", "damaged"]),
    ("no-module", |t| fs::remove_file(t.0.join("spirv/kernel.spv")).unwrap(), &["kernel.spv", "tools/spirv"]),
    ("no-lock", |t| fs::remove_file(t.0.join("spirv/lock")).unwrap(), &["spirv/lock"]),
    ("no-hash", |t| t.edit("spirv/lock", remove("glsl ")), &["no 'glsl'", "tools/spirv"]),
    ("short-lock", |t| t.edit("spirv/lock", remove("module kernel")), &["different modules", "tools/spirv"]),
    ("bad-lock", |t| t.edit("spirv/lock", append("nonsense\n")), &["malformed", "tools/spirv"]),
    ("old-compiler", |t| t.edit("spirv/lock", old_compiler), &["shaderc 0.1.0", "tools/spirv"]),
];

fn flip(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

fn old_compiler(bytes: Vec<u8>) -> Vec<u8> {
    String::from_utf8(bytes).unwrap().replace(lock::COMPILER, "shaderc 0.1.0").into_bytes()
}

#[test]
fn every_fault_fails_the_build_and_says_what_to_do() {
    for (name, fault, expected) in FAULTS {
        let tree = Tree::new(name);
        tree.build(abi::TABLES).unwrap_or_else(|e| panic!("{name}: the unchanged copy fails: {e}"));
        fault(&tree);
        let message = tree.build(abi::TABLES).expect_err(name);
        for phrase in *expected {
            assert!(message.contains(phrase), "{name}: no '{phrase}' in: {message}");
        }
    }
}

#[test]
fn every_changed_constant_fails_the_build() {
    let tree = Tree::new("constants");
    for (t, (_, rows)) in abi::TABLES.iter().enumerate() {
        for r in 0..rows.len() {
            let mut changed = rows.to_vec();
            changed[r].1 ^= 1;
            let mut tables = abi::TABLES.to_vec();
            tables[t].1 = &changed;
            let message = tree.build(&tables).expect_err(rows[r].0);
            assert!(message.contains(rows[r].0) && message.contains("tools/spirv"), "{message}");
        }
    }
}

#[test]
fn line_ends_make_no_difference() {
    let tree = Tree::new("crlf");
    for file in lock::files(&tree.0.join("glsl")).unwrap() {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace('\n', "\r\n")).unwrap();
    }
    tree.build(abi::TABLES).unwrap();
}

#[test]
fn the_manifest_is_parsed_strictly() {
    let entries = manifest::parse("# comment\n\n b  x/y.comp  A B=2 # tail\na z.comp\n").unwrap();
    let names: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.source.as_str())).collect();
    assert_eq!(names, [("a", "z.comp"), ("b", "x/y.comp")]);
    assert_eq!(entries[1].defines, [("A".into(), None), ("B".into(), Some("2".into()))]);
    for (text, phrase) in [
        ("core", "names no source file"),
        ("a x.comp\na y.comp", "line 2: module 'a' is listed twice"),
        ("Core x.comp", "no module name"),
        ("../a x.comp", "no module name"),
        ("a ../x.comp", "inside glsl/"),
        ("a /x.comp", "inside glsl/"),
        ("a x.comp -DA", "no definition"),
        ("a x.comp =1", "no definition"),
    ] {
        let message = manifest::parse(text).expect_err(text);
        assert!(message.contains(phrase), "{text}: {message}");
    }
}

#[test]
fn the_contract_names_what_the_host_does_not_provide() {
    use reflect::{Binding, Reflection};
    const TABLES: &[Table] = &[
        ("binding", &[("BIND_A", 0), ("BINDING_COUNT", 1)]),
        ("spec", &[("SPEC_SUBGROUP_SIZE", 3), ("SPEC_B", 4)]),
    ];
    type Change = fn(&mut Reflection);
    // A change to a module that keeps the contract, the message that it gets, whether a probe may do it.
    let cases: &[(Change, &str, bool)] = &[
        (|_| {}, "", true),
        (|r| r.bindings = [bound(0, 1, true)].into(), "set 0, binding 1", true),
        (|r| r.bindings = [bound(1, 0, true)].into(), "set 1, binding 0", true),
        (|r| r.bindings = [bound(0, 0, false)].into(), "something else than a storage buffer", true),
        (|r| r.spec_ids = [5].into(), "constant with id 5", true),
        (|r| r.local_size_spec[0] = None, "workgroup size", true),
        (|r| r.local_size_spec[0] = Some(4), "workgroup size", true),
        (|r| r.local_size_spec[1] = Some(3), "workgroup size", true),
        (|r| r.local_size[2] = 2, "workgroup size", true),
        (|r| r.capabilities = ["Float64".into()].into(), "capability Float64", false),
        (|r| r.push_constant_bytes = 132, "132 bytes of push constants", false),
    ];
    fn bound(set: u32, binding: u32, storage_buffer: bool) -> Binding {
        Binding { set, binding, storage_buffer }
    }
    for (change, phrase, probe_may) in cases {
        let mut reflection = Reflection {
            bindings: [bound(0, 0, true)].into(),
            spec_ids: [3, 4].into(),
            local_size: [32, 1, 1],
            local_size_spec: [Some(3), None, None],
            push_constant_bytes: 128,
            ..Default::default()
        };
        change(&mut reflection);
        match contract::check("core", &reflection, TABLES) {
            Ok(()) => assert_eq!(*phrase, ""),
            Err(message) => assert!(!phrase.is_empty() && message.contains(phrase), "{phrase}: {message}"),
        }
        assert_eq!(contract::check("probe_x", &reflection, TABLES).is_ok(), *probe_may, "{phrase}");
    }
}

#[test]
fn the_embedded_modules_are_what_the_files_reflect() {
    for module in kernel::modules() {
        let found = reflect::reflect(module.bytes()).unwrap();
        assert_eq!(module.loops, found.loops, "{}", module.name);
        assert_eq!(module.local_size, found.local_size, "{}", module.name);
        assert_eq!(module.local_size_spec, found.local_size_spec, "{}", module.name);
        assert_eq!(module.bindings.len(), found.bindings.len(), "{}", module.name);
        assert!(module.spec_ids.iter().eq(&found.spec_ids), "{}", module.name);
        assert!(module.capabilities.iter().eq(&found.capabilities), "{}", module.name);
        assert_eq!(module.push_constant_bytes, found.push_constant_bytes, "{}", module.name);
    }
}

/// A module that has one of everything that is reflected, put together by hand.
fn assembled() -> Vec<u8> {
    use rspirv::{binary::Assemble, dr::Builder, dr::Operand, spirv};
    use spirv::{
        AddressingModel, Capability, Decoration, ExecutionModel, FunctionControl, MemoryModel, StorageClass,
    };
    let mut b = Builder::new();
    b.set_version(1, 5);
    b.capability(Capability::Shader);
    b.capability(Capability::VulkanMemoryModel);
    b.memory_model(AddressingModel::Logical, MemoryModel::Vulkan);
    let (void, uint, boolean) = (b.type_void(), b.type_int(32, 0), b.type_bool());
    let vector = b.type_vector(uint, 2);
    let three = b.constant_bit32(uint, 3);
    let array = b.type_array(uint, three);
    b.decorate(array, Decoration::ArrayStride, [Operand::LiteralBit32(16)]);
    // uint at 0, uvec2 at 8, uint[3] of stride 16 at 16: 64 bytes.
    let block = b.type_struct([uint, vector, array]);
    for (member, offset) in [(0, 0), (1, 8), (2, 16)] {
        b.member_decorate(block, member, Decoration::Offset, [Operand::LiteralBit32(offset)]);
    }
    for (class, binding) in [(StorageClass::PushConstant, None), (StorageClass::StorageBuffer, Some((2, 7)))]
    {
        let pointer = b.type_pointer(None, class, block);
        let variable = b.variable(pointer, None, class, None);
        if let Some((set, binding)) = binding {
            b.decorate(variable, Decoration::DescriptorSet, [Operand::LiteralBit32(set)]);
            b.decorate(variable, Decoration::Binding, [Operand::LiteralBit32(binding)]);
        }
    }
    let signature = b.type_function(void, []);
    let yes = b.constant_true(boolean);
    let size = b.spec_constant_bit32(uint, 32);
    b.decorate(size, Decoration::SpecId, [Operand::LiteralBit32(5)]);
    let main = b.begin_function(void, None, FunctionControl::NONE, signature).unwrap();
    b.entry_point(ExecutionModel::GLCompute, main, "main", []);
    b.execution_mode_id(main, spirv::ExecutionMode::LocalSizeId, [size, three, three]);
    b.begin_block(None).unwrap();
    for _ in 0..2 {
        let (header, body, end) = (b.id(), b.id(), b.id());
        b.branch(header).unwrap();
        b.begin_block(Some(header)).unwrap();
        b.loop_merge(end, body, spirv::LoopControl::NONE, []).unwrap();
        b.branch_conditional(yes, body, end, []).unwrap();
        b.begin_block(Some(body)).unwrap();
        b.branch(header).unwrap();
        b.begin_block(Some(end)).unwrap();
    }
    b.ret().unwrap();
    b.end_function().unwrap();
    b.module().assemble().into_iter().flat_map(u32::to_le_bytes).collect()
}

#[test]
fn everything_in_a_module_is_reflected() {
    let found = reflect::reflect(&assembled()).unwrap();
    let expected = reflect::Reflection {
        loops: 2,
        local_size: [32, 3, 3],
        local_size_spec: [Some(5), None, None],
        bindings: [reflect::Binding { set: 2, binding: 7, storage_buffer: true }].into(),
        spec_ids: [5].into(),
        capabilities: ["Shader", "VulkanMemoryModel"].map(String::from).into(),
        push_constant_bytes: 64,
    };
    assert_eq!(found, expected);
}

#[test]
fn the_lock_names_the_compiler_that_cargo_pins() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let version = lock::COMPILER.strip_prefix("shaderc ").unwrap();
    assert!(manifest.contains(&format!("shaderc = {{ version = \"={version}\"")));
}

#[test]
fn malformed_modules_are_errors() {
    let header = |bound: u32| [0x0723_0203, 0x0001_0500, 0, bound, 0].map(u32::to_le_bytes).concat();
    for (code, phrase) in [
        (vec![], "shorter than"),
        (vec![3, 2, 35, 7, 0], "whole number of words"),
        ([0; 20].to_vec(), "instead of SPIR-V"),
        (header(0), "id bound"),
        ([header(9), 0u32.to_le_bytes().to_vec()].concat(), "claims 0 words"),
        ([header(9), 0x0002_0011u32.to_le_bytes().to_vec()].concat(), "claims 2 words of 1"),
        (header(9), "entry points"),
    ] {
        let message = reflect::reflect(&code).expect_err(phrase);
        assert!(message.contains(phrase), "{phrase}: {message}");
    }
}

proptest! {
    /// rspirv panics on some of these; `reflect` must not.
    #[test]
    fn no_mutation_of_a_module_panics(
        which in 0..=kernel::modules().len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut code = kernel::modules().get(which).map_or_else(assembled, |module| module.bytes().to_vec());
        for (at, value) in changes {
            let at = at.index(code.len());
            code[at] = value;
        }
        if let Some(cut) = cut {
            code.truncate(cut.index(code.len()));
        }
        let _ = reflect::reflect(&code);
    }
}
