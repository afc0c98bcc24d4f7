//! Handlers in GLSL, compiled at run time: what is read of them, what is told of bad ones, and that they run.
//! Needs the feature `shaderc`; .ci/run runs it.

mod support;

use std::path::Path;
use std::process::Command;

use ringfence::descriptor::{SlotDescriptor, SlotOpcode};
use ringfence::kernel::{ArgumentKind, Kernel, LinkError, Selection, Width};
use ringfence::runtime::Outcome;
use support::{MODES, PATIENCE, assert_silent, builder};

fn own(name: &str) -> String {
    let file = format!("{}/glsl/handlers/{name}.comp", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// A handler around `body`, which begins in its fifth line.
fn handler(body: &str) -> String {
    format!(
        "#version 460\n#extension GL_GOOGLE_include_directive : require\n#include \"handler.glsl\"\n\
         Outcome mine() {{\n{body}\n}}\nLANE_HANDLER(8, mine)\n"
    )
}

#[test]
fn what_the_source_says_is_read() {
    let kernel = Kernel::builder()
        .glsl("a.comp", own("gcd"))
        .glsl("b.comp", own("total"))
        .glsl("c.comp", handler("return done(1);"))
        .opcode(77)
        .build()
        .expect("they are well");
    let told: Vec<_> = kernel.operations().iter().map(|op| (op.opcode, op.width, &op.name[..])).collect();
    assert_eq!(told, [(8, Width::Lane, "gcd"), (9, Width::Wide, "total"), (77, Width::Lane, "c")]);
    let arguments = kernel.operations()[1].arguments.as_ref().expect("they are named");
    let arguments: Vec<_> = arguments.iter().map(|argument| (&argument.name[..], argument.kind)).collect();
    use ArgumentKind::{Read, U32};
    assert_eq!(arguments, [("memory", Read), ("offset", U32), ("bytes", U32), ("times", U32)]);
    assert_eq!(kernel.operations()[2].arguments, None);
}

#[test]
fn what_is_wrong_is_told() {
    let with =
        |before: &str, body: &str| handler(body).replace("Outcome mine", &format!("{before}\nOutcome mine"));
    let body = "return done(1);";
    let cases = [
        ("a syntax error", handler("return done(1)"), "mine.comp:6: error: "),
        ("a name that is not there", handler("\nreturn done(what);"), "mine.comp:6: error: 'what'"),
        ("a missing include", handler(body).replace("handler.glsl", "mine.glsl"), "'mine.glsl' is neither"),
        ("no contract", "#version 460\nvoid main() {}".into(), "no mailbox"),
        ("no macro", handler(body).replace("LANE_HANDLER(8, mine)", "void main() { mine(); }"), "no mailbox"),
        (
            "no opcode",
            handler(body).replace("LANE_HANDLER(8, mine)", "void main() { mailbox.lo = argument(0); }"),
            "declares no contract",
        ),
        ("two handlers", handler(body) + "LANE_HANDLER(9, mine)", "mine.comp:8: error"),
        ("a system's opcode", handler(body).replace("(8,", "(0xFFFEu,"), "0xfffe"),
        ("an opcode that is none", handler(body).replace("(8,", "(argument(1),"), "no constant"),
        (
            "another contract",
            handler(body).replace("LANE_HANDLER(8, mine)", "void main() { mailbox.contract = 9; }"),
            "contract 9",
        ),
        (
            "slots published by a lane",
            handler("return publish(true, 1, uvec4(0), uvec4(0), uvec4(0));"),
            "only wide handlers",
        ),
        ("a barrier", handler("barrier(); return done(1);"), "barrier"),
        (
            "shared memory",
            with("shared uint all[4];", "all[0] = 1; return done(all[argument(0)]);"),
            "Workgroup",
        ),
        (
            "a binding of its own",
            with("layout(set = 0, binding = 9) buffer Own { uint at[]; } own;", "return done(own.at[0]);"),
            "binding 9",
        ),
        (
            "the kernel's binding as something else",
            with("layout(set = 1, binding = 0) buffer Own { uint at[]; } own;", "return done(own.at[0]);"),
            "set 1, binding 0",
        ),
        (
            "a capability",
            with(
                "#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require",
                "uint64_t n = uint64_t(argument(0)) * uint64_t(argument(1)); return done(uint(n >> 32));",
            ),
            "Int64",
        ),
        (
            "a loop with no bound",
            handler(
                "uint n = 0;\nwhile (true) { n += atomicAdd(control[argument(0)], 1); }\nreturn done(n);",
            ),
            "nothing leaves",
        ),
        (
            "a loop with no bound, called",
            with("void more() { for (;;) atomicAdd(control[0], 1); }", "more(); return done(1);"),
            "nothing leaves",
        ),
        (
            "a recursion",
            with(
                "uint down(uint n);\nuint down(uint n) { return n == 0 ? 0 : down(n - 1); }",
                "return done(down(3));",
            ),
            "ecursi",
        ),
        (
            "two pragmas",
            with("#pragma ringfence a()\n#pragma ringfence b()", body),
            "#pragma ringfence twice",
        ),
        ("a pragma with no name", with("#pragma ringfence (a: u32)", body), "no name"),
        ("an argument with no kind", with("#pragma ringfence a(b)", body), "no kind"),
        ("an argument of an unknown kind", with("#pragma ringfence a(b: u64)", body), "'u64'"),
        (
            "too many arguments",
            with(
                "#pragma ringfence a(b:u32,c:u32,d:u32,e:u32,f:u32,g:u32,h:u32,i:u32,j:u32,k:u32,l:u32,m:u32,n:u32)",
                body,
            ),
            "13 arguments",
        ),
    ];
    let mut other = Vec::new();
    for (what, source, wanted) in cases {
        let error = Kernel::builder().glsl("mine.comp", source).build().expect_err(what);
        let LinkError { handler, problem } = error;
        if handler != "mine.comp" || !problem.contains(wanted) {
            other.push(format!("{what}: {handler}: {problem}"));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
}

#[test]
fn own_includes_are_beside_the_handler() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernel_glsl");
    std::fs::create_dir_all(folder.join("deeper")).expect("a folder");
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("it is written");
    put("deeper/more.glsl", "uint more() { return 41; }\n");
    put("own.glsl", "#include \"deeper/more.glsl\"\n#include \"memory.glsl\"\n");
    let source =
        handler("return done(more() + 1);").replace("Outcome mine", "#include \"own.glsl\"\nOutcome mine");
    put("mine.comp", &source);
    let kernel = Kernel::builder().glsl_file(folder.join("mine.comp")).expect("it is there");
    kernel.build().expect("it is well");
    put("own.glsl", "wrong\n");
    let error = Kernel::builder().glsl_file(folder.join("mine.comp")).expect("it is there").build();
    let problem = error.expect_err("a syntax error").problem;
    assert!(problem.contains("own.glsl:2: error") || problem.contains("own.glsl:1: error"), "{problem}");
}

#[test]
fn they_run() {
    let kernel =
        Kernel::builder().glsl("gcd", own("gcd")).glsl("total", own("total")).build().expect("they link");
    let as_spirv =
        kernel.handlers().fold(Kernel::builder(), |all, (name, code)| all.spirv(name, code)).build();
    let words = |kernel: &Kernel| kernel.link(&Selection::default()).expect("they link").words;
    assert!(words(&as_spirv.expect("they link")) == words(&kernel), "the same words by both ways");
    for mode in MODES {
        // SAFETY: they keep to glsl/handler.glsl.
        let runtime = unsafe { builder(mode).kernel(kernel.clone()) }.build().expect("a runtime");
        let table = runtime.table(&[1, 2, 3]).expect("a table");
        let cases: [(u32, &[u32], u64); 2] = [(8, &[91, 35], 7), (9, &[table.handle(), 0, 12, 7], 42)];
        for (opcode, args, wanted) in cases {
            let slot = SlotDescriptor::single(SlotOpcode::Custom(opcode), args).expect("a slot");
            let job = runtime.submit(&slot).expect("taken");
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
            assert_eq!(ended, Outcome::Done(wanted), "{mode}: {opcode}");
        }
    }
    assert_silent();
}

/// By the program, whose cache's folder the environment says.
#[test]
fn what_was_compiled_is_kept_and_what_is_damaged_is_made_anew() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernel_glsl_cache");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let source = folder.join("mine.comp");
    let check = |text: &str| {
        std::fs::write(&source, text).expect("it is written");
        let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .args(["kernel", "check"])
            .arg(&source)
            .env("XDG_CACHE_HOME", &folder)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("0x00000008 lane mine"), "{said}");
        let mut kept: Vec<_> = std::fs::read_dir(folder.join("ringfence"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "spv"))
            .collect();
        kept.sort();
        kept
    };
    let kept = check(&handler("return done(1);"));
    let [file] = &kept[..] else { panic!("{kept:?}") };
    let whole = std::fs::read(file).expect("it is there");
    let written = || std::fs::metadata(file).and_then(|data| data.modified()).expect("it is there");
    let before = written();
    assert_eq!(check(&handler("return done(1);")), kept);
    assert_eq!(written(), before, "it was written again for nothing");
    for damaged in [&whole[..whole.len() - 4], &[0; 100], b"", &[&whole[..], b"more"].concat()] {
        std::fs::write(file, damaged).expect("it is written");
        assert_eq!(check(&handler("return done(1);")), kept);
        assert!(std::fs::read(file).expect("it is there") == whole, "it was not made anew");
    }
    assert_eq!(check(&handler("return done(2);")).len(), 2);
}
